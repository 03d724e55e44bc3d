//! Why a value was refused, and what to write instead.

use crate::text::Quoted;
use std::net::IpAddr;

/// What kind of failure an [`Error`] is, for a caller that only needs a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The input does not have the right form; sending it again cannot succeed.
    Malformed,
    /// The input is well-formed and was denied.
    Refused,
    /// What the operator configured does not work.
    Misconfigured,
    /// Something needed is not there at the moment; trying again may succeed.
    Unavailable,
}

/// A value that was refused. Each text names the input and the remedy; an input that is long is
/// shown by its beginning alone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A duration without a unit, such as `30`.
    #[error("`{number}`: a unit is missing; write `{number}s`, `{number}m`, `{number}h` or `{number}d`")]
    DurationUnit {
        /// The number as it was written.
        number: String,
    },
    /// A duration that is not a row of numbers with units.
    #[error("{}: not a duration; write whole numbers with the units `w`, `d`, `h`, `m` and `s`, such as `30d` or `1h30m`", Quoted(.input))]
    DurationForm {
        /// What was written.
        input: String,
    },
    /// A duration with a unit twice, or a smaller unit before a larger one.
    #[error("{}: units go from large to small, each at most once; write `1d12h` or `1h30m`", Quoted(.input))]
    DurationOrder {
        /// What was written.
        input: String,
    },
    /// A duration of no length.
    #[error("{}: a duration is at least one second; write `1s` or more, or leave the field out", Quoted(.input))]
    DurationZero {
        /// What was written.
        input: String,
    },
    /// A duration beyond [`Duration::MAX`](crate::Duration::MAX).
    #[error("{}: longer than the longest duration; write `36500d` or less", Quoted(.input))]
    DurationTooLong {
        /// What was written.
        input: String,
    },
    /// Neither an address nor a network.
    #[error("{}: not an address or network; write an address such as `192.0.2.7` or `2001:db8::7`, or a network such as `192.0.2.0/24` or `2001:db8::/32`", Quoted(.input))]
    CidrForm {
        /// What was written.
        input: String,
    },
    /// A prefix length that the address family does not have.
    #[error("{}: the prefix length is a number from 0 to {max}; write for example `{address}/{max}`", Quoted(.input))]
    CidrPrefix {
        /// What was written.
        input: String,
        /// The address before the slash.
        address: IpAddr,
        /// The longest prefix of that family.
        max: u8,
    },
    /// A network with bits set to the right of its prefix.
    #[error(
        "`{address}/{prefix}`: the address has bits beyond its prefix; write `{network}/{prefix}` for the network or `{address}` for the one address"
    )]
    CidrHostBits {
        /// The address as written.
        address: IpAddr,
        /// The prefix length as written.
        prefix: u8,
        /// The address with the bits beyond the prefix cleared.
        network: IpAddr,
    },
    /// An IPv4 address in IPv6 clothes (RFC 4291 §2.5.5.2).
    #[error("{}: an IPv4 address mapped into IPv6 (`::ffff:0:0/96`); write the IPv4 form, such as `192.0.2.7` or `192.0.2.0/24`", Quoted(.input))]
    CidrMapped {
        /// What was written.
        input: String,
    },
    /// A name of no characters.
    #[error("the name is empty; write one such as `payments`")]
    NameEmpty,
    /// A name that is too long.
    #[error("{}: a name of {length} characters; write at most 255", Quoted(.input))]
    NameTooLong {
        /// What was written.
        input: String,
        /// How many bytes it has.
        length: usize,
    },
    /// A character that a name may not have, or a hyphen at an end.
    #[error("{}: {} at position {position}; a name is lower-case letters, digits and, inside, hyphens: {}", Quoted(.input), Quoted(.found.encode_utf8(&mut [0; 4])), remedy(.suggestion.as_deref()))]
    NameCharacter {
        /// What was written.
        input: String,
        /// The first character that does not fit.
        found: char,
        /// Its place, counted in characters from 1.
        position: usize,
        /// The nearest name that would be accepted, if there is one.
        suggestion: Option<String>,
    },
    /// A distribution that says neither or both of `to` and `deployments`.
    #[error("{found}; write one of `to: all`, `to: sites` or `deployments: [payments]`")]
    DistributeForm {
        /// What it has, in words.
        found: &'static str,
    },
    /// A word that is not a distribution.
    #[error("{}: not a distribution; write `all`, `sites` or `deployments:` with names separated by commas", Quoted(.input))]
    DistributeWord {
        /// What was written.
        input: String,
    },
    /// A deployment that is named twice.
    #[error("`{name}`: listed twice in `deployments`; remove one")]
    DistributeTwice {
        /// The name.
        name: String,
    },
    /// Not the name of a variable.
    #[error("{}: not the name of a variable; write one such as `site` or `spiffe-id.path[1]`", Quoted(.input))]
    VariableName {
        /// What was written.
        input: String,
    },
    /// `${` without a name and `}` behind it.
    #[error("{}: at position {position}, {} is not the name of a variable; write for example `${{site}}`", Quoted(.input), Quoted(.found))]
    TemplateVariable {
        /// The whole text.
        input: String,
        /// What stands between the braces, or to the end where there is no `}`.
        found: String,
        /// The place of the `$`, counted in characters from 1.
        position: usize,
    },
    /// More variables than one text may have.
    #[error("{}: more than 32 variables", Quoted(.input))]
    TemplateTooMany {
        /// The text.
        input: String,
    },
    /// A document that gives a value to a variable that says who asks.
    #[error("{}: built in, and not for a document to set: names that begin with `tenant`, `approle`, `user`, `site`, `spiffe-id` or `metadata` say who asks; choose another one", Quoted(.input))]
    VariableBuiltIn {
        /// What was written.
        input: String,
    },
    /// A document that gives a value to one item of a list.
    #[error("{}: an index is for using an item of a list; write the name without it, and a list as the value", Quoted(.input))]
    VariableIndexed {
        /// What was written.
        input: String,
    },
    /// Not the name of a label.
    #[error("{}: not the name of a label, which has at most 200 characters; write one such as `region` or `location.city`", Quoted(.input))]
    LabelName {
        /// What was written.
        input: String,
    },
    /// Not the text that a variable can have as its value.
    #[error("{}: a value has 1 to 1024 bytes and no control characters; leave out what has no value", Quoted(.input))]
    ValueText {
        /// What was written.
        input: String,
    },
    /// A list of no items, or of too many.
    #[error("a list has 1 to 1000 items; leave out what has no value")]
    ValueList,
    /// A list in a list.
    #[error("a list in a list; write one list of texts")]
    ValueNested,
    /// Not the id of a host, which is not shown: it is a secret of the host's.
    #[error("a host-id is 1 to 255 visible ASCII characters")]
    HostId,
    /// Not the digest of a host-id, although it begins like one.
    #[error("a host-id that begins with `sha256:` is one as it is kept, with 64 digits of lower-case hexadecimal")]
    HostIdDigest,
    /// A host-id that is listed twice.
    #[error("the host-id at `host-ids[{index}]` is listed before; remove one")]
    HostIdTwice {
        /// Its place in the list, from 0.
        index: usize,
    },
    /// More entries than one field of a document may have.
    #[error("`{field}` has {found} entries; write at most 10000")]
    Entries {
        /// The field.
        field: &'static str,
        /// How many it has.
        found: usize,
    },
    /// A text with variables that is too long.
    #[error("{}: {length} bytes; write at most 4096", Quoted(.input))]
    TemplateTooLong {
        /// The text.
        input: String,
        /// How many bytes it has.
        length: usize,
    },
}

impl Error {
    /// Always [`ErrorKind::Malformed`]: a value either has the right form or it has not.
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Malformed
    }
}

fn remedy(suggestion: Option<&str>) -> String {
    match suggestion {
        Some(name) => format!("write {}", Quoted(name)),
        None => "write one such as `payments`".to_owned(),
    }
}

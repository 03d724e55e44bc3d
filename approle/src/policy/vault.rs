//! Policies as Vault and OpenBao have them, said in rules of ours.
//!
//! Their text says which `capabilities` there are on which `path` of the API (`concepts/policies` of their documentation). What
//! can be said exactly becomes rules; anything else is refused with the reason, so that no policy comes to mean something that
//! nobody wrote. One thing is no property of a policy and stays different: of several policies of a token theirs lets the most
//! specific path of all decide, and a `deny` of the same path win; here each decides by itself, and the most permissive wins.

mod order;
mod parse;
mod translate;

use core::fmt;

use keyward_config_values::ErrorKind;

use super::RuleConfig;

/// The longest text in bytes.
const MAX_TEXT: usize = 256 * 1024;
/// The most paths of one text.
const MAX_PATHS: usize = 256;

/// The paths of the API that `LIST` asks for, below `/v1/` and with `+` for one segment. The request comes as a `GET` here, so that
/// on them `list` is what `read` is elsewhere.
const LISTED: [&str; 5] =
    ["auth/approle/role", "auth/approle/role/+/secret-id", "sys/policies/acl", "sys/policy", "transit/keys"];

/// What theirs lets only those do whose path has `sudo` as well ("root-protected API endpoints" of their documentation).
const PROTECTED: [&str; 3] = ["sys/seal", "sys/rotate", "sys/rotate/keyring"];
/// The same by paths that they do not know, which their `*` is for here, too.
const ALIKE: [&str; 2] = ["state/system/seal/seal", "state/system/seal/rotate"];

/// The rules that a policy of Vault or OpenBao comes to, from its text in HCL or JSON.
///
/// `create` and `delete` are the operations of that name; `update` is `update` and `execute`; `read` is `read`, and so is `list` on
/// the paths that are listed. What is not among the capabilities of a path is denied there, as theirs is by the most specific path
/// alone. Without `sudo` the paths that theirs protects by it, `sys/seal`, `sys/rotate` and `sys/rotate/keyring`, are denied; elsewhere it says nothing.
/// `patch` and `scan` name what nothing here asks for.
///
/// ```
/// use keyward_approle::vault_rules;
///
/// let rules = vault_rules(r#"
///     // What a service needs.
///     path "transit/encrypt/orders" { capabilities = ["update"] }
///     path "transit/keys/*" { capabilities = ["read", "list"] }
/// "#)?;
/// let paths: Vec<&str> = rules.iter().map(|rule| rule.path.as_str()).collect();
/// assert_eq!(paths, ["/v1/transit/encrypt/orders", "/v1/transit/keys/**", "/v1/transit/keys"]);
///
/// let refused = vault_rules(r#"path "transit/keys/pay*" { capabilities = ["read"] }"#).unwrap_err();
/// assert_eq!(
///     refused.to_string(),
///     "path `transit/keys/pay*`: `*` stands here for whole segments: write it after a `/`, or each name by itself"
/// );
/// # Ok::<(), keyward_approle::VaultPolicyError>(())
/// ```
///
/// # Errors
///
/// What cannot be read, or cannot be said exactly.
pub fn vault_rules(text: &str) -> Result<Vec<RuleConfig>, VaultPolicyError> {
    translate::rules(&parse::stanzas(text)?)
}

/// What one path of a policy allows, in bits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Capabilities {
    deny: bool,
    create: bool,
    read: bool,
    update: bool,
    delete: bool,
    list: bool,
    sudo: bool,
}

impl Capabilities {
    /// Both together; a denial is nothing else.
    fn merge(self, other: Self) -> Self {
        if self.deny || other.deny {
            return Self { deny: true, ..Self::default() };
        }
        Self {
            deny: false,
            create: self.create || other.create,
            read: self.read || other.read,
            update: self.update || other.update,
            delete: self.delete || other.delete,
            list: self.list || other.list,
            sudo: self.sudo || other.sudo,
        }
    }
}

/// One `path` of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stanza {
    path: String,
    capabilities: Capabilities,
}

/// Why a policy of Vault or OpenBao is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VaultPolicyError {
    /// The text cannot be read.
    #[error("line {line}: expected {expected}")]
    Syntax {
        /// The line, from 1.
        line: usize,
        /// What should stand there.
        expected: &'static str,
    },
    /// The text is too long, or has too many paths.
    #[error("it has more than {limit} {of}")]
    TooLong {
        /// How many there may be.
        limit: usize,
        /// Of what.
        of: &'static str,
    },
    /// Something at the top that is neither `path` nor `name`.
    #[error("`{field}` is no part of a policy: there are `path` and `name`")]
    Unknown {
        /// What it is.
        field: String,
    },
    /// A path says what no rule here can say.
    #[error("path `{path}`: {problem}")]
    Path {
        /// The path as it was written.
        path: String,
        /// What is wrong with it.
        problem: VaultPathProblem,
    },
    /// Two paths overlap, and which is the more specific one is decided otherwise here.
    #[error(
        "paths `{one}` and `{other}`: which of them decides where both match would be another one here; write such paths in full"
    )]
    Order {
        /// A path.
        one: String,
        /// Another one.
        other: String,
    },
}

impl VaultPolicyError {
    /// Always [`ErrorKind::Malformed`]: the text has to be changed.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        ErrorKind::Malformed
    }
}

/// What is wrong with a path of such a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum VaultPathProblem {
    /// `*` behind something else than `/`.
    PartialGlob,
    /// `*` that is not the last character.
    GlobNotLast,
    /// `+` beside other characters.
    PartialWildcard,
    /// `{{identity.…}}`.
    Template,
    /// It is empty, or no path that is ever asked for looks like it.
    NoPath,
    /// A capability that there is not.
    Capability(String),
    /// The old word for several capabilities, of which there is none like this.
    Level(String),
    /// A field that restricts further.
    Field(String),
}

impl fmt::Display for VaultPathProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PartialGlob => f.write_str(
                "`*` stands here for whole segments: write it after a `/`, or each name by itself",
            ),
            Self::GlobNotLast => f.write_str("`*` can only be its end"),
            Self::PartialWildcard => f.write_str("`+` must be a whole segment"),
            Self::Template => f.write_str(
                "`{{…}}` and `${…}` have no meaning here: write a policy of this system, whose variables are such as `${approle}`",
            ),
            Self::NoPath => f.write_str("no request has a path like it"),
            Self::Capability(word) => write!(f, "there is no capability `{word}`"),
            Self::Level(word) => write!(f, "there is no policy `{word}`: write `capabilities`"),
            Self::Field(field) => {
                write!(f, "`{field}` cannot be said here, and leaving it out would allow more: a rule decides by path alone")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn say(text: &str) -> String {
        match vault_rules(text) {
            Ok(rules) => {
                let rule = |rule: &RuleConfig| {
                    let allowed = super::super::Operation::ALL
                        .into_iter()
                        .filter(|operation| rule.operations.get(*operation) == Some(super::super::Effect::Allow));
                    format!(
                        "{} {}",
                        rule.path,
                        allowed.map(|operation| operation.as_str()).collect::<Vec<_>>().join(",")
                    )
                };
                rules.iter().map(rule).collect::<Vec<_>>().join("; ")
            }
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn what_is_said_exactly() {
        for (text, rules) in [
            ("", ""),
            (r#"path "transit/encrypt/x" { capabilities = ["update"] }"#, "/v1/transit/encrypt/x update,execute"),
            (
                r#"path "/auth/approle/role/x" { capabilities = ["create", "read"] }"#,
                "/v1/auth/approle/role/x create,read",
            ),
            (r#"path "transit/*" { capabilities = ["read", "list", "sudo"] }"#, "/v1/transit/** read"),
            (r#"path "transit/*" { capabilities = ["read"] }"#, "/v1/transit/** read; /v1/transit/keys "),
            (r#"path "transit/*" { capabilities = ["list"] }"#, "/v1/transit/** ; /v1/transit/keys read"),
            (r#"path "transit/keys" { capabilities = ["list"] }"#, "/v1/transit/keys read"),
            (r#"path "transit/keys/" { capabilities = ["list"] }"#, "/v1/transit/keys read"),
            (
                r#"path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }"#,
                "/v1/** create,read,update,delete,execute",
            ),
            (
                r#"path "*" { policy = "write" }"#,
                "/v1/** create,read,update,delete,execute; /v1/sys/seal ; /v1/sys/rotate ; /v1/sys/rotate/keyring ; \
                 /v1/state/system/seal/seal ; \
                 /v1/state/system/seal/rotate ",
            ),
            (r#"path "*" { policy = "sudo" }"#, "/v1/** create,read,update,delete,execute"),
            (r#"path "sys/seal" { capabilities = ["update"] }"#, "/v1/sys/seal "),
            (r#"path "sys/seal" { capabilities = ["update", "sudo"] }"#, "/v1/sys/seal update,execute"),
            (
                r#"path "sys/+" { capabilities = ["update"] } path "sys/rotate" { capabilities = ["update", "sudo"] }"#,
                "/v1/sys/* update,execute; /v1/sys/rotate update,execute; /v1/sys/seal ",
            ),
            (r#"path "a/+/b" { policy = "write" }"#, "/v1/a/*/b create,read,update,delete,execute"),
            (r#"path "a" { capabilities = ["read", "deny"] }"#, "/v1/a "),
            (
                r#"path "a" { capabilities = ["read"] } path "a" { capabilities = ["update"] }"#,
                "/v1/a read,update,execute",
            ),
            (r#"path "a" { capabilities = ["read"] } path "/a" { policy = "deny" }"#, "/v1/a "),
            (r#"{"path": {"a": {"capabilities": ["read"]}, "b/*": {"policy": "read"}}}"#, "/v1/a read; /v1/b/** read"),
            (
                r#"{"path": [{"a": {"capabilities": ["read"]}}, {"a": [{"capabilities": ["delete"]}]}]}"#,
                "/v1/a read,delete",
            ),
            (
                "// one\nname = \"x\" /* two\n */ path a { comment = \"c\" # three\n capabilities = [\n\"read\",\n] }",
                "/v1/a read",
            ),
        ] {
            assert_eq!(say(text), rules, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_said_is_refused_with_the_reason() {
        let path = |path: &str| format!("path \"{path}\" {{ capabilities = [\"read\"] }}");
        let field = |field: &str| format!("path \"a\" {{ capabilities = [\"read\"] {field} }}");
        for (text, refusal) in [
            (
                path("a/b*"),
                "path `a/b*`: `*` stands here for whole segments: write it after a `/`, or each name by itself",
            ),
            (path("a/*/b"), "path `a/*/b`: `*` can only be its end"),
            (path("a/b+/c"), "path `a/b+/c`: `+` must be a whole segment"),
            (
                path("a/+*"),
                "path `a/+*`: `*` stands here for whole segments: write it after a `/`, or each name by itself",
            ),
            (
                path("a/{{identity.entity.name}}"),
                "path `a/{{identity.entity.name}}`: `{{…}}` and `${…}` have no meaning here: write a policy of this system, whose variables are such as `${approle}`",
            ),
            (
                path("a/${approle}"),
                "path `a/${approle}`: `{{…}}` and `${…}` have no meaning here: write a policy of this system, whose variables are such as `${approle}`",
            ),
            (path("a//b"), "path `a//b`: no request has a path like it"),
            (path(""), "path ``: no request has a path like it"),
            (path("a/../b"), "path `a/../b`: no request has a path like it"),
            (path("a b"), "path `a b`: no request has a path like it"),
            (r#"path "a" { capabilities = ["write"] }"#.to_owned(), "path `a`: there is no capability `write`"),
            (r#"path "a" { policy = "root" }"#.to_owned(), "path `a`: there is no policy `root`: write `capabilities`"),
            (
                field("allowed_parameters = { \"ttl\" = [] }"),
                "path `a`: `allowed_parameters` cannot be said here, and leaving it out would allow more: a rule decides by path alone",
            ),
            (
                field("min_wrapping_ttl = 100"),
                "path `a`: `min_wrapping_ttl` cannot be said here, and leaving it out would allow more: a rule decides by path alone",
            ),
            (r#"paths "a" {}"#.to_owned(), "`paths` is no part of a policy: there are `path` and `name`"),
            (r#"path "a" { capabilities = "read" }"#.to_owned(), "line 1: expected a list of texts"),
            ("path \"a\" {\n capabilities = [\"read\"".to_owned(), "line 2: expected `,` or `]`"),
            ("path \"a".to_owned(), "line 1: expected the end of the text, `\"`"),
            (
                "path \"+/+/c\" { policy = \"read\" } path \"+/b/*\" { policy = \"deny\" }".to_owned(),
                "paths `+/+/c` and `+/b/*`: which of them decides where both match would be another one here; write such paths in full",
            ),
        ] {
            assert_eq!(say(&text), refusal, "{text}");
        }
        assert_eq!(say(&" ".repeat(MAX_TEXT + 1)), "it has more than 262144 bytes");
        let many: String = (0..=MAX_PATHS).map(|n| path(&format!("a{n}"))).collect();
        assert_eq!(say(&many), "it has more than 256 paths");
    }
}

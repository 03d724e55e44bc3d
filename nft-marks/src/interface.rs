//! Names of network interfaces.

use std::fmt;
use std::str::FromStr;

use keyward_config_values::excerpt;

use crate::Error;

/// The name of an interface (`kw0`), or of all whose names begin alike (`kw*`).
///
/// Names have 1 to 15 bytes of letters, digits, `_`, `-` and `.`. The kernel allows more characters; these are the ones
/// that mean the same everywhere between it, nft and a shell. `*` alone is refused: it is no interface of the
/// platform's, and so are the names of protocols such as `tcp`, which nft's JSON cannot tell from them.
///
/// ```
/// use keyward_nft_marks::Interface;
///
/// let bridges: Interface = "kw*".parse()?;
/// assert!(bridges.covers(&"kw0".parse()?));
/// # Ok::<(), keyward_nft_marks::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Interface(String);

impl Interface {
    /// Names that nft's JSON takes for protocols, wherever they stand.
    const PROTOCOLS: [&'static str; 10] =
        ["tcp", "udp", "udplite", "sctp", "dccp", "icmp", "icmpv6", "esp", "ah", "comp"];

    /// The longest name in bytes: the kernel's `IFNAMSIZ` without the byte that ends it.
    pub const MAX_LEN: usize = 15;

    /// The name as text, with its `*`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether each interface that the other one names is one that this names.
    pub fn covers(&self, other: &Self) -> bool {
        match self.0.strip_suffix('*') {
            Some(prefix) => other.0.trim_end_matches('*').starts_with(prefix),
            None => self == other,
        }
    }
}

impl FromStr for Interface {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let stem = text.strip_suffix('*').unwrap_or(text);
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
        let valid = (1..=Self::MAX_LEN).contains(&text.len())
            && !stem.is_empty()
            && stem.bytes().all(allowed)
            && ![".", ".."].contains(&text)
            && !Self::PROTOCOLS.contains(&text);
        if !valid {
            return Err(Error::Interface { input: excerpt(text) });
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for Interface {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<Interface> for String {
    fn from(interface: Interface) -> Self {
        interface.0
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Sorted, without those that another one covers.
pub(crate) fn without_covered(mut interfaces: Vec<Interface>) -> Vec<Interface> {
    interfaces.sort_by(|a, b| a.0.trim_end_matches('*').cmp(b.0.trim_end_matches('*')).then(b.0.len().cmp(&a.0.len())));
    let mut kept: Vec<Interface> = Vec::with_capacity(interfaces.len());
    for interface in interfaces {
        if !kept.iter().any(|wider| wider.covers(&interface)) {
            kept.push(interface);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_nft_and_the_kernel_agree_on() {
        for good in ["kw0", "kw*", "eth0.100", "br-1f0e2d3c4b5a", "a", "abcdefghijklmn*", "abcdefghijklmno"] {
            assert_eq!(good.parse::<Interface>().unwrap().to_string(), good);
        }
        for bad in [
            "",
            "*",
            "abcdefghijklmnop",
            "abcdefghijklmno*",
            "a b",
            "a\"",
            "a*b",
            "a**",
            "é",
            ".",
            "..",
            "a/b",
            "ah",
            "tcp",
            "a\n",
        ] {
            let error = bad.parse::<Interface>().unwrap_err().to_string();
            assert!(
                error.ends_with("not the name of an interface; write 1 to 15 letters, digits, `_`, `-` and `.`, such as `kw0`, or with a star at its end, `kw*`"),
                "{error}"
            );
        }
    }

    #[test]
    fn those_covered_are_left_out_whatever_the_order() {
        let read = |names: &[&str]| {
            let kept = without_covered(names.iter().map(|name| name.parse().unwrap()).collect());
            kept.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(read(&["kw0", "kw*", "kw1*", "eth0", "eth0"]), "eth0 kw*");
        assert_eq!(read(&["kw1*", "kw0", "kw1", "kw"]), "kw kw0 kw1*");
        assert_eq!(read(&["kw", "kw*"]), "kw*");
    }
}

//! Who logs in: an email address in a tenant.

use core::fmt;
use core::str::FromStr;

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use keyward_config_values::Name;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::error::excerpt;

/// An email address in its one canonical form, or the plain name of a local account such as `admin`.
///
/// The part before the `@` is ASCII (the `dot-atom` of RFC 5322 §3.2.3) in lower case: two addresses that differ in case
/// alone are one person. Letters of other scripts are refused there (no RFC 6531), because nobody can tell `а` from `a`.
/// The domain is brought into ASCII by UTS #46, so that `bücher.example` and its `xn--` form are one, and a domain
/// with look-alikes is shown as what it is. Nothing else is folded: `ann+t1@example.com` is not `ann@example.com`.
///
/// ```
/// # use keyward_webauthn_login::Email;
/// let email: Email = "Ann.Lee@BÜCHER.example".parse()?;
/// assert_eq!(email.as_str(), "ann.lee@xn--bcher-kva.example");
/// assert!("аnn@example.com".parse::<Email>().is_err()); // a Cyrillic а
/// # Ok::<(), keyward_webauthn_login::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Email(String);

impl Email {
    /// The most characters: what SMTP can carry (RFC 5321 §4.5.3.1.3, less the brackets).
    pub const MAX_LEN: usize = 254;

    /// The canonical text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands before the `@`; the whole of a plain name.
    #[must_use]
    pub fn local(&self) -> &str {
        self.0.rsplit_once('@').map_or(self.as_str(), |(local, _)| local)
    }
}

impl FromStr for Email {
    type Err = Error;

    fn from_str(input: &str) -> Result<Self, Error> {
        let refuse = |problem| Error::Email { input: excerpt(input), problem };
        // The longest domain in another script is shorter in ASCII than four times itself.
        if input.len() > Self::MAX_LEN * 4 {
            return Err(refuse("it is too long; write at most 254 characters"));
        }
        let (local, domain) = match input.rsplit_once('@') {
            Some((local, domain)) => (local, Some(domain)),
            None => (input, None),
        };
        if !local.is_ascii() {
            return Err(refuse("before the `@` only ASCII is taken, because other letters can look alike"));
        }
        if local.is_empty() || local.split('.').any(str::is_empty) || !local.bytes().all(is_atext) {
            return Err(refuse("write one such as `ann@example.com`"));
        }
        if local.len() > 64 {
            return Err(refuse("it has more than 64 characters before the `@`"));
        }
        let mut text = local.to_ascii_lowercase();
        if let Some(domain) = domain {
            let domain = Uts46::new()
                .to_ascii(domain.as_bytes(), AsciiDenyList::STD3, Hyphens::Check, DnsLength::Verify)
                .map_err(|_| refuse("its domain is none; write one such as `ann@example.com`"))?;
            text.push('@');
            text.push_str(&domain);
        }
        if text.len() > Self::MAX_LEN {
            return Err(refuse("it is too long; write at most 254 characters"));
        }
        Ok(Self(text))
    }
}

/// RFC 5322 §3.2.3, and the dot between atoms.
fn is_atext(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".!#$%&'*+-/=?^_`{|}~".contains(&byte)
}

impl TryFrom<String> for Email {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<Email> for String {
    fn from(email: Email) -> Self {
        email.0
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A user: an email address in a tenant. The same address in two tenants is two users.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Identity {
    /// The address.
    pub email: Email,
    /// The tenant.
    pub tenant: Name,
}

impl Identity {
    /// The pair.
    #[must_use]
    pub fn new(email: Email, tenant: Name) -> Self {
        Self { email, tenant }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.email, self.tenant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn email(text: &str) -> String {
        text.parse::<Email>().unwrap().to_string()
    }

    #[test]
    fn one_person_is_one_text() {
        assert_eq!(email("Ann@Example.COM"), "ann@example.com");
        assert_eq!(email("ann@bücher.example"), "ann@xn--bcher-kva.example");
        assert_eq!(email("ann@xn--bcher-kva.example"), "ann@xn--bcher-kva.example");
        assert_eq!(email("ann@EXAMPLE。com"), "ann@example.com"); // an ideographic full stop (UTS #46)
        assert_eq!(email("name+t1@example.com"), "name+t1@example.com");
        assert_eq!(email("Admin"), "admin");
        assert_eq!("Ann@example.com".parse::<Email>().unwrap().local(), "ann");
    }

    #[test]
    fn look_alikes_are_refused_or_shown_as_what_they_are() {
        let refused = "аnn@example.com".parse::<Email>().unwrap_err().to_string();
        assert!(refused.ends_with("only ASCII is taken, because other letters can look alike"), "{refused}");
        // The dotless i of Turkish is no i, before the `@` and behind it.
        assert!("mıke@example.com".parse::<Email>().is_err());
        assert_eq!(email("mike@gıthub.example"), "mike@xn--gthub-n4a.example");
        assert!("ann@ex\u{200b}ample.com".parse::<Email>().is_ok_and(|e| e.as_str() == "ann@example.com"));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for bad in [
            "",
            "@",
            "ann@",
            "@example.com",
            "a b@example.com",
            "ann@exa mple.com",
            ".ann@example.com",
            "a..b@example.com",
            "ann.@example.com",
            "\"ann\"@example.com",
            "ann@[192.0.2.1]",
            "ann@-x.com",
            "ann@a_b.com",
            "ann\n@example.com",
            "ann@example..com",
            "ann@b@example.com",
            "ann\0@example.com",
        ] {
            assert!(bad.parse::<Email>().is_err(), "{bad}");
        }
        assert!(format!("{}@example.com", "x".repeat(65)).parse::<Email>().is_err());
        assert!("x".repeat(2000).parse::<Email>().unwrap_err().to_string().contains("at most 254"));
        assert_eq!(
            "a b".parse::<Email>().unwrap_err().to_string(),
            "`a b` is no email address: write one such as `ann@example.com`"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn the_canonical_form_is_canonical(text in "[a-zA-Z0-9.+_'/%-]{0,10}@?[a-zA-Z0-9ü.-]{0,12}|\\PC{0,16}") {
            if let Ok(email) = text.parse::<Email>() {
                prop_assert_eq!(&email.to_string().parse::<Email>().unwrap(), &email);
                prop_assert!(email.as_str().is_ascii());
            }
        }
    }
}

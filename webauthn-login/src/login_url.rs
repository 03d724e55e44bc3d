//! URLs that prefill a login, to be bookmarked and passed on.

use core::fmt;
use core::str::FromStr;

use keyward_config_values::Name;

use crate::{Authenticator, Email, Error, Identity, percent};

/// `/login/<tenant>/<email>[/<authenticator>]`. It fills in what would be typed and authenticates nobody. A login that began
/// with one ends in its tenant or not at all.
///
/// ```
/// # use keyward_webauthn_login::LoginUrl;
/// let url: LoginUrl = "/login/b2/name%2Bt1%40example.com/strongbox".parse()?;
/// assert_eq!(url.identity.email.as_str(), "name+t1@example.com");
/// assert_eq!(url.to_string(), "/login/b2/name%2Bt1@example.com/strongbox");
/// # Ok::<(), keyward_webauthn_login::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LoginUrl {
    /// Who is to log in.
    pub identity: Identity,
    /// The authenticator to be chosen, if it says.
    pub authenticator: Option<Authenticator>,
}

const PREFIX: &str = "/login/";

impl FromStr for LoginUrl {
    type Err = Error;

    fn from_str(path: &str) -> Result<Self, Error> {
        let refuse = |problem| Error::LoginUrl { problem };
        if path.len() > 2048 {
            return Err(refuse("it is longer than 2048 characters"));
        }
        let rest = path.strip_prefix(PREFIX).ok_or_else(|| refuse("it does not start with `/login/`"))?;
        let mut segments =
            rest.split('/').map(|segment| if segment.contains(['?', '#']) { None } else { percent::decode(segment) });
        let mut segment = || segments.next().map(|segment| segment.ok_or_else(|| refuse("it has a broken escape")));
        let tenant: Name = segment()
            .ok_or_else(|| refuse("the tenant is missing"))??
            .parse()
            .map_err(|_| refuse("its tenant is not a name"))?;
        let email: Email = segment()
            .ok_or_else(|| refuse("the email address is missing"))??
            .parse()
            .map_err(|_| refuse("what stands for the email address is not one"))?;
        let authenticator = match segment() {
            None => None,
            Some(text) => Some(text?.parse().map_err(|_| refuse("what stands for the authenticator is not one"))?),
        };
        if segment().is_some() {
            return Err(refuse("it has too many segments"));
        }
        Ok(Self { identity: Identity::new(email, tenant), authenticator })
    }
}

impl fmt::Display for LoginUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}/{}", self.identity.tenant, percent::encode_segment(self.identity.email.as_str()))?;
        match &self.authenticator {
            Some(authenticator) => write!(f, "/{authenticator}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn accepted_as_people_write_them() {
        for (text, canonical) in [
            ("/login/b2/ann@example.com", "/login/b2/ann@example.com"),
            ("/login/b2/Ann%40Example.com", "/login/b2/ann@example.com"),
            ("/login/b2/admin/entra", "/login/b2/admin/entra"),
            ("/login/b2/a%2Fb@example.com", "/login/b2/a%2Fb@example.com"),
        ] {
            assert_eq!(text.parse::<LoginUrl>().unwrap().to_string(), canonical);
        }
    }

    #[test]
    fn refused() {
        for bad in [
            "",
            "/",
            "/login",
            "/login/",
            "/login/b2",
            "/login/b2/",
            "/login//ann@example.com",
            "/login/B2/ann@example.com",
            "/login/b2/ann@example.com/",
            "/login/b2/ann@example.com/entra/x",
            "/login/b2/ann@example.com?x",
            "/login/b2/%zz",
            "https://x/login/b2/ann@example.com",
            "/login/b2/ann@example.com/Entra",
            "/login/../ann@example.com",
        ] {
            assert!(bad.parse::<LoginUrl>().is_err(), "{bad}");
        }
        assert_eq!(
            "/login/b2".parse::<LoginUrl>().unwrap_err().to_string(),
            "this is not a login URL: the email address is missing; \
             write `/login/<tenant>/<email>` or `/login/<tenant>/<email>/<authenticator>`"
        );
        assert!(
            "/login/b2/a b"
                .parse::<LoginUrl>()
                .unwrap_err()
                .to_string()
                .contains("stands for the email address is not one;")
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn what_was_displayed_is_parsed(
            tenant in "[a-z0-9]{1,6}", local in "[a-z0-9!#$%&'*+/=?^_`{|}~-]{1,12}", provider in "[a-z0-9]{0,6}",
        ) {
            let url = LoginUrl {
                identity: Identity::new(format!("{local}@example.com").parse().unwrap(), tenant.parse().unwrap()),
                authenticator: (!provider.is_empty()).then(|| provider.parse().unwrap()),
            };
            prop_assert_eq!(url.to_string().parse::<LoginUrl>().unwrap(), url);
        }
    }
}

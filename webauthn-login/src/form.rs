//! Against forms that another site sends: where a request comes from, and whether its form was made here.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::secret::{Purpose, same};
use crate::{Reason, Secret};

/// The value of a hidden field that ties a form to the cookie of its login or session. It is there before anybody logs in,
/// so that no other site can log a browser in as somebody else.
///
/// ```
/// # use keyward_webauthn_login::{Reason, Secret, check_form, form_token};
/// # let secret = Secret::from_bytes(&[7; 32]);
/// let field = form_token("the cookie's value", &secret);
/// assert_eq!(check_form(&field, "the cookie's value", &secret), Ok(()));
/// assert_eq!(check_form(&field, "another cookie", &secret), Err(Reason::ForgedForm));
/// ```
#[must_use]
pub fn form_token(cookie: &str, secret: &Secret) -> String {
    URL_SAFE_NO_PAD.encode(secret.derive(Purpose::FormToken, &[cookie.as_bytes()]))
}

/// Whether a form came with the value that was put into it for that cookie.
///
/// # Errors
///
/// [`Reason::ForgedForm`].
pub fn check_form(presented: &str, cookie: &str, secret: &Secret) -> Result<(), Reason> {
    if !cookie.is_empty() && same(presented, &form_token(cookie, secret)) { Ok(()) } else { Err(Reason::ForgedForm) }
}

/// Whether a request that changes something was made by a page of this site, by its headers `Origin` and `Sec-Fetch-Site`
/// (Fetch Metadata). One of the two must be there: every browser that can do WebAuthn sends them.
///
/// # Errors
///
/// [`Reason::ForgedForm`].
///
/// ```
/// # use keyward_webauthn_login::check_origin;
/// let own = ["https://tower.example"];
/// assert!(check_origin(Some("https://tower.example"), Some("same-origin"), &own).is_ok());
/// assert!(check_origin(Some("https://evil.example"), Some("cross-site"), &own).is_err());
/// assert!(check_origin(None, None, &own).is_err());
/// ```
pub fn check_origin(origin: Option<&str>, sec_fetch_site: Option<&str>, own: &[&str]) -> Result<(), Reason> {
    let origin_fits = origin.map(|origin| own.contains(&origin));
    // Pages on sibling domains are other sites: `same-site` is not enough.
    let site_fits = sec_fetch_site.map(|site| site == "same-origin");
    match (origin_fits, site_fits) {
        (None, None) => Err(Reason::ForgedForm),
        (Some(false), _) | (_, Some(false)) => Err(Reason::ForgedForm),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_form_for_this_very_cookie() {
        let secret = Secret::from_bytes(&[7; 32]);
        let token = form_token("a", &secret);
        assert_eq!(check_form(&token, "a", &secret), Ok(()));
        for (presented, cookie) in [("", "a"), ("", ""), (token.as_str(), "b"), (token.as_str(), ""), ("a", "a")] {
            assert_eq!(check_form(presented, cookie, &secret), Err(Reason::ForgedForm), "{presented} {cookie}");
        }
        assert_eq!(check_form(&form_token("", &secret), "", &secret), Err(Reason::ForgedForm), "no cookie, no form");
        assert_eq!(check_form(&token, "a", &Secret::from_bytes(&[8; 32])), Err(Reason::ForgedForm));
    }

    #[test]
    fn only_pages_of_this_origin() {
        let own = ["https://tower.example"];
        let check = |origin, site| check_origin(origin, site, &own).is_ok();
        assert!(check(Some("https://tower.example"), None));
        assert!(check(None, Some("same-origin")));
        assert!(!check(Some("null"), Some("same-origin")));
        assert!(!check(Some("https://tower.example"), Some("cross-site")));
        assert!(!check(None, Some("same-site")));
        assert!(!check(None, Some("none")));
        assert!(!check(Some("https://tower.example.evil"), None));
        assert!(!check(Some("http://tower.example"), None));
        assert!(!check(Some("https://tower.example:444"), None));
    }
}

//! The login by SVID, decided from one configuration and one verified SPIFFE ID.

use std::net::IpAddr;

use keyward_spiffe_id::{Pattern, SpiffeId};

use super::SpiffeAuth;
use crate::token::TokenParameters;
use crate::{Reason, address};

/// The one text that every refused login by SVID answers with, whatever the reason.
pub const SPIFFE_LOGIN_REFUSED: &str = "the SVID is not accepted here";

/// A good login by SVID.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SpiffeGrant {
    /// What to issue a token with.
    pub parameters: TokenParameters,
    /// The pattern that decided, for the audit log.
    pub pattern: Pattern,
}

/// Decides a login by SVID. `id` is of an SVID that was verified by the keys of the configuration's trust
/// domain, `source` the address of the caller as the trusted proxies have it. What no pattern matches is
/// refused.
///
/// ```
/// # use keyward_approle::{Reason, SpiffeAuth, spiffe_login};
/// # use getrandom::SysRng;
/// # use rand_core::UnwrapErr;
/// let rules = serde_json::from_str(
///     r#"[{"pattern": "spiffe://peer.example/**"},
///         {"pattern": "spiffe://peer.example/shop/*", "token-policies": ["orders"]}]"#,
/// )?;
/// let auth = SpiffeAuth::create(
///     "default".parse()?, "peer".parse()?, "peer.example".parse()?, rules, &mut UnwrapErr(SysRng),
/// )?;
/// let source = [192, 0, 2, 1].into();
/// let grant = spiffe_login(&auth, &"spiffe://peer.example/shop/cart".parse()?, source)?;
/// assert_eq!(grant.parameters.policies, ["default", "orders"]);
/// assert_eq!(grant.parameters.subject.to_string(), "spiffe/peer");
/// let stranger = spiffe_login(&auth, &"spiffe://other.example/shop/cart".parse()?, source);
/// assert_eq!(stranger.unwrap_err(), Reason::NoPattern);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// `NoPattern` or `WrongAddress`. They are for the audit log; the caller is told
/// [`SPIFFE_LOGIN_REFUSED`].
pub fn spiffe_login(auth: &SpiffeAuth, id: &SpiffeId, source: IpAddr) -> Result<SpiffeGrant, Reason> {
    let rule = auth.rule(id).ok_or(Reason::NoPattern)?;
    if !address::allowed(&rule.token_bound_cidrs, source) {
        return Err(Reason::WrongAddress);
    }
    let parameters = TokenParameters::for_spiffe(auth, id, rule, source);
    Ok(SpiffeGrant { parameters, pattern: rule.pattern.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{at, duration, name, pepper, rng};
    use crate::{Authenticated, Limits, Owner, TokenRecord, TokenView, check};

    const RULES: &str = r#"[
        {"pattern": "spiffe://td.example/**", "token-policies": ["any"]},
        {"pattern": "spiffe://td.example/shop/*", "token-policies": ["shop"], "token-ttl": "30m",
         "token-auto-bound-cidrs": "host", "token-bound-cidrs": ["192.0.2.0/24"], "token-no-default-policy": true},
        {"pattern": "spiffe://td.example/shop/admin", "token-policies": ["admin"], "token-explicit-max-ttl": "10m"}
    ]"#;

    fn auth(seed: u64, rules: &str) -> SpiffeAuth {
        let trust_domain = "td.example".parse().unwrap();
        let rules = serde_json::from_str(rules).unwrap();
        SpiffeAuth::create(name("default"), name("peer"), trust_domain, rules, &mut rng(seed)).unwrap()
    }

    fn login(auth: &SpiffeAuth, id: &str, source: &str) -> Result<TokenRecord, Reason> {
        let grant = spiffe_login(auth, &id.parse().unwrap(), source.parse().unwrap())?;
        Ok(TokenRecord::issue(grant.parameters, &Limits::default(), &pepper(), &mut rng(1), at(0)).1)
    }

    fn presented(record: &TokenRecord, now: i64) -> Authenticated {
        check(record.key(), Some(record), [192, 0, 2, 7].into(), at(now)).unwrap()
    }

    #[test]
    fn the_most_specific_pattern_decides_alone() {
        let auth = auth(1, RULES);
        let policies = |id: &str| {
            let record = login(&auth, id, "192.0.2.7").unwrap();
            record.policies().iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
        };
        assert_eq!(policies("spiffe://td.example/x/y"), "default,any");
        assert_eq!(policies("spiffe://td.example/shop/cart"), "shop");
        assert_eq!(policies("spiffe://td.example/shop/admin"), "default,admin");
        assert_eq!(policies("spiffe://td.example/shop/cart/x"), "default,any");
    }

    #[test]
    fn what_nothing_matches_is_refused() {
        let auth = auth(1, r#"[{"pattern": "spiffe://td.example/shop/*"}]"#);
        for id in [
            "spiffe://td.example/shop",
            "spiffe://td.example/shop/a/b",
            "spiffe://td.example",
            "spiffe://td.example.org/shop/a",
        ] {
            assert_eq!(login(&auth, id, "192.0.2.7").unwrap_err(), Reason::NoPattern, "{id}");
        }
        assert_eq!(login(&self::auth(1, "[]"), "spiffe://td.example/a", "192.0.2.7").unwrap_err(), Reason::NoPattern);
    }

    #[test]
    fn ranges_bind_the_login_and_the_token() {
        let auth = auth(1, RULES);
        let id = "spiffe://td.example/shop/cart";
        assert_eq!(login(&auth, id, "198.51.100.1").unwrap_err(), Reason::WrongAddress);
        let record = login(&auth, id, "::ffff:192.0.2.7").unwrap();
        let check = |source: [u8; 4]| check(record.key(), Some(&record), source.into(), at(1)).map(drop);
        assert_eq!(check([192, 0, 2, 7]), Ok(()));
        assert_eq!(check([192, 0, 2, 8]), Err(Reason::WrongAddress), "the address that logged in");
    }

    #[test]
    fn a_token_knows_whom_it_was_issued_to() {
        let record = login(&auth(1, RULES), "spiffe://td.example/x", "192.0.2.7").unwrap();
        let record = TokenRecord::decode(&record.encode().unwrap()).unwrap();
        assert_eq!(record.subject().to_string(), "spiffe/peer");
        assert_eq!(record.subject().spiffe_id().unwrap().as_str(), "spiffe://td.example/x");
        let view = serde_json::to_value(TokenView::new(&record, at(1))).unwrap();
        assert_eq!(view["spiffe-id"], "spiffe://td.example/x");
        assert!(record.jwt_svid().is_none());
    }

    #[test]
    fn refreshes_end_a_day_after_the_login() {
        let auth = auth(1, RULES);
        let mut record = login(&auth, "spiffe://td.example/x", "192.0.2.7").unwrap();
        assert_eq!(record.expires(), at(3600));
        let refresh = |record: &TokenRecord, now| {
            presented(record, now)
                .refresh(Owner::Spiffe(&auth), Some(duration("1h")), &Limits::default(), at(now))
                .unwrap()
        };
        for time in 1..=27 {
            record = refresh(&record, time * 3000);
            assert_eq!(record.expires(), at(time * 3000 + 3600));
        }
        assert_eq!(refresh(&record, 84_000).expires(), at(86_400));
        let short = login(&auth, "spiffe://td.example/shop/admin", "192.0.2.7").unwrap();
        assert_eq!(short.expires(), at(600));
    }

    #[test]
    fn a_token_ends_with_the_configuration_or_the_rule_that_gave_it() {
        let auth = auth(1, RULES);
        let record = login(&auth, "spiffe://td.example/shop/cart", "192.0.2.7").unwrap();
        let token = presented(&record, 1);
        let own = |owner: Owner<'_>| token.check_owner(owner);
        assert_eq!(own(Owner::Spiffe(&auth)), Ok(()));
        assert_eq!(own(Owner::Gone), Err(Reason::Disabled));
        assert_eq!(own(Owner::User), Err(Reason::Disabled));
        assert_eq!(own(Owner::Spiffe(&self::auth(2, RULES))), Err(Reason::Disabled), "made anew under its name");
        let rules =
            |json: &str| auth.reconfigure("td.example".parse().unwrap(), serde_json::from_str(json).unwrap()).unwrap();
        // Another rule that matches admits the identity too, and its policies hold after the next refresh.
        let wider =
            rules(r#"[{"pattern": "spiffe://td.example/**", "token-policies": ["any"], "token-renewable": true}]"#);
        assert_eq!(own(Owner::Spiffe(&wider)), Ok(()));
        let renewed = token.refresh(Owner::Spiffe(&wider), None, &Limits::default(), at(2)).unwrap();
        assert_eq!(renewed.policies(), [name("default"), name("any")]);
        assert!(renewed.bound_cidrs().is_empty());
        let narrower = rules(r#"[{"pattern": "spiffe://td.example/shop/admin"}]"#);
        assert_eq!(own(Owner::Spiffe(&narrower)), Err(Reason::Disabled));
        assert_eq!(
            token.refresh(Owner::Spiffe(&narrower), None, &Limits::default(), at(2)).unwrap_err(),
            Reason::Disabled
        );
        let other = auth.reconfigure("other.example".parse().unwrap(), Vec::new()).unwrap();
        assert_eq!(own(Owner::Spiffe(&other)), Err(Reason::Disabled));
        let fixed = rules(r#"[{"pattern": "spiffe://td.example/**", "token-renewable": false}]"#);
        assert_eq!(
            token.refresh(Owner::Spiffe(&fixed), None, &Limits::default(), at(2)).unwrap_err(),
            Reason::NotRenewable
        );
    }

    #[test]
    fn stored_and_read_again() {
        let auth = auth(1, RULES);
        let bytes = auth.encode().unwrap();
        let read = SpiffeAuth::decode(&bytes).unwrap();
        assert_eq!(read, auth);
        assert!(read.rule(&"spiffe://td.example/shop/cart".parse().unwrap()).is_some());
        let newer = String::from_utf8(bytes).unwrap().replacen('1', "2", 1);
        assert_eq!(
            SpiffeAuth::decode(newer.as_bytes()).unwrap_err().to_string(),
            "the stored login by SVID has format 2, this release knows formats up to 1"
        );
    }
}

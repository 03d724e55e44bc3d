//! Refreshing a token.

use keyward_config_values::Duration;
use time::OffsetDateTime;

use super::{Authenticated, Subject, TokenParameters, TokenRecord};
use crate::{Limits, Reason, Role, SpiffeAuth};

/// What there is, at the moment of a refresh, of the role or user that a token was issued to.
#[derive(Debug, Clone, Copy)]
pub enum Owner<'a> {
    /// The AppRole. Its present configuration holds from now on.
    Role(&'a Role),
    /// The user, who may still log in.
    User,
    /// The configuration of logins by SVID. Its present rule for the identity holds from now on.
    Spiffe(&'a SpiffeAuth),
    /// Nothing: deleted or disabled.
    Gone,
}

impl Authenticated {
    /// Checks that whom the token was issued to is still there: the same role, not one made anew under its name, the
    /// user, or the same configuration of logins by SVID with a rule that matches the identity. To be asked at each use, so that deleting a role or a user ends their tokens.
    ///
    /// # Errors
    ///
    /// `Disabled`.
    pub fn check_owner(&self, owner: Owner<'_>) -> Result<(), Reason> {
        let record = self.record();
        match (record.subject(), owner) {
            (Subject::Approle { name, instance }, Owner::Role(role))
                if record.tenant() == role.tenant() && name == role.name() && *instance == role.instance() =>
            {
                Ok(())
            }
            (Subject::User { .. }, Owner::User) => Ok(()),
            (Subject::Spiffe { name, instance, id }, Owner::Spiffe(auth))
                if record.tenant() == auth.tenant()
                    && name == auth.name()
                    && *instance == auth.instance()
                    && auth.rule(id).is_some() =>
            {
                Ok(())
            }
            _ => Err(Reason::Disabled),
        }
    }

    /// Refreshes the token that was presented.
    ///
    /// A refresh resets the life of the token, it does not add: from `now` it is the least of the
    /// increment (by default what a login gives), the period where there is one, the maximum ttl,
    /// the system's maximum, the cap of the SVIDs that come with the token, and what is left of the
    /// explicit maximum. For an AppRole everything is taken from the role as it is configured now:
    /// policies, ranges, audiences and durations. A token that was made from another one keeps what it
    /// was made with, as far as its ancestors have it by now, and ends with the first of them.
    ///
    /// The answer replaces the stored record, guarded by the revision that it was read at, and
    /// includes a counted use. [`TokenRecord::jwt_svid`] and [`TokenRecord::x509_svid`] of it say what
    /// SVIDs to issue.
    ///
    /// # Errors
    ///
    /// `Expired`, `Disabled` when the owner is gone or is another role than at the login, or
    /// `NotRenewable`.
    pub fn refresh(
        &self,
        owner: Owner<'_>,
        increment: Option<Duration>,
        limits: &Limits,
        now: OffsetDateTime,
    ) -> Result<TokenRecord, Reason> {
        let record = self.record();
        if now >= record.expires() {
            return Err(Reason::Expired);
        }
        self.check_owner(owner)?;
        // The host that a token is bound to stays the one that logged in.
        let nowhere = [0, 0, 0, 0].into();
        let parameters = match (owner, record.subject()) {
            (Owner::Role(role), _) => Some(TokenParameters::for_role(role, nowhere)),
            (Owner::Spiffe(auth), Subject::Spiffe { id, .. }) => {
                auth.rule(id).map(|rule| TokenParameters::for_spiffe(auth, id, rule, nowhere))
            }
            _ => None,
        };
        let forbidden = parameters.as_ref().is_some_and(|parameters| !parameters.renewable);
        if !record.is_renewable() || forbidden {
            return Err(Reason::NotRenewable);
        }
        Ok(record.renewed(parameters, increment, limits, now).ending(self.ancestors_end()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{at, duration, name, pepper, rng, role};
    use crate::token::check;

    fn issue(role: &Role) -> TokenRecord {
        let parameters = TokenParameters::for_role(role, [192, 0, 2, 1].into());
        TokenRecord::issue(parameters, &Limits::default(), &pepper(), &mut rng(1), at(0)).1
    }

    fn refresh(record: &TokenRecord, owner: Owner<'_>, increment: &str, now: i64) -> Result<TokenRecord, Reason> {
        let increment = (!increment.is_empty()).then(|| duration(increment));
        check(record.key(), Some(record), [192, 0, 2, 1].into(), at(now))?.refresh(
            owner,
            increment,
            &Limits::default(),
            at(now),
        )
    }

    /// Seconds from the refresh to the new expiry, for a refresh 60 s after the login.
    fn table(json: &str, increment: &str) -> i64 {
        let role = role(json);
        let record = issue(&role);
        let renewed = refresh(&record, Owner::Role(&role), increment, 60).unwrap();
        assert_eq!(renewed.renewal_time(), at(60));
        assert_eq!(renewed.creation_time(), at(0));
        assert_eq!(renewed.key(), record.key());
        assert_eq!(renewed.accessor(), record.accessor());
        (renewed.expires() - at(60)).whole_seconds()
    }

    #[test]
    fn a_refresh_resets_and_never_adds() {
        const DAY: i64 = 86_400;
        // Periodic.
        assert_eq!(table(r#"{"name":"a","token-period":"1d"}"#, ""), DAY);
        assert_eq!(table(r#"{"name":"a","token-period":"1d"}"#, "1h"), 3600);
        assert_eq!(table(r#"{"name":"a","token-period":"1d"}"#, "2d"), DAY);
        assert_eq!(table(r#"{"name":"a","token-period":"1d","token-ttl":"1h"}"#, ""), 3600);
        assert_eq!(table(r#"{"name":"a","token-period":"60d"}"#, ""), 32 * DAY);
        assert_eq!(
            table(r#"{"name":"a","token-period":"1h","token-explicit-max-ttl":"1h"}"#, ""),
            3540,
            "what is left of the explicit maximum"
        );
        // Not periodic.
        assert_eq!(table(r#"{"name":"a"}"#, ""), 3600);
        assert_eq!(table(r#"{"name":"a","token-ttl":"10m"}"#, ""), 600);
        assert_eq!(table(r#"{"name":"a","token-ttl":"10m"}"#, "20m"), 1200);
        assert_eq!(table(r#"{"name":"a","token-ttl":"10m"}"#, "1s"), 1);
        assert_eq!(table(r#"{"name":"a","token-ttl":"10m","token-max-ttl":"15m"}"#, "20m"), 900);
        assert_eq!(table(r#"{"name":"a","token-ttl":"10m"}"#, "90d"), 32 * DAY);
        // SVIDs.
        let svid = r#""token-spiffe-jwt":{"jwt-audiences":["b"]}"#;
        assert_eq!(table(&format!(r#"{{"name":"a","token-period":"3d",{svid}}}"#), ""), DAY);
        assert_eq!(table(&format!(r#"{{"name":"a",{svid}}}"#), "90d"), DAY);
    }

    #[test]
    fn a_periodic_token_lives_as_long_as_it_is_refreshed() {
        let role = role(r#"{"name":"a","token-period":"1d"}"#);
        let mut record = issue(&role);
        for time in 1..=400 {
            // One second before it expires.
            record = refresh(&record, Owner::Role(&role), "", time * 86_399).unwrap();
        }
        assert_eq!(record.expires(), at(400 * 86_399 + 86_400));
    }

    #[test]
    fn an_explicit_end_is_never_passed() {
        let role = role(r#"{"name":"a","token-period":"1h","token-explicit-max-ttl":"2h"}"#);
        let mut record = issue(&role);
        for minute in [30, 60, 90, 119] {
            record = refresh(&record, Owner::Role(&role), "", minute * 60).unwrap();
        }
        assert_eq!(record.expires(), at(7200));
        assert_eq!(refresh(&record, Owner::Role(&role), "", 7200), Err(Reason::Expired));
    }

    #[test]
    fn refused_when_expired_gone_or_not_renewable() {
        let usual = role(r#"{"name":"a","token-ttl":"1m"}"#);
        let record = issue(&usual);
        assert_eq!(refresh(&record, Owner::Role(&usual), "", 60), Err(Reason::Expired));
        assert_eq!(refresh(&record, Owner::Gone, "", 1), Err(Reason::Disabled));
        assert_eq!(refresh(&record, Owner::User, "", 1), Err(Reason::Disabled));
        // Checked before, presented again later.
        let checked = check(record.key(), Some(&record), [192, 0, 2, 1].into(), at(59)).unwrap();
        let late = checked.refresh(Owner::Role(&usual), None, &Limits::default(), at(60));
        assert_eq!(late, Err(Reason::Expired));

        let again = Role::create(name("default"), usual.config().clone(), &mut rng(1234)).unwrap();
        assert_eq!(refresh(&record, Owner::Role(&again), "", 1), Err(Reason::Disabled));
        let elsewhere = Role::create(name("other"), usual.config().clone(), &mut rng(99)).unwrap();
        assert_eq!(refresh(&record, Owner::Role(&elsewhere), "", 1), Err(Reason::Disabled));

        let fixed = role(r#"{"name":"a","token-renewable":false}"#);
        assert_eq!(refresh(&issue(&fixed), Owner::Role(&fixed), "", 1), Err(Reason::NotRenewable));
    }

    #[test]
    fn the_role_as_it_is_now_holds() {
        let before = role(r#"{"name":"a","token-policies":["b"],"token-spiffe-jwt":{"jwt-audiences":["old"]}}"#);
        let record = issue(&before);
        let now = |json: &str| before.reconfigure(serde_json::from_str(json).unwrap()).unwrap();

        let narrowed = now(r#"{"name":"a","token-ttl":"5m","token-explicit-max-ttl":"6m",
                "token-bound-cidrs":["192.0.2.0/24"],"token-spiffe-jwt":{"jwt-audiences":["new"]}}"#);
        let renewed = refresh(&record, Owner::Role(&narrowed), "", 120).unwrap();
        assert_eq!(renewed.policies(), [name("default")]);
        assert_eq!(renewed.jwt_svid().unwrap().audiences, ["new"]);
        assert_eq!(renewed.expires(), at(360), "six minutes from the login");
        assert_eq!(renewed.bound_cidrs().len(), 1);
        assert!(renewed.x509_svid().is_none());

        let x509 = now(r#"{"name":"a","token-period":"1d","token-spiffe-x509":{"ttl":"5m"}}"#);
        let with_x509 = refresh(&record, Owner::Role(&x509), "", 120).unwrap();
        assert_eq!(with_x509.x509_svid().unwrap().expires, at(420));
        assert!(with_x509.jwt_svid().is_none());
        assert!(refresh(&with_x509, Owner::Role(&before), "", 130).unwrap().x509_svid().is_none());

        // An end that was promised stays when the role drops it.
        let dropped = refresh(&renewed, Owner::Role(&before), "", 130).unwrap();
        assert_eq!(dropped.explicit_end(), Some(at(360)));

        let stopped = now(r#"{"name":"a","token-renewable":false}"#);
        assert_eq!(refresh(&record, Owner::Role(&stopped), "", 1), Err(Reason::NotRenewable));
    }

    #[test]
    fn bound_host_and_uses_stay() {
        let role = role(r#"{"name":"a","token-auto-bound-cidrs":"host","token-num-uses":3}"#);
        let renewed = refresh(&issue(&role), Owner::Role(&role), "", 1).unwrap();
        assert_eq!(renewed.bound_host(), Some([192, 0, 2, 1].into()));
        assert_eq!(renewed.uses_left(), Some(2), "the refresh itself was a use");
    }

    #[test]
    fn a_user_keeps_what_the_login_gave() {
        let mut user = TokenParameters::for_user(name("default"), "joe", vec![name("b")]);
        user.ttl = Some(duration("10m"));
        let (_, record) = TokenRecord::issue(user, &Limits::default(), &pepper(), &mut rng(1), at(0));
        let renewed = refresh(&record, Owner::User, "", 300).unwrap();
        assert_eq!(renewed.expires(), at(900));
        assert_eq!(renewed.policies(), [name("b")]);
        assert_eq!(refresh(&record, Owner::Gone, "", 300), Err(Reason::Disabled));
    }
}

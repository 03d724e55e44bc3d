//! The AppRole login, decided from one role and one record.

use core::fmt;
use std::net::IpAddr;

use subtle::ConstantTimeEq as _;
use time::OffsetDateTime;

use crate::token::TokenParameters;
use crate::{Accessor, Pepper, Reason, Role, RoleId, SecretIdRecord, StorageKey, address};

/// What a caller presented, reduced to what is needed to look it up.
///
/// Anything can be presented: text that is no role-id has a key as well, under which nothing is ever
/// stored, so that it costs the caller and the store the same as any other wrong login.
pub struct Attempt {
    role_id: Option<RoleId>,
    role_key: StorageKey,
    key: StorageKey,
    one_value: bool,
}

impl Attempt {
    /// Hashes what was presented.
    #[must_use]
    pub fn new(role_id: &str, secret_id: &str, pepper: &Pepper) -> Self {
        let parsed = role_id.parse::<RoleId>().ok();
        Self {
            role_key: pepper.role_key_of(parsed.as_ref()),
            key: pepper.secret_id_key(parsed.as_ref(), secret_id),
            one_value: role_id.as_bytes().ct_eq(secret_id.as_bytes()).into(),
            role_id: parsed,
        }
    }

    /// The role-id, when what was presented can be one.
    #[must_use]
    pub fn role_id(&self) -> Option<&RoleId> {
        self.role_id.as_ref()
    }

    /// The key of the one [`SecretIdRecord`] to look up.
    #[must_use]
    pub fn key(&self) -> &StorageKey {
        &self.key
    }

    /// The key of the role's index entry, see [`Pepper::role_key`].
    #[must_use]
    pub fn role_key(&self) -> &StorageKey {
        &self.role_key
    }
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Attempt(..)")
    }
}

/// What a login comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a login is granted only when its record is committed"]
pub enum LoginDecision {
    /// The login is good, provided that [`Grant::record`] is committed against the revision that the
    /// record was read at. When that conflicts, read the record again and decide again: of any number
    /// of logins on the last use, one commits.
    Granted(Box<Grant>),
    /// The login is refused. The caller is told [`crate::LOGIN_REFUSED`] and nothing else.
    Refused(Reason),
}

/// A good login.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Grant {
    /// What to issue a token with.
    pub parameters: TokenParameters,
    /// What to do with the secret-id's record, in the commit that stores the token.
    pub record: RecordChange<SecretIdRecord>,
    /// The secret-id that logged in, for the audit log; `None` where the role-id was the secret.
    pub secret_id: Option<Accessor>,
}

/// What to do with a record that was used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordChange<T> {
    /// Nothing: it is not counted.
    Keep,
    /// Replace it, guarded by the revision that it was read at.
    Update(T),
}

/// Decides a login.
///
/// `role` is the role with the presented role-id ([`Attempt::role_key`]), or the one that the record
/// names. `record` is what is stored under [`Attempt::key`]. `source` is the address of the caller
/// as the trusted proxies have it.
///
/// Every check is made for every attempt, and the order of the reasons is fixed: unknown role, wrong
/// secret, used up, expired, wrong address.
///
/// ```
/// # use keyward_approle::{login, Attempt, LoginDecision, Pepper, Reason, LOGIN_REFUSED};
/// # let pepper = Pepper::from_bytes(&[7; 32]);
/// # let now = time::OffsetDateTime::UNIX_EPOCH;
/// let attempt = Attempt::new("payments", "guessed", &pepper);
/// // … look up attempt.role_key() and attempt.key(), find nothing …
/// let decision = login(&attempt, None, None, [192, 0, 2, 1].into(), now);
/// assert_eq!(decision, LoginDecision::Refused(Reason::UnknownRole)); // for the audit log
/// assert_eq!(LOGIN_REFUSED, "invalid role-id or secret-id"); // for the caller
/// ```
pub fn login(
    attempt: &Attempt,
    role: Option<&Role>,
    record: Option<&SecretIdRecord>,
    source: IpAddr,
    now: OffsetDateTime,
) -> LoginDecision {
    let role = role.filter(|role| attempt.role_id.as_ref() == Some(role.role_id()));
    let record =
        record.filter(|record| (*record.key() == attempt.key) & role.is_some_and(|role| record.belongs_to(role)));
    let weak = attempt.one_value & role.is_some_and(|role| role.config().weak_secret_id);
    let used_up = record.is_some_and(SecretIdRecord::is_used_up);
    let expired = record.is_some_and(|record| record.is_expired(now));
    let wrong_address = !(role.is_some_and(|role| address::allowed(&role.config().secret_id_bound_cidrs, source))
        & record.is_none_or(|record| address::allowed(record.bound_cidrs(), source)));

    let Some(role) = role else {
        return LoginDecision::Refused(Reason::UnknownRole);
    };
    if record.is_none() && !weak {
        return LoginDecision::Refused(Reason::WrongSecret);
    }
    for (fails, reason) in
        [(used_up, Reason::UsedUp), (expired, Reason::Expired), (wrong_address, Reason::WrongAddress)]
    {
        if fails {
            return LoginDecision::Refused(reason);
        }
    }
    let used = record.and_then(|record| record.used_once(now));
    let mut parameters = TokenParameters::for_role(role, source);
    if let Some(record) = record {
        parameters.metadata.clone_from(record.metadata());
        parameters.own_cidrs = record.token_bound_cidrs().to_vec();
    }
    LoginDecision::Granted(Box::new(Grant {
        parameters,
        record: used.map_or(RecordChange::Keep, RecordChange::Update),
        secret_id: record.map(SecretIdRecord::accessor),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{at, pepper, rng, role};

    const HOME: &str = "192.0.2.1";

    struct Case {
        role: Role,
        secret: String,
        record: SecretIdRecord,
    }

    fn case(role_json: &str, request: &str) -> Case {
        let role = role(role_json);
        let request = serde_json::from_str(request).unwrap();
        let (secret, record) = SecretIdRecord::issue(&role, request, &pepper(), &mut rng(5), at(0)).unwrap();
        Case { role, secret: secret.expose().to_owned(), record }
    }

    impl Case {
        /// As a store would answer: the role by its role-id, the record by its key.
        fn login(&self, role_id: &str, secret: &str, source: &str, now: i64) -> LoginDecision {
            let attempt = Attempt::new(role_id, secret, &pepper());
            let role = (attempt.role_key() == &pepper().role_key(self.role.role_id())).then_some(&self.role);
            let record = (attempt.key() == self.record.key()).then_some(&self.record);
            login(&attempt, role, record, source.parse().unwrap(), at(now))
        }

        fn right(&self, source: &str, now: i64) -> LoginDecision {
            self.login(self.role.role_id().as_str(), &self.secret, source, now)
        }
    }

    fn granted(decision: LoginDecision) -> Grant {
        match decision {
            LoginDecision::Granted(grant) => *grant,
            LoginDecision::Refused(reason) => panic!("refused: {reason}"),
        }
    }

    fn reason(decision: LoginDecision) -> Reason {
        match decision {
            LoginDecision::Granted(_) => panic!("granted"),
            LoginDecision::Refused(reason) => reason,
        }
    }

    #[test]
    fn a_good_login_leaves_an_uncounted_record_alone() {
        let case = case(r#"{"name":"a"}"#, "{}");
        let grant = granted(case.right(HOME, 1));
        assert_eq!(grant.record, RecordChange::Keep);
        assert_eq!(grant.secret_id, Some(case.record.accessor()));
        assert_eq!(grant.parameters.subject.to_string(), "approle/a");
    }

    #[test]
    fn every_reason_is_told_apart() {
        let case = case(
            r#"{"name":"a","secret-id-bound-cidrs":["192.0.2.0/24"]}"#,
            r#"{"ttl":"1h","num-uses":1,"bound-cidrs":["192.0.2.0/28"]}"#,
        );
        let role_id = case.role.role_id().as_str().to_owned();
        assert_eq!(reason(case.login("nobody", &case.secret, HOME, 1)), Reason::UnknownRole);
        assert_eq!(reason(case.login("no\0body", &case.secret, HOME, 1)), Reason::UnknownRole);
        assert_eq!(reason(case.login("", "", HOME, 1)), Reason::UnknownRole);
        assert_eq!(reason(case.login(&role_id, "guess", HOME, 1)), Reason::WrongSecret);
        assert_eq!(reason(case.login(&role_id, "", HOME, 1)), Reason::WrongSecret);
        assert_eq!(reason(case.right(HOME, 3600)), Reason::Expired);
        assert_eq!(reason(case.right("192.0.2.200", 1)), Reason::WrongAddress, "the secret-id's");
        assert_eq!(reason(case.right("198.51.100.1", 1)), Reason::WrongAddress, "the role's");
        assert_eq!(reason(case.right("2001:db8::1", 1)), Reason::WrongAddress);

        let grant = granted(case.right("::ffff:192.0.2.1", 3599));
        let RecordChange::Update(used) = grant.record else { panic!("not counted") };
        assert_eq!(used.uses_left(), Some(0));
        let case = Case { record: used, ..case };
        assert_eq!(reason(case.right(HOME, 2)), Reason::UsedUp);
        assert_eq!(reason(case.right(HOME, 3601)), Reason::UsedUp, "also when expired since");
    }

    #[test]
    fn a_refused_login_takes_no_use() {
        // Only a grant carries a changed record: the type says so, and a wrong address is refused.
        let case = case(r#"{"name":"a"}"#, r#"{"num-uses":1,"bound-cidrs":["10.0.0.0/8"]}"#);
        assert_eq!(reason(case.right(HOME, 1)), Reason::WrongAddress);
        assert!(matches!(granted(case.right("10.1.2.3", 1)).record, RecordChange::Update(_)));
    }

    #[test]
    fn a_record_of_another_role_or_of_an_earlier_one_is_no_secret_of_this_one() {
        let json = r#"{"name":"a","fixed-role-id":"same-role-id"}"#;
        let old = case(json, "{}");
        let config = serde_json::from_str(json).unwrap();
        let again = Role::create(old.role.tenant().clone(), config, &mut rng(1000)).unwrap();
        let case = Case { role: again, ..old };
        assert_eq!(reason(case.right(HOME, 1)), Reason::WrongSecret);
    }

    #[test]
    fn what_the_caller_passes_is_not_believed() {
        // A store that answers with the wrong role or record grants nothing.
        let one = case(r#"{"name":"a"}"#, "{}");
        let other =
            Role::create(one.role.tenant().clone(), serde_json::from_str(r#"{"name":"b"}"#).unwrap(), &mut rng(77))
                .unwrap();
        let attempt = Attempt::new(one.role.role_id().as_str(), &one.secret, &pepper());
        let source = HOME.parse().unwrap();
        let decision = login(&attempt, Some(&other), Some(&one.record), source, at(1));
        assert_eq!(reason(decision), Reason::UnknownRole);
        let attempt = Attempt::new(one.role.role_id().as_str(), "guess", &pepper());
        let decision = login(&attempt, Some(&one.role), Some(&one.record), source, at(1));
        assert_eq!(reason(decision), Reason::WrongSecret);
    }

    #[test]
    fn one_value_for_both_where_the_role_has_it_so() {
        let weak = case(r#"{"name":"a","weak-secret-id":true,"secret-id-bound-cidrs":["192.0.2.0/24"]}"#, "{}");
        let role_id = weak.role.role_id().as_str().to_owned();
        let grant = granted(weak.login(&role_id, &role_id, HOME, 1));
        assert_eq!((grant.record, grant.secret_id), (RecordChange::Keep, None));
        assert_eq!(reason(weak.login(&role_id, &role_id, "10.0.0.1", 1)), Reason::WrongAddress);
        assert_eq!(reason(weak.login(&role_id, "guess", HOME, 1)), Reason::WrongSecret);
        granted(weak.right(HOME, 1));

        let usual = case(r#"{"name":"a"}"#, "{}");
        let role_id = usual.role.role_id().as_str().to_owned();
        assert_eq!(reason(usual.login(&role_id, &role_id, HOME, 1)), Reason::WrongSecret);
        assert_eq!(reason(usual.login(&usual.secret, &usual.secret, HOME, 1)), Reason::UnknownRole);
    }

    #[test]
    fn debug_shows_nothing_that_was_presented() {
        let attempt = Attempt::new("role-id-1", "secret-id-1", &pepper());
        assert_eq!(format!("{attempt:?}"), "Attempt(..)");
    }
}

//! Whether a presented token is good.

use std::net::IpAddr;

use keyward_config_values::Name;
use time::OffsetDateTime;

use super::{Subject, TokenRecord};
use crate::login::RecordChange;
use crate::{Reason, StorageKey, address};

/// A token that was presented and found good. [`check`] is its only maker.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a counted use has to be committed"]
pub struct Authenticated {
    record: TokenRecord,
    counted: bool,
}

/// Checks the token that was presented under `key` ([`crate::Pepper::token_key`]).
///
/// `record` is what is stored under that key, `source` the address of the caller as the trusted
/// proxies have it. A token with counted uses loses one: commit [`Authenticated::change`] before
/// acting.
///
/// # Errors
///
/// `UnknownToken`, `UsedUp`, `Expired` or `WrongAddress`, in this order. They are for the audit log;
/// the caller is told [`crate::TOKEN_REFUSED`].
pub fn check(
    key: &StorageKey,
    record: Option<&TokenRecord>,
    source: IpAddr,
    now: OffsetDateTime,
) -> Result<Authenticated, Reason> {
    let record = record.filter(|record| record.key() == key).ok_or(Reason::UnknownToken)?;
    if record.uses_left() == Some(0) {
        return Err(Reason::UsedUp);
    }
    if now >= record.expires() {
        return Err(Reason::Expired);
    }
    if !address::allowed(record.bound_cidrs(), source)
        || record.bound_host().is_some_and(|host| host != source.to_canonical())
    {
        return Err(Reason::WrongAddress);
    }
    Ok(Authenticated { record: record.used_once(), counted: record.uses_left().is_some() })
}

impl Authenticated {
    /// The token's record, this use taken off.
    #[must_use]
    pub fn record(&self) -> &TokenRecord {
        &self.record
    }

    /// What to do with the stored record: a counted use is written, guarded by the revision that the
    /// record was read at.
    #[must_use]
    pub fn change(&self) -> RecordChange<&TokenRecord> {
        if self.counted { RecordChange::Update(&self.record) } else { RecordChange::Keep }
    }

    /// The tenant that the token belongs to.
    #[must_use]
    pub fn tenant(&self) -> &Name {
        self.record.tenant()
    }

    /// Who the token was issued to.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        self.record.subject()
    }

    /// Names of the token's policies.
    #[must_use]
    pub fn policies(&self) -> &[Name] {
        self.record.policies()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{at, pepper, rng, role};
    use crate::{Limits, TokenParameters};

    fn issue(json: &str) -> TokenRecord {
        let parameters = TokenParameters::for_role(&role(json), [192, 0, 2, 1].into());
        TokenRecord::issue(parameters, &Limits::default(), &pepper(), &mut rng(1), at(0)).1
    }

    fn try_it(record: &TokenRecord, source: &str, now: i64) -> Result<Authenticated, Reason> {
        check(record.key(), Some(record), source.parse().unwrap(), at(now))
    }

    #[test]
    fn good_until_the_second_it_expires() {
        let record = issue(r#"{"name":"a","token-ttl":"1m"}"#);
        let good = try_it(&record, "2001:db8::1", 59).unwrap();
        assert_eq!(good.change(), RecordChange::Keep);
        assert_eq!(good.record(), &record);
        assert_eq!(good.subject().to_string(), "approle/a");
        assert_eq!(good.tenant().as_str(), "default");
        assert_eq!(good.policies().len(), 1);
        assert_eq!(try_it(&record, "2001:db8::1", 60), Err(Reason::Expired));
    }

    #[test]
    fn unknown_or_found_under_another_key() {
        let record = issue(r#"{"name":"a"}"#);
        let other = pepper().token_key("kw.guess");
        let source = [192, 0, 2, 1].into();
        assert_eq!(check(&other, None, source, at(1)), Err(Reason::UnknownToken));
        assert_eq!(check(&other, Some(&record), source, at(1)), Err(Reason::UnknownToken));
    }

    #[test]
    fn uses_are_counted() {
        let record = issue(r#"{"name":"a","token-num-uses":2}"#);
        let once = try_it(&record, "192.0.2.1", 1).unwrap();
        let RecordChange::Update(record) = once.change() else { panic!("not counted") };
        assert_eq!(record.uses_left(), Some(1));
        let twice = try_it(record, "192.0.2.1", 1).unwrap();
        assert_eq!(twice.record().uses_left(), Some(0));
        assert_eq!(try_it(twice.record(), "192.0.2.1", 1), Err(Reason::UsedUp));
    }

    #[test]
    fn bound_to_ranges_and_to_the_host() {
        let record = issue(r#"{"name":"a","token-bound-cidrs":["192.0.2.0/24","2001:db8::/32"]}"#);
        assert!(try_it(&record, "192.0.2.99", 1).is_ok());
        assert!(try_it(&record, "::ffff:192.0.2.99", 1).is_ok());
        assert!(try_it(&record, "2001:db8::5", 1).is_ok());
        assert_eq!(try_it(&record, "198.51.100.1", 1), Err(Reason::WrongAddress));

        let record = issue(r#"{"name":"a","token-auto-bound-cidrs":"host"}"#);
        assert!(try_it(&record, "192.0.2.1", 1).is_ok());
        assert!(try_it(&record, "::ffff:192.0.2.1", 1).is_ok());
        assert_eq!(try_it(&record, "192.0.2.2", 1), Err(Reason::WrongAddress));

        let both = issue(r#"{"name":"a","token-auto-bound-cidrs":"host","token-bound-cidrs":["10.0.0.0/8"]}"#);
        assert_eq!(try_it(&both, "192.0.2.1", 1), Err(Reason::WrongAddress));
        assert_eq!(try_it(&both, "10.0.0.1", 1), Err(Reason::WrongAddress));
    }
}

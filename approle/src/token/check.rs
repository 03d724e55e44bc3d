//! Whether a presented token is good.

use std::net::IpAddr;

use keyward_config_values::Name;
use time::OffsetDateTime;

use super::{Subject, TokenRecord};
use crate::login::RecordChange;
use crate::{ADMINISTRATOR_POLICY, Reason, StorageKey, address};

/// A token that was presented and found good. [`check`] is its only maker.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a counted use has to be committed"]
pub struct Authenticated {
    /// As it is to be stored.
    record: TokenRecord,
    /// What its ancestors leave of it.
    narrowed: Option<Box<TokenRecord>>,
    /// When the first of its ancestors ends.
    end: Option<OffsetDateTime>,
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
/// `UnknownToken`, `UsedUp`, `Expired`, (for a token that was made from another, see [`check_child`])
/// `ParentEnded`, or `WrongAddress`, in this order. They are for the audit log; the caller is told
/// [`crate::TOKEN_REFUSED`].
pub fn check(
    key: &StorageKey,
    record: Option<&TokenRecord>,
    source: IpAddr,
    now: OffsetDateTime,
) -> Result<Authenticated, Reason> {
    check_child(key, record, &[], source, now)
}

/// As [`check`], for a token that may have been made from another one.
///
/// `ancestors` is what is stored under the keys of [`TokenRecord::ancestors`], in their order. The token
/// is good as long as every one of them is, from an address that every one of them can be used from; it
/// has those of its policies that every one of them has by now, and expires no later than they do. So
/// deleting one record ends everything that was ever made from it, at once and without a list.
///
/// # Errors
///
/// Those of [`check`]. `ParentEnded` when an ancestor is missing, is another one or has expired.
pub fn check_child(
    key: &StorageKey,
    record: Option<&TokenRecord>,
    ancestors: &[Option<&TokenRecord>],
    source: IpAddr,
    now: OffsetDateTime,
) -> Result<Authenticated, Reason> {
    let record = record.filter(|record| record.key() == key).ok_or(Reason::UnknownToken)?;
    let mut token = alive(record, ancestors, now)?;
    let lines = ancestors.iter().copied().flatten().chain([record]);
    if !lines.into_iter().all(|record| usable_from(record, source)) {
        return Err(Reason::WrongAddress);
    }
    token.counted = record.uses_left().is_some();
    token.record = token.record.used_once();
    token.narrowed = token.narrowed.map(|narrowed| Box::new(narrowed.used_once()));
    Ok(token)
}

/// The token of a record that was found by its accessor, for whoever may look up and refresh the tokens of
/// others: no use of it is taken off, and it does not matter where they are. `ancestors` as for
/// [`check_child`].
///
/// # Errors
///
/// `UsedUp`, `Expired` or `ParentEnded`.
pub fn check_found(
    record: &TokenRecord,
    ancestors: &[Option<&TokenRecord>],
    now: OffsetDateTime,
) -> Result<Authenticated, Reason> {
    alive(record, ancestors, now)
}

/// That it has not ended, and what its ancestors leave of it.
fn alive(
    record: &TokenRecord,
    ancestors: &[Option<&TokenRecord>],
    now: OffsetDateTime,
) -> Result<Authenticated, Reason> {
    if record.uses_left() == Some(0) {
        return Err(Reason::UsedUp);
    }
    if now >= record.expires() {
        return Err(Reason::Expired);
    }
    if record.ancestors().len() != ancestors.len() {
        return Err(Reason::ParentEnded);
    }
    let (mut narrowed, mut end) = (None, None);
    for (key, ancestor) in record.ancestors().iter().zip(ancestors) {
        let ancestor = ancestor.filter(|ancestor| ancestor.key() == key).ok_or(Reason::ParentEnded)?;
        if now >= ancestor.expires() || ancestor.uses_left() == Some(0) {
            return Err(Reason::ParentEnded);
        }
        let so_far = narrowed.take().unwrap_or_else(|| record.clone());
        let so_far = so_far.keeping(|policy| may_give(ancestor.policies(), policy));
        narrowed = Some(so_far.ending(Some(ancestor.expires())));
        end = Some(end.map_or(ancestor.expires(), |end: OffsetDateTime| end.min(ancestor.expires())));
    }
    Ok(Authenticated { record: record.clone(), narrowed: narrowed.map(Box::new), end, counted: false })
}

fn usable_from(record: &TokenRecord, source: IpAddr) -> bool {
    address::allowed(record.bound_cidrs(), source)
        && address::allowed(record.own_cidrs(), source)
        && record.bound_host().is_none_or(|host| host == source.to_canonical())
}

/// Whether who has the policies `held` can give another token the policy. An administrator can do all
/// that any policy of the tenant allows.
pub(super) fn may_give(held: &[Name], policy: &Name) -> bool {
    held.contains(policy) || is_administrator(held)
}

/// Whether these are the policies of an administrator.
pub(super) fn is_administrator(held: &[Name]) -> bool {
    held.iter().any(|held| held.as_str() == ADMINISTRATOR_POLICY)
}

impl Authenticated {
    /// The token's record, this use taken off; of one that was made from another token, what its
    /// ancestors leave of it.
    #[must_use]
    pub fn record(&self) -> &TokenRecord {
        self.narrowed.as_deref().unwrap_or(&self.record)
    }

    /// The moment that the first of its ancestors ends, if it has any.
    pub(super) fn ancestors_end(&self) -> Option<OffsetDateTime> {
        self.end
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
        self.record().policies()
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

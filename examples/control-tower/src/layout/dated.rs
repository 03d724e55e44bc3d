//! Keys that hold a time, so that a range reads what they stand for in its order.

use keyward_config_values::Name;
use time::OffsetDateTime;

use super::TENANT_DATA;

/// There with [`RESTORED`](super::RESTORED), and with the time by which all was issued that the backup knows: [`restored_of`].
pub const RESTORED_OF: &str = "meta/restored-of/";
/// Of all keys that are to be removed at a time.
pub const EXPIRY: &str = "expiry/";
/// Of all rings that are to be looked at at a time.
pub const DUE: &str = "due/";

/// Says by when all was issued that is in a store which was brought back. It is read before there are keys to open anything.
pub fn restored_of(at: OffsetDateTime) -> String {
    format!("{RESTORED_OF}{:016x}", at.unix_timestamp().max(0))
}

/// The time of [`restored_of`].
pub fn parse_restored_of(key: &str) -> Option<OffsetDateTime> {
    let seconds = i64::from_str_radix(key.strip_prefix(RESTORED_OF)?, 16).ok()?;
    OffsetDateTime::from_unix_timestamp(seconds).ok()
}

/// Say that what stands at a `place` of a tenant is to be looked at at a time: for everybody, ordered by the time, and among what
/// the tenant has.
pub fn due(tenant: &Name, place: &str, at: OffsetDateTime) -> [String; 2] {
    let entry = format!("{:016x}/{place}", at.unix_timestamp().max(0));
    [format!("{DUE}{entry}"), format!("{}{entry}", dues(tenant))]
}

/// Of what a tenant has that is to be looked at at a time.
pub fn dues(tenant: &Name) -> String {
    format!("t/{tenant}/due/")
}

/// The time, the tenant and the place of a [`due`] entry.
pub fn parse_due(entry: &str) -> Option<(OffsetDateTime, Name, &str)> {
    let (at, place) = timed(entry.strip_prefix(DUE)?)?;
    let (tenant, _) = place.strip_prefix(TENANT_DATA)?.split_once('/')?;
    Some((at, tenant.parse().ok()?, place))
}

/// Says that `key` is to be removed at a time; ordered by it.
pub fn expiry(at: OffsetDateTime, key: &str) -> String {
    format!("{EXPIRY}{:016x}/{key}", at.unix_timestamp().max(0))
}

/// The time and key of an [`expiry`] entry.
pub fn parse_expiry(entry: &str) -> Option<(OffsetDateTime, &str)> {
    timed(entry.strip_prefix(EXPIRY)?)
}

fn timed(entry: &str) -> Option<(OffsetDateTime, &str)> {
    let (seconds, key) = entry.split_once('/')?;
    let at = OffsetDateTime::from_unix_timestamp(i64::from_str_radix(seconds, 16).ok()?).ok()?;
    Some((at, key))
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;
    use crate::layout::{everything, ring};

    #[test]
    fn expiry_keys_are_ordered_by_time_and_read_back() {
        let (early, late) = (datetime!(2026-03-01 00:00 UTC), datetime!(2126-03-01 00:00 UTC));
        assert!(expiry(early, "z") < expiry(late, "a"));
        assert_eq!(parse_expiry(&expiry(late, "token/ab/c")), Some((late, "token/ab/c")));
        assert_eq!(parse_expiry("expiry/x/y"), None);

        let tenant: Name = "01234567-89ab-4def-8123-456789abcdef".parse().unwrap();
        let [due, of_tenant] = due(&tenant, &ring(&tenant, "a"), late);
        assert_eq!(parse_due(&due), Some((late, tenant.clone(), &*ring(&tenant, "a"))));
        assert!(of_tenant.starts_with(&everything(&tenant)) && of_tenant.ends_with(due.strip_prefix(DUE).unwrap()));
    }
}

//! When to look at key rings and authorities again: an entry for each, in the order of time, so that what is due is found without
//! reading what is not.
//!
//! Whatever changes one leaves an entry for its next deadline. An entry that was overtaken by a later change is found to be early,
//! and leaves the next one.

use keyward_config_values::Name;
use time::OffsetDateTime;

use crate::{
    layout,
    store::{Entry, Store, StoreError, Write},
};

/// Says that what stands at a place of a tenant is to be looked at at a time.
pub fn entry(tenant: &Name, place: &str, at: OffsetDateTime) -> [Write; 2] {
    layout::due(tenant, place, at).map(|key| Write::Put(key, Vec::new()))
}

/// Takes it back.
pub fn without(tenant: &Name, place: &str, at: OffsetDateTime) -> [Write; 2] {
    layout::due(tenant, place, at).map(Write::Delete)
}

/// What is due first by now, behind an entry.
///
/// # Errors
/// Those of the store.
pub async fn first(store: &dyn Store, after: Option<&str>, now: OffsetDateTime) -> Result<Option<Entry>, StoreError> {
    let first = store.range(layout::DUE, after, 1, None).await?.pop();
    Ok(first.filter(|entry| layout::parse_due(&entry.key).is_none_or(|(at, ..)| at <= now)))
}

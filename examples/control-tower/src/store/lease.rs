//! Leases: a key that says who works until when, taken by a guarded put. The key's revision is the proof of holding it.

use time::{Duration, OffsetDateTime};

use super::{Guard, Outcome, Revision, Store, StoreError, Write};

/// A lease that was taken; lost at [`expires`](Self::expires) unless renewed.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub struct Lease {
    name: String,
    revision: Revision,
    expires: OffsetDateTime,
}

impl Lease {
    /// When others may take it.
    #[must_use]
    pub fn expires(&self) -> OffsetDateTime {
        self.expires
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

fn key(name: &str) -> String {
    format!("{}{name}", crate::layout::LEASES)
}

/// The end of a stored lease; one that cannot be read is over.
fn end(value: &[u8]) -> Option<OffsetDateTime> {
    let seconds = std::str::from_utf8(value).ok()?.parse().ok()?;
    OffsetDateTime::from_unix_timestamp(seconds).ok()
}

async fn put<S: Store + ?Sized>(
    store: &S,
    name: &str,
    guard: Guard,
    ttl: Duration,
    now: OffsetDateTime,
) -> Result<Option<Lease>, StoreError> {
    // Whole seconds, as they are stored.
    let expires = now.saturating_add(ttl);
    let value = expires.unix_timestamp().to_string().into_bytes();
    match store.commit(vec![guard], vec![Write::Put(key(name), value)]).await? {
        Outcome::Committed(revision) => Ok(Some(Lease { name: name.to_owned(), revision, expires })),
        // Unknown: perhaps taken by us, but nobody can prove it; it runs out by itself.
        Outcome::Conflict { .. } | Outcome::Unknown => Ok(None),
    }
}

pub(super) async fn take<S: Store + ?Sized>(
    store: &S,
    name: &str,
    ttl: Duration,
    now: OffsetDateTime,
) -> Result<Option<Lease>, StoreError> {
    let key = key(name);
    let held = store.get(&key).await?;
    if held.as_ref().and_then(|entry| end(&entry.value)).is_some_and(|end| now < end) {
        return Ok(None);
    }
    put(store, name, Guard::seen(&key, held.as_ref()), ttl, now).await
}

pub(super) async fn renew<S: Store + ?Sized>(
    store: &S,
    lease: Lease,
    ttl: Duration,
    now: OffsetDateTime,
) -> Result<Option<Lease>, StoreError> {
    put(store, &lease.name, Guard::At(key(&lease.name), lease.revision), ttl, now).await
}

pub(super) async fn release<S: Store + ?Sized>(store: &S, lease: Lease) -> Result<(), StoreError> {
    let key = key(&lease.name);
    let _lost_meanwhile = store.commit(vec![Guard::At(key.clone(), lease.revision)], vec![Write::Delete(key)]).await?;
    Ok(())
}

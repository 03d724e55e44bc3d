//! Hosts that waited and had to make room for others. A certificate that they came with may be used up, and the agent has removed its
//! key: so it is remembered whom it had let in, by host-id and key, and such a host comes back by itself for as long as the
//! certificate would let it in.
//!
//! So are hosts that waited for a site alone when that was deleted: they are told so, and come back when there is one of that name again.
//!
//! What is remembered ends with the record of the certificate, so that such a host is told that it expired, and when an operator releases or
//! removes the host. It is bounded whoever calls: there are [`TOGETHER`] for each start of a hash at most, and the earliest one is forgotten
//! for the next.

use std::sync::Arc;

use keyward_callhome_cert::{Entry, HostHash, HostRecord};

use super::{certificates, sites};
use crate::{
    app::App,
    db::Stored,
    http::error::Answer,
    layout,
    store::{Scan, Write},
};

/// How many hexadecimal digits of a hash are its start: there are 4096 of them.
const DIGITS: usize = 3;
/// How many hosts with one start are remembered: of 65,536 in all.
const TOGETHER: usize = 16;

/// What is remembered of the host with this key, or of the one that was here last.
pub(super) async fn of(app: &App, host: &HostHash, key: Option<&str>) -> Answer<Option<Stored<Arc<HostRecord>>>> {
    let entries = app.db.store().range(&prefix(app, host), None, TOGETHER, None).await?;
    let mut found: Option<Stored<Arc<HostRecord>>> = None;
    for entry in entries {
        let stored = app.db.load(&entry.key, HostRecord::from_record).await?;
        let latest = found.as_ref().map_or(0, |found| found.revision);
        let is_it = |stored: &Stored<Arc<HostRecord>>| key.is_none_or(|key| stored.value.key() == key);
        found = stored.filter(|stored| is_it(stored) && stored.revision > latest).or(found);
    }
    Ok(found)
}

/// What remembers a host that makes room, if it came with a certificate.
pub(super) async fn remember(app: &App, record: &HostRecord) -> Answer<Vec<Write>> {
    let Some(serial) = record.certificate() else { return Ok(Vec::new()) };
    let Some(entry) = certificates::entry(app, serial).await? else { return Ok(Vec::new()) };
    let key = layout::displaced_host(&app.operators, record.host(), serial);
    let start = record.host().as_str().get(..DIGITS).unwrap_or_default();
    let together = layout::displaced_hosts(&app.operators, start);
    let mut others = app.db.store().range(&together, None, 2 * TOGETHER, None).await?;
    others.retain(|other| other.key != key);
    others.sort_by_key(|other| other.revision);
    let surplus = (others.len() + 1).saturating_sub(TOGETHER);
    let mut writes = Vec::new();
    for other in others.into_iter().take(surplus) {
        writes.extend(removal(app, other.key).await?);
    }
    writes.extend(app.put_until(key, &record.to_record()?, certificates::kept_until(&entry.value))?);
    Ok(writes)
}

/// What forgets one, with the entry for the end of its certificate: that would outlive it, and there could be any number of them.
pub(super) async fn removal(app: &App, key: String) -> Answer<Vec<Write>> {
    let serial = key.rsplit('/').next().unwrap_or_default();
    let entry = certificates::entry(app, serial).await?;
    let expiry = entry.map(|entry| Write::Delete(layout::expiry(certificates::kept_until(&entry.value), &key)));
    Ok(expiry.into_iter().chain([Write::Delete(key)]).collect())
}

/// What forgets whoever had a host-id.
pub(super) async fn forget(app: &App, host: &HostHash) -> Answer<Vec<Write>> {
    let prefix = prefix(app, host);
    let mut writes = Vec::new();
    for name in Scan::new(&**app.db.store(), &prefix).names().await? {
        writes.extend(removal(app, format!("{prefix}{name}")).await?);
    }
    Ok(writes)
}

/// Some of those whose certificates would let them come back, at most so many, the one that was seen last first.
///
/// # Errors
/// Those of the store.
pub(super) async fn some(app: &App, most: usize) -> Answer<Vec<Arc<HostRecord>>> {
    let now = app.clock.now();
    let mut found = Vec::new();
    for entry in app.db.store().range(&layout::displaced_hosts(&app.operators, ""), None, most, None).await? {
        let Some(stored) = app.db.load(&entry.key, HostRecord::from_record).await? else { continue };
        let certificate = match stored.value.certificate() {
            Some(serial) => certificates::entry(app, serial).await?,
            None => None,
        };
        let counts = |entry: &Stored<Arc<Entry>>| entry.value.expires() >= now && entry.value.revoked().is_none();
        let is_site_there = match stored.value.bound_site() {
            Some(site) => sites::standing(app, site).await?.is_there,
            None => true,
        };
        found.extend(certificate.filter(counts).filter(|_| is_site_there).map(|_| stored.value));
    }
    found.sort_by_key(|host| std::cmp::Reverse(host.last_seen()));
    Ok(found)
}

fn prefix(app: &App, host: &HostHash) -> String {
    layout::displaced_host(&app.operators, host, "")
}

//! Hosts that called home, as operators see them: claimed, released, removed.

use std::sync::Arc;

use keyward_callhome_cert::{HostHash, HostRecord, HostState};
use keyward_config_values::Name;
use keyward_spiffe_id::SpiffeId;
use serde::Serialize;
use time::OffsetDateTime;

use super::{
    displaced,
    ring::{Kept, Occupant, Places, occupant},
    sites,
};
use crate::{
    app::{App, Commit},
    db::Stored,
    http::{
        caller::Caller,
        error::{Answer, ApiError},
    },
    layout, moment,
    store::{Entry, Guard, Scan, Write, snapshot},
};

/// How often a change is decided again because the host called meanwhile.
const TRIES: usize = 64;

/// How many hosts are shown that had to make room.
const DISPLACED: usize = 100;

/// A host as it is shown.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Shown {
    /// The hash of its host-id, by which it is named.
    pub id: HostHash,
    /// `unclaimed`, `claimed` or `removed`; `duplicate` or `displaced` of those that are not on record.
    pub state: &'static str,
    /// Its site.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site: Option<Name>,
    /// What it calls itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_name: Option<String>,
    /// The version of its agent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_version: Option<String>,
    /// From where it called last.
    pub address: String,
    /// The thumbprint of its key.
    pub key: String,
    /// The serial number of the certificate that it called home with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// The only site that it can be claimed for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bound_site: Option<Name>,
    /// The ID that it was given last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spiffe_id: Option<SpiffeId>,
    /// The end of the SVID that it was given last.
    #[serde(serialize_with = "moment::serialize_some", skip_serializing_if = "Option::is_none")]
    pub expires: Option<OffsetDateTime>,
    /// When it called first.
    #[serde(serialize_with = "moment::serialize")]
    pub first_seen: OffsetDateTime,
    /// When it called last.
    #[serde(serialize_with = "moment::serialize")]
    pub last_seen: OffsetDateTime,
}

impl Shown {
    /// A record.
    pub fn new(record: &HostRecord) -> Self {
        let (state, site) = match record.state() {
            HostState::Unclaimed => ("unclaimed", None),
            HostState::Claimed { site } => ("claimed", Some(site.clone())),
            _ => ("removed", None),
        };
        Self {
            id: record.host().clone(),
            state,
            site,
            host_name: record.host_name().map(ToString::to_string),
            agent_version: record.agent_version().map(ToString::to_string),
            address: record.address().to_string(),
            key: record.key().to_owned(),
            certificate: record.certificate().map(str::to_owned),
            bound_site: record.bound_site().cloned(),
            spiffe_id: record.identity().map(|identity| identity.spiffe_id.clone()),
            expires: record.identity().map(|identity| identity.expires),
            first_seen: record.first_seen(),
            last_seen: record.last_seen(),
        }
    }
}

/// The key of a place in a ring.
pub(super) fn place(prefix: &str, number: u32) -> String {
    format!("{prefix}{number:04}")
}

/// The places of a ring with what is in them.
async fn entries(app: &App, prefix: &str) -> Answer<Vec<(u32, Entry)>> {
    let (_, entries) = snapshot(&**app.db.store(), prefix).await?;
    let numbered = entries.into_iter();
    Ok(numbered.filter_map(|entry| Some((entry.key.strip_prefix(prefix)?.parse().ok()?, entry))).collect())
}

/// The hash in a place of the ring of unclaimed hosts.
async fn hash_in(app: &App, entry: Entry) -> Answer<HostHash> {
    let opened = app.db.open(entry).await?;
    let text = std::str::from_utf8(&opened.value).map_err(ApiError::internal)?;
    text.parse().map_err(ApiError::internal)
}

/// Who waits, by their places.
pub(super) async fn unclaimed_places(app: &App) -> Answer<Places> {
    let mut places = Vec::new();
    for (number, entry) in entries(app, &layout::unclaimed(&app.operators)).await? {
        let revision = entry.revision;
        let hash = hash_in(app, entry).await?;
        let record = waiting(app, &hash).await?;
        let found = match record {
            Some(stored) => occupant(&stored.value, revision, Some((stored.key, stored.revision))),
            // Nobody, and the first place to be taken.
            None => Occupant {
                host: hash,
                key: String::new(),
                last_seen: OffsetDateTime::UNIX_EPOCH,
                rest: Kept { revision, record: None },
            },
        };
        places.push((number, found));
    }
    Ok(Places::new(places))
}

/// What takes those out of the ring who wait for a site alone that is deleted: as if they had made room, so that they are told what
/// became of it when they call, and wait again if it is made again.
///
/// # Errors
/// Those of the store.
pub async fn site_goes(app: &App, site: &Name, guards: &mut Vec<Guard>, writes: &mut Vec<Write>) -> Answer<()> {
    let prefix = layout::unclaimed(&app.operators);
    for (number, entry) in entries(app, &prefix).await? {
        let at = Guard::At(place(&prefix, number), entry.revision);
        let Some(stored) = waiting(app, &hash_in(app, entry).await?).await? else { continue };
        if stored.value.bound_site() == Some(site) {
            guards.extend([at, stored.guard()]);
            writes.extend([Write::Delete(place(&prefix, number)), Write::Delete(stored.key.clone())]);
            writes.extend(displaced::remember(app, &stored.value).await?);
        }
    }
    Ok(())
}

/// The record of a host that waits.
async fn waiting(app: &App, hash: &HostHash) -> Answer<Option<Stored<Arc<HostRecord>>>> {
    let record = app.db.load(&layout::host(&app.operators, hash), HostRecord::from_record).await?;
    Ok(record.filter(|stored| *stored.value.state() == HostState::Unclaimed))
}

/// The duplicates, by their places.
pub(super) async fn duplicate_places(app: &App) -> Answer<Places> {
    let mut places = Vec::new();
    for (number, entry) in entries(app, &layout::duplicates(&app.operators)).await? {
        let (key, revision) = (entry.key, entry.revision);
        if let Some(stored) = app.db.load(&key, HostRecord::from_record).await? {
            places.push((number, occupant(&stored.value, revision.max(stored.revision), None)));
        }
    }
    Ok(Places::new(places))
}

/// What takes a host out of the ring of those that wait. Who waits has a place there: one that is not known of another tower gave it.
pub(super) async fn leave(
    app: &App,
    host: &HostHash,
    waits: bool,
    guards: &mut Vec<Guard>,
    writes: &mut Vec<Write>,
) -> Answer<()> {
    let (ring, look) = (&app.call_home.unclaimed, || unclaimed_places(app));
    let mut places = ring.places_of(host, look).await?;
    if waits && places.is_empty() {
        ring.forget();
        places = ring.places_of(host, look).await?;
    }
    empty(&layout::unclaimed(&app.operators), &places, guards, writes);
    Ok(())
}

/// What empties places that are as they were seen.
pub(super) fn empty(prefix: &str, places: &[(u32, Occupant)], guards: &mut Vec<Guard>, writes: &mut Vec<Write>) {
    for (number, occupant) in places {
        guards.push(Guard::At(place(prefix, *number), occupant.rest.revision));
        writes.push(Write::Delete(place(prefix, *number)));
    }
}

/// Those that wait, the one that was seen last first.
///
/// # Errors
/// Those of the store.
pub async fn unclaimed(app: &App) -> Answer<Vec<Shown>> {
    let mut shown = Vec::new();
    for (_, entry) in entries(app, &layout::unclaimed(&app.operators)).await? {
        let hash = hash_in(app, entry).await?;
        shown.extend(waiting(app, &hash).await?.map(|stored| Shown::new(&stored.value)));
    }
    shown.sort_by_key(|host| std::cmp::Reverse(host.last_seen));
    Ok(shown)
}

/// Those that have the host-id of another one, the one that was seen last first.
///
/// # Errors
/// Those of the store.
pub async fn duplicates(app: &App) -> Answer<Vec<Shown>> {
    let mut shown = Vec::new();
    for (_, entry) in entries(app, &layout::duplicates(&app.operators)).await? {
        let stored = app.db.load(&entry.key, HostRecord::from_record).await?;
        shown.extend(stored.map(|stored| Shown { state: "duplicate", ..Shown::new(&stored.value) }));
    }
    shown.sort_by_key(|host| std::cmp::Reverse(host.last_seen));
    Ok(shown)
}

/// Some of those that had to make room and come back by themselves.
///
/// # Errors
/// Those of the store.
pub async fn made_room(app: &App) -> Answer<Vec<Shown>> {
    let records = displaced::some(app, DISPLACED).await?;
    Ok(records.iter().map(|record| Shown { state: "displaced", ..Shown::new(record) }).collect())
}

/// Of all hosts, at most so many behind one; and whether there are more.
///
/// # Errors
/// Those of the store.
pub async fn page(app: &App, after: Option<&HostHash>, limit: usize) -> Answer<(Vec<Shown>, bool)> {
    let prefix = layout::hosts(&app.operators);
    let after = after.map(|hash| format!("{prefix}{hash}"));
    let entries = app.db.store().range(&prefix, after.as_deref(), limit + 1, None).await?;
    let more = entries.len() > limit;
    let mut shown = Vec::new();
    for entry in entries.into_iter().take(limit) {
        let stored = app.db.load(&entry.key, HostRecord::from_record).await?;
        shown.extend(stored.map(|stored| Shown::new(&stored.value)));
    }
    Ok((shown, more))
}

/// Whether a site has hosts.
///
/// # Errors
/// Those of the store.
pub async fn any_at(app: &App, site: &Name) -> Answer<bool> {
    let prefix = layout::hosts(&app.operators);
    let mut scan = Scan::new(&**app.db.store(), &prefix);
    while let Some(entries) = scan.next().await? {
        for entry in entries {
            let stored = app.db.load(&entry.key, HostRecord::from_record).await?;
            let at = |stored: &Stored<Arc<HostRecord>>| matches!(stored.value.state(), HostState::Claimed { site: at } if at == site);
            if stored.as_ref().is_some_and(at) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// The host with this hash.
///
/// # Errors
/// 404.
pub async fn host(app: &App, id: &str) -> Answer<Stored<Arc<HostRecord>>> {
    let hash: HostHash = id.parse().map_err(|_| missing(id))?;
    app.db.load(&layout::host(&app.operators, &hash), HostRecord::from_record).await?.ok_or_else(|| missing(id))
}

/// What is on record of a host-id, and where what becomes of it is to be kept.
struct Found {
    key: String,
    record: Arc<HostRecord>,
    guards: Vec<Guard>,
    /// The duplicates, by their places.
    duplicates: Vec<(u32, Occupant)>,
}

impl Found {
    /// The host with this hash; or what is remembered of it while others have its place, as it would come back; or, where it is gone
    /// for good, the last one of those that are shown as its duplicates, whichever tower they called.
    async fn look(app: &App, id: &str) -> Answer<Self> {
        let hash: HostHash = id.parse().map_err(|_| missing(id))?;
        let key = layout::host(&app.operators, &hash);
        let places = duplicate_places(app).await?;
        let duplicates = places.places_of(&hash).map(|(number, one)| (number, one.clone())).collect();
        if let Some(stored) = app.db.load(&key, HostRecord::from_record).await? {
            return Ok(Self { guards: vec![stored.guard()], key, record: stored.value, duplicates });
        }
        let stored = match (displaced::of(app, &hash, None).await?, places.latest_of(&hash)) {
            (Some(stored), _) => Some(stored),
            (None, Some((number, _))) => {
                app.db.load(&place(&layout::duplicates(&app.operators), number), HostRecord::from_record).await?
            }
            (None, None) => None,
        };
        let stored = stored.filter(|stored| *stored.value.host() == hash).ok_or_else(|| missing(id))?;
        Ok(Self { guards: vec![Guard::Absent(key.clone()), stored.guard()], key, record: stored.value, duplicates })
    }
}

fn missing(id: &str) -> ApiError {
    ApiError::not_found(format_args!("the host `{}`", id.chars().take(80).collect::<String>()))
}

/// Claims a host for a site, which there has to be; where a key is named, the machine with that key alone.
///
/// # Errors
/// 404 for the host; 422 for the site; 409 when the host cannot be claimed for it, is another machine, or does not wait.
pub async fn claim(app: &App, caller: &Caller, id: &str, site: &Name, key: Option<&str>) -> Answer<HostRecord> {
    for _ in 0..TRIES {
        let stored = host(app, id).await;
        if stored.is_err() && Found::look(app, id).await.is_ok() {
            return Err(ApiError::conflict("the host does not wait here now: claim it when it does, as it calls next"));
        }
        let stored = stored?;
        // Who waits makes room for others, and somebody else may have the host-id by then.
        if key.is_some_and(|key| key != stored.value.key()) {
            return Err(ApiError::conflict("another machine has this host-id by now: look at it again"));
        }
        let there = sites::there(app, site).await?;
        let record = HostRecord::clone(&stored.value).claim(site.clone());
        let record = record.map_err(|error| ApiError::conflict(error.to_string()))?;
        if record.state() == stored.value.state() {
            return Ok(record);
        }
        let change = Change::of(app, &stored.value, vec![stored.guard(), there]).await?;
        if change.commit(app, caller, "claim-host", &record, &stored.key).await? {
            return Ok(record);
        }
    }
    Err(busy())
}

/// Forgets a host and its duplicates, so that it, or one of them, may call home again.
///
/// # Errors
/// 404.
pub async fn release(app: &App, caller: &Caller, id: &str) -> Answer<()> {
    for _ in 0..TRIES {
        let Found { key, record, guards, duplicates } = Found::look(app, id).await?;
        let mut change = Change::of(app, &record, guards).await?;
        change.writes.extend(displaced::forget(app, record.host()).await?);
        empty(&layout::duplicates(&app.operators), &duplicates, &mut change.guards, &mut change.writes);
        change.forgets = true;
        if change.commit(app, caller, "release-host", &record, &key).await? {
            app.call_home.duplicates.left(record.host());
            return Ok(());
        }
        app.call_home.duplicates.forget();
    }
    Err(busy())
}

/// Removes a host: what it has counts no more, and it may not call home until it is released.
///
/// # Errors
/// 404.
pub async fn remove(app: &App, caller: &Caller, id: &str) -> Answer<HostRecord> {
    for _ in 0..TRIES {
        let Found { key, record: before, guards, mut duplicates } = Found::look(app, id).await?;
        let record = HostRecord::clone(&before).remove();
        if record.state() == before.state() {
            return Ok(record);
        }
        let mut change = Change::of(app, &before, guards).await?;
        change.writes.extend(displaced::forget(app, record.host()).await?);
        // Whoever has a record of its own is nobody's duplicate.
        duplicates.retain(|(_, one)| one.key == record.key());
        empty(&layout::duplicates(&app.operators), &duplicates, &mut change.guards, &mut change.writes);
        let is_removed = change.commit(app, caller, "remove-host", &record, &key).await?;
        if !is_removed || !duplicates.is_empty() {
            app.call_home.duplicates.forget();
        }
        if is_removed {
            return Ok(record);
        }
    }
    Err(busy())
}

/// What becomes of a host that is taken out of the ring.
struct Change {
    guards: Vec<Guard>,
    writes: Vec<Write>,
    /// Whether nothing is left of it.
    forgets: bool,
}

impl Change {
    async fn of(app: &App, before: &HostRecord, mut guards: Vec<Guard>) -> Answer<Self> {
        let (mut writes, waits) = (Vec::new(), *before.state() == HostState::Unclaimed);
        leave(app, before.host(), waits, &mut guards, &mut writes).await?;
        Ok(Self { guards, writes, forgets: false })
    }

    /// Stores a host at its place as it is to be, or no more; answers whether it is done, and not to be decided again.
    async fn commit(
        mut self,
        app: &App,
        caller: &Caller,
        event: &'static str,
        record: &HostRecord,
        key: &str,
    ) -> Answer<bool> {
        let mut audit = caller.actor().did(event, app.clock.now()).with("host", record.host().as_str());
        self.writes.push(if self.forgets {
            Write::Delete(key.to_owned())
        } else {
            if let HostState::Claimed { site } = record.state() {
                audit = audit.with("site", site.as_str());
            }
            app.db.put(key.to_owned(), &record.to_record()?)?
        });
        let ring = &app.call_home.unclaimed;
        match app.commit(self.guards, self.writes, audit).await? {
            Commit::Done(_) => ring.left(record.host()),
            Commit::Conflict => {
                ring.forget();
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn busy() -> ApiError {
    ApiError::unavailable("the host calls all the time; try again")
}

//! Makes the key versions that are due, destroys those that are invalid, and forgets the rings that no verifier needs any more.

use std::collections::BTreeMap;

use keyward_config_values::Name;
use keyward_svid::x509::authority::{AuthorityRing, IssuingAuthorities};
use keyward_transit::{Issuing, Ring};
use time::{Duration, OffsetDateTime};

use crate::{
    app::{Actor, App, Commit},
    authorities,
    db::Stored,
    due,
    http::error::{Answer, ApiError},
    identity::{self, Identity},
    layout, publication, rings,
    store::{Entry, Guard, Write},
};

/// What failed is tried again after so long.
const RETRY: Duration = Duration::seconds(10);

pub(super) async fn run(app: &App) -> Result<(), String> {
    let store = &**app.db.store();
    let (mut after, mut failure) = (None::<String>, None);
    // One that could not be done does not hold up those behind it.
    while let Some(entry) =
        due::first(store, after.as_deref(), app.clock.now()).await.map_err(|error| error.to_string())?
    {
        if let Err(error) = look(app, &entry).await {
            failure = Some(error);
        }
        after = Some(entry.key);
    }
    failure.map_or(Ok(()), Err)
}

/// Does what an entry says, and leaves the next one in its place.
async fn look(app: &App, entry: &Entry) -> Result<(), String> {
    let Some((at, tenant, place)) = layout::parse_due(&entry.key) else {
        return Err(format!("`{}` is no entry of what is due", entry.key));
    };
    let (next, result) = match advance(app, &tenant, place).await {
        Ok(next) => (next, Ok(())),
        // One that cannot be advanced does not hold up the others.
        Err(error) => (Some(app.clock.now() + RETRY), Err(format!("`{place}`: {}", error.message()))),
    };
    let mut writes: Vec<Write> = due::without(&tenant, place, at).into();
    if let Some(next) = next {
        let entry = due::entry(&tenant, place, next);
        if entry.first().map(Write::key) == writes.first().map(Write::key) {
            return result;
        }
        writes.extend(entry);
    }
    // A conflict means that a change left the same entry at this very moment: it stays.
    let guard = Guard::At(entry.key.clone(), entry.revision);
    let _ = app.db.store().commit(vec![guard], writes).await.map_err(|error| error.to_string())?;
    result
}

/// Advances what stands at a place, and answers when to come again.
async fn advance(app: &App, tenant: &Name, place: &str) -> Answer<Option<OffsetDateTime>> {
    let name_in = |folder: String| place.strip_prefix(&folder).and_then(|name| name.parse::<Name>().ok());
    if let Some(name) = name_in(layout::rings(tenant)) {
        rings::advance::<Ring>(app, tenant, &name).await
    } else if let Some(name) = name_in(layout::authorities(tenant)) {
        rings::advance::<AuthorityRing>(app, tenant, &name).await
    } else if place == layout::issuing(tenant) {
        advance_issuing(app, tenant).await
    } else if place == layout::issuing_authorities(tenant) {
        advance_authorities(app, tenant).await
    } else {
        Ok(None)
    }
}

/// Forgets former signing rings that no verifier needs any more.
async fn advance_issuing(app: &App, tenant: &Name) -> Answer<Option<OffsetDateTime>> {
    let Some(stored) = identity::issuing(&app.db, tenant).await? else { return Ok(None) };
    let now = app.clock.now();
    let identity = Identity::load(&app.db, tenant).await?;
    let mut issuing = Issuing::clone(&stored.value);
    if issuing.advance(|name| identity.ring(name), now) {
        let record = issuing.to_record().map_err(ApiError::internal)?;
        if let Commit::Conflict = forget(app, tenant, stored, &record, "issuing-advance", now).await? {
            return Ok(Some(now));
        }
    }
    Ok(issuing.next_deadline(|name| identity.ring(name), now))
}

/// Forgets former authorities that no verifier needs any more.
async fn advance_authorities(app: &App, tenant: &Name) -> Answer<Option<OffsetDateTime>> {
    let Some(stored) = authorities::issuing(&app.db, tenant).await? else { return Ok(None) };
    let now = app.clock.now();
    let mut kept = BTreeMap::new();
    for name in stored.value.names() {
        if let Some(ring) = rings::load::<AuthorityRing>(&app.db, tenant, name).await? {
            kept.insert(name.clone(), ring.value);
        }
    }
    let at_hand = |name: &Name| kept.get(name).map(|ring| &**ring);
    let mut issuing = IssuingAuthorities::clone(&stored.value);
    if issuing.advance(at_hand, now) {
        let record = issuing.to_record().map_err(ApiError::internal)?;
        if let Commit::Conflict = forget(app, tenant, stored, &record, "issuing-ca-advance", now).await? {
            return Ok(Some(now));
        }
    }
    Ok(issuing.next_deadline(at_hand, now))
}

async fn forget<T>(
    app: &App,
    tenant: &Name,
    stored: Stored<T>,
    record: &[u8],
    event: &'static str,
    now: OffsetDateTime,
) -> Answer<Commit> {
    let (mut guards, mut writes) = (vec![stored.guard()], vec![app.db.put(stored.key.clone(), record)?]);
    publication::changes(app, tenant, now).await?.add_to(&mut guards, &mut writes);
    let audit = Actor::task(tenant, "rotate").did(event, now);
    app.commit(guards, writes, audit).await
}

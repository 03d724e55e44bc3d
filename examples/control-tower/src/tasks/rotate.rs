//! Makes the key versions that are due, and destroys those that are invalid.

use std::{
    collections::BTreeMap,
    sync::{PoisonError, atomic::Ordering},
};

use keyward_config_values::Name;
use keyward_svid::x509::authority::{AuthorityRing, IssuingAuthorities};
use keyward_transit::{Issuing, Ring};
use time::OffsetDateTime;

use crate::{
    app::{Actor, App},
    authorities,
    db::Stored,
    http::error::ApiError,
    identity::{self, Identity},
    publication,
    rings::{self, Kept},
    tenant::Tenants,
};

/// Rings that other towers made are found within so many seconds.
const LOOK: i64 = 60;

/// What failed is tried again after so many seconds.
const RETRY: i64 = 10;

pub(super) async fn run(app: &App) -> Result<(), String> {
    let now = app.clock.now();
    let after = |seconds| now.saturating_add(time::Duration::seconds(seconds));
    {
        let next = app.tasks.next_rotation.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back does not wait until it has caught up.
        let waiting = next.is_some_and(|next| now < next && next <= after(LOOK));
        if waiting && app.tasks.rings_seen.load(Ordering::Acquire) {
            return Ok(());
        }
    }
    // Before the look: what changes during it is looked at once more.
    app.tasks.rings_seen.store(true, Ordering::Release);
    let mut deadline = None;
    let result = look(app, &mut deadline).await;
    let latest = after(if result.is_ok() { LOOK } else { RETRY });
    let next = deadline.map_or(latest, |deadline| latest.min(deadline));
    *app.tasks.next_rotation.lock().unwrap_or_else(PoisonError::into_inner) = Some(next);
    result
}

/// Looks at every ring of every tenant, and answers the earliest deadline of those that it could advance.
async fn look(app: &App, earliest: &mut Option<OffsetDateTime>) -> Result<(), String> {
    let mut failure = None;
    let mut pages = Tenants::of(&app.db);
    while let Some(page) = pages.next().await.map_err(|error| error.to_string())? {
        for tenant in page {
            advance_all::<Ring>(app, &tenant.id, earliest, &mut failure).await?;
            advance_all::<AuthorityRing>(app, &tenant.id, earliest, &mut failure).await?;
            for error in [advance_issuing(app, &tenant.id).await, advance_authorities(app, &tenant.id).await] {
                failure = failure.or(error.err().map(|error| error.message().to_owned()));
            }
        }
    }
    failure.map_or(Ok(()), Err)
}

async fn advance_all<K: Kept>(
    app: &App,
    tenant: &Name,
    earliest: &mut Option<OffsetDateTime>,
    failure: &mut Option<String>,
) -> Result<(), String> {
    for name in rings::names::<K>(&app.db, tenant).await.map_err(|error| error.to_string())? {
        match rings::advance::<K>(app, tenant, &name).await {
            Ok(deadline) => *earliest = [*earliest, deadline].into_iter().flatten().min(),
            // One ring that cannot be advanced does not hold up the others.
            Err(error) => *failure = Some(format!("{} `{name}`: {}", K::KIND, error.message())),
        }
    }
    Ok(())
}

/// Forgets former signing rings that no verifier needs any more.
async fn advance_issuing(app: &App, tenant: &Name) -> Result<(), ApiError> {
    let Some(stored) = identity::issuing(&app.db, tenant).await? else { return Ok(()) };
    let now = app.clock.now();
    let identity = Identity::load(&app.db, tenant).await?;
    let mut issuing = Issuing::clone(&stored.value);
    if !issuing.advance(|name| identity.ring(name), now) {
        return Ok(());
    }
    let record = issuing.to_record().map_err(ApiError::internal)?;
    forget(app, tenant, stored, &record, "issuing-advance", now).await
}

/// Forgets former authorities that no verifier needs any more.
async fn advance_authorities(app: &App, tenant: &Name) -> Result<(), ApiError> {
    let Some(stored) = authorities::issuing(&app.db, tenant).await? else { return Ok(()) };
    let now = app.clock.now();
    let mut rings = BTreeMap::new();
    for name in stored.value.names() {
        if let Some(ring) = rings::load::<AuthorityRing>(&app.db, tenant, name).await? {
            rings.insert(name, ring.value);
        }
    }
    let mut issuing = IssuingAuthorities::clone(&stored.value);
    if !issuing.advance(|name| rings.get(name).map(|ring| &**ring), now) {
        return Ok(());
    }
    let record = issuing.to_record().map_err(ApiError::internal)?;
    drop(rings);
    forget(app, tenant, stored, &record, "issuing-ca-advance", now).await
}

async fn forget<T>(
    app: &App,
    tenant: &Name,
    stored: Stored<T>,
    record: &[u8],
    event: &'static str,
    now: OffsetDateTime,
) -> Result<(), ApiError> {
    let (mut guards, mut writes) = (vec![stored.guard()], vec![app.db.put(stored.key.clone(), record)?]);
    publication::changes(app, tenant, now).await?.add_to(&mut guards, &mut writes);
    let audit = Actor::task(tenant, "rotate").did(event, now);
    // A conflict means that somebody else changed it: the next look decides again.
    let _ = app.commit(guards, writes, audit).await?;
    Ok(())
}

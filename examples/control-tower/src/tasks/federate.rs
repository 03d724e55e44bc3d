//! Fetches the bundles of federated trust domains when they are due, and says when one is too old or goes back.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError},
};

use keyward_svid::{
    bundle::Change,
    federation::{Anchors, Authentication, Fetch, State},
    jwks::Skipped,
    refresh::Due,
    x509::X509Bundle,
};
use time::{Duration, OffsetDateTime};
use tokio::task::JoinSet;

use crate::{
    app::{Actor, App},
    audit::AuditRecord,
    db::Stored,
    federation::{self, Outcome, Partner, Place, SkippedKey},
    http::error::{Answer, ApiError},
    layout,
    store::{Guard, Outcome as Committed, Write},
    tenant::Tenant,
};

/// What other towers changed is found within so many seconds.
const LOOK: i64 = 30;
/// What failed is tried again after so many seconds.
const RETRY: i64 = 10;
/// Of several towers on one store, whoever has this fetches.
const LEASE: &str = "federate";
/// How long it is held at most: as long as the longest fetch, and then some.
const LEASE_TIME: Duration = Duration::seconds(60);
/// Fetches at the same time.
const FETCHES: usize = 16;

pub(super) async fn run(app: &App) -> Result<(), String> {
    let now = app.clock.now();
    let after = |seconds| now.saturating_add(Duration::seconds(seconds));
    {
        let mut next = app.federation.next.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back does not wait until it has caught up.
        if next.is_some_and(|next| now < next && next <= after(LOOK)) {
            return Ok(());
        }
        // What changes from here on is looked at once more.
        *next = Some(after(LOOK));
    }
    let result = look(app).await.map_err(|error| error.message().to_owned());
    let deadline = match &result {
        Ok(deadline) => deadline.map_or(after(LOOK), |deadline| deadline.min(after(LOOK))),
        Err(_) => after(RETRY),
    };
    let mut next = app.federation.next.lock().unwrap_or_else(PoisonError::into_inner);
    // Unless something was changed meanwhile.
    if let Some(next) = &mut *next {
        *next = deadline;
    }
    result.map(drop)
}

/// A relationship that has something to do.
struct Job {
    place: Place,
    stored: Stored<Arc<Partner>>,
    partner: Partner,
}

/// Does what is due, and answers when something is due again.
async fn look(app: &App) -> Answer<Option<OffsetDateTime>> {
    let asked = app.federation.take_asked();
    let (due, deadline) = survey(app, &asked).await?;
    if due.is_empty() {
        return Ok(deadline);
    }
    let Some(lease) = app.db.store().lease(LEASE, LEASE_TIME, app.clock.now()).await? else {
        // Another tower is at it.
        return Ok(None);
    };
    // What it has fetched meanwhile is not fetched again.
    let done = match survey(app, &asked).await {
        Ok((due, _)) => work(app, due).await,
        Err(error) => Err(error),
    };
    app.db.store().release(lease).await?;
    done?;
    app.client_issuers.refresh(app).await?;
    survey(app, &BTreeSet::new()).await.map(|(_, deadline)| deadline)
}

/// The relationships of all tenants: those that have something to do now, and when the first has.
async fn survey(app: &App, asked: &BTreeSet<Place>) -> Answer<(Vec<Job>, Option<OffsetDateTime>)> {
    let now = app.clock.now();
    let (mut due, mut next, mut seen) = (Vec::new(), None, BTreeMap::new());
    for tenant in Tenant::with(&app.db, layout::WITH_FEDERATION).await? {
        for stored in federation::partners(app, &tenant.id).await? {
            let place = (tenant.id.clone(), stored.value.trust_domain().clone());
            let (deadline, is_asked) = (stored.value.next_deadline(now), asked.contains(&place));
            seen.insert(place.clone(), Arc::clone(&stored.value));
            next = [next, Some(deadline)].into_iter().flatten().min();
            if deadline > now && !is_asked {
                continue;
            }
            // A machine of its own, to go on with; the other one is for readers.
            let partner = app.db.get(&stored.key).await?;
            let Some(partner) = partner.filter(|found| found.revision == stored.revision) else { continue };
            let mut partner = Partner::decode(&partner.value, now).map_err(ApiError::internal)?;
            // Who asks is heeded once per cooldown, which the machine counts.
            if (is_asked && partner.relationship.on_unknown_key(now)) || deadline <= now {
                due.push(Job { place, stored, partner });
            }
        }
    }
    app.federation.saw(seen);
    Ok((due, next))
}

/// Fetches all at the same time, and writes down how that went.
async fn work(app: &App, due: Vec<Job>) -> Answer<()> {
    let mut waiting: Vec<(Job, Option<Fetch>)> = Vec::new();
    for mut job in due {
        let fetch = match job.partner.relationship.poll(app.clock.now()) {
            Due::Fetch(fetch) => Some(fetch),
            Due::Wait(_) => None,
        };
        waiting.push((job, fetch));
    }
    let mut running: JoinSet<(Job, Option<(Fetch, Outcome)>)> = JoinSet::new();
    let mut waiting = waiting.into_iter();
    loop {
        while running.len() < FETCHES
            && let Some((job, fetch)) = waiting.next()
        {
            let others = others(app, &job, fetch.as_ref()).await?;
            let timeout = job.partner.config.options().map(|options| options.timeout).unwrap_or_default();
            let (clock, authorities) = (app.clock.clone(), job.partner.config.bundle_endpoint_ca_pem.clone());
            running.spawn(async move {
                let Some(mut fetch) = fetch else { return (job, None) };
                let timeout = timeout.try_into().unwrap_or_default();
                let outcome = federation::fetch(&mut fetch, authorities.as_deref(), others, timeout, &clock).await;
                (job, Some((fetch, outcome)))
            });
        }
        match running.join_next().await {
            Some(done) => {
                let (job, fetched) = done.map_err(ApiError::internal)?;
                finish(app, job, fetched).await?;
            }
            None => return Ok(()),
        }
    }
}

/// The authorities of the trust domain that an endpoint is in, where that is another one: the tenant's own, or that of another
/// relationship, however old.
async fn others(app: &App, job: &Job, fetch: Option<&Fetch>) -> Answer<Option<X509Bundle>> {
    let Some(Authentication::Spiffe { anchors: Anchors::Of(trust_domain), .. }) =
        fetch.map(|fetch| &fetch.authentication)
    else {
        return Ok(None);
    };
    let tenant = &job.place.0;
    if let Some(partner) = federation::partner(app, tenant, trust_domain).await? {
        return Ok(partner.value.relationship.anchors().cloned());
    }
    Ok(federation::bundle(app, tenant, trust_domain).await?.ok().map(|bundle| bundle.x509().clone()))
}

/// Writes down how a fetch went, unless the relationship was changed meanwhile, and says what people have to know.
async fn finish(app: &App, job: Job, fetched: Option<(Fetch, Outcome)>) -> Answer<()> {
    let Job { place, stored, mut partner } = job;
    let now = app.clock.now();
    let mut audit = None;
    let actor = Actor::task(&place.0, "federate");
    if let Some((Fetch { ticket, .. }, outcome)) = fetched {
        let taken = match outcome {
            Ok(body) => partner.relationship.fetched(ticket, &body, now).map_err(|error| error.to_string()),
            Err(reason) => {
                partner.relationship.failed(ticket, reason.clone(), now);
                Err(reason)
            }
        };
        match taken {
            Ok(Change::None) => {}
            Ok(change) => {
                partner.takes();
                let status = partner.relationship.status(now);
                if status.revoked {
                    warn_of_revocation(&place, status.skipped);
                }
                let change = if status.revoked { "revoked" } else { word(change) };
                audit = Some(actor.did("federation-bundle", now).with("change", change));
            }
            Err(reason) => {
                app.metrics.federation_failure(&place);
                let status = partner.relationship.status(now);
                let (offered, sequence) = (status.rolled_back_to, status.sequence);
                // Once for each bundle, and not at each fetch.
                let say = offered.is_none_or(|offered| partner.refuses(offered));
                if say {
                    let reason = partner.problem(now).unwrap_or(reason);
                    tracing::warn!(trust_domain = %place.1, reason, "cannot fetch the bundle of a federated trust domain");
                }
                if let Some(offered) = offered.filter(|_| say) {
                    let record = actor.refused("federation-bundle", "rollback", now).with("offered", offered);
                    app.refuse(about(record.with("sequence", sequence), &place));
                }
            }
        }
    }
    let status = partner.relationship.status(now);
    if status.last_error.is_none() {
        let known = |skipped: &Skipped| SkippedKey {
            index: skipped.index,
            kid: skipped.kid.clone(),
            reason: skipped.reason.to_string(),
        };
        partner.skipped = status.skipped.iter().map(known).collect();
    }
    let expired = status.state == State::Expired;
    if expired && !partner.alarmed {
        tracing::error!(
            trust_domain = %place.1,
            "the bundle of a federated trust domain is too old: none of its identities is accepted any more"
        );
        audit =
            Some(actor.record("federation-bundle", crate::audit::AuditOutcome::Failed, now).with("reason", "expired"));
    }
    partner.alarmed = expired;
    let write = app.db.put(stored.key.clone(), &partner.encode(now).map_err(ApiError::internal)?)?;
    commit(app, stored.guard(), write, audit.map(|audit| about(audit, &place))).await
}

fn word(change: Change) -> &'static str {
    match change {
        Change::Unannounced => "unannounced",
        Change::Unnumbered => "number-missing",
        _ => "newer",
    }
}

/// A bundle that revokes everything may be meant so, or be another document altogether.
fn warn_of_revocation(place: &Place, skipped: &[Skipped]) {
    let reason = match skipped.len() {
        0 => "it is empty".to_owned(),
        n => format!("none of its {n} keys is one of a SPIFFE bundle; is the URL that of a bundle endpoint?"),
    };
    tracing::warn!(
        trust_domain = %place.1,
        reason,
        "the bundle of a federated trust domain has no usable key: none of its identities is accepted any more"
    );
}

fn about(record: AuditRecord, place: &Place) -> AuditRecord {
    record.with("trust-domain", place.1.as_str())
}

/// A conflict means that somebody else changed it: the next look decides again. What decides nothing is not audited.
async fn commit(app: &App, guard: Guard, write: Write, audit: Option<AuditRecord>) -> Answer<()> {
    match audit {
        Some(audit) => drop(app.commit(vec![guard], vec![write], audit).await?),
        None => match app.db.store().commit(vec![guard], vec![write]).await? {
            Committed::Committed(_) | Committed::Conflict { .. } | Committed::Unknown => {}
        },
    }
    Ok(())
}

//! The authority of the certificates to call home with: an authority of the tenant `default` for nothing else. It rotates as the
//! others do.

use std::sync::{Arc, Mutex, PoisonError};

use keyward_callhome_cert::CallHomeVerifier;
use keyward_config_values::Name;
use keyward_keys::PublicKey;
use keyward_svid::{
    X509Bundle,
    x509::{
        Purpose,
        authority::{AuthorityRing, CaConfig},
        peek_key,
    },
};
use keyward_transit::FirstActivation;
use time::OffsetDateTime;

use crate::{
    app::{Actor, App, Commit},
    db::Stored,
    http::error::{Answer, ApiError},
    identity::Identity,
    rings::{self, Kept as _},
    tenant::Tenant,
    tls,
};

/// Its name. Whoever wants it otherwise than by default makes the document.
pub const NAME: &str = "call-home";

/// How often it is looked again because another one was faster.
const TRIES: usize = 16;

/// Whether an authority of this name of the tenant `default` issues no SVIDs: it has another purpose.
pub fn is_reserved(name: &Name) -> bool {
    [NAME, tls::AUTHORITY].contains(&name.as_str())
}

/// The authority as it is, if there is one.
pub(super) async fn stored(app: &App) -> Answer<Option<Stored<Arc<AuthorityRing>>>> {
    let name: Name = NAME.parse().map_err(ApiError::internal)?;
    let stored = rings::load::<AuthorityRing>(&app.db, &app.operators, &name).await?;
    match &stored {
        Some(ring) if ring.value.purpose() != Purpose::Client => Err(ApiError::inapplicable(
            "the authority `call-home` was made for SVIDs, before this name had a meaning: delete `system/ca/call-home` once nothing needs it",
        )),
        _ => Ok(stored),
    }
}

/// The authorities whose certificates count: the published ones of the authority.
pub struct Published {
    /// What verifies with them.
    pub verifier: CallHomeVerifier,
    /// Their keys.
    pub keys: Vec<PublicKey>,
}

/// The published certificates as they were last read, with what they verified.
#[derive(Default)]
pub(super) struct Kept(Mutex<Option<Arc<Published>>>);

/// The published certificates of the authority; `None` before it issued any.
///
/// # Errors
/// Those of the store.
pub async fn published(app: &App, now: OffsetDateTime) -> Answer<Option<Arc<Published>>> {
    let Some(stored) = stored(app).await? else { return Ok(None) };
    let certificates = stored.value.published(now);
    let mut kept = app.call_home.published.0.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(published) = kept.as_ref().filter(|kept| kept.verifier.bundle().authorities() == certificates) {
        return Ok(Some(Arc::clone(published)));
    }
    let keys = certificates.iter().map(|certificate| peek_key(certificate).map_err(ApiError::internal));
    let keys = keys.collect::<Answer<_>>()?;
    let bundle = X509Bundle::new(stored.value.trust_domain().to_owned(), certificates).map_err(ApiError::internal)?;
    let published = Arc::new(Published { verifier: CallHomeVerifier::new(bundle), keys });
    Ok(Some(Arc::clone(kept.insert(published))))
}

/// The authority, which is made the first time.
///
/// # Errors
/// Those of the store; 422 when there is no trust domain.
pub async fn authority(app: &App) -> Answer<Arc<AuthorityRing>> {
    for _ in 0..TRIES {
        let stored = stored(app).await?;
        let now = app.clock.now();
        if let Some(stored) = &stored
            && stored.value.authority(now).is_ok_and(|authority| authority.not_after() > now)
        {
            return Ok(Arc::clone(&stored.value));
        }
        make(app, stored.as_ref(), now).await?;
    }
    Err(ApiError::unavailable("the authority is being changed by others all the time; try again"))
}

/// Makes it, or makes it anew where nobody was there to renew it before it ended.
async fn make(app: &App, stored: Option<&Stored<Arc<AuthorityRing>>>, now: OffsetDateTime) -> Answer<()> {
    let tenant = &app.operators;
    let identity = Identity::load(&app.db, tenant).await?;
    let owner = Tenant::by_id(&app.db, tenant.as_str()).await?;
    let owner = owner.ok_or_else(|| ApiError::internal("the tenant `default` is gone"))?;
    let trust_domain = identity.trust_domain(app, &owner.value.name)?;
    let name: Name = NAME.parse().map_err(ApiError::internal)?;
    let config = stored.map_or_else(|| CaConfig::new(name), |stored| stored.value.config().clone());
    let mut ring = AuthorityRing::for_clients(config, trust_domain.clone(), FirstActivation::AtOnce, now)?;
    for command in ring.due(now) {
        rings::perform(app, &mut ring, command).await?;
    }
    let mut guards = vec![rings::guard(tenant, ring.name(), stored)];
    let mut writes = rings::put(app, tenant, &ring)?;
    identity.claim_trust_domain(app, &trust_domain, &mut guards, &mut writes).await?;
    let mut audit = Actor::task(tenant, "call-home").did("authority-make", now).with("authority", NAME);
    if let Some((name, value)) = ring.notes(now).pop().and_then(|note| note.identifier) {
        audit = audit.with(name, value);
    }
    // A conflict means that somebody else made it.
    let (Commit::Done(_) | Commit::Conflict) = app.commit(guards, writes, audit).await?;
    Ok(())
}

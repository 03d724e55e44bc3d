//! The bundles of trust domains: the tenant's own, and those of trust domains that it federates with.

mod endpoint;
mod fetch;
mod partner;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use keyward_config_values::Name;
use keyward_spiffe_id::TrustDomain;
use keyward_svid::bundle::Bundle;
use time::OffsetDateTime;

pub use self::{
    endpoint::{Endpoint, Serving, router},
    fetch::{Outcome, fetch},
    partner::{COLLECTION, Partner, SkippedKey, trust_domain_in},
};
use crate::{
    app::App,
    bundle::published,
    db::{DbError, Stored},
    http::error::{Answer, ApiError},
    identity::Identity,
    layout,
    store::Scan,
    tenant::Tenant,
};

/// A relationship, as it is named everywhere: the id of the tenant, and the other trust domain.
pub type Place = (Name, TrustDomain);

/// What of federation is in this process alone.
#[derive(Default)]
pub struct Federation {
    /// Where others fetch this tower's bundles, authenticated by SPIFFE, if there is such a place.
    pub endpoint: OnceLock<Endpoint>,
    /// When the task looks again; at once where there is nothing.
    pub next: Mutex<Option<OffsetDateTime>>,
    /// The relationships as they were at the last look.
    seen: Mutex<BTreeMap<Place, Arc<Partner>>>,
    /// Those for which an SVID came whose key is not known.
    asked: Mutex<BTreeSet<Place>>,
}

impl Federation {
    /// Says that a relationship was made, changed or deleted.
    pub fn changed(&self) {
        *self.next.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Says that an SVID came whose key the bundle does not have: perhaps there is a newer one.
    pub fn ask(&self, tenant: &Name, trust_domain: &TrustDomain) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if asked.insert((tenant.clone(), trust_domain.clone())) {
            drop(asked);
            self.changed();
        }
    }

    /// What was asked for since the last time.
    pub fn take_asked(&self) -> BTreeSet<Place> {
        std::mem::take(&mut *self.asked.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Remembers how the relationships are.
    pub fn saw(&self, all: BTreeMap<Place, Arc<Partner>>) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = all;
    }

    /// The relationships as they were at the last look.
    pub fn seen(&self) -> BTreeMap<Place, Arc<Partner>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A relationship of a tenant.
///
/// # Errors
/// Those of the store.
pub async fn partner(
    app: &App,
    tenant: &Name,
    trust_domain: &TrustDomain,
) -> Result<Option<Stored<Arc<Partner>>>, DbError> {
    let now = app.clock.now();
    let key = layout::federation(tenant, trust_domain.as_str());
    app.db.load(&key, |bytes| Partner::decode(bytes, now)).await
}

/// The relationships of a tenant. One that cannot be read is left out, and said so in the log.
///
/// # Errors
/// Those of the store.
pub async fn partners(app: &App, tenant: &Name) -> Result<Vec<Stored<Arc<Partner>>>, DbError> {
    let names = Scan::new(&**app.db.store(), &layout::federations(tenant)).names().await?;
    named(app, tenant, &names).await
}

/// Those with these names.
///
/// # Errors
/// Those of the store.
pub async fn named(app: &App, tenant: &Name, names: &[String]) -> Result<Vec<Stored<Arc<Partner>>>, DbError> {
    let mut partners = Vec::new();
    for name in names {
        let Ok(trust_domain) = name.parse() else { continue };
        match partner(app, tenant, &trust_domain).await {
            Ok(partner) => partners.extend(partner),
            Err(error @ DbError::Damaged { .. }) => tracing::error!(%error, "a relationship of federation"),
            Err(error) => return Err(error),
        }
    }
    Ok(partners)
}

/// The bundle of a trust domain that a tenant knows: its own, or one that it federates with. Without any the reason, for the
/// audit log.
///
/// # Errors
/// Those of the store.
pub async fn bundle(app: &App, tenant: &Name, trust_domain: &TrustDomain) -> Answer<Result<Arc<Bundle>, String>> {
    if own_trust_domain(app, tenant).await?.as_ref() == Some(trust_domain) {
        return own_bundle(app, tenant, trust_domain).await;
    }
    let Some(partner) = partner(app, tenant, trust_domain).await? else {
        return Ok(Err(format!(
            "`{trust_domain}` is neither the tenant's own trust domain nor one that it federates with"
        )));
    };
    Ok(partner.value.bundle(app.clock.now()))
}

/// The trust domain of a tenant, if it has one.
///
/// # Errors
/// Those of the store.
pub async fn own_trust_domain(app: &App, tenant: &Name) -> Answer<Option<TrustDomain>> {
    let identity = Identity::load(&app.db, tenant).await?;
    let tenant = tenant_of(app, tenant).await?;
    Ok(identity.trust_domain(app, &tenant.name).ok())
}

async fn own_bundle(app: &App, tenant: &Name, trust_domain: &TrustDomain) -> Answer<Result<Arc<Bundle>, String>> {
    let tenant = tenant_of(app, tenant).await?;
    let published = published(app, &tenant, app.clock.now()).await?;
    Ok(match published {
        Some(published) => Ok(Arc::new(published.bundle)),
        None => Err(format!("no key of `{trust_domain}`, the tenant's own trust domain, is published yet")),
    })
}

async fn tenant_of(app: &App, tenant: &Name) -> Answer<Arc<Tenant>> {
    let stored = Tenant::by_id(&app.db, tenant.as_str()).await?;
    Ok(stored.ok_or_else(|| ApiError::internal("a tenant is gone"))?.value)
}

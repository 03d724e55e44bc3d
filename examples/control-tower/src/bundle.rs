//! What a tenant publishes as the SPIFFE bundle of its trust domain.

use keyward_svid::bundle::{Bundle, DEFAULT_REFRESH_HINT};
use time::OffsetDateTime;

use crate::{
    app::App,
    authorities::{self, Authorities},
    http::error::{Answer, ApiError},
    identity::Identity,
    publication::Publication,
    tenant::Tenant,
};

/// How often it is read again because it changed meanwhile.
const TRIES: usize = 16;

/// The bundle of a tenant, and for how many seconds it may be kept.
pub struct PublishedBundle {
    /// The bundle, with its sequence number and refresh hint.
    pub bundle: Bundle,
    /// Its `max-age`.
    pub max_age: u64,
    /// Whether it has, or had, an X.509 authority.
    pub has_authorities: bool,
}

/// The bundle of a tenant; `None` until something is published.
///
/// # Errors
/// Those of the store; 422 when the tenant has no trust domain.
pub async fn published(app: &App, tenant: &Tenant, now: OffsetDateTime) -> Answer<Option<PublishedBundle>> {
    for _ in 0..TRIES {
        let before = Publication::load(&app.db, &tenant.id).await?;
        let identity = Identity::load(&app.db, &tenant.id).await?;
        if !identity.ever_published() && authorities::issuing(&app.db, &tenant.id).await?.is_none() {
            return Ok(None);
        }
        let trust_domain = identity.trust_domain(app, &tenant.name)?;
        let authorities = Authorities::load(&app.db, &tenant.id, &trust_domain).await?;
        let after = Publication::load(&app.db, &tenant.id).await?;
        // A number must not come with keys from before it.
        if before.as_ref().map(|stored| stored.revision) != after.as_ref().map(|stored| stored.revision) {
            continue;
        }
        let has_authorities = authorities.ever_published();
        if !identity.ever_published() && !has_authorities {
            return Ok(None);
        }
        let publication = after.map(|stored| *stored.value);
        let at = Publication::effective(publication, now);
        let key_set = identity.key_set(at)?;
        let keys = key_set.iter().flat_map(|(set, _)| set.keys().iter().cloned());
        let bundle = Bundle::new(trust_domain, authorities.published(at), keys).map_err(ApiError::internal)?;
        // How old a copy may be when a key begins to sign; those fetched by the hint may have waited in a cache.
        let oldest = key_set.as_ref().map(|(_, age)| *age).into_iter().chain(authorities.max_age(at)).min();
        let hint = (oldest.unwrap_or(0) / 2).clamp(1, DEFAULT_REFRESH_HINT);
        let changed = identity.published_changed_at(at).max(authorities.published_changed_at(at));
        let bundle = bundle.with_sequence(Publication::sequence(publication, changed)).with_refresh_hint(hint);
        return Ok(Some(PublishedBundle { bundle, max_age: hint, has_authorities }));
    }
    Err(ApiError::unavailable("the keys are being changed all the time; try again"))
}

//! The tower's own identity: what it shows where others verify it by SPIFFE ID.

use std::sync::Arc;

use keyward_spiffe_id::{SpiffeId, TrustDomain};
use keyward_svid::{pki_types::CertificateDer, x509::authority::KeyedSvid};
use time::{Duration, OffsetDateTime};
use tokio::sync::Mutex;

use crate::{
    app::App,
    authorities::{self, Authorities},
    http::error::{Answer, ApiError},
    identity::Identity,
    tenant::Tenant,
};

/// Its path in the trust domain of the tenant `default`.
pub const PATH: &str = "control-tower";

/// How long one SVID lives; it is renewed at half of that.
const TTL: Duration = Duration::DAY;

/// The SVID that was issued last, in memory alone.
#[derive(Default)]
pub struct OwnSvid(Mutex<Option<Kept>>);

struct Kept {
    svid: Arc<KeyedSvid>,
    trust_domain: TrustDomain,
    issuer: CertificateDer<'static>,
    made: OffsetDateTime,
}

/// `spiffe://<trust domain>/control-tower`, issued by the authority of the tenant `default`, renewed when half of its life is
/// over, or when verifiers are no longer given its authority.
///
/// # Errors
/// As [`authorities::issue`].
pub async fn own_svid(app: &App, now: OffsetDateTime) -> Answer<Arc<KeyedSvid>> {
    let tenant = Tenant::by_id(&app.db, app.operators.as_str()).await?;
    let tenant = tenant.ok_or_else(|| ApiError::internal("the tenant `default` is gone"))?;
    let identity = Identity::load(&app.db, &tenant.value.id).await?;
    let trust_domain = identity.trust_domain(app, &tenant.value.name)?;
    let authorities = Authorities::load(&app.db, &tenant.value.id, &trust_domain).await?;
    let mut last = app.own_svid.0.lock().await;
    if let Some(kept) = &*last
        && kept.trust_domain == trust_domain
        && (kept.made..kept.made.saturating_add(TTL / 2)).contains(&now)
        && authorities.published(now).contains(&kept.issuer)
    {
        return Ok(Arc::clone(&kept.svid));
    }
    let id =
        SpiffeId::from_segments(&trust_domain, [PATH]).map_err(|error| ApiError::inapplicable(error.to_string()))?;
    let issued = authorities::issue(app, &identity, &id, &trust_domain, now.saturating_add(TTL)).await?;
    let (svid, issuer) = (Arc::new(issued.svid), issued.issuer);
    tracing::info!(%id, serial = svid.svid().serial(), "the tower's own SVID was issued");
    *last = Some(Kept { svid: Arc::clone(&svid), trust_domain, issuer, made: now });
    Ok(svid)
}

//! How federation with other trust domains fares.

use std::sync::Arc;

use axum::{Json, extract::State, response::IntoResponse as _};
use keyward_config_values::Name;
use keyward_spiffe_id::TrustDomain;
use keyward_svid::federation::{Profile, State as BundleState};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use super::{
    caller::Caller,
    error::{Answer, ApiError},
    listing::{self, Page},
    params::{Path, Query},
};
use crate::{
    app::App,
    federation::{self, Partner},
    layout, moment, own_svid,
};

/// `GET /v1/state/federation`: where others fetch the tenant's bundle, and how the relationships are, a page at a time (`?limit=&after=`,
/// and `Link` to the next).
///
/// # Errors
/// Those of [`listing::names`].
pub async fn all(State(app): State<Arc<App>>, caller: Caller, Query(page): Query<Page>) -> Answer {
    let now = app.clock.now();
    let listed = listing::names(&app, &layout::federations(caller.tenant()), page).await?;
    let partners = federation::named(&app, caller.tenant(), &listed.names).await?;
    let states: Vec<Value> = partners.iter().map(|partner| state_of(&partner.value, now)).collect();
    let mut answer = endpoints(&app, caller.tenant()).await?;
    answer.insert("relationships".to_owned(), json!(states));
    listed.linked("/v1/state/federation", Json(answer))
}

/// `GET /v1/state/federation/<trust-domain>`.
///
/// # Errors
/// 404.
pub async fn one(State(app): State<Arc<App>>, caller: Caller, Path(name): Path<String>) -> Answer {
    let missing = || ApiError::not_found(format_args!("federation with `{name}`"));
    let trust_domain: TrustDomain = name.parse().map_err(|_| missing())?;
    let partner = federation::partner(&app, caller.tenant(), &trust_domain).await?.ok_or_else(missing)?;
    Ok(Json(state_of(&partner.value, app.clock.now())).into_response())
}

/// What an operator hands to others, so that they federate with this tenant.
async fn endpoints(app: &App, tenant: &Name) -> Answer<Map<String, Value>> {
    let trust_domain = federation::own_trust_domain(app, tenant).await?;
    let web = format!("{}/{tenant}/spiffe-bundle", app.external_url.as_str().trim_end_matches('/'));
    let mut answer = Map::new();
    answer.insert("trust-domain".to_owned(), json!(trust_domain.as_ref().map(TrustDomain::as_str)));
    answer.insert("web-endpoint".to_owned(), json!({"url": web, "profile": "https_web"}));
    if let (Some(endpoint), Some(operators)) =
        (app.federation.endpoint.get(), federation::own_trust_domain(app, &app.operators).await?)
    {
        let own = json!({
            "url": endpoint.url(tenant.as_str()),
            "profile": "https_spiffe",
            "endpoint-spiffe-id": format!("spiffe://{operators}/{}", own_svid::PATH),
        });
        answer.insert("federation-endpoint".to_owned(), own);
    }
    Ok(answer)
}

fn state_of(partner: &Partner, now: OffsetDateTime) -> Value {
    let status = partner.relationship.status(now);
    let endpoint = partner.relationship.endpoint();
    let time = |at: Option<OffsetDateTime>| at.map(moment::text);
    json!({
        "trust-domain": partner.trust_domain().as_str(),
        "url": endpoint.url().as_str(),
        "profile": endpoint.profile().as_str(),
        "endpoint-spiffe-id": match endpoint.profile() {
            Profile::HttpsSpiffe { endpoint_id, .. } => Some(endpoint_id.as_str()),
            _ => None,
        },
        "state": match status.state {
            BundleState::Waiting => "waiting",
            BundleState::Current => "current",
            BundleState::Expired => "expired",
            _ => "unknown",
        },
        "sequence": status.sequence,
        "refresh-hint": status.refresh_hint,
        "fetched": time(status.fetched_at),
        "changed": time(status.changed_at),
        "age": status.age.map(time::Duration::whole_seconds),
        "next-fetch": time(Some(status.next_poll)),
        "last-error": status.last_error.map(|failure| json!({
            "at": time(Some(failure.at)),
            "reason": partner.problem(now),
            "count": failure.count,
        })),
        "refused-sequence": status.rolled_back_to,
        "unannounced-change": status.unannounced,
        "revoked": status.revoked,
        "skipped-keys": partner.skipped,
    })
}

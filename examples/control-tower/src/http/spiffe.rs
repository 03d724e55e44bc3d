//! The state of issuing, and what relying parties make of it.

use std::sync::Arc;

use axum::{Json, extract::State, response::IntoResponse as _};
use keyward_approle::{Role, RoleConfig};
use keyward_config_values::Name;
use keyward_keys::Signer as _;
use keyward_svid::relying_party::{RelyingParty, TokenShape, Warning, check};
use serde::Deserialize;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::{
    body::JsonBody,
    caller::Caller,
    error::{Answer, ApiError},
};
use crate::{
    app::App,
    aws_trust::{AUDIENCE as AWS_AUDIENCE, AwsTrust},
    identity::{Identity, SETTINGS, own_issuer},
    issuer_check, layout,
    tenant::Tenant,
};

async fn tenant_name(app: &App, tenant: &Name) -> Answer<Name> {
    let tenant = Tenant::by_id(&app.db, tenant.as_str()).await?;
    Ok(tenant.ok_or_else(|| ApiError::internal("a token's tenant is gone"))?.value.name.clone())
}

/// `GET /v1/state/strongbox/authentication/spiffe-settings`.
///
/// # Errors
/// 404 until it is configured.
pub async fn state(State(app): State<Arc<App>>, caller: Caller) -> Answer {
    let identity = Identity::load(&app.db, caller.tenant()).await?;
    if !identity.is_configured() {
        return Err(ApiError::not_found(format_args!("`{SETTINGS}`")));
    }
    let now = app.clock.now();
    let name = tenant_name(&app, caller.tenant()).await?;
    let trust_domain = identity.trust_domain(&app, &name)?;
    let issuer = identity.issuer(&app)?;
    let own = own_issuer(&app, caller.tenant())?;
    let mut warnings = Vec::new();
    if identity.stored_trust_domain().is_some_and(|stored| *stored != trust_domain) {
        warnings.push(json!({"warning": format!(
            "identities were issued under another trust domain before; new ones are issued under `{trust_domain}`"
        )}));
    } else if let Some(stored) = identity.stored_trust_domain()
        && stored.as_str() != app.external_url.host()
        && name.as_str() == crate::tenant::DEFAULT
        && !identity.names_trust_domain()
    {
        warnings.push(json!({"warning": format!(
            "the external URL's host is `{}` now, identities keep the trust domain `{stored}` of the first one; set `trust-domain` to change it",
            app.external_url.host()
        )}));
    }
    let algorithm = identity.signer(now).ok().map(|signer| signer.algorithm());
    for party in RelyingParty::ALL {
        let mut shape = TokenShape::default();
        let (issuer_text, own_text) = (issuer.to_string(), own.to_string());
        shape.algorithm = algorithm;
        shape.issuer = Some(&issuer_text);
        shape.discovery_issuer = Some(&own_text);
        for warning in check(party, &shape) {
            warnings.push(told(&warning));
        }
    }
    Ok(Json(json!({
        "trust-domain": trust_domain.as_str(),
        "issuer": issuer.as_str(),
        "oidc-discovery-url": own.discovery_url(),
        "jwks-url": own.join("jwks"),
        "bundle-url": own.join("spiffe-bundle"),
        "issuing-ca": identity.issuing_authority()?,
        "signing-key": identity.signer(now).ok().map(|signer| signer.kid().to_owned()),
        "warnings": warnings,
    }))
    .into_response())
}

/// What a relying party would refuse.
pub(super) fn told(warning: &Warning) -> Value {
    json!({"relying-party": warning.party().as_str(), "code": warning.code(), "warning": warning.to_string()})
}

/// Names a role.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct RoleBody {
    role: Name,
    account: Option<String>,
}

/// `POST /v1/state/strongbox/aws-trust-policy {role, account?}`: what to enter at AWS so that it trusts the role.
///
/// # Errors
/// 404 for an unknown role; 422 when it has not the audience, or issuing is not configured.
pub async fn aws_trust_policy(
    State(app): State<Arc<App>>,
    caller: Caller,
    JsonBody(body): JsonBody<RoleBody>,
) -> Answer {
    let key = layout::role(caller.tenant(), body.role.as_str());
    let role = app.db.load(&key, Role::decode).await?;
    let role = role.ok_or_else(|| ApiError::not_found(format_args!("the AppRole `{}`", body.role)))?;
    let audiences = audiences(role.value.config());
    if !audiences.iter().any(|audience| audience == AWS_AUDIENCE) {
        return Err(ApiError::inapplicable(format!(
            "the AppRole `{}` issues no JWT-SVID for `{AWS_AUDIENCE}`: add it to `token-spiffe-jwt.jwt-audiences`",
            body.role
        )));
    }
    let account = body.account.unwrap_or_else(|| "<account>".to_owned());
    if account != "<account>" && !(account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit())) {
        return Err(ApiError::invalid("`account` must be the 12 digits of an AWS account"));
    }
    let identity = Identity::load(&app.db, caller.tenant()).await?;
    let now = app.clock.now();
    let name = tenant_name(&app, caller.tenant()).await?;
    let signer = identity.signer(now)?;
    let issuer = identity.issuer(&app)?;
    let subject = role
        .value
        .spiffe_id(&identity.trust_domain(&app, &name)?)
        .map_err(|error| ApiError::inapplicable(error.to_string()))?;
    let mut shape = TokenShape::default();
    let issuer_text = issuer.to_string();
    shape.algorithm = Some(signer.algorithm());
    shape.subject = Some(subject.as_str());
    shape.audiences = audiences;
    shape.issuer = Some(&issuer_text);
    let warnings = check(RelyingParty::AwsSts, &shape).iter().map(told).collect();
    Ok(Json(AwsTrust::new(&issuer, &subject, &account, warnings)).into_response())
}

fn audiences(config: &RoleConfig) -> &[String] {
    config.token_spiffe_jwt.as_ref().map_or(&[], |jwt| &jwt.jwt_audiences)
}

/// `POST /v1/state/strongbox/check-issuer`: reads discovery and keys through the external URL, as a cloud would, and says who
/// would accept what it found.
///
/// # Errors
/// 404 until issuing is configured.
pub async fn check_issuer(State(app): State<Arc<App>>, caller: Caller) -> Answer {
    let identity = Identity::load(&app.db, caller.tenant()).await?;
    if !identity.is_configured() {
        return Err(ApiError::not_found(format_args!("`{SETTINGS}`")));
    }
    let now: OffsetDateTime = app.clock.now();
    let issuer = identity.issuer(&app)?;
    let signer = identity.signer(now).ok();
    let report = issuer_check::run(&issuer, signer.as_ref().map(|signer| (signer.kid(), signer.algorithm()))).await;
    Ok(Json(report).into_response())
}

//! What a change is answered with: what became of each document, and what is accepted and may still surprise.

use keyward_approle::RoleConfig;
use keyward_config_tree::{Document, Path, Plan};
use keyward_svid::relying_party::{RelyingParty, TokenShape, check};
use keyward_transit::RingConfig;
use serde::Serialize;
use serde_json::{Value, json};

use super::{firewall::Firewalls, hidden::Masks, name_in, users, variables};
use crate::{
    app::App,
    documents::{self, KEYS, ROLES},
    federation,
    http::{caller::Caller, error::Answer},
    identity::Identity,
    inbound::{self, KeysFrom, SpiffeLoginConfig},
};

/// The answer to a change.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Applied {
    /// Whether nothing was to be changed.
    pub dry_run: bool,
    /// Whether anything differs from before.
    pub changed: bool,
    /// In one sentence.
    pub summary: String,
    /// What became of each document, in order.
    pub documents: Vec<DocumentResult>,
    /// What is accepted and may still surprise.
    pub warnings: Vec<Value>,
    /// The revision of the commit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<u64>,
}

/// What became of one document.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct DocumentResult {
    /// Its number in the bulk, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub document: Option<usize>,
    /// Its path.
    pub path: String,
    /// What was asked.
    pub operation: String,
    /// What happened: `created`, `replaced`, `merged`, `deleted` or `unchanged`.
    pub effect: &'static str,
    /// Of a key with a schedule: the life of its versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeline: Option<Value>,
    /// Of an ingress or a resource profile: what its ranges come to at each site.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sites: Option<Value>,
}

/// The answer to a change that was made, or would be.
///
/// # Errors
/// None: warnings that cannot be found out are left out.
pub(super) async fn applied(
    app: &App,
    caller: &Caller,
    plan: &Plan,
    masks: &Masks,
    mut firewalls: Firewalls,
    dry_run: bool,
    revision: Option<u64>,
) -> Answer<Applied> {
    let mut warnings: Vec<Value> = plan
        .warnings()
        .iter()
        .map(|warning| json!({"path": warning.path().as_str(), "field": warning.field().to_string(), "warning": format!("`{}` does not exist yet", warning.to())}))
        .collect();
    // The change is made: a store that fails at this moment costs warnings, not the answer.
    warnings.extend(relying_parties(app, caller, plan).await.unwrap_or_default());
    warnings.extend(logins(app, caller, plan).await.unwrap_or_default());
    warnings.extend(users::warnings(plan));
    warnings.extend(variables::warnings(app, caller, plan).await.unwrap_or_default());
    warnings.append(&mut firewalls.warnings);
    let api = format!("{}/{}", documents::AUTHORITIES, crate::tls::AUTHORITY);
    if app.is_operators(caller.tenant()) && plan.outcomes().iter().any(|outcome| outcome.path().as_str() == api) {
        let warning = format!("the API's authority stays as it is until `POST /v1/state/{api}/rotate`");
        warnings.push(json!({"path": api, "warning": warning}));
    }
    // What is made of fields that are hidden is hidden.
    warnings.retain(|warning| !masks.is_about(warning["path"].as_str().unwrap_or_default()));
    let documents = plan
        .outcomes()
        .iter()
        .map(|outcome| DocumentResult {
            document: outcome.document(),
            path: outcome.path().to_string(),
            operation: outcome.operation().to_string(),
            effect: outcome.effect().as_str(),
            timeline: timeline(outcome.path(), outcome.change().after())
                .filter(|_| !masks.is_about(outcome.path().as_str())),
            sites: firewalls.sites.remove(outcome.path()).filter(|_| !masks.is_about(outcome.path().as_str())),
        })
        .collect();
    Ok(Applied { dry_run, changed: !plan.is_unchanged(), summary: plan.to_string(), documents, warnings, revision })
}

fn timeline(path: &Path, document: Option<&Document>) -> Option<Value> {
    path.as_str().strip_prefix(KEYS)?;
    let timeline = document?.to::<RingConfig>().ok()?.validate(None).ok()??;
    serde_json::to_value(timeline).ok()
}

/// What the relying parties that the roles of the change name by their audiences would refuse.
async fn relying_parties(app: &App, caller: &Caller, plan: &Plan) -> Answer<Vec<Value>> {
    let identity = Identity::load(&app.db, caller.tenant()).await?;
    let mut warnings = Vec::new();
    for outcome in plan.outcomes() {
        let path = outcome.path();
        let Some(document) = outcome.change().after().filter(|_| path.as_str().starts_with(ROLES)) else { continue };
        let Some(jwt) = document.to::<RoleConfig>().ok().and_then(|role| role.token_spiffe_jwt) else { continue };
        let issuer = identity.issuer(app)?.to_string();
        for party in jwt.jwt_audiences.iter().filter_map(|audience| RelyingParty::of_audience(audience)) {
            let mut shape = TokenShape::default();
            shape.audiences = &jwt.jwt_audiences;
            shape.issuer = Some(&issuer);
            shape.algorithm =
                identity.signer(app.clock.now()).ok().map(|signer| keyward_keys::Signer::algorithm(&signer));
            for warning in check(party, &shape) {
                warnings.push(
                    json!({"path": path.as_str(), "relying-party": party.as_str(), "warning": warning.to_string()}),
                );
            }
        }
    }
    Ok(warnings)
}

/// Which logins by SVID of the change let nobody in.
async fn logins(app: &App, caller: &Caller, plan: &Plan) -> Answer<Vec<Value>> {
    let tenant = caller.tenant();
    let mut warnings = Vec::new();
    for outcome in plan.outcomes() {
        let path = outcome.path();
        let document = outcome.change().after().filter(|_| name_in(path, inbound::COLLECTION).is_some());
        let Some(login) = document.and_then(|document| document.to::<SpiffeLoginConfig>().ok()) else { continue };
        let mut warn = |field: &str, warning: String| {
            warnings.push(json!({"path": path.as_str(), "field": field, "warning": warning}));
        };
        if login.spiffe_id_patterns.is_empty() {
            warn("spiffe-id-patterns", "there is none, so nobody can log in by it".to_owned());
        }
        let trust_domain = &login.trust_domain;
        let federation = format!("{}/{trust_domain}", federation::COLLECTION);
        // In the same change, or from before.
        let changed = plan.outcomes().iter().find(|outcome| outcome.path().as_str() == federation);
        let is_known = match changed {
            Some(outcome) => outcome.change().after().is_some(),
            None => federation::partner(app, tenant, trust_domain).await?.is_some(),
        };
        if matches!(login.source(), KeysFrom::TrustDomain)
            && !is_known
            && federation::own_trust_domain(app, tenant).await?.as_ref() != Some(trust_domain)
        {
            warn(
                "trust-domain",
                format!("nothing verifies its SVIDs: add `{federation}`, `jwks-uri`, `jwks` or `bundle`"),
            );
        }
    }
    Ok(warnings)
}

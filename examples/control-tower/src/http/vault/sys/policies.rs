//! Policies, as the texts that these clients write.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};
use keyward_approle::{ADMINISTRATOR_POLICY, DEFAULT_POLICY, PolicyConfig};
use keyward_config_tree::{Bulk, Item, Operation, Path as DocumentPath, Revision};
use keyward_config_values::{Duration, Name};
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::{
    super::{
        caller::Caller,
        error::{Answer, ApiError},
        listing::{self, Listed, Page, VaultPage},
        params::{Path, Query},
        transit::call::Speech,
    },
    List, answer,
    body::VaultBody,
    fields,
};
use crate::{
    app::App,
    changes::{self, Condition, Precondition},
    documents::POLICIES,
    layout,
};

/// `LIST /v1/sys/policies/acl`.
///
/// # Errors
/// Those of the store.
pub async fn policies(State(app): State<Arc<App>>, caller: Caller, Query(page): Query<VaultPage>, _: List) -> Answer {
    answer::listed(names(&app, &caller, page).await?)
}

/// `LIST` and `GET /v1/sys/policy`, from before there were kinds of policies.
///
/// # Errors
/// As [`policies`].
pub async fn old_policies(State(app): State<Arc<App>>, caller: Caller, Query(page): Query<VaultPage>) -> Answer {
    let names: Value = names(&app, &caller, page).await?.names.into();
    let fields = [("keys".to_owned(), names.clone()), ("policies".to_owned(), names)];
    Ok(answer::data_twice(fields.into_iter().collect()))
}

async fn names(app: &App, caller: &Caller, page: VaultPage) -> Answer<Listed> {
    let prefix = format!("{}/", layout::document(caller.tenant(), POLICIES));
    let page = Page::from(page);
    let built_in = [ADMINISTRATOR_POLICY, DEFAULT_POLICY].into_iter().filter(|name| *name > page.after());
    let built_in: Vec<String> = built_in.map(str::to_owned).collect();
    Ok(listing::names(app, &prefix, page).await?.with(built_in))
}

/// `GET /v1/sys/policies/acl/<name>`: the text that it was made of; of one that was made as a document that document, as JSON.
///
/// # Errors
/// 404.
pub async fn policy(State(app): State<Arc<App>>, caller: Caller, Path(name): Path<String>) -> Answer {
    let text = text(&app, &caller, &name).await?;
    Ok(answer::data(json!({ "name": name, "policy": text })))
}

/// `GET /v1/sys/policy/<name>`.
///
/// # Errors
/// As [`policy`].
pub async fn old_policy(State(app): State<Arc<App>>, caller: Caller, Path(name): Path<String>) -> Answer {
    let text: Value = text(&app, &caller, &name).await?.into();
    let fields = [("name".to_owned(), name.into()), ("rules".to_owned(), text)];
    Ok(answer::data_twice(fields.into_iter().collect()))
}

async fn text(app: &App, caller: &Caller, name: &str) -> Answer<String> {
    let name = name.to_ascii_lowercase();
    match app.db.get(&layout::document(caller.tenant(), &format!("{POLICIES}/{name}"))).await? {
        Some(stored) => {
            let policy: PolicyConfig = serde_json::from_slice(&stored.value).map_err(ApiError::internal)?;
            let document = || String::from_utf8(stored.value.to_vec()).map_err(ApiError::internal);
            policy.vault_policy.map_or_else(document, Ok)
        }
        None if is_built_in(&name) => Ok(String::new()),
        None => Err(answer::missing()),
    }
}

/// What these clients take for the policy that may do everything. Here it says nothing, and is not to be written by those who think so.
const ROOT: &str = "root";

fn is_built_in(name: &str) -> bool {
    [ADMINISTRATOR_POLICY, DEFAULT_POLICY].contains(&name)
}

/// A policy as these clients write it; `rules` is what the older path calls it. More that they send is for what there is not.
#[derive(Default, Deserialize)]
#[serde(default)]
pub struct PolicyBody {
    #[serde(alias = "rules")]
    policy: String,
    #[serde(deserialize_with = "fields::ttl")]
    ttl: Option<Duration>,
    #[serde(deserialize_with = "fields::text")]
    expiration: String,
    cas: Option<i64>,
    cas_required: Option<bool>,
}

/// The `cas` of a policy that is to be made, and not to be replaced.
const NOT_THERE: i64 = -1;

impl PolicyBody {
    /// What cannot be kept and would allow more if it was left out: that the policy ends, or that it is written only over what the
    /// client has seen.
    fn refuse_conditions(&self) -> Answer<()> {
        let ends = [("ttl", self.ttl.is_some()), ("expiration", !self.expiration.is_empty())];
        if let Some((field, _)) = ends.into_iter().find(|(_, is_set)| *is_set) {
            return Err(ApiError::invalid(format!(
                "`{field}` is not taken: a policy does not end by itself, and leaving that out would allow more; delete it in time"
            )));
        }
        if self.cas.is_some_and(|cas| cas != NOT_THERE) || self.cas_required == Some(true) {
            return Err(ApiError::invalid(
                "`cas` (but -1) and `cas_required` are not taken: policies have no version here; write the document with `If-Match`",
            ));
        }
        Ok(())
    }
}

/// `POST /v1/sys/policies/acl/<name>`: puts the policy in place that the text comes to.
///
/// # Errors
/// 400 for a text that cannot be said in rules, and for conditions that policies here cannot have, with the reason.
pub async fn write_policy(
    State(app): State<Arc<App>>,
    caller: Caller,
    Path(name): Path<String>,
    VaultBody(body): VaultBody<PolicyBody>,
) -> Answer {
    let (name, path) = policy_path(&name)?;
    let key = layout::document(caller.tenant(), path.as_str());
    // Of several who write one at the same time each finds what the one before left.
    let _turn = app.turns.take(key.clone()).await;
    let condition = match app.db.get(&key).await? {
        Some(stored) => {
            let tag = Revision::new(stored.revision).to_string();
            Condition::Match(tag.parse().map_err(ApiError::internal)?)
        }
        None => Condition::Absent,
    };
    if name.as_str() == ROOT {
        return Err(ApiError::invalid("cannot update \"root\" policy"));
    }
    if body.policy.is_empty() {
        return Err(ApiError::invalid("'policy' parameter not supplied or empty"));
    }
    body.refuse_conditions()?;
    if body.cas.is_some() && !matches!(condition, Condition::Absent) {
        return Err(ApiError::invalid("check-and-set parameter set to -1 on existing entry"));
    }
    let policy = PolicyConfig::from_vault(name, plain(body.policy)?)
        .map_err(|error| ApiError::invalid(format!("failed to parse policy: {error}")))?;
    let document = serde_json::to_vec(&policy).map_err(ApiError::internal)?;
    let bulk = Bulk::from(Item::from_json(path, Operation::Replace, &document)?);
    changes::apply_as_asked_if(&app, &caller, &bulk, Precondition { key, condition }).await?;
    Ok(answer::nothing())
}

/// A policy that may be written in base64, as whatever can be read as such is.
fn plain(text: String) -> Answer<String> {
    let Ok(decoded) = Speech::Vault.base64("policy", &text) else { return Ok(text) };
    String::from_utf8(decoded.to_vec()).map_err(|_| ApiError::invalid("`policy` is base64, but not of a text in UTF-8"))
}

/// `DELETE /v1/sys/policies/acl/<name>`. What is not there is as good as deleted.
///
/// # Errors
/// 400 for one that is built in.
pub async fn delete_policy(State(app): State<Arc<App>>, caller: Caller, Path(name): Path<String>) -> Answer {
    if is_built_in(&name.to_ascii_lowercase()) || name.eq_ignore_ascii_case(ROOT) {
        return Err(ApiError::invalid(format!("cannot delete {name:?} policy")));
    }
    if let Ok((_, path)) = policy_path(&name) {
        let deleted = changes::apply_as_asked(&app, &caller, &Bulk::from(Item::delete(path))).await;
        if let Err(error) = deleted
            && error.status() != StatusCode::NOT_FOUND
        {
            return Err(error);
        }
    }
    Ok(answer::nothing())
}

/// Their names know no upper case.
fn policy_path(name: &str) -> Answer<(Name, DocumentPath)> {
    let name: Name = name.to_ascii_lowercase().parse().map_err(|_| {
        ApiError::invalid("the name of a policy has lower-case letters, digits and `-` between them, and nothing else")
    })?;
    let path = format!("{POLICIES}/{name}");
    let path = path.parse().map_err(|error: keyward_config_tree::PathError| ApiError::invalid(error.to_string()))?;
    Ok((name, path))
}

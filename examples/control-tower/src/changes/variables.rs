//! Variables that policies name and nothing gives a value.

use std::collections::{BTreeMap, BTreeSet};

use keyward_approle::PolicyConfig;
use keyward_config_tree::{Path, Plan};
use keyward_config_values::config::{SiteConfig, VariableConfig, Variables};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{
    app::App,
    documents::{POLICIES, SITES, VARIABLES},
    http::{caller::Caller, error::Answer},
    policies,
};

/// Which variables have no value once the change is made: those that its policies name, and those of any policy that it takes the
/// value from.
pub(super) async fn warnings(app: &App, caller: &Caller, plan: &Plan) -> Answer<Vec<Value>> {
    let removed: BTreeSet<&str> = plan
        .changes()
        .iter()
        .filter(|change| change.after().is_none() && is_in(change.path(), VARIABLES))
        .map(|change| change.path().name())
        .collect();
    if removed.is_empty() && !plan.outcomes().iter().any(|outcome| is_in(outcome.path(), POLICIES)) {
        return Ok(Vec::new());
    }
    let variables = after::<VariableConfig>(app, caller, plan, VARIABLES).await?;
    let sites = after::<SiteConfig>(app, caller, plan, SITES).await?;
    let (variables, sites) = (Variables::new(variables.into_values()), sites.into_values().collect::<Vec<_>>());
    let policies = after::<PolicyConfig>(app, caller, plan, POLICIES).await?;
    let mut warnings = Vec::new();
    for (path, policy) in &policies {
        let touched = plan.outcomes().iter().any(|outcome| outcome.path() == path);
        for warning in policy.variable_warnings(&variables, &sites) {
            if touched || removed.contains(warning.variable.base()) {
                let (field, text) = (&warning.field, warning.to_string());
                warnings.push(json!({"path": path.as_str(), "field": field, "warning": text}));
            }
        }
    }
    Ok(warnings)
}

fn is_in(path: &Path, collection: &str) -> bool {
    path.as_str().strip_prefix(collection).is_some_and(|rest| rest.starts_with('/'))
}

/// The documents of a collection as a plan leaves them.
async fn after<T: DeserializeOwned>(
    app: &App,
    caller: &Caller,
    plan: &Plan,
    collection: &str,
) -> Answer<BTreeMap<Path, T>> {
    let mut documents: BTreeMap<Path, T> =
        policies::documents(app, caller.tenant(), collection).await?.into_iter().collect();
    for outcome in plan.outcomes().iter().filter(|outcome| is_in(outcome.path(), collection)) {
        match outcome.change().after().and_then(|document| document.to::<T>().ok()) {
            Some(document) => documents.insert(outcome.path().clone(), document),
            None => documents.remove(outcome.path()),
        };
    }
    Ok(documents)
}

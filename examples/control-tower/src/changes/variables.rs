//! Variables that policies name and nothing gives a value.

use std::collections::{BTreeMap, BTreeSet};

use keyward_approle::PolicyConfig;
use keyward_config_tree::{Path, Plan};
use keyward_config_values::{
    Name,
    config::{SiteConfig, VariableConfig, Variables},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::current::Current;
use crate::{
    app::App,
    documents::{POLICIES, SITES, VARIABLES},
    http::{caller::Caller, error::Answer},
    layout,
};

/// Which variables have no value once the change is made: those that its policies name, and those of any policy that it takes the
/// value from.
pub(super) async fn warnings(app: &App, caller: &Caller, plan: &Plan) -> Answer<Vec<Value>> {
    let removed: Vec<&Path> = plan
        .changes()
        .iter()
        .filter(|change| change.after().is_none() && is_in(change.path(), VARIABLES))
        .map(|change| change.path())
        .collect();
    if removed.is_empty() && !plan.outcomes().iter().any(|outcome| is_in(outcome.path(), POLICIES)) {
        return Ok(Vec::new());
    }
    let tenant = caller.tenant();
    let head = app.db.store().get(&layout::config_head(tenant)).await?;
    let touched = plan.outcomes().iter().map(|outcome| outcome.path().clone());
    let current = Current::open(app, tenant, head.as_ref(), touched).await?;
    let mut after = After { app, tenant, plan, current };
    let mut policies = after.touched(|path| is_in(path, POLICIES));
    for path in &removed {
        policies.extend(after.naming(path, POLICIES).await?);
    }
    let mut warnings = Vec::new();
    for path in &policies {
        let Some(policy) = after.get::<PolicyConfig>(path).await? else { continue };
        let (mut variables, mut sites) = (Vec::new(), BTreeMap::new());
        for name in policy.variables() {
            let Ok(place) = format!("{VARIABLES}/{name}").parse::<Path>() else { continue };
            variables.extend(after.get::<VariableConfig>(&place).await?);
            for site in after.naming(&place, SITES).await?.into_iter().chain(after.touched(|path| is_in(path, SITES))) {
                if let Some(config) = after.get::<SiteConfig>(&site).await? {
                    sites.insert(site, config);
                }
            }
        }
        let sites: Vec<SiteConfig> = sites.into_values().collect();
        for warning in policy.variable_warnings(&Variables::new(variables), &sites) {
            let is_touched = plan.outcomes().iter().any(|outcome| outcome.path() == path);
            if is_touched || removed.iter().any(|removed| removed.name() == warning.variable.base()) {
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

/// The documents as a plan leaves them.
struct After<'a> {
    app: &'a App,
    tenant: &'a Name,
    plan: &'a Plan,
    current: Current,
}

impl After<'_> {
    fn touched(&self, of: impl Fn(&Path) -> bool) -> BTreeSet<Path> {
        self.plan.outcomes().iter().map(|outcome| outcome.path()).filter(|path| of(path)).cloned().collect()
    }

    /// Those of a collection that name a document, but for what the plan touches; of many only some.
    async fn naming(&self, to: &Path, collection: &str) -> Answer<Vec<Path>> {
        self.current.naming(self.app, self.tenant, to, collection).await
    }

    async fn get<T: DeserializeOwned>(&mut self, path: &Path) -> Answer<Option<T>> {
        // The last outcome of a path is what stays of it.
        let document = match self.plan.outcomes().iter().rfind(|outcome| outcome.path() == path) {
            Some(outcome) => outcome.change().after().cloned(),
            None => self.current.document(self.app, self.tenant, path).await?,
        };
        Ok(document.and_then(|document| document.to().ok()))
    }
}

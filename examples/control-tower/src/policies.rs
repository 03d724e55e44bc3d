//! The policies of a tenant with the variables that they name, made ready once per change of its configuration.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError},
};

use keyward_approle::{Invalid, PolicyConfig, PolicySet};
use keyward_config_tree::{Path, PathError};
use keyward_config_values::{
    Bindings, Name,
    config::{SiteConfig, VariableConfig, Variables},
};
use serde::de::DeserializeOwned;

use crate::{
    app::App,
    db::DbError,
    documents::{POLICIES, SITES, VARIABLES},
    layout,
    store::{Revision, snapshot},
};

/// Policies by tenant, each with the revision of the configuration that they were made of.
#[derive(Default)]
pub struct Cache(Mutex<HashMap<Name, (Revision, Arc<Prepared>)>>);

/// The policies of a tenant, and where their variables get values.
pub struct Prepared {
    /// The policies.
    pub set: PolicySet,
    /// Nothing where no policy names a variable.
    variables: Variables,
    sites: BTreeMap<Name, SiteConfig>,
    bindings: Arc<Bindings>,
    /// Of the sites that were asked for.
    at_sites: Mutex<HashMap<Name, Arc<Bindings>>>,
}

impl Prepared {
    /// A site, if there is one of that name and a policy names a variable.
    pub fn site(&self, name: &Name) -> Option<&SiteConfig> {
        self.sites.get(name)
    }

    /// What documents say of variables: those of the tenant, and at a site those of the site in their place.
    pub fn bindings(&self, site: Option<&SiteConfig>) -> Arc<Bindings> {
        let Some(site) = site else { return Arc::clone(&self.bindings) };
        let mut known = self.at_sites.lock().unwrap_or_else(PoisonError::into_inner);
        let bindings = known.entry(site.name.clone()).or_insert_with(|| Arc::new(self.variables.at(site).bindings()));
        Arc::clone(bindings)
    }
}

impl Cache {
    /// Lets go of the policies of a tenant that is gone.
    pub fn forget(&self, tenant: &Name) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(tenant);
    }
}

/// The policies of a tenant as they are now.
///
/// # Errors
/// Those of the store.
pub async fn of(app: &App, tenant: &Name) -> Result<Arc<Prepared>, DbError> {
    let head = app.db.store().get(&layout::config_head(tenant)).await?.map_or(0, |entry| entry.revision);
    {
        let cache = app.policies.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((revision, prepared)) = cache.get(tenant)
            && *revision == head
        {
            return Ok(Arc::clone(prepared));
        }
    }
    let mut set = PolicySet::new();
    let mut has_variables = false;
    for (path, policy) in documents::<PolicyConfig>(app, tenant, POLICIES).await? {
        let damaged = |error: Invalid| DbError::Damaged {
            key: layout::document(tenant, path.as_str()),
            reason: error.to_string(),
        };
        set.insert(&policy).map_err(damaged)?;
        has_variables |= set.has_variables(std::slice::from_ref(&policy.name));
    }
    let (variables, sites) = match has_variables {
        true => variables_and_sites(app, tenant).await?,
        false => Default::default(),
    };
    let sites = sites.into_iter().map(|site| (site.name.clone(), site)).collect();
    let bindings = Arc::new(variables.bindings());
    let prepared = Arc::new(Prepared { set, variables, sites, bindings, at_sites: Mutex::default() });
    let mut cache = app.policies.0.lock().unwrap_or_else(PoisonError::into_inner);
    cache.insert(tenant.clone(), (head, Arc::clone(&prepared)));
    Ok(prepared)
}

/// The variables of a tenant, and its sites.
///
/// # Errors
/// Those of the store.
pub async fn variables_and_sites(app: &App, tenant: &Name) -> Result<(Variables, Vec<SiteConfig>), DbError> {
    let variables = documents::<VariableConfig>(app, tenant, VARIABLES).await?;
    let sites = documents::<SiteConfig>(app, tenant, SITES).await?;
    let variables = Variables::new(variables.into_iter().map(|(_, variable)| variable));
    Ok((variables, sites.into_iter().map(|(_, site)| site).collect()))
}

/// The documents of a collection.
///
/// # Errors
/// Those of the store.
pub async fn documents<T: DeserializeOwned>(
    app: &App,
    tenant: &Name,
    collection: &str,
) -> Result<Vec<(Path, T)>, DbError> {
    let root = layout::documents(tenant);
    let (_, entries) = snapshot(&**app.db.store(), &format!("{root}{collection}/")).await?;
    let mut documents = Vec::with_capacity(entries.len());
    for entry in entries {
        let opened = app.db.open(entry).await?;
        let damaged = |reason: String| DbError::Damaged { key: opened.key.clone(), reason };
        let path = opened
            .key
            .strip_prefix(&root)
            .unwrap_or_default()
            .parse()
            .map_err(|error: PathError| damaged(error.to_string()))?;
        documents.push((path, serde_json::from_slice(&opened.value).map_err(|error| damaged(error.to_string()))?));
    }
    Ok(documents)
}

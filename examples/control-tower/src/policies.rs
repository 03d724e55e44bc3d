//! The policies of a tenant with the variables that they name, made ready when they are first asked for and after each change of theirs.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, btree_map::Entry},
    sync::{Arc, Mutex, PoisonError},
};

use keyward_approle::{ADMINISTRATOR_POLICY, DEFAULT_POLICY, Invalid, PolicyConfig, PolicySet};
use keyward_config_tree::{Path, PathError};
use keyward_config_values::{
    Bindings, Name, VariableName,
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

/// How many policies of a tenant are kept ready before it starts afresh.
const READY: usize = 20_000;

/// Policies by tenant, as far as they were asked for.
#[derive(Default)]
pub struct Cache(Mutex<HashMap<Name, Arc<Prepared>>>);

/// Policies of a tenant, and where their variables get values.
#[derive(Default)]
pub struct Prepared {
    /// The policies. Those that were asked for are as they are now; others may be as they were.
    pub set: PolicySet,
    /// Of what all of this was seen to be so.
    head: Revision,
    /// Those that are as of then.
    seen: BTreeSet<Name>,
    /// The documents that policies were made of; nothing where there is none.
    made_of: BTreeMap<Name, Option<Revision>>,
    /// Of those that the policies name, without an index.
    variables: BTreeMap<VariableName, Option<VariableConfig>>,
    bindings: Arc<Bindings>,
    /// The sites that were asked for.
    sites: Mutex<HashMap<Name, Option<AtSite>>>,
}

/// A site, and what documents say of variables there.
#[derive(Clone)]
pub struct AtSite {
    /// The site.
    pub config: Arc<SiteConfig>,
    /// Those of the tenant, and those of the site in their place.
    pub bindings: Arc<Bindings>,
}

impl Prepared {
    /// What documents say of variables where no site is known.
    pub fn bindings(&self) -> Arc<Bindings> {
        Arc::clone(&self.bindings)
    }

    /// A site, if there is one of that name.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn site(&self, app: &App, tenant: &Name, name: &Name) -> Result<Option<AtSite>, DbError> {
        let known = |sites: &Mutex<HashMap<Name, Option<AtSite>>>| {
            sites.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
        };
        if let Some(known) = known(&self.sites) {
            return Ok(known);
        }
        let config = document::<SiteConfig>(app, tenant, &format!("{SITES}/{name}")).await?;
        let at = config.map(|config| AtSite {
            bindings: Arc::new(self.variables().at(&config).bindings()),
            config: Arc::new(config),
        });
        self.sites.lock().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), at.clone());
        Ok(at)
    }

    fn variables(&self) -> Variables {
        Variables::new(self.variables.values().flatten().cloned())
    }

    /// The same, as of the head of that revision.
    fn as_of(&self, head: Revision) -> Self {
        let mut next = match self.made_of.len() < READY {
            true => Self { set: self.set.clone(), made_of: self.made_of.clone(), ..Self::default() },
            false => Self::default(),
        };
        if head == self.head {
            next.seen = self.seen.iter().filter(|name| next.made_of.contains_key(*name)).cloned().collect();
            next.variables = self.variables.clone();
        }
        Self { head, ..next }
    }

    /// Looks at the document of a policy, and makes it ready if it is another than before.
    async fn see(&mut self, app: &App, tenant: &Name, name: &Name) -> Result<(), DbError> {
        let key = layout::document(tenant, &format!("{POLICIES}/{name}"));
        let entry = app.db.store().get(&key).await?;
        let revision = entry.as_ref().map(|entry| entry.revision);
        if self.made_of.get(name) != Some(&revision) {
            match entry {
                Some(entry) => {
                    let damaged = |reason: String| DbError::Damaged { key: key.clone(), reason };
                    let opened = app.db.open(entry).await?;
                    let policy: PolicyConfig =
                        serde_json::from_slice(&opened.value).map_err(|error| damaged(error.to_string()))?;
                    self.set.insert(&policy).map_err(|error: Invalid| damaged(error.to_string()))?;
                }
                None => drop(self.set.remove(name)),
            }
            self.made_of.insert(name.clone(), revision);
        }
        self.seen.insert(name.clone());
        let named = self.set.variables(name).into_iter().filter(|variable| !variable.is_built_in());
        let bases: Vec<VariableName> = named.filter_map(|variable| variable.base().parse().ok()).collect();
        for base in bases {
            if let Entry::Vacant(vacant) = self.variables.entry(base) {
                let path = format!("{VARIABLES}/{}", vacant.key());
                vacant.insert(document::<VariableConfig>(app, tenant, &path).await?);
            }
        }
        Ok(())
    }
}

impl Cache {
    /// Lets go of the policies of a tenant that is gone.
    pub fn forget(&self, tenant: &Name) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(tenant);
    }
}

/// These policies of a tenant as they are now. What was not changed since is not read again.
///
/// # Errors
/// Those of the store.
pub async fn of(app: &App, tenant: &Name, names: &[Name]) -> Result<Arc<Prepared>, DbError> {
    let head = app.db.store().get(&layout::policies_head(tenant)).await?.map_or(0, |entry| entry.revision);
    let known = app.policies.0.lock().unwrap_or_else(PoisonError::into_inner).get(tenant).cloned().unwrap_or_default();
    let is_new = |name: &&Name| {
        ![DEFAULT_POLICY, ADMINISTRATOR_POLICY].contains(&name.as_str())
            && (known.head != head || !known.seen.contains(*name))
    };
    let new: Vec<&Name> = names.iter().filter(is_new).collect();
    if new.is_empty() {
        return Ok(known);
    }
    let mut next = known.as_of(head);
    for name in new {
        next.see(app, tenant, name).await?;
    }
    next.bindings = Arc::new(next.variables().bindings());
    let prepared = Arc::new(next);
    let mut cache = app.policies.0.lock().unwrap_or_else(PoisonError::into_inner);
    cache.insert(tenant.clone(), Arc::clone(&prepared));
    Ok(prepared)
}

/// A document, if it is there.
async fn document<T: DeserializeOwned>(app: &App, tenant: &Name, path: &str) -> Result<Option<T>, DbError> {
    let Some(stored) = app.db.get(&layout::document(tenant, path)).await? else { return Ok(None) };
    let damaged = |error: serde_json::Error| DbError::Damaged { key: stored.key.clone(), reason: error.to_string() };
    serde_json::from_slice(&stored.value).map(Some).map_err(damaged)
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

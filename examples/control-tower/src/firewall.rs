//! The firewalls of the hosts: what the documents of all tenants come to at a site.
//!
//! Hosts and their sites are of the tenant `default`, and so are the documents `firewall` and `resource-profiles/<name>`. Each
//! tenant has documents `ingress/<name>`; what they come to at a site lies inside the profile that its document `tenants/<name>`
//! names, which is expanded with the values of the tenant `default` alone.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use keyward_config_tree::{Change, Path};
use keyward_config_values::{
    Bindings, Name,
    config::{SiteConfig, VariableConfig, Variables},
};
use keyward_nft_marks::config::{
    Allowance, ConfigError, FirewallConfig, HostFirewall, IngressConfig, ResourceProfileConfig, SiteIngress,
    TenantIngress,
};
use serde::de::DeserializeOwned;

use crate::{
    app::App,
    db::DbError,
    documents::{FIREWALL, INGRESS, PROFILES, SITES, VARIABLES},
    http::error::{Answer, ApiError},
    layout, policies,
    store::Revision,
    tenant::{self, Tenant, TenantConfig},
};

/// The documents that firewalls come from, of all tenants.
pub struct Documents {
    firewall: FirewallConfig,
    /// What the tenants may use.
    pub profiles: BTreeMap<Name, ResourceProfileConfig>,
    /// Where the hosts are.
    pub sites: BTreeMap<Name, SiteConfig>,
    /// The tenant `default` first, the others in the order of their names.
    tenants: Vec<OfTenant>,
}

/// The documents of one tenant.
struct OfTenant {
    /// Nothing for the tenant `default`, whose hosts they are.
    name: Option<Name>,
    profile: Option<Name>,
    ingress: Vec<IngressConfig>,
    variables: Variables,
    sites: BTreeMap<Name, SiteConfig>,
}

/// A tenant by its name; nothing for the tenant `default`.
pub type Whose<'a> = Option<&'a Name>;

/// What a tenant's documents become by a change.
#[derive(Clone, Copy)]
pub struct Changed<'a> {
    /// The id of the tenant.
    pub tenant: &'a Name,
    /// What changes.
    pub changes: &'a [Change],
}

impl Documents {
    /// As they are, or as a change leaves them.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn load(app: &App, changed: Option<Changed<'_>>) -> Result<Self, DbError> {
        let operators = Reader { app, tenant: &app.operators, changed };
        let firewall = operators.one::<FirewallConfig>(FIREWALL).await?.unwrap_or_default();
        let profiles = operators.all::<ResourceProfileConfig>(PROFILES).await?;
        let profiles = profiles.into_iter().map(|profile| (profile.name.clone(), profile)).collect();
        let default = OfTenant::load(&operators, None, None).await?;
        let sites = default.sites.clone();
        let mut tenants = vec![default];
        let mut others = Tenant::with(&app.db, layout::WITH_INGRESS).await?;
        // One that has none yet may be about to.
        if let Some(changed) = changed.filter(|changed| others.iter().all(|other| other.id != *changed.tenant)) {
            let changing = Tenant::by_id(&app.db, changed.tenant.as_str()).await?;
            others.extend(changing.map(|tenant| Tenant::clone(&tenant.value)));
        }
        for Tenant { id, name, .. } in others.iter().filter(|other| other.id != app.operators) {
            let config = operators.one::<TenantConfig>(&format!("{}/{name}", tenant::COLLECTION)).await?;
            let profile = config.and_then(|config| config.resource_profile);
            let reader = Reader { app, tenant: id, changed };
            tenants.push(OfTenant::load(&reader, Some(name.clone()), profile).await?);
        }
        tenants.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self { firewall, profiles, sites, tenants })
    }

    /// What the ingress of all tenants comes to at a site, or where there is no site yet. Of two tenants that want the same the
    /// one that is `last` gives way, else the later one.
    pub fn ingress(&self, site: Option<&SiteConfig>, last: Option<Whose<'_>>) -> SiteIngress {
        let mut tenants: Vec<&OfTenant> = self.tenants.iter().collect();
        tenants.sort_by_key(|tenant| Some(tenant.name.as_ref()) == last);
        let values: Vec<_> = tenants.iter().map(|tenant| (tenant.values(site), self.values(site))).collect();
        let parts: Vec<TenantIngress<'_>> = tenants
            .into_iter()
            .zip(&values)
            .map(|(tenant, (own, operators))| self.of_tenant(tenant, own, operators))
            .collect();
        // One that does not work is refused by itself.
        let room = self.firewall.room(&self.values(site)).unwrap_or_else(|_| self.firewall.max_ranges());
        SiteIngress::new(&parts, room)
    }

    fn of_tenant<'a>(&'a self, tenant: &'a OfTenant, own: &'a Bindings, operators: &'a Bindings) -> TenantIngress<'a> {
        let allowance = match (&tenant.name, &tenant.profile) {
            (None, _) => Allowance::Anything,
            (Some(_), None) => Allowance::Nothing,
            // One that is named and not there allows nothing.
            (Some(_), Some(name)) => match self.profiles.get(name) {
                Some(profile) => Allowance::Profile { profile, values: operators },
                None => Allowance::Nothing,
            },
        };
        TenantIngress { tenant: tenant.name.as_ref(), ingress: &tenant.ingress, values: own, allowance }
    }

    /// What the variables of the tenant `default` are at a site.
    pub fn values(&self, site: Option<&SiteConfig>) -> Bindings {
        self.tenants.first().map(|tenant| tenant.values(site)).unwrap_or_default()
    }

    /// That the document `firewall` works at a site by itself.
    ///
    /// # Errors
    /// What is wrong with it there.
    pub fn check(&self, site: Option<&SiteConfig>) -> Result<(), ConfigError> {
        self.firewall.firewall(keyward_nft_marks::Expansion::default(), &self.values(site)).map(drop)
    }

    /// What a host of a site loads.
    ///
    /// # Errors
    /// What is wrong with the document `firewall` there: nothing, where changes were checked.
    pub fn of_host(&self, site: &SiteConfig) -> Result<HostFirewall, ConfigError> {
        let ingress = self.ingress(Some(site), None);
        HostFirewall::new(site.name.clone(), &self.firewall, &self.values(Some(site)), &ingress)
    }
}

impl OfTenant {
    async fn load(reader: &Reader<'_>, name: Option<Name>, profile: Option<Name>) -> Result<Self, DbError> {
        let ingress = reader.all::<IngressConfig>(INGRESS).await?;
        let (mut variables, mut sites) = Default::default();
        // Of the tenant `default` they are what the others are expanded with too.
        if !ingress.is_empty() || name.is_none() {
            variables = Variables::new(reader.all::<VariableConfig>(VARIABLES).await?);
            let all = reader.all::<SiteConfig>(SITES).await?;
            sites = all.into_iter().map(|site| (site.name.clone(), site)).collect();
        }
        Ok(Self { name, profile, ingress, variables, sites })
    }

    /// What its variables are at a site: those of the tenant, in their place those of the site, and in theirs those of the
    /// tenant's own document of the site.
    fn values(&self, site: Option<&SiteConfig>) -> Bindings {
        let mut variables = self.variables.clone();
        let mut built_in = Vec::new();
        if let Some(site) = site {
            variables = variables.at(site);
            if let Some(own) = self.sites.get(&site.name).filter(|_| self.name.is_some()) {
                variables = variables.at(own);
                built_in.push(own.bindings());
            }
            built_in.push(site.bindings());
        }
        let mut values = variables.bindings();
        for bindings in built_in {
            bindings.iter().for_each(|(name, value)| drop(values.set(name.clone(), value)));
        }
        if let Ok(variable) = "tenant".parse() {
            values.set(variable, self.name.as_ref().map_or(tenant::DEFAULT, Name::as_str));
        }
        values
    }
}

/// Reads the documents of a tenant.
struct Reader<'a> {
    app: &'a App,
    tenant: &'a Name,
    changed: Option<Changed<'a>>,
}

impl Reader<'_> {
    fn changes(&self) -> &[Change] {
        self.changed.filter(|changed| changed.tenant == self.tenant).map_or(&[], |changed| changed.changes)
    }

    async fn all<T: DeserializeOwned>(&self, collection: &str) -> Result<Vec<T>, DbError> {
        let mut documents: BTreeMap<Path, T> =
            policies::documents(self.app, self.tenant, collection).await?.into_iter().collect();
        let is_in = |path: &Path| path.as_str().strip_prefix(collection).is_some_and(|rest| rest.starts_with('/'));
        for change in self.changes().iter().filter(|change| is_in(change.path())) {
            match change.after().and_then(|document| document.to::<T>().ok()) {
                Some(document) => documents.insert(change.path().clone(), document),
                None => documents.remove(change.path()),
            };
        }
        Ok(documents.into_values().collect())
    }

    async fn one<T: DeserializeOwned>(&self, path: &str) -> Result<Option<T>, DbError> {
        if let Some(change) = self.changes().iter().find(|change| change.path().as_str() == path) {
            return Ok(change.after().and_then(|document| document.to().ok()));
        }
        let key = layout::document(self.tenant, path);
        let Some(stored) = self.app.db.get(&key).await? else { return Ok(None) };
        let damaged = |error: serde_json::Error| DbError::Damaged { key, reason: error.to_string() };
        serde_json::from_slice(&stored.value).map(Some).map_err(damaged)
    }
}

/// What the hosts of each site load, made ready once per change.
#[derive(Default)]
pub struct Cache(Mutex<Ready>);

#[derive(Default)]
struct Ready {
    /// Of [`layout::firewall_head`].
    revision: Option<Revision>,
    sites: BTreeMap<Name, Arc<str>>,
}

/// What a host of a site loads, as JSON; nothing where there is no such site.
///
/// # Errors
/// Those of the store.
pub async fn of_site(app: &App, name: &Name) -> Answer<Option<Arc<str>>> {
    // Read first: what is made of documents that change meanwhile is made again the next time.
    let revision = app.db.store().get(layout::firewall_head()).await?.map(|entry| entry.revision);
    if let Some(ready) = app.firewalls.ready(revision).sites.get(name) {
        return Ok(Some(Arc::clone(ready)));
    }
    let documents = Documents::load(app, None).await?;
    let Some(site) = documents.sites.get(name) else { return Ok(None) };
    let host = documents.of_host(site).map_err(ApiError::internal)?;
    let json: Arc<str> = serde_json::to_string(&host).map_err(ApiError::internal)?.into();
    app.firewalls.ready(revision).sites.insert(name.clone(), Arc::clone(&json));
    Ok(Some(json))
}

impl Cache {
    fn ready(&self, revision: Option<Revision>) -> MutexGuard<'_, Ready> {
        let mut ready = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if ready.revision != revision {
            *ready = Ready { revision, sites: BTreeMap::new() };
        }
        ready
    }
}

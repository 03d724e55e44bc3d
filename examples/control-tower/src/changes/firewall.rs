//! What a change does to the firewalls of the hosts.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use keyward_config_tree::{Change, Document, Field, FieldError, Path, Plan};
use keyward_config_values::{Name, config::SiteConfig};
use keyward_nft_marks::{
    Range,
    config::{LeftOut, SiteError},
};
use serde_json::{Value, json};

use super::Changes;
use crate::{
    documents::{FIREWALL, INGRESS, PROFILES, SITES, VARIABLES},
    firewall::{Changed, Documents},
    http::error::{Answer, ApiError},
    layout,
    store::{Guard, Write},
    tenant::{self, Tenant, TenantConfig},
};

/// The most ranges that are shown, of all documents and sites of a change; of the others there is the number alone.
const SHOWN: usize = 10_000;

/// What is told of firewalls.
#[derive(Default)]
pub(super) struct Firewalls {
    /// What the ranges of documents come to, by site.
    pub(super) sites: BTreeMap<Path, Value>,
    /// What other tenants lose by a change of an operator.
    pub(super) warnings: Vec<Value>,
}

/// Whether firewalls come from what changes.
fn concerns(change: &Change) -> bool {
    let path = change.path();
    path.as_str() == FIREWALL
        || [INGRESS, PROFILES, VARIABLES, SITES].into_iter().any(|collection| is_in(path, collection))
        // One that is made by it has nothing yet.
        || is_in(path, tenant::COLLECTION) && change.before().is_some() && profile(change.before()) != profile(change.after())
}

/// The resource profile of a tenant.
fn profile(document: Option<&Document>) -> Option<Name> {
    document?.to::<TenantConfig>().ok()?.resource_profile
}

impl Changes<'_> {
    /// Expands the ingress of all tenants as the change leaves it.
    ///
    /// What the change breaks of its own tenant's documents is refused. What an operator's change breaks of another tenant's is
    /// closed, and told: no tenant can keep the operators from making a profile smaller.
    ///
    /// # Errors
    /// The first document that does not work, with the site and the expression.
    pub(super) async fn firewalls(&mut self, plan: &Plan) -> Answer<Firewalls> {
        let outcomes: Vec<&Change> = plan.outcomes().iter().map(|outcome| outcome.change()).collect();
        let Some(last) = outcomes.iter().rfind(|change| concerns(change)) else {
            return Ok(Firewalls::default());
        };
        // Variables matter to those that may name them.
        if outcomes.iter().filter(|change| concerns(change)).all(|change| is_in(change.path(), VARIABLES))
            && !self.current.is_named(self.app, &self.tenant, VARIABLES).await?
        {
            return Ok(Firewalls::default());
        }
        // Two tenants that want the same at once: one of them looks again.
        let head = layout::firewall_head();
        let found = self.app.db.store().get(head).await?;
        self.guards.push(Guard::seen(head, found.as_ref()));
        self.writes.push(Write::Put(head.to_owned(), Vec::new()));

        let name = match self.app.is_operators(&self.tenant) {
            true => None,
            false => {
                let tenant = Tenant::by_id(&self.app.db, self.tenant.as_str()).await?;
                Some(tenant.ok_or_else(|| ApiError::internal("a tenant is gone"))?.value.name.clone())
            }
        };
        let changed = Changed { tenant: &self.tenant, changes: plan.changes() };
        let after = Documents::load(self.app, Some(changed)).await?;
        let mut checked = Checked {
            changes: self,
            plan,
            last: last.path(),
            name,
            after,
            before: None,
            told: Firewalls::default(),
            room: SHOWN,
        };
        let sites: Vec<SiteConfig> = checked.after.sites.values().cloned().collect();
        // Others are as they were.
        let is_site = |change: &Change| is_in(change.path(), SITES);
        let only = outcomes.iter().filter(|change| concerns(change)).all(|change| is_site(change));
        let is_touched = |site: &SiteConfig| {
            outcomes.iter().any(|change| is_site(change) && change.path().name() == site.name.as_str())
        };
        let touched: Vec<&SiteConfig> = sites.iter().filter(|site| !only || is_touched(site)).collect();
        if sites.is_empty() {
            checked.at(None).await?;
        }
        for site in touched {
            checked.at(Some(site)).await?;
        }
        Ok(checked.told)
    }
}

fn is_in(path: &Path, collection: &str) -> bool {
    path.as_str().strip_prefix(collection).is_some_and(|rest| rest.starts_with('/'))
}

/// The firewalls as a change leaves them.
struct Checked<'a, 'b> {
    changes: &'a Changes<'b>,
    plan: &'a Plan,
    /// The last document of the change that firewalls come from.
    last: &'a Path,
    /// Whose change it is; nothing for the tenant `default`.
    name: Option<Name>,
    after: Documents,
    /// As they are without the change, where it was needed.
    before: Option<Documents>,
    told: Firewalls,
    room: usize,
}

impl Checked<'_, '_> {
    async fn at(&mut self, site: Option<&SiteConfig>) -> Answer<()> {
        let place = site.map(|site| format!("at the site `{}`: ", site.name)).unwrap_or_default();
        if self.name.is_none()
            && let Err(error) = self.after.check(site)
            && !(site.is_none() && error.is_undefined())
        {
            let path: Path = FIREWALL.parse().map_err(|_| ApiError::internal("the path of the firewall"))?;
            return Err(self.refuse(StatusCode::UNPROCESSABLE_ENTITY, &path, &place, &error.to_string()));
        }
        let ingress = self.after.ingress(site, Some(self.name.as_ref()));
        for left in ingress.left_out() {
            if site.is_none() && left.error.is_undefined() {
                continue;
            }
            let path: Path = format!("{INGRESS}/{}", left.name).parse().map_err(|_| ApiError::internal("a path"))?;
            let own = left.tenant == self.name;
            if own && self.is_touched(&path) || (own || self.name.is_none()) && !self.was_left_out(site, left).await? {
                if own {
                    let status = match &left.error {
                        SiteError::Taken { .. } => StatusCode::CONFLICT,
                        _ => StatusCode::UNPROCESSABLE_ENTITY,
                    };
                    return Err(self.refuse(status, &path, &place, &left.error.to_string()));
                }
                let tenant = left.tenant.as_ref().map_or(tenant::DEFAULT, Name::as_str);
                let warning = format!("{place}what the tenant `{tenant}` has there is closed: {}", left.error);
                self.told.warnings.push(json!({"path": self.last.as_str(), "tenant": tenant, "warning": warning}));
            }
        }
        let Some(site) = site else { return Ok(()) };
        let name = self.name.clone();
        for placed in ingress.placed().iter().filter(|placed| placed.tenant == name) {
            self.show(site, &format!("{INGRESS}/{}", placed.name), placed.ranges());
        }
        if self.name.is_none() {
            let values = self.after.values(Some(site));
            let allowed: Vec<_> = self
                .after
                .profiles
                .values()
                .filter_map(|profile| Some((profile.path(), profile.allowed(&values, SHOWN).ok()?)))
                .collect();
            for (path, set) in allowed {
                self.show(site, &path, &set.iter().copied().collect::<Vec<_>>());
            }
        }
        Ok(())
    }

    fn is_touched(&self, path: &Path) -> bool {
        self.plan.outcomes().iter().any(|outcome| outcome.path() == path)
    }

    /// Whether a document had nothing at the site before the change either.
    async fn was_left_out(&mut self, site: Option<&SiteConfig>, left: &LeftOut) -> Answer<bool> {
        if self.before.is_none() {
            self.before = Some(Documents::load(self.changes.app, None).await?);
        }
        let Some(before) = &self.before else { return Ok(false) };
        let site = match site {
            Some(site) => match before.sites.get(&site.name) {
                Some(site) => Some(site),
                None => return Ok(false),
            },
            None => None,
        };
        let ingress = before.ingress(site, Some(self.name.as_ref()));
        Ok(ingress.left_out().iter().any(|other| (&other.tenant, &other.name) == (&left.tenant, &left.name)))
    }

    /// A refusal at the document itself where it is part of the change, else at the one that breaks it.
    fn refuse(&self, status: StatusCode, path: &Path, place: &str, error: &str) -> ApiError {
        let (path, field) = match self.is_touched(path) {
            true if path.as_str() == FIREWALL => (path, Field::root()),
            true => (path, Field::root().key("ranges")),
            false => (self.last, Field::root()),
        };
        let error = error.strip_prefix(&format!("`{path}`: ")).unwrap_or(error);
        let (message, remedy) = error.rsplit_once("; ").unwrap_or((error, "correct it, or change the other one first"));
        let error = FieldError::new(field, format!("{place}{message}")).with_remedy(remedy);
        self.changes.refuse(status, path, error)
    }

    /// Tells what a document of the change comes to.
    fn show(&mut self, site: &SiteConfig, path: &str, ranges: &[Range]) {
        let Some(path) = path.parse().ok().filter(|path| self.is_touched(path)) else { return };
        let shown: Vec<String> = ranges.iter().take(self.room).map(|range| range.written()).collect();
        self.room -= shown.len();
        let sites = self.told.sites.entry(path).or_insert_with(|| json!({}));
        if let Some(sites) = sites.as_object_mut() {
            sites.insert(site.name.to_string(), json!({"count": ranges.len(), "ranges": shown}));
        }
    }
}

//! What follows from a change of tenants, and who has which trust domain.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use keyward_config_tree::{Change, Field, FieldError, Path};
use keyward_config_values::Name;
use keyward_spiffe_id::TrustDomain;

use super::Changes;
use crate::{
    http::error::{Answer, ApiError},
    identity::{self, Claim, SETTINGS},
    layout, random,
    store::{Guard, Write},
    tenant::{
        COLLECTION, Tenant,
        removal::{self, Removal},
    },
};

/// Trust domains whose claims end with the very commit that removes a tenant; of more the rest ends a little later.
const MOST_CLAIMS: usize = 1000;
/// Documents that are counted to say why a tenant is not empty.
const COUNTED: usize = 100;

/// The tenant that a document is of.
pub(super) fn named(path: &Path) -> Option<Name> {
    super::name_in(path, COLLECTION)
}

impl Changes<'_> {
    /// Makes a tenant, or removes it.
    pub(super) async fn tenant(&mut self, name: &Name, change: &Change) -> Answer<()> {
        match (change.before(), change.after()) {
            (None, Some(_)) => self.make_tenant(name, change.path()).await,
            (Some(_), None) => self.remove_tenant(name, change.path()).await,
            _ => Ok(()),
        }
    }

    async fn make_tenant(&mut self, name: &Name, path: &Path) -> Answer<()> {
        let id: Name = random::uuid().parse().map_err(ApiError::internal)?;
        let tenant = Tenant::new(id.clone(), name.clone());
        let record = tenant.encode().map_err(ApiError::internal)?;
        let (by_name, by_id) = (layout::tenant(name), layout::tenant_id(id.as_str()));
        self.guards.extend([Guard::Absent(by_name.clone()), Guard::Absent(by_id.clone())]);
        self.writes.push(self.app.db.put(by_name, &record)?);
        self.writes.push(self.app.db.put(by_id, &record)?);
        // Under an external URL whose host is no trust domain it has none until its settings say so.
        if let Ok(trust_domain) = identity::default_trust_domain(self.app, name) {
            let taken = |message: String| {
                let error = FieldError::new("name", message).with_remedy("choose another name");
                (StatusCode::CONFLICT, error)
            };
            self.claim(&id, &trust_domain, path, taken).await?;
        }
        Ok(())
    }

    async fn remove_tenant(&mut self, name: &Name, path: &Path) -> Answer<()> {
        let stored = Tenant::by_name(&self.app.db, name).await?;
        let stored = stored.ok_or_else(|| ApiError::internal(format!("the tenant `{name}` is not stored")))?;
        let id = stored.value.id.clone();
        // Whatever is changed of its configuration meanwhile makes this one look again.
        let head = layout::config_head(&id);
        let found = self.app.db.store().get(&head).await?;
        self.guards.extend([stored.guard(), Guard::seen(&head, found.as_ref())]);
        if !self.force {
            self.refuse_unless_empty(name, &id, path).await?;
        }
        let claims = self.app.db.store().range(&layout::trust_domains(&id), None, MOST_CLAIMS, None).await?;
        for claim in claims {
            let trust_domain = claim.key.strip_prefix(&layout::trust_domains(&id)).unwrap_or_default();
            let owned = removal::owned(self.app, &id, trust_domain, &mut self.guards).await?;
            self.writes.extend(owned.map(Write::Delete));
            self.writes.push(Write::Delete(claim.key));
        }
        let removal = Removal::new(id.clone(), name.clone(), self.now);
        let record = removal.encode().map_err(ApiError::internal)?;
        self.writes.extend([stored.key.clone(), layout::tenant_id(id.as_str())].map(Write::Delete));
        self.writes.push(self.app.db.put(removal.key(), &record)?);
        self.removed.push(id);
        Ok(())
    }

    async fn refuse_unless_empty(&self, name: &Name, id: &Name, path: &Path) -> Answer<()> {
        let prefix = layout::documents(id);
        let documents = self.app.db.store().range(&prefix, None, COUNTED, None).await?;
        if documents.is_empty() {
            return Ok(());
        }
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for document in &documents {
            let path = document.key.strip_prefix(&prefix).unwrap_or_default();
            *counts.entry(path.rsplit_once('/').map_or(path, |(collection, _)| collection)).or_default() += 1;
        }
        let listed: Vec<String> =
            counts.iter().map(|(collection, count)| format!("{count} of `{collection}`")).collect();
        let more = if documents.len() == COUNTED { ", and perhaps more" } else { "" };
        let message = format!("the tenant `{name}` still has documents: {}{more}", listed.join(", "));
        let error = FieldError::new(Field::root(), message).with_remedy(
            "delete them first, or repeat this with `?force=true`, which destroys everything that the tenant has",
        );
        Err(self.refuse(StatusCode::CONFLICT, path, error))
    }

    /// Gives a trust domain to a tenant, unless another one has it; `taken` says what to refuse then.
    pub(super) async fn claim(
        &mut self,
        tenant: &Name,
        trust_domain: &TrustDomain,
        path: &Path,
        taken: impl FnOnce(String) -> (StatusCode, FieldError),
    ) -> Answer<()> {
        let claim = match self.claimed.get(trust_domain) {
            Some(other) if other != tenant => Claim::Taken,
            Some(_) => return Ok(()),
            None => identity::claim(self.app, tenant, trust_domain).await?,
        };
        if claim.add_to(&mut self.guards, &mut self.writes) {
            self.claimed.insert(trust_domain.clone(), tenant.clone());
            return Ok(());
        }
        let (status, error) = taken(format!("the trust domain `{trust_domain}` belongs to another tenant"));
        Err(self.refuse(status, path, error))
    }

    /// Gives the trust domain that settings name to their tenant. Those below the tower's own host are the defaults of tenants, and
    /// refused alike whether there is such a tenant or not.
    pub(super) async fn claim_configured(&mut self, trust_domain: &TrustDomain, path: &Path) -> Answer<()> {
        let field = "trust-domain";
        let tenant = self.tenant.clone();
        if !self.app.is_operators(&tenant) {
            let name = Tenant::by_id(&self.app.db, tenant.as_str()).await?;
            let name = name.ok_or_else(|| ApiError::internal("a tenant is gone"))?.value.name.clone();
            let own = identity::default_trust_domain(self.app, &name).ok();
            if own.as_ref() != Some(trust_domain) && identity::is_of_tower(self.app, trust_domain) {
                let message = format!("`{trust_domain}` is kept for the tower and the tenants that it is named after");
                let error = FieldError::new(field, message).with_remedy(match own {
                    Some(own) => format!("leave it out for `{own}`, or name a trust domain of your own"),
                    None => "name a trust domain of your own".to_owned(),
                });
                return Err(self.refuse(StatusCode::UNPROCESSABLE_ENTITY, path, error));
            }
        }
        let remedy = format!("set another `{field}` in `{SETTINGS}`");
        let taken = |message| (StatusCode::CONFLICT, FieldError::new(field, message).with_remedy(remedy));
        self.claim(&tenant, trust_domain, path, taken).await
    }
}

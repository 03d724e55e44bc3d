//! The authorities that a change is about or that issuing needs, as they are to be, and which of them issues.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use keyward_config_tree::{Change, Field, FieldError, Path};
use keyward_config_values::Name;
use keyward_spiffe_id::TrustDomain;
use keyward_svid::{
    SpiffeSettings,
    x509::authority::{AuthorityRing, CaConfig, Error, IssuingAuthorities},
};
use keyward_transit::FirstActivation;

use super::{Changes, name_in, ring_set::Set};
use crate::{
    authorities::{self, OWN, is_of},
    call_home,
    db::Stored,
    documents::{AUTHORITIES, authority_error},
    due,
    http::error::{Answer, ApiError},
    identity::{Identity, SETTINGS},
    layout,
    store::Guard,
    tenant::Tenant,
    tls,
};

impl Changes<'_> {
    /// What follows for authorities; answers whether verifiers may see any of it. A dry run generates no keys.
    pub(super) async fn authorities(&mut self, list: &[Change], dry_run: bool) -> Answer<bool> {
        let settings = list.iter().rfind(|change| change.path().as_str() == SETTINGS);
        let touched: BTreeSet<Name> = list.iter().filter_map(|change| self.authority_in(change.path())).collect();
        if settings.is_none() && touched.is_empty() {
            return Ok(false);
        }
        let mut identity = Identity::load(&self.app.db, &self.tenant).await?;
        if let Some(change) = settings {
            let after = change.after().map(|document| document.to::<SpiffeSettings>()).transpose();
            identity = identity.with_settings(after.map_err(|error| ApiError::internal(error.to_string()))?);
        }
        let stored = authorities::issuing(&self.app.db, &self.tenant).await?;
        let mut issuing = stored.as_ref().map_or_else(IssuingAuthorities::default, |stored| (*stored.value).clone());
        let issues = identity.issuing_authority()?;
        let names = issuing.names().cloned().chain(touched).chain([issues.clone()]).collect();
        let mut set = Set::<AuthorityRing>::load(self, names).await?;
        for change in list {
            if let Some(name) = self.authority_in(change.path()) {
                set.change_authority(self, &identity, &issuing, name, change, dry_run).await?;
            }
        }
        if settings.is_some() && !dry_run && set.switch(self, &identity, &mut issuing, issues).await? {
            let key = layout::issuing_authorities(&self.tenant);
            self.guards.push(stored.map_or_else(|| Guard::Absent(key.clone()), |stored| Stored::guard(&stored)));
            let record = issuing.to_record().map_err(ApiError::internal)?;
            self.writes.extend(due::entry(&self.tenant, &key, self.now));
            self.writes.push(self.app.db.put(key, &record)?);
        }
        set.write(self)?;
        Ok(set.publishes_a_change())
    }

    /// The authority that a document is about. That of the API has no ring, and its fields count when it is made.
    fn authority_in(&self, path: &Path) -> Option<Name> {
        name_in(path, AUTHORITIES)
            .filter(|name| !self.app.is_operators(&self.tenant) || name.as_str() != tls::AUTHORITY)
    }

    /// Whether it is the one of the certificates to call home with.
    fn is_call_home(&self, name: &Name) -> bool {
        self.app.is_operators(&self.tenant) && name.as_str() == call_home::AUTHORITY
    }

    /// The trust domain as it is to be.
    async fn trust_domain(&self, identity: &Identity) -> Answer<TrustDomain> {
        let tenant = Tenant::by_id(&self.app.db, self.tenant.as_str()).await?;
        let tenant = tenant.ok_or_else(|| ApiError::internal("a token's tenant is gone"))?;
        identity.trust_domain(self.app, &tenant.value.name)
    }

    fn refuse_authority(&self, path: &Path, error: &Error) -> ApiError {
        let error = match error {
            Error::Ring(keyward_transit::Error::Immutable { field, .. }) => {
                FieldError::new(*field, error.to_string()).with_remedy("keep it, or make another authority")
            }
            error => authority_error(error),
        };
        self.refuse(StatusCode::UNPROCESSABLE_ENTITY, path, error)
    }
}

impl Set<AuthorityRing> {
    async fn change_authority(
        &mut self,
        changes: &Changes<'_>,
        identity: &Identity,
        issuing: &IssuingAuthorities,
        name: Name,
        change: &Change,
        dry_run: bool,
    ) -> Answer<()> {
        let path = change.path();
        let Some(document) = change.after() else {
            if changes.is_call_home(&name) {
                // Certificates of it are out: it stays, as it is by default.
                if let Some(ring) = self.now.get_mut(&name) {
                    let config = CaConfig::new(name.clone());
                    ring.reconfigure(config, changes.now).map_err(|error| changes.refuse_authority(path, &error))?;
                    self.changed.insert(name);
                }
                return Ok(());
            }
            if issuing.needs(&name, |name| self.now.get(name), changes.now) {
                let error = FieldError::new(Field::root(), "verifiers still need this authority")
                    .with_remedy("name another `issuing-ca` and delete it once the last SVID that it issued is over");
                return Err(changes.refuse(StatusCode::CONFLICT, path, error));
            }
            self.now.remove(&name);
            self.changed.insert(name);
            return Ok(());
        };
        let config: CaConfig = document.to().map_err(|error| ApiError::internal(error.to_string()))?;
        match self.now.get_mut(&name) {
            Some(ring) => {
                ring.reconfigure(config, changes.now).map_err(|error| changes.refuse_authority(path, &error))?;
            }
            None => self.make(changes, config, changes.trust_domain(identity).await?, issuing, dry_run).await?,
        }
        self.changed.insert(name);
        Ok(())
    }

    async fn make(
        &mut self,
        changes: &Changes<'_>,
        config: CaConfig,
        trust_domain: TrustDomain,
        issuing: &IssuingAuthorities,
        dry_run: bool,
    ) -> Answer<()> {
        let mut ring = match changes.is_call_home(&config.name) {
            true => AuthorityRing::for_clients(config, trust_domain, FirstActivation::AtOnce, changes.now)?,
            false => AuthorityRing::new(config, trust_domain, issuing.first_activation(), changes.now)?,
        };
        if !dry_run {
            Self::perform(changes, &mut ring).await?;
        }
        self.changed.insert(ring.name().clone());
        self.now.insert(ring.name().clone(), ring);
        Ok(())
    }

    /// Makes the authority issue that is to; answers whether that changes anything. The tenant's own is made at its first use,
    /// but ahead where it succeeds another.
    async fn switch(
        &mut self,
        changes: &Changes<'_>,
        identity: &Identity,
        issuing: &mut IssuingAuthorities,
        name: Name,
    ) -> Answer<bool> {
        if name == OWN && !issuing.ever_published() && !self.now.contains_key(&name) {
            return Ok(false);
        }
        let trust_domain = changes.trust_domain(identity).await?;
        // Whose trust domain was another is of no use to anybody who verifies identities of this one.
        let is_former = |name: &Name| self.now.get(name).is_some_and(|ring| !is_of(ring, &trust_domain));
        let renamed = issuing.names().any(is_former);
        if renamed {
            *issuing = IssuingAuthorities::default();
        }
        match self.now.get(&name) {
            Some(ring) if is_of(ring, &trust_domain) => {}
            Some(ring) => self.make(changes, ring.config().clone(), trust_domain, issuing, false).await?,
            None if name == OWN && !issuing.ever_published() => return Ok(renamed),
            None if name == OWN => {
                self.make(changes, CaConfig::new(name.clone()), trust_domain, issuing, false).await?
            }
            None => return Err(ApiError::internal("the issuing authority is not loaded")),
        }
        let mut ring = self.now.remove(&name).ok_or_else(|| ApiError::internal("the authority is not loaded"))?;
        let changed = issuing.switch(&mut ring, |name| self.now.get(name), changes.now)?;
        self.now.insert(name.clone(), ring);
        if changed {
            self.changed.insert(name);
        }
        Ok(changed || renamed)
    }
}

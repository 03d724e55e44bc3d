//! What follows from a change of documents: rings, the issuing state, roles.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use axum::http::StatusCode;
use keyward_approle::{Role, RoleConfig, SpiffeAuth};
use keyward_config_tree::{Change, Field, FieldError, Path};
use keyward_config_values::Name;
use keyward_spiffe_id::TrustDomain;
use keyward_svid::{SpiffeSettings, federation::FederationConfig};
use keyward_transit::{Issuing, Ring};

use super::{
    Changes, name_in,
    ring_set::Set,
    tenants,
    users::{self, name_of_user},
};
use crate::{
    db::Stored,
    documents::{KEYS, PROVIDERS, ROLES},
    due,
    federation::{self, Partner},
    http::error::{Answer, ApiError},
    identity::{self, SETTINGS},
    inbound::{self, SpiffeLoginConfig},
    layout, publication, random,
    store::{Guard, Write},
};

/// The trust domain that settings name.
fn configured_trust_domain(change: &Change) -> Answer<Option<TrustDomain>> {
    let Some(document) = change.after() else { return Ok(None) };
    let settings: SpiffeSettings = document.to().map_err(|error| ApiError::internal(error.to_string()))?;
    Ok(settings.trust_domain)
}

impl Changes<'_> {
    /// A refusal of a document, with its number and line in the bulk.
    pub(super) fn refuse(&self, status: StatusCode, path: &Path, error: FieldError) -> ApiError {
        let item = self.bulk.items().iter().rev().find(|item| item.path() == path);
        let error = item.map_or_else(|| error.clone().at(path), |item| item.refuse(error.clone()));
        ApiError::from(error).with_status(status)
    }

    /// Writes or removes the document itself.
    pub(super) fn document(&mut self, change: &Change) -> Answer<()> {
        let key = layout::document(&self.tenant, change.path().as_str());
        let write = match change.after() {
            Some(document) => {
                let mut value = document.clone().into_value();
                users::without_secrets(change.path(), &mut value);
                let bytes = serde_json::to_vec(&value).map_err(ApiError::internal)?;
                self.app.db.put(key, &bytes)?
            }
            None => Write::Delete(key),
        };
        self.writes.push(write);
        Ok(())
    }

    /// What follows from the documents: rings, the issuing state, roles. A dry run generates no keys.
    pub(super) async fn effects(&mut self, changes: &[Change], dry_run: bool) -> Answer<()> {
        let stored = identity::issuing(&self.app.db, &self.tenant).await?;
        let mut issuing = stored.as_ref().map_or_else(Issuing::default, |stored| Issuing::clone(&stored.value));
        let mut rings = Set::of_keys(self, &issuing, changes).await?;
        for change in changes {
            if let Some(name) = name_in(change.path(), KEYS)
                && self.brought.is_none_or(|brought| *brought.ring.name() != name)
            {
                rings.change(self, &issuing, name, change, dry_run).await?;
            }
        }
        if let Some(brought) = self.brought {
            rings.bring(self, &issuing, brought)?;
        }
        for change in changes {
            if let Some(name) = name_in(change.path(), ROLES) {
                self.role(&name, change).await?;
            } else if let Some(name) = name_in(change.path(), inbound::COLLECTION) {
                self.spiffe_auth(&name, change).await?;
            } else if let Some(trust_domain) = federation::trust_domain_in(change.path()) {
                self.federation(&trust_domain, change).await?;
            } else if let Some(name) = name_of_user(change.path()) {
                self.user(name, change, dry_run).await?;
            } else if let Some(name) = name_in(change.path(), PROVIDERS) {
                self.provider(&name, change).await?;
            } else if let Some(name) = tenants::named(change.path()) {
                self.tenant(&name, change).await?;
            } else if change.path().as_str() == SETTINGS {
                if let Some(trust_domain) = configured_trust_domain(change)? {
                    self.claim_configured(&trust_domain, change.path()).await?;
                }
                if !dry_run || change.after().is_none() {
                    self.settings(change, stored.as_ref(), &mut issuing, &mut rings)?;
                }
            }
        }
        if self.app.is_operators(&self.tenant) {
            self.sites(changes).await?;
        }
        self.refuse_shared_role_ids().await?;
        self.tokens_outlive_no_signing_key(changes, &issuing, &rings).await?;
        rings.write(self)?;
        self.having(changes).await?;
        let settings = changes.iter().any(|change| change.path().as_str() == SETTINGS);
        if self.authorities(changes, dry_run).await? || settings || rings.publishes_a_change() {
            let publication = publication::changes(self.app, &self.tenant, self.now).await?;
            publication.add_to(&mut self.guards, &mut self.writes);
        }
        Ok(())
    }

    /// What the documents alone do not show: a key that was replaced signs on until verifiers know the next one, and a version
    /// that was replaced keeps the end that it was given. Neither may sign tokens that live longer than it verifies.
    async fn tokens_outlive_no_signing_key(
        &mut self,
        changes: &[Change],
        issuing: &Issuing,
        rings: &Set<Ring>,
    ) -> Answer<()> {
        let about = |change: &&Change| {
            let path = change.path();
            name_in(path, ROLES).is_some() || name_in(path, KEYS).is_some() || path.as_str() == SETTINGS
        };
        let Some(changed) = changes.iter().rfind(about) else { return Ok(()) };
        // Of all others the longest life is known.
        let other = self.current.longest_role(self.app, &self.tenant).await?;
        let touched = changes.iter().filter(|change| name_in(change.path(), ROLES).is_some());
        let touched = touched.filter_map(|change| Some((change.path().clone(), change.after()?.clone())));
        let lives = other.into_iter().chain(touched).filter_map(|(path, document)| {
            let role = document.to::<RoleConfig>().ok().filter(|role| role.token_spiffe_jwt.is_some())?;
            Some((role.longest_token_life(&self.app.limits), path))
        });
        let Some((life, role)) = lives.max_by_key(|(life, _)| *life) else { return Ok(()) };
        for key in issuing.rings() {
            let only = |name: &Name| rings.now.get(name).filter(|_| name == key);
            if let Err(error) = issuing.check_tokens(life, only, self.now) {
                let path = if changes.iter().any(|change| *change.path() == role) { &role } else { changed.path() };
                let text = error.to_string();
                let (message, remedy) = text.split_once("; ").unwrap_or((&text, "shorten the role's tokens"));
                let message = format!(
                    "tokens of the role `{}` live up to {life}, longer than the key `{key}`, which still signs, verifies them: {message}",
                    role.name()
                );
                let error = FieldError::new(Field::root(), message).with_remedy(remedy);
                return Err(self.refuse(StatusCode::UNPROCESSABLE_ENTITY, path, error));
            }
        }
        Ok(())
    }

    fn settings(
        &mut self,
        change: &Change,
        stored: Option<&Stored<Arc<Issuing>>>,
        issuing: &mut Issuing,
        rings: &mut Set<Ring>,
    ) -> Answer<()> {
        let changed = match change.after() {
            Some(document) => {
                let settings: SpiffeSettings = document.to().map_err(|error| ApiError::internal(error.to_string()))?;
                let mut ring = rings
                    .now
                    .get(&settings.jwt_signing_key)
                    .cloned()
                    .ok_or_else(|| ApiError::internal("the signing key is not loaded"))?;
                let before = ring.signs_jwts();
                let changed = issuing.switch(&mut ring, |name| rings.now.get(name), self.now)?;
                if ring.signs_jwts() != before {
                    rings.changed.insert(settings.jwt_signing_key.clone());
                }
                rings.now.insert(settings.jwt_signing_key, ring);
                changed
            }
            None => issuing.retire(|name| rings.now.get(name), self.now),
        };
        if changed {
            let key = layout::issuing(&self.tenant);
            self.guards.push(stored.map_or_else(|| Guard::Absent(key.clone()), Stored::guard));
            let record = issuing.to_record().map_err(ApiError::internal)?;
            self.writes.extend(due::entry(&self.tenant, &key, self.now));
            self.writes.push(self.app.db.put(key, &record)?);
        }
        Ok(())
    }

    async fn role(&mut self, name: &Name, change: &Change) -> Answer<()> {
        let key = layout::role(&self.tenant, name.as_str());
        let stored = self.app.db.load(&key, Role::decode).await?;
        self.guards.push(stored.as_ref().map_or_else(|| Guard::Absent(key.clone()), Stored::guard));
        let role = match change.after() {
            Some(document) => {
                let config: RoleConfig = document.to().map_err(|error| ApiError::internal(error.to_string()))?;
                let role = match &stored {
                    Some(stored) => stored.value.reconfigure(config),
                    None => Role::create(self.tenant.clone(), config, &mut random::rng()),
                };
                Some(role.map_err(|error| ApiError::invalid(format!("`{}`: {error}", change.path())))?)
            }
            None => None,
        };
        let index = |role: &Role| layout::role_index(&self.app.pepper, role);
        let (before, after) = (stored.as_ref().map(|stored| index(&stored.value)), role.as_ref().map(index));
        if before != after {
            self.writes.extend(after.map(|index| Write::Put(index, Vec::new())));
            self.writes.extend(before.map(Write::Delete));
        }
        match role {
            Some(role) => {
                let bytes = role.encode().map_err(ApiError::internal)?;
                self.writes.push(self.app.db.put(key, &bytes)?);
            }
            None => {
                self.writes.push(Write::Delete(key));
                // Its secret-ids are nobody's from now on; what is at rest of them goes in the background.
                let left = layout::secret_id_accessors(&self.tenant, name.as_str());
                self.writes.push(Write::Put(layout::expiry(self.now, &left), Vec::new()));
            }
        }
        Ok(())
    }

    async fn spiffe_auth(&mut self, name: &Name, change: &Change) -> Answer<()> {
        let key = layout::spiffe_auth(&self.tenant, name.as_str());
        let stored = self.app.db.load(&key, SpiffeAuth::decode).await?;
        self.guards.push(stored.as_ref().map_or_else(|| Guard::Absent(key.clone()), Stored::guard));
        let Some(document) = change.after() else {
            self.writes.push(Write::Delete(key));
            return Ok(());
        };
        let config: SpiffeLoginConfig = document.to().map_err(|error| ApiError::internal(error.to_string()))?;
        let (trust_domain, rules) = (config.trust_domain, config.spiffe_id_patterns);
        let auth = match &stored {
            Some(stored) => stored.value.reconfigure(trust_domain, rules),
            None => SpiffeAuth::create(self.tenant.clone(), name.clone(), trust_domain, rules, &mut random::rng()),
        };
        let auth = auth.map_err(|error| ApiError::invalid(format!("`{}`: {error}", change.path())))?;
        let bytes = auth.encode().map_err(ApiError::internal)?;
        self.writes.push(self.app.db.put(key, &bytes)?);
        Ok(())
    }

    async fn federation(&mut self, trust_domain: &TrustDomain, change: &Change) -> Answer<()> {
        let key = layout::federation(&self.tenant, trust_domain.as_str());
        let stored = self.app.db.get(&key).await?;
        self.guards.push(stored.as_ref().map_or_else(|| Guard::Absent(key.clone()), Stored::guard));
        let Some(document) = change.after() else {
            self.writes.push(Write::Delete(key));
            return Ok(());
        };
        if federation::own_trust_domain(self.app, &self.tenant).await?.as_ref() == Some(trust_domain) {
            let error = FieldError::new("trust-domain", "is the tenant's own, whose keys are known")
                .with_remedy("name another one");
            return Err(self.refuse(StatusCode::UNPROCESSABLE_ENTITY, change.path(), error));
        }
        let config: FederationConfig = document.to().map_err(|error| ApiError::internal(error.to_string()))?;
        let invalid = |error: String| ApiError::invalid(format!("`{}`: {error}", change.path()));
        let partner = match &stored {
            Some(stored) => {
                let mut partner = Partner::decode(&stored.value, self.now).map_err(ApiError::internal)?;
                partner.configure(config, self.now).map(|()| partner)
            }
            None => Partner::new(config, self.now),
        };
        let bytes = partner.map_err(invalid)?.encode(self.now).map_err(ApiError::internal)?;
        self.writes.push(self.app.db.put(key, &bytes)?);
        Ok(())
    }

    /// A role-id names one role of a tenant, once all roles of the change are made. (What other tenants use is not looked at:
    /// that would tell.)
    async fn refuse_shared_role_ids(&self) -> Answer<()> {
        // One role has it, or two since before this was checked for the whole of a change.
        const FEW: usize = 16;
        let mut indexes: BTreeMap<&str, Vec<&Write>> = BTreeMap::new();
        for write in &self.writes {
            let (Write::Put(key, _) | Write::Delete(key)) = write else { continue };
            if let Some((prefix, _)) = key.rsplit_once('/').filter(|_| key.starts_with(layout::ROLE_IDS)) {
                indexes.entry(prefix).or_default().push(write);
            }
        }
        for (prefix, writes) in indexes {
            let others = self.app.db.store().range(&format!("{prefix}/"), None, FEW, None).await?;
            let mut roles: BTreeSet<&str> = others.iter().map(|entry| entry.key.as_str()).collect();
            let mut added = None;
            for write in writes {
                match write {
                    Write::Put(key, _) => {
                        roles.insert(key);
                        added = key.rsplit('/').next();
                    }
                    Write::Delete(key) => drop(roles.remove(key.as_str())),
                    Write::Note { .. } => {}
                }
            }
            if let Some(name) = added.filter(|_| roles.len() > 1) {
                let path: Path = format!("{ROLES}/{name}").parse().map_err(ApiError::internal)?;
                let error = FieldError::new("fixed-role-id", "another AppRole has this role-id")
                    .with_remedy("choose another one");
                return Err(self.refuse(StatusCode::CONFLICT, &path, error));
            }
        }
        Ok(())
    }
}

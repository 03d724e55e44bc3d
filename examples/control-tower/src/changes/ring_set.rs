//! The rings that a change is about or that signing needs, as they are to be.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use axum::http::StatusCode;
use keyward_config_tree::{Change, Field, FieldError, Path};
use keyward_config_values::Name;
use keyward_svid::SpiffeSettings;
use keyward_transit::{Issuing, Ring, RingConfig};

use super::{Brought, Changes, name_in};
use crate::{
    db::Stored,
    documents::KEYS,
    http::error::{Answer, ApiError},
    identity::SETTINGS,
    rings::{self, Kept},
    store::Write,
};

/// What holds a ring, each of a change and each that issuing needs, as they are to be.
pub(super) struct Set<K> {
    stored: BTreeMap<Name, Stored<Arc<K>>>,
    pub(super) now: BTreeMap<Name, K>,
    pub(super) changed: BTreeSet<Name>,
}

impl<K: Kept> Set<K> {
    /// Those of these names that there are.
    pub(super) async fn load(changes: &Changes<'_>, names: BTreeSet<Name>) -> Answer<Self> {
        let (mut stored, mut now) = (BTreeMap::new(), BTreeMap::new());
        for name in names {
            if let Some(kept) = rings::load::<K>(&changes.app.db, &changes.tenant, &name).await? {
                now.insert(name.clone(), K::clone(&kept.value));
                stored.insert(name, kept);
            }
        }
        Ok(Self { stored, now, changed: BTreeSet::new() })
    }

    /// Does what a new one asks for.
    pub(super) async fn perform(changes: &Changes<'_>, kept: &mut K) -> Answer<()> {
        for command in kept.due(changes.now) {
            rings::perform(changes.app, kept, command).await?;
        }
        Ok(())
    }

    /// Whether one changed that verifiers may know.
    pub(super) fn publishes_a_change(&self) -> bool {
        let published = |name: &Name| {
            let stored = self.stored.get(name).is_some_and(|kept| kept.value.is_published());
            stored || self.now.get(name).is_some_and(K::is_published)
        };
        self.changed.iter().any(published)
    }

    /// What stores the changed ones.
    pub(super) fn write(&self, changes: &mut Changes<'_>) -> Answer<()> {
        for name in &self.changed {
            changes.guards.push(rings::guard(&changes.tenant, name, self.stored.get(name)));
            match self.now.get(name) {
                Some(kept) => changes.writes.extend(rings::put(changes.app, &changes.tenant, kept)?),
                None => changes.writes.push(Write::Delete(rings::place::<K>(&changes.tenant, name))),
            }
        }
        Ok(())
    }
}

impl Set<Ring> {
    /// The rings that a change is about or that signing needs.
    pub(super) async fn of_keys(changes: &Changes<'_>, issuing: &Issuing, list: &[Change]) -> Answer<Self> {
        let signing = list
            .iter()
            .filter(|change| change.path().as_str() == SETTINGS)
            .filter_map(|change| Some(change.after()?.to::<SpiffeSettings>().ok()?.jwt_signing_key));
        let touched = list.iter().filter_map(|change| name_in(change.path(), KEYS));
        let brought = changes.brought.map(|brought| brought.ring.name().clone());
        Self::load(changes, issuing.rings().cloned().chain(signing).chain(touched).chain(brought).collect()).await
    }

    pub(super) async fn change(
        &mut self,
        changes: &Changes<'_>,
        issuing: &Issuing,
        name: Name,
        change: &Change,
        dry_run: bool,
    ) -> Answer<()> {
        let path = change.path();
        let refuse = |error: keyward_transit::Error| {
            let (field, remedy) = match &error {
                keyward_transit::Error::Immutable { field, .. } => {
                    (Field::from(*field), "keep it, or make another key under another name")
                }
                _ => (Field::root(), "correct the document"),
            };
            let error = FieldError::new(field, error.to_string()).with_remedy(remedy);
            changes.refuse(StatusCode::UNPROCESSABLE_ENTITY, path, error)
        };
        let Some(document) = change.after() else {
            return self.delete(changes, issuing, name, path);
        };
        let config: RingConfig = document.to().map_err(|error| ApiError::internal(error.to_string()))?;
        match self.now.get_mut(&name) {
            Some(ring) => {
                ring.reconfigure(config, changes.now).map_err(refuse)?;
            }
            None => {
                let mut ring = Ring::new(config, issuing.first_activation(), changes.now).map_err(refuse)?;
                if !dry_run {
                    Self::perform(changes, &mut ring).await?;
                }
                self.now.insert(name.clone(), ring);
            }
        }
        self.changed.insert(name);
        Ok(())
    }

    /// Takes in a ring that comes with its document.
    pub(super) fn bring(&mut self, changes: &Changes<'_>, issuing: &Issuing, brought: &Brought) -> Answer<()> {
        let name = brought.ring.name();
        if issuing.needs(name, |name| self.now.get(name), changes.now) {
            let message = format!("verifiers still need the key `{name}`: bring this one under another name");
            return Err(ApiError::conflict(message));
        }
        if self.now.contains_key(name) && !brought.replaces {
            return Err(brought.exists());
        }
        self.now.insert(name.clone(), brought.ring.clone());
        self.changed.insert(name.clone());
        Ok(())
    }

    fn delete(&mut self, changes: &Changes<'_>, issuing: &Issuing, name: Name, path: &Path) -> Answer<()> {
        if issuing.needs(&name, |name| self.now.get(name), changes.now) {
            let error = FieldError::new(Field::root(), "verifiers still need this key")
                .with_remedy("delete it once the last token that it signed has expired");
            return Err(changes.refuse(StatusCode::CONFLICT, path, error));
        }
        if self.now.get(&name).is_some_and(|ring| !ring.config().deletion_allowed) {
            let error = FieldError::new(Field::root(), "what was encrypted or signed with this key is lost with it")
                .with_remedy("set `deletion-allowed: true` first");
            return Err(changes.refuse(StatusCode::CONFLICT, path, error));
        }
        self.now.remove(&name);
        self.changed.insert(name);
        Ok(())
    }
}

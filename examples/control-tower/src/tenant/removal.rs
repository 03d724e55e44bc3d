//! A tenant on its way out.
//!
//! The commit that removes a tenant takes its name and its id away, so that from then on no token, no login and no public endpoint of
//! it answers, and leaves a [`Removal`] behind. What the tenant had is then destroyed in small steps, keys first, each step with
//! its progress in one commit, so that a tower that is killed goes on where it was. A request that had begun before may still write
//! when everything is gone: so there is a second look, and the removal ends when that finds nothing.

use std::sync::Arc;

use keyward_approle::{Role, StorageKey};
use keyward_config_values::Name;
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

use crate::{
    app::App,
    db::{Db, DbError, Stored},
    layout,
    login::users,
    store::{Entry, Guard, Outcome, Write},
    user::User,
};

const FORMAT: u32 = 1;

/// When to look again: requests that began before the removal have ended by then.
const SECOND_LOOK: Duration = Duration::minutes(2);

/// What is known of a removal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Removal {
    format: u32,
    /// The id of the tenant that was.
    pub id: Name,
    /// The name that it had.
    pub name: Name,
    /// When it was removed.
    #[serde(with = "time::serde::rfc3339")]
    pub since: OffsetDateTime,
    /// How many records were destroyed as yet.
    pub destroyed: u64,
    /// When everything was destroyed; a second look follows.
    #[serde(with = "time::serde::rfc3339::option")]
    pub emptied: Option<OffsetDateTime>,
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// There is more to do.
    More,
    /// There is nothing to do before the second look.
    Waiting,
    /// Nothing is left, not even the [`Removal`]; so many records were destroyed.
    Done(u64),
    /// Somebody else is at it.
    Conflict,
}

impl Removal {
    /// Of a tenant that goes now.
    pub fn new(id: Name, name: Name, now: OffsetDateTime) -> Self {
        Self { format: FORMAT, id, name, since: now, destroyed: 0, emptied: None }
    }

    /// Where it stands.
    pub fn key(&self) -> String {
        layout::removal(self.id.as_str())
    }

    /// The record to be stored.
    ///
    /// # Errors
    /// None that a removal can cause.
    pub fn encode(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(self)
    }

    fn decode(bytes: &[u8]) -> Result<Self, String> {
        let removal: Self = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
        if removal.format > FORMAT {
            return Err(format!("format {} is of a newer program", removal.format));
        }
        Ok(removal)
    }

    /// Every removal that is not done.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn all(db: &Db) -> Result<Vec<Stored<Arc<Self>>>, DbError> {
        let (_, entries) = crate::store::snapshot(&**db.store(), layout::REMOVALS).await?;
        let mut removals = Vec::with_capacity(entries.len());
        for entry in entries {
            removals.extend(db.load(&entry.key, Self::decode).await?);
        }
        Ok(removals)
    }

    /// The removal of the tenant that had an id.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn find(db: &Db, id: &str) -> Result<Option<Stored<Arc<Self>>>, DbError> {
        db.load(&layout::removal(id), Self::decode).await
    }

    /// Destroys up to `size` records more, in one commit with the progress.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn step(
        app: &App,
        stored: &Stored<Arc<Self>>,
        size: usize,
        now: OffsetDateTime,
    ) -> Result<Step, DbError> {
        let mut removal = Self::clone(&stored.value);
        let (mut guards, mut writes) = (vec![stored.guard()], Vec::new());
        let destroyed = next(app, &removal.id, size, &mut guards, &mut writes).await?;
        removal.destroyed += destroyed;
        let step = match removal.emptied {
            _ if destroyed > 0 => {
                // Whatever it was came late; its own look is due again.
                removal.emptied = None;
                Step::More
            }
            None => {
                removal.emptied = Some(now);
                Step::Waiting
            }
            // A clock that was set back does not wait until it has caught up.
            Some(at) if (at..at.saturating_add(SECOND_LOOK)).contains(&now) => return Ok(Step::Waiting),
            Some(_) => Step::Done(removal.destroyed),
        };
        if let Step::Done(_) = step {
            let with = [layout::WITH_INGRESS, layout::WITH_FEDERATION, layout::WITH_SPIFFE_LOGINS];
            writes.extend(with.map(|index| Write::Delete(layout::with(index, &removal.id))));
        }
        writes.push(match step {
            Step::Done(_) => Write::Delete(stored.key.clone()),
            _ => {
                let damaged = |reason| DbError::Damaged { key: stored.key.clone(), reason };
                app.db.put(stored.key.clone(), &removal.encode().map_err(|error| damaged(error.to_string()))?)?
            }
        });
        Ok(match app.db.store().commit(guards, writes).await? {
            Outcome::Committed(_) => step,
            Outcome::Conflict { .. } | Outcome::Unknown => Step::Conflict,
        })
    }
}

/// Adds what destroys the next records of a tenant, keys before all else and what others are found by before they go; answers how
/// many they are.
async fn next(
    app: &App,
    id: &Name,
    size: usize,
    guards: &mut Vec<Guard>,
    writes: &mut Vec<Write>,
) -> Result<u64, DbError> {
    let places = [
        layout::rings(id),
        layout::authorities(id),
        layout::roles(id),
        layout::token_accessors(id),
        layout::secret_ids(id),
        layout::tenant_wrapped(id),
        layout::tenant_sessions(id),
        layout::tenant_links(id),
        layout::users(id),
        layout::trust_domains(id),
        layout::dues(id),
        layout::everything(id),
    ];
    for place in places {
        let entries = app.db.store().range(&place, None, size, None).await?;
        if entries.is_empty() {
            continue;
        }
        let destroyed = entries.len() as u64;
        for entry in entries {
            let key = entry.key.clone();
            writes.extend(elsewhere(app, id, &place, entry, guards).await?.into_iter().map(Write::Delete));
            writes.push(Write::Delete(key));
        }
        return Ok(destroyed);
    }
    Ok(0)
}

/// What belongs to an entry and stands outside of the tenant's own part of the store.
async fn elsewhere(
    app: &App,
    id: &Name,
    place: &str,
    entry: Entry,
    guards: &mut Vec<Guard>,
) -> Result<Vec<String>, DbError> {
    let storage_key = async |entry: Entry| -> Result<Option<StorageKey>, DbError> {
        let opened = app.db.open(entry).await?;
        Ok(std::str::from_utf8(&opened.value).ok().and_then(|text| text.parse().ok()))
    };
    if place == layout::users(id) {
        let key = entry.key.clone();
        let opened = app.db.open(entry).await?;
        return Ok(match User::decode(&opened.value) {
            Ok(user) => users::indexes(id, user.record()),
            Err(error) => {
                tracing::error!(key, %error, "a user of a removed tenant cannot be read");
                Vec::new()
            }
        });
    }
    let one = if place == layout::roles(id) {
        let key = entry.key.clone();
        let opened = app.db.open(entry).await?;
        match Role::decode(&opened.value) {
            Ok(role) => Some(layout::role_index(&app.pepper, &role)),
            Err(error) => {
                // Its index names what is not there any more, which nobody can log in with.
                tracing::error!(key, %error, "a role of a removed tenant cannot be read");
                None
            }
        }
    } else if place == layout::token_accessors(id) {
        storage_key(entry).await?.map(|key| layout::token(&key))
    } else if place == layout::secret_ids(id) {
        storage_key(entry).await?.map(|key| layout::secret_id(&key))
    } else if place == layout::tenant_wrapped(id) {
        entry.key.strip_prefix(place).and_then(|key| key.parse().ok()).map(|key: StorageKey| layout::wrapped(&key))
    } else if place == layout::tenant_sessions(id) || place == layout::tenant_links(id) {
        let key = entry.key.rsplit('/').next().and_then(|key| key.parse().ok());
        key.map(
            |key| if place == layout::tenant_links(id) { layout::enrolment_link(&key) } else { layout::session(&key) },
        )
    } else if place == layout::dues(id) {
        entry.key.strip_prefix(place).map(|due| format!("{}{due}", layout::DUE))
    } else if place == layout::trust_domains(id) {
        match entry.key.strip_prefix(place) {
            Some(trust_domain) => owned(app, id, trust_domain, guards).await?,
            None => None,
        }
    } else {
        None
    };
    Ok(one.into_iter().collect())
}

/// The record that gives a trust domain to a tenant, if it is still this one.
pub async fn owned(
    app: &App,
    id: &Name,
    trust_domain: &str,
    guards: &mut Vec<Guard>,
) -> Result<Option<String>, DbError> {
    let Some(owner) = app.db.get(&layout::trust_domain_owner(trust_domain)).await? else { return Ok(None) };
    if owner.value.as_slice() != id.as_str().as_bytes() {
        return Ok(None);
    }
    guards.push(owner.guard());
    Ok(Some(owner.key))
}

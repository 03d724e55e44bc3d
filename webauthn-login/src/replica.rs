//! What a site is given so that it can log a tenant's users in by itself.

use keyward_config_values::Name;
use keyward_config_values::record::{self, Format};
use serde::{Deserialize, Serialize};

use crate::authenticator::ProviderTitle;
use crate::passkey::{RelyingParty, UserHandle};
use crate::user::{Data, UserRecord};
use crate::{Email, Error};

const RECORD: &str = "replica of users";
const FORMAT: u32 = 1;

/// The users of a tenant that a site logs in by itself, and what they and its pages need besides. It holds their secrets: it is sealed
/// wherever it is kept or sent. The deployment's own [`crate::Secret`] is not in it: a site has one of its own.
pub struct Replica {
    stored: Stored,
    users: Vec<UserRecord>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Stored {
    format: Format<FORMAT>,
    tenant: Name,
    party: String,
    title: String,
    users: Vec<Data>,
    providers: Vec<Titled>,
}

#[derive(Serialize, Deserialize)]
struct Titled {
    name: Name,
    title: String,
}

impl Replica {
    /// Of these users of a tenant. Passkeys are of `party`, a domain that the site's pages are on or below as well. `providers` are those
    /// that are shown as out of reach where the site is cut off, by name and title.
    #[must_use]
    pub fn new(
        tenant: Name,
        party: &RelyingParty,
        users: Vec<UserRecord>,
        providers: impl IntoIterator<Item = (Name, String)>,
    ) -> Self {
        let stored = Stored {
            format: Format,
            tenant,
            party: party.id().to_owned(),
            title: party.name().to_owned(),
            users: users.iter().map(|user| Data::clone(&user.data)).collect(),
            providers: providers.into_iter().map(|(name, title)| Titled { name, title }).collect(),
        };
        Self { stored, users }
    }

    /// The tenant.
    #[must_use]
    pub fn tenant(&self) -> &Name {
        &self.stored.tenant
    }

    /// The relying party of the site's own pages.
    ///
    /// # Errors
    ///
    /// [`Error::RelyingParty`] where they are outside of the domain of the passkeys.
    pub fn relying_party(&self, origins: &[&str]) -> Result<RelyingParty, Error> {
        RelyingParty::new(&self.stored.party, &self.stored.title, origins)
    }

    /// The users with an address, as a step's `lookup` names them.
    #[must_use]
    pub fn users(&self, lookup: Option<(&Email, Option<&Name>)>) -> Vec<UserRecord> {
        let Some((email, tenant)) = lookup else { return Vec::new() };
        let fits = |user: &&UserRecord| crate::flow::matches(user, Some(email), tenant);
        self.users.iter().filter(fits).cloned().collect()
    }

    /// The user whom an authenticator names.
    #[must_use]
    pub fn by_handle(&self, handle: Option<UserHandle>) -> Option<UserRecord> {
        self.users.iter().find(|user| Some(user.handle()) == handle).cloned()
    }

    /// Keeps what a login changed of a user: the step of a one-time password, a counter, a code that was used. It is this site's alone.
    pub fn put(&mut self, changed: UserRecord) {
        let place = self.users.iter().position(|user| user.identity() == changed.identity());
        let Some(place) = place else { return };
        if let (Some(user), Some(stored)) = (self.users.get_mut(place), self.stored.users.get_mut(place)) {
            *stored = Data::clone(&changed.data);
            *user = changed;
        }
    }

    /// For [`crate::offered`].
    #[must_use]
    pub fn providers(&self) -> Vec<ProviderTitle> {
        let title =
            |titled: &Titled| ProviderTitle { name: titled.name.clone(), title: titled.title.clone(), answering: true };
        self.stored.providers.iter().map(title).collect()
    }

    /// To be sealed.
    ///
    /// # Errors
    ///
    /// [`Error::Record`] when a time cannot be written.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        Ok(record::encode(RECORD, &self.stored)?)
    }

    /// Reads it.
    ///
    /// # Errors
    ///
    /// [`Error::Record`].
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let stored: Stored = record::decode(RECORD, FORMAT, bytes)?;
        let users = stored.users.iter().map(|data| UserRecord { data: Box::new(data.clone()) }).collect();
        Ok(Self { stored, users })
    }
}

impl core::fmt::Debug for Replica {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Replica")
            .field("tenant", &self.stored.tenant)
            .field("users", &self.users.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use keyward_config_values::record::RecordError;

    use super::*;
    use crate::Identity;
    use crate::testing::{at, name, rng};

    #[test]
    fn what_a_site_is_given_is_read_there() {
        let party = RelyingParty::new("example.com", "Example", &["https://tower.example.com"]).unwrap();
        let ann = Identity::new("ann@example.com".parse().unwrap(), name("b2"));
        let user = UserRecord::create(ann.clone(), [].into(), Vec::new(), &mut rng(1), at(0));
        let given = Replica::new(name("b2"), &party, vec![user.clone()], [(name("entra"), "Entra ID".to_owned())]);
        let mut read = Replica::decode(&given.encode().unwrap()).unwrap();
        assert_eq!((read.tenant(), read.providers().len()), (&name("b2"), 1));
        assert!(read.by_handle(Some(user.handle())).is_some() && read.by_handle(None).is_none());
        assert_eq!(read.users(Some((&ann.email, Some(&name("b2"))))).len(), 1);
        assert!(read.users(Some((&ann.email, Some(&name("c3"))))).is_empty() && read.users(None).is_empty());
        assert!(read.relying_party(&["https://site.example.com"]).is_ok());
        assert!(read.relying_party(&["https://elsewhere.example"]).is_err());
        let mut changed = user;
        changed.lock(at(1));
        read.put(changed);
        let again = Replica::decode(&read.encode().unwrap()).unwrap();
        for kept in [read, again] {
            let users = kept.users(Some((&ann.email, None)));
            assert!(users.len() == 1 && users.iter().all(|user| user.locked().is_some()), "also where it is kept");
        }
        assert!(matches!(Replica::decode(br#"{"format":2}"#), Err(Error::Record(RecordError::NewerFormat { .. }))));
    }
}

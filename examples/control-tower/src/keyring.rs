//! The key-encryption keys of a store, as this process has them: opened by the seal, followed when another process rotates
//! them, forgotten when the tower is sealed.
//!
//! They are kept in the store ([`layout::KEYRING`]), under the seal's key. What protects records from being sealed under a key
//! that is about to be destroyed is [`Fenced`]: each commit is guarded by the revision of the keyring that it was sealed
//! with, so after a rotation no process can store anything under the former key, however late it is.

use std::sync::{Arc, PoisonError, RwLock};

use keyward_transit::{KekSet, Keyring as Stored, RecordError, Rewrap, SealKey, SealKind};

pub use self::fenced::Fenced;
use crate::{
    layout, random,
    store::{Entry, Guard, Outcome, Revision, SharedStore, StoreError, Write},
};

mod fenced;
pub mod rewrap;

/// Former keys beside the current one: who rotates more often than records are sealed anew has to wait.
const MOST_KEYS: usize = 16;

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeyringError {
    /// The tower is sealed.
    #[error("the tower is sealed")]
    Locked,
    /// The store has no keyring as yet.
    #[error("the store has no keyring")]
    Absent,
    /// The store has one already.
    #[error("the store has a keyring already")]
    Present,
    /// Another process changed it at this moment.
    #[error("another process changed the keyring at this moment")]
    Overtaken,
    /// Rewrapping is far behind.
    #[error(
        "there are {count} keys already, which go as soon as every record is sealed under the latest: wait for that"
    )]
    TooMany {
        /// The keys there are.
        count: usize,
    },
    /// It does not open with this key, or is damaged.
    #[error("the keyring: {0}")]
    Record(#[from] RecordError),
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The keys as of a revision of the keyring.
#[derive(Debug)]
pub struct Opened {
    keks: KekSet,
    kind: SealKind,
    revision: Revision,
}

impl Opened {
    /// The keys.
    #[must_use]
    pub fn keks(&self) -> &KekSet {
        &self.keks
    }

    /// What it took to open them.
    #[must_use]
    pub fn kind(&self) -> &SealKind {
        &self.kind
    }

    /// When the keyring changed last.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.revision
    }
}

/// What changes the keyring. Whoever commits it calls [`Keyring::refresh`] then.
#[derive(Debug)]
#[must_use]
pub struct Change {
    /// What it relies on.
    pub guards: Vec<Guard>,
    /// What is stored.
    pub writes: Vec<Write>,
    /// The current key's version.
    pub version: u32,
    /// The versions that are destroyed.
    pub destroyed: Vec<u32>,
}

/// The keys of this process, if it has them.
pub struct Keyring {
    store: SharedStore,
    held: RwLock<Option<Held>>,
}

#[derive(Clone)]
struct Held {
    seal: Arc<SealKey>,
    opened: Arc<Opened>,
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keyring").finish_non_exhaustive()
    }
}

impl Keyring {
    /// Of a store, without keys as yet.
    #[must_use]
    pub fn new(store: SharedStore) -> Self {
        Self { store, held: RwLock::default() }
    }

    /// The store that it is in. What is committed there is not held to the current key: see [`Fenced`].
    #[must_use]
    pub fn store(&self) -> &SharedStore {
        &self.store
    }

    /// What the store has.
    ///
    /// # Errors
    /// [`KeyringError::Record`] and [`KeyringError::Store`].
    pub async fn stored(&self) -> Result<Option<Stored>, KeyringError> {
        Ok(match self.store.get(layout::KEYRING).await? {
            Some(entry) => Some(Stored::decode(&entry.value)?),
            None => None,
        })
    }

    /// Opens the keyring.
    ///
    /// # Errors
    /// [`KeyringError::Absent`], [`KeyringError::Record`] for another key.
    pub async fn unlock(&self, seal: SealKey) -> Result<(), KeyringError> {
        let entry = self.store.get(layout::KEYRING).await?.ok_or(KeyringError::Absent)?;
        let opened = Arc::new(open(&entry, &seal)?);
        *self.write() = Some(Held { seal: Arc::new(seal), opened });
        Ok(())
    }

    /// Makes the keyring of a store that has none, and opens it.
    ///
    /// # Errors
    /// [`KeyringError::Present`].
    pub async fn create(&self, keks: &KekSet, seal: SealKey, kind: SealKind) -> Result<(), KeyringError> {
        let record = Stored::seal(keks, &seal, kind, &mut random::rng())?.encode()?;
        let guards = vec![Guard::Absent(layout::KEYRING.to_owned())];
        match self.store.commit(guards, vec![Write::Put(layout::KEYRING.to_owned(), record)]).await? {
            // If the answer was lost, what is there opens or it does not.
            Outcome::Committed(_) | Outcome::Unknown => self.unlock(seal).await,
            Outcome::Conflict { .. } => Err(KeyringError::Present),
        }
    }

    /// Forgets the keys.
    pub fn lock(&self) {
        *self.write() = None;
    }

    /// The keys.
    ///
    /// # Errors
    /// [`KeyringError::Locked`].
    pub fn opened(&self) -> Result<Arc<Opened>, KeyringError> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        held.as_ref().map(|held| Arc::clone(&held.opened)).ok_or(KeyringError::Locked)
    }

    /// The keys as the store has them now.
    ///
    /// # Errors
    /// [`KeyringError::Locked`]; the keyring is gone, or under another seal.
    pub async fn refresh(&self) -> Result<Arc<Opened>, KeyringError> {
        let seal = self.held()?.seal;
        let entry = self.store.get(layout::KEYRING).await?.ok_or(KeyringError::Absent)?;
        let opened = Arc::new(open(&entry, &seal)?);
        let mut held = self.write();
        // Sealed meanwhile, or somebody who looked later was here first.
        let held = held.as_mut().ok_or(KeyringError::Locked)?;
        if opened.revision >= held.opened.revision {
            held.opened = opened;
        }
        Ok(Arc::clone(&held.opened))
    }

    /// What makes a fresh key the current one, with the work that follows from it.
    ///
    /// # Errors
    /// [`KeyringError::TooMany`], [`KeyringError::Locked`].
    pub async fn rotation(&self) -> Result<Change, KeyringError> {
        let Held { seal, .. } = self.held()?;
        let entry = self.store.get(layout::KEYRING).await?.ok_or(KeyringError::Absent)?;
        let Opened { mut keks, kind, revision } = open(&entry, &seal)?;
        let count = keks.versions().len();
        if count >= MOST_KEYS {
            return Err(KeyringError::TooMany { count });
        }
        keks.rotate(&mut random::rng())?;
        let version = keks.current().version();
        let record = Stored::seal(&keks, &seal, kind, &mut random::rng())?.encode()?;
        Ok(Change {
            guards: vec![Guard::At(layout::KEYRING.to_owned(), revision)],
            writes: vec![
                Write::Put(layout::KEYRING.to_owned(), record),
                Write::Put(layout::REWRAP.to_owned(), Rewrap::begin(version).encode()?),
            ],
            version,
            destroyed: Vec::new(),
        })
    }

    /// What destroys the former keys: `verified` says that nothing needs them, as of its revision.
    async fn destruction(&self, verified: Rewrap, at: Revision) -> Result<Change, KeyringError> {
        let Held { seal, .. } = self.held()?;
        let entry = self.store.get(layout::KEYRING).await?.ok_or(KeyringError::Absent)?;
        let Opened { mut keks, kind, revision } = open(&entry, &seal)?;
        let version = keks.current().version();
        let done = (verified.target() == version).then(|| verified.finished()).flatten();
        let done = done.ok_or(KeyringError::Overtaken)?;
        let destroyed = keks.versions().into_iter().filter(|kek| *kek != version).collect();
        keks.drop_former();
        let record = Stored::seal(&keks, &seal, kind, &mut random::rng())?.encode()?;
        Ok(Change {
            guards: vec![Guard::At(layout::KEYRING.to_owned(), revision), Guard::At(layout::REWRAP.to_owned(), at)],
            writes: vec![
                Write::Put(layout::KEYRING.to_owned(), record),
                Write::Put(layout::REWRAP.to_owned(), done.encode()?),
            ],
            version,
            destroyed,
        })
    }

    /// Puts the keys under another seal, and `note` into the same commit.
    ///
    /// # Errors
    /// [`KeyringError::Overtaken`], [`KeyringError::Locked`].
    pub async fn reseal(&self, seal: SealKey, kind: SealKind, note: Option<Write>) -> Result<(), KeyringError> {
        let Held { seal: former, .. } = self.held()?;
        let entry = self.store.get(layout::KEYRING).await?.ok_or(KeyringError::Absent)?;
        let opened = open(&entry, &former)?;
        let record = Stored::seal(&opened.keks, &seal, kind, &mut random::rng())?.encode()?;
        let guards = vec![Guard::At(layout::KEYRING.to_owned(), opened.revision)];
        let writes = std::iter::once(Write::Put(layout::KEYRING.to_owned(), record)).chain(note).collect();
        match self.store.commit(guards, writes).await? {
            Outcome::Committed(_) => self.unlock(seal).await,
            Outcome::Conflict { .. } | Outcome::Unknown => Err(KeyringError::Overtaken),
        }
    }

    fn held(&self) -> Result<Held, KeyringError> {
        self.held.read().unwrap_or_else(PoisonError::into_inner).clone().ok_or(KeyringError::Locked)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Option<Held>> {
        self.held.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open(entry: &Entry, seal: &SealKey) -> Result<Opened, KeyringError> {
    let stored = Stored::decode(&entry.value)?;
    Ok(Opened { keks: stored.open(seal)?, kind: stored.kind().clone(), revision: entry.revision })
}

//! Typed records over the store: what is written is sealed, what is read is opened and decoded once per revision.

use std::{
    any::Any,
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use keyward_transit::{self as transit, KekSet, RecordError, sealed_under};
use zeroize::Zeroizing;

use crate::{
    keyring::{Fenced, Keyring, KeyringError, Opened},
    random,
    store::{Entry, Guard, Revision, SharedStore, StoreError, Write},
};

/// How many decoded records are kept before the cache starts afresh.
const CACHED: usize = 4096;

/// Why a record could not be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DbError {
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The tower is sealed.
    #[error("the tower is sealed")]
    Locked,
    /// The keys cannot be had.
    #[error(transparent)]
    Keyring(KeyringError),
    /// The record does not open: another key, or damage.
    #[error("the record `{key}` does not open: {source}")]
    Sealed {
        /// Where it stands; such keys hold no secrets.
        key: String,
        /// Why.
        source: RecordError,
    },
    /// The record opens and makes no sense.
    #[error("the record `{key}` cannot be read: {reason}")]
    Damaged {
        /// Where it stands.
        key: String,
        /// Why.
        reason: String,
    },
}

impl From<KeyringError> for DbError {
    fn from(error: KeyringError) -> Self {
        match error {
            KeyringError::Locked => Self::Locked,
            KeyringError::Store(error) => Self::Store(error),
            error => Self::Keyring(error),
        }
    }
}

/// A record with the revision at which it was read.
#[derive(Clone, Debug)]
pub struct Stored<T> {
    /// The record.
    pub value: T,
    /// Where it stands.
    pub key: String,
    /// Its last change.
    pub revision: Revision,
}

impl<T> Stored<T> {
    /// The guard that the record is still the same.
    pub fn guard(&self) -> Guard {
        Guard::At(self.key.clone(), self.revision)
    }
}

/// A decoded record with the revision that it was decoded at.
type Cached = (Revision, Arc<dyn Any + Send + Sync>);

/// The store, the keys that seal it, and what was decoded last.
pub struct Db {
    store: SharedStore,
    keyring: Arc<Keyring>,
    cache: Mutex<HashMap<String, Cached>>,
}

impl Db {
    /// Over the store of a keyring.
    pub fn new(keyring: Arc<Keyring>) -> Self {
        Self { store: Arc::new(Fenced::new(Arc::clone(&keyring))), keyring, cache: Mutex::default() }
    }

    /// The store itself. What is committed there is sealed under the current key, or it is refused.
    pub fn store(&self) -> &SharedStore {
        &self.store
    }

    /// The keys that seal records.
    pub fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// The opened bytes of a record.
    ///
    /// # Errors
    /// [`DbError::Store`] and [`DbError::Sealed`].
    pub async fn get(&self, key: &str) -> Result<Option<Stored<Zeroizing<Vec<u8>>>>, DbError> {
        match self.store.get(key).await? {
            Some(entry) => self.open(entry).await.map(Some),
            None => Ok(None),
        }
    }

    /// The record decoded; kept until its revision changes, so that keys are parsed once.
    ///
    /// # Errors
    /// All of [`DbError`].
    pub async fn load<T, E>(
        &self,
        key: &str,
        decode: impl FnOnce(&[u8]) -> Result<T, E>,
    ) -> Result<Option<Stored<Arc<T>>>, DbError>
    where
        T: Send + Sync + 'static,
        E: std::fmt::Display,
    {
        let damaged = |error: E| DbError::Damaged { key: key.to_owned(), reason: error.to_string() };
        let opened = |keks: &KekSet, entry: Entry| decode(&open(keks, entry)?.value).map_err(damaged);
        self.load_with(key, opened).await
    }

    /// As [`load`](Self::load), for a record that opens itself.
    ///
    /// # Errors
    /// All of [`DbError`].
    pub async fn load_sealed<T: Send + Sync + 'static>(
        &self,
        key: &str,
        open: impl FnOnce(&KekSet, &str, &[u8]) -> Result<T, RecordError>,
    ) -> Result<Option<Stored<Arc<T>>>, DbError> {
        let sealed = |source| DbError::Sealed { key: key.to_owned(), source };
        self.load_with(key, |keks, entry| open(keks, &entry.key, &entry.value).map_err(sealed)).await
    }

    async fn load_with<T: Send + Sync + 'static>(
        &self,
        key: &str,
        decode: impl FnOnce(&KekSet, Entry) -> Result<T, DbError>,
    ) -> Result<Option<Stored<Arc<T>>>, DbError> {
        let Some(entry) = self.store.get(key).await? else {
            return Ok(None);
        };
        let revision = entry.revision;
        let stored = |value| Some(Stored { value, key: key.to_owned(), revision });
        if let Some(value) = self.cached::<T>(key, revision) {
            return Ok(stored(value));
        }
        let keys = self.keys_for(&entry.value).await?;
        let value = Arc::new(decode(keys.keks(), entry)?);
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.len() >= CACHED {
            cache.clear();
        }
        cache.insert(key.to_owned(), (revision, Arc::clone(&value) as Arc<dyn Any + Send + Sync>));
        Ok(stored(value))
    }

    /// The write that stores bytes, sealed under their own key.
    ///
    /// # Errors
    /// [`DbError::Sealed`] when the backend fails.
    pub fn put(&self, key: String, bytes: &[u8]) -> Result<Write, DbError> {
        match transit::seal(self.keyring.opened()?.keks().current(), &key, bytes, &mut random::rng()) {
            Ok(sealed) => Ok(Write::Put(key, sealed)),
            Err(source) => Err(DbError::Sealed { key, source }),
        }
    }

    /// Lets go of what was decoded under a prefix: keys of what is gone are not to stay in memory.
    pub fn forget(&self, prefix: &str) {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.retain(|key, _| !key.starts_with(prefix));
    }

    /// Lets go of what was decoded of records that have changed or are gone: a key that was destroyed is not to stay in memory until
    /// somebody asks for it again.
    pub fn forget_changed(&self, changed: &[String]) {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        for key in changed {
            cache.remove(key);
        }
    }

    /// Opens an entry that a range answered.
    ///
    /// # Errors
    /// [`DbError::Sealed`].
    pub async fn open(&self, entry: Entry) -> Result<Stored<Zeroizing<Vec<u8>>>, DbError> {
        open(self.keys_for(&entry.value).await?.keks(), entry)
    }

    /// The keys, with the one of a record that another process may have made a moment ago.
    async fn keys_for(&self, record: &[u8]) -> Result<Arc<Opened>, DbError> {
        let keys = self.keyring.opened()?;
        match sealed_under(record) {
            Some(version) if !keys.keks().has(version) => Ok(self.keyring.refresh().await?),
            _ => Ok(keys),
        }
    }

    fn cached<T: Send + Sync + 'static>(&self, key: &str, revision: Revision) -> Option<Arc<T>> {
        let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        let (kept, value) = cache.get(key)?;
        (*kept == revision).then(|| Arc::clone(value)).and_then(|value| value.downcast().ok())
    }
}

fn open(keks: &KekSet, entry: Entry) -> Result<Stored<Zeroizing<Vec<u8>>>, DbError> {
    match transit::open(keks, &entry.key, &entry.value) {
        Ok(value) => Ok(Stored { value, key: entry.key, revision: entry.revision }),
        Err(source) => Err(DbError::Sealed { key: entry.key, source }),
    }
}

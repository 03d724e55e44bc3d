//! After a rotation: every record comes under the current key, in small guarded steps, and then the former keys go.
//!
//! A step and its progress are one commit, so a process that dies loses nothing and another one goes on. The former keys go
//! when a whole survey has found nothing under them and no state of the store from before that can be read any more.

use keyward_transit::{Rewrap, RewrapStage, RewrapStep};

use super::{Change, KeyringError};
use crate::{
    db::{Db, DbError},
    layout, random,
    store::{Entry, Guard, Outcome, Revision, Write},
};

/// What a turn came to.
#[derive(Debug)]
#[must_use]
pub enum Turn {
    /// There is nothing to do.
    Idle,
    /// There is nothing to do until history is forgotten, or somebody sees to records that do not open.
    Waiting,
    /// A step was done.
    Worked,
    /// Something changed at this moment: the same again, perhaps with fewer records.
    Contended,
    /// Nothing needs the former keys: to be committed, which destroys them.
    Finish(Change),
}

/// The progress, if there ever was a rotation.
///
/// # Errors
/// The store's.
pub async fn progress(db: &Db) -> Result<Option<(Rewrap, Revision)>, DbError> {
    match db.store().get(layout::REWRAP).await? {
        Some(entry) => Ok(Some((decode(&entry)?, entry.revision))),
        None => Ok(None),
    }
}

/// Does the next step, with at most `size` records. No state of the store before `oldest` can be read.
///
/// # Errors
/// The store's; the tower is sealed.
pub async fn turn(db: &Db, size: usize, oldest: Revision) -> Result<Turn, DbError> {
    let store = db.store();
    let mut keys = db.keyring().opened()?;
    let entry = store.get(layout::REWRAP).await?;
    let Some(entry) = entry else {
        // Of a key file with several keys.
        return if keys.keks().has_former() { begin(db, None).await } else { Ok(Turn::Idle) };
    };
    let work = decode(&entry)?;
    if work.target() != keys.keks().current().version() {
        keys = db.keyring().refresh().await?;
        if work.target() != keys.keks().current().version() {
            return begin(db, Some(&entry)).await;
        }
    }
    match work.stage() {
        RewrapStage::Verified if oldest < entry.revision => Ok(Turn::Waiting),
        RewrapStage::Verified => match db.keyring().destruction(work, entry.revision).await {
            Ok(change) => Ok(Turn::Finish(change)),
            Err(KeyringError::Overtaken) => Ok(Turn::Contended),
            Err(error) => Err(error.into()),
        },
        RewrapStage::Survey | RewrapStage::Rewrap => {
            let page = store.range("", work.position(), size, None).await?;
            step(db, &work, &entry, &page, page.len() == size).await
        }
        RewrapStage::Blocked => Ok(Turn::Waiting),
        _ => Ok(Turn::Idle),
    }
}

/// Tries again what was blocked by records that do not open: they may have been repaired or removed.
///
/// # Errors
/// The store's.
pub async fn resume(db: &Db) -> Result<(), DbError> {
    let Some((work, revision)) = progress(db).await? else { return Ok(()) };
    if let Some(work) = work.resumed() {
        // A conflict is somebody else's doing the same.
        drop(put(db, Guard::At(layout::REWRAP.to_owned(), revision), &work).await?);
    }
    Ok(())
}

async fn begin(db: &Db, entry: Option<&Entry>) -> Result<Turn, DbError> {
    let keys = db.keyring().opened()?;
    let work = Rewrap::begin(keys.keks().current().version());
    put(db, Guard::seen(layout::REWRAP, entry), &work).await
}

async fn put(db: &Db, guard: Guard, work: &Rewrap) -> Result<Turn, DbError> {
    let writes = vec![Write::Put(layout::REWRAP.to_owned(), work.encode().map_err(sealed)?)];
    let keyring = Guard::At(layout::KEYRING.to_owned(), db.keyring().opened()?.revision());
    Ok(match db.store().commit(vec![guard, keyring], writes).await? {
        Outcome::Committed(_) => Turn::Worked,
        Outcome::Conflict { .. } | Outcome::Unknown => {
            db.keyring().refresh().await?;
            Turn::Contended
        }
    })
}

async fn step(db: &Db, work: &Rewrap, stored: &Entry, page: &[Entry], more: bool) -> Result<Turn, DbError> {
    let keys = db.keyring().opened()?;
    let records = page.iter().filter(|entry| layout::is_sealed(&entry.key, &entry.value));
    let records = records.map(|entry| (entry.key.as_str(), entry.value.as_slice()));
    let position = page.last().filter(|_| more).map(|entry| entry.key.as_str());
    let step = work.step(keys.keks(), records, position, &mut random::rng()).map_err(sealed)?;
    let Some(RewrapStep { next, records }) = step else { return Ok(Turn::Contended) };
    let mut guards = vec![Guard::At(layout::REWRAP.to_owned(), stored.revision)];
    let mut writes = vec![Write::Put(layout::REWRAP.to_owned(), next.encode().map_err(sealed)?)];
    for (key, record) in records {
        // Both are in the order of the page, which is that of the keys.
        if let Ok(found) = page.binary_search_by(|entry| entry.key.as_bytes().cmp(key.as_bytes()))
            && let Some(entry) = page.get(found)
        {
            guards.push(Guard::At(key.clone(), entry.revision));
        }
        writes.push(Write::Put(key, record));
    }
    if next.stage() == RewrapStage::Blocked
        && let Some((records, first)) = next.unreadable()
    {
        tracing::error!(records, first, "records do not open, so the former key-encryption keys are kept");
    }
    // Not audited: nothing is decided here.
    Ok(match db.store().commit(guards, writes).await? {
        Outcome::Committed(_) => Turn::Worked,
        Outcome::Conflict { .. } | Outcome::Unknown => Turn::Contended,
    })
}

fn decode(entry: &Entry) -> Result<Rewrap, DbError> {
    Rewrap::decode(&entry.value).map_err(sealed)
}

fn sealed(source: keyward_transit::RecordError) -> DbError {
    DbError::Sealed { key: layout::REWRAP.to_owned(), source }
}

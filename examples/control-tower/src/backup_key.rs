//! The key under which rings are backed up as text. It stays the same when key-encryption keys are rotated, and is sealed under
//! them as every record is: a backup of a ring is kept elsewhere, where nobody can seal it anew.

use std::sync::Arc;

use keyward_transit::{Kek, KekSet, RecordError};

use crate::{
    app::{Actor, App, Commit},
    db::DbError,
    http::error::{Answer, ApiError},
    layout, random,
    store::Guard,
};

/// The key, made when it is first asked for.
///
/// # Errors
/// Those of the store.
pub async fn of(app: &App, actor: &Actor) -> Answer<Arc<KekSet>> {
    loop {
        if let Some(key) = stored(app).await? {
            return Ok(key);
        }
        let key = Kek::generate(1, &mut random::rng()).map_err(ApiError::internal)?;
        let write = app.db.put(layout::BACKUP_KEY.to_owned(), key.as_bytes())?;
        let audit = actor.did("backup-key-make", app.clock.now());
        // Another tower may have been faster.
        let _: Commit = app.commit(vec![Guard::Absent(layout::BACKUP_KEY.to_owned())], vec![write], audit).await?;
    }
}

async fn stored(app: &App) -> Result<Option<Arc<KekSet>>, DbError> {
    let decode = |bytes: &[u8]| {
        let bytes: &[u8; 32] = bytes.try_into().map_err(|_| RecordError::Refused)?;
        Kek::from_bytes(1, bytes).map(KekSet::new)
    };
    Ok(app.db.load(layout::BACKUP_KEY, decode).await?.map(|stored| stored.value))
}

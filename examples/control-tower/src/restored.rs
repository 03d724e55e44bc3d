//! What a restore ends. What was given to people may have been taken back since the backup was made: sessions that were ended,
//! links that were opened, codes that were exchanged. All of it ends with the restore, and people log in again. Tokens of workloads
//! go on, because the secret-id that would give the next one may be used up; an operator revokes those that were revoked since.

use std::path::Path;

use time::{Duration, OffsetDateTime};

use crate::{
    db::{Db, DbError},
    layout,
    store::{Guard, Outcome, StoreError, Write, sqlite},
};

/// What holds for whoever presents it, and what works once.
const GIVEN: [&str; 5] = [layout::SESSIONS, layout::CEREMONIES, layout::LINKS, layout::CLI_CODES, layout::WRAPPED];

/// How long after a backup was begun its copy of the store is taken at the latest.
const COPIED: Duration = Duration::MINUTE;

/// In the file of a store that was brought back from a backup of that time.
///
/// # Errors
/// It cannot be written.
pub fn end(store: &Path, created: OffsetDateTime) -> Result<(), StoreError> {
    let prefixes: Vec<&str> = GIVEN.into_iter().chain([layout::RESTORED_OF]).collect();
    let of = layout::restored_of(created.saturating_add(COPIED));
    // What a tenant finds its wrapped answers by goes with them.
    let found_by = (layout::TENANT_DATA, &layout::OF_WRAPPED[..]);
    sqlite::strip(store, &prefixes, found_by, &[layout::RESTORED, of.as_str()])
}

/// Since when tokens of users count: since a tower first started on a store that was brought back, if it was. A machine's clock may be
/// behind at that moment, but nothing of the backup is from after it was made.
///
/// # Errors
/// Those of the store.
pub async fn since(db: &Db, now: OffsetDateTime) -> Result<Option<OffsetDateTime>, DbError> {
    let damaged = || DbError::Damaged { key: layout::RESTORED.to_owned(), reason: "it is no time".to_owned() };
    loop {
        let Some(entry) = db.store().get(layout::RESTORED).await? else { return Ok(None) };
        let revision = entry.revision;
        if !entry.value.is_empty() {
            let stored = db.open(entry).await?;
            let seconds = std::str::from_utf8(&stored.value).ok().and_then(|text| text.parse().ok());
            let since = seconds.and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok());
            return since.map(Some).ok_or_else(damaged);
        }
        let of = db.store().range(layout::RESTORED_OF, None, 1, None).await?;
        let of = of.first().and_then(|entry| layout::parse_restored_of(&entry.key));
        let since = of.map_or(now, |of| of.max(now));
        let write: Write = db.put(layout::RESTORED.to_owned(), since.unix_timestamp().to_string().as_bytes())?;
        let guard = Guard::At(layout::RESTORED.to_owned(), revision);
        if let Outcome::Committed(_) = db.store().commit(vec![guard], vec![write]).await? {
            tracing::warn!("this tower was brought back from a backup: everybody logs in again");
        }
    }
}

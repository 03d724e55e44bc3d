//! Reading: by key, by range now and at a revision, and the changes between revisions.

use std::{fs::OpenOptions, os::unix::fs::OpenOptionsExt, path::Path};

use rusqlite::{Connection, OptionalExtension, Row, named_params, params};

use super::{Entry, Event, Note, Revision, StoreError, schema, sql};
use crate::store::bounds;

pub(super) fn get(connection: &Connection, key: &str) -> Result<Option<Entry>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT revision, value FROM entry WHERE key = ?1")?;
    let row = statement.query_row([key.as_bytes()], |row| Ok((row.get::<_, i64>(0)?, row.get(1)?))).optional()?;
    Ok(row.map(|(revision, value)| Entry { key: key.to_owned(), value, revision: revision.unsigned_abs() }))
}

pub(super) fn range(
    connection: &Connection,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
    at: Option<Revision>,
) -> Result<Vec<Entry>, StoreError> {
    let (mut low, high) = bounds(prefix);
    if let Some(after) = after.filter(|after| *after >= prefix) {
        // The very next key: nothing lies between a string and itself with a zero byte behind it.
        low = after.as_bytes().to_vec();
        low.push(0);
    }
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let Some(at) = at else {
        let mut statement = connection.prepare_cached(
            "SELECT key, revision, value FROM entry WHERE key >= :low AND key < :high ORDER BY key LIMIT :limit",
        )?;
        let rows = statement.query_map(named_params! { ":low": low, ":high": high, ":limit": limit }, entry)?;
        return Ok(rows.collect::<Result<_, _>>()?);
    };
    let snapshot = connection.unchecked_transaction()?;
    let (latest, oldest) = (schema::meta(&snapshot, "revision")?, schema::meta(&snapshot, "compacted")?);
    if at > latest {
        return Err(StoreError::Future { requested: at, latest });
    }
    if at < oldest {
        return Err(StoreError::Compacted { requested: at, oldest });
    }
    // What has not changed since, and what the earliest later change replaced.
    let mut statement = snapshot.prepare_cached(
        // (Of the columns beside a lone `min`, SQLite takes those of the row that has it.)
        "SELECT key, revision, value FROM entry WHERE key >= :low AND key < :high AND revision <= :at
         UNION ALL
         SELECT key, old_revision, old_value FROM
             (SELECT key, old_revision, old_value, min(revision) FROM history
              WHERE revision > :at AND key >= :low AND key < :high GROUP BY key)
         WHERE old_revision IS NOT NULL
         ORDER BY key LIMIT :limit",
    )?;
    let rows =
        statement.query_map(named_params! { ":low": low, ":high": high, ":at": sql(at), ":limit": limit }, entry)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn changes(
    connection: &Connection,
    prefix: &str,
    from: Revision,
    to: Revision,
) -> Result<Vec<Event>, StoreError> {
    let (low, high) = bounds(prefix);
    let snapshot = connection.unchecked_transaction()?;
    let compacted = schema::meta(&snapshot, "compacted")?;
    if from <= compacted {
        return Err(StoreError::Compacted { requested: from, oldest: compacted.saturating_add(1) });
    }
    // A change's value is what the next change of the key replaced, or what is there now.
    let mut statement = snapshot.prepare_cached(
        "SELECT change.key, change.revision,
             CASE WHEN change.next IS NULL THEN entry.value ELSE change.replaced END
         FROM (SELECT key, revision, lead(revision) OVER later AS next, lead(old_value) OVER later AS replaced
               FROM history WHERE revision >= :from AND key >= :low AND key < :high
               WINDOW later AS (PARTITION BY key ORDER BY revision)) AS change
         LEFT JOIN entry ON entry.key = change.key
         WHERE change.revision <= :to
         ORDER BY change.revision, change.key",
    )?;
    let rows = statement
        .query_map(named_params! { ":low": low, ":high": high, ":from": sql(from), ":to": sql(to) }, |row| {
            Ok(Event { key: key(row)?, revision: row.get::<_, i64>(1)?.unsigned_abs(), value: row.get(2)? })
        })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(super) fn notes(
    connection: &Connection,
    outbox: &str,
    after: Revision,
    limit: usize,
) -> Result<Vec<Note>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT revision, bytes FROM note WHERE outbox = ?1 AND revision > ?2 ORDER BY revision LIMIT ?3",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = statement.query_map(params![outbox, sql(after), limit], |row| {
        Ok(Note { revision: row.get::<_, i64>(0)?.unsigned_abs(), bytes: row.get(1)? })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// `VACUUM INTO` reads in one transaction, and its copy has no log beside it. It takes an empty file for none.
pub(super) fn copy_to(connection: &Connection, file: &Path) -> Result<(), StoreError> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    connection.execute("VACUUM INTO ?1", [file.to_string_lossy()])?;
    Ok(())
}

fn key(row: &Row<'_>) -> rusqlite::Result<String> {
    let bytes: Vec<u8> = row.get(0)?;
    String::from_utf8(bytes).map_err(|error| rusqlite::Error::Utf8Error(0, error.utf8_error()))
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    Ok(Entry { key: key(row)?, revision: row.get::<_, i64>(1)?.unsigned_abs(), value: row.get(2)? })
}

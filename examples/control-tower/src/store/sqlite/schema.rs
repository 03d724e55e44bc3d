//! The tables, their format number, and what is checked before they are used.

use std::{fs, os::unix::fs::OpenOptionsExt, path::Path, time::Duration};

use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior, config::DbConfig};

use super::{Options, Revision, StoreError};

/// "KYWD": how we know a database for ours.
const APPLICATION: i64 = 0x4b59_5744;

/// What turns format `n` into format `n + 1`; the number of steps is the format that we write. `history` holds for each change
/// what was there *before*: the value now is stored once, and a revision's state is what the earliest later change replaced. It
/// is ordered by revision alone: an index by key would cost every commit a page or more for each key, and who reads the past
/// reads the near past.
const STEPS: &[&str] = &[
    "
    CREATE TABLE entry (key BLOB PRIMARY KEY, revision INTEGER NOT NULL, value BLOB NOT NULL) WITHOUT ROWID;
    CREATE TABLE history (
        revision INTEGER NOT NULL, key BLOB NOT NULL, old_revision INTEGER, old_value BLOB,
        PRIMARY KEY (revision, key)
    ) WITHOUT ROWID;
    CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
    INSERT INTO meta VALUES ('revision', 0), ('compacted', 0);
",
    "
    CREATE TABLE note (
        outbox TEXT NOT NULL, revision INTEGER NOT NULL, bytes BLOB NOT NULL, PRIMARY KEY (outbox, revision)
    ) WITHOUT ROWID;
",
    // The tables are the same. What is due is found by entries that earlier programs do not leave: a key that one of them made, or
    // gave another schedule, would never be rotated by this one. So they refuse to start.
    "",
];

/// Databases up to this size are read wholly at the start; larger ones are checked by `PRAGMA integrity_check` in a backup.
const CHECKED_AT_START: u64 = 8 << 20;

/// The connection of the writer, the latest revision, and up to which revision history is gone.
pub(super) fn open(path: &Path, options: Options) -> Result<(Connection, Revision, Revision), StoreError> {
    let new = create(path)?;
    let mut connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.set_prepared_statement_cache_capacity(32);
    keep_plans(&connection)?;
    identify(&connection, path)?;
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        return Err(StoreError::Damaged { detail: format!("journal mode is `{mode}`, not `wal`") });
    }
    // Checkpoints are the writer's, between batches. `fullfsync` matters on macOS alone.
    connection.execute_batch("PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -4000; PRAGMA temp_store = MEMORY")?;
    migrate(&mut connection)?;
    if fs::metadata(path)?.len() <= CHECKED_AT_START {
        check(&connection, "quick_check(1)")?;
    }
    let revision = meta(&connection, "revision")?;
    let compacted = meta(&connection, "compacted")?;
    let highest: Option<i64> = connection.query_row("SELECT max(revision) FROM history", [], |row| row.get(0))?;
    if highest.unwrap_or(0) > super::sql(revision) || compacted > revision {
        return Err(StoreError::Damaged {
            detail: format!("the latest revision is {revision}, but later ones are stored"),
        });
    }
    if let Some(pages) = options.max_pages {
        connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
    }
    if new {
        sync_parent(path)?;
    }
    Ok((connection, revision, compacted))
}

/// A connection that only reads.
pub(super) fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.execute_batch("PRAGMA cache_size = -2000; PRAGMA temp_store = MEMORY")?;
    keep_plans(&connection)?;
    Ok(connection)
}

/// Without it SQLite compiles a statement anew whenever a key is bound to it, to choose a plan for that key
/// (<https://www.sqlite.org/c3ref/prepare.html>, "STAT4"). Here every key is looked up in the same way.
fn keep_plans(connection: &Connection) -> Result<(), StoreError> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    Ok(())
}

/// Makes the empty file, so that it and the files that SQLite puts beside it (which take its mode) are private.
fn create(path: &Path) -> Result<bool, StoreError> {
    match fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn sync_parent(path: &Path) -> Result<(), StoreError> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    fs::File::open(parent)?.sync_all()?;
    Ok(())
}

/// Refuses what is not ours or newer than we are.
pub(super) fn identify(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let foreign = || StoreError::Foreign { path: path.display().to_string() };
    let application: i64 = match connection.pragma_query_value(None, "application_id", |row| row.get(0)) {
        Ok(application) => application,
        Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::NotADatabase) => return Err(foreign()),
        Err(error) => return Err(error.into()),
    };
    let found = format(connection)?;
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application != APPLICATION && (tables > 0 || found > 0) {
        return Err(foreign());
    }
    let known = i64::try_from(STEPS.len()).unwrap_or(i64::MAX);
    if found > known {
        return Err(StoreError::NewerFormat { found, known });
    }
    Ok(())
}

fn format(connection: &Connection) -> Result<i64, StoreError> {
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

/// Takes the missing steps, each in one transaction with its number.
fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let found = usize::try_from(format(connection)?).unwrap_or(0);
    for (number, step) in STEPS.iter().enumerate().skip(found) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", i64::try_from(number + 1).unwrap_or(i64::MAX))?;
        transaction.commit()?;
    }
    Ok(())
}

/// Runs one of SQLite's checks.
pub(super) fn check(connection: &Connection, pragma: &str) -> Result<(), StoreError> {
    let finding: String = connection.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0))?;
    if finding == "ok" { Ok(()) } else { Err(StoreError::Damaged { detail: finding }) }
}

/// One of the numbers of the store.
pub(super) fn meta(connection: &Connection, name: &str) -> Result<Revision, StoreError> {
    let value: Option<i64> = connection
        .prepare_cached("SELECT value FROM meta WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()?;
    value
        .and_then(|value| u64::try_from(value).ok())
        .ok_or_else(|| StoreError::Damaged { detail: format!("no `{name}`") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Sqlite;

    fn file() -> (tempfile::TempDir, std::path::PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tower.db");
        (dir, path)
    }

    #[test]
    fn files_are_private_and_reopen() {
        use std::os::unix::fs::PermissionsExt;
        let (dir, path) = file();
        let store = Sqlite::open(&path).unwrap();
        for file in fs::read_dir(dir.path()).unwrap() {
            let file = file.unwrap();
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", file.path());
        }
        drop(store);
        assert!(!dir.path().join("tower.db-wal").exists(), "the log is moved into the database at the end");
        Sqlite::open(&path).unwrap();
    }

    #[test]
    fn every_commit_is_synced() {
        let (_dir, path) = file();
        let (writer, _, _) = open(&path, Options::default()).unwrap();
        let pragma =
            |name| writer.pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0)).unwrap();
        assert_eq!(pragma("journal_mode"), "wal".to_owned().into());
        // 2 is FULL.
        assert_eq!(pragma("synchronous"), 2.into());
    }

    #[test]
    fn a_newer_format_is_refused() {
        let (_dir, path) = file();
        drop(Sqlite::open(&path).unwrap());
        Connection::open(&path).unwrap().pragma_update(None, "user_version", 7).unwrap();
        let error = Sqlite::open(&path).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the store has format 7, this program knows formats up to 3: start the newer program"
        );
    }

    #[test]
    fn a_program_that_would_leave_no_entries_for_what_is_due_does_not_start_any_more() {
        let (_dir, path) = file();
        drop(Sqlite::open(&path).unwrap());
        let connection = Connection::open(&path).unwrap();
        connection.pragma_update(None, "user_version", 2).unwrap();
        drop(Sqlite::open(&path).unwrap());
        assert!(format(&connection).unwrap() > 2);
    }

    #[test]
    fn a_database_of_another_program_is_refused() {
        let (_dir, path) = file();
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
        let error = Sqlite::open(&path).unwrap_err();
        assert_eq!(error.to_string(), format!("`{}` is a database of another program", path.display()));
        fs::write(&path, "not a database at all, but long enough to be taken for one by its size alone ".repeat(20))
            .unwrap();
        assert!(matches!(Sqlite::open(&path), Err(StoreError::Foreign { .. })));
    }

    #[test]
    fn damage_is_noticed() {
        let (_dir, path) = file();
        drop(Sqlite::open(&path).unwrap());
        Connection::open(&path).unwrap().execute_batch("INSERT INTO history VALUES (9, x'61', NULL, NULL)").unwrap();
        let error = Sqlite::open(&path).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the store is damaged (the latest revision is 0, but later ones are stored): restore a backup"
        );
        let mut bytes = fs::read(&path).unwrap();
        let length = bytes.len();
        for byte in &mut bytes[4096..length] {
            *byte = !*byte;
        }
        fs::write(&path, bytes).unwrap();
        assert!(Sqlite::open(&path).is_err());
    }
}

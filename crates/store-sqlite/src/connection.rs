//! Opening the database and bringing its schema up to date.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use store::StoreError;

use crate::error::store_error;

/// Numbered, forward only, never edited once shipped.
const MIGRATIONS: [&str; 3] = [
    include_str!("../migrations/0001_first.sql"),
    include_str!("../migrations/0002_rules.sql"),
    include_str!("../migrations/0003_mail.sql"),
];
/// A lock that another process holds is waited for at most this long, so that a client is told 451 within a second.
const BUSY_TIMEOUT: Duration = Duration::from_millis(500);
/// Page cache of the writer in KiB; negative by SQLite's convention.
const WRITER_CACHE_KIB: i64 = -16_384;
/// Prepared statements kept.
const STATEMENTS: usize = 128;

pub(crate) fn open_writer(path: &Path) -> Result<Connection, StoreError> {
    let mut connection = Connection::open(path).map_err(|e| store_error(&e))?;
    configure(&connection).map_err(|e| store_error(&e))?;
    migrate(&mut connection)?;
    Ok(connection)
}

pub(crate) fn open_reader(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|e| store_error(&e))?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(|e| store_error(&e))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", WRITER_CACHE_KIB)?;
    // A checkpoint every 16 MiB of log keeps it short without a checkpoint behind every batch.
    connection.pragma_update(None, "wal_autocheckpoint", 4_000)
}

fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let known = i64::try_from(MIGRATIONS.len()).expect("few migrations");
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(|e| store_error(&e))?;
    if found > known {
        return Err(StoreError::OutdatedProgram { found, known });
    }
    for (number, migration) in (1..).zip(MIGRATIONS) {
        if number > found {
            let step = connection.transaction().map_err(|e| store_error(&e))?;
            step.execute_batch(migration).map_err(|e| store_error(&e))?;
            step.pragma_update(None, "user_version", number).map_err(|e| store_error(&e))?;
            step.commit().map_err(|e| store_error(&e))?;
        }
    }
    Ok(())
}

//! Reading rows: a small pool of read-only connections, and columns into domain values.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::types::FromSql;
use rusqlite::{Connection, Row};
use store::StoreError;
use store::rows::Columns;
use tokio::sync::Semaphore;

use crate::connection::open_reader;
use crate::error::{Failure, store_error};

/// Connections that read at the same time.
const READERS: usize = 4;

pub(crate) struct Readers {
    path: PathBuf,
    idle: Mutex<Vec<Connection>>,
    permits: Semaphore,
}

impl Readers {
    pub(crate) fn new(path: PathBuf) -> Arc<Self> {
        Arc::new(Self { path, idle: Mutex::new(Vec::new()), permits: Semaphore::new(READERS) })
    }

    /// Runs a read on a thread that may block.
    pub(crate) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, StoreError> {
        let _permit = self.permits.acquire().await.map_err(|_| StoreError::Unavailable("closing".to_owned()))?;
        let readers = Arc::clone(self);
        let done = tokio::task::spawn_blocking(move || {
            let connection = match readers.lock().pop() {
                Some(connection) => connection,
                None => open_reader(&readers.path)?,
            };
            // One snapshot for all that the work reads.
            let snapshot = connection.unchecked_transaction().map_err(|e| store_error(&e))?;
            let result = work(&snapshot).map_err(Failure::into_store);
            drop(snapshot);
            readers.lock().push(connection);
            result
        });
        done.await.map_err(|_| StoreError::Unavailable("a read was cut off".to_owned()))?
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Columns of one SQLite row.
pub(crate) struct SqliteColumns<'a> {
    row: &'a Row<'a>,
    at: usize,
}

impl SqliteColumns<'_> {
    fn next<T: FromSql>(&mut self) -> Result<T, StoreError> {
        self.at += 1;
        self.row.get(self.at - 1).map_err(|e| store_error(&e))
    }
}

impl Columns for SqliteColumns<'_> {
    fn text_or_none(&mut self) -> Result<Option<String>, StoreError> {
        self.next()
    }

    fn integer_or_none(&mut self) -> Result<Option<i64>, StoreError> {
        self.next()
    }

    fn bytes_or_none(&mut self) -> Result<Option<Vec<u8>>, StoreError> {
        self.next()
    }

    fn flag(&mut self) -> Result<bool, StoreError> {
        self.next()
    }
}

/// The first row of a query.
pub(crate) fn one<T>(
    connection: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
    read: impl Fn(&mut dyn Columns) -> Result<T, StoreError>,
) -> Result<Option<T>, Failure> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    Ok(rows.next()?.map(|row| read(&mut SqliteColumns { row, at: 0 })).transpose()?)
}

/// Every row of a query.
pub(crate) fn all<T>(
    connection: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
    read: impl Fn(&mut dyn Columns) -> Result<T, StoreError>,
) -> Result<Vec<T>, Failure> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut out = Vec::new();
    while let Some(row) = rows.next()? {
        out.push(read(&mut SqliteColumns { row, at: 0 })?);
    }
    Ok(out)
}

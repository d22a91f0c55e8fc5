//! Reading rows over a few pipelined connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use store::StoreError;
use store::rows::Columns;
use tokio_postgres::types::FromSqlOwned;
use tokio_postgres::{Config, Row};

use crate::connection::{Link, Params, STATEMENT_TIMEOUT, Session};
use crate::error::{Failure, store_error};

/// Connections for reads; each pipelines whatever is asked of it at once.
const READERS: usize = 4;

pub(crate) struct Readers {
    links: Vec<Link>,
    next: AtomicUsize,
}

impl Readers {
    pub(crate) fn new(config: &Arc<Config>) -> Self {
        Self { links: (0..READERS).map(|_| Link::new(Arc::clone(config))).collect(), next: AtomicUsize::new(0) }
    }

    /// Runs a read; a server that does not answer is an error, not a wait.
    pub(crate) async fn read<T, F: Future<Output = Result<T, Failure>>>(
        &self,
        work: impl FnOnce(Arc<Session>) -> F,
    ) -> Result<T, StoreError> {
        let link = &self.links[self.next.fetch_add(1, Ordering::Relaxed) % self.links.len()];
        let session = link.session().await?;
        let late = |_| StoreError::Unavailable("the database server does not answer".to_owned());
        tokio::time::timeout(STATEMENT_TIMEOUT, work(session)).await.map_err(late)?.map_err(Failure::into_store)
    }
}

/// Columns of one row.
struct PostgresColumns<'a> {
    row: &'a Row,
    at: usize,
}

impl PostgresColumns<'_> {
    fn next<T: FromSqlOwned>(&mut self) -> Result<T, StoreError> {
        self.at += 1;
        self.row.try_get(self.at - 1).map_err(|e| store_error(&e))
    }
}

impl Columns for PostgresColumns<'_> {
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
pub(crate) async fn one<T>(
    s: &Session,
    sql: &str,
    params: Params<'_>,
    read: impl Fn(&mut dyn Columns) -> Result<T, StoreError>,
) -> Result<Option<T>, Failure> {
    Ok(all(s, sql, params, read).await?.into_iter().next())
}

/// Every row of a query.
pub(crate) async fn all<T>(
    s: &Session,
    sql: &str,
    params: Params<'_>,
    read: impl Fn(&mut dyn Columns) -> Result<T, StoreError>,
) -> Result<Vec<T>, Failure> {
    let rows = s.query(sql, params).await?;
    Ok(rows.iter().map(|row| read(&mut PostgresColumns { row, at: 0 })).collect::<Result<_, _>>()?)
}

/// The octets of an id as a parameter.
pub(crate) fn octets(bytes: &[u8; 16]) -> &[u8] {
    bytes
}

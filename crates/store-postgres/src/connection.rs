//! A connection with its prepared statements, opened anew when it broke.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use store::StoreError;
use tokio::sync::Mutex;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Config, Row, Statement};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::{Failure, store_error};
use crate::tls;

/// A server that does not answer is given up after this long, so that a client is told 451 within a second.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(700);
/// A statement that waits for a lock or a dead server is given up after this long.
pub(crate) const STATEMENT_TIMEOUT: Duration = Duration::from_secs(5);

pub(crate) type Params<'a> = &'a [&'a (dyn ToSql + Sync)];

/// An open connection.
pub(crate) struct Session {
    pub(crate) client: Client,
    statements: std::sync::Mutex<HashMap<String, Statement>>,
}

impl Session {
    pub(crate) async fn query(&self, sql: &str, params: Params<'_>) -> Result<Vec<Row>, Failure> {
        Ok(self.client.query(&self.prepared(sql).await?, params).await?)
    }

    pub(crate) async fn execute(&self, sql: &str, params: Params<'_>) -> Result<u64, Failure> {
        Ok(self.client.execute(&self.prepared(sql).await?, params).await?)
    }

    async fn prepared(&self, sql: &str) -> Result<Statement, Failure> {
        let known = self.lock().get(sql).cloned();
        if let Some(statement) = known {
            return Ok(statement);
        }
        let statement = self.client.prepare(sql).await?;
        self.lock().insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Statement>> {
        self.statements.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One slot that holds a connection while it works.
pub(crate) struct Link {
    config: Arc<Config>,
    session: Mutex<Option<Arc<Session>>>,
}

impl Link {
    pub(crate) fn new(config: Arc<Config>) -> Self {
        Self { config, session: Mutex::new(None) }
    }

    /// Lets the session go; the next call opens another.
    pub(crate) async fn forget(&self) {
        *self.session.lock().await = None;
    }

    /// The session, opened if there is none.
    pub(crate) async fn session(&self) -> Result<Arc<Session>, StoreError> {
        let mut slot = self.session.lock().await;
        if let Some(session) = slot.as_ref().filter(|s| !s.client.is_closed()) {
            return Ok(Arc::clone(session));
        }
        let late = |_| StoreError::Unavailable("the database server does not answer".to_owned());
        let client = tokio::time::timeout(CONNECT_TIMEOUT, connect(&self.config)).await.map_err(late)??;
        let session = Arc::new(Session { client, statements: std::sync::Mutex::default() });
        *slot = Some(Arc::clone(&session));
        Ok(session)
    }
}

async fn connect(config: &Config) -> Result<Client, StoreError> {
    let tls = MakeRustlsConnect::new(tls::config(config.get_ssl_mode()));
    let (client, connection) = config.connect(tls).await.map_err(|e| store_error(&e))?;
    // Ends with the client; its errors are those of the calls.
    tokio::spawn(async move { drop(connection.await) });
    Ok(client)
}

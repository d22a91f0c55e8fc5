//! The writer task: takes all commits that wait, applies them in one transaction, then answers all.

use std::collections::BTreeSet;
use std::sync::Arc;

use store::{Changes, CommitError, Committed, StoreError, needs, plan};
use tokio::sync::{mpsc, oneshot};

use crate::connection::{Link, STATEMENT_TIMEOUT, Session};
use crate::error::Failure;
use crate::{load, write};

/// Most commits in one transaction.
const MAX_BATCH: usize = 256;
/// How often a batch is run again when the server asks for it.
const TRIES: usize = 5;

pub(crate) struct Job {
    pub(crate) changes: Box<Changes>,
    pub(crate) answer: oneshot::Sender<Result<Committed, CommitError>>,
}

pub(crate) struct Writer {
    link: Link,
    months: BTreeSet<i32>,
}

impl Writer {
    pub(crate) fn new(link: Link) -> Self {
        Self { link, months: BTreeSet::new() }
    }

    /// Works until every sender is gone.
    pub(crate) async fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut batch = Vec::new();
        while jobs.recv_many(&mut batch, MAX_BATCH).await > 0 {
            self.commit_batch(std::mem::take(&mut batch)).await;
        }
    }

    async fn commit_batch(&mut self, batch: Vec<Job>) {
        let (changes, answers): (Vec<Changes>, Vec<_>) = batch.into_iter().map(|job| (*job.changes, job.answer)).unzip();
        let outcomes = match self.apply(&changes).await {
            Ok(outcomes) => outcomes,
            Err(Failure::Constraint | Failure::Again) => {
                let mut outcomes = Vec::with_capacity(changes.len());
                for one in changes {
                    outcomes.push(self.apply_alone(one).await);
                }
                outcomes
            }
            Err(Failure::Store(error)) => {
                tracing::warn!(%error, commits = answers.len(), "commit failed, nothing was changed");
                answers.iter().map(|_| Err(CommitError::Store(error.clone()))).collect()
            }
        };
        for (answer, outcome) in answers.into_iter().zip(outcomes) {
            let _ = answer.send(outcome.map(|()| Committed));
        }
    }

    async fn apply_alone(&mut self, changes: Changes) -> Result<(), CommitError> {
        match self.apply(&[changes]).await {
            Ok(mut outcomes) => outcomes.pop().unwrap_or(Ok(())),
            Err(Failure::Constraint) => Err(CommitError::Conflict),
            Err(failure) => Err(CommitError::Store(failure.into_store())),
        }
    }

    async fn apply(&mut self, batch: &[Changes]) -> Result<Vec<Result<(), CommitError>>, Failure> {
        let session = self.link.session().await?;
        let mut last = Failure::Again;
        for _ in 0..TRIES {
            let attempt = tokio::time::timeout(STATEMENT_TIMEOUT, self.attempt(&session, batch)).await;
            let failure = match attempt {
                Ok(Ok(outcomes)) => return Ok(outcomes),
                Ok(Err(failure)) => failure,
                Err(_) => {
                    // Nobody knows what this connection is doing.
                    self.link.forget().await;
                    return Err(Failure::Store(StoreError::Unavailable("the database server does not answer".to_owned())));
                }
            };
            // A connection that is gone has rolled back by itself.
            let _ = tokio::time::timeout(STATEMENT_TIMEOUT, session.client.batch_execute("ROLLBACK")).await;
            match failure {
                Failure::Again => last = Failure::Again,
                failure => return Err(failure),
            }
        }
        Err(last)
    }

    async fn attempt(&mut self, session: &Arc<Session>, batch: &[Changes]) -> Result<Vec<Result<(), CommitError>>, Failure> {
        let months: BTreeSet<i32> = batch.iter().flat_map(|c| c.bodies.iter().map(|b| b.month)).collect();
        for month in months.difference(&self.months) {
            session.client.batch_execute(&write::body_table(*month)).await?;
        }
        self.months.extend(months);
        // A row or table that somebody holds is given up, so that a client is told 451 within a second.
        session.client.batch_execute("BEGIN; SET LOCAL lock_timeout = '700ms'").await?;
        let current = load::current(session, &needs(batch)).await?;
        let planned = plan(batch.to_vec(), current);
        write::rows(session, &planned.writes).await?;
        session.client.batch_execute("COMMIT").await?;
        Ok(planned.outcomes)
    }
}

//! The writer thread: takes all commits that wait, applies them in one transaction, then answers all.

use std::collections::BTreeSet;

use rusqlite::{Connection, TransactionBehavior};
use store::{Changes, CommitError, Committed, StoreError, needs, plan};
use tokio::sync::{mpsc, oneshot};

use crate::error::Failure;
use crate::{load, write};

/// Most commits in one transaction: at a hundred sessions all that wait go together, and one batch stays short.
const MAX_BATCH: usize = 256;

type Answer = oneshot::Sender<Result<Committed, CommitError>>;
type Exclusive = Box<dyn FnOnce(&mut Connection) + Send>;

pub(crate) enum Job {
    Commit(Box<Changes>, Answer),
    /// Other writing work, in a transaction of its own.
    Exclusive(Exclusive),
}

pub(crate) struct Writer {
    connection: Connection,
    /// Months whose body table exists.
    months: BTreeSet<i32>,
}

impl Writer {
    pub(crate) fn new(connection: Connection) -> Self {
        Self { connection, months: BTreeSet::new() }
    }

    /// Works until every sender is gone.
    pub(crate) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut exclusive = None;
        while let Some(first) = exclusive.take().or_else(|| jobs.blocking_recv()) {
            let mut batch = Vec::new();
            let mut next = Some(first);
            while let Some(job) = next {
                match job {
                    Job::Commit(changes, answer) => batch.push((changes, answer)),
                    job @ Job::Exclusive(_) => {
                        exclusive = Some(job);
                        break;
                    }
                }
                next = if batch.len() < MAX_BATCH { jobs.try_recv().ok() } else { None };
            }
            if !batch.is_empty() {
                self.commit_batch(batch);
            }
            if let Some(Job::Exclusive(work)) = exclusive.take() {
                work(&mut self.connection);
            }
        }
    }

    fn commit_batch(&mut self, batch: Vec<(Box<Changes>, Answer)>) {
        let (changes, answers): (Vec<Changes>, Vec<Answer>) = batch.into_iter().map(|(c, a)| (*c, a)).unzip();
        let outcomes = match self.apply(changes.clone()) {
            Ok(outcomes) => outcomes,
            // One member broke a constraint: each alone, so that it alone fails.
            Err(Failure::Constraint) => changes.into_iter().map(|one| self.apply_alone(one)).collect(),
            Err(Failure::Store(error)) => {
                tracing::warn!(%error, commits = answers.len(), "commit failed, nothing was changed");
                answers.iter().map(|_| Err(CommitError::Store(error.clone()))).collect()
            }
        };
        for (answer, outcome) in answers.into_iter().zip(outcomes) {
            // Whoever asked may be gone; the commit stands all the same.
            let _ = answer.send(outcome.map(|()| Committed));
        }
    }

    fn apply_alone(&mut self, changes: Changes) -> Result<(), CommitError> {
        match self.apply(vec![changes]) {
            Ok(mut outcomes) => outcomes.pop().unwrap_or(Ok(())),
            Err(Failure::Constraint) => Err(CommitError::Conflict),
            Err(Failure::Store(error)) => Err(CommitError::Store(error)),
        }
    }

    fn apply(&mut self, batch: Vec<Changes>) -> Result<Vec<Result<(), CommitError>>, Failure> {
        let months: BTreeSet<i32> = batch.iter().flat_map(|c| c.bodies.iter().map(|b| b.month)).collect();
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for month in months.difference(&self.months) {
            transaction.execute_batch(&write::body_table(*month))?;
        }
        let current = load::current(&transaction, &needs(&batch))?;
        let planned = plan(batch, current);
        write::rows(&transaction, planned.writes)?;
        transaction.commit()?;
        self.months.extend(months);
        Ok(planned.outcomes)
    }
}

/// Runs other writing work on the writer thread.
pub(crate) async fn exclusive<T: Send + 'static>(
    jobs: &mpsc::Sender<Job>,
    work: impl FnOnce(&mut Connection) -> Result<T, Failure> + Send + 'static,
) -> Result<T, StoreError> {
    let (answer, result) = oneshot::channel();
    let job = Job::Exclusive(Box::new(move |connection| {
        let _ = answer.send(work(connection));
    }));
    let gone = |_| StoreError::Unavailable("the writer has ended".to_owned());
    jobs.send(job).await.map_err(|_| gone(()))?;
    result.await.map_err(|_| gone(()))?.map_err(Failure::into_store)
}

//! One worker of a destination: takes what waits, delivery by delivery, and keeps a session from one to the next.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Destination, Job, Turn, destination_of};
use crate::attempt::{Attempted, LONGEST_ATTEMPT, POSTPONE, attempt, has_time, postpone, record, transient};
use crate::mx::Route;
use crate::outgoing::{Office, Shared};
use crate::session::OpenSession;

/// A connection without work is kept this long.
const IDLE: Duration = Duration::from_secs(10);
/// Transactions on one connection to a stranger's server; some dislike endless ones.
const MAX_USES: usize = 100;
/// The same to the operator's provider.
const MAX_USES_OF_ROUTE: usize = 1_000;
/// How long a server that takes no further connection is not asked for one.
const FULL_FOR: Duration = Duration::from_secs(30);
/// What belongs to another destination by now is due again after this long.
const MOVED: Duration = Duration::from_secs(1);
/// A connection was broken, or an attempt took too long (RFC 3463).
const BROKEN: &str = "4.4.2";

/// A worker. What it counts for is given back when it is dropped, even by a panic.
pub(super) struct Worker {
    destination: Arc<Destination>,
    office: Arc<Office>,
    session: Option<Box<OpenSession>>,
    /// Whether it counts as a worker.
    is_counted: bool,
    /// Whether it counts as one with a session.
    is_in_session: bool,
}

impl Worker {
    /// A worker that the destination has counted.
    pub(super) fn new(destination: Arc<Destination>, office: Arc<Office>) -> Self {
        Self { destination, office, session: None, is_counted: true, is_in_session: false }
    }

    /// Works until there is nothing to do for a while.
    pub(super) async fn run(mut self) {
        while let Some(mut job) = self.next().await {
            job.renew();
            let shared = self.office.current();
            if destination_of(&shared.settings.route, &job.ready) != self.destination.domain {
                // The route is another since: whoever leases it next finds the right destination.
                postpone(&shared, &job.ready, MOVED).await;
                continue;
            }
            let turn = self.destination.lock().turn(has_time(&shared, &job.ready));
            match turn {
                Turn::Fail(status) => record(&shared, &job.ready, &transient(&status)).await,
                Turn::Postpone => postpone(&shared, &job.ready, POSTPONE).await,
                Turn::Attempt => {
                    if self.session.as_ref().is_some_and(|session| !Arc::ptr_eq(&session.shared, &shared)) {
                        self.leave().await;
                    }
                    if !self.serve(&shared, job).await {
                        return;
                    }
                }
            }
        }
        if let Some(session) = self.session.take() {
            session.quit().await;
        }
    }

    /// Attempts one delivery and records it; whether this worker is needed further.
    async fn serve(&mut self, shared: &Arc<Shared>, mut job: Job) -> bool {
        let began = Instant::now();
        let trying = attempt(shared, &self.destination.domain, self.session.take(), &job.ready);
        // A server that answers octet by octet is left before the lease ends.
        let attempted = tokio::time::timeout(LONGEST_ATTEMPT, trying).await;
        job.renew();
        match attempted {
            Ok(Attempted::Answered(attempt, kept)) => {
                self.session = kept;
                self.count_session(self.session.is_some());
                self.destination.answered(&self.office, shared);
                record(shared, &job.ready, &attempt).await;
                if self.session.as_ref().is_some_and(|session| session.used >= max_uses(&shared.settings.route)) {
                    self.leave().await;
                }
            }
            Ok(Attempted::Unreached(attempt)) => {
                let Some(job) = self.unreached(began.elapsed(), &attempt.status, job) else { return false };
                record(shared, &job.ready, &attempt).await;
            }
            Ok(Attempted::NoRoom) => {
                self.count_session(false);
                postpone(shared, &job.ready, POSTPONE).await;
            }
            Err(_) => {
                self.late(began.elapsed());
                record(shared, &job.ready, &transient(BROKEN)).await;
            }
        }
        true
    }

    /// No server was reached. If others of our connections are open, the server wants no more of them: the delivery waits
    /// for one of those, `None`, and this worker is over. Otherwise the destination is down.
    fn unreached(&mut self, took: Duration, status: &str, job: Job) -> Option<Job> {
        self.count_session(false);
        let mut state = self.destination.lock();
        if state.in_session > 0 {
            state.full = Some(Instant::now() + FULL_FOR);
            state.waiting.push_front(job);
            state.workers -= 1;
            self.is_counted = false;
            drop(state);
            self.destination.work.notify_one();
            return None;
        }
        state.fail(took, status);
        Some(job)
    }

    /// The attempt took too long. Unless others of our connections work, the next one would too.
    fn late(&mut self, took: Duration) {
        self.count_session(false);
        let mut state = self.destination.lock();
        if state.in_session == 0 {
            state.fail(took, BROKEN);
        }
    }

    fn count_session(&mut self, is_in_session: bool) {
        let mut state = self.destination.lock();
        state.in_session = state.in_session + usize::from(is_in_session) - usize::from(self.is_in_session);
        self.is_in_session = is_in_session;
    }

    /// The next delivery; `None` when there was none for a while, and the worker is over. Until then the session is given
    /// up as soon as another destination needs it.
    async fn next(&mut self) -> Option<Job> {
        let destination = Arc::clone(&self.destination);
        loop {
            let shared = self.office.current();
            // Registered before the queue is looked at, so that no push between the two goes unheard.
            let mut notified = pin!(destination.work.notified());
            notified.as_mut().enable();
            let mut pressed = pin!(shared.pressed.notified());
            pressed.as_mut().enable();
            {
                let mut state = destination.lock();
                if let Some(next) = state.take() {
                    return Some(next);
                }
                state.idle += 1;
            }
            if shared.connections.available_permits() == 0 {
                self.leave().await;
            }
            let is_woken = tokio::select! {
                () = notified.as_mut() => true,
                () = pressed.as_mut(), if self.session.is_some() => {
                    self.leave().await;
                    true
                }
                () = tokio::time::sleep(IDLE) => false,
            };
            let mut state = destination.lock();
            state.idle -= 1;
            if !is_woken && state.waiting.is_empty() {
                state.workers -= 1;
                // With the worker, or another would leave work to a session that nobody looks after.
                state.in_session -= usize::from(self.is_in_session);
                (self.is_counted, self.is_in_session) = (false, false);
                return None;
            }
        }
    }

    /// Ends the session, if there is one.
    async fn leave(&mut self) {
        if let Some(session) = self.session.take() {
            self.count_session(false);
            session.quit().await;
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if !self.is_counted {
            return;
        }
        let mut state = self.destination.lock();
        state.workers -= 1;
        state.in_session -= usize::from(self.is_in_session);
        // What waits must not wait for the next delivery. A runtime that ends has no use for another worker.
        if std::thread::panicking() && !state.waiting.is_empty() {
            self.destination.staff(state, &self.office, &self.office.current());
        }
    }
}

fn max_uses(route: &Route) -> usize {
    match route {
        Route::Mx { .. } => MAX_USES,
        Route::Smtp { .. } => MAX_USES_OF_ROUTE,
    }
}

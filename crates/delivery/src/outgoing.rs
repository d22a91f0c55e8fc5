//! Takes deliveries from the hand-over and from the store and gives them to their destinations.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use operations::{Context, ReadyDelivery, lease_deliveries};
use tokio::sync::{mpsc, watch};
use tokio_rustls::TlsConnector;

use crate::destination::{Destination, destination_of};
use crate::mx::Route;
use crate::tls;

/// How often the store is asked for what is due.
const POLL: Duration = Duration::from_secs(1);
/// How many deliveries are leased at once: with the largest messages, what comes above the limit of octets.
const LEASE_BATCH: usize = 16;
/// Deliveries in memory over all destinations. Beyond it the hand-over fills, then what is accepted waits in
/// the store: accepting never waits for delivering.
const MAX_DELIVERIES_HELD: usize = 2_000;
const MAX_OCTETS_HELD: usize = 128 << 20;
/// When memory is full, how soon it is looked at again.
const FULL_PAUSE: Duration = Duration::from_millis(5);
/// How long connections that have work are waited for at the end; what is left is leased again after the restart.
const DRAIN: Duration = Duration::from_secs(10);
/// Destinations remembered; idle ones are forgotten beyond it.
const MAX_DESTINATIONS: usize = 10_000;

/// How mail leaves.
#[derive(Debug, Clone)]
pub struct DeliverySettings {
    /// The way.
    pub route: Route,
    /// Our own host name.
    pub hostname: String,
    /// Connections to one destination at a time.
    pub connections_per_destination: usize,
}

/// What all destinations share.
pub(crate) struct Shared {
    pub(crate) ctx: Arc<Context>,
    pub(crate) settings: DeliverySettings,
    pub(crate) resolver: TokioResolver,
    pub(crate) tasks: tokio::runtime::Handle,
    /// Deliveries in memory.
    pub(crate) deliveries_held: AtomicUsize,
    /// Octets of their content.
    pub(crate) octets_held: AtomicUsize,
    opportunistic: TlsConnector,
    verified: TlsConnector,
}

impl Shared {
    pub(crate) fn credentials(&self) -> Option<(String, String)> {
        match &self.settings.route {
            Route::Smtp { credentials, .. } => credentials.clone(),
            Route::Mx { .. } => None,
        }
    }

    pub(crate) fn tls(&self) -> &TlsConnector {
        if self.credentials().is_some() { &self.verified } else { &self.opportunistic }
    }
}

/// The door out.
pub struct Deliverer {
    shared: Arc<Shared>,
    destinations: HashMap<String, Arc<Destination>>,
}

impl Deliverer {
    /// A deliverer that has not begun.
    #[must_use]
    pub fn new(ctx: Arc<Context>, settings: DeliverySettings, resolver: TokioResolver) -> Self {
        let shared = Shared {
            ctx,
            settings,
            resolver,
            tasks: tokio::runtime::Handle::current(),
            deliveries_held: AtomicUsize::new(0),
            octets_held: AtomicUsize::new(0),
            opportunistic: tls::opportunistic(),
            verified: tls::verified(),
        };
        Self { shared: Arc::new(shared), destinations: HashMap::new() }
    }

    /// Works until `shutdown` turns true; then what is under way is given a little time.
    pub async fn run(mut self, mut handoff: mpsc::Receiver<ReadyDelivery>, mut shutdown: watch::Receiver<bool>) {
        let mut poll = tokio::time::interval(POLL);
        poll.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                Some(ready) = handoff.recv(), if self.room() > 0 => self.push(ready),
                () = tokio::time::sleep(FULL_PAUSE), if self.room() == 0 => {}
                _ = poll.tick() => self.lease().await,
                () = async { drop(shutdown.wait_for(|down| *down).await) } => break,
            }
        }
        self.drain(handoff).await;
    }

    fn push(&mut self, ready: ReadyDelivery) {
        if self.destinations.len() >= MAX_DESTINATIONS {
            self.destinations.retain(|_, d| !d.is_idle());
        }
        let name = destination_of(&self.shared.settings.route, &ready);
        let destination = self.destinations.entry(name.clone()).or_insert_with(|| Destination::new(name));
        destination.push(&self.shared, ready);
    }

    fn room(&self) -> usize {
        if self.shared.octets_held.load(Ordering::Relaxed) >= MAX_OCTETS_HELD {
            return 0;
        }
        MAX_DELIVERIES_HELD.saturating_sub(self.shared.deliveries_held.load(Ordering::Relaxed))
    }

    /// Whatever is due, until nothing more is or there is no room.
    async fn lease(&mut self) {
        loop {
            let batch = LEASE_BATCH.min(self.room());
            if batch == 0 {
                return;
            }
            match lease_deliveries(&self.shared.ctx, batch).await {
                Ok(ready) => {
                    let full = ready.len() == batch;
                    ready.into_iter().for_each(|ready| self.push(ready));
                    if !full {
                        return;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "the store could not be asked for deliveries");
                    return;
                }
            }
        }
    }

    async fn drain(mut self, mut handoff: mpsc::Receiver<ReadyDelivery>) {
        while let Ok(ready) = handoff.try_recv() {
            self.push(ready);
        }
        let idle = async {
            while !self.destinations.values().all(|d| d.is_idle()) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if tokio::time::timeout(DRAIN, idle).await.is_err() {
            tracing::info!("some deliveries are left for the next start");
        }
    }
}

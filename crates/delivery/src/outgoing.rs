//! Takes deliveries from the hand-over and from the store and gives them to their destinations.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use operations::{Context, ReadyDelivery, lease_deliveries};
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, mpsc, watch};

use crate::destination::{Destination, destination_of};
use crate::dns::Dns;
use crate::held::Counters;
use crate::in_hand::Leases;
use crate::mta_sts::Policies;
use crate::mx::Route;
use crate::settings::DeliverySettings;
use crate::tls::Connectors;

/// How often the store is asked for what is due.
const POLL: Duration = Duration::from_secs(1);
/// How many deliveries are leased at once: with the largest messages, what comes above the limit of octets.
const LEASE_BATCH: usize = 16;
/// Batches leased in one turn; in between, what is handed over and the end are listened for.
const BATCHES: usize = 8;
/// When memory is full, how soon it is looked at again.
const FULL_PAUSE: Duration = Duration::from_millis(5);
/// How long connections that have work are waited for at the end; what is left is leased again after the restart.
const DRAIN: Duration = Duration::from_secs(10);
/// Destinations remembered; idle ones are forgotten beyond it.
const MAX_DESTINATIONS: usize = 10_000;

/// What all destinations share under one configuration.
pub(crate) struct Shared {
    pub(crate) ctx: Arc<Context>,
    pub(crate) settings: DeliverySettings,
    pub(crate) dns: Dns,
    pub(crate) connectors: Connectors,
    /// Connections over all destinations.
    pub(crate) connections: Arc<Semaphore>,
    /// Somebody waits for a connection that another keeps for later.
    pub(crate) pressed: Arc<Notify>,
    pub(crate) policies: Arc<Policies>,
}

impl Shared {
    pub(crate) fn new(ctx: Arc<Context>, settings: DeliverySettings, resolver: TokioResolver, before: Option<&Self>) -> Self {
        let trusted = if settings.trust_ad { settings.dns.as_slice() } else { &[] };
        let connections = settings.connections.max(1);
        // Where the limit is another, what is open is counted under the old one until it ends.
        let kept = before.filter(|before| before.settings.connections.max(1) == connections);
        Self {
            dns: Dns::new(resolver, trusted, Arc::clone(&ctx.random)),
            connectors: Connectors::new(&settings.roots),
            connections: kept.map_or_else(|| Arc::new(Semaphore::new(connections)), |before| Arc::clone(&before.connections)),
            pressed: before.map_or_else(Arc::default, |before| Arc::clone(&before.pressed)),
            policies: before.map_or_else(Arc::default, |before| Arc::clone(&before.policies)),
            ctx,
            settings,
        }
    }

    pub(crate) fn credentials(&self) -> Option<(String, String)> {
        match &self.settings.route {
            Route::Smtp { credentials, .. } => credentials.clone(),
            Route::Mx { .. } => None,
        }
    }
}

/// What stays when the configuration changes.
pub(crate) struct Office {
    current: RwLock<Arc<Shared>>,
    pub(crate) tasks: Handle,
    /// Deliveries in memory over all destinations.
    pub(crate) held: Arc<Counters>,
    /// The leases of those deliveries.
    pub(crate) leases: Arc<Leases>,
}

impl Office {
    /// The configuration in force, for one attempt.
    pub(crate) fn current(&self) -> Arc<Shared> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Reaches a deliverer that works.
#[derive(Clone)]
pub struct DeliveryHandle(Arc<Office>);

impl DeliveryHandle {
    /// Puts other settings in force. What waits keeps its place; an attempt under way ends under the old settings.
    pub fn reload(&self, ctx: Arc<Context>, settings: DeliverySettings, resolver: TokioResolver) {
        let shared = Shared::new(ctx, settings, resolver, Some(&self.0.current()));
        *self.0.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(shared);
    }
}

/// The door out.
pub struct Deliverer {
    office: Arc<Office>,
    destinations: HashMap<String, Arc<Destination>>,
}

impl Deliverer {
    /// A deliverer that has not begun.
    #[must_use]
    pub fn new(ctx: Arc<Context>, settings: DeliverySettings, resolver: TokioResolver) -> Self {
        let shared = Arc::new(Shared::new(ctx, settings, resolver, None));
        let office = Office { current: RwLock::new(shared), tasks: Handle::current(), held: Arc::default(), leases: Arc::default() };
        Self { office: Arc::new(office), destinations: HashMap::new() }
    }

    /// Reaches it while it runs.
    #[must_use]
    pub fn handle(&self) -> DeliveryHandle {
        DeliveryHandle(Arc::clone(&self.office))
    }

    /// Works until `shutdown` turns true; then what is under way is given a little time.
    pub async fn run(mut self, mut handoff: mpsc::Receiver<ReadyDelivery>, mut shutdown: watch::Receiver<bool>) {
        let mut poll = tokio::time::interval(POLL);
        poll.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                Some(ready) = handoff.recv(), if self.room() > 0 => self.take(ready, &mut handoff),
                () = tokio::time::sleep(FULL_PAUSE), if self.room() == 0 => {}
                _ = poll.tick() => {
                    if self.lease().await {
                        poll.reset_immediately();
                    }
                }
                () = async { drop(shutdown.wait_for(|down| *down).await) } => break,
            }
        }
        self.drain(handoff).await;
    }

    /// As much of what is handed over as is leased in one turn, so that a backlog in the store does not hold it up.
    fn take(&mut self, first: ReadyDelivery, handoff: &mut mpsc::Receiver<ReadyDelivery>) {
        self.push(first);
        for _ in 1..LEASE_BATCH * BATCHES {
            if self.room() == 0 {
                return;
            }
            let Ok(ready) = handoff.try_recv() else { return };
            self.push(ready);
        }
    }

    fn push(&mut self, ready: ReadyDelivery) {
        if self.destinations.len() >= MAX_DESTINATIONS {
            self.destinations.retain(|_, d| !d.is_idle());
        }
        let name = destination_of(&self.office.current().settings.route, &ready);
        let destination = self.destinations.entry(name.clone()).or_insert_with(|| Destination::new(name));
        destination.push(&self.office, ready);
    }

    fn room(&self) -> usize {
        self.office.held.room()
    }

    /// Some of what is due; whether there may be more, and room for it.
    async fn lease(&mut self) -> bool {
        for _ in 0..BATCHES {
            let batch = LEASE_BATCH.min(self.room());
            if batch == 0 {
                return false;
            }
            match lease_deliveries(&self.office.current().ctx, batch).await {
                Ok(ready) => {
                    let full = ready.len() == batch;
                    ready.into_iter().for_each(|ready| self.push(ready));
                    if !full {
                        return false;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "the store could not be asked for deliveries");
                    return false;
                }
            }
        }
        true
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

//! What every operation is given: the ports, time and randomness, the settings.

use std::sync::Arc;
use std::time::Duration;

use domain::delivery::Delivery;
use domain::id::NodeId;
use domain::{Clock, MarketplaceId, Random};
use mail::dkim::Signer;
use mail::{Domain, Mailbox, ReversePath};
use store::seal::MasterKey;
use store::{Objects, Store};
use tokio::sync::{Semaphore, mpsc};

use crate::metrics::Metrics;

/// How long whoever commits a delivery may attempt it before another process may. After a crash the same
/// process takes its own leases up at once; another one waits for this long.
pub(crate) const LEASE: Duration = Duration::from_secs(30 * 60);
/// Sealed bodies above this size stand in the object store.
pub(crate) const INLINE_LIMIT: usize = 1 << 20;
/// How often an operation decides anew when the facts changed under it.
pub(crate) const TRIES: usize = 8;

/// One marketplace of the configuration.
#[derive(Debug, Clone)]
pub struct Marketplace {
    /// Its id.
    pub id: MarketplaceId,
    /// What people call it.
    pub name: String,
    /// Domain of its aliases.
    pub domain: Domain,
    /// Default language.
    pub locale: String,
    /// Where mail to postmaster@ and abuse@ goes.
    pub postmaster: Mailbox,
    /// Local-part length of new aliases.
    pub alias_length: usize,
    /// Signs what leaves.
    pub signer: Option<Arc<Signer>>,
}

/// What the configuration says and operations need.
#[derive(Debug)]
pub struct Settings {
    /// Our own host name.
    pub hostname: String,
    /// The marketplaces.
    pub marketplaces: Vec<Marketplace>,
}

impl Settings {
    /// The marketplace of an alias domain.
    #[must_use]
    pub fn by_domain(&self, domain: &Domain) -> Option<&Marketplace> {
        self.marketplaces.iter().find(|m| m.domain == *domain)
    }

    /// The marketplace of that id.
    #[must_use]
    pub fn by_id(&self, id: &MarketplaceId) -> Option<&Marketplace> {
        self.marketplaces.iter().find(|m| m.id == *id)
    }
}

/// A delivery that this process holds the lease of, opened and ready to be attempted.
#[derive(Debug, Clone)]
pub struct ReadyDelivery {
    /// State and lease.
    pub delivery: Delivery,
    /// RFC5321.MailFrom to use.
    pub reverse_path: ReversePath,
    /// The one recipient.
    pub recipient: Mailbox,
    /// The message, CRLF line ends, signed.
    pub content: Arc<[u8]>,
}

/// The ports and settings.
pub struct Context {
    /// Storage.
    pub store: Arc<dyn Store>,
    /// Large bodies.
    pub objects: Arc<dyn Objects>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
    /// Key over the data keys.
    pub master_key: MasterKey,
    /// Settings.
    pub settings: Settings,
    /// This process.
    pub node: NodeId,
    /// What was just committed goes to delivery through here, without a read.
    pub handoff: mpsc::Sender<ReadyDelivery>,
    /// Heavy work on hostile input at the same time.
    pub heavy: Arc<Semaphore>,
    /// Counters and histograms.
    pub metrics: Metrics,
}

impl Context {
    pub(crate) fn salt(&self) -> [u8; 32] {
        let mut salt = [0; 32];
        self.random.fill(&mut salt);
        salt
    }
}

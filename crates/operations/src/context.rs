//! What every operation is given: the ports, time and randomness, the settings.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use domain::calendar::{Calendar, Day};
use domain::carriers::Carriers;
use domain::delivery::Delivery;
use domain::id::NodeId;
use domain::policy::RuleSet;
use domain::texts::{Texts, is_same_language};
use domain::{Clock, MarketplaceId, Random, SellerId, Timestamp};
use mail::dkim::Signer;
use mail::{Domain, Mailbox, ReversePath};
use store::seal::MasterKey;
use store::{Objects, Store, StoreError};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{Semaphore, mpsc};

use crate::bodies::Wishes;
use crate::metrics::Metrics;

/// How long whoever commits a delivery may attempt it before another process may. After a crash the same
/// process takes its own leases up at once; another one waits for this long.
pub(crate) const LEASE: Duration = Duration::from_secs(30 * 60);
/// Sealed bodies above this size stand in the object store.
pub(crate) const INLINE_LIMIT: usize = 1 << 20;
/// Messages above this size are worked on where that keeps nobody waiting.
pub(crate) const HEAVY_BYTES: usize = 64 << 10;
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
    /// Every language of the site, the default among them.
    pub languages: Vec<String>,
    /// Its days.
    pub calendar: Calendar,
    /// Its rules.
    pub rules: Arc<RuleSet>,
    /// Where mail to postmaster@ and abuse@ goes.
    pub postmaster: Mailbox,
    /// Local-part length of new aliases.
    pub alias_length: usize,
    /// Signs what leaves.
    pub signer: Option<Arc<Signer>>,
}

impl Marketplace {
    /// A composed message as it leaves: signed where there is a key.
    pub(crate) fn signed(&self, composed: Vec<u8>, now: Timestamp) -> Vec<u8> {
        match &self.signer {
            Some(signer) => signer.sign(&composed, now.unix_seconds()),
            None => composed,
        }
    }

    /// The language in which a party of this site reads: the party's own where there is one, else the site's (D2).
    pub(crate) fn locale_of<'a>(&'a self, texts: &Texts, party: &'a str) -> &'a str {
        if is_same_language(texts.language_of(party), party) { party } else { &self.locale }
    }
}

/// What the configuration says and operations need.
#[derive(Debug)]
pub struct Settings {
    /// Our own host name.
    pub hostname: String,
    /// The marketplaces.
    pub marketplaces: Vec<Marketplace>,
    /// Words that people read.
    pub texts: Texts,
    /// Who carries parcels, and which domains are everybody's.
    pub carriers: Carriers,
    /// Where pages are reached, without a slash at the end; links in mail need it.
    pub public_url: Option<String>,
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
    /// What its writer asked to be told of it.
    pub wishes: Wishes,
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
    pub master_key: Arc<MasterKey>,
    /// Settings.
    pub settings: Settings,
    /// This process.
    pub node: NodeId,
    /// What was just committed goes to delivery through here, without a read.
    pub handoff: mpsc::Sender<ReadyDelivery>,
    /// Heavy work on hostile input at the same time.
    pub heavy: Arc<Semaphore>,
    /// Refused mails that are counted behind their reply.
    pub counting: Arc<Semaphore>,
    /// Counters and histograms.
    pub metrics: Metrics,
    /// Orders of sellers in their window, counted lately.
    pub order_counts: Arc<OrderCounts>,
    /// Rewrites a document without what names its author; may block, and is bounded in memory and time.
    pub clean_document: Arc<CleanDocument>,
}

/// A document in, the clean one out.
pub type CleanDocument = dyn Fn(attachment::Kind, &[u8]) -> Result<Vec<u8>, attachment::Fault> + Send + Sync;

/// How many orders a seller had in the window of the daily limit, kept for a while: a seller with a million
/// orders is not counted anew for each message.
#[derive(Debug, Default)]
pub struct OrderCounts(Mutex<HashMap<(SellerId, Day), (i64, Timestamp)>>);

impl OrderCounts {
    /// A count may be this old; orders of complete days seldom change.
    const KEPT: Duration = Duration::from_secs(300);
    /// Beyond so many sellers all are counted anew.
    const MOST: usize = 10_000;

    /// The count of that day, if it is fresh.
    pub(crate) fn find(&self, seller: SellerId, day: Day, now: Timestamp) -> Option<i64> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.get(&(seller, day)).filter(|(_, at)| now >= *at && now.since(*at) < Self::KEPT).map(|(count, _)| *count)
    }

    pub(crate) fn put(&self, seller: SellerId, day: Day, now: Timestamp, count: i64) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= Self::MOST {
            counts.clear();
        }
        counts.insert((seller, day), (count, now));
    }
}

impl Context {
    /// The same service under other settings: what is counted, leased and stored stays what it was.
    #[must_use]
    pub fn with_settings(&self, settings: Settings) -> Self {
        Self {
            store: Arc::clone(&self.store),
            objects: Arc::clone(&self.objects),
            clock: Arc::clone(&self.clock),
            random: Arc::clone(&self.random),
            master_key: Arc::clone(&self.master_key),
            settings,
            node: self.node,
            handoff: self.handoff.clone(),
            heavy: Arc::clone(&self.heavy),
            counting: Arc::clone(&self.counting),
            metrics: self.metrics.clone(),
            order_counts: Arc::clone(&self.order_counts),
            clean_document: Arc::clone(&self.clean_document),
        }
    }

    /// A text for a reader of `locale`.
    #[must_use]
    pub fn text(&self, locale: &str, key: &str, fields: &[(&str, &str)]) -> String {
        self.settings.texts.text(locale, key, fields)
    }

    /// Work whose length is that of a message: a large one keeps no thread of the runtime, few at a time.
    pub(crate) async fn work<T>(&self, octets: usize, work: impl FnOnce() -> T) -> Result<T, StoreError> {
        let is_light = octets < HEAVY_BYTES || Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread;
        if is_light {
            return Ok(work());
        }
        let _permit = self.heavy.acquire().await.map_err(|_| StoreError::Unavailable("closing".to_owned()))?;
        Ok(tokio::task::block_in_place(work))
    }

    /// The first 128 bits of a MAC for one purpose.
    pub(crate) fn short_mac(&self, purpose: &'static [u8], data: &[u8]) -> [u8; 16] {
        let mut out = [0; 16];
        out.copy_from_slice(&self.master_key.mac(purpose, data)[..16]);
        out
    }

    pub(crate) fn salt(&self) -> [u8; 32] {
        let mut salt = [0; 32];
        self.random.fill(&mut salt);
        salt
    }
}

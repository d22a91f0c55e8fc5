//! The store port over one database file.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::thread::JoinHandle;

use domain::delivery::Delivery;
use domain::figures::TurnMessage;
use domain::id::NodeId;
use domain::message::{Mark, Message};
use domain::{
    AliasName, Buyer, BuyerId, Conversation, ConversationId, MarketplaceId, MessageId, Order, Pair, PairId, Seller, SellerId, Timestamp,
};
use store::{
    AliasTarget, BodyKind, Changes, CommitError, Committed, ConversationPage, Due, FactsQuery, LedgerEntry, PairFacts, ScanPlace,
    SealedMessage, Store, StoreError, StoreFuture, Token,
};
use tokio::sync::{mpsc, oneshot};

use crate::connection::open_writer;
use crate::read::Readers;
use crate::writer::{Job, Writer, exclusive};
use crate::{conversations, deliveries, ledger, messages, pairs, parties};

/// Commits that may wait; one more waits in its caller, which bounds memory.
const QUEUE: usize = 1_024;

/// SQLite in one file.
pub struct SqliteStore {
    jobs: Option<mpsc::Sender<Job>>,
    readers: Arc<Readers>,
    writer: Option<JoinHandle<()>>,
}

impl SqliteStore {
    /// Opens or creates the database and starts its writer.
    ///
    /// # Errors
    /// `StoreError` when the file cannot be opened, is no database or was made by a newer program.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let writer = Writer::new(open_writer(path)?);
        let (jobs, received) = mpsc::channel(QUEUE);
        let handle = std::thread::Builder::new().name("sqlite-writer".to_owned()).spawn(move || writer.run(received))?;
        Ok(Self { jobs: Some(jobs), readers: Readers::new(PathBuf::from(path)), writer: Some(handle) })
    }

    fn jobs(&self) -> &mpsc::Sender<Job> {
        self.jobs.as_ref().expect("taken only when dropped")
    }
}

impl Drop for SqliteStore {
    /// Waits until what was sent is committed.
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

impl Store for SqliteStore {
    fn commit<'a>(&'a self, changes: Changes) -> Pin<Box<dyn Future<Output = Result<Committed, CommitError>> + Send + 'a>> {
        Box::pin(async move {
            let (answer, result) = oneshot::channel();
            let gone = || CommitError::Store(StoreError::Unavailable("the writer has ended".to_owned()));
            self.jobs().send(Job::Commit(Box::new(changes), answer)).await.map_err(|_| gone())?;
            result.await.map_err(|_| gone())?
        })
    }

    fn ping(&self) -> StoreFuture<'_, ()> {
        Box::pin(async move { exclusive(self.jobs(), |c| Ok(c.execute_batch("BEGIN IMMEDIATE; ROLLBACK")?)).await })
    }

    fn find_setting<'a>(&'a self, name: &'a str) -> StoreFuture<'a, Option<String>> {
        let name = name.to_owned();
        Box::pin(self.readers.read(move |c| parties::setting(c, &name)))
    }

    fn put_setting_once<'a>(&'a self, name: &'a str, value: &'a str) -> StoreFuture<'a, String> {
        let (name, value) = (name.to_owned(), value.to_owned());
        Box::pin(async move { exclusive(self.jobs(), move |c| parties::put_setting_once(c, &name, &value)).await })
    }

    fn find_alias<'a>(&'a self, marketplace: &'a MarketplaceId, alias: &'a AliasName) -> StoreFuture<'a, Option<AliasTarget>> {
        let (marketplace, alias) = (marketplace.clone(), alias.clone());
        Box::pin(self.readers.read(move |c| pairs::find_alias(c, marketplace.as_str(), &alias)))
    }

    fn is_seller_address<'a>(&'a self, marketplace: &'a MarketplaceId, address: &'a str) -> StoreFuture<'a, bool> {
        let (marketplace, address) = (marketplace.clone(), address.to_owned());
        Box::pin(self.readers.read(move |c| parties::is_seller_address(c, marketplace.as_str(), &address)))
    }

    fn load_facts(&self, query: FactsQuery) -> StoreFuture<'_, Option<PairFacts>> {
        Box::pin(self.readers.read(move |c| messages::facts(c, &query)))
    }

    fn find_counter<'a>(&'a self, pair: PairId, key: &'a str) -> StoreFuture<'a, i64> {
        let key = key.to_owned();
        Box::pin(self.readers.read(move |c| pairs::counter(c, pair, &key)))
    }

    fn list_counters<'a>(&'a self, key: &'a str, after: Option<PairId>, limit: usize) -> StoreFuture<'a, Vec<(PairId, i64)>> {
        let key = key.to_owned();
        Box::pin(self.readers.read(move |c| pairs::counters_named(c, &key, after, limit)))
    }

    fn find_seller(&self, id: SellerId) -> StoreFuture<'_, Option<Seller>> {
        Box::pin(self.readers.read(move |c| parties::seller(c, id)))
    }

    fn find_buyer(&self, id: BuyerId) -> StoreFuture<'_, Option<Buyer>> {
        Box::pin(self.readers.read(move |c| parties::buyer(c, id)))
    }

    fn find_order<'a>(&'a self, marketplace: &'a MarketplaceId, shop_id: &'a str) -> StoreFuture<'a, Option<Order>> {
        let (marketplace, shop_id) = (marketplace.clone(), shop_id.to_owned());
        Box::pin(self.readers.read(move |c| parties::order_by_shop_id(c, marketplace.as_str(), &shop_id)))
    }

    fn count_orders(&self, seller: SellerId, from: Timestamp, to: Timestamp) -> StoreFuture<'_, i64> {
        Box::pin(self.readers.read(move |c| parties::count_orders(c, seller, from, to)))
    }

    fn find_pair(&self, id: PairId) -> StoreFuture<'_, Option<Pair>> {
        Box::pin(self.readers.read(move |c| pairs::pair(c, id)))
    }

    fn list_pairs_of_seller(&self, seller: SellerId, after: Option<PairId>, limit: usize) -> StoreFuture<'_, Vec<Pair>> {
        Box::pin(self.readers.read(move |c| pairs::of_seller(c, seller, after, limit)))
    }

    fn list_pairs_of_buyer(&self, buyer: BuyerId, after: Option<PairId>, limit: usize) -> StoreFuture<'_, Vec<Pair>> {
        Box::pin(self.readers.read(move |c| pairs::of_buyer(c, buyer, after, limit)))
    }

    fn find_conversation(&self, id: ConversationId) -> StoreFuture<'_, Option<Conversation>> {
        Box::pin(self.readers.read(move |c| conversations::find(c, id)))
    }

    fn list_conversations(
        &self,
        pair: PairId,
        from: Option<(Timestamp, ConversationId)>,
        limit: usize,
    ) -> StoreFuture<'_, ConversationPage> {
        Box::pin(self.readers.read(move |c| conversations::list(c, pair, from, limit)))
    }

    fn list_messages(
        &self,
        conversation: ConversationId,
        after: Option<MessageId>,
        limit: usize,
    ) -> StoreFuture<'_, Vec<(Message, Option<Delivery>)>> {
        Box::pin(self.readers.read(move |c| messages::list(c, conversation, after, limit)))
    }

    fn find_message<'a>(&'a self, id: MessageId, bodies: &'a [BodyKind]) -> StoreFuture<'a, Option<SealedMessage>> {
        let bodies = bodies.to_vec();
        Box::pin(self.readers.read(move |c| messages::sealed(c, id, &bodies)))
    }

    fn list_marks(&self, message: MessageId) -> StoreFuture<'_, Vec<Mark>> {
        Box::pin(self.readers.read(move |c| messages::marks(c, message)))
    }

    fn list_turns(
        &self,
        seller: SellerId,
        since: Timestamp,
        after: Option<(Timestamp, MessageId)>,
        limit: usize,
    ) -> StoreFuture<'_, Vec<TurnMessage>> {
        Box::pin(self.readers.read(move |c| messages::turns(c, seller, since, after, limit)))
    }

    fn scan_ledger(&self, after: Option<ScanPlace>, limit: usize) -> StoreFuture<'_, Vec<LedgerEntry>> {
        Box::pin(self.readers.read(move |c| ledger::scan(c, after, limit)))
    }

    fn list_ledger(&self, pair: PairId, from: i64, limit: usize) -> StoreFuture<'_, Vec<LedgerEntry>> {
        Box::pin(self.readers.read(move |c| ledger::list(c, pair, from, limit)))
    }

    fn lease_due(&self, owner: NodeId, now: Timestamp, until: Timestamp, limit: usize) -> StoreFuture<'_, Vec<Due>> {
        Box::pin(async move { exclusive(self.jobs(), move |c| deliveries::lease_due(c, owner, now, until, limit)).await })
    }

    fn bring_forward(&self, now: Timestamp, latest: Timestamp) -> StoreFuture<'_, u64> {
        Box::pin(async move { exclusive(self.jobs(), move |c| deliveries::bring_forward(c, now, latest)).await })
    }

    fn release_leases(&self, owner: NodeId) -> StoreFuture<'_, u64> {
        Box::pin(async move { exclusive(self.jobs(), move |c| deliveries::release(c, owner)).await })
    }

    fn list_waiting(&self, after: Option<(Timestamp, MessageId)>, limit: usize) -> StoreFuture<'_, Vec<(Delivery, PairId)>> {
        Box::pin(self.readers.read(move |c| deliveries::list_waiting(c, after, limit)))
    }

    fn count_waiting(&self) -> StoreFuture<'_, i64> {
        Box::pin(self.readers.read(deliveries::count_waiting))
    }

    fn find_token<'a>(&'a self, hash: &'a [u8; 32]) -> StoreFuture<'a, Option<Token>> {
        let hash = *hash;
        Box::pin(self.readers.read(move |c| parties::token(c, &hash)))
    }

    fn list_tokens(&self) -> StoreFuture<'_, Vec<Token>> {
        Box::pin(self.readers.read(parties::tokens))
    }
}

impl SqliteStore {
    /// Lets the database grow by so many pages only, as a full disk does; `None` lifts it. For tests.
    ///
    /// # Errors
    /// `StoreError` when the writer has ended.
    #[doc(hidden)]
    pub async fn limit_pages_for_tests(&self, more: Option<i64>) -> Result<(), StoreError> {
        exclusive(self.jobs(), move |c| {
            let pages: i64 = c.pragma_query_value(None, "page_count", |row| row.get(0))?;
            let limit = more.map_or(i64::from(u32::MAX) - 1, |more| pages + more);
            Ok(c.pragma_update(None, "max_page_count", limit)?)
        })
        .await
    }
}

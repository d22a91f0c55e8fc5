//! The store port over a PostgreSQL server.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

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
use tokio_postgres::Config;

use crate::connection::{Link, Session};
use crate::error::Failure;
use crate::read::Readers;
use crate::writer::{Job, Writer};
use crate::{conversations, deliveries, ledger, messages, pairs, parties};

/// Numbered, forward only, never edited once shipped.
const MIGRATIONS: [&str; 3] = [
    include_str!("../migrations/0001_first.sql"),
    include_str!("../migrations/0002_rules.sql"),
    include_str!("../migrations/0003_mail.sql"),
];
/// How often migrating is begun again.
const MIGRATION_TRIES: usize = 5;
/// Commits that may wait; one more waits in its caller, which bounds memory.
const QUEUE: usize = 1_024;

/// A PostgreSQL database.
pub struct PostgresStore {
    jobs: mpsc::Sender<Job>,
    readers: Readers,
}

impl PostgresStore {
    /// Connects, checks that the server keeps what it commits, and brings the schema up to date.
    ///
    /// # Errors
    /// `Unavailable` when the server cannot be reached or trades durability for speed, `OutdatedProgram`
    /// when a newer program made the schema.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let config = url.parse::<Config>().map_err(|e| StoreError::Unavailable(format!("the database URL is not understood: {e}")))?;
        let config = Arc::new(config);
        let readers = Readers::new(&config);
        check_durability(&readers).await?;
        migrate(&Link::new(Arc::clone(&config))).await?;
        let (jobs, received) = mpsc::channel(QUEUE);
        tokio::spawn(Writer::new(Link::new(config)).run(received));
        Ok(Self { jobs, readers })
    }
}

async fn check_durability(readers: &Readers) -> Result<(), StoreError> {
    let settings = readers
        .read(
            |s| async move { Ok(s.client.query_one("SELECT current_setting('fsync'), current_setting('synchronous_commit')", &[]).await?) },
        )
        .await?;
    let (fsync, synchronous): (String, String) = (settings.get(0), settings.get(1));
    if fsync == "on" && !matches!(synchronous.as_str(), "off") {
        return Ok(());
    }
    Err(StoreError::Unavailable(format!(
        "the server runs with fsync = {fsync} and synchronous_commit = {synchronous}; accepted mail would not survive a power cut: set both to on"
    )))
}

async fn migrate(link: &Link) -> Result<(), StoreError> {
    let session = link.session().await?;
    let known = i64::try_from(MIGRATIONS.len()).expect("few migrations");
    let mut last = Failure::Again;
    for _ in 0..MIGRATION_TRIES {
        match migrate_once(&session).await {
            Ok(found) if found > known => return Err(StoreError::OutdatedProgram { found, known }),
            Ok(_) => return Ok(()),
            // Two processes that start at once on an empty database: the second finds the first one's work.
            Err(failure @ (Failure::Constraint | Failure::Again)) => last = failure,
            Err(failure) => return Err(failure.into_store()),
        }
        drop(session.client.batch_execute("ROLLBACK").await);
    }
    Err(last.into_store())
}

/// Gives the schema that was found.
async fn migrate_once(session: &Session) -> Result<i64, Failure> {
    session.client.batch_execute("CREATE TABLE IF NOT EXISTS schema_version (number BIGINT PRIMARY KEY)").await?;
    // The table lock lets one process migrate; the others then find it done.
    session.client.batch_execute("BEGIN; LOCK TABLE schema_version IN ACCESS EXCLUSIVE MODE").await?;
    let found: i64 = session.client.query_one("SELECT coalesce(max(number), 0) FROM schema_version", &[]).await?.get(0);
    for (number, migration) in (1i64..).zip(MIGRATIONS) {
        if number > found {
            session.client.batch_execute(migration).await?;
            session.client.execute("INSERT INTO schema_version (number) VALUES ($1)", &[&number]).await?;
        }
    }
    session.client.batch_execute("COMMIT").await?;
    Ok(found)
}

impl Store for PostgresStore {
    fn commit<'a>(&'a self, changes: Changes) -> Pin<Box<dyn Future<Output = Result<Committed, CommitError>> + Send + 'a>> {
        Box::pin(async move {
            let (answer, result) = oneshot::channel();
            let gone = || CommitError::Store(StoreError::Unavailable("the writer has ended".to_owned()));
            self.jobs.send(Job { changes: Box::new(changes), answer }).await.map_err(|_| gone())?;
            result.await.map_err(|_| gone())?
        })
    }

    fn ping(&self) -> StoreFuture<'_, ()> {
        Box::pin(self.readers.read(|s| async move { Ok(s.client.batch_execute("SELECT 1").await?) }))
    }

    fn find_setting<'a>(&'a self, name: &'a str) -> StoreFuture<'a, Option<String>> {
        let name = name.to_owned();
        Box::pin(self.readers.read(move |s| async move { parties::setting(&s, &name).await }))
    }

    fn put_setting_once<'a>(&'a self, name: &'a str, value: &'a str) -> StoreFuture<'a, String> {
        let (name, value) = (name.to_owned(), value.to_owned());
        Box::pin(self.readers.read(move |s| async move { parties::put_setting_once(&s, &name, &value).await }))
    }

    fn find_alias<'a>(&'a self, marketplace: &'a MarketplaceId, alias: &'a AliasName) -> StoreFuture<'a, Option<AliasTarget>> {
        let (marketplace, alias) = (marketplace.clone(), alias.clone());
        Box::pin(self.readers.read(move |s| async move { pairs::find_alias(&s, marketplace.as_str(), &alias).await }))
    }

    fn is_seller_address<'a>(&'a self, marketplace: &'a MarketplaceId, address: &'a str) -> StoreFuture<'a, bool> {
        let (marketplace, address) = (marketplace.clone(), address.to_owned());
        Box::pin(self.readers.read(move |s| async move { parties::is_seller_address(&s, marketplace.as_str(), &address).await }))
    }

    fn load_facts(&self, query: FactsQuery) -> StoreFuture<'_, Option<PairFacts>> {
        Box::pin(self.readers.read(move |s| async move { messages::facts(&s, &query).await }))
    }

    fn find_counter<'a>(&'a self, pair: PairId, key: &'a str) -> StoreFuture<'a, i64> {
        Box::pin(self.readers.read(move |s| async move { pairs::counter(&s, pair, key).await }))
    }

    fn list_counters<'a>(&'a self, key: &'a str, after: Option<PairId>, limit: usize) -> StoreFuture<'a, Vec<(PairId, i64)>> {
        Box::pin(self.readers.read(move |s| async move { pairs::counters_named(&s, key, after, limit).await }))
    }

    fn find_seller(&self, id: SellerId) -> StoreFuture<'_, Option<Seller>> {
        Box::pin(self.readers.read(move |s| async move { parties::seller(&s, id).await }))
    }

    fn find_buyer(&self, id: BuyerId) -> StoreFuture<'_, Option<Buyer>> {
        Box::pin(self.readers.read(move |s| async move { parties::buyer(&s, id).await }))
    }

    fn find_order<'a>(&'a self, marketplace: &'a MarketplaceId, shop_id: &'a str) -> StoreFuture<'a, Option<Order>> {
        let (marketplace, shop_id) = (marketplace.clone(), shop_id.to_owned());
        Box::pin(self.readers.read(move |s| async move { parties::order_by_shop_id(&s, marketplace.as_str(), &shop_id).await }))
    }

    fn count_orders(&self, seller: SellerId, from: Timestamp, to: Timestamp) -> StoreFuture<'_, i64> {
        Box::pin(self.readers.read(move |s| async move { parties::count_orders(&s, seller, from, to).await }))
    }

    fn find_pair(&self, id: PairId) -> StoreFuture<'_, Option<Pair>> {
        Box::pin(self.readers.read(move |s| async move { pairs::pair(&s, id).await }))
    }

    fn list_pairs_of_seller(&self, seller: SellerId, after: Option<PairId>, limit: usize) -> StoreFuture<'_, Vec<Pair>> {
        Box::pin(self.readers.read(move |s| async move { pairs::of_seller(&s, seller, after, limit).await }))
    }

    fn list_pairs_of_buyer(&self, buyer: BuyerId, after: Option<PairId>, limit: usize) -> StoreFuture<'_, Vec<Pair>> {
        Box::pin(self.readers.read(move |s| async move { pairs::of_buyer(&s, buyer, after, limit).await }))
    }

    fn find_conversation(&self, id: ConversationId) -> StoreFuture<'_, Option<Conversation>> {
        Box::pin(self.readers.read(move |s| async move { conversations::find(&s, id).await }))
    }

    fn list_conversations(
        &self,
        pair: PairId,
        from: Option<(Timestamp, ConversationId)>,
        limit: usize,
    ) -> StoreFuture<'_, ConversationPage> {
        Box::pin(self.readers.read(move |s| async move { conversations::list(&s, pair, from, limit).await }))
    }

    fn list_messages(
        &self,
        conversation: ConversationId,
        after: Option<MessageId>,
        limit: usize,
    ) -> StoreFuture<'_, Vec<(Message, Option<Delivery>)>> {
        Box::pin(self.readers.read(move |s| async move { messages::list(&s, conversation, after, limit).await }))
    }

    fn find_message<'a>(&'a self, id: MessageId, bodies: &'a [BodyKind]) -> StoreFuture<'a, Option<SealedMessage>> {
        let bodies = bodies.to_vec();
        Box::pin(self.readers.read(move |s| async move { messages::sealed(&s, id, &bodies).await }))
    }

    fn list_marks(&self, message: MessageId) -> StoreFuture<'_, Vec<Mark>> {
        Box::pin(self.readers.read(move |s| async move { messages::marks(&s, message).await }))
    }

    fn list_turns(
        &self,
        seller: SellerId,
        since: Timestamp,
        after: Option<(Timestamp, MessageId)>,
        limit: usize,
    ) -> StoreFuture<'_, Vec<TurnMessage>> {
        Box::pin(self.readers.read(move |s| async move { messages::turns(&s, seller, since, after, limit).await }))
    }

    fn scan_ledger(&self, after: Option<ScanPlace>, limit: usize) -> StoreFuture<'_, Vec<LedgerEntry>> {
        Box::pin(self.readers.read(move |s| async move { ledger::scan(&s, after, limit).await }))
    }

    fn list_ledger(&self, pair: PairId, from: i64, limit: usize) -> StoreFuture<'_, Vec<LedgerEntry>> {
        Box::pin(self.readers.read(move |s| async move { ledger::list(&s, pair, from, limit).await }))
    }

    fn lease_due(&self, owner: NodeId, now: Timestamp, until: Timestamp, limit: usize) -> StoreFuture<'_, Vec<Due>> {
        Box::pin(self.readers.read(move |s| async move { deliveries::lease_due(&s, owner, now, until, limit).await }))
    }

    fn bring_forward(&self, now: Timestamp, latest: Timestamp) -> StoreFuture<'_, u64> {
        Box::pin(self.readers.read(move |s| async move { deliveries::bring_forward(&s, now, latest).await }))
    }

    fn release_leases(&self, owner: NodeId) -> StoreFuture<'_, u64> {
        Box::pin(self.readers.read(move |s| async move { deliveries::release(&s, owner).await }))
    }

    fn list_waiting(&self, after: Option<(Timestamp, MessageId)>, limit: usize) -> StoreFuture<'_, Vec<(Delivery, PairId)>> {
        Box::pin(self.readers.read(move |s| async move { deliveries::list_waiting(&s, after, limit).await }))
    }

    fn count_waiting(&self) -> StoreFuture<'_, i64> {
        Box::pin(self.readers.read(move |s| async move { deliveries::count_waiting(&s).await }))
    }

    fn find_token<'a>(&'a self, hash: &'a [u8; 32]) -> StoreFuture<'a, Option<Token>> {
        let hash = *hash;
        Box::pin(self.readers.read(move |s| async move { parties::token(&s, &hash).await }))
    }

    fn list_tokens(&self) -> StoreFuture<'_, Vec<Token>> {
        Box::pin(self.readers.read(|s| async move { parties::tokens(&s).await }))
    }
}

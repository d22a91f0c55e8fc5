//! What operations may ask of the store.

use std::future::Future;
use std::pin::Pin;

use domain::delivery::Delivery;
use domain::figures::TurnMessage;
use domain::id::NodeId;
use domain::message::{Mark, Message};
use domain::{
    AliasName, Buyer, BuyerId, Conversation, ConversationId, MarketplaceId, MessageId, Order, Pair, PairId, Role, Seller, SellerId, Tag,
    Timestamp,
};

use crate::changes::{Body, BodyKind, Changes, LedgerEntry, SealedKey, Token};
use crate::error::{CommitError, StoreError};

/// A future of a store call; boxed, because adapters are chosen when the program starts.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// Nothing yet; a commit that returned is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed;

/// Where an alias leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AliasTarget {
    /// The pair.
    pub pair: PairId,
    /// Whom it reaches.
    pub reaches: Role,
}

/// What is asked for one message to one alias.
#[derive(Debug, Clone)]
pub struct FactsQuery {
    /// The pair that the alias leads to.
    pub pair: PairId,
    /// Tag of the recipient address.
    pub tag: Option<Tag>,
    /// Hashes of the ids that In-Reply-To and References name, newest last.
    pub references: Vec<[u8; 16]>,
    /// Tags of reference lines in the text.
    pub quoted: Vec<Tag>,
    /// Hash of the message's own id (C14).
    pub own_id: Option<[u8; 16]>,
    /// Names of counters of the seller.
    pub seller_counters: Vec<String>,
    /// Names of counters of the pair.
    pub pair_counters: Vec<String>,
}

impl FactsQuery {
    /// The pair alone.
    #[must_use]
    pub fn of_pair(pair: PairId) -> Self {
        Self {
            pair,
            tag: None,
            references: Vec::new(),
            quoted: Vec::new(),
            own_id: None,
            seller_counters: Vec::new(),
            pair_counters: Vec::new(),
        }
    }
}

/// What the store knows about a pair for one message.
#[derive(Debug, Clone)]
pub struct PairFacts {
    /// The pair.
    pub pair: Pair,
    /// Its seller.
    pub seller: Seller,
    /// Its buyer.
    pub buyer: Buyer,
    /// Its newest orders, newest first, at most 100.
    pub orders: Vec<Order>,
    /// Conversation of the tag, if it is of this pair.
    pub by_tag: Option<Conversation>,
    /// Conversation of the newest known id.
    pub by_reference: Option<Conversation>,
    /// Conversation of a quoted reference line.
    pub by_quotation: Option<Conversation>,
    /// Newest conversation of each order, newest first, at most 100.
    pub by_order: Vec<Conversation>,
    /// Messages that the named ids are of, in the order of the query.
    pub referenced: Vec<Message>,
    /// The message that came with the same id before.
    pub same_id: Option<Message>,
    /// Values of the seller's counters, in the order of the query.
    pub seller_counters: Vec<i64>,
    /// Values of the pair's counters, likewise.
    pub pair_counters: Vec<i64>,
}

/// Where a scan of all ledgers goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanPlace {
    /// The chain.
    pub pair: PairId,
    /// The number in it.
    pub number: i64,
}

/// A page of conversations, newest first.
#[derive(Debug, Clone, Default)]
pub struct ConversationPage {
    /// At most as many as asked for.
    pub conversations: Vec<Conversation>,
    /// Where the next page begins.
    pub next: Option<(Timestamp, ConversationId)>,
}

impl ConversationPage {
    /// Makes a page of one row more than was asked for.
    #[must_use]
    pub fn cut(mut found: Vec<Conversation>, limit: usize) -> Self {
        let next = (found.len() > limit).then(|| found.pop()).flatten().map(|c| (c.last_message_at, c.id));
        Self { conversations: found, next }
    }
}

/// A message with what opens it.
#[derive(Debug, Clone)]
pub struct SealedMessage {
    /// The message.
    pub message: Message,
    /// Its delivery, if it has one.
    pub delivery: Option<Delivery>,
    /// Its key; none after erasure.
    pub key: Option<SealedKey>,
    /// The bodies asked for that exist.
    pub bodies: Vec<Body>,
}

/// A delivery that was leased.
#[derive(Debug, Clone)]
pub struct Due {
    /// The delivery with its new lease.
    pub delivery: Delivery,
    /// The message with key and outgoing body.
    pub sealed: SealedMessage,
}

/// The store.
pub trait Store: Send + Sync {
    /// Applies changes whole or not at all; when it returns `Ok`, they survive a power cut.
    fn commit<'a>(&'a self, changes: Changes) -> Pin<Box<dyn Future<Output = Result<Committed, CommitError>> + Send + 'a>>;

    /// Whether the store answers, for `/readyz`.
    fn ping(&self) -> StoreFuture<'_, ()>;

    /// A small value of the installation, such as the master key's fingerprint.
    fn find_setting<'a>(&'a self, name: &'a str) -> StoreFuture<'a, Option<String>>;
    /// Sets it if it is absent; gives what stands there afterwards.
    fn put_setting_once<'a>(&'a self, name: &'a str, value: &'a str) -> StoreFuture<'a, String>;

    /// Where an alias leads.
    fn find_alias<'a>(&'a self, marketplace: &'a MarketplaceId, alias: &'a AliasName) -> StoreFuture<'a, Option<AliasTarget>>;
    /// Whether any seller of the marketplace writes from that canonical address (B1).
    fn is_seller_address<'a>(&'a self, marketplace: &'a MarketplaceId, address: &'a str) -> StoreFuture<'a, bool>;
    /// Everything one decision needs, in one read.
    fn load_facts(&self, query: FactsQuery) -> StoreFuture<'_, Option<PairFacts>>;

    /// A counter of a pair; 0 if there is none.
    fn find_counter<'a>(&'a self, pair: PairId, key: &'a str) -> StoreFuture<'a, i64>;

    /// Counters of a name whose index the schema has (`refused/…`), by pair, after `after`.
    fn list_counters<'a>(&'a self, key: &'a str, after: Option<PairId>, limit: usize) -> StoreFuture<'a, Vec<(PairId, i64)>>;

    /// A seller.
    fn find_seller(&self, id: SellerId) -> StoreFuture<'_, Option<Seller>>;
    /// A buyer.
    fn find_buyer(&self, id: BuyerId) -> StoreFuture<'_, Option<Buyer>>;
    /// An order by the shop's id.
    fn find_order<'a>(&'a self, marketplace: &'a MarketplaceId, shop_id: &'a str) -> StoreFuture<'a, Option<Order>>;
    /// Orders of a seller placed from an instant to before another and not cancelled (C7).
    fn count_orders(&self, seller: SellerId, from: Timestamp, to: Timestamp) -> StoreFuture<'_, i64>;
    /// A pair.
    fn find_pair(&self, id: PairId) -> StoreFuture<'_, Option<Pair>>;
    /// Pairs of a seller, by id, after `after`.
    fn list_pairs_of_seller(&self, seller: SellerId, after: Option<PairId>, limit: usize) -> StoreFuture<'_, Vec<Pair>>;
    /// Pairs of a buyer, by id, after `after`.
    fn list_pairs_of_buyer(&self, buyer: BuyerId, after: Option<PairId>, limit: usize) -> StoreFuture<'_, Vec<Pair>>;

    /// A conversation.
    fn find_conversation(&self, id: ConversationId) -> StoreFuture<'_, Option<Conversation>>;
    /// Conversations of a pair, newest first, from a place on.
    fn list_conversations(
        &self,
        pair: PairId,
        from: Option<(Timestamp, ConversationId)>,
        limit: usize,
    ) -> StoreFuture<'_, ConversationPage>;
    /// Messages of a conversation, oldest first, after `after`.
    fn list_messages(
        &self,
        conversation: ConversationId,
        after: Option<MessageId>,
        limit: usize,
    ) -> StoreFuture<'_, Vec<(Message, Option<Delivery>)>>;
    /// A message with its key and the bodies named.
    fn find_message<'a>(&'a self, id: MessageId, bodies: &'a [BodyKind]) -> StoreFuture<'a, Option<SealedMessage>>;
    /// Marks on a message.
    fn list_marks(&self, message: MessageId) -> StoreFuture<'_, Vec<Mark>>;
    /// Messages of the parties in a seller's conversations since an instant, in order of acceptance (E4).
    fn list_turns(
        &self,
        seller: SellerId,
        since: Timestamp,
        after: Option<(Timestamp, MessageId)>,
        limit: usize,
    ) -> StoreFuture<'_, Vec<TurnMessage>>;
    /// Ledger entries of every pair, by pair and number, for replay: a walk along the key, whatever stands in them.
    fn scan_ledger(&self, after: Option<ScanPlace>, limit: usize) -> StoreFuture<'_, Vec<LedgerEntry>>;
    /// Ledger entries of a pair from a number on.
    fn list_ledger(&self, pair: PairId, from: i64, limit: usize) -> StoreFuture<'_, Vec<LedgerEntry>>;

    /// Leases deliveries that are due and whose lease, if any, is over.
    fn lease_due(&self, owner: NodeId, now: Timestamp, until: Timestamp, limit: usize) -> StoreFuture<'_, Vec<Due>>;
    /// Makes due what is due later than anything can be, because the clock was ahead when it was deferred.
    fn bring_forward(&self, now: Timestamp, latest: Timestamp) -> StoreFuture<'_, u64>;
    /// Gives up every lease of a node, which has just started and holds none.
    fn release_leases(&self, owner: NodeId) -> StoreFuture<'_, u64>;
    /// Deliveries that wait with the chains that they belong to, oldest first, after a place.
    fn list_waiting(&self, after: Option<(Timestamp, MessageId)>, limit: usize) -> StoreFuture<'_, Vec<(Delivery, PairId)>>;
    /// Deliveries that wait, for metrics.
    fn count_waiting(&self) -> StoreFuture<'_, i64>;

    /// A token by the hash of it.
    fn find_token<'a>(&'a self, hash: &'a [u8; 32]) -> StoreFuture<'a, Option<Token>>;
    /// Every token, by name; only the operator makes them.
    fn list_tokens(&self) -> StoreFuture<'_, Vec<Token>>;
}

//! One commit as a value: guards, deltas and rows.

use domain::delivery::{Delivery, DeliveryState, Lease};
use domain::ledger;
use domain::message::{Mark, Message};
use domain::{Buyer, BuyerId, Conversation, ConversationId, Order, OrderId, Pair, PairId, Role, Seller, SellerId, Timestamp};

/// A row whose version a guard can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Entity {
    /// A seller.
    Seller(SellerId),
    /// A buyer.
    Buyer(BuyerId),
    /// An order.
    Order(OrderId),
    /// A pair.
    Pair(PairId),
}

/// A condition that must hold when the changes are applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// The row has this version; 0 means that there is none.
    Version(Entity, i64),
    /// The delivery's lease still has this fence.
    Fence(domain::MessageId, i64),
}

/// `value += amount`, if the value before is below `below`; else the commit is a conflict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CounterAdd {
    /// The pair or operator's chain that it belongs to, for its bucket.
    pub pair: PairId,
    /// Name within the pair, without personal data.
    pub key: String,
    /// How much is added.
    pub amount: i64,
    /// Upper bound for the value before.
    pub below: Option<i64>,
}

/// What a message does to its conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConversationTouch {
    /// The conversation.
    pub conversation: ConversationId,
    /// When.
    pub at: Timestamp,
    /// Who wrote.
    pub by: Role,
    /// The order it turned out to be about, if it had none.
    pub order: Option<OrderId>,
    /// Whether a machine wrote it: then it neither asks for an answer nor is one (C11).
    pub automatic: bool,
}

/// A conversation whose open messages need no response, unless the buyer has written since (E3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settle {
    /// The conversation.
    pub conversation: ConversationId,
    /// The buyer's last message as it was seen.
    pub buyer_wrote_at: Timestamp,
}

/// Which text of a message a body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BodyKind {
    /// Octets as received.
    Original,
    /// Envelope and octets as sent.
    Outgoing,
    /// What API and pages show: subject and text as the other side got them.
    View,
}

impl BodyKind {
    /// Its number in rows and nonces.
    #[must_use]
    pub fn number(self) -> i16 {
        match self {
            Self::Original => 1,
            Self::Outgoing => 2,
            Self::View => 3,
        }
    }

    /// Reads the number.
    #[must_use]
    pub fn from_number(number: i16) -> Option<Self> {
        [Self::Original, Self::Outgoing, Self::View].into_iter().find(|k| k.number() == number)
    }
}

/// Where a sealed body is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyPlace {
    /// In the row.
    Inline(Vec<u8>),
    /// In the object store, written and synced before the commit.
    Object(crate::objects::ObjectName),
}

/// A sealed body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// The message.
    pub message: domain::MessageId,
    /// Which text.
    pub kind: BodyKind,
    /// `YYYYMM`, which names the table.
    pub month: i32,
    /// Where it is.
    pub place: BodyPlace,
}

/// A message's data key, wrapped under the master key. Destroying it erases the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedKey {
    /// The message.
    pub message: domain::MessageId,
    /// Wrapped key.
    pub sealed: Vec<u8>,
    /// `YYYYMM` of its bodies.
    pub month: i32,
}

/// A Message-ID by which a later message may name this one (C3, rung 2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownId {
    /// The pair: ids of one pair mean nothing in another (privacy P10).
    pub pair: PairId,
    /// First 16 octets of SHA-256 of the id.
    pub hash: [u8; 16],
    /// The message.
    pub message: domain::MessageId,
}

/// A new state of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryUpdate {
    /// The message.
    pub message: domain::MessageId,
    /// New state.
    pub state: DeliveryState,
    /// Attempts so far.
    pub attempts: i64,
    /// Next attempt.
    pub due_at: Timestamp,
    /// Lease kept, or none.
    pub lease: Option<Lease>,
    /// Enhanced status code of the last attempt.
    pub last_status: Option<String>,
}

/// An entry before the store has given it a number and a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEntry {
    /// The chain.
    pub pair: PairId,
    /// The feed.
    pub seller: SellerId,
    /// The message it is about.
    pub message: Option<domain::MessageId>,
    /// Its kind, also in the entry.
    pub kind: &'static str,
    /// When.
    pub at: Timestamp,
    /// Canonical entry.
    pub entry: String,
    /// Salt of the leaf.
    pub salt: [u8; 32],
    /// Leaf.
    pub leaf: [u8; 32],
}

impl NewEntry {
    /// Makes an entry from its fields; `v`, `kind`, `at` and `message` are added.
    #[must_use]
    pub fn new<const N: usize>(
        (pair, seller): (PairId, SellerId),
        message: Option<domain::MessageId>,
        kind: &'static str,
        at: Timestamp,
        salt: [u8; 32],
        fields: [(&'static str, Option<ledger::Value>); N],
    ) -> Self {
        let mut object: std::collections::BTreeMap<_, _> = fields.into_iter().filter_map(|(k, v)| v.map(|v| (k, v))).collect();
        object.insert("v", ledger::FORMAT.into());
        object.insert("kind", kind.into());
        object.insert("at", at.0.into());
        if let Some(message) = message {
            object.insert("message", message.to_string().into());
        }
        let entry = ledger::Value::Object(object).canonical();
        let leaf = ledger::leaf(&salt, &entry);
        Self { pair, seller, message, kind, at, entry, salt, leaf }
    }
}

/// An entry as it stands in the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerEntry {
    /// The chain.
    pub pair: PairId,
    /// Number in the chain, from 1 without gaps.
    pub number: i64,
    /// The feed.
    pub seller: SellerId,
    /// Position in the seller's feed, from 1 without gaps.
    pub position: i64,
    /// The message it is about.
    pub message: Option<domain::MessageId>,
    /// Its kind.
    pub kind: String,
    /// When.
    pub at: Timestamp,
    /// Canonical entry.
    pub entry: String,
    /// Salt; destroyed on erasure.
    pub salt: Option<[u8; 32]>,
    /// Leaf.
    pub leaf: [u8; 32],
    /// Link of the chain.
    pub link: [u8; 32],
}

/// What a token may do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenScope {
    /// Everything on every marketplace.
    Operator,
    /// What one seller may do.
    Seller(SellerId),
    /// Sending mail in the name of one seller, and nothing else.
    Submission(SellerId),
}

impl TokenScope {
    /// The seller whose it is, and whether it only sends mail.
    #[must_use]
    pub fn columns(&self) -> (Option<&SellerId>, bool) {
        match self {
            Self::Operator => (None, false),
            Self::Seller(id) => (Some(id), false),
            Self::Submission(id) => (Some(id), true),
        }
    }
}

/// A token for API or submission; only its hash is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// SHA-256 of the token.
    pub hash: [u8; 32],
    /// Short name for revoking, shown in lists.
    pub name: String,
    /// What it may do.
    pub scope: TokenScope,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Everything that one operation changes, applied whole or not at all.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    /// Conditions.
    pub guards: Vec<Guard>,
    /// Counters.
    pub counters: Vec<CounterAdd>,
    /// Sellers to put; their writers are replaced.
    pub sellers: Vec<Seller>,
    /// Buyers to put.
    pub buyers: Vec<Buyer>,
    /// Pairs to put; aliases are inserted with a new pair and never changed.
    pub pairs: Vec<Pair>,
    /// Orders to put.
    pub orders: Vec<Order>,
    /// New conversations.
    pub conversations: Vec<Conversation>,
    /// What messages do to conversations.
    pub touches: Vec<ConversationTouch>,
    /// Conversations that need no response any more.
    pub settled: Vec<Settle>,
    /// New messages.
    pub messages: Vec<Message>,
    /// Marks to set, where there is none of the kind.
    pub marks: Vec<Mark>,
    /// Their keys.
    pub keys: Vec<SealedKey>,
    /// Their bodies.
    pub bodies: Vec<Body>,
    /// Ids by which they can be named.
    pub known_ids: Vec<KnownId>,
    /// New deliveries, already leased to who commits them.
    pub deliveries: Vec<Delivery>,
    /// New states of deliveries.
    pub delivery_updates: Vec<DeliveryUpdate>,
    /// Ledger entries.
    pub entries: Vec<NewEntry>,
    /// New tokens.
    pub tokens: Vec<Token>,
    /// Names of tokens to revoke.
    pub revoked_tokens: Vec<String>,
}

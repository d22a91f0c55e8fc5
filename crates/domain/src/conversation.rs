//! Conversations and the ladder of evidence by which a message joins one (C3).

use crate::alias::{Role, Tag};
use crate::id::{ConversationId, OrderId, PairId};
use crate::world::Timestamp;

/// The evidence that a message belongs to a conversation, strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rung {
    /// The tag in the recipient address.
    Tag,
    /// In-Reply-To or References name a Message-ID issued or seen in it.
    References,
    /// The quoted original carries our reference line.
    Quotation,
    /// An order id of the pair in the subject.
    OrderId,
}

impl Rung {
    /// The word in records and the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tag => "tag",
            Self::References => "references",
            Self::Quotation => "quotation",
            Self::OrderId => "order_id",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Tag, Self::References, Self::Quotation, Self::OrderId].into_iter().find(|r| r.as_str() == word)
    }
}

/// A conversation of a pair.
#[derive(Debug, Clone)]
pub struct Conversation {
    /// Its id.
    pub id: ConversationId,
    /// The pair.
    pub pair: PairId,
    /// The order it is about, if any.
    pub order: Option<OrderId>,
    /// Its tag.
    pub tag: Tag,
    /// Who began it.
    pub begun_by: Role,
    /// When.
    pub started_at: Timestamp,
    /// The last message of either side.
    pub last_message_at: Timestamp,
    /// The buyer's last message in it (C3, opt-out window).
    pub last_buyer_message_at: Option<Timestamp>,
    /// Whether a message of the buyer waits for an answer (E1).
    pub response_needed: bool,
    /// How many messages it has.
    pub message_count: i64,
}

/// What each rung found. Every lookup carried the pair (privacy P10).
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// By the tag in the recipient address.
    pub tag: Option<Conversation>,
    /// By In-Reply-To and References.
    pub references: Option<Conversation>,
    /// By our reference line in the text.
    pub quotation: Option<Conversation>,
    /// By an order id in the subject.
    pub order_id: Option<Conversation>,
}

/// The conversation by the first evidence that holds, and the rung.
#[must_use]
pub fn join(evidence: Evidence) -> Option<(Conversation, Rung)> {
    let Evidence { tag, references, quotation, order_id } = evidence;
    tag.map(|c| (c, Rung::Tag))
        .or_else(|| references.map(|c| (c, Rung::References)))
        .or_else(|| quotation.map(|c| (c, Rung::Quotation)))
        .or_else(|| order_id.map(|c| (c, Rung::OrderId)))
}

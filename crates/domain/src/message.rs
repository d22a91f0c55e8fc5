//! A message in the record: who wrote it, where it belongs, what became of it.

use mail::MessageId as HeaderId;

use crate::alias::Role;
use crate::conversation::Rung;
use crate::id::{ConversationId, MessageId, OrderId, PairId, SellerId};
use crate::policy::Outcome;
use crate::world::Timestamp;

/// Who a message is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Author {
    /// A party of the pair.
    Party(Role),
    /// A seller who is no party of this pair (B1).
    ForeignSeller,
    /// A carrier that has a parcel of this pair on its way.
    Carrier,
    /// Anyone else.
    Stranger,
    /// A mail system: null reverse-path or a VERP address.
    MailSystem,
    /// We ourselves: a notice.
    Tradepost,
}

impl Author {
    /// The word in records and the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Party(role) => role.as_str(),
            Self::ForeignSeller => "foreign_seller",
            Self::Carrier => "carrier",
            Self::Stranger => "stranger",
            Self::MailSystem => "mail_system",
            Self::Tradepost => "tradepost",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        let parties = [Self::Party(Role::Buyer), Self::Party(Role::Seller)];
        let others = [Self::ForeignSeller, Self::Carrier, Self::Stranger, Self::MailSystem, Self::Tradepost];
        parties.into_iter().chain(others).find(|a| a.as_str() == word)
    }
}

/// A message that we accepted or wrote.
#[derive(Debug, Clone)]
pub struct Message {
    /// Its id.
    pub id: MessageId,
    /// The pair, or the operator's chain.
    pub pair: PairId,
    /// Whose feed it stands in.
    pub seller: SellerId,
    /// The conversation; none for what joins none.
    pub conversation: Option<ConversationId>,
    /// Who wrote it.
    pub author: Author,
    /// By which evidence it joined the conversation; none if it began it.
    pub rung: Option<Rung>,
    /// The order it is about.
    pub order: Option<OrderId>,
    /// Its contact reason, where one was given.
    pub reason: Option<String>,
    /// Whether a machine wrote it (C11).
    pub automatic: bool,
    /// What tells its content from another's under the same Message-ID (C14).
    pub fingerprint: Option<[u8; 16]>,
    /// When we took responsibility.
    pub accepted_at: Timestamp,
    /// What was decided.
    pub outcome: Outcome,
    /// The writer's own Message-ID, told to nobody but the writer's side.
    pub original_id: Option<HeaderId>,
    /// The Message-ID that the other side sees.
    pub outgoing_id: Option<HeaderId>,
    /// Octets of the original.
    pub size_bytes: i64,
}

/// What a party said about a message of the other (E3, F1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MarkKind {
    /// The seller need not answer it.
    NoResponse,
    /// Its reader reported it.
    Reported,
}

impl MarkKind {
    /// The word in records and the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoResponse => "no_response",
            Self::Reported => "reported",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::NoResponse, Self::Reported].into_iter().find(|k| k.as_str() == word)
    }
}

/// A mark on a message; each kind once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The message.
    pub message: MessageId,
    /// Which.
    pub kind: MarkKind,
    /// Who set it.
    pub by: Role,
    /// When.
    pub at: Timestamp,
    /// Why, for a report.
    pub reason: Option<String>,
}

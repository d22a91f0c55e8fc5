//! Wire shapes of the native API and how domain values become them.

use domain::{Conversation, Timestamp};
use operations::{MessageView, OpenedMessage, PairView};
use serde::{Deserialize, Deserializer, Serialize};
use store::LedgerEntry;
use utoipa::ToSchema;

/// An instant in the wire form, RFC 3339.
pub(crate) fn instant(at: Timestamp) -> String {
    jiff::Timestamp::from_microsecond(at.0).map(|t| t.to_string()).unwrap_or_default()
}

/// Reads an RFC 3339 instant.
pub(crate) fn read_instant<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let text: Option<String> = Option::deserialize(deserializer)?;
    text.map(|t| parse_instant(&t).map_err(serde::de::Error::custom)).transpose()
}

/// Reads a pair of instants.
pub(crate) fn read_range<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<(Timestamp, Timestamp)>, D::Error> {
    let texts: Option<(String, String)> = Option::deserialize(deserializer)?;
    let read = |t: &str| parse_instant(t).map_err(serde::de::Error::custom);
    texts.map(|(from, to)| Ok((read(&from)?, read(&to)?))).transpose()
}

fn parse_instant(text: &str) -> Result<Timestamp, &'static str> {
    let parsed: jiff::Timestamp = text.parse().map_err(|_| "expected an RFC 3339 instant such as 2026-11-22T09:00:00Z")?;
    Ok(Timestamp(parsed.as_microsecond()))
}

/// The aliases of a pair.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PairShape {
    /// Id of the pair.
    pub(crate) id: String,
    /// The shop's id of the seller.
    pub(crate) seller: String,
    /// The shop's id of the buyer; for the operator only, because it is the same over all sellers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) buyer: Option<String>,
    /// Reaches the buyer; what the seller sees.
    pub(crate) buyer_alias: String,
    /// Reaches the seller; what the buyer sees.
    pub(crate) seller_alias: String,
    /// `open`, `closed` (by the buyer) or `retired`.
    pub(crate) state: &'static str,
}

impl From<PairView> for PairShape {
    fn from(v: PairView) -> Self {
        Self {
            id: v.pair.id.to_string(),
            seller: v.seller,
            buyer: Some(v.buyer),
            buyer_alias: v.aliases.buyer_alias,
            seller_alias: v.aliases.seller_alias,
            state: v.pair.state.as_str(),
        }
    }
}

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Page<T: ToSchema> {
    /// The entries.
    pub(crate) items: Vec<T>,
    /// Give it as `after` for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next: Option<String>,
}

impl<T: ToSchema> Page<T> {
    /// Makes a page of one entry more than was asked for.
    pub(crate) fn cut(mut items: Vec<T>, limit: usize, cursor: impl Fn(&T) -> String) -> Self {
        let more = items.len() > limit;
        items.truncate(limit);
        let next = if more { items.last().map(cursor) } else { None };
        Self { items, next }
    }
}

/// A conversation.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConversationShape {
    /// Its id.
    id: String,
    /// The pair.
    pair: String,
    /// Our id of the order, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<String>,
    /// `buyer` or `seller`.
    begun_by: &'static str,
    /// When it began.
    started_at: String,
    /// The last message of either side.
    last_message_at: String,
    /// Whether a message of the buyer waits for an answer.
    response_needed: bool,
    /// How many messages it has.
    message_count: i64,
}

impl From<&Conversation> for ConversationShape {
    fn from(c: &Conversation) -> Self {
        Self {
            id: c.id.to_string(),
            pair: c.pair.to_string(),
            order: c.order.map(|o| o.to_string()),
            begun_by: c.begun_by.as_str(),
            started_at: instant(c.started_at),
            last_message_at: instant(c.last_message_at),
            response_needed: c.response_needed,
            message_count: c.message_count,
        }
    }
}

/// A message and where it is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MessageShape {
    /// Its id, also in the SMTP reply.
    pub(crate) id: String,
    /// The conversation.
    #[serde(skip_serializing_if = "Option::is_none")]
    conversation: Option<String>,
    /// `buyer`, `seller`, or who else wrote.
    author: &'static str,
    /// By which evidence it joined the conversation: `tag`, `references`, `quotation`, `order_id`; absent if it began it.
    #[serde(skip_serializing_if = "Option::is_none")]
    rung: Option<&'static str>,
    /// Our id of the order.
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<String>,
    /// Contact reason, where one was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Whether a machine wrote it.
    automatic: bool,
    /// When it was accepted.
    accepted_at: String,
    /// What was decided: `relay`, `on_page`, `refuse`, `notify`.
    outcome: &'static str,
    /// `queued`, `deferred`, `delivered` (the next server took it), `bounced`, `on_page`.
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery: Option<String>,
    /// When the next attempt is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_attempt_at: Option<String>,
    /// Octets of the original.
    size_bytes: i64,
    /// Subject as passed on.
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    /// Text as passed on.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// Of the text what its author wrote, without what was quoted.
    #[serde(skip_serializing_if = "Option::is_none")]
    written: Option<String>,
}

impl From<MessageView> for MessageShape {
    fn from(v: MessageView) -> Self {
        let next = v.delivery.as_ref().filter(|d| !d.state.is_final()).map(|d| instant(d.due_at));
        Self {
            id: v.message.id.to_string(),
            conversation: v.message.conversation.map(|c| c.to_string()),
            author: v.message.author.as_str(),
            rung: v.message.rung.map(domain::Rung::as_str),
            order: v.message.order.map(|o| o.to_string()),
            reason: v.message.reason.clone(),
            automatic: v.message.automatic,
            accepted_at: instant(v.message.accepted_at),
            outcome: v.message.outcome.as_str(),
            delivery: v.delivery.map(|d| d.state.as_str().to_owned()),
            next_attempt_at: next,
            size_bytes: v.message.size_bytes,
            subject: None,
            text: None,
            written: None,
        }
    }
}

impl From<OpenedMessage> for MessageShape {
    fn from(m: OpenedMessage) -> Self {
        Self { subject: m.subject, text: m.text, written: m.written, ..Self::from(m.view) }
    }
}

/// An entry of a pair's ledger.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LedgerShape {
    /// Number in the pair's chain, from 1 without gaps.
    pub(crate) number: i64,
    /// Position in the seller's feed, from 1 without gaps.
    position: i64,
    /// Its kind; absent where it is the buyer's own matter.
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<String>,
    /// When; absent likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<String>,
    /// Canonical entry, the very text that was hashed; absent likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    entry: Option<String>,
    /// Salt in hex; absent after erasure.
    #[serde(skip_serializing_if = "Option::is_none")]
    salt: Option<String>,
    /// SHA-256(salt ‖ entry) in hex.
    leaf: String,
    /// Link of the chain in hex.
    link: String,
}

impl LedgerShape {
    /// The hashes alone.
    pub(crate) fn hidden(e: &LedgerEntry) -> Self {
        Self { kind: None, at: None, entry: None, salt: None, ..Self::from(e) }
    }
}

impl From<&LedgerEntry> for LedgerShape {
    fn from(e: &LedgerEntry) -> Self {
        let hex = |octets: &[u8]| octets.iter().map(|b| format!("{b:02x}")).collect::<String>();
        Self {
            number: e.number,
            position: e.position,
            kind: Some(e.kind.clone()),
            at: Some(instant(e.at)),
            entry: Some(e.entry.clone()),
            salt: e.salt.as_ref().map(|s| hex(s)),
            leaf: hex(&e.leaf),
            link: hex(&e.link),
        }
    }
}

//! Rows in the form that both engines share: which columns, in which order, and what they mean.
//!
//! The SQL around them stands in the adapters.

use domain::delivery::{Delivery, DeliveryState, Lease};
use domain::figures::TurnMessage;
use domain::id::NodeId;
use domain::message::{Author, Mark, MarkKind, Message};
use domain::order::Item;
use domain::policy::Outcome;
use domain::{
    AliasName, AliasState, Buyer, BuyerId, Conversation, ConversationId, MarketplaceId, MessageId, OptOut, OptOutSource, Order, OrderId,
    OrderStatus, Pair, PairId, Role, Rung, Seller, SellerId, Tag, Timestamp,
};
use mail::{Domain, Mailbox};
use serde::{Deserialize, Serialize};

use crate::changes::{Body, BodyKind, BodyPlace, LedgerEntry, SealedKey, Token, TokenScope};
use crate::error::StoreError;
use crate::objects::ObjectName;
use crate::query::AliasTarget;

#[derive(Serialize, Deserialize)]
struct ItemRow {
    title: String,
    category: String,
    customizable: bool,
    quantity: i64,
}

/// The lines of an order as JSON text.
///
/// # Panics
/// Never: strings and numbers always have a JSON form.
#[must_use]
pub fn items_to_text(items: &[Item]) -> String {
    let rows: Vec<ItemRow> = items
        .iter()
        .map(|i| ItemRow { title: i.title.clone(), category: i.category.clone(), customizable: i.customizable, quantity: i.quantity })
        .collect();
    serde_json::to_string(&rows).expect("strings and numbers have a JSON form")
}

/// Reads them back.
///
/// # Errors
/// `Corrupt` when the text is none of ours.
pub fn items_from_text(text: &str) -> Result<Vec<Item>, StoreError> {
    let rows: Vec<ItemRow> = serde_json::from_str(text).map_err(|_| corrupt("the items of an order"))?;
    Ok(rows
        .into_iter()
        .map(|r| Item { title: r.title, category: r.category, customizable: r.customizable, quantity: r.quantity })
        .collect())
}

/// A list of mailboxes as lines.
#[must_use]
pub fn mailboxes_to_text(mailboxes: &[Mailbox]) -> String {
    mailboxes.iter().map(Mailbox::to_wire).collect::<Vec<_>>().join("\n")
}

/// Reads them back.
///
/// # Errors
/// `Corrupt` when a line is no mailbox.
pub fn mailboxes_from_text(text: &str) -> Result<Vec<Mailbox>, StoreError> {
    text.lines().map(mailbox).collect()
}

/// A list of domains as lines.
#[must_use]
pub fn domains_to_text(domains: &[Domain]) -> String {
    domains.iter().map(Domain::as_str).collect::<Vec<_>>().join("\n")
}

/// Reads them back.
///
/// # Errors
/// `Corrupt` when a line is no domain.
pub fn domains_from_text(text: &str) -> Result<Vec<Domain>, StoreError> {
    text.lines().map(|line| Domain::parse(line).map_err(|_| corrupt("a domain"))).collect()
}

/// Reads a stored mailbox.
///
/// # Errors
/// `Corrupt` when it is none.
pub fn mailbox(text: &str) -> Result<Mailbox, StoreError> {
    Mailbox::parse(text).map_err(|_| corrupt("a mailbox"))
}

/// Reads octets of a fixed length.
///
/// # Errors
/// `Corrupt` when the length differs.
pub fn octets<const N: usize>(bytes: &[u8]) -> Result<[u8; N], StoreError> {
    bytes.try_into().map_err(|_| corrupt("an id or a hash"))
}

/// Reads a stored word.
///
/// # Errors
/// `Corrupt` when it is unknown.
pub fn word<T>(text: &str, parse: impl Fn(&str) -> Option<T>) -> Result<T, StoreError> {
    parse(text).ok_or_else(|| corrupt("a word"))
}

/// What stands in a row cannot stand there.
#[must_use]
pub fn corrupt(what: &str) -> StoreError {
    StoreError::Corrupt(format!("{what} cannot be read back"))
}

/// Columns of one row, read in order. Each adapter implements the four kinds; what they mean stands below once.
pub trait Columns {
    /// Text or NULL.
    ///
    /// # Errors
    /// `Corrupt` when the column has another type.
    fn text_or_none(&mut self) -> Result<Option<String>, StoreError>;
    /// Integer or NULL.
    ///
    /// # Errors
    /// As above.
    fn integer_or_none(&mut self) -> Result<Option<i64>, StoreError>;
    /// Octets or NULL.
    ///
    /// # Errors
    /// As above.
    fn bytes_or_none(&mut self) -> Result<Option<Vec<u8>>, StoreError>;
    /// A flag.
    ///
    /// # Errors
    /// As above, and when it is NULL.
    fn flag(&mut self) -> Result<bool, StoreError>;

    /// Text.
    ///
    /// # Errors
    /// As above, and when it is NULL; likewise for what follows.
    fn text(&mut self) -> Result<String, StoreError> {
        self.text_or_none()?.ok_or_else(|| corrupt("a missing text"))
    }
    /// Integer.
    ///
    /// # Errors
    /// As for `text`.
    fn integer(&mut self) -> Result<i64, StoreError> {
        self.integer_or_none()?.ok_or_else(|| corrupt("a missing number"))
    }
    /// Octets.
    ///
    /// # Errors
    /// As for `text`.
    fn bytes(&mut self) -> Result<Vec<u8>, StoreError> {
        self.bytes_or_none()?.ok_or_else(|| corrupt("missing octets"))
    }
    /// An instant.
    ///
    /// # Errors
    /// As for `text`.
    fn at(&mut self) -> Result<Timestamp, StoreError> {
        self.integer().map(Timestamp)
    }
    /// An instant or NULL.
    ///
    /// # Errors
    /// As for `text`.
    fn at_or_none(&mut self) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.integer_or_none()?.map(Timestamp))
    }
}

fn id<T>(c: &mut dyn Columns, make: impl Fn([u8; 16]) -> T) -> Result<T, StoreError> {
    Ok(make(octets(&c.bytes()?)?))
}

fn id_or_none<T>(c: &mut dyn Columns, make: impl Fn([u8; 16]) -> T) -> Result<Option<T>, StoreError> {
    c.bytes_or_none()?.map(|b| Ok(make(octets(&b)?))).transpose()
}

fn marketplace(c: &mut dyn Columns) -> Result<MarketplaceId, StoreError> {
    word(&c.text()?, MarketplaceId::new)
}

/// Columns of `seller`.
pub const SELLER: &str = "id, marketplace, shop_id, business_name, email, customer_service_email, approved_senders, approved_carriers, locale, updated_at, version, own_senders, notify_blocked, important_withdrawn, undeliverable_at";

/// Reads `SELLER`.
///
/// # Errors
/// `Corrupt`; likewise below.
pub fn seller(c: &mut dyn Columns) -> Result<Seller, StoreError> {
    Ok(Seller {
        id: id(c, SellerId::from_bytes)?,
        marketplace: marketplace(c)?,
        shop_id: c.text()?,
        business_name: c.text()?,
        email: mailbox(&c.text()?)?,
        customer_service_email: mailbox(&c.text()?)?,
        approved_senders: mailboxes_from_text(&c.text()?)?,
        approved_carriers: domains_from_text(&c.text()?)?,
        locale: c.text()?,
        updated_at: c.at_or_none()?,
        version: c.integer()?,
        own_senders: mailboxes_from_text(&c.text()?)?,
        notify_blocked: c.flag()?,
        important_withdrawn: c.flag()?,
        undeliverable_at: c.at_or_none()?,
    })
}

/// Columns of `buyer`.
pub const BUYER: &str =
    "id, marketplace, shop_id, email, first_name, locale, opted_out_at, opted_out_by_buyer, updated_at, version, undeliverable_at";

/// Reads `BUYER`.
///
/// # Errors
/// `Corrupt`.
pub fn buyer(c: &mut dyn Columns) -> Result<Buyer, StoreError> {
    Ok(Buyer {
        id: id(c, BuyerId::from_bytes)?,
        marketplace: marketplace(c)?,
        shop_id: c.text()?,
        email: mailbox(&c.text()?)?,
        first_name: c.text()?,
        locale: c.text()?,
        opt_out: {
            let since_at = c.at_or_none()?;
            let source = if c.flag()? { OptOutSource::Buyer } else { OptOutSource::Shop };
            since_at.map(|since_at| OptOut { since_at, source })
        },
        updated_at: c.at_or_none()?,
        version: c.integer()?,
        undeliverable_at: c.at_or_none()?,
    })
}

/// Columns of `order`.
pub const ORDER: &str = "id, marketplace, shop_id, pair, seller, buyer, status, placed_at, shipped_at, delivered_at, cancelled_at, deliver_from, deliver_to, items, updated_at, version";

/// Reads `ORDER`.
///
/// # Errors
/// `Corrupt`.
pub fn order(c: &mut dyn Columns) -> Result<Order, StoreError> {
    Ok(Order {
        id: id(c, OrderId::from_bytes)?,
        marketplace: marketplace(c)?,
        shop_id: c.text()?,
        pair: id(c, PairId::from_bytes)?,
        seller: id(c, SellerId::from_bytes)?,
        buyer: id(c, BuyerId::from_bytes)?,
        status: word(&c.text()?, OrderStatus::parse)?,
        placed_at: c.at()?,
        shipped_at: c.at_or_none()?,
        delivered_at: c.at_or_none()?,
        cancelled_at: c.at_or_none()?,
        deliver_between: {
            let (from, to) = (c.at_or_none()?, c.at_or_none()?);
            from.zip(to)
        },
        items: items_from_text(&c.text()?)?,
        updated_at: c.at_or_none()?,
        version: c.integer()?,
    })
}

/// Columns of `alias`.
pub const ALIAS: &str = "pair, reaches_buyer";

/// Reads `ALIAS`.
///
/// # Errors
/// `Corrupt`.
pub fn alias(c: &mut dyn Columns) -> Result<AliasTarget, StoreError> {
    Ok(AliasTarget { pair: id(c, PairId::from_bytes)?, reaches: if c.flag()? { Role::Buyer } else { Role::Seller } })
}

/// Columns of `pair`.
pub const PAIR: &str = "id, marketplace, seller, buyer, buyer_alias, seller_alias, state, version";

/// Reads `PAIR`.
///
/// # Errors
/// `Corrupt`.
pub fn pair(c: &mut dyn Columns) -> Result<Pair, StoreError> {
    Ok(Pair {
        id: id(c, PairId::from_bytes)?,
        marketplace: marketplace(c)?,
        seller: id(c, SellerId::from_bytes)?,
        buyer: id(c, BuyerId::from_bytes)?,
        buyer_alias: word(&c.text()?, AliasName::parse)?,
        seller_alias: word(&c.text()?, AliasName::parse)?,
        state: word(&c.text()?, AliasState::parse)?,
        version: c.integer()?,
    })
}

/// Columns of `conversation`.
pub const CONVERSATION: &str =
    "id, pair, order_id, tag, begun_by, started_at, last_message_at, last_buyer_message_at, response_needed, message_count";

/// Reads `CONVERSATION`.
///
/// # Errors
/// `Corrupt`.
pub fn conversation(c: &mut dyn Columns) -> Result<Conversation, StoreError> {
    Ok(Conversation {
        id: id(c, ConversationId::from_bytes)?,
        pair: id(c, PairId::from_bytes)?,
        order: id_or_none(c, OrderId::from_bytes)?,
        tag: word(&c.text()?, Tag::parse)?,
        begun_by: word(&c.text()?, Role::parse)?,
        started_at: c.at()?,
        last_message_at: c.at()?,
        last_buyer_message_at: c.at_or_none()?,
        response_needed: c.flag()?,
        message_count: c.integer()?,
    })
}

/// Columns of `message`.
pub const MESSAGE: &str = "id, pair, seller, conversation, author, rung, order_id, accepted_at, outcome, original_id, outgoing_id, size_bytes, reason, automatic, fingerprint";

/// Reads `MESSAGE`.
///
/// # Errors
/// `Corrupt`.
pub fn message(c: &mut dyn Columns) -> Result<Message, StoreError> {
    Ok(Message {
        id: id(c, MessageId::from_bytes)?,
        pair: id(c, PairId::from_bytes)?,
        seller: id(c, SellerId::from_bytes)?,
        conversation: id_or_none(c, ConversationId::from_bytes)?,
        author: word(&c.text()?, Author::parse)?,
        rung: c.text_or_none()?.map(|w| word(&w, Rung::parse)).transpose()?,
        order: id_or_none(c, OrderId::from_bytes)?,
        accepted_at: c.at()?,
        outcome: word(&c.text()?, Outcome::parse)?,
        original_id: c.text_or_none()?.as_deref().and_then(mail::MessageId::new),
        outgoing_id: c.text_or_none()?.as_deref().and_then(mail::MessageId::new),
        size_bytes: c.integer()?,
        reason: c.text_or_none()?,
        automatic: c.flag()?,
        fingerprint: c.bytes_or_none()?.map(|f| octets(&f)).transpose()?,
    })
}

/// Columns of `mark`.
pub const MARK: &str = "message, kind, by_role, at, reason";

/// Reads `MARK`.
///
/// # Errors
/// `Corrupt`.
pub fn mark(c: &mut dyn Columns) -> Result<Mark, StoreError> {
    Ok(Mark {
        message: id(c, MessageId::from_bytes)?,
        kind: word(&c.text()?, MarkKind::parse)?,
        by: word(&c.text()?, Role::parse)?,
        at: c.at()?,
        reason: c.text_or_none()?,
    })
}

/// Reads the columns of a turn: id, conversation, author, accepted_at, automatic, state of the delivery,
/// whether it is marked, whether it is reported.
///
/// # Errors
/// `Corrupt`.
pub fn turn(c: &mut dyn Columns) -> Result<TurnMessage, StoreError> {
    let (id_, conversation, by) = (id(c, MessageId::from_bytes)?, id(c, ConversationId::from_bytes)?, word(&c.text()?, Role::parse)?);
    let (at, automatic) = (c.at()?, c.flag()?);
    let state = c.text_or_none()?.map(|w| word(&w, DeliveryState::parse)).transpose()?;
    let arrived = matches!(state, Some(DeliveryState::Delivered | DeliveryState::OnPage));
    Ok(TurnMessage { id: id_, conversation, by, at, automatic, arrived, no_response: c.flag()?, reported: c.flag()? })
}

/// Reads `pair, value` of a counter.
///
/// # Errors
/// `Corrupt`.
pub fn counter(c: &mut dyn Columns) -> Result<(PairId, i64), StoreError> {
    Ok((id(c, PairId::from_bytes)?, c.integer()?))
}

/// Reads the only column, a message's id.
///
/// # Errors
/// `Corrupt`.
pub fn message_id(c: &mut dyn Columns) -> Result<MessageId, StoreError> {
    id(c, MessageId::from_bytes)
}

/// Reads the only column, an order's id.
///
/// # Errors
/// `Corrupt`.
pub fn order_id(c: &mut dyn Columns) -> Result<OrderId, StoreError> {
    id(c, OrderId::from_bytes)
}

/// Columns of `delivery`.
pub const DELIVERY: &str = "message, state, attempts, queued_at, due_at, lease_owner, lease_until, fence, last_status";

/// Reads `DELIVERY`.
///
/// # Errors
/// `Corrupt`.
pub fn delivery(c: &mut dyn Columns) -> Result<Delivery, StoreError> {
    let (message, state, attempts) = (id(c, MessageId::from_bytes)?, word(&c.text()?, DeliveryState::parse)?, c.integer()?);
    let (queued_at, due_at) = (c.at()?, c.at()?);
    let (owner, until_at, fence) = (id_or_none(c, NodeId::from_bytes)?, c.at_or_none()?, c.integer()?);
    let lease = owner.zip(until_at).map(|(owner, until_at)| Lease { owner, until_at, fence });
    Ok(Delivery { message, state, attempts, queued_at, due_at, lease, last_status: c.text_or_none()? })
}

/// Columns of `ledger`.
pub const LEDGER: &str = "pair, number, seller, position, message, kind, at, entry, salt, leaf, link";

/// Reads `LEDGER`.
///
/// # Errors
/// `Corrupt`.
pub fn ledger_entry(c: &mut dyn Columns) -> Result<LedgerEntry, StoreError> {
    Ok(LedgerEntry {
        pair: id(c, PairId::from_bytes)?,
        number: c.integer()?,
        seller: id(c, SellerId::from_bytes)?,
        position: c.integer()?,
        message: id_or_none(c, MessageId::from_bytes)?,
        kind: c.text()?,
        at: c.at()?,
        entry: c.text()?,
        salt: c.bytes_or_none()?.map(|s| octets(&s)).transpose()?,
        leaf: octets(&c.bytes()?)?,
        link: octets(&c.bytes()?)?,
    })
}

/// Columns of `token`.
pub const TOKEN: &str = "hash, name, seller, created_at, submit_only";

/// Reads `TOKEN`.
///
/// # Errors
/// `Corrupt`.
pub fn token(c: &mut dyn Columns) -> Result<Token, StoreError> {
    let (hash, name, seller) = (octets(&c.bytes()?)?, c.text()?, id_or_none(c, SellerId::from_bytes)?);
    let (created_at, submit_only) = (c.at()?, c.flag()?);
    let scope = match seller {
        None => TokenScope::Operator,
        Some(seller) if submit_only => TokenScope::Submission(seller),
        Some(seller) => TokenScope::Seller(seller),
    };
    Ok(Token { hash, name, scope, created_at })
}

/// Reads `sealed, month` of a message's key.
///
/// # Errors
/// `Corrupt`.
pub fn sealed_key(c: &mut dyn Columns, message: MessageId) -> Result<SealedKey, StoreError> {
    let sealed = c.bytes()?;
    let month = i32::try_from(c.integer()?).map_err(|_| corrupt("a month"))?;
    Ok(SealedKey { message, sealed, month })
}

/// Reads `sealed, object` of a body.
///
/// # Errors
/// `Corrupt`.
pub fn body(c: &mut dyn Columns, message: MessageId, kind: BodyKind, month: i32) -> Result<Body, StoreError> {
    let (sealed, object) = (c.bytes_or_none()?, c.text_or_none()?);
    let place = match (sealed, object.as_deref().and_then(ObjectName::parse)) {
        (Some(sealed), _) => BodyPlace::Inline(sealed),
        (None, Some(name)) => BodyPlace::Object(name),
        (None, None) => return Err(corrupt("a body")),
    };
    Ok(Body { message, kind, month, place })
}

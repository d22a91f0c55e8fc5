//! Orders as the shop describes them, and which of them a message is about (C3b).

use std::time::Duration;

use crate::id::{BuyerId, MarketplaceId, OrderId, PairId, SellerId};
use crate::world::Timestamp;

/// An order stays a candidate for this long after delivery (C3b).
const RECENT: Duration = Duration::from_secs(30 * 24 * 3600);

/// Status of an order. Partly shipped counts as shipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderStatus {
    /// Placed, not yet confirmed.
    Pending,
    /// Confirmed, not yet shipped.
    Unshipped,
    /// On its way.
    Shipped,
    /// With the buyer.
    Delivered,
    /// Will not happen.
    Cancelled,
    /// Came back.
    Returned,
}

impl OrderStatus {
    /// Every status.
    pub const ALL: [Self; 6] = [Self::Pending, Self::Unshipped, Self::Shipped, Self::Delivered, Self::Cancelled, Self::Returned];

    /// The word in records and the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Unshipped => "unshipped",
            Self::Shipped => "shipped",
            Self::Delivered => "delivered",
            Self::Cancelled => "cancelled",
            Self::Returned => "returned",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == word)
    }
}

/// One line of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What it is called.
    pub title: String,
    /// Category of the shop.
    pub category: String,
    /// Whether it is made to the buyer's wishes.
    pub customizable: bool,
    /// How many.
    pub quantity: i64,
}

/// An order of a pair.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// Our id.
    pub id: OrderId,
    /// The marketplace.
    pub marketplace: MarketplaceId,
    /// The shop's own id, which people write in subjects.
    pub shop_id: String,
    /// The pair.
    pub pair: PairId,
    /// The seller.
    pub seller: SellerId,
    /// The buyer.
    pub buyer: BuyerId,
    /// How far it is.
    pub status: OrderStatus,
    /// When it was placed.
    pub placed_at: Timestamp,
    /// When it was shipped.
    pub shipped_at: Option<Timestamp>,
    /// When it was delivered.
    pub delivered_at: Option<Timestamp>,
    /// When it was cancelled.
    pub cancelled_at: Option<Timestamp>,
    /// Between which instants delivery is promised.
    pub deliver_between: Option<(Timestamp, Timestamp)>,
    /// Its lines.
    pub items: Vec<Item>,
    /// The shop's time stamp of the last change.
    pub updated_at: Option<Timestamp>,
    /// Counts changes of this row.
    pub version: i64,
}

impl Order {
    /// Whether this order may still be what a message without order id is about.
    fn is_open(&self, now: Timestamp) -> bool {
        match (self.status, self.delivered_at) {
            (OrderStatus::Cancelled | OrderStatus::Returned, _) => false,
            (OrderStatus::Delivered, Some(at)) => now.since(at) < RECENT,
            (OrderStatus::Delivered, None) => false,
            _ => true,
        }
    }
}

/// The order whose shop id a text names as a word of its own; the longest match wins.
#[must_use]
pub fn mentioned<'a>(orders: &'a [Order], text: &str) -> Option<&'a Order> {
    orders.iter().filter(|o| names_word(text, &o.shop_id)).max_by_key(|o| o.shop_id.len())
}

fn names_word(text: &str, word: &str) -> bool {
    let inside = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '-');
    // An id of one or two characters would match by accident.
    word.len() >= 3
        && text
            .match_indices(word)
            .any(|(at, _)| !inside(text[..at].chars().next_back()) && !inside(text[at + word.len()..].chars().next()))
}

/// Which order a message is about (C3b).
#[must_use]
pub fn order_of_message<'a>(
    orders: &'a [Order],
    of_conversation: Option<OrderId>,
    subject: &str,
    body: &str,
    now: Timestamp,
) -> Option<&'a Order> {
    let by_conversation = of_conversation.and_then(|id| orders.iter().find(|o| o.id == id));
    by_conversation.or_else(|| mentioned(orders, subject)).or_else(|| mentioned(orders, body)).or_else(|| {
        let mut open = orders.iter().filter(|o| o.is_open(now));
        match (open.next(), open.next()) {
            (Some(only), None) => Some(only),
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(shop_id: &str, status: OrderStatus, delivered_days_ago: Option<u64>, now: Timestamp) -> Order {
        let m = MarketplaceId::new("es").unwrap();
        let (seller, buyer) = (SellerId::of(&m, "s"), BuyerId::of(&m, "b"));
        Order {
            id: OrderId::of(&m, shop_id, seller),
            marketplace: m,
            shop_id: shop_id.into(),
            pair: PairId::of(seller, buyer),
            seller,
            buyer,
            status,
            placed_at: now,
            shipped_at: None,
            delivered_at: delivered_days_ago.map(|d| Timestamp(now.0 - i64::try_from(d).unwrap() * 86_400_000_000)),
            cancelled_at: None,
            deliver_between: None,
            items: vec![],
            updated_at: None,
            version: 1,
        }
    }

    #[test]
    fn the_ladder_of_c3b() {
        let now = Timestamp(1_800_000_000_000_000);
        let a = order("302-1", OrderStatus::Shipped, None, now);
        let old = order("302-12", OrderStatus::Delivered, Some(40), now);
        let orders = [a.clone(), old.clone()];
        let shop_id =
            |subject: &str, body: &str, of: Option<OrderId>| order_of_message(&orders, of, subject, body, now).map(|o| o.shop_id.clone());
        assert_eq!(shop_id("about 302-12", "302-1", Some(a.id)).as_deref(), Some("302-1"), "the conversation's first");
        assert_eq!(shop_id("about (302-12)", "", None).as_deref(), Some("302-12"), "not a part of a longer id");
        assert_eq!(shop_id("", "my order 302-12!", None).as_deref(), Some("302-12"));
        assert_eq!(shop_id("hello", "", None).as_deref(), Some("302-1"), "the only open one");
        let two = [a, order("302-3", OrderStatus::Delivered, Some(10), now)];
        assert!(order_of_message(&two, None, "hello", "", now).is_none(), "two candidates are none");
    }
}

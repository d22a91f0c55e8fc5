//! Sellers and buyers as the shop describes them.

use mail::{Domain, Mailbox};

use crate::id::{BuyerId, MarketplaceId, SellerId};
use crate::world::Timestamp;

/// A seller on one marketplace.
#[derive(Debug, Clone, PartialEq)]
pub struct Seller {
    /// Our id.
    pub id: SellerId,
    /// The marketplace.
    pub marketplace: MarketplaceId,
    /// The shop's own id.
    pub shop_id: String,
    /// What the buyer sees in From.
    pub business_name: String,
    /// Registered address: sign-in and writer.
    pub email: Mailbox,
    /// Where mail of buyers goes (A7), also a writer.
    pub customer_service_email: Mailbox,
    /// Further writers that the operator put.
    pub approved_senders: Vec<Mailbox>,
    /// Further writers that the seller put.
    pub own_senders: Vec<Mailbox>,
    /// Carriers that the operator approved for this seller.
    pub approved_carriers: Vec<Domain>,
    /// Language tag such as `es` or `pt-BR`.
    pub locale: String,
    /// Whether a notice is mailed when an opt-out stops a message (C6, "Blocked by buyer").
    pub notify_blocked: bool,
    /// Whether the operator has withdrawn the bracketed word (C5).
    pub important_withdrawn: bool,
    /// The shop's time stamp of the last change.
    pub updated_at: Option<Timestamp>,
    /// Counts changes of this row.
    pub version: i64,
    /// Since when the customer-service address is given up, because it refused too often (H6).
    pub undeliverable_at: Option<Timestamp>,
}

impl Seller {
    /// Every address from which this seller may write, without repetition.
    #[must_use]
    pub fn writers(&self) -> Vec<&Mailbox> {
        let mut writers: Vec<&Mailbox> = Vec::new();
        for mailbox in [&self.email, &self.customer_service_email].into_iter().chain(&self.approved_senders).chain(&self.own_senders) {
            if !writers.iter().any(|w| w.canonical() == mailbox.canonical()) {
                writers.push(mailbox);
            }
        }
        writers
    }

    /// Whether mail from that address is this seller's.
    #[must_use]
    pub fn writes_from(&self, mailbox: &Mailbox) -> bool {
        self.writers().iter().any(|w| w.canonical() == mailbox.canonical())
    }
}

/// Who said that a buyer wants no unsolicited mail (C4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OptOutSource {
    /// The buyer; only the buyer lifts it.
    Buyer,
    /// The shop's data.
    Shop,
}

impl OptOutSource {
    /// The word in records and the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Buyer => "buyer",
            Self::Shop => "shop",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Buyer, Self::Shop].into_iter().find(|s| s.as_str() == word)
    }
}

/// The opt-out as a dated fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptOut {
    /// Since when.
    pub since_at: Timestamp,
    /// Who said so.
    pub source: OptOutSource,
}

/// A buyer on one marketplace.
#[derive(Debug, Clone, PartialEq)]
pub struct Buyer {
    /// Our id.
    pub id: BuyerId,
    /// The marketplace.
    pub marketplace: MarketplaceId,
    /// The shop's own id.
    pub shop_id: String,
    /// The real address.
    pub email: Mailbox,
    /// What the seller sees in From.
    pub first_name: String,
    /// Language tag.
    pub locale: String,
    /// Whether unsolicited mail is unwanted.
    pub opt_out: Option<OptOut>,
    /// The shop's time stamp of the last change.
    pub updated_at: Option<Timestamp>,
    /// Counts changes of this row.
    pub version: i64,
    /// Since when the address is given up, because it refused too often (H6).
    pub undeliverable_at: Option<Timestamp>,
}

impl Buyer {
    /// Whether mail from that address is this buyer's.
    #[must_use]
    pub fn writes_from(&self, mailbox: &Mailbox) -> bool {
        self.email.canonical() == mailbox.canonical()
    }
}

//! Identifiers. Never an address, never a number that counts.
//!
//! Ids of what a seller owns carry the seller's bucket in their last two octets, so that whoever holds an
//! id knows the shard (architecture decision 4). Ids of parties, pairs and orders are derived from the
//! shop's own ids, so that two concurrent creations meet in one row.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{Context, SHA256};

use crate::world::{Random, Timestamp};

/// Number of buckets; fixed for ever, because ids carry it.
pub const BUCKETS: u16 = 1024;

/// Shard key of everything that belongs to one seller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Bucket(u16);

impl Bucket {
    /// The bucket of a seller, from the marketplace and the shop's own seller id.
    #[must_use]
    pub fn of_seller(marketplace: &MarketplaceId, shop_id: &str) -> Self {
        let hash = derive("bucket", &[marketplace.as_str().as_bytes(), shop_id.as_bytes()]);
        Self(u16::from_be_bytes([hash[0], hash[1]]) % BUCKETS)
    }

    /// Its number, 0 to 1023.
    #[must_use]
    pub fn number(self) -> i16 {
        i16::try_from(self.0).expect("below 1024")
    }

    /// Every bucket.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..BUCKETS).map(Self)
    }
}

/// Name of a marketplace in the configuration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MarketplaceId(String);

impl MarketplaceId {
    /// Takes 1 to 32 characters of `[a-z0-9-]`; `None` otherwise.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        let valid = (1..=32).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        valid.then(|| Self(name.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// Takes the stored octets.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }

            /// The octets to store.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }

            /// The bucket in which this lives.
            #[must_use]
            pub fn bucket(&self) -> Bucket {
                Bucket(u16::from_be_bytes([self.0[14], self.0[15]]) % BUCKETS)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = ();

            fn from_str(text: &str) -> Result<Self, ()> {
                let mut bytes = [0; 16];
                if text.len() != 32 || !text.is_ascii() {
                    return Err(());
                }
                for (n, byte) in bytes.iter_mut().enumerate() {
                    *byte = u8::from_str_radix(&text[2 * n..2 * n + 2], 16).map_err(|_| ())?;
                }
                Ok(Self(bytes))
            }
        }
    )*};
}

ids! {
    /// A seller on one marketplace.
    SellerId;
    /// A buyer on one marketplace. Buyers belong to no seller: their bucket means nothing.
    BuyerId;
    /// One buyer and one seller.
    PairId;
    /// An order.
    OrderId;
    /// A conversation of a pair.
    ConversationId;
    /// A message, and its one delivery.
    MessageId;
    /// A process that leases deliveries.
    NodeId;
}

impl SellerId {
    /// The id of the seller that the shop calls `shop_id`.
    #[must_use]
    pub fn of(marketplace: &MarketplaceId, shop_id: &str) -> Self {
        let bucket = Bucket::of_seller(marketplace, shop_id);
        Self(in_bucket(derive("seller", &[marketplace.as_str().as_bytes(), shop_id.as_bytes()]), bucket))
    }

    /// The feed of the marketplace's operator, who is no seller but is sent mail too (A8).
    #[must_use]
    pub fn of_operator(marketplace: &MarketplaceId) -> Self {
        let bucket = Bucket::of_seller(marketplace, "\0operator");
        Self(in_bucket(derive("operator", &[marketplace.as_str().as_bytes()]), bucket))
    }
}

impl BuyerId {
    /// The id of the buyer that the shop calls `shop_id`.
    #[must_use]
    pub fn of(marketplace: &MarketplaceId, shop_id: &str) -> Self {
        Self(derive("buyer", &[marketplace.as_str().as_bytes(), shop_id.as_bytes()]))
    }
}

impl PairId {
    /// The id of the pair of a seller and a buyer.
    #[must_use]
    pub fn of(seller: SellerId, buyer: BuyerId) -> Self {
        Self(in_bucket(derive("pair", &[seller.as_bytes(), buyer.as_bytes()]), seller.bucket()))
    }

    /// The chain of mail to the operator, which belongs to no pair.
    #[must_use]
    pub fn of_operator(marketplace: &MarketplaceId) -> Self {
        Self(*SellerId::of_operator(marketplace).as_bytes())
    }
}

impl PairId {
    /// Under which counters of a seller are kept, who is no pair.
    #[must_use]
    pub fn of_seller(seller: SellerId) -> Self {
        Self(*seller.as_bytes())
    }
}

impl OrderId {
    /// The id of the order that the shop calls `shop_id`, of a seller's.
    #[must_use]
    pub fn of(marketplace: &MarketplaceId, shop_id: &str, seller: SellerId) -> Self {
        Self(in_bucket(derive("order", &[marketplace.as_str().as_bytes(), shop_id.as_bytes()]), seller.bucket()))
    }
}

impl ConversationId {
    /// A fresh id, ordered by time within a millisecond.
    #[must_use]
    pub fn fresh(now: Timestamp, random: &dyn Random, bucket: Bucket) -> Self {
        Self(fresh(now, random, bucket))
    }
}

impl MessageId {
    /// A fresh id, ordered by time within a millisecond.
    #[must_use]
    pub fn fresh(now: Timestamp, random: &dyn Random, bucket: Bucket) -> Self {
        Self(fresh(now, random, bucket))
    }
}

impl NodeId {
    /// A random id.
    #[must_use]
    pub fn fresh(random: &dyn Random) -> Self {
        let mut bytes = [0; 16];
        random.fill(&mut bytes);
        Self(bytes)
    }
}

/// 48 bits of milliseconds, 64 random bits, the bucket: new rows of an index stand together.
fn fresh(now: Timestamp, random: &dyn Random, bucket: Bucket) -> [u8; 16] {
    let mut bytes = [0; 16];
    random.fill(&mut bytes[6..14]);
    let millis = u64::try_from(now.0 / 1_000).unwrap_or(0).to_be_bytes();
    bytes[..6].copy_from_slice(&millis[2..]);
    in_bucket(bytes, bucket)
}

fn in_bucket(mut bytes: [u8; 16], bucket: Bucket) -> [u8; 16] {
    bytes[14..].copy_from_slice(&bucket.0.to_be_bytes());
    bytes
}

/// The first 16 octets of a SHA-256 over length-prefixed fields.
fn derive(kind: &str, fields: &[&[u8]]) -> [u8; 16] {
    let mut context = Context::new(&SHA256);
    for field in std::iter::once(kind.as_bytes()).chain(fields.iter().copied()) {
        context.update(&(field.len() as u64).to_be_bytes());
        context.update(field);
    }
    let mut out = [0; 16];
    out.copy_from_slice(&context.finish().as_ref()[..16]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_a_seller_share_its_bucket_and_are_the_same_for_ever() {
        let m = MarketplaceId::new("es").unwrap();
        let seller = SellerId::of(&m, "S-1");
        let pair = PairId::of(seller, BuyerId::of(&m, "B-1"));
        assert_eq!(seller.bucket(), pair.bucket());
        assert_eq!(seller.bucket(), OrderId::of(&m, "O-1", seller).bucket());
        // Published in the record format: a change here orphans every stored row.
        assert_eq!(seller.to_string().parse::<SellerId>(), Ok(seller));
        assert_ne!(SellerId::of(&m, "S-2"), seller);
    }
}

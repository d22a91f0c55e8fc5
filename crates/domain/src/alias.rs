//! Aliases: the two addresses of a pair, and the tag that marks a conversation (product A1–A6).

use std::fmt;

use crate::id::{BuyerId, MarketplaceId, PairId, SellerId};
use crate::world::Random;

const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
/// Characters of a tag: 10 of 36 are 51 bits, beyond guessing at any rate that a server answers.
const TAG_LENGTH: usize = 10;

/// Shortest local-part that may be issued: 62 bits (A2).
pub const MIN_ALIAS_LENGTH: usize = 12;
/// Usual length of the local-part: 77 bits (A2).
pub const ALIAS_LENGTH: usize = 15;

/// Which side of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// The buyer.
    Buyer,
    /// The seller.
    Seller,
}

impl Role {
    /// The other side.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Buyer => Self::Seller,
            Self::Seller => Self::Buyer,
        }
    }

    /// The word in records and the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Buyer => "buyer",
            Self::Seller => "seller",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Buyer, Self::Seller].into_iter().find(|r| r.as_str() == word)
    }
}

/// Local-part of an alias: 12 to 40 characters of `[a-z0-9]`, the first a letter.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AliasName(String);

impl AliasName {
    /// Draws a fresh name of that many characters.
    #[must_use]
    pub fn draw(random: &dyn Random, length: usize) -> Self {
        let letter = draw_char(random, &ALPHABET[..26]);
        Self(std::iter::once(letter).chain((1..length).map(|_| draw_char(random, ALPHABET))).collect())
    }

    /// Reads the local-part of a recipient, compared without case; `None` if it can be no alias.
    #[must_use]
    pub fn parse(local_part: &str) -> Option<Self> {
        let name = local_part.to_ascii_lowercase();
        let valid = (MIN_ALIAS_LENGTH..=40).contains(&name.len())
            && name.starts_with(|c: char| c.is_ascii_lowercase())
            && name.bytes().all(|b| ALPHABET.contains(&b));
        valid.then_some(Self(name))
    }

    /// The name in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for AliasName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AliasName(…)")
    }
}

/// Conversation tag: the subaddress of Reply-To, and the reference in the footer (A3, C3).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Tag(String);

impl Tag {
    /// Draws a fresh tag.
    #[must_use]
    pub fn draw(random: &dyn Random) -> Self {
        Self((0..TAG_LENGTH).map(|_| draw_char(random, ALPHABET)).collect())
    }

    /// Reads a tag; `None` if it can be none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let tag = text.to_ascii_lowercase();
        (tag.len() == TAG_LENGTH && tag.bytes().all(|b| ALPHABET.contains(&b))).then_some(Self(tag))
    }

    /// The tag in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The reference as it stands in a footer.
    #[must_use]
    pub fn reference(&self) -> String {
        format!("[ref:{}]", self.0)
    }

    /// References that a text carries, in order of appearance, at most 20.
    #[must_use]
    pub fn references_in(text: &str) -> Vec<Self> {
        text.split("[ref:").skip(1).take(20).filter_map(|rest| rest.split_once(']')).filter_map(|(tag, _)| Self::parse(tag)).collect()
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tag(…)")
    }
}

/// One character, uniformly: octets that would favour some are drawn again.
fn draw_char(random: &dyn Random, alphabet: &[u8]) -> char {
    let fair = 256 - 256 % alphabet.len();
    loop {
        let mut octet = [0];
        random.fill(&mut octet);
        if usize::from(octet[0]) < fair {
            return char::from(alphabet[usize::from(octet[0]) % alphabet.len()]);
        }
    }
}

/// What may still be sent through the aliases of a pair (A6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AliasState {
    /// Mail passes.
    Open,
    /// The buyer closed the seller's way in: nothing of the seller is mailed, what passes stands on the page.
    ClosedByBuyer,
    /// The operator retired both aliases; they are never issued again.
    Retired,
}

impl AliasState {
    /// The word in records and the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::ClosedByBuyer => "closed",
            Self::Retired => "retired",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Open, Self::ClosedByBuyer, Self::Retired].into_iter().find(|s| s.as_str() == word)
    }
}

/// One buyer and one seller on one marketplace, with their aliases for ever.
#[derive(Debug, Clone)]
pub struct Pair {
    /// Its id.
    pub id: PairId,
    /// The marketplace.
    pub marketplace: MarketplaceId,
    /// The seller.
    pub seller: SellerId,
    /// The buyer.
    pub buyer: BuyerId,
    /// Reaches the buyer; what the seller sees.
    pub buyer_alias: AliasName,
    /// Reaches the seller; what the buyer sees.
    pub seller_alias: AliasName,
    /// Whether mail passes.
    pub state: AliasState,
    /// Counts changes of this row; guards name it.
    pub version: i64,
}

impl Pair {
    /// The alias that reaches that role.
    #[must_use]
    pub fn alias_of(&self, role: Role) -> &AliasName {
        match role {
            Role::Buyer => &self.buyer_alias,
            Role::Seller => &self.seller_alias,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    struct Counter(AtomicU64);
    impl Random for Counter {
        fn fill(&self, octets: &mut [u8]) {
            for o in octets {
                *o = u8::try_from(self.0.fetch_add(97, Ordering::Relaxed) % 256).unwrap();
            }
        }
    }

    #[test]
    fn aliases_have_fifteen_characters_and_begin_with_a_letter() {
        let random = Counter(AtomicU64::new(3));
        for _ in 0..200 {
            let alias = AliasName::draw(&random, ALIAS_LENGTH);
            assert_eq!(alias.as_str().len(), 15);
            assert_eq!(AliasName::parse(&alias.as_str().to_uppercase()), Some(alias));
        }
    }

    #[test]
    fn what_cannot_be_an_alias_is_none() {
        for bad in ["1969vz2jn3bdsy7", "postmaster", "b-0123456789-abc", "t969vz2jn3bdsy7é", ""] {
            assert_eq!(AliasName::parse(bad), None);
        }
    }

    #[test]
    fn references_are_found_in_quotes() {
        let tag = Tag::draw(&Counter(AtomicU64::new(1)));
        let text = format!("> hello\n> {}\n[ref:nope]", tag.reference().to_uppercase().replace("[REF:", "[ref:"));
        assert_eq!(Tag::references_in(&text), [tag]);
    }
}

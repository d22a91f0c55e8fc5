//! What the marketplace says, without mail formats, databases or sockets.
//!
//! Time, randomness and facts are arguments; everything here is a pure function or a value.

pub mod alias;
pub mod calendar;
pub mod carriers;
pub mod conversation;
pub mod delivery;
pub mod figures;
pub mod id;
pub mod ledger;
pub mod message;
pub mod order;
pub mod party;
pub mod policy;
pub mod templates;
pub mod texts;
pub mod world;

pub use alias::{AliasName, AliasState, Pair, Role, Tag};
pub use conversation::{Conversation, Rung};
pub use id::{Bucket, BuyerId, ConversationId, MarketplaceId, MessageId, OrderId, PairId, SellerId};
pub use order::{Order, OrderStatus};
pub use party::{Buyer, OptOut, OptOutSource, Seller};
pub use world::{Clock, Random, Timestamp};

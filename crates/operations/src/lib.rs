//! What the service does, a file for each thing. Each operation reads facts, decides purely, and hands the
//! store one value; no operation writes twice.
//!
//! Knows no socket and no HTTP: doors call these functions and turn what they give into their peer's words.

mod authentication;
mod bodies;
mod context;
mod dates;
mod manage_alias;
mod notices;
mod put_buyer;
mod put_order;
mod put_seller;
mod read_record;
mod receive_message;
mod receive_unpaired;
mod record_attempt;
mod relay;
mod resolve_recipient;
mod tokens;
mod verp;

pub mod metrics;

pub use authentication::{Authentication, Verdict};
pub use context::{Context, Marketplace, ReadyDelivery, Settings};
pub use manage_alias::{AliasChange, change_alias};
pub use put_buyer::{BuyerInput, put_buyer};
pub use put_order::{ItemInput, OrderInput, PairAliases, put_order};
pub use put_seller::{SellerInput, put_seller};
pub use read_record::{MessageView, OpenedMessage, PairView, list_conversations, list_ledger, list_messages, list_pairs, open_message};
pub use receive_message::{Receipt, Received, Refusal, receive_message};
pub use record_attempt::{Attempt, lease_deliveries, postpone_delivery, record_attempt};
pub use resolve_recipient::{Recipient, resolve_recipient};
pub use tokens::{authenticate_token, create_token, revoke_token};

mod error;
pub use error::{InputError, OperationError};

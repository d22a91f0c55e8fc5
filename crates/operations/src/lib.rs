//! What the service does, a file for each thing. Each operation reads facts, decides purely, and hands the
//! store one value; no operation writes twice.
//!
//! Knows no socket and no HTTP: doors call these functions and turn what they give into their peer's words.

mod advice;
mod authentication;
mod bodies;
mod bounce;
mod carrier;
mod choose;
mod compose_template;
mod confirm_shipment;
mod context;
mod dates;
mod digest;
mod dry_run;
mod figures;
mod files;
mod links;
mod manage_alias;
mod mark_message;
mod notices;
mod open_link;
mod probe;
mod put_buyer;
mod put_order;
mod put_seller;
mod queue;
mod read_record;
mod receive_message;
mod receive_report;
mod receive_unpaired;
mod record;
mod record_attempt;
mod relay;
mod replay;
mod resend;
mod resolve_recipient;
mod scrubber;
mod send_message;
mod tokens;
mod unsubscribe;
mod verp;
mod weigh;

pub mod metrics;

pub use advice::Told;
pub use authentication::{Authentication, Verdict};
pub use bodies::Wishes;
pub use choose::{SellerChoice, choose, set_opt_out};
pub use compose_template::{Copy, TemplateInput, Written, WrittenInput};
pub use confirm_shipment::{ShipmentInput, confirm_shipment};
pub use context::{CleanDocument, Context, Marketplace, OrderCounts, ReadyDelivery, Settings};
pub use digest::send_digests;
pub use dry_run::DryRun;
pub use figures::{ResponseFigures, WINDOWS, response_figures};
pub use links::{LINK_DAYS, Link, LinkAction, read_link};
pub use manage_alias::{AliasChange, change_alias};
pub use mark_message::{MarkInput, mark_message};
pub use open_link::{LinkFault, LinkPage, open_link};
pub use probe::{Probe, probe_addresses};
pub use put_buyer::{BuyerInput, put_buyer};
pub use put_order::{ItemInput, OrderInput, PairAliases, put_order};
pub use put_seller::{SellerInput, put_seller};
pub use queue::{QueueItem, QueueOutcome, list_queue, retry_all, retry_delivery};
pub use read_record::{MessageView, OpenedMessage, PairView, list_conversations, list_ledger, list_messages, list_pairs, open_message};
pub use receive_message::{Receipt, Received, Refusal, dry_run_mail, receive_message};
pub use record_attempt::{Attempt, bring_deliveries_forward, give_up, lease_deliveries, postpone_delivery, record_attempt};
pub use replay::{Replayed, replay};
pub use resend::{ResendOptions, resend, resend_options};
pub use resolve_recipient::{Recipient, resolve_recipient};
pub use send_message::{About, Once, SendError, Sent, decide_message, find_decision, preview_message, send_message, used_reasons};
pub use tokens::{Submitter, authenticate_token, create_token, revoke_token, sign_in};
pub use unsubscribe::unsubscribe;

mod error;
pub use error::{InputError, OperationError};

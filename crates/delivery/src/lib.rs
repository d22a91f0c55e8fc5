//! The door out: attempts deliveries over SMTP and records what became of each.
//!
//! What was just accepted comes straight from memory; what waits is leased from the store. No transaction
//! is open while a network is waited for, and no state is changed but by `record_attempt`.

mod attempt;
mod dane;
mod destination;
mod dns;
mod held;
mod https;
mod in_hand;
mod mta_sts;
mod mx;
mod once;
mod outgoing;
mod policy;
mod session;
mod settings;
mod tls;

pub use dns::{look_up, system_servers};
pub use mx::Route;
pub use once::send_once;
pub use outgoing::{Deliverer, DeliveryHandle};
pub use settings::{DeliverySettings, DomainSettings, TlsSetting};

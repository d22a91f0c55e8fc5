//! The door out: attempts deliveries over SMTP and records what became of each.
//!
//! What was just accepted comes straight from memory; what waits is leased from the store. No transaction
//! is open while a network is waited for, and no state is changed but by `record_attempt`.

mod destination;
mod mx;
mod outgoing;
mod session;
mod tls;

pub use mx::Route;
pub use outgoing::{Deliverer, DeliverySettings};

//! What the RFCs say about mail, as pure functions and state machines.
//!
//! Never touches a socket, a clock or a file: bytes in, values out. Everything that reads mail from
//! strangers is bounded by a named limit and returns a value with its defects instead of panicking.

pub mod address;
pub mod automatic;
pub mod compose;
pub mod compose_report;
pub mod dkim;
pub mod html;
pub mod message_id;
pub mod mime;
pub mod quoting;
pub mod report;
pub mod scrub;
pub mod smtp;

pub use address::{Domain, Mailbox, ReversePath};
pub use message_id::MessageId;

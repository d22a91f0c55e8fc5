//! The door in: listens, checks who writes, drives `mail::smtp::server`, hands messages to the operations.
//!
//! Holds no rule of the marketplace. A 250 to a message is written only after `receive_message` said that
//! it is durable.

mod authentication_results;
mod authenticator;
mod cache;
mod clients;
mod connection;
mod listener;
mod log;
mod network;
mod replies;
mod session;
mod settings;
mod spool;

pub use authenticator::{Authenticator, Origin};
pub use clients::ClientLimits;
pub use listener::SmtpServer;
pub use network::Network;
pub use settings::{SmtpHandle, SmtpServerSettings, TrustedRelay};

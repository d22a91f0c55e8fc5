//! SMTP (RFC 5321) as state machines without sockets, clocks or threads.
//!
//! A driver feeds bytes in and carries out what comes out. Commands and replies are parsed by `smtp-proto`;
//! where a message ends is decided by our own reader, because only CRLF.CRLF may end one.

mod auth;
pub mod client;
pub mod data;
mod dsn_request;
pub mod proxy;
mod reply;
pub mod server;
mod xclient;

pub use dsn_request::{DsnRequest, RecipientNotify};
pub use reply::Reply;

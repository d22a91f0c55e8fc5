//! SMTP (RFC 5321) as state machines without sockets, clocks or threads.
//!
//! A driver feeds bytes in and carries out what comes out. Commands and replies are parsed by `smtp-proto`;
//! where a message ends is decided by our own reader, because only CRLF.CRLF may end one.

pub mod client;
pub mod data;
mod reply;
pub mod server;

pub use reply::Reply;

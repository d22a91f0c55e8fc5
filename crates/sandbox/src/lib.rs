//! A small world on loopback for the demo and the tests: a DNS zone, mailboxes behind a real SMTP server,
//! and senders that speak real SMTP. Never used by `serve`.

mod dns;
mod mailboxes;
mod sender;

pub use dns::{Zone, serve_dns};
pub use mailboxes::{Behaviour, Mailboxes, StoredMail, serve_mailboxes};
pub use sender::{Exchange, send_mail};

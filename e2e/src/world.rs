//! DNS, mailboxes and senders on loopback, on a runtime of their own.

use std::net::SocketAddr;

use sandbox::{Exchange, Mailboxes, StoredMail, Zone, send_mail, serve_dns, serve_mailboxes};
use tokio::runtime::Runtime;

use crate::eventually;

pub struct World {
    pub runtime: Runtime,
    pub zone: Zone,
    pub dns: SocketAddr,
    pub mailboxes: Mailboxes,
    pub sink: SocketAddr,
}

impl World {
    /// Domains `shop.test`, `buyer.test`, `elsewhere.test`, `office.test`: mail from loopback passes SPF.
    pub fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (zone, mailboxes) = (Zone::default(), Mailboxes::default());
        for domain in ["shop.test", "buyer.test", "elsewhere.test", "office.test", "market.test"] {
            zone.mail_domain(domain);
        }
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let dns = runtime.block_on(serve_dns(zone.clone(), any)).unwrap();
        let sink = runtime.block_on(serve_mailboxes(mailboxes.clone(), "mx.mailboxes.test", any)).unwrap();
        Self { runtime, zone, dns, mailboxes, sink }
    }

    pub fn route(&self) -> String {
        format!("smtp://{}", self.sink)
    }

    pub fn send(&self, server: SocketAddr, from: &str, to: &[&str], octets: &[u8]) -> Exchange {
        self.runtime.block_on(send_mail(server, "mx.sender.test", from, to, octets)).unwrap()
    }

    /// The nth mail of a mailbox, from 1, once it is there.
    pub fn nth(&self, address: &str, n: usize) -> StoredMail {
        eventually(&format!("mail {n} of {address}"), || self.mailboxes.of(address).into_iter().nth(n - 1))
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

/// A plain message.
pub fn message(from: &str, to: &str, subject: &str, text: &str) -> String {
    format!(
        "From: {from}\r\nTo: {to}\r\nSubject: {subject}\r\nMessage-ID: <{}@laptop.{}>\r\n\r\n{text}\r\n",
        subject.replace(' ', "-"),
        from.split('@').nth(1).unwrap_or("x")
    )
}

/// A header of a delivered mail, decoded.
pub fn header(mail: &StoredMail, name: &str) -> String {
    mail::mime::Fields::read(&mail.octets).0.text(name).unwrap_or_default()
}

/// Text and HTML of a delivered mail, decoded.
pub fn said(mail: &StoredMail) -> String {
    let message = mail::mime::parse(&mail.octets).unwrap();
    message.entities.iter().filter(|e| !e.is_multipart()).map(mail::mime::decode_text).collect::<Vec<_>>().join("\n")
}

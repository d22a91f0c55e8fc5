//! A service with its world, and what the tests of the rules ask of it.

use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use testkit::Postgres;

use crate::service::{Pair, Service, Setup};
use crate::world::{World, said};

/// On SQLite, then on PostgreSQL.
pub fn on_both(test: impl Fn(Option<String>)) {
    test(None);
    let server = Postgres::start();
    test(Some(server.url()));
}

pub struct Scene {
    pub service: Service,
    pub world: World,
}

impl Scene {
    pub fn new(setup: Setup) -> Self {
        let world = World::new();
        let service = Service::start(Setup { route: world.route(), dns: Some(world.dns), ..setup });
        Self { service, world }
    }

    pub fn plain(database: Option<String>) -> Self {
        Self::new(Setup { database, ..Setup::default() })
    }

    /// A seller who reads `locale`, and a buyer who wants no unsolicited mail.
    pub fn refusing(&self, n: usize, locale: &str) -> Pair {
        let pair = self.pair(n, locale);
        self.service.put(&format!("/buyers/b{n}"), &json!({"opted_out": true}));
        pair
    }

    /// Sends what the relay takes, whatever the rules say of it; gives its id.
    pub fn send(&self, from: &str, to: &str, octets: &str) -> String {
        let e = self.world.send(self.service.smtp, from, &[to], octets.as_bytes());
        assert!(e.is_accepted() && e.text.contains("accepted as "), "{} {}", e.code, e.text);
        e.text.rsplit(' ').next().unwrap().to_owned()
    }

    pub fn mail(&self, from: &str, to: &str, subject: &str, text: &str) -> String {
        self.send(from, to, &letter(from, to, subject, "", text))
    }

    /// The remedy of a refusal; empty for what was relayed.
    pub fn remedy(&self, id: &str) -> String {
        let decision = self.service.decision(id);
        assert_eq!(decision["outcome"], if decision["remedy"].is_null() { "relay" } else { "refuse" }, "{decision}");
        decision["remedy"].as_str().unwrap_or_default().to_owned()
    }

    /// What a rule said; empty if it did not run.
    pub fn result(&self, id: &str, rule: &str) -> String {
        let decision = self.service.decision(id);
        let found = decision["rules"].as_array().unwrap().iter().find(|r| r["rule"] == rule);
        found.and_then(|r| r["result"].as_str()).unwrap_or_default().to_owned()
    }

    /// A pair whose seller reads `locale`.
    pub fn pair(&self, n: usize, locale: &str) -> Pair {
        let pair = self.service.put_pair(n);
        self.service.put(&format!("/sellers/s{n}"), &json!({"locale": locale}));
        pair
    }

    pub fn outcome(&self, id: &str) -> String {
        self.service.decision(id)["outcome"].as_str().unwrap().to_owned()
    }

    /// Links of the nth mail of a mailbox.
    pub fn links(&self, address: &str, n: usize) -> Vec<String> {
        self.service.links(&said(&self.world.nth(address, n)))
    }

    /// Presses the button of a page.
    pub fn press(&self, link: &str, form: &str) -> u16 {
        self.service.page("POST", link, form).status
    }

    /// How a buyer's message stands in the figures of seller n.
    pub fn standing(&self, n: usize, message: &str) -> String {
        let list = self.service.get(&format!("/marketplaces/es/sellers/s{n}/figures/messages?days=7"));
        let found = list["items"].as_array().unwrap().iter().find(|m| m["message"] == message);
        found.unwrap_or_else(|| panic!("{message} is not in {list}"))["why"].as_str().unwrap().to_owned()
    }
}

/// A mail with a Message-ID of its own; `more` are further fields.
pub fn letter(from: &str, to: &str, subject: &str, more: &str, text: &str) -> String {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let n = NUMBER.fetch_add(1, Ordering::Relaxed);
    format!("From: {from}\r\nTo: {to}\r\nSubject: {subject}\r\nMessage-ID: <n{n}@laptop.test>\r\n{more}\r\n{text}\r\n")
}

/// A mail of the seller with one file.
pub fn with_file(pair: &Pair, name: &str, kind: &str, octets: &[u8]) -> String {
    let base64 = STANDARD.encode(octets);
    let lines: String = base64.as_bytes().chunks(76).map(|l| format!("{}\r\n", String::from_utf8_lossy(l))).collect();
    let head = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n";
    let file = format!(
        "Content-Type: {kind}\r\nContent-Disposition: attachment; filename=\"{name}\"\r\nContent-Transfer-Encoding: base64\r\n\r\n{lines}"
    );
    letter(&pair.seller, &pair.buyer_alias, "Documentos", head, &format!("--b\r\n\r\nAqui va.\r\n--b\r\n{file}--b--"))
}

//! The program between two mail servers: one through which the parties send, and one that takes what the program sends
//! and gives it to Dovecot.

use std::process::{Command, Stdio};

use sandbox::StoredMail;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Daemon, Kind, certificate, dovecot_with, receiver, sender};
use crate::eventually;
use crate::http::request;
use crate::service::{Pair, Service, Setup, free_port};
use crate::world::{World, header, said};

pub struct Street {
    pub service: Service,
    pub dove: Daemon,
    pub receiver: Daemon,
    pub sender: Daemon,
    pub world: World,
    _certificate: TempDir,
}

impl Street {
    /// With TLS on all ways, or on none.
    pub fn new(kind: Kind, tls: bool) -> Self {
        let world = World::new();
        // Each of them sends to the next, the last to the first: the ports are chosen before any of them is there.
        let (receiving, sending) = (free_port(), free_port());
        let folder = tempfile::tempdir().unwrap();
        let mut more = String::new();
        if tls {
            certificate(folder.path(), "mx.market.test");
            let path = |name: &str| folder.path().join(name).display().to_string();
            more = format!("[tls]\ncertificate = \"{}\"\nkey = \"{}\"\n", path("cert.pem"), path("key.pem"));
        }
        let setup = Setup { route: format!("smtp://127.0.0.1:{receiving}"), dns: Some(world.dns), more, ..Setup::default() };
        let service = Service::start(setup);
        let dove = dovecot_with(sending, None);
        let receiver = receiver(kind, receiving, &dove, service.smtp.port(), tls);
        let sender = sender(kind, sending, service.smtp.port(), tls);
        Self { service, dove, receiver, sender, world, _certificate: folder }
    }

    /// Waits until no mail is under way: queues empty, every delivery of ours ended, and nothing moved meanwhile.
    pub fn settle(&self) {
        let moved = || self.receiver.handled() + self.sender.handled();
        let rests = || self.sender.is_empty() && waiting(&self.service) == 0 && self.receiver.is_empty();
        eventually("no mail is under way", || {
            let before = moved();
            (rests() && rests() && moved() == before).then_some(())
        });
    }
}

/// Deliveries that have not ended.
pub fn waiting(service: &Service) -> u64 {
    let metrics = request(service.web, "GET", "/metrics", None, "", b"").unwrap().body;
    let line = metrics.lines().find_map(|l| l.strip_prefix("tradepost_deliveries_waiting "));
    line.unwrap().trim().parse().unwrap()
}

/// The entries of a kind in a pair's ledger, of its first 200.
pub fn entries_of(service: &Service, pair: &Pair, kind: &str) -> Vec<Value> {
    let ledger = service.get(&format!("/pairs/{}/ledger?limit=200", pair.id));
    let of_kind = ledger["items"].as_array().unwrap().iter().filter(|e| e["kind"] == kind);
    of_kind.map(|e| serde_json::from_str(e["entry"].as_str().unwrap()).unwrap()).collect()
}

/// Where a message's delivery is.
pub fn delivery(service: &Service, id: &str) -> String {
    service.get(&format!("/messages/{id}"))["delivery"].as_str().unwrap_or_default().to_owned()
}

/// Gives one mail to a server with parameters of MAIL and RCPT; the code and text of the reply that decided.
pub fn submit(port: u16, from: (&str, &str), to: (&str, &str), octets: &[u8]) -> (u16, String) {
    const PROGRAM: &str = r"import smtplib, sys
port, sender, mail, to, rcpt = sys.argv[1:]
s = smtplib.SMTP('127.0.0.1', int(port))
s.ehlo('laptop.test')
said = s.mail(sender, mail.split())
if said[0] < 400: said = s.rcpt(to, rcpt.split())
if said[0] < 400: said = s.data(sys.stdin.buffer.read())
print(said[0], said[1].decode())
s.quit()";
    let mut child = Command::new("/usr/bin/python3")
        .args(["-c", PROGRAM, &port.to_string(), from.0, from.1, to.0, to.1])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Where the envelope is refused nobody reads it.
    let _ = std::io::Write::write_all(&mut child.stdin.take().unwrap(), octets);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let (code, text) = said.split_once(' ').unwrap();
    (code.parse().unwrap(), text.to_owned())
}

/// What Python's `email` makes of a report (`peers/read_report.py`).
pub fn read_report(octets: &[u8]) -> Value {
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/read_report.py");
    let mut child =
        Command::new("/usr/bin/python3").arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), octets).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Holds a report of ours to RFC 3464 and to what its reader may learn (privacy P01); gives what was read.
pub fn assert_report(mail: &StoredMail, alias: &str, action: &str, class: &str, secrets: &[&str]) -> Value {
    let report = read_report(&mail.octets);
    assert_eq!(mail.reverse_path, "", "a report is answered by nobody");
    assert_eq!((&report["type"], &report["defects"]), (&json!("delivery-status"), &json!([])), "{report}");
    let parts: Vec<_> = report["parts"].as_array().unwrap().iter().skip(1).collect();
    assert_eq!(parts, ["message/delivery-status", "text/rfc822-headers"], "{report}");
    assert!(report["fields"]["auto-submitted"].as_str().unwrap().starts_with("auto-"), "{report}");
    assert_eq!(value(&report["message"]["reporting-mta"]), "dns;mx.market.test");
    let recipients = report["recipients"].as_array().unwrap();
    assert_eq!(recipients.len(), 1, "{report}");
    let recipient = &recipients[0];
    assert_eq!(value(&recipient["final-recipient"]), format!("rfc822;{alias}"), "the alias, which the writer knows");
    assert_eq!(recipient["action"], action, "{report}");
    assert!(recipient["status"].as_str().unwrap().starts_with(class), "{report}");
    assert!(recipient["remote-mta"].is_null(), "{report}");
    // What stands above our signature was added by the reader's own servers.
    let octets = String::from_utf8_lossy(&mail.octets);
    let ours = &octets[octets.find("DKIM-Signature").unwrap()..];
    let read = format!("{}\n{}\n{}", report["message"], recipient, report["text"]);
    let all = format!("{ours}\n{}\n{}\n{read}", header(mail, "Subject"), said(mail));
    for secret in secrets {
        assert!(!all.contains(secret), "{secret:?} of the other side is in {all}");
    }
    report
}

/// A typed value such as `rfc822; x@y`, without its white space.
fn value(field: &Value) -> String {
    field.as_str().unwrap_or_default().split_whitespace().collect()
}

//! A buyer and a seller exchange mail through aliases: Postfix on both ends, Dovecot as the mailbox, a real
//! IMAP client, an independent DKIM verifier; on SQLite and on PostgreSQL.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods)] // Helpers of tests may panic and speak.

use std::process::Command;

use e2e::peers::{self, Role, imap};
use e2e::service::{Pair, Service, Setup, assert_log_is_clean};
use e2e::world::World;
use e2e::{dkim, eventually};
use testkit::Postgres;

#[test]
fn two_people_write_to_each_other_on_sqlite() {
    exchange(None);
}

#[test]
fn two_people_write_to_each_other_on_postgresql() {
    let server = Postgres::start();
    exchange(Some(server.url()));
}

fn exchange(database: Option<String>) {
    let world = World::new();
    let dove = peers::dovecot();
    let receiver = peers::postfix("recv", Role::Receive(dove.folder.path().join("run/lmtp")));
    let setup = Setup { database, route: format!("smtp://127.0.0.1:{}", receiver.port), dns: Some(world.dns), ..Setup::default() };
    let service = Service::start(setup);
    let sender = peers::postfix("send", Role::Send(service.smtp.port()));
    let pair = service.put_pair(1);
    let other = {
        service.put_pair(2);
        service.put_order(2, 1, "302-other")
    };
    assert_ne!(pair.buyer_alias, other.buyer_alias, "different per seller");

    // The buyer writes with swaks through a Postfix of their own; the seller answers with smtplib.
    swaks(sender.port, &pair.buyer, &pair.seller_alias, "Onde está?", "Bom dia! Escreva para buyer1@buyer.test.");
    let first = fetch(&dove, &pair.seller, 1);
    check_form(&service, &first, &pair.buyer_alias, &pair.seller);
    assert_eq!(field(&first, "Subject"), "[302-0000001] Onde está?", "the order id stands in the seller's subject");
    let reply_to = field(&first, "Reply-To");
    let reply_to = reply_to.rsplit('<').next().unwrap().trim_end_matches('>').to_owned();
    assert!(reply_to.starts_with(&pair.buyer_alias.replace("@market.test", "+")), "{reply_to}");
    smtplib(
        sender.port,
        &pair.seller,
        &reply_to,
        "Re: [302-0000001] Onde =?utf-8?q?est=C3=A1?=?",
        &field(&first, "Message-ID"),
        "Llega el jueves.",
    );
    let second = fetch(&dove, &pair.buyer, 1);
    check_form(&service, &second, &pair.seller_alias, &pair.buyer);
    assert!(!field(&second, "Subject").contains("302-"), "taken out on the way back");
    assert_eq!(field(&second, "In-Reply-To"), "<q1@laptop.buyer.test>", "the buyer's own id, which only the buyer knows");
    let known = format!("<q1@laptop.buyer.test> {}", field(&second, "Message-ID"));
    smtplib(sender.port, &pair.buyer, &reply_to_of(&second), "Re: Onde", &known, "Obrigado!");
    let third = fetch(&dove, &pair.seller, 2);
    // The seller knows its own answer and the first mail by the ids that it saw.
    assert!(field(&third, "References").contains("<answer-seller1@laptop.shop.test>"), "{}", field(&third, "References"));
    let thread = imap(dove.port, &pair.seller, "print(c.thread('REFERENCES', 'UTF-8', 'ALL')[1][0].decode())");
    assert_eq!(thread.matches('(').count(), 1, "one thread in the seller's mailbox: {thread}");
    let found = imap(dove.port, &pair.buyer, "print(c.search(None, 'HEADER', 'Message-ID', '\"market.test\"')[1][0].decode())");
    assert_eq!(found, "1");

    // The record: every rung, every delivery.
    let messages = eventually("all deliveries are marked", || {
        let messages = service.messages(&pair);
        (messages.len() == 3 && messages.iter().all(|m| m["delivery"] == "delivered")).then_some(messages)
    });
    let rungs: Vec<_> = messages.iter().map(|m| m["rung"].as_str().unwrap_or("-")).collect();
    assert_eq!(rungs, ["-", "tag", "tag"]);
    check_ledger(&service, &pair);
    let again = service.put_order(1, 1, "302-again");
    assert_eq!((&pair.buyer_alias, &pair.seller_alias), (&again.buyer_alias, &again.seller_alias), "equal over orders");
    for real in [&pair.seller, &pair.buyer] {
        assert!(!receiver.log().contains(&format!("from=<{real}>")), "the writer's address was in an envelope");
    }
    assert_log_is_clean(&service.log(), &["Onde", "jueves", "Obrigado", &pair.buyer_alias[..15]]);
}

fn reply_to_of(mail: &str) -> String {
    field(mail, "Reply-To").rsplit('<').next().unwrap().trim_end_matches('>').to_owned()
}

/// From is the bare alias, nothing of the writer is anywhere, and the signature is good.
fn check_form(service: &Service, mail: &str, alias: &str, reader: &str) {
    let from = field(mail, "From");
    assert!(from.ends_with(&format!("<{alias}>")), "{from}");
    assert_eq!(alias.split('@').next().unwrap().len(), 15);
    assert_eq!(alias.len(), 15 + 1 + "market.test".len());
    let head = mail.split("\n\n").next().unwrap();
    // What stands below our own fields was added by the reader's own servers.
    let ours = &head[head.find("DKIM-Signature").unwrap()..];
    for leak in ["buyer1@", "seller1@", "laptop", "swaks", "127.0.0.1", "203.0.113", "Mailer", "send.test"] {
        let reader_local = reader.split('@').next().unwrap();
        if !(leak.starts_with(reader_local) || leak == "laptop" && ours.contains("References")) {
            assert!(!ours.contains(leak), "{leak} in {ours}");
        }
    }
    let verdict = dkim::verify(service.folder.path(), mail.as_bytes(), &service.dkim_name, &service.dkim_record);
    assert!(verdict.is_ok(), "dkimpy says {verdict:?}");
}

fn check_ledger(service: &Service, pair: &Pair) {
    let entries = service.get(&format!("/pairs/{}/ledger?limit=200", pair.id));
    let entries = entries["items"].as_array().unwrap();
    let numbers: Vec<i64> = entries.iter().map(|e| e["number"].as_i64().unwrap()).collect();
    assert_eq!(numbers, (1..=i64::try_from(entries.len()).unwrap()).collect::<Vec<_>>());
    let mut previous = [0u8; 32];
    let id: domain::PairId = pair.id.parse().unwrap();
    for e in entries {
        let octets = |key: &str| -> [u8; 32] {
            let text = e[key].as_str().unwrap();
            std::array::from_fn(|n| u8::from_str_radix(&text[2 * n..2 * n + 2], 16).unwrap())
        };
        let leaf = domain::ledger::leaf(&octets("salt"), e["entry"].as_str().unwrap());
        assert_eq!(leaf, octets("leaf"));
        previous = domain::ledger::link(id, e["number"].as_i64().unwrap(), &previous, &leaf);
        assert_eq!(previous, octets("link"));
        assert!(!e["entry"].as_str().unwrap().contains('@'), "an entry names ids only");
    }
}

fn swaks(port: u16, from: &str, to: &str, subject: &str, text: &str) {
    let output = Command::new("swaks")
        .args(["--server", &format!("127.0.0.1:{port}"), "--from", from, "--to", to, "--helo", "laptop.buyer.test", "--body", text])
        .args([
            "--header",
            &format!("Subject: {subject}"),
            "--header",
            "Message-Id: <q1@laptop.buyer.test>",
            "--header",
            "X-Originating-IP: [203.0.113.9]",
        ])
        .args(["--header", "Content-Type: text/plain; charset=utf-8"])
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

fn smtplib(port: u16, from: &str, to: &str, subject: &str, references: &str, text: &str) {
    let local = from.split('@').next().unwrap();
    let domain = from.split('@').nth(1).unwrap();
    let program = format!(
        "import smtplib\nm = '''From: {from}\nTo: {to}\nSubject: {subject}\nMessage-ID: <answer-{local}@laptop.{domain}>\nIn-Reply-To: {references}\nReferences: {references}\n\n{text}\n'''.replace('\\n', '\\r\\n').encode()\ns = smtplib.SMTP('127.0.0.1', {port})\ns.sendmail('{from}', ['{to}'], m)\ns.quit()"
    );
    let output = Command::new("/usr/bin/python3").args(["-c", &program]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The nth mail of a Dovecot mailbox as an IMAP client fetches it, once it is there.
fn fetch(dove: &peers::Daemon, user: &str, n: usize) -> String {
    eventually(&format!("mail {n} of {user} in Dovecot"), || {
        let raw = imap(dove.port, user, &format!("print(c.fetch('{n}', '(BODY.PEEK[])')[1][0][1].decode() if n >= {n} else '')"));
        (!raw.is_empty()).then(|| raw.replace("\r\n", "\n"))
    })
}

fn field(mail: &str, name: &str) -> String {
    mail::mime::Fields::read(mail.as_bytes()).0.text(name).unwrap_or_default()
}

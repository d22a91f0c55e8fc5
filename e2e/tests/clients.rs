//! The SMTP door as clients and attackers meet it: ordinary clients, bad addresses, forged writers, broken
//! messages, limits. Each gets the right code and a clear text; nothing is lost, nothing leaks.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods)] // Helpers of tests may panic and speak.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use e2e::eventually;
use e2e::service::{Pair, Service, Setup, assert_log_is_clean};
use e2e::world::{World, header, message, said};
use sandbox::Behaviour;
use serde_json::json;

fn world() -> (World, Service, Pair) {
    let world = World::new();
    let service = Service::start(Setup { route: world.route(), dns: Some(world.dns), ..Setup::default() });
    let pair = service.put_pair(1);
    (world, service, pair)
}

/// Says lines one by one; gives the replies that end each.
fn raw(service: &Service, lines: &[&[u8]]) -> Vec<String> {
    let mut stream = TcpStream::connect(service.smtp).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut replies = vec![reply(&mut stream)];
    for line in lines {
        if stream.write_all(line).is_err() {
            break;
        }
        replies.push(reply(&mut stream));
    }
    replies
}

/// Entries of a kind in a pair's ledger.
fn count(service: &Service, pair: &Pair, kind: &str) -> usize {
    let entries = service.get(&format!("/pairs/{}/ledger", pair.id));
    entries["items"].as_array().unwrap().iter().filter(|e| e["kind"] == kind).count()
}

fn reply(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    let mut octet = [0; 1];
    while stream.read(&mut octet).is_ok_and(|n| n == 1) {
        text.push(char::from(octet[0]));
        if text.ends_with("\r\n") && text.trim_end().lines().last().is_some_and(|l| l.as_bytes().get(3) == Some(&b' ')) {
            break;
        }
    }
    text.trim_end().to_owned()
}

#[test]
fn what_is_offered_is_what_rfc_5321_and_its_extensions_name() {
    let (_world, service, _) = world();
    let replies = raw(&service, &[b"EHLO c.test\r\n", b"VRFY buyer1\r\n", b"EXPN all\r\n", b"NOOP\r\n", b"QUIT\r\n"]);
    for extension in ["PIPELINING", "SIZE 26214400", "8BITMIME", "SMTPUTF8", "CHUNKING", "ENHANCEDSTATUSCODES"] {
        assert!(replies[1].contains(extension), "{extension}: {}", replies[1]);
    }
    assert!(
        replies[2].starts_with("252") && replies[3].starts_with("502") && replies[4].starts_with("250") && replies[5].starts_with("221")
    );
}

#[test]
fn swaks_pipelines_and_smtplib_sends_eight_bits() {
    let (world, service, pair) = world();
    let output = Command::new("swaks")
        .args([
            "--server",
            &service.smtp.to_string(),
            "--from",
            &pair.seller,
            "--to",
            &pair.buyer_alias,
            "--pipeline",
            "--attach-type",
            "text/plain",
            "--attach-name",
            "nota.txt",
            "--attach",
            "hola seller1@shop.test",
        ])
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    let got = world.nth(&pair.buyer, 1);
    assert!(String::from_utf8_lossy(&got.octets).contains("filename=\"nota.txt\""), "a plain text file passes");
    assert!(!said(&got).contains("seller1@"), "{}", said(&got));
    let program = format!(
        "import smtplib\ns = smtplib.SMTP('127.0.0.1', {})\ns.sendmail('{}', ['{}'], 'From: {}\\r\\nSubject: x\\r\\nContent-Type: text/plain; charset=utf-8\\r\\n\\r\\nseñal\\r\\n'.encode(), ['BODY=8BITMIME', 'SMTPUTF8'])",
        service.smtp.port(),
        pair.buyer,
        pair.seller_alias,
        pair.buyer
    );
    let output = Command::new("/usr/bin/python3").args(["-c", &program]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(said(&world.nth(&pair.seller, 1)).contains("señal"));
}

#[test]
fn existing_closed_and_foreign_aliases_look_alike_to_a_stranger() {
    let (world, service, pair) = world();
    let retired = service.put_pair(2);
    assert_eq!(service.api("POST", &format!("/pairs/{}/retirement", retired.id), &json!({})).status, 200);
    let closed = service.put_pair(3);
    assert_eq!(service.api("POST", &format!("/pairs/{}/closure", closed.id), &json!({})).status, 200);
    let text = |from: &str, alias: &str| {
        let e = world.send(service.smtp, from, &[alias], message(from, alias, "hi", "hi").as_bytes());
        format!("{} {}", e.code, e.text)
    };
    let aliases = [&pair.buyer_alias, &pair.seller_alias, &retired.buyer_alias, &closed.buyer_alias, &closed.seller_alias];
    let answers: Vec<String> = aliases.iter().map(|a| text("morgan@elsewhere.test", a)).collect();
    assert!(answers.iter().all(|a| *a == answers[0] && a.starts_with("550 5.7.1")), "{answers:?}");
    // Whether From is a party makes no difference either, when it is forged (B2).
    world.zone.txt("forged.test", "v=spf1 -all");
    let forged = |claimed: &str, alias: &str| {
        let e = world.send(service.smtp, "x@elsewhere.test", &[alias], message(claimed, alias, "hi", "hi").as_bytes());
        format!("{} {}", e.code, e.text)
    };
    assert_eq!(forged(&pair.seller, &pair.buyer_alias), forged("nobody@shop.test", &pair.buyer_alias));
    let unknown = world.send(service.smtp, "morgan@elsewhere.test", &["t969vz2jn3bdsy7@market.test"], b"x");
    assert_eq!(unknown.code, 550);
    let foreign = world.send(service.smtp, "morgan@elsewhere.test", &["a@other.test"], b"x");
    assert!(foreign.code == 550 && foreign.text.contains("its own domains"), "{}", foreign.text);
    assert_eq!(world.mailboxes.total(), 0, "a stranger reaches nobody");
    assert_log_is_clean(&service.log(), &["morgan", "elsewhere"]);
}

#[test]
fn malformed_messages_are_refused_with_the_reason() {
    let (world, service, pair) = world();
    let me = pair.buyer.clone();
    let to = pair.seller_alias.clone();
    let send = |octets: Vec<u8>| {
        let e = world.send(service.smtp, &me, &[&to], &octets);
        (e.code, e.text)
    };
    let text = |s: String| s.into_bytes();
    assert_eq!(send(b"Subject: no author\r\n\r\nx\r\n".to_vec()).0, 550);
    assert_eq!(send(text(format!("From: {me}\r\nFrom: {me}\r\n\r\nx\r\n"))).0, 550);
    assert_eq!(send(text(format!("From: {me}, x@buyer.test\r\n\r\nx\r\n"))).0, 550);
    assert_eq!(send(text(format!("From: friends: {me};\r\n\r\nx\r\n"))).0, 550);
    assert_eq!(send(text(format!("From: {me}\r\n\r\nnul\0\r\n"))).0, 550);
    assert_eq!(send(text(format!("From: {me}\r\n\r\nbare\nline\r\n"))).1.split(' ').next(), Some("5.6.11"));
    assert_eq!(send(text(format!("From: {me}\r\n\r\n{}\r\n", "x".repeat(70_000)))).0, 550);
    assert_eq!(send(text(format!("From: {to}\r\n\r\nx\r\n"))).0, 550, "From in an alias domain");
    let nested = "Content-Type: message/rfc822\r\n\r\n".repeat(40_000);
    assert_eq!(send(text(format!("From: {me}\r\n{nested}"))).0, 550);
    let parts = "--b\r\n\r\nx\r\n".repeat(100_000);
    assert_eq!(send(text(format!("From: {me}\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n{parts}"))).0, 550);
    let received = "Received: by x; now\r\n".repeat(60);
    assert!(send(text(format!("{received}From: {me}\r\n\r\nx\r\n"))).1.contains("loop"));
    assert_eq!(world.mailboxes.total(), 0);
    // What is only odd is delivered.
    let headers = "X-Odd: 1\r\n".repeat(10_000);
    assert_eq!(send(text(format!("From: {me}\r\n{headers}\r\nten thousand headers\r\n"))).0, 250);
    assert_eq!(send(text(format!("From: {me}\r\n\r\n"))).0, 250, "an empty message passes and says so");
    let bomb = format!("From: {me}\r\nContent-Type: text/html\r\n\r\n{}", "<div>\r\n".repeat(100_000));
    assert_eq!(send(text(bomb)).0, 250);
    world.nth(&pair.seller, 3);
    let mails: Vec<String> = world.mailboxes.of(&pair.seller).iter().map(said).collect();
    assert!(mails.iter().any(|m| m.contains("no tiene texto")), "{mails:?}");
    assert_eq!(raw(&service, &[b"NOOP\r\n"])[1].split(' ').next(), Some("250"), "still serving");
}

#[test]
fn limits_of_a_session_are_told_and_kept() {
    let (world, service, pair) = world();
    let large = format!("From: {}\r\n\r\n{}", pair.buyer, "x\r\n".repeat(9_000_000));
    let e = world.send(service.smtp, &pair.buyer, &[&pair.seller_alias], large.as_bytes());
    assert_eq!((e.code, e.text.split(' ').next()), (552, Some("5.3.4")));
    let line = [b"A".repeat(100_000), b"\r\n".to_vec()].concat();
    assert!(raw(&service, &[&line])[1].starts_with("500"));
    assert!(raw(&service, &[b"EHLO c\r\n", b"STARTTLS\r\n"])[2].starts_with("502"), "no TLS is configured");
    assert!(raw(&service, &[b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03garbage\r\n"])[1].starts_with("500"));
    let unknown: Vec<String> = (0..12).map(|n| format!("RCPT TO:<unknown{n}aaaa@market.test>\r\n")).collect();
    let mut lines: Vec<&[u8]> = vec![b"EHLO c\r\n", b"MAIL FROM:<a@elsewhere.test>\r\n"];
    lines.extend(unknown.iter().map(|l| l.as_bytes()));
    let replies = raw(&service, &lines);
    assert!(replies.iter().any(|r| r.contains("421")), "{replies:?}");
    // A client that goes away in the middle of DATA has said nothing.
    let mut stream = TcpStream::connect(service.smtp).unwrap();
    write!(stream, "EHLO c\r\nMAIL FROM:<{}>\r\nRCPT TO:<{}>\r\nDATA\r\nFrom: {}\r\n\r\nhalf", pair.buyer, pair.seller_alias, pair.buyer)
        .unwrap();
    drop(stream);
    // A large message is spooled and arrives whole.
    let body = "línea de texto\r\n".repeat(200_000);
    let octets = format!("From: {}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{body}", pair.buyer);
    assert!(world.send(service.smtp, &pair.buyer, &[&pair.seller_alias], octets.as_bytes()).is_accepted());
    let got = world.nth(&pair.seller, 1);
    assert_eq!(said(&got).matches("línea de texto").count(), 200_000);
    assert_eq!(world.mailboxes.total(), 1);
}

#[test]
fn several_recipients_are_decided_one_by_one() {
    let (world, service, pair) = world();
    let other = service.put_order(1, 1, "302-x");
    assert_eq!(other.id, pair.id);
    let foreign = service.put_pair(2);
    // Party of the first, stranger to the second: accepted, one copy, nothing to the other.
    let e = world.send(
        service.smtp,
        &pair.buyer,
        &[&pair.seller_alias, &foreign.seller_alias],
        message(&pair.buyer, &pair.seller_alias, "two", "hi").as_bytes(),
    );
    assert!(e.is_accepted(), "{}", e.text);
    world.nth(&pair.seller, 1);
    assert_eq!(world.mailboxes.count(&foreign.seller), 0);
    let entries = service.get(&format!("/pairs/{}/ledger", foreign.id));
    assert!(entries.to_string().contains("refuse"), "the refusal stands in the record");
    // Strangers to both: 550.
    let e = world.send(
        service.smtp,
        "morgan@elsewhere.test",
        &[&pair.seller_alias, &foreign.seller_alias],
        message("morgan@elsewhere.test", "x@market.test", "two", "hi").as_bytes(),
    );
    assert_eq!(e.code, 550);
}

#[test]
fn a_seller_who_writes_to_another_seller_is_pointed_to_the_report_page() {
    let (world, service, pair) = world();
    let other = service.put_pair(2);
    let e = world.send(
        service.smtp,
        &other.seller,
        &[&pair.seller_alias],
        message(&other.seller, &pair.seller_alias, "Your picture", "is mine").as_bytes(),
    );
    assert!(e.is_accepted(), "a policy refusal is told by a notice: {}", e.text);
    let notice = world.nth(&other.seller, 1);
    assert!(said(&notice).contains("postmaster@market.test"), "{}", said(&notice));
    assert_eq!((notice.reverse_path.as_str(), header(&notice, "Auto-Submitted").as_str()), ("", "auto-replied"));
    assert_eq!(world.mailboxes.count(&pair.seller), 0);
    // Told once an hour at most.
    for _ in 0..3 {
        world.send(service.smtp, &other.seller, &[&pair.seller_alias], message(&other.seller, &pair.seller_alias, "Again", "x").as_bytes());
    }
    assert_eq!(count(&service, &pair, "notice.queued"), 1);
}

#[test]
fn other_recipients_are_neither_told_nor_mailed_and_the_writer_hears_of_it() {
    let (world, service, pair) = world();
    let octets = format!(
        "From: {}\r\nTo: {}, friend@elsewhere.test\r\nCc: second@buyer.test\r\nSubject: hola\r\n\r\nhola\r\n",
        pair.buyer, pair.seller_alias
    );
    assert!(world.send(service.smtp, &pair.buyer, &[&pair.seller_alias], octets.as_bytes()).is_accepted());
    let got = world.nth(&pair.seller, 1);
    let raw = String::from_utf8_lossy(&got.octets).into_owned();
    assert!(!raw.contains("elsewhere.test") && !raw.contains("second@"), "{raw}");
    assert!(said(&world.nth(&pair.buyer, 1)).contains("outros destinatários"), "told in the writer's language");
    assert_eq!(world.mailboxes.count("friend@elsewhere.test"), 0);
}

#[test]
fn a_closed_alias_keeps_mail_on_the_page_and_the_seller_is_told_once() {
    let (world, service, pair) = world();
    service.api("POST", &format!("/pairs/{}/closure", pair.id), &json!({}));
    for n in 0..2 {
        let e = world.send(
            service.smtp,
            &pair.seller,
            &[&pair.buyer_alias],
            message(&pair.seller, &pair.buyer_alias, &format!("n{n}"), "x").as_bytes(),
        );
        assert!(e.is_accepted());
    }
    assert!(said(&world.nth(&pair.seller, 1)).contains("cerrado"));
    let messages = service.messages(&pair);
    assert_eq!(messages.iter().filter(|m| m["delivery"] == "on_page").count(), 2, "{messages:?}");
    assert_eq!(world.mailboxes.count(&pair.buyer), 0);
    // The buyer may still write, and may open it again.
    assert!(
        world
            .send(service.smtp, &pair.buyer, &[&pair.seller_alias], message(&pair.buyer, &pair.seller_alias, "yo", "x").as_bytes())
            .is_accepted()
    );
    world.nth(&pair.seller, 2);
    service.api("DELETE", &format!("/pairs/{}/closure", pair.id), &json!(null));
    assert!(
        world
            .send(service.smtp, &pair.seller, &[&pair.buyer_alias], message(&pair.seller, &pair.buyer_alias, "n3", "x").as_bytes())
            .is_accepted()
    );
    world.nth(&pair.buyer, 1);
    assert_eq!(service.messages(&pair).iter().filter(|m| m["author"] == "tradepost").count(), 1, "told once");
}

#[test]
fn postmaster_and_mail_systems() {
    let (world, service, pair) = world();
    let e = world.send(
        service.smtp,
        "morgan@elsewhere.test",
        &["Postmaster@market.test", "abuse@market.test"],
        message("morgan@elsewhere.test", "postmaster@market.test", "complaint", "x").as_bytes(),
    );
    assert!(e.is_accepted(), "{}", e.text);
    world.nth("boss@office.test", 1);
    // What a mail system writes to the reverse-path that we gave is noted, and reaches nobody.
    world.send(service.smtp, &pair.buyer, &[&pair.seller_alias], message(&pair.buyer, &pair.seller_alias, "q", "x").as_bytes());
    let verp = world.nth(&pair.seller, 1).reverse_path;
    assert!(verp.starts_with("b-") && verp.ends_with("@market.test"), "{verp}");
    let bounce = b"From: MAILER-DAEMON@shop.test\r\nSubject: Weekly figures\r\n\r\nAll is well here.\r\n";
    assert!(world.send(service.smtp, "", &[&verp], bounce).is_accepted());
    let forged = verp.replace("b-0", "b-1");
    assert_eq!(world.send(service.smtp, "", &[&forged], bounce).code, 550, "a wrong MAC is an unknown address");
    assert!(world.send(service.smtp, "", &[&pair.seller_alias], bounce).is_accepted(), "null-sender mail is noted, not relayed");
    assert_eq!(count(&service, &pair, "report.noted"), 2);
    assert_eq!((world.mailboxes.count(&pair.seller), world.mailboxes.count(&pair.buyer)), (1, 0));
}

#[test]
fn the_next_hop_that_defers_refuses_or_breaks_off() {
    let (world, service, _) = world();
    let pairs: Vec<Pair> = (2..5).map(|n| service.put_pair(n)).collect();
    let behaviours = [Behaviour::Defer, Behaviour::Refuse, Behaviour::CloseAfterDot];
    for (pair, behaviour) in pairs.iter().zip(behaviours) {
        world.mailboxes.behave(&pair.seller, behaviour);
        assert!(
            world
                .send(service.smtp, &pair.buyer, &[&pair.seller_alias], message(&pair.buyer, &pair.seller_alias, "q", "x").as_bytes())
                .is_accepted()
        );
    }
    let state =
        |pair: &Pair, wanted: &str| eventually(wanted, || service.messages(pair).iter().any(|m| m["delivery"] == wanted).then_some(()));
    state(&pairs[0], "deferred");
    state(&pairs[1], "bounced");
    state(&pairs[2], "deferred");
    // The writer is told in our words; the remote's words and address go nowhere (P01).
    let notice = said(&world.nth(&pairs[1].buyer, 1));
    assert!(notice.contains("caixa de correio da outra parte não existe") && !notice.contains("seller3"), "{notice}");
    assert_log_is_clean(&service.log(), &["is unknown here", "is busy"]);
}

#[test]
fn a_silent_dns_is_try_again_and_not_a_verdict() {
    let (world, service, pair) = world();
    world.zone.set_silent(true);
    let e = world.send(service.smtp, &pair.buyer, &[&pair.seller_alias], message(&pair.buyer, &pair.seller_alias, "q", "x").as_bytes());
    assert_eq!((e.code, e.text.split(' ').next()), (451, Some("4.4.3")), "{}", e.text);
    world.zone.set_silent(false);
    assert!(
        world
            .send(service.smtp, &pair.buyer, &[&pair.seller_alias], message(&pair.buyer, &pair.seller_alias, "q", "x").as_bytes())
            .is_accepted()
    );
}

#[test]
fn dkim_alone_aligns_a_writer() {
    let (world, service, pair) = world();
    let (_, signer) = e2e::dkim::key("signed.test", "s1");
    world.zone.txt("signed.test", "v=spf1 -all");
    world.zone.txt(&signer.dns_name(), &signer.dns_record());
    service.put("/buyers/b1", &json!({"email": "ana@signed.test"}));
    let plain = message("ana@signed.test", &pair.seller_alias, "q", "hola");
    assert_eq!(world.send(service.smtp, "ana@signed.test", &[&pair.seller_alias], plain.as_bytes()).code, 550, "neither SPF nor DKIM");
    let signed = signer.sign(plain.as_bytes(), 1_795_316_400);
    let e = world.send(service.smtp, "bounce@elsewhere.test", &[&pair.seller_alias], &signed);
    assert!(e.is_accepted(), "{}", e.text);
    world.nth(&pair.seller, 1);
    let tampered = String::from_utf8(signed).unwrap().replace("hola", "adios");
    assert_eq!(world.send(service.smtp, "bounce@elsewhere.test", &[&pair.seller_alias], tampered.as_bytes()).code, 550);
}

#[test]
fn field_names_that_parsers_read_differently_lend_nobody_another_writers_name() {
    let (world, service, pair) = world();
    let me = "morgan@elsewhere.test";
    for head in [
        format!("Fr om: {me}\r\nFrom: {}\r\n", pair.seller),
        format!("Fr om: {me}\r\njunk without colon\r\nFrom: {}\r\n", pair.seller),
        format!(" From: {me}\r\nFrom: {}\r\n", pair.seller),
        format!("From : {me}\r\nX: y\r\n\tFrom: {}\r\n", pair.seller),
        format!("From: {}\r\nFrom\t: {me}\r\n", pair.seller),
    ] {
        let octets = format!("{head}Subject: x\r\n\r\nforged\r\n");
        let e = world.send(service.smtp, me, &[&pair.buyer_alias], octets.as_bytes());
        assert!(!e.is_accepted(), "{head:?} was taken");
    }
    assert_eq!(world.mailboxes.count(&pair.buyer), 0);
}

#[test]
fn an_abandoned_transactions_recipient_gets_nothing() {
    let (world, service, pair) = world();
    service.put_pair(2);
    let other = service.put_order(1, 2, "302-two");
    let mut stream = TcpStream::connect(service.smtp).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let lines = format!(
        "EHLO c\r\nMAIL FROM:<{me}>\r\nRCPT TO:<{first}>\r\nRSET\r\nMAIL FROM:<{me}>\r\nRCPT TO:<{second}>\r\nDATA\r\nFrom: {me}\r\n\r\nfor one\r\n.\r\nQUIT\r\n",
        me = pair.seller,
        first = other.buyer_alias,
        second = pair.buyer_alias
    );
    stream.write_all(lines.as_bytes()).unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    assert!(said.contains("accepted as"), "{said}");
    world.nth(&pair.buyer, 1);
    assert_eq!(world.mailboxes.count(&other.buyer), 0);
}

#[test]
fn starttls_carries_a_message_and_garbage_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    e2e::peers::certificate(folder.path(), "mx.market.test");
    let (key, cert) = (folder.path().join("key.pem"), folder.path().join("cert.pem"));
    let world = World::new();
    let more = format!("[tls]\ncertificate = \"{}\"\nkey = \"{}\"\n", cert.display(), key.display());
    let service = Service::start(Setup { route: world.route(), dns: Some(world.dns), more, ..Setup::default() });
    let pair = service.put_pair(1);
    let output = Command::new("swaks")
        .args(["--server", &service.smtp.to_string(), "--tls", "--from", &pair.seller, "--to", &pair.buyer_alias, "--body", "hola"])
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("TLSv1."), "{said}");
    world.nth(&pair.buyer, 1);
    let replies = raw(&service, &[b"EHLO c\r\n", b"STARTTLS\r\nMAIL FROM:<x@elsewhere.test>\r\n", b"\x16\x03\x01\x02\x00garbage\r\n"]);
    assert!(replies[1].contains("STARTTLS") && replies[2].starts_with("220"), "{replies:?}");
    assert!(!replies[3].contains("250"), "nothing behind STARTTLS in clear is run: {replies:?}");
    assert!(raw(&service, &[b"NOOP\r\n"])[1].starts_with("250"), "still serving");
}

//! Every message of the corpus as a buyer and as a seller would send it: nothing of the writer's address, IP,
//! host or Message-ID in headers, envelope, text and HTML of what arrives.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods)] // Helpers of tests may panic and speak.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use e2e::service::{Pair, Service, Setup, assert_log_is_clean};
use e2e::world::{World, said};
use mail::mime::Fields;
use sandbox::StoredMail;

/// What must not arrive, and where it came from.
struct Secrets(Vec<String>);

#[test]
fn nothing_of_the_writer_arrives() {
    let Some(corpus) = e2e::corpus() else { return run(own_cases(), 1) };
    let mut files = Vec::new();
    let holds_mail = |name: &str| ["mime-", "bounces-", "reply-", "auth-dkim"].iter().any(|begin| name.starts_with(begin));
    for entry in std::fs::read_dir(&corpus).unwrap().flatten().filter(|e| holds_mail(&e.file_name().to_string_lossy())) {
        collect(&entry.path(), &mut files);
    }
    files.sort();
    assert!(files.len() > 500, "only {} messages in the corpus", files.len());
    let cases = files.into_iter().map(|f| (f.display().to_string(), std::fs::read(&f).unwrap())).chain(own_cases()).collect();
    run(cases, 250);
}

fn run(cases: Vec<(String, Vec<u8>)>, at_least: usize) {
    let world = World::new();
    let rules = "[buyer_limit]\nper_pair_and_day = 100000\n[daily_limit]\nbase = 100000\n[duplicates]\nhours = 0\n".to_owned();
    let service = Service::start(Setup { route: world.route(), dns: Some(world.dns), rules, ..Setup::default() });
    // One pair a direction: else the other side's own ids would be known to be its own.
    let (by_buyer, by_seller) = (service.put_pair(1), service.put_pair(2));
    let (mut delivered, mut noted) = (0, 0);
    let mut refused = Vec::new();
    let mut told: BTreeMap<String, usize> = BTreeMap::new();
    for (name, octets) in &cases {
        for (pair, from, to, alias) in [
            (&by_buyer, &by_buyer.buyer, &by_buyer.seller, &by_buyer.seller_alias),
            (&by_seller, &by_seller.seller, &by_seller.buyer, &by_seller.buyer_alias),
        ] {
            let prepared = prepare(octets, from, alias);
            let before = world.mailboxes.count(to);
            let e = world.send(service.smtp, from, &[alias], &prepared);
            if !e.is_accepted() {
                assert!((550..560).contains(&e.code), "{name}: {} {}", e.code, e.text);
                refused.push(format!("{name}: {}", e.text));
                continue;
            }
            let id = e.text.rsplit(' ').next().unwrap_or_default().to_owned();
            let decision = &service.get(&format!("/messages/{id}/decision"))["decision"];
            if decision["outcome"] == "refuse" {
                // What C8 does not let pass is told in words; nothing of it arrives.
                let remedy = decision["remedy"].as_str().unwrap_or_default().to_owned();
                assert!(["remedy_attachments", "remedy_locked_file", "remedy_encrypted"].contains(&remedy.as_str()), "{name}: {remedy}");
                assert_eq!(world.mailboxes.count(to), before, "{name}");
                *told.entry(remedy).or_default() += 1;
                continue;
            }
            if decision["outcome"] == "note" {
                // Of what machines send one passes in a week; these still read like one.
                assert!(mail::automatic::is_automatic(&Fields::read(&prepared).0), "{name}: {decision}");
                noted += 1;
                continue;
            }
            let got = world.nth(to, before + 1);
            check(name, &got, &Secrets::of(&prepared, from), pair, to);
            delivered += 1;
        }
    }
    println!("{} messages both ways: {delivered} delivered, {noted} noted, {} refused, by the rules {told:?}", cases.len(), refused.len());
    refused.iter().step_by(2).for_each(|r| println!("  refused {r}"));
    assert!(delivered >= at_least, "only {delivered} were delivered");
    assert_log_is_clean(&service.log(), &["buyer1", "seller2"]);
}

/// Small cases of our own, so that the test stands without the corpus.
fn own_cases() -> Vec<(String, Vec<u8>)> {
    let case = |name: &str, rest: &str| {
        (name.to_owned(), format!("Received: from laptop.writer-host.test ([203.0.113.9])\r\n by relay.test; now\r\nMessage-ID: <secret-id@writer-host.test>\r\n{rest}").into_bytes())
    };
    vec![
        case(
            "headers",
            "Reply-To: SELF\r\nSender: SELF\r\nX-Mailer: Mailer 9\r\nX-Originating-IP: [203.0.113.9]\r\nSubject: from SELF\r\n\r\nSELF wrote\r\n",
        ),
        case(
            "html",
            "Content-Type: text/html\r\n\r\n<p title=\"SELF\">S<!-- x -->ELF <a href=\"mailto:SELF\">mail</a></p><img src=\"http://writer-host.test/\">\r\n",
        ),
        case("base64", "Content-Type: text/plain; charset=utf-16le\r\nContent-Transfer-Encoding: base64\r\n\r\naABpAA==\r\n"),
        case(
            "forwarded",
            "Content-Type: multipart/mixed; boundary=b\r\n\r\nSELF preamble\r\n--b\r\n\r\nhi\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nFrom: SELF\r\n\r\nx\r\n--b--\r\nSELF epilogue\r\n",
        ),
        case("odd", "Nonsense without colon SELF\r\n : empty name\r\nFr om: x\r\nSubject:\r\n folded SELF\r\n\r\nbody\r\n"),
    ]
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        match entry.path() {
            path if path.is_dir() => collect(&path, files),
            path => files.push(path),
        }
    }
}

/// The message as this writer sends it: CRLF line ends, one From of its own; `SELF` is its address.
fn prepare(octets: &[u8], from: &str, alias: &str) -> Vec<u8> {
    let text: Vec<u8> = octets.iter().copied().filter(|b| *b != b'\r').collect();
    // An mbox line in front is no header.
    let text = if text.starts_with(b"From ") { text.splitn(2, |b| *b == b'\n').nth(1).unwrap_or_default().to_vec() } else { text };
    let crlf: Vec<u8> = text.split(|b| *b == b'\n').flat_map(|l| [l, b"\r\n"].concat()).collect();
    let (fields, body_at) = Fields::read(&crlf);
    let mut out = format!("From: Writer <{from}>\r\nTo: <{alias}>\r\n").into_bytes();
    // Without the marks of machines: what they send passes once a week, and here every message is to pass.
    let left_out = ["from", "to", "cc", "list-id", "precedence", "auto-submitted", "x-autoreply", "x-autorespond", "x-autoresponder"];
    for f in fields.iter().filter(|f| !left_out.contains(&f.name.to_ascii_lowercase().as_str())) {
        out.extend_from_slice(&[f.name.as_bytes(), b":", f.value, b"\r\n"].concat());
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(&crlf[body_at..]);
    replace(&out, b"SELF", from.as_bytes())
}

fn replace(octets: &[u8], what: &[u8], with: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(octets.len());
    let mut at = 0;
    while at < octets.len() {
        if octets[at..].starts_with(what) {
            out.extend_from_slice(with);
            at += what.len();
        } else {
            out.push(octets[at]);
            at += 1;
        }
    }
    out
}

impl Secrets {
    /// The writer's address, the Message-ID, and hosts and addresses of the Received fields.
    fn of(octets: &[u8], from: &str) -> Self {
        let (fields, _) = Fields::read(octets);
        let mut secrets = BTreeSet::from([from.to_owned()]);
        let raw = |name: &str| {
            fields
                .iter()
                .filter(|f| f.name.eq_ignore_ascii_case(name))
                .map(|f| String::from_utf8_lossy(f.value).into_owned())
                .collect::<Vec<_>>()
        };
        for id in raw("Message-ID").iter().flat_map(|v| mail::MessageId::list(v)) {
            secrets.insert(id.as_str().to_owned());
        }
        for field in raw("Received") {
            for word in field.split(|c: char| !(c.is_ascii_alphanumeric() || ".-:".contains(c))) {
                let is_host = word.contains('.') && word.len() >= 8 && word.chars().any(|c| c.is_ascii_alphabetic()) && !word.contains(':');
                let is_ip = word.parse::<std::net::IpAddr>().is_ok_and(|ip| !ip.is_loopback());
                if is_host || is_ip {
                    secrets.insert(word.trim_matches('.').to_owned());
                }
            }
        }
        Self(secrets.into_iter().filter(|s| s.len() >= 6).collect())
    }
}

fn check(name: &str, got: &StoredMail, secrets: &Secrets, pair: &Pair, to: &str) {
    let (fields, body_at) = Fields::read(&got.octets);
    assert!(got.octets.is_ascii(), "{name}: 7 bits");
    let decoded: String = fields.iter().map(|f| format!("{}: {}\n", f.name, mail::mime::decode_words(f.value))).collect();
    let head = String::from_utf8_lossy(&got.octets[..body_at]).into_owned();
    let text = said(got).to_lowercase();
    assert!(got.reverse_path.starts_with("b-") && got.recipient == to, "{name}: envelope");
    // What a person writes in subject and text about hosts is what they wrote; an address, an IP or an id is not.
    let subject = fields.text("Subject").unwrap_or_default().to_lowercase();
    let fixed: String = decoded.lines().filter(|l| !l.starts_with("Subject:")).collect::<Vec<_>>().join("\n").to_lowercase();
    for secret in secrets.0.iter().map(|s| s.to_lowercase()).filter(|s| !to.contains(s.as_str())) {
        assert!(!fixed.contains(&secret), "{name}: {secret} in the header\n{head}");
        if secret.contains('@') || secret.parse::<std::net::IpAddr>().is_ok() {
            assert!(!text.contains(&secret) && !subject.contains(&secret), "{name}: {secret} in the text\n{subject}\n{text}");
        }
    }
    let allowed = [
        "auto-submitted",
        "list-unsubscribe",
        "list-unsubscribe-post",
        "dkim-signature",
        "received",
        "from",
        "to",
        "reply-to",
        "subject",
        "date",
        "message-id",
        "in-reply-to",
        "references",
        "x-tradepost-hops",
        "mime-version",
        "content-type",
        "content-transfer-encoding",
    ];
    for field in fields.iter() {
        assert!(allowed.contains(&field.name.to_ascii_lowercase().as_str()), "{name}: a header {} arrived", field.name);
    }
    let own_alias = if to == pair.seller { &pair.buyer_alias } else { &pair.seller_alias };
    assert!(decoded.contains(&format!("<{own_alias}>")), "{name}: From is the bare alias");
}

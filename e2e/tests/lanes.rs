//! Who writes to an alias beside its parties: carriers with a parcel on its way, strangers, lists, loops and floods.
//! What each of them meets, and what the seller hears of it the next day.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods)] // Helpers of tests may panic and speak.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use domain::carriers::Carriers;
use domain::texts::Texts;
use e2e::eventually;
use e2e::scene::{Scene, letter, on_both};
use e2e::service::{Pair, Setup, assert_log_is_clean};
use e2e::world::{header, said};
use mail::Domain;
use mail::mime::Fields;
use sandbox::{Behaviour, StoredMail};
use serde_json::{Value, json};

/// A carrier of the list that the program brings along.
const CARRIER: &str = "correos.es";
/// One that only a seller knows.
const OWN_CARRIER: &str = "kurier.test";
/// Another domain of the same owner as `shop.test`, which the sellers write from.
const SECOND_DOMAIN: &str = "parcels.shop.test";
const FREEMAIL: &str = "gmail.com";
const LOOK_ALIKES: [&str; 2] = ["evil-correos.es", "correos.es.elsewhere.test"];
const STRANGER: &str = "morgan@elsewhere.test";

fn scene(database: Option<String>) -> Scene {
    let s = Scene::plain(database);
    for domain in [CARRIER, "avisos.correos.es", OWN_CARRIER, SECOND_DOMAIN, FREEMAIL].iter().chain(&LOOK_ALIKES) {
        s.world.zone.mail_domain(domain);
    }
    s
}

fn days_ago(days: i64) -> String {
    (jiff::Timestamp::now() - jiff::SignedDuration::from_hours(24 * days)).to_string()
}

/// A notice of a carrier, or of somebody who wants to be one; what it is answered.
fn notify(s: &Scene, reverse_path: &str, from: &str, alias: &str) -> (u16, String) {
    let octets = letter(from, alias, "Su envio", "", "Su paquete llega hoy.");
    let e = s.world.send(s.service.smtp, reverse_path, &[alias], octets.as_bytes());
    (e.code, e.text)
}

/// From the domain that it says.
fn parcel(s: &Scene, from: &str, alias: &str) -> (u16, String) {
    notify(s, from, from, alias)
}

/// What a stranger whose own domain is in order is answered, whatever the alias.
fn strangers_words(s: &Scene, alias: &str) -> (u16, String) {
    let words = parcel(s, STRANGER, alias);
    assert!(words.0 == 550 && words.1.starts_with("5.7.1 "), "{words:?}");
    words
}

fn approve(s: &Scene, seller: usize, domain: &str) -> u16 {
    s.service.api("PUT", &format!("/marketplaces/es/sellers/s{seller}"), &json!({"approved_carriers": [domain]})).status
}

/// The address behind the name.
fn reply_to(mail: &StoredMail) -> String {
    header(mail, "Reply-To").rsplit('<').next().unwrap().trim_end_matches('>').to_owned()
}

/// Waits until the record says so, too.
fn delivered(s: &Scene, message: &str) {
    eventually("its delivery is noted", || (s.service.get(&format!("/messages/{message}"))["delivery"] == "delivered").then_some(()));
}

/// The figures of seller 1, without the instant at which they were asked for.
fn figures(s: &Scene) -> Value {
    let mut figures = s.service.get("/marketplaces/es/sellers/s1/figures?days=7");
    figures.as_object_mut().unwrap().remove("until");
    figures
}

#[test]
fn a_carrier_with_a_parcel_on_its_way_reaches_the_buyer_marked() {
    on_both(|database| {
        let s = scene(database);
        let pair = s.refusing(1, "es");
        let asked = s.mail(&pair.buyer, &pair.seller_alias, &format!("Pedido {}", pair.order), "Cuando llega?");
        let question = s.world.nth(&pair.seller, 1);
        delivered(&s, &asked);
        let before = figures(&s);
        let octets = letter("avisos@correos.es", &pair.buyer_alias, "Su envio llega hoy", "", "Su paquete llega hoy.");
        let id = s.send("avisos@correos.es", &pair.buyer_alias, &octets);

        let got = s.world.nth(&pair.buyer, 1);
        let carriers = Carriers::embedded();
        let name = carriers.find(&Domain::parse(CARRIER).unwrap()).unwrap();
        let from = header(&got, "From");
        assert!(from.contains(name) && from.contains(&format!("<{}>", pair.seller_alias)), "{from}");
        let (alias, _) = pair.seller_alias.split_once('@').unwrap();
        assert!(reply_to(&got).starts_with(&format!("{alias}+")), "{}", reply_to(&got));
        let fields = [("carrier", name), ("business", "Shop 1"), ("marketplace", "Plaza")];
        let text = said(&got);
        assert!(text.contains(&Texts::embedded().text("pt-BR", "banner_carrier", &fields)), "{text}");
        assert!(text.contains("Su paquete llega hoy."), "{text}");
        let raw = format!("{}\n{text}", String::from_utf8_lossy(&got.octets)).to_lowercase();
        assert!(!raw.contains("correos.es"), "{raw}");

        let ledger = s.service.get(&format!("/pairs/{}/ledger?limit=200", pair.id));
        let of_carrier = |e: &&Value| e["kind"] == "message.accepted" && e["entry"].as_str().unwrap().contains("\"author\":\"carrier\"");
        assert_eq!(ledger["items"].as_array().unwrap().iter().filter(of_carrier).count(), 1, "{ledger}");
        delivered(&s, &id);
        // It answers nothing and asks for nothing, and counts nowhere.
        assert_eq!((figures(&s), s.standing(1, &asked).as_str()), (before, "pending"));
        assert!(!s.service.get("/marketplaces/es/sellers/s1/figures/messages?days=7").to_string().contains(&id));
        let answer = s.mail(&pair.seller, &reply_to(&question), "Respuesta", "El jueves.");
        let decision = s.service.decision(&answer);
        let limit = decision["rules"].as_array().unwrap().iter().find(|r| r["rule"] == "C7").unwrap();
        assert_eq!(limit["inputs"]["sent_today"], "0", "{decision}");
        // The buyer's answer to it goes to the seller.
        let thanks = s.mail(&pair.buyer, &reply_to(&got), "Re: Su envio", "la respuesta");
        assert_eq!(s.service.get(&format!("/messages/{thanks}"))["rung"], "tag");
        assert!(said(&s.world.nth(&pair.seller, 2)).contains("la respuesta"));
        assert_log_is_clean(&s.service.log(), &["avisos", "correos"]);
    });
}

#[test]
fn whoever_is_no_carrier_of_this_pair_is_a_stranger() {
    on_both(|database| {
        let s = scene(database);
        let pair = s.pair(1, "es");
        let words = strangers_words(&s, &pair.buyer_alias);
        for domain in LOOK_ALIKES {
            assert_eq!(parcel(&s, &format!("avisos@{domain}"), &pair.buyer_alias), words, "{domain}");
        }
        assert_eq!(parcel(&s, "avisos@correos.es", &pair.seller_alias), words, "one way: to the buyer only");
        let unaligned = |from: &str| notify(&s, "x@elsewhere.test", from, &pair.buyer_alias);
        let forged = unaligned("avisos@correos.es");
        assert!(forged.0 == 550 && forged != words, "{forged:?}");
        assert_eq!(forged, unaligned("nobody@buyer.test"), "in the words for whoever is not confirmed");
        assert_eq!(s.world.mailboxes.total(), 0);

        // A parcel is on its way from its shipment until two weeks after its delivery.
        let states = [
            (json!({"status": "unshipped"}), false),
            (json!({"status": "pending"}), false),
            (json!({"status": "shipped"}), true),
            (json!({"status": "delivered", "delivered_at": days_ago(13)}), true),
            (json!({"status": "delivered", "delivered_at": days_ago(15)}), false),
            (json!({"status": "cancelled"}), false),
        ];
        for (n, (state, passes)) in (2..).zip(&states) {
            let pair = s.pair(n, "es");
            s.service.put(&format!("/orders/{}", pair.order), state);
            let answer = parcel(&s, "x@avisos.correos.es", &pair.buyer_alias);
            if *passes {
                assert_eq!(answer.0, 250, "{state}: {}", answer.1);
                s.world.nth(&pair.buyer, 1);
            } else {
                assert_eq!(answer, words, "{state}");
                assert_eq!(s.world.mailboxes.count(&pair.buyer), 0, "{state}");
            }
        }
    });
}

#[test]
fn the_eleventh_notice_of_one_order_is_refused() {
    on_both(|database| {
        let s = scene(database);
        let pair = s.pair(1, "es");
        let words = strangers_words(&s, &pair.buyer_alias);
        for n in 1..=10 {
            let (code, text) = parcel(&s, "avisos@correos.es", &pair.buyer_alias);
            assert_eq!(code, 250, "{n}: {text}");
        }
        assert_eq!(parcel(&s, "avisos@correos.es", &pair.buyer_alias), words);
        s.world.nth(&pair.buyer, 10);
        let other = s.pair(2, "es");
        assert_eq!(parcel(&s, "avisos@correos.es", &other.buyer_alias).0, 250, "another pair has its own number");
    });
}

#[test]
fn a_carrier_that_the_operator_approved_writes_to_that_sellers_buyers_only() {
    on_both(|database| {
        let s = scene(database);
        let (pair, other) = (s.pair(1, "es"), s.pair(2, "es"));
        let words = strangers_words(&s, &pair.buyer_alias);
        let own = format!("info@{OWN_CARRIER}");
        assert_eq!(parcel(&s, &own, &pair.buyer_alias), words);
        assert_eq!(approve(&s, 1, OWN_CARRIER), 200);
        assert_eq!(parcel(&s, &own, &pair.buyer_alias).0, 250);
        assert!(header(&s.world.nth(&pair.buyer, 1), "From").contains(&pair.seller_alias));
        assert_eq!(parcel(&s, &own, &other.buyer_alias), words, "another seller's buyers are not its own");

        // Whatever is approved: not where everybody has an address, and not what belongs to the seller.
        assert_eq!(approve(&s, 1, FREEMAIL), 422);
        assert_eq!(parcel(&s, &format!("avisos@{FREEMAIL}"), &pair.buyer_alias), words);
        let at = |domain: &str| json!({"email": format!("seller2@{domain}"), "customer_service_email": format!("seller2@{domain}")});
        s.service.put("/sellers/s2", &at("office.test"));
        assert_eq!(approve(&s, 2, SECOND_DOMAIN), 200);
        let second = format!("avisos@{SECOND_DOMAIN}");
        assert_eq!(parcel(&s, &second, &other.buyer_alias).0, 250, "as long as the seller has nothing to do with it");
        s.service.put("/sellers/s2", &at("shop.test"));
        assert_eq!(parcel(&s, &second, &other.buyer_alias), words, "the seller's own second domain");
    });
}

#[test]
fn refused_mail_of_a_day_is_told_once_and_names_nobody() {
    on_both(|database| {
        let mut s = scene(database);
        let (pair, quiet) = (s.pair(1, "es"), s.pair(2, "es"));
        // The marketplace of the tests lives in UTC.
        let day = jiff::Timestamp::now().strftime("%Y-%m-%d").to_string();
        let waiting = s.service.put_order(1, 2, "302-unshipped");
        s.service.put("/orders/302-unshipped", &json!({"status": "unshipped"}));
        // Of the seller's own domain: another address, and the right one that nothing confirms.
        for _ in 0..2 {
            assert_eq!(parcel(&s, "almacen@shop.test", &pair.buyer_alias).0, 550);
        }
        assert_eq!(notify(&s, STRANGER, &pair.seller, &pair.buyer_alias).0, 550);
        assert_eq!(parcel(&s, "avisos@correos.es", &waiting.buyer_alias).0, 550);
        for _ in 0..2 {
            assert_eq!(parcel(&s, STRANGER, &pair.buyer_alias).0, 550);
        }
        // What goes to the seller's own alias is not counted, nor what never reached an alias.
        assert_eq!(parcel(&s, STRANGER, &pair.seller_alias).0, 550);
        assert_eq!(parcel(&s, STRANGER, "t969vz2jn3bdsy7@market.test").0, 550);
        assert_eq!(s.world.mailboxes.total(), 0, "nothing is told on the same day");

        s.service.terminate();
        s.service.run_ahead(1);
        let digest = s.world.nth(&pair.seller, 1);
        let text = said(&digest);
        let texts = Texts::embedded();
        assert_eq!(header(&digest, "Subject"), texts.text("es", "digest_subject", &[]));
        for (key, count) in [("digest", "6"), ("digest_own", "3"), ("digest_carrier", "1"), ("digest_other", "2")] {
            let line = texts.text("es", key, &[("count", count), ("date", &day)]);
            assert!(text.contains(&line), "{line:?} is missing in {text}");
        }
        assert!(header(&digest, "Auto-Submitted").starts_with("auto-"), "no vacation note comes back");
        let raw = format!("{}\n{text}", String::from_utf8_lossy(&digest.octets)).to_lowercase();
        for name in ["morgan", "elsewhere", "almacen", "correos.es", "buyer1@", "buyer2@"] {
            assert!(!raw.contains(name), "{name} stands in {raw}");
        }

        // The same day again, then a day on which only the other seller has something to hear.
        s.service.terminate();
        s.service.run_ahead(1);
        assert_eq!(parcel(&s, STRANGER, &quiet.buyer_alias).0, 550);
        s.service.terminate();
        s.service.run_ahead(2);
        let other = said(&s.world.nth(&quiet.seller, 1));
        assert!(other.contains(&texts.text("es", "digest_other", &[("count", "1")])), "{other}");
        assert!(!other.contains(&texts.text("es", "digest_own", &[("count", "0")])), "what did not happen has no line: {other}");
        s.mail(&pair.buyer, &pair.seller_alias, "Pregunta", "la pregunta");
        assert!(said(&s.world.nth(&pair.seller, 2)).contains("la pregunta"), "no second digest");
        assert_eq!((s.world.mailboxes.count(&pair.seller), s.world.mailboxes.count(&quiet.seller)), (2, 1));
        assert_eq!(s.service.terminate(), Some(0));
    });
}

#[test]
fn list_mail_of_a_party_passes_once_a_week() {
    let mut s = Scene::plain(None);
    let pair = s.service.put_pair(1);
    s.mail(&pair.seller, &pair.buyer_alias, "Novedades", "Hola.");
    let to = reply_to(&s.world.nth(&pair.buyer, 1));
    let distribute =
        |s: &Scene, more: &str| s.outcome(&s.send(&pair.buyer, &to, &letter(&pair.buyer, &to, "Boletin", more, "Unas palabras.")));
    let (by_id, by_precedence) = ("List-Id: <a.b.test>\r\n", "Precedence: list\r\n");
    assert_eq!(distribute(&s, by_id), "relay");
    assert_eq!((distribute(&s, by_id), distribute(&s, by_precedence)), ("note".to_owned(), "note".to_owned()));
    for (days, expected) in [(6, "note"), (8, "relay")] {
        s.service.terminate();
        s.service.run_ahead(days);
        assert_eq!(distribute(&s, by_precedence), expected, "{days} days later");
    }
    s.world.nth(&pair.seller, 2);
    assert_eq!((s.service.entries(&pair, "notice.queued"), s.world.mailboxes.count(&pair.seller)), (0, 2), "a machine is told nothing");
    assert_eq!(s.service.terminate(), Some(0));
}

/// What a mailbox that redirects sends on: the mail with all its marks, under its own name.
fn redirected(mail: &StoredMail, from: &str, to: &str) -> Vec<u8> {
    let (fields, body_at) = Fields::read(&mail.octets);
    let mut out = format!("From: {from}\r\nTo: {to}\r\n").into_bytes();
    let left_out = ["from", "to", "reply-to", "dkim-signature"];
    for field in fields.iter().filter(|f| !left_out.contains(&f.name.to_ascii_lowercase().as_str())) {
        out.extend([field.name.as_bytes(), b":", field.value, b"\r\n"].concat());
    }
    out.extend(b"\r\n");
    out.extend(&mail.octets[body_at..]);
    out
}

#[test]
fn mail_that_goes_round_ends() {
    let s = Scene::plain(None);
    let pair = s.service.put_pair(1);
    s.mail(&pair.buyer, &pair.seller_alias, "Pregunta", "Cuando llega?");
    let mut arrived = s.world.nth(&pair.seller, 1);
    // As it came: an address of ours is nobody's outside.
    let e = s.world.send(s.service.smtp, &pair.seller, &[&pair.buyer_alias], &arrived.octets);
    assert_eq!(e.code, 550, "{}", e.text);
    // Under each side's own name, to and fro.
    let (mut reader, mut other) = ((&pair.seller, &pair.buyer_alias), (&pair.buyer, &pair.seller_alias));
    let mut rounds = 0;
    loop {
        let before = s.world.mailboxes.count(other.0);
        let e = s.world.send(s.service.smtp, reader.0, &[reader.1], &redirected(&arrived, reader.0, reader.1));
        if !e.is_accepted() {
            assert!(e.code == 550 && e.text.starts_with("5.4.6"), "{} {}", e.code, e.text);
            break;
        }
        rounds += 1;
        assert!(rounds < 8, "it goes on and on");
        arrived = s.world.nth(other.0, before + 1);
        (reader, other) = (other, reader);
    }
    assert!(rounds >= 1, "the first redirect is one person's answer to another");
}

#[test]
fn postmaster_and_abuse_reach_the_operator_whoever_writes() {
    let s = scene(None);
    let writers = [STRANGER, "avisos@correos.es", ""];
    for (n, writer) in (1..).zip(writers) {
        let from = if writer.is_empty() { "mailer-daemon@elsewhere.test" } else { writer };
        let role = if n == 2 { "Abuse@market.test" } else { "postmaster@market.test" };
        let subject = format!("asunto {n}");
        let e = s.world.send(s.service.smtp, writer, &[role], letter(from, role, &subject, "", "Unas palabras.").as_bytes());
        assert!(e.is_accepted(), "{writer}: {}", e.text);
        assert_eq!(header(&s.world.nth("boss@office.test", n), "Subject"), subject);
    }
}

/// One session after another, as a client that minds no answer.
struct Flooder {
    server: SocketAddr,
    session: Option<BufReader<TcpStream>>,
}

impl Flooder {
    /// Says something and reads so many replies; fewer if the session ends.
    fn say(&mut self, text: &str, replies: usize) -> Vec<u16> {
        let mut codes = Vec::new();
        if self.session.is_none() {
            self.session = TcpStream::connect(self.server).ok().map(BufReader::new);
            self.read(1, &mut Vec::new());
            self.write("EHLO flood.test\r\n");
            self.read(1, &mut Vec::new());
        }
        self.write(text);
        self.read(replies, &mut codes);
        codes
    }

    fn write(&mut self, text: &str) {
        let written = self.session.as_mut().is_some_and(|s| s.get_mut().write_all(text.as_bytes()).is_ok());
        if !written {
            self.session = None;
        }
    }

    fn read(&mut self, replies: usize, codes: &mut Vec<u16>) {
        while codes.len() < replies {
            let mut line = String::new();
            let Some(session) = self.session.as_mut() else { return };
            if !session.read_line(&mut line).is_ok_and(|n| n > 0) {
                self.session = None;
                return;
            }
            if line.as_bytes().get(3) == Some(&b' ') {
                codes.push(line[..3].parse().unwrap_or(0));
            }
        }
    }

    /// One message; gives the code that decided, 0 where the session ended without one.
    fn transaction(&mut self, from: &str, to: &str) -> u16 {
        let codes = self.say(&format!("RSET\r\nMAIL FROM:<{from}>\r\nRCPT TO:<{to}>\r\nDATA\r\n"), 4);
        if codes.last() != Some(&354) {
            return codes.into_iter().find(|code| *code >= 400).unwrap_or(0);
        }
        self.say(&format!("{}.\r\n", letter(from, to, "Pregunta", "", "Unas palabras.")), 1).first().copied().unwrap_or(0)
    }
}

#[test]
fn ten_thousand_messages_of_one_client_are_slowed_and_others_are_served_meanwhile() {
    const MESSAGES: usize = 10_000;
    const SESSIONS: usize = 20;
    const PER_MINUTE: u64 = 1_200;
    let s = Scene::new(Setup { smtp: format!("messages_per_minute = {PER_MINUTE}\n"), ..Setup::default() });
    let (flooded, quiet) = (s.service.put_pair(1), s.service.put_pair(2));
    s.world.zone.txt("second.test", "v=spf1 ip4:127.0.0.2 -all");
    s.service.put("/buyers/b2", &json!({"email": "eva@second.test"}));
    let (sent, limited, served) = (AtomicUsize::new(0), AtomicBool::new(false), AtomicBool::new(false));
    let codes: Mutex<BTreeMap<u16, u64>> = Mutex::default();
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..SESSIONS {
            scope.spawn(|| {
                let mut flooder = Flooder { server: s.service.smtp, session: None };
                // On and on until the other client was served.
                while sent.fetch_add(1, Ordering::Relaxed) < MESSAGES || !served.load(Ordering::Relaxed) {
                    let code = flooder.transaction(&flooded.buyer, &flooded.seller_alias);
                    if code == 450 {
                        limited.store(true, Ordering::Relaxed);
                    }
                    *codes.lock().unwrap().entry(code).or_default() += 1;
                }
            });
        }
        let other = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            eventually("the client is slowed", || limited.load(Ordering::Relaxed).then_some(()));
            let program = format!(
                "import smtplib\ns = smtplib.SMTP('127.0.0.1', {}, 'mx.second.test', 30, ('127.0.0.2', 0))\ns.sendmail('eva@second.test', ['{}'], 'From: eva@second.test\\r\\nSubject: x\\r\\n\\r\\nla otra\\r\\n')",
                s.service.smtp.port(),
                quiet.seller_alias
            );
            let output = Command::new("/usr/bin/python3").args(["-c", &program]).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            assert!(said(&s.world.nth(&quiet.seller, 1)).contains("la otra"));
        }));
        // Whatever became of it, the flood ends.
        served.store(true, Ordering::Relaxed);
        if let Err(fault) = other {
            std::panic::resume_unwind(fault);
        }
    });
    let codes = codes.into_inner().unwrap();
    println!("{codes:?} in {:?}", started.elapsed());
    assert!(codes.values().sum::<u64>() >= MESSAGES as u64, "{codes:?}");
    let minutes = started.elapsed().as_secs() / 60 + 2;
    let accepted = codes.get(&250).copied().unwrap_or(0);
    assert!(accepted > 0 && accepted <= PER_MINUTE * minutes, "{codes:?}");
    assert!(codes.get(&450).is_some_and(|n| *n > accepted), "{codes:?}");
    // The most that the service itself ever held.
    let status = std::fs::read_to_string(format!("/proc/{}/status", s.service.pid())).unwrap();
    let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap();
    let peak_kib: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak_kib < 300_000, "{peak}");
    assert_eq!(e2e::http::request(s.service.web, "GET", "/readyz", None, "", b"").unwrap().status, 200);
}

/// The buyer asks, the seller answers; both arrive.
fn exchange(s: &Scene, pair: &Pair) -> String {
    let (asked, answered) = (s.world.mailboxes.count(&pair.seller), s.world.mailboxes.count(&pair.buyer));
    let id = s.mail(&pair.buyer, &pair.seller_alias, "Pregunta", "Cuando llega?");
    let question = s.world.nth(&pair.seller, asked + 1);
    s.mail(&pair.seller, &reply_to(&question), "Respuesta", "El jueves.");
    s.world.nth(&pair.buyer, answered + 1);
    id
}

#[test]
fn a_clock_that_jumps_loses_no_mail() {
    let mut s = Scene::plain(None);
    let pair = s.service.put_pair(1);
    let clock = s.service.folder.path().join("clock");
    // Put in place whole, so that it is never read half written.
    let set = |offset: &str| {
        let fresh = clock.with_extension("new");
        std::fs::write(&fresh, format!("{offset}\n")).unwrap();
        std::fs::rename(&fresh, &clock).unwrap();
    };
    set("+0d");
    s.service.terminate();
    let preload = "LD_PRELOAD=/usr/$LIB/faketime/libfaketimeMT.so.1";
    let file = format!("FAKETIME_TIMESTAMP_FILE={}", clock.display());
    s.service.run_under(&["env", preload, "FAKETIME_DONT_FAKE_MONOTONIC=1", "FAKETIME_NO_CACHE=1", &file]);
    exchange(&s, &pair);
    s.world.mailboxes.behave(&pair.seller, Behaviour::Defer);
    let waiting = s.mail(&pair.buyer, &pair.seller_alias, "Otra", "Otra pregunta.");
    eventually("it is deferred", || (s.service.get(&format!("/messages/{waiting}"))["delivery"] == "deferred").then_some(()));
    s.world.mailboxes.behave(&pair.seller, Behaviour::Accept);
    // Two days on, what waited is due.
    set("+2d");
    assert!(said(&s.world.nth(&pair.seller, 2)).contains("Otra pregunta."));
    for offset in ["+400d", "-1d", "+0d"] {
        set(offset);
        let id = exchange(&s, &pair);
        let accepted: jiff::Timestamp = s.service.get(&format!("/messages/{id}"))["accepted_at"].as_str().unwrap().parse().unwrap();
        let hours = accepted.duration_since(jiff::Timestamp::now()).as_secs_f64() / 3600.0;
        let expected: f64 = 24.0 * offset.trim_end_matches('d').parse::<f64>().unwrap();
        assert!((hours - expected).abs() < 1.0, "the service's clock is {hours} hours off, not {expected}");
    }
    // The same over a restart: what was made in a time to come is still known.
    assert_eq!(s.service.terminate(), Some(0));
    s.service.run_ahead(400);
    exchange(&s, &pair);
    let tagged = reply_to(&s.world.nth(&pair.buyer, s.world.mailboxes.count(&pair.buyer)));
    assert_eq!(s.service.terminate(), Some(0));
    s.service.run_under(&[]);
    exchange(&s, &pair);
    let id = s.mail(&pair.buyer, &tagged, "Re: Respuesta", "Gracias.");
    assert_eq!(s.service.get(&format!("/messages/{id}"))["rung"], "tag");
    let log = s.service.log();
    assert!(!log.contains("panicked") && !log.contains("cannot be preloaded"), "{log}");
}

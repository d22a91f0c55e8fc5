//! Reports of other mail systems at our reverse-paths and aliases: what they change, what the writer is told, and that
//! nothing of them is ever passed on.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods)] // Helpers of tests may panic and speak.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::texts::Texts;
use e2e::eventually;
use e2e::scene::{Scene, on_both};
use e2e::service::{Pair, assert_log_is_clean};
use e2e::world::{header, said};
use sandbox::{Behaviour, Exchange, StoredMail};
use serde::Deserialize;
use serde_json::{Value, json};

/// Shorter lines of a report may stand in any mail.
const TELLING_LINE: usize = 40;

/// What one file of the corpus says.
#[derive(Deserialize)]
struct Row {
    name: String,
    kind: String,
    /// `action status` for each recipient.
    said: Vec<String>,
}

#[derive(Deserialize)]
struct Table {
    bounces: Vec<Row>,
}

/// A buyer's message that reached the seller, and where reports about it go.
struct Sent {
    pair: Pair,
    id: String,
    /// As the seller got it.
    mail: StoredMail,
}

impl Sent {
    fn verp(&self) -> &str {
        &self.mail.reverse_path
    }

    /// The Message-ID that only the seller was given.
    fn message_id(&self) -> String {
        header(&self.mail, "Message-ID")
    }

    fn state(&self, s: &Scene) -> String {
        s.service.get(&format!("/messages/{}", self.id))["delivery"].as_str().unwrap().to_owned()
    }

    fn kinds(&self, s: &Scene, kind: &str) -> usize {
        s.service.entries(&self.pair, kind)
    }
}

fn sent(s: &Scene, n: usize) -> Sent {
    let pair = s.service.put_pair(n);
    let id = s.mail(&pair.buyer, &pair.seller_alias, "Pregunta", "Cuando llega?");
    let mail = s.world.nth(&pair.seller, 1);
    let sent = Sent { pair, id, mail };
    eventually("its delivery is noted", || (sent.state(s) == "delivered").then_some(()));
    sent
}

/// Comes as a mail system sends it: without a reverse-path.
fn report(s: &Scene, to: &str, octets: &[u8]) -> Exchange {
    s.world.send(s.service.smtp, "", &[to], octets)
}

/// The mail with CRLF line ends; an mbox line in front is no header.
fn on_the_wire(octets: &[u8]) -> Vec<u8> {
    let text: Vec<u8> = octets.iter().copied().filter(|b| *b != b'\r').collect();
    let text = if text.starts_with(b"From ") { text.splitn(2, |b| *b == b'\n').nth(1).unwrap_or_default().to_vec() } else { text };
    text.split(|b| *b == b'\n').flat_map(|l| [l, b"\r\n"].concat()).collect()
}

/// Addresses and long lines of a report: whoever reads them in another mail reads the report.
fn telling(octets: &[u8]) -> BTreeSet<String> {
    let text = String::from_utf8_lossy(octets).to_lowercase();
    let is_address = |word: &&str| word.split_once('@').is_some_and(|(local, domain)| !local.is_empty() && domain.contains('.'));
    let words = text.split(|c: char| c.is_whitespace() || "<>()[]\"',;:".contains(c)).filter(is_address);
    // Fields that every report of anybody's has.
    let is_ours = |line: &&str| ["content-", "mime-", "auto-submitted", "dkim-signature"].iter().any(|begin| line.starts_with(begin));
    let lines = text.lines().map(str::trim).filter(|line| line.len() >= TELLING_LINE && !is_ours(line));
    words.chain(lines).map(str::to_owned).collect()
}

fn assert_tells_nothing_of(mail: &StoredMail, report: &[u8], name: &str) {
    let all = format!("{}\n{}", String::from_utf8_lossy(&mail.octets), said(mail)).to_lowercase();
    for secret in telling(report) {
        assert!(!all.contains(&secret), "{name}: {secret:?} stands in\n{all}");
    }
}

/// Our own notification to the buyer; gives the status in it.
fn assert_notifies(sent: &Sent, mail: &StoredMail, name: &str) -> String {
    assert_eq!((mail.reverse_path.as_str(), header(mail, "Auto-Submitted").as_str()), ("", "auto-replied"), "{name}");
    let message = mail::mime::parse(&mail.octets).unwrap();
    let kinds: Vec<&str> = message.entities.iter().map(|e| e.media_type.as_str()).collect();
    assert_eq!(kinds, ["multipart/report", "text/plain", "message/delivery-status", "text/rfc822-headers"], "{name}");
    let raw = String::from_utf8(mail.octets.clone()).unwrap();
    assert!(raw.split("\r\n").all(|line| !line.contains(['\r', '\n'])), "{name}: a bare line end");
    let alias = &sent.pair.seller_alias;
    for part in [format!("Final-Recipient: rfc822; {alias}"), "Action: failed".to_owned(), format!("To: <{alias}>")] {
        assert!(raw.contains(&format!("\r\n{part}\r\n")), "{name}: {part:?} is missing in\n{raw}");
    }
    for foreign in [sent.pair.seller.as_str(), sent.verp(), "shop.test"] {
        assert!(!raw.contains(foreign), "{name}: {foreign} stands in\n{raw}");
    }
    let status = raw.split("\r\nStatus: ").nth(1).unwrap_or_default();
    status.lines().next().unwrap_or_default().to_owned()
}

fn table() -> BTreeMap<String, Row> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../crates/mail/report/cases/sisimai.toml");
    let table: Table = toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    table.bounces.into_iter().map(|row| (row.name.clone(), row)).collect()
}

/// The files of the corpus; small ones of our own stand in where it is absent.
fn files() -> Vec<(Row, Vec<u8>)> {
    let Some(corpus) = e2e::corpus() else {
        let row = |name: &str, kind: &str, said: &[&str]| Row {
            name: name.to_owned(),
            kind: kind.to_owned(),
            said: said.iter().map(|s| (*s).to_owned()).collect(),
        };
        let vacation = "From: juan@kijitora.test\r\nSubject: Fuera\r\nAuto-Submitted: auto-replied\r\n\r\nVuelvo el lunes.\r\n";
        return vec![
            (row("formal", "dsn", &["failed 5.1.1"]), formal("juan@kijitora.test", "", "us-ascii", b"no such user")),
            (row("vacation", "auto_reply", &[]), vacation.into()),
        ];
    };
    let mut rows = table();
    let mut files: Vec<PathBuf> = std::fs::read_dir(corpus.join("bounces-sisimai")).unwrap().flatten().map(|e| e.path()).collect();
    files.sort();
    assert!(files.len() > 100, "only {} reports in the corpus", files.len());
    let read = |path: PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let row = rows.remove(&name).unwrap_or_else(|| panic!("{name} has no row in the table"));
        (row, on_the_wire(&std::fs::read(path).unwrap()))
    };
    files.into_iter().map(read).collect()
}

#[test]
fn reports_of_every_dialect_set_the_right_state_and_reach_nobody() {
    let s = Scene::plain(None);
    let (mut right, mut failed) = (0, 0);
    let mut wrong = Vec::new();
    let files = files();
    for (n, (row, octets)) in (1..).zip(&files) {
        let sent = sent(&s, n);
        let name = &row.name;
        // A report that comes twice is one.
        for _ in 0..2 {
            let e = report(&s, sent.verp(), octets);
            assert_eq!(e.code, 250, "{name}: {}", e.text);
        }
        let first_failure = row.said.iter().find_map(|said| said.strip_prefix("failed"));
        let expected = match (row.kind.as_str(), first_failure) {
            ("dsn", Some(_)) => "bounced",
            _ => "delivered",
        };
        let told = usize::from(expected == "bounced" || row.kind == "auto_reply");
        let state = sent.state(&s);
        // What is told stands in the same commit.
        let queued = sent.kinds(&s, "notice.queued");
        if state != expected || queued != usize::from(expected == "bounced") {
            wrong.push(format!("{name}: {state} and {queued} notices, expected {expected}"));
            continue;
        }
        if told == 1 {
            let mail = s.world.nth(&sent.pair.buyer, 1);
            match first_failure {
                // A vacation note is a person's words: they pass, scrubbed, and only they.
                None => {
                    let addresses: Vec<String> = telling(octets).into_iter().filter(|t| !t.contains(' ')).collect();
                    assert_tells_nothing_of(&mail, addresses.join("\n").as_bytes(), name);
                    assert_eq!(header(&mail, "Auto-Submitted"), "auto-replied", "{name}");
                    assert!(header(&mail, "From").contains(&sent.pair.seller_alias), "{name}");
                }
                Some(status) => {
                    assert_tells_nothing_of(&mail, octets, name);
                    let told = assert_notifies(&sent, &mail, name);
                    failed += 1;
                    if !told.starts_with(status.trim()) {
                        wrong.push(format!("{name}: told {told}, expected {status}"));
                        continue;
                    }
                }
            }
        }
        if row.kind == "complaint" {
            assert_eq!(sent.kinds(&s, "message.reported"), 1, "{name}: the reader's button is the reader's report");
        }
        assert_eq!((s.world.mailboxes.count(&sent.pair.seller), s.world.mailboxes.count(&sent.pair.buyer)), (1, told), "{name}");
        right += 1;
    }
    println!("{right} of {} set the right state, {failed} of them failures", files.len());
    wrong.iter().for_each(|line| println!("  {line}"));
    assert!(right * 100 >= files.len() * 99, "{wrong:?}");
    assert!(failed > 0);
    assert_log_is_clean(&s.service.log(), &["kijitora", "buyer1@", "mailer-daemon"]);
}

/// A report as RFC 3464 has it: words in a charset, the status, and `returned` as header of the message.
fn formal(recipient: &str, returned: &str, charset: &str, words: &[u8]) -> Vec<u8> {
    format!(
        "From: MAILER-DAEMON@mx.kijitora.test\r\nTo: <b@market.test>\r\nSubject: Undelivered Mail Returned to Sender\r\nMIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset={charset}\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.kijitora.test\r\n\r\nFinal-Recipient: rfc822; {recipient}\r\nAction: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1 <{recipient}>: unknown\r\n\r\n--b\r\nContent-Type: text/rfc822-headers\r\n\r\n{returned}Subject: Pregunta\r\n\r\n--b--\r\n",
        STANDARD.encode(words)
    )
    .into_bytes()
}

#[test]
fn reports_at_a_reverse_path_of_ours_count_whatever_their_words() {
    let s = Scene::plain(None);
    let charsets = [
        "us-ascii",
        "utf-8",
        "iso-8859-1",
        "windows-1251",
        "koi8-r",
        "iso-2022-jp",
        "shift_jis",
        "gb18030",
        "big5",
        "utf-16",
        "unknown-8bit",
    ];
    // Octets that mean something else in each.
    let words: Vec<u8> = (0..=255).chain(*b"\x1b$B$3$s\x1b(B").collect();
    for (n, charset) in (1..).zip(charsets) {
        let sent = sent(&s, n);
        assert_eq!(report(&s, sent.verp(), &formal(&sent.pair.seller, "", charset, &words)).code, 250, "{charset}");
        assert_eq!(sent.state(&s), "bounced", "{charset}");
        assert_eq!(assert_notifies(&sent, &s.world.nth(&sent.pair.buyer, 1), charset), "5.1.1");
    }
    // A system that reports under an address of its own.
    let own = sent(&s, 30);
    let octets = formal(&own.pair.seller, "", "us-ascii", b"no such user");
    assert_eq!(s.world.send(s.service.smtp, "postmaster@elsewhere.test", &[own.verp()], &octets).code, 250);
    assert_eq!(own.state(&s), "bounced");
    // Nested ten deep: whatever is made of it, nothing of it is passed on.
    let deep = sent(&s, 31);
    let mut octets = formal("juan@kijitora.test", "", "us-ascii", b"no such user");
    for _ in 0..10 {
        octets = [b"From: MAILER-DAEMON@mx.kijitora.test\r\nContent-Type: message/rfc822\r\n\r\n".to_vec(), octets].concat();
    }
    assert_eq!(report(&s, deep.verp(), &octets).code, 250);
    let told = deep.kinds(&s, "notice.queued");
    assert!(told <= 1);
    for mail in (1..=told).map(|n| s.world.nth(&deep.pair.buyer, n)) {
        assert_tells_nothing_of(&mail, &octets, "nested");
    }
    assert_eq!((s.world.mailboxes.count(&deep.pair.seller), s.world.mailboxes.count(&deep.pair.buyer)), (1, told));
}

#[test]
fn forged_reports_change_nothing() {
    let mut s = Scene::plain(None);
    let (mine, other) = (sent(&s, 1), sent(&s, 2));
    let about = |sent: &Sent| {
        let returned = format!("Return-Path: <{}>\r\nMessage-ID: {}\r\n", sent.verp(), sent.message_id());
        formal(&sent.pair.seller, &returned, "us-ascii", b"no such user")
    };
    let unknown = formal(&mine.pair.seller, "Message-ID: <guessed@market.test>\r\n", "us-ascii", b"no such user");
    let (id, mac) = mine.verp().split_once('@').unwrap().0.rsplit_once('-').unwrap();
    let wrong_mac = format!("{id}-{}@market.test", mac.chars().map(|c| if c == '0' { '1' } else { '0' }).collect::<String>());
    let (_, other_mac) = other.verp().split_once('@').unwrap().0.rsplit_once('-').unwrap();
    for forged in [wrong_mac, format!("{id}-{other_mac}@market.test"), format!("{id}-@market.test"), format!("{id}@market.test")] {
        assert_eq!(report(&s, &forged, &unknown).code, 550, "{forged} is an unknown address");
    }
    // To an alias without a word that only the recipient knows; to one of another pair; to the other side's.
    for (alias, octets) in [
        (&mine.pair.buyer_alias, &unknown),
        (&mine.pair.buyer_alias, &about(&other)),
        (&other.pair.buyer_alias, &about(&mine)),
        (&mine.pair.seller_alias, &about(&other)),
    ] {
        assert_eq!(report(&s, alias, octets).code, 250);
    }
    assert_eq!((mine.state(&s).as_str(), other.state(&s).as_str()), ("delivered", "delivered"));
    assert_eq!((mine.kinds(&s, "report.noted"), other.kinds(&s, "report.noted")), (3, 1), "noted, on the pair that was written to");
    assert_eq!(s.world.mailboxes.total(), 2, "and told to nobody");
    // An old reverse-path: taken and noted.
    s.service.terminate();
    s.service.run_ahead(31);
    assert_eq!(report(&s, mine.verp(), &about(&mine)).code, 250);
    assert_eq!((mine.state(&s).as_str(), mine.kinds(&s, "report.noted")), ("delivered", 4));
    assert_eq!(s.service.terminate(), Some(0));
    s.service.run_under(&[]);
    // What names another pair's message at the right reverse-path speaks of this path's message.
    assert_eq!(report(&s, mine.verp(), &about(&other)).code, 250);
    assert_eq!((mine.state(&s).as_str(), other.state(&s).as_str()), ("bounced", "delivered"));
    assert_notifies(&mine, &s.world.nth(&mine.pair.buyer, 1), "the right path");
}

#[test]
fn reports_to_the_alias_count_with_what_only_the_recipient_knows() {
    let s = Scene::plain(None);
    let (by_id, by_path) = (sent(&s, 1), sent(&s, 2));
    let of_id = format!("Message-ID: {}\r\n", by_id.message_id());
    let of_path = format!("Return-Path: <{}>\r\n", by_path.verp());
    for (sent, returned) in [(&by_id, of_id), (&by_path, of_path)] {
        let octets = formal(&sent.pair.seller, &returned, "us-ascii", b"no such user");
        assert_eq!(report(&s, &sent.pair.buyer_alias, &octets).code, 250);
        assert_eq!(sent.state(&s), "bounced", "{returned}");
        assert_notifies(sent, &s.world.nth(&sent.pair.buyer, 1), &returned);
    }
}

#[test]
fn vacation_notes_to_the_reverse_path_pass_once_a_week() {
    on_both(|database| {
        let mut s = Scene::plain(database);
        let sent = sent(&s, 1);
        let note = |n: usize| {
            format!(
                "From: {}\r\nSubject: Fuera de la oficina\r\nMessage-ID: <v{n}@laptop.test>\r\nAuto-Submitted: auto-replied (vacation)\r\n\r\nVuelvo el lunes, {}.\r\n",
                sent.pair.seller, sent.pair.seller
            )
        };
        for n in 0..3 {
            assert_eq!(report(&s, sent.verp(), note(n).as_bytes()).code, 250);
        }
        let got = s.world.nth(&sent.pair.buyer, 1);
        assert!(said(&got).contains("Vuelvo el lunes") && !said(&got).contains("shop.test"), "{}", said(&got));
        assert_eq!(header(&got, "Auto-Submitted"), "auto-replied");
        // Beyond the week: once again, and still it answers nothing.
        s.service.terminate();
        s.service.run_ahead(8);
        assert_eq!(report(&s, sent.verp(), note(4).as_bytes()).code, 250);
        s.world.nth(&sent.pair.buyer, 2);
        assert_eq!((s.world.mailboxes.count(&sent.pair.buyer), s.world.mailboxes.count(&sent.pair.seller)), (2, 1));
        assert_eq!(sent.state(&s), "delivered");
        let conversations = s.service.get(&format!("/pairs/{}/conversations", sent.pair.id));
        assert_eq!(conversations["items"][0]["response_needed"], true, "{conversations}");
        assert_eq!(s.service.terminate(), Some(0));
    });
}

#[test]
fn an_address_that_refuses_three_times_is_given_up_until_there_is_a_new_one() {
    on_both(|database| {
        let s = Scene::plain(database);
        let pair = s.pair(1, "es");
        let write = |n: usize| s.mail(&pair.seller, &pair.buyer_alias, &format!("Aviso {n}"), "Unas palabras.");
        let state = |id: &str, wanted: &str| {
            eventually(wanted, || (s.service.get(&format!("/messages/{id}"))["delivery"] == wanted).then_some(()));
        };
        s.world.mailboxes.behave(&pair.buyer, Behaviour::Refuse);
        let texts = Texts::embedded();
        for n in 1..=3 {
            state(&write(n), "bounced");
            let told = said(&s.world.nth(&pair.seller, n));
            assert!(told.contains(&texts.text("es", "status_bad_mailbox", &[])), "{told}");
            assert!(!told.contains(&pair.buyer) && !told.contains("unknown here"), "{told}");
        }
        // Now on the page only, although the mailbox would take it again; told once.
        s.world.mailboxes.behave(&pair.buyer, Behaviour::Accept);
        state(&write(4), "on_page");
        let told = said(&s.world.nth(&pair.seller, 4));
        assert!(told.contains(&texts.text("es", "notice_undeliverable_buyer", &[])), "{told}");
        state(&write(5), "on_page");
        s.service.put("/buyers/b1", &json!({"email": "nueva@buyer.test"}));
        state(&write(6), "delivered");
        assert_eq!(header(&s.world.nth("nueva@buyer.test", 1), "Subject"), "Aviso 6");
        assert_eq!((s.world.mailboxes.count(&pair.buyer), s.world.mailboxes.count(&pair.seller)), (0, 4));
        let ledger: Value = s.service.get(&format!("/pairs/{}/ledger?limit=200", pair.id));
        assert!(!ledger.to_string().contains('@'), "{ledger}");
    });
}

#[test]
fn who_wrote_a_message_cannot_report_on_it_in_the_readers_name() {
    let s = Scene::plain(None);
    let pair = s.service.put_pair(1);
    let own = "own-id@laptop.test";
    let question =
        format!("From: {}\r\nTo: {}\r\nSubject: Pregunta\r\nMessage-ID: <{own}>\r\n\r\nCuando llega?\r\n", pair.buyer, pair.seller_alias);
    let id = s.send(&pair.buyer, &pair.seller_alias, &question);
    s.world.nth(&pair.seller, 1);
    // The id that the writer gave it is known to the writer: it proves nothing of the reader.
    let answer = format!(
        "From: x@shop.test\r\nSubject: Fuera\r\nAuto-Submitted: auto-replied\r\nIn-Reply-To: <{own}>\r\n\r\nPalabras inventadas.\r\n"
    );
    let failure = formal(&pair.seller, &format!("Message-ID: <{own}>\r\n"), "us-ascii", b"no such user");
    for octets in [answer.as_bytes(), &failure] {
        assert_eq!(report(&s, &pair.buyer_alias, octets).code, 250);
    }
    eventually("its delivery is noted", || (s.service.get(&format!("/messages/{id}"))["delivery"] == "delivered").then_some(()));
    assert_eq!((s.service.entries(&pair, "report.noted"), s.service.entries(&pair, "report.received")), (2, 0));
    assert_eq!((s.world.mailboxes.count(&pair.seller), s.world.mailboxes.count(&pair.buyer)), (1, 0));
}

//! Postfix, Exim and Dovecot on the other side: each as sender and as receiver, with TLS and without, busy for days,
//! reporting late, and answering by themselves.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods)] // Helpers of tests may panic and speak.

use std::process::Command;

use e2e::eventually;
use e2e::peers::street::{Street, assert_report, delivery, entries_of, submit, waiting};
use e2e::peers::{BUSY, GONE, Kind, Onward, certificate, dovecot_with};
use e2e::scene::{Scene, letter};
use e2e::service::{Pair, Service, Setup, assert_log_is_clean, free_port};
use e2e::world::{World, header, said};
use sandbox::StoredMail;
use serde_json::json;

/// Eight-bit text, as a client declares it.
const EIGHT_BIT: &str = "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n";

/// Where an answer to a mail goes.
fn reply_to(mail: &StoredMail) -> String {
    header(mail, "Reply-To").rsplit('<').next().unwrap().trim_end_matches('>').to_owned()
}

/// What may not reach the writer of the buyer's server and address.
const OF_THE_BUYER: [&str; 4] = ["buyer.test", "recv.test", "is busy", "doesn't exist"];

#[test]
fn postfix_sends_and_receives_in_clear() {
    both_ways(Kind::Postfix, false);
}

#[test]
fn postfix_sends_and_receives_over_tls() {
    both_ways(Kind::Postfix, true);
}

#[test]
fn exim_sends_and_receives_in_clear() {
    both_ways(Kind::Exim, false);
}

#[test]
fn exim_sends_and_receives_over_tls() {
    both_ways(Kind::Exim, true);
}

fn both_ways(kind: Kind, tls: bool) {
    let s = Street::new(kind, tls);
    let pair = s.service.put_pair(1);
    // Long enough for several chunks; lines that begin with dots are stuffed in DATA and left alone in BDAT.
    let text = format!("Bom dia!\r\n.Primeira\r\n..Segunda\r\n{}Até logo!", "Mais uma linha como as outras, até aqui.\r\n".repeat(1_000));
    let octets = letter(&pair.buyer, &pair.seller_alias, "Onde =?utf-8?q?est=C3=A1=3F?=", EIGHT_BIT, &text);
    let said_there = submit(s.sender.port, (&pair.buyer, "BODY=8BITMIME"), (&pair.seller_alias, ""), octets.as_bytes());
    assert_eq!(said_there.0, 250, "{}", said_there.1);
    let question = s.dove.nth(&pair.seller, 1);
    let arrived = said(&question);
    let lines: Vec<&str> = arrived.lines().map(str::trim_end).collect();
    for line in [".Primeira", "..Segunda", "Até logo!"] {
        assert!(lines.contains(&line), "{line:?} is missing");
    }
    assert!(lines.iter().filter(|l| **l == "Mais uma linha como as outras, até aqui.").count() >= 1_000, "a line is lost");

    let to = reply_to(&question);
    let octets = letter(&pair.seller, &to, "Re: Onde", "", "Llega el jueves.");
    assert_eq!(submit(s.sender.port, (&pair.seller, ""), (&to, ""), octets.as_bytes()).0, 250);
    let answer = s.dove.nth(&pair.buyer, 1);
    assert!(said(&answer).contains("Llega el jueves."));

    s.settle();
    assert_sent_as_expected(&s, kind, tls);
    for mail in [&question, &answer] {
        let octets = String::from_utf8_lossy(&mail.octets);
        let above_ours = octets.split("DKIM-Signature").next().unwrap().to_ascii_lowercase();
        assert_eq!(above_ours.contains("with esmtps"), tls, "{above_ours}");
    }
    let attempts = entries_of(&s.service, &pair, "delivery.attempted");
    let how: Vec<_> = attempts.iter().map(|a| (a["state"].as_str().unwrap(), a["tls"].as_str().unwrap_or("nothing"))).collect();
    let word = if tls { "encrypted" } else { "clear" };
    assert_eq!(how, [("delivered", word); 2]);
    assert_log_is_clean(&s.service.log(), &["Onde", "jueves", &pair.buyer_alias[..15]]);
}

/// The sender's own log says how it spoke with us.
fn assert_sent_as_expected(s: &Street, kind: Kind, tls: bool) {
    let word = if kind == Kind::Postfix { "status=sent" } else { " => " };
    let log = eventually("the sender's log", || Some(s.sender.log()).filter(|log| log.contains(word)));
    match kind {
        Kind::Postfix => assert_eq!(log.contains("TLS connection established to 127.0.0.1"), tls, "{log}"),
        Kind::Exim => {
            for line in log.lines().filter(|l| l.contains(word)) {
                assert_eq!(line.contains(" X=TLS1."), tls, "{line}");
                assert!(line.contains(" L K "), "pipelined and in chunks: {line}");
            }
        }
    }
}

#[test]
fn smtputf8_mail_of_postfix_is_taken() {
    unicode_header(Kind::Postfix);
}

#[test]
fn smtputf8_mail_of_exim_is_taken() {
    unicode_header(Kind::Exim);
}

/// RFC 6532: Unicode in the header itself, which a server hands on only where SMTPUTF8 is offered.
fn unicode_header(kind: Kind) {
    let s = Street::new(kind, false);
    let pair = s.service.put_pair(1);
    let octets = letter(&pair.buyer, &pair.seller_alias, "¿Dónde está?", EIGHT_BIT, "¿Llegó ya?");
    let octets = octets.replace("From: ", "From: José Muñoz <").replace("@buyer.test\r\nTo:", "@buyer.test>\r\nTo:");
    let taken = submit(s.sender.port, (&pair.buyer, "SMTPUTF8 BODY=8BITMIME"), (&pair.seller_alias, ""), octets.as_bytes());
    assert_eq!(taken.0, 250, "{}", taken.1);
    let got = s.dove.nth(&pair.seller, 1);
    assert_eq!(header(&got, "Subject"), "[302-0000001] ¿Dónde está?");
    assert!(said(&got).contains("¿Llegó ya?"));
    assert!(got.octets.is_ascii(), "what we write has seven bits");
}

#[test]
fn what_postfix_hands_on_of_a_wish_to_be_told_is_granted() {
    told_of_success(Kind::Postfix);
}

#[test]
fn what_exim_hands_on_of_a_wish_to_be_told_is_granted() {
    told_of_success(Kind::Exim);
}

fn told_of_success(kind: Kind) {
    let s = Street::new(kind, true);
    let pair = s.service.put_pair(1);
    let octets = letter(&pair.seller, &pair.buyer_alias, "Medidas", "", "Mide dos metros.");
    let from = (pair.seller.as_str(), "RET=HDRS ENVID=carta-1");
    let to = (pair.buyer_alias.as_str(), "NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;tienda@laptop.test");
    assert_eq!(submit(s.sender.port, from, to, octets.as_bytes()).0, 250);
    s.dove.nth(&pair.buyer, 1);
    let report = assert_report(&s.dove.nth(&pair.seller, 1), &pair.buyer_alias, "relayed", "2.", &OF_THE_BUYER);
    assert_eq!(report["message"]["original-envelope-id"], "carta-1");
    assert_eq!(report["recipients"][0]["original-recipient"].as_str().unwrap().replace(' ', ""), "rfc822;tienda@laptop.test");
    s.settle();
    assert_eq!((s.dove.count(&pair.seller), s.dove.count(&pair.buyer)), (1, 1));
}

#[test]
fn postfix_that_is_busy_for_five_days_makes_one_report() {
    busy_for_five_days(Kind::Postfix);
}

#[test]
fn exim_that_is_busy_for_five_days_makes_one_report() {
    busy_for_five_days(Kind::Exim);
}

fn busy_for_five_days(kind: Kind) {
    let mut s = Street::new(kind, true);
    let pair = s.service.put_pair(BUSY);
    let octets = letter(&pair.seller, &pair.buyer_alias, "Medidas", "", "Mide dos metros.");
    let (code, text) = submit(s.service.smtp.port(), (&pair.seller, ""), (&pair.buyer_alias, ""), octets.as_bytes());
    assert_eq!(code, 250, "{text}");
    let id = text.rsplit(' ').next().unwrap().to_owned();
    let states = |s: &Street| -> Vec<(String, String)> {
        let of_it = entries_of(&s.service, &pair, "delivery.attempted").into_iter().filter(|a| a["message"] == id.as_str());
        of_it.map(|a| (a["state"].as_str().unwrap().to_owned(), a["status"].as_str().unwrap().to_owned())).collect()
    };
    let mut attempts = 0;
    for day in 0..=5 {
        if day > 0 {
            assert_eq!(delivery(&s.service, &id), "deferred", "before day {day}");
            assert_eq!(s.dove.count(&pair.seller), 0, "before day {day}");
            s.service.terminate();
            s.service.run_ahead(day);
        }
        attempts = eventually("another attempt", || Some(states(&s).len()).filter(|n| *n > attempts));
    }
    let report = s.dove.nth(&pair.seller, 1);
    assert_report(&report, &pair.buyer_alias, "failed", "4.", &OF_THE_BUYER);
    assert_eq!(delivery(&s.service, &id), "bounced");
    let all = states(&s);
    let (last, before) = all.split_last().unwrap();
    assert_eq!(last.0, "bounced");
    assert!(before.iter().all(|(state, status)| state == "deferred" && status == "4.2.1"), "{before:?}");
    s.service.terminate();
    s.service.run_ahead(6);
    s.settle();
    assert_eq!((states(&s).len(), s.dove.count(&pair.seller)), (all.len(), 1), "that was all");
    assert_eq!(s.service.terminate(), Some(0));
}

#[test]
fn what_postfix_reports_later_reaches_the_writer_in_our_words() {
    reported_later(Kind::Postfix);
}

#[test]
fn what_exim_reports_later_reaches_the_writer_in_our_words() {
    reported_later(Kind::Exim);
}

/// The server takes the mail, finds no mailbox behind itself, and sends a report to our reverse-path.
fn reported_later(kind: Kind) {
    let s = Street::new(kind, true);
    let pair = s.service.put_pair(GONE);
    let octets = letter(&pair.seller, &pair.buyer_alias, "Medidas", "", "Mide dos metros.");
    let (code, text) = submit(s.service.smtp.port(), (&pair.seller, ""), (&pair.buyer_alias, ""), octets.as_bytes());
    assert_eq!(code, 250, "{text}");
    let id = text.rsplit(' ').next().unwrap();
    assert_report(&s.dove.nth(&pair.seller, 1), &pair.buyer_alias, "failed", "5.", &OF_THE_BUYER);
    s.settle();
    assert_eq!(delivery(&s.service, id), "bounced");
    let attempts = entries_of(&s.service, &pair, "delivery.attempted");
    let of_it: Vec<_> = attempts.iter().filter(|a| a["message"] == id).collect();
    assert!(of_it.len() == 1 && of_it[0]["state"] == "delivered", "the next server took it: {of_it:?}");
    let reports = entries_of(&s.service, &pair, "report.received");
    assert_eq!(reports.len(), 1, "{reports:?}");
    let report = &reports[0];
    assert_eq!((&report["about"], &report["action"], &report["verified"]), (&json!(id), &json!("failed"), &json!(true)), "{report}");
    assert_eq!((s.dove.count(&pair.seller), s.service.entries(&pair, "delivery.reported")), (1, 1), "told once");
    assert_log_is_clean(&s.service.log(), &["Medidas", &pair.buyer_alias[..15]]);
}

/// A service with a submission port, its sellers' mail ending in the sandbox's mailboxes.
fn with_submission(world: &World, folder: &std::path::Path) -> (Service, u16) {
    let port = free_port();
    certificate(folder, "mx.market.test");
    let path = |name: &str| folder.join(name).display().to_string();
    let service = Service::start(Setup {
        route: world.route(),
        dns: Some(world.dns),
        smtp: format!("submission = [\"127.0.0.1:{port}\"]\n"),
        more: format!("[tls]\ncertificate = \"{}\"\nkey = \"{}\"\n", path("cert.pem"), path("key.pem")),
        ..Setup::default()
    });
    (service, port)
}

#[test]
fn dovecot_submits_what_its_user_sends() {
    let (world, folder) = (World::new(), tempfile::tempdir().unwrap());
    let (service, port) = with_submission(&world, folder.path());
    let pair = service.put_pair(1);
    let token = service.command(&["token", "create", "--scope", "seller:s1:submit", "--name", "dove"]).0.trim().to_owned();
    let dove = dovecot_with(0, Some(&Onward { port, user: &pair.seller, password: &token }));
    let octets = letter(&pair.seller, &pair.buyer_alias, "Medidas", "", "Mide dos metros.");
    let (code, text) = through_dovecot(dove.submission, &pair, &octets);
    assert!(code == 250 && text.contains("accepted as "), "{code} {text}");
    assert!(said(&world.nth(&pair.buyer, 1)).contains("Mide dos metros."));
    // What the rules refuse is refused in the session, and Dovecot hands the words on.
    service.put("/buyers/b1", &json!({"opted_out": true}));
    let octets = letter(&pair.seller, &pair.buyer_alias, "Oferta", "", "Dos por uno.");
    let (code, text) = through_dovecot(dove.submission, &pair, &octets);
    assert!((500..600).contains(&code), "{code} {text}");
    assert_eq!((service.messages(&pair).len(), service.entries(&pair, "notice.queued")), (1, 0), "nothing was kept");
    assert_eq!((world.mailboxes.count(&pair.buyer), world.mailboxes.count(&pair.seller)), (1, 0));
}

/// The seller's client signs in to Dovecot with the password of the mailbox; the code and text of the last reply.
fn through_dovecot(port: u16, pair: &Pair, octets: &str) -> (u16, String) {
    const PROGRAM: &str = r"import smtplib, sys
port, sender, to, octets = sys.argv[1:]
s = smtplib.SMTP('127.0.0.1', int(port))
s.login(sender, 'secret')
s.mail(sender)
s.rcpt(to)
said = s.data(octets.encode())
print(said[0], said[1].decode())";
    let words = ["-c", PROGRAM, &port.to_string(), &pair.seller, &pair.buyer_alias, octets];
    let output = Command::new("/usr/bin/python3").args(words).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let (code, text) = said.split_once(' ').unwrap();
    (code.parse().unwrap(), text.to_owned())
}

#[test]
fn what_a_sieve_script_rejects_is_noted_and_told_to_nobody() {
    let s = Street::new(Kind::Exim, false);
    let pair = s.service.put_pair(1);
    s.dove.set_sieve(&pair.buyer, "require [\"reject\"];\nreject \"No quiero cartas, canario47.\";\n");
    let octets = letter(&pair.seller, &pair.buyer_alias, "Medidas", "", "Mide dos metros.");
    let (code, text) = submit(s.service.smtp.port(), (&pair.seller, ""), (&pair.buyer_alias, ""), octets.as_bytes());
    assert_eq!(code, 250, "{text}");
    let noted = || s.service.entries(&pair, "report.received") + s.service.entries(&pair, "report.noted");
    eventually("the disposition notification is noted", || (noted() == 1).then_some(()));
    s.settle();
    assert_eq!(delivery(&s.service, text.rsplit(' ').next().unwrap()), "delivered");
    assert_eq!((s.dove.count(&pair.seller), s.dove.count(&pair.buyer)), (0, 0));
}

#[test]
fn two_vacation_responders_that_remember_end() {
    two_vacation_responders(":days 7");
}

#[test]
fn two_vacation_responders_without_memory_end() {
    two_vacation_responders(":seconds 0");
}

/// RFC 5230: they answer to the reverse-path with a null one. Ours is another for each message, so that neither of them
/// remembers whom it has answered.
fn two_vacation_responders(how_often: &str) {
    let mut s = Street::new(Kind::Postfix, false);
    let pair = s.service.put_pair(1);
    for (user, words) in [(&pair.seller, "Estoy fuera hasta el lunes."), (&pair.buyer, "Estou viajando.")] {
        let script =
            format!("require [\"vacation\", \"vacation-seconds\"];\nvacation {how_often} :addresses [\"{user}\"] \"{words} {user}\";\n");
        s.dove.set_sieve(user, &script);
    }
    let mut rounds = Vec::new();
    let mut to = pair.seller_alias.clone();
    for round in 0..3 {
        let subject = format!("Carta {round}");
        let of_person = |s: &Street, user: &str| {
            (1..=s.dove.count(user))
                .map(|n| s.dove.nth(user, n))
                .find(|m| header(m, "Subject").contains(&subject) && header(m, "Auto-Submitted").is_empty())
        };
        write(&s, &pair.buyer, &to, &subject);
        let question = eventually("the question arrives", || of_person(&s, &pair.seller));
        s.settle();
        write(&s, &pair.seller, &reply_to(&question), &subject);
        let answer = eventually("the answer arrives", || of_person(&s, &pair.buyer));
        to = reply_to(&answer);
        s.settle();
        rounds.push((automatic(&s, &pair.seller), automatic(&s, &pair.buyer)));
        if round == 1 {
            s.service.terminate();
            s.service.run_ahead(8);
        }
    }
    assert_eq!(rounds, [(1, 1), (1, 1), (2, 2)], "one of each in a week");
    let conversations = s.service.get(&format!("/pairs/{}/conversations", pair.id));
    assert_eq!(conversations["items"].as_array().unwrap().len(), 1, "{conversations}");
    assert_eq!(s.service.terminate(), Some(0));
}

fn write(s: &Street, from: &str, to: &str, subject: &str) {
    let taken = submit(s.sender.port, (from, ""), (to, ""), letter(from, to, subject, "", "Unas palabras.").as_bytes());
    assert_eq!(taken.0, 250, "{}", taken.1);
}

/// How many automatic messages a mailbox of Dovecot holds; none of them names who is away.
fn automatic(s: &Street, user: &str) -> usize {
    let mails = (1..=s.dove.count(user)).map(|n| s.dove.nth(user, n));
    let automatic: Vec<StoredMail> = mails.filter(|m| !header(m, "Auto-Submitted").is_empty()).collect();
    for mail in &automatic {
        let octets = String::from_utf8_lossy(&mail.octets);
        let ours = &octets[octets.find("DKIM-Signature").unwrap()..];
        let other = if user.starts_with("seller") { "buyer1@" } else { "seller1@" };
        assert!(!ours.contains(other) && !said(mail).contains(other), "{ours}");
        assert_eq!(header(mail, "Auto-Submitted").split([';', ' ']).next(), Some("auto-replied"));
    }
    automatic.len()
}

/// How a responder of the plainer kind answers: with a null reverse-path or not, and with which fields.
const RESPONDERS: [(bool, &str, &str); 5] = [
    (true, "Auto-Submitted: auto-replied\r\n", "Ausente: "),
    (false, "Auto-Submitted: auto-replied (vacation)\r\n", "Ausente: "),
    (false, "X-Autoreply: yes\r\nPrecedence: bulk\r\n", "Ausente: "),
    (false, "Precedence: bulk\r\nX-Auto-Response-Suppress: All\r\n", "Automatic reply: "),
    (true, "Auto-Submitted: auto-generated\r\nX-Auto-Response-Suppress: All\r\n", "Automatic reply: "),
];

#[test]
fn responders_that_answer_from_and_everything_end() {
    for (null, fields, prefix) in RESPONDERS {
        for with_references in [true, false] {
            let s = Scene::plain(None);
            let pair = s.pair(1, "es");
            s.mail(&pair.buyer, &pair.seller_alias, "Pregunta", "Cuando llega?");
            let answers = answer_everything(&s, &pair, |mail, from, to| {
                let id = header(mail, "Message-ID");
                let references = if with_references { format!("In-Reply-To: {id}\r\nReferences: {id}\r\n") } else { String::new() };
                let subject = format!("{prefix}{}", header(mail, "Subject"));
                let octets = letter(from, to, &subject, &format!("{fields}{references}"), "Estoy fuera.");
                (if null { String::new() } else { from.to_owned() }, octets)
            });
            let got: Vec<usize> = [&pair.seller, &pair.buyer].map(|person| s.world.mailboxes.count(person)).to_vec();
            assert!((1..=3).contains(&answers), "{answers} answers to {fields:?}");
            // The seller has the question, and at most one automatic message reaches each.
            assert!(got[0] <= 2 && got[1] <= 1, "{got:?} with {fields:?}");
        }
    }
}

/// Both answer each mail that they get to its From, until nothing comes any more; gives how many answers were sent.
fn answer_everything(s: &Scene, pair: &Pair, answer: impl Fn(&StoredMail, &str, &str) -> (String, String)) -> usize {
    let mut answered = [0, 0];
    for _ in 0..20 {
        eventually("nothing is under way", || (waiting(&s.service) == 0).then_some(()));
        let mut sent = 0;
        for (n, person) in [&pair.seller, &pair.buyer].into_iter().enumerate() {
            for mail in s.world.mailboxes.of(person).into_iter().skip(answered[n]) {
                answered[n] += 1;
                let from = header(&mail, "From");
                let to = from.rsplit('<').next().unwrap().trim_end_matches('>').to_owned();
                let (reverse_path, octets) = answer(&mail, person, &to);
                s.world.send(s.service.smtp, &reverse_path, &[&to], octets.as_bytes());
                sent += 1;
            }
        }
        if sent == 0 {
            return answered.iter().sum();
        }
    }
    panic!("they never end: {answered:?}");
}

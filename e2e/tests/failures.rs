//! What fails, as parties and their mail systems meet it: servers that refuse or wait, reports that come later, forged
//! or about nothing, addresses that are dead, and readers who have had enough.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods)] // Helpers of tests may panic and speak.

use e2e::http::request;
use e2e::peers::street::{assert_report, delivery, entries_of, submit, waiting};
use e2e::scene::{Scene, letter, on_both};
use e2e::service::{Pair, Setup, assert_log_is_clean};
use e2e::world::{header, said};
use e2e::{dkim, eventually};
use sandbox::{Behaviour, StoredMail};
use serde_json::json;

/// What may not reach a buyer of the seller's server and address.
const OF_THE_SELLER: [&str; 4] = ["shop.test", "mailboxes.test", "is busy", "is unknown"];

fn settle(s: &Scene) {
    eventually("every delivery has ended", || (waiting(&s.service) == 0).then_some(()));
}

/// States of the attempts of one message.
fn attempts(s: &Scene, pair: &Pair, id: &str) -> Vec<String> {
    let all = entries_of(&s.service, pair, "delivery.attempted");
    all.iter().filter(|a| a["message"] == id).map(|a| a["state"].as_str().unwrap().to_owned()).collect()
}

/// Why notices were sent.
fn causes(s: &Scene, pair: &Pair) -> Vec<String> {
    entries_of(&s.service, pair, "notice.queued").iter().map(|n| n["cause"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn server_that_defers_for_five_days_makes_one_report() {
    let mut s = Scene::plain(None);
    let pair = s.pair(1, "es");
    s.world.mailboxes.behave(&pair.seller, Behaviour::Defer);
    let id = s.mail(&pair.buyer, &pair.seller_alias, "Pregunta", "Quando chega?");
    let mut made = 0;
    for day in 0..=5 {
        if day > 0 {
            assert_eq!((delivery(&s.service, &id).as_str(), s.world.mailboxes.count(&pair.buyer)), ("deferred", 0), "before day {day}");
            s.service.terminate();
            s.service.run_ahead(day);
        }
        made = eventually("another attempt", || Some(attempts(&s, &pair, &id).len()).filter(|n| *n > made));
    }
    let report = s.world.nth(&pair.buyer, 1);
    assert_report(&report, &pair.seller_alias, "failed", "4.", &OF_THE_SELLER);
    assert_eq!((delivery(&s.service, &id).as_str(), causes(&s, &pair)), ("bounced", vec!["notice_bounced".to_owned()]));
    s.service.terminate();
    s.service.run_ahead(6);
    settle(&s);
    assert_eq!((attempts(&s, &pair, &id).len(), s.world.mailboxes.total()), (made, 1), "that was all");
    assert_eq!(s.service.terminate(), Some(0));
}

#[test]
fn refusal_is_reported_at_once_and_tells_nothing_of_the_other_side() {
    on_both(|database| {
        let s = Scene::plain(database);
        let pair = s.pair(1, "es");
        s.world.mailboxes.behave(&pair.seller, Behaviour::Refuse);
        let octets = letter(&pair.buyer, &pair.seller_alias, "Pregunta", "X-Mine: yes\r\n", "Quando chega?");
        let id = s.send(&pair.buyer, &pair.seller_alias, &octets);
        let mail = s.world.nth(&pair.buyer, 1);
        let report = assert_report(&mail, &pair.seller_alias, "failed", "5.1.1", &OF_THE_SELLER);
        let own_id = octets.split("Message-ID: ").nth(1).unwrap().lines().next().unwrap();
        assert_eq!(report["fields"]["in-reply-to"], own_id, "it stands below the buyer's own mail");
        let verdict = dkim::verify(s.service.folder.path(), &mail.octets, &s.service.dkim_name, &s.service.dkim_record);
        assert!(verdict.is_ok(), "dkimpy says {verdict:?}");
        settle(&s);
        assert_eq!((delivery(&s.service, &id).as_str(), attempts(&s, &pair, &id)), ("bounced", vec!["bounced".to_owned()]));
        assert_eq!((s.world.mailboxes.total(), causes(&s, &pair).len()), (1, 1));
        assert_log_is_clean(&s.service.log(), &["Pregunta", &pair.seller_alias[..15]]);
    });
}

#[test]
fn report_that_is_refused_too_is_reported_to_nobody() {
    let s = Scene::plain(None);
    let pair = s.pair(1, "es");
    s.world.mailboxes.behave(&pair.seller, Behaviour::Refuse);
    s.world.mailboxes.behave(&pair.buyer, Behaviour::Refuse);
    s.mail(&pair.buyer, &pair.seller_alias, "Pregunta", "Quando chega?");
    eventually("message and report are given up", || (s.service.entries(&pair, "delivery.attempted") == 2).then_some(()));
    settle(&s);
    let states: Vec<_> = entries_of(&s.service, &pair, "delivery.attempted").iter().map(|a| a["state"].clone()).collect();
    assert_eq!(states, ["bounced", "bounced"]);
    assert_eq!((causes(&s, &pair).len(), s.world.mailboxes.total()), (1, 0));
}

#[test]
fn writers_are_told_what_they_asked_to_be_told() {
    let s = Scene::plain(None);
    // RFC 3461, section 4.1: where a writer names what it wants, it gets nothing else.
    let cases = [
        ("", Behaviour::Refuse, Some("failed")),
        ("", Behaviour::Accept, None),
        ("NOTIFY=NEVER", Behaviour::Refuse, None),
        ("NOTIFY=NEVER", Behaviour::Accept, None),
        ("NOTIFY=FAILURE,DELAY", Behaviour::Refuse, Some("failed")),
        ("NOTIFY=FAILURE", Behaviour::Accept, None),
        ("NOTIFY=SUCCESS,FAILURE", Behaviour::Accept, Some("relayed")),
        ("NOTIFY=SUCCESS", Behaviour::Refuse, None),
    ];
    for (n, (wish, behaviour, action)) in (1..).zip(cases) {
        let pair = s.pair(n, "es");
        s.world.mailboxes.behave(&pair.seller, behaviour);
        let octets = letter(&pair.buyer, &pair.seller_alias, "Pregunta", "", "Quando chega?");
        let to = (pair.seller_alias.as_str(), format!("{wish} ORCPT=rfc822;loja@laptop.test"));
        let taken = submit(s.service.smtp.port(), (&pair.buyer, "RET=HDRS ENVID=carta-7"), (to.0, &to.1), octets.as_bytes());
        assert_eq!(taken.0, 250, "{}", taken.1);
        settle(&s);
        let got = s.world.mailboxes.of(&pair.buyer);
        assert_eq!(got.len(), usize::from(action.is_some()), "{wish:?}, {behaviour:?}");
        if let Some(action) = action {
            let class = if action == "failed" { "5." } else { "2." };
            let report = assert_report(&got[0], &pair.seller_alias, action, class, &OF_THE_SELLER);
            assert_eq!(report["message"]["original-envelope-id"], "carta-7");
            let original = report["recipients"][0]["original-recipient"].as_str().unwrap_or_default().replace(' ', "");
            assert_eq!(original, "rfc822;loja@laptop.test");
        }
    }
}

/// What a mail system writes of a message that it took.
fn report_of(action: &str, status: &str, pair: &Pair, id: &str) -> String {
    let status =
        format!("Reporting-MTA: dns; mx.buyer.test\r\n\r\nFinal-Recipient: rfc822; {}\r\nAction: {action}\r\nStatus: {status}", pair.buyer);
    let head = "From: MAILER-DAEMON@mx.buyer.test\r\nSubject: Undelivered Mail Returned to Sender\r\nAuto-Submitted: auto-replied\r\n";
    let kind = "MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\r\n";
    let words = "--b\r\nContent-Type: text/plain\r\n\r\nThis is the mail system at host mx.buyer.test.\r\n";
    format!(
        "{head}{kind}\r\n{words}--b\r\nContent-Type: message/delivery-status\r\n\r\n{status}\r\n\r\n--b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: {id}\r\n\r\n--b--\r\n"
    )
}

/// A message of the seller that reached the buyer: its id, and the mail.
fn delivered(s: &Scene, pair: &Pair) -> (String, StoredMail) {
    let n = s.world.mailboxes.count(&pair.buyer) + 1;
    let id = s.mail(&pair.seller, &pair.buyer_alias, "Medidas", "Mide dos metros.");
    let mail = s.world.nth(&pair.buyer, n);
    settle(s);
    assert_eq!(delivery(&s.service, &id), "delivered");
    (id, mail)
}

/// Mail with a null reverse-path; the code of the reply.
fn send_null(s: &Scene, to: &str, octets: &str) -> u16 {
    s.world.send(s.service.smtp, "", &[to], octets.as_bytes()).code
}

#[test]
fn later_report_ends_a_delivery_once_and_a_delay_changes_nothing() {
    on_both(|database| {
        let s = Scene::plain(database);
        let pair = s.pair(1, "es");
        let (id, mail) = delivered(&s, &pair);
        let message_id = header(&mail, "Message-ID");
        let seen = |n: usize| {
            let reports = entries_of(&s.service, &pair, "report.received");
            assert_eq!(reports.len(), n, "{reports:?}");
            let last = &reports[n - 1];
            assert_eq!((&last["about"], &last["verified"]), (&json!(id), &json!(true)));
            (last["action"].as_str().unwrap().to_owned(), last["status"].as_str().unwrap().to_owned())
        };
        assert_eq!(send_null(&s, &mail.reverse_path, &report_of("delayed", "4.4.1", &pair, &message_id)), 250);
        assert_eq!(seen(1), ("delayed".to_owned(), "4.4.1".to_owned()));
        assert_eq!((delivery(&s.service, &id).as_str(), causes(&s, &pair).len()), ("delivered", 0));

        assert_eq!(send_null(&s, &mail.reverse_path, &report_of("failed", "5.2.1", &pair, &message_id)), 250);
        assert_eq!(seen(2), ("failed".to_owned(), "5.2.1".to_owned()));
        assert_eq!(delivery(&s.service, &id), "bounced");
        let told = s.world.nth(&pair.seller, 1);
        assert_report(&told, &pair.buyer_alias, "failed", "5.2.1", &["buyer.test", "This is the mail system"]);

        assert_eq!(send_null(&s, &mail.reverse_path, &report_of("failed", "5.2.1", &pair, &message_id)), 250);
        settle(&s);
        assert_eq!((causes(&s, &pair), s.world.mailboxes.count(&pair.seller)), (vec!["notice_bounced".to_owned()], 1), "told once");
    });
}

#[test]
fn report_in_words_only_ends_a_delivery() {
    let s = Scene::plain(None);
    let pair = s.pair(1, "es");
    let (id, mail) = delivered(&s, &pair);
    let words = format!(
        "From: MAILER-DAEMON@mx.buyer.test\r\nSubject: failure notice\r\n\r\nHi. This is the qmail-send program at mx.buyer.test.\r\nI'm afraid I wasn't able to deliver your message to the following addresses.\r\nThis is a permanent error; I've given up. Sorry it didn't work out.\r\n\r\n<{}>:\r\nSorry, no mailbox here by that name. (#5.1.1)\r\n\r\n--- Below this line is a copy of the message.\r\n\r\nReturn-Path: <{}>\r\nMessage-ID: {}\r\n\r\nMide dos metros.\r\n",
        pair.buyer,
        mail.reverse_path,
        header(&mail, "Message-ID")
    );
    assert_eq!(send_null(&s, &mail.reverse_path, &words), 250);
    assert_eq!(delivery(&s.service, &id), "bounced");
    assert_report(&s.world.nth(&pair.seller, 1), &pair.buyer_alias, "failed", "5.", &["buyer.test", "qmail"]);
}

#[test]
fn forged_report_changes_nothing() {
    let s = Scene::plain(None);
    let (pair, other) = (s.pair(1, "es"), s.pair(2, "es"));
    let (id, mail) = delivered(&s, &pair);
    let (_, others) = delivered(&s, &other);
    let report = report_of("failed", "5.1.1", &pair, &header(&mail, "Message-ID"));
    let (local, domain) = mail.reverse_path.split_once('@').unwrap();
    let (rest, last) = local.split_at(local.len() - 1);
    let wrong_mac = format!("{rest}{}@{domain}", if last == "0" { "1" } else { "0" });
    // The id of one message with the MAC of another's.
    let (with_id, _) = local.rsplit_once('-').unwrap();
    let (_, mac) = others.reverse_path.split_once('@').unwrap().0.rsplit_once('-').unwrap();
    for forged in [wrong_mac, format!("{with_id}-{mac}@{domain}"), format!("{with_id}@{domain}"), format!("b-@{domain}")] {
        assert_eq!(send_null(&s, &forged, &report), 550, "{forged}");
    }
    // To the alias: whoever knows it may write so much, and it stays a note. Only who got the message knows its id.
    let about_nothing = report_of("failed", "5.1.1", &pair, "<made-up@market.test>");
    assert_eq!(send_null(&s, &pair.seller_alias, &about_nothing), 250);
    let notes = entries_of(&s.service, &pair, "report.noted");
    assert!(notes.len() == 1 && notes[0]["verified"] == false, "{notes:?}");
    assert_eq!((delivery(&s.service, &id).as_str(), s.service.entries(&pair, "report.received")), ("delivered", 0));
    assert_eq!(causes(&s, &pair).len() + causes(&s, &other).len(), 0);
    assert_eq!(s.world.mailboxes.count(&pair.seller), 0);
}

#[test]
fn report_of_a_month_ago_is_taken_and_only_noted() {
    let mut s = Scene::plain(None);
    let pair = s.pair(1, "es");
    let (id, mail) = delivered(&s, &pair);
    s.service.terminate();
    s.service.run_ahead(31);
    let report = report_of("failed", "5.1.1", &pair, &header(&mail, "Message-ID"));
    assert_eq!(send_null(&s, &mail.reverse_path, &report), 250);
    let notes = entries_of(&s.service, &pair, "report.noted");
    assert!(notes.len() == 1 && notes[0]["about"] == id.as_str() && notes[0]["verified"] == false, "{notes:?}");
    assert_eq!((delivery(&s.service, &id).as_str(), causes(&s, &pair).len()), ("delivered", 0));
    assert_eq!(s.service.terminate(), Some(0));
}

#[test]
fn address_that_refuses_three_times_is_written_to_no_more() {
    on_both(|database| {
        let s = Scene::plain(database);
        let pair = s.pair(1, "es");
        let write = |n: usize| s.mail(&pair.seller, &pair.buyer_alias, &format!("Carta {n}"), "Unas palabras.");
        s.world.mailboxes.behave(&pair.buyer, Behaviour::Refuse);
        for n in 1..=3 {
            assert_eq!(s.service.entries(&pair, "party.undeliverable"), 0, "before failure {n}");
            let id = write(n);
            settle(&s);
            assert_eq!(delivery(&s.service, &id), "bounced");
        }
        assert_eq!(s.service.entries(&pair, "party.undeliverable"), 1);
        assert!(s.service.put("/buyers/b1", &json!({}))["undeliverable_since"].is_string());
        // The mailbox works again, and nobody knows: two messages stand on the page, and the seller is told once.
        s.world.mailboxes.behave(&pair.buyer, Behaviour::Accept);
        for n in 4..=5 {
            let id = write(n);
            assert_eq!((s.outcome(&id).as_str(), delivery(&s.service, &id).as_str()), ("on_page", "on_page"));
        }
        settle(&s);
        let mut told = causes(&s, &pair);
        told.sort();
        assert_eq!(told, ["notice_bounced", "notice_bounced", "notice_bounced", "notice_undeliverable_buyer"]);
        assert_eq!((s.world.mailboxes.count(&pair.seller), s.world.mailboxes.count(&pair.buyer)), (4, 0));
        let words = said(&s.world.nth(&pair.seller, 4));
        assert!(words.contains("ha rechazado el correo tres veces") && !words.contains("buyer.test"), "{words}");
        // Another address is another try, and so is the same one if the shop says so.
        let buyer = s.service.put("/buyers/b1", &json!({"email": "nova@buyer.test"}));
        assert!(buyer["undeliverable_since"].is_null(), "{buyer}");
        write(6);
        assert!(said(&s.world.nth("nova@buyer.test", 1)).contains("Unas palabras."));
    });
}

#[test]
fn shop_may_have_a_dead_address_tried_anew() {
    let s = Scene::plain(None);
    let pair = s.pair(1, "es");
    s.world.mailboxes.behave(&pair.buyer, Behaviour::Refuse);
    for n in 1..=3 {
        s.mail(&pair.seller, &pair.buyer_alias, &format!("Carta {n}"), "Unas palabras.");
        settle(&s);
    }
    s.world.mailboxes.behave(&pair.buyer, Behaviour::Accept);
    assert!(s.service.put("/buyers/b1", &json!({}))["undeliverable_since"].is_string());
    assert!(s.service.put("/buyers/b1", &json!({"undeliverable": false}))["undeliverable_since"].is_null());
    let id = s.mail(&pair.seller, &pair.buyer_alias, "Carta 4", "Unas palabras.");
    s.world.nth(&pair.buyer, 1);
    settle(&s);
    assert_eq!(delivery(&s.service, &id), "delivered");
}

/// What a provider sends when its user presses "this is spam" (RFC 5965).
fn complaint(kind: &str, mail: &StoredMail) -> String {
    let original = String::from_utf8_lossy(&mail.octets);
    let head = letter(
        "fbl@elsewhere.test",
        &mail.reverse_path,
        "Complaint",
        "MIME-Version: 1.0\r\nContent-Type: multipart/report; report-type=feedback-report; boundary=arf\r\n",
        "",
    );
    let words = "--arf\r\nContent-Type: text/plain\r\n\r\nThis is an abuse report.\r\n";
    let fields = format!(
        "--arf\r\nContent-Type: message/feedback-report\r\n\r\nFeedback-Type: {kind}\r\nUser-Agent: Feedback/1.0\r\nVersion: 1\r\n\r\n"
    );
    format!("{}\r\n\r\n{words}{fields}--arf\r\nContent-Type: message/rfc822\r\n\r\n{original}\r\n--arf--\r\n", head.trim_end())
}

#[test]
fn complaint_of_a_provider_is_the_buyers_report_once() {
    let s = Scene::plain(None);
    let pair = s.pair(1, "es");
    let (id, mail) = delivered(&s, &pair);
    let send = |kind: &str| {
        let octets = complaint(kind, &mail);
        let e = s.world.send(s.service.smtp, "fbl@elsewhere.test", &[&mail.reverse_path], octets.as_bytes());
        assert!(e.is_accepted(), "{} {}", e.code, e.text);
        entries_of(&s.service, &pair, "message.reported")
    };
    assert_eq!(send("not-spam").len(), 0, "the opposite of a complaint");
    for _ in 0..2 {
        let reported = send("abuse");
        assert_eq!(reported.len(), 1, "{reported:?}");
        assert_eq!((&reported[0]["message"], &reported[0]["by"]), (&json!(id), &json!("buyer")));
    }
    settle(&s);
    assert_eq!((delivery(&s.service, &id).as_str(), s.world.mailboxes.count(&pair.seller)), ("delivered", 0));
    // Who reported is not told to the reported (privacy W14).
    let token = s.service.command(&["token", "create", "--scope", "seller:s1", "--name", "s1"]).0.trim().to_owned();
    let view = s.service.api_as(Some(&token), "GET", &format!("/pairs/{}/ledger?limit=200", pair.id), &serde_json::Value::Null);
    assert!(view.status == 200 && !view.body.contains("message.reported") && !view.body.contains("complaint"), "{}", view.body);
}

/// The address of one click, without the angle brackets around it.
fn one_click(mail: &StoredMail) -> String {
    assert_eq!(header(mail, "List-Unsubscribe-Post"), "List-Unsubscribe=One-Click");
    header(mail, "List-Unsubscribe").trim_matches(['<', '>']).to_owned()
}

#[test]
fn one_click_ends_unsolicited_mail_and_can_be_taken_back() {
    on_both(|database| {
        let s = Scene::plain(database);
        let pair = s.pair(1, "es");
        let (_, mail) = delivered(&s, &pair);
        let verdict = dkim::verify(s.service.folder.path(), &mail.octets, &s.service.dkim_name, &s.service.dkim_record).unwrap();
        for name in ["list-unsubscribe", "list-unsubscribe-post"] {
            let is_signed = verdict.to_ascii_lowercase().split([':', '=', ' ']).any(|word| word == name);
            assert!(is_signed, "RFC 8058, section 3.1: {name} is signed: {verdict}");
        }
        let links = s.service.links(&one_click(&mail));
        let [link] = links.as_slice() else { panic!("no link of ours: {links:?}") };
        let opted_out = || s.service.put("/buyers/b1", &json!({}))["opted_out"].clone();
        // Scanners open links, and send forms that they make up.
        for method in ["GET", "HEAD"] {
            assert_eq!(s.service.page(method, link, "").status, 200);
        }
        s.press(link, "");
        s.press(link, "List-Unsubscribe=Two-Clicks");
        assert_eq!((opted_out(), s.world.mailboxes.count(&pair.buyer)), (json!(false), 1));

        // Both ways in which mail programs send it (RFC 8058, section 3.2).
        let form = "--b\r\nContent-Disposition: form-data; name=\"List-Unsubscribe\"\r\n\r\nOne-Click\r\n--b--\r\n";
        let answer = request(s.service.web, "POST", link, None, "multipart/form-data; boundary=b", form.as_bytes()).unwrap();
        assert!((200..300).contains(&answer.status), "no redirect: {} {}", answer.status, answer.body);
        let status = s.press(link, "List-Unsubscribe=One-Click");
        assert!((200..300).contains(&status), "{status}");
        let buyer = s.service.put("/buyers/b1", &json!({}));
        assert_eq!((&buyer["opted_out"], &buyer["opted_out_by"]), (&json!(true), &json!("buyer")));
        let id = s.mail(&pair.seller, &pair.buyer_alias, "Oferta", "Dos por uno.");
        assert_eq!(s.remedy(&id), "remedy_opt_out");

        // One confirmation, with the way back.
        let confirmation = s.world.nth(&pair.buyer, 2);
        assert!(header(&confirmation, "Auto-Submitted").starts_with("auto-") && header(&confirmation, "List-Unsubscribe").is_empty());
        settle(&s);
        assert_eq!(s.world.mailboxes.count(&pair.buyer), 2);
        let links = s.links(&pair.buyer, 2);
        let back = links.iter().find(|l| s.service.page("GET", l, "").body.contains("name=\"opted_out\"")).unwrap();
        assert_eq!(opted_out(), true, "looking changes nothing");
        assert_eq!(s.press(back, "save=1"), 200);
        assert_eq!(opted_out(), false);
        delivered(&s, &pair);
    });
}

#[test]
fn only_what_nobody_asked_for_can_be_ended_by_one_click() {
    let s = Scene::new(Setup::default());
    let pair = s.pair(1, "es");
    s.mail(&pair.buyer, &pair.seller_alias, "Pregunta", "Quando chega?");
    let question = s.world.nth(&pair.seller, 1);
    let to = header(&question, "Reply-To").rsplit('<').next().unwrap().trim_end_matches('>').to_owned();
    s.mail(&pair.seller, &to, "Re: Pregunta", "El jueves.");
    let answer = s.world.nth(&pair.buyer, 1);
    let template = json!({"template": {"id": "delivery_appointment", "fields": {"proposal": "10:30"}}});
    let sent = s.service.api("POST", &format!("/marketplaces/es/orders/{}/messages", pair.order), &template);
    assert_eq!(sent.status, 201, "{}", sent.body);
    let critical = s.world.nth(&pair.buyer, 2);
    for mail in [&question, &answer, &critical] {
        assert_eq!((header(mail, "List-Unsubscribe").as_str(), header(mail, "List-Unsubscribe-Post").as_str()), ("", ""));
    }
    s.mail(&pair.seller, &pair.buyer_alias, "Oferta", "Dos por uno.");
    one_click(&s.world.nth(&pair.buyer, 3));
}

//! Machine mail of our own making, and hostile mail. The shared corpus is read in `e2e/tests/reports.rs`.

use super::*;

fn report(raw: &str) -> Option<Report> {
    read_report(&mime::parse(raw.as_bytes()).unwrap())
}

/// The action, code and recipient of each recipient.
fn said(report: &Report) -> Vec<String> {
    let word = |action| match action {
        Action::Failed => "failed",
        Action::Delayed => "delayed",
        Action::Delivered => "delivered",
        Action::Relayed => "relayed",
        Action::Expanded => "expanded",
    };
    let whole = |r: &RecipientStatus| {
        let parts = [Some(word(r.action)), r.status.as_deref(), r.final_recipient.as_deref()];
        parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
    };
    report.recipients.iter().map(whole).collect()
}

/// Head, text, and what it says.
const DIALECTS: [(&str, &str, &[&str]); 18] = [
    (
        "From: MAILER-DAEMON@mx.example\nSubject: failure notice",
        "Hi. This is the qmail-send program at mx.example.\nI'm afraid I wasn't able to deliver your message to the following addresses.\n\n<ana@x.example>:\n192.0.2.1 does not like recipient.\nRemote host said: 550 5.1.1 no such user\n\n--- Below this line is a copy of the message.\n\nFrom: shop@y.example\n552 5.2.2 is what the message says\n",
        &["failed 5.1.1 ana@x.example"],
    ),
    (
        "From: Mail Delivery System <Mailer-Daemon@mx.example>\nX-Failed-Recipients: ana@x.example, eva@x.example\nSubject: Mail delivery failed: returning message to sender",
        "A message that you sent could not be delivered to one or more of its\nrecipients. The following address(es) failed:\n\n  ana@x.example\n    host mx.x.example [192.0.2.1]: 550 5.1.1 unknown\n  eva@x.example\n    host mx.x.example [192.0.2.1]: 552 mailbox full\n",
        &["failed 5.1.1 ana@x.example", "failed 5.2.2 eva@x.example"],
    ),
    (
        "From: Mail Delivery System <Mailer-Daemon@mx.example>\nSubject: Warning: message 1abcde-000000-00 delayed 24 hours",
        "A message that you sent has not yet been delivered to one or more of its\nrecipients after more than 24 hours on the queue.\n\nThe address to which the message has not yet been delivered is:\n\n  ana@x.example\n    Delay reason: Connection timed out\n\nNo action is required on your part. Delivery attempts will continue for\nsome time.\n",
        &["delayed 4.4.1 ana@x.example"],
    ),
    (
        "From: Mail Delivery Subsystem <MAILER-DAEMON@mx.example>\nSubject: Warning: could not send message for past 4 hours",
        "**      THIS IS A WARNING MESSAGE ONLY      **\n\n   ----- The following addresses had transient non-fatal errors -----\n<ana@x.example>\n\n   ----- Transcript of session follows -----\n<ana@x.example>... Deferred: 452 4.2.2 Mailbox full\nWill keep trying until message is 5 days old\n",
        &["delayed 4.2.2 ana@x.example"],
    ),
    (
        "From: MAILER-DAEMON@mx.example (Mail Delivery System)\nSubject: Undelivered Mail Returned to Sender",
        "This is the mail system at host mx.example.\n\nI'm sorry to have to inform you that your message could not\nbe delivered to one or more recipients.\n\n<ana@x.example>: Host or domain name not found. Name service error for\n    name=x.example type=A: Host not found\n",
        &["failed 5.1.2 ana@x.example"],
    ),
    (
        "From: MAILER-DAEMON@mx.example (Mail Delivery System)\nSubject: Successful Mail Delivery Report",
        "Your message was successfully delivered to the destination(s)\nlisted below.\n\n<ana@x.example>: delivery via mx.x.example: 250 ok\n",
        &["delivered 2.0.0 ana@x.example"],
    ),
    (
        "From: Postmaster <postmaster@mx.example>\nSubject: No se puede entregar: pedido",
        "No se pudo entregar el mensaje a estos destinatarios o grupos:\n\nana@x.example\nEl buzón está lleno.\n\nEncabezados de mensajes originales:\nMessage-ID: <1@y.example>\n",
        &["failed 5.2.2 ana@x.example"],
    ),
    (
        "From: Mail Delivery Subsystem <mailer-daemon@googlemail.com>\nSubject: Delivery Status Notification (Failure)",
        "** Die Adresse wurde nicht gefunden **\n\nIhre Nachricht wurde nicht an ana@x.example zugestellt, weil die Adresse nicht gefunden wurde.\n\nAntwort:\n550 5.1.1 The account does not exist.\n",
        &["failed 5.1.1 ana@x.example"],
    ),
    (
        "From: Mail Delivery Subsystem <mailer-daemon@googlemail.com>\nSubject: Delivery Status Notification (Delay)",
        "** Delivery incomplete **\n\nThere was a temporary problem delivering your message to ana@x.example. Gmail will retry for 46 more hours.\n",
        &["delayed 4.3.2 ana@x.example"],
    ),
    (
        "From: Postmaster@x.example\nSubject: DELIVERY FAILURE: User ana not listed in Domino Directory",
        "Your message\n\n  Subject: order\n\nwas not delivered to:\n\n  ana@x.example\n\nbecause:\n\n  User ana (ana@x.example) not listed in Domino Directory\n",
        &["failed 5.1.1 ana@x.example"],
    ),
    (
        "From: mailer-daemon@corp.mail.example\nSubject: =?utf-8?b?0J3QtdC00L7RgdGC0LDQstC70LXQvdC90L7QtSDRgdC+0L7QsdGJ0LXQvdC40LU=?=",
        "К сожалению, Ваше письмо не может быть\nдоставлено одному или нескольким получателям:\n\n  ana@x.example\n    550 spam message rejected\n",
        &["failed 5.7.1 ana@x.example"],
    ),
    (
        "From: \"Postmaster\" <postmaster@mx.example>\nSubject: Undeliverable Mail",
        "User mailbox exceeds allowed size: ana@x.example\n\nOriginal message follows.\n\nTo: eva@x.example\n",
        &["failed 5.2.2 ana@x.example"],
    ),
    (
        "From: postmaster@mx.example\nSubject: [Postmaster] Email Delivery Failure",
        "An email that you attempted to send to the following address could not be delivered:\n\n-- ana@x.example\n\nAdditional information follows :\n-- 5.4.1 Recipient address rejected: Access denied.\n\nThis condition occurred after 1 attempt(s) to deliver.\n",
        &["failed 5.4.1 ana@x.example"],
    ),
    (
        "From: MAILER-DAEMON <>\nSubject: Mail delivery failed",
        "This is the DragonFly Mail Agent at mx.example.\n\nThere was an error delivering your mail to <ana@x.example>.\n\nmx.x.example did not like our final DATA:\n552 message size exceeds the limit\n\nMessage headers follow.\n",
        &["failed 5.3.4 ana@x.example"],
    ),
    (
        "From: MAILER-DAEMON@mx.example\nSubject: Returned mail: Cannot send message for 5 days",
        "   ----- Transcript of session follows -----\n421 x.example (smtp)... Deferred: Connection refused by x.example\n\n   ----- Unsent message follows -----\nTo: ana@x.example\n",
        &["failed 4.4.1"],
    ),
    (
        "From: System Administrator <postmaster@x.example>\nSubject: Undeliverable: order",
        "Your message\n\n  To:      eva@y.example\n  Subject: order\n\ndid not reach the following recipient(s):\n\nana@x.example on Thu, 29 Apr 2010 00:00:00 -0000\n    The recipient name is not recognized\n",
        &["failed 5.1.1 ana@x.example"],
    ),
    (
        "Return-Path: <>\nFrom: no-reply@phone.example\nSubject: Mail",
        "Your mail sent on: Thu, 29 Apr 2013 00:00:00 +0900\n     Could not be delivered to: <ana@phone.example>\n     As their mailbox is full.\n",
        &["failed 5.2.2 ana@phone.example"],
    ),
    (
        "From: MAILER-DAEMON@mx.example\nSubject: Mail loop",
        "Technical report:\n\nReporting-MTA: dns; mx.example\n\nFinal-Recipient: rfc822; ana@x.example\nAction: failed\nStatus: 5.4.6\nDiagnostic-Code: smtp; 554 too many hops\n",
        &["failed 5.4.6 ana@x.example"],
    ),
];

#[test]
fn what_systems_say_in_words_is_read_in_their_dialects() {
    for (head, text, expected) in DIALECTS {
        let found = report(&format!("{head}\nContent-Type: text/plain; charset=utf-8\n\n{text}")).unwrap_or_else(|| panic!("{head}"));
        assert_eq!(found.kind, ReportKind::Dsn, "{head}");
        assert_eq!(said(&found), expected, "{head}");
    }
}

#[test]
fn people_who_quote_or_forward_a_report_write_no_report() {
    for (head, text, _) in DIALECTS {
        let quoted: String = text.lines().map(|line| format!("> {line}\n")).collect();
        let asked = "From: Eva <eva@y.example>\nSubject: My order\nContent-Type: text/plain; charset=utf-8\n\nWhat is this?\n\n";
        assert!(report(&format!("{asked}{text}")).is_none(), "from a person: {head}");
        // The daemon in the head, but all of it quoted: an operator answers.
        let answer = format!("From: Postmaster <postmaster@y.example>\nSubject: Re: your mail\n\nPlease use the new address.\n\n{quoted}");
        assert!(report(&answer).is_none(), "quoted: {head}");
    }
    let forwarded = "From: Eva <eva@y.example>\nSubject: Fwd: failure notice\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nLook!\n\
        --b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; x\n\nFinal-Recipient: rfc822; ana@x.example\nAction: failed\nStatus: 5.1.1\n--b--\n";
    assert!(report(forwarded).is_none());
}

fn formal(status: &str) -> String {
    format!(
        "From: MAILER-DAEMON@mx.example\nTo: b-7h2k9q-abc@d.example\nSubject: Undelivered Mail Returned to Sender\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b\n\nIt failed.\n\
         --b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example\n\n{status}\n\
         --b\nContent-Type: text/rfc822-headers\n\nReturn-Path: <b-other-xyz@d.example>\nMessage-ID: <1@d.example>\nX-Original-Message-ID: <2@d.example>\n--b--\n"
    )
}

#[test]
fn the_prescribed_form_is_read_however_carelessly_it_is_written() {
    let full = "Original-Recipient: rfc822;eva@x.example\nFinal-Recipient: rfc822; ana@x.example\nAction: failed\nStatus: 5.2.2 (mailbox full)\nDiagnostic-Code: smtp; 552\n 5.2.2 full\n";
    let cases: [(&str, &[&str]); 9] = [
        (full, &["failed 5.2.2 ana@x.example"]),
        (
            "final-recipient : RFC822;<ana@x.example>\naction : FAILED\nstatus : 5.0.0\ndiagnostic-code : smtp;550 5.1.1 who?",
            &["failed 5.1.1 ana@x.example"],
        ),
        ("Final-Recipient: rfc822;ana@x.example\nAction: delayed\nStatus: 4.4.7\nWill-Retry-Until: x", &["delayed 4.4.7 ana@x.example"]),
        ("Final-Recipient: rfc822;ana@x.example\nAction: relayed\nStatus: 2.0.0", &["relayed 2.0.0 ana@x.example"]),
        ("Final-Recipient: rfc822;ana@x.example\nAction: expanded\nStatus: 2.0.0", &["expanded 2.0.0 ana@x.example"]),
        ("Final-Recipient: rfc822;ana@x.example\n\nAction: failed\nStatus: 5.7.1", &["failed 5.7.1 ana@x.example"]),
        ("Original-Recipient: <ana@x.example>\nAction: failed\nDiagnostic-Code: smtp; 550 Unknown user", &["failed 5.1.1 ana@x.example"]),
        ("Final-Recipient: utf-8; ana@x.example\nStatus: 4.2.2", &["delayed 4.2.2 ana@x.example"]),
        (
            "Final-Recipient: rfc822;ana@x.example\nAction: failed\nStatus: 5.1.1\n\nFinal-Recipient: rfc822;eva@x.example\nAction: delivered\nStatus: 2.1.5",
            &["failed 5.1.1 ana@x.example", "delivered 2.1.5 eva@x.example"],
        ),
    ];
    for (status, expected) in cases {
        for media_type in ["message/delivery-status", "message/global-delivery-status"] {
            let found = report(&formal(status).replace("message/delivery-status", media_type)).unwrap();
            assert_eq!(found.kind, ReportKind::Dsn, "{status}");
            assert_eq!(said(&found), expected, "{status}");
        }
    }
    let found = report(&formal(full)).unwrap();
    assert_eq!(found.recipients[0].diagnostic.as_deref(), Some("smtp; 552 5.2.2 full"));
}

#[test]
fn ids_and_reverse_paths_of_the_returned_message_are_collected() {
    let found = report(&formal("Final-Recipient: rfc822;B-third@d.example\nAction: failed\nStatus: 5.1.1")).unwrap();
    let ids: Vec<_> = found.original_ids.iter().map(MessageId::as_str).collect();
    let paths: Vec<_> = found.reverse_paths.iter().map(Mailbox::canonical).collect();
    assert_eq!(ids, ["1@d.example", "2@d.example"]);
    assert_eq!(paths, ["b-7h2k9q-abc@d.example", "b-third@d.example", "b-other-xyz@d.example"]);
}

#[test]
fn a_returned_message_in_the_text_gives_its_id_and_its_reverse_path() {
    let raw = "From: MAILER-DAEMON@mx.example\nTo: eva@y.example\nMessage-ID: <report@mx.example>\nSubject: failure notice\n\n\
        I'm afraid I wasn't able to deliver your message to the following addresses.\n\n<ana@x.example>:\n550 no such user\n\n\
        --- Below this line is a copy of the message.\n\nReturn-Path: <b-1-2@d.example>\nReceived: from d.example (envelope-from <b-1-3@d.example>)\n\
        Message-ID:\n  <1@d.example>\nTo: ana@x.example\n";
    let found = report(raw).unwrap();
    assert_eq!(found.original_ids.iter().map(MessageId::as_str).collect::<Vec<_>>(), ["1@d.example"]);
    assert_eq!(found.reverse_paths.iter().map(Mailbox::local_part).collect::<Vec<_>>(), ["b-1-2", "b-1-3"]);
}

#[test]
fn complaints_are_read_with_and_without_their_form() {
    let arf = "From: feedback@isp.example\nSubject: FW: order\nContent-Type: multipart/report; report-type=feedback-report; boundary=b\n\n--b\n\nA complaint.\n\
        --b\nContent-Type: message/feedback-report\n\nFeedback-Type: Abuse\nVersion: 1\nOriginal-Mail-From: <b-1-2@d.example>\nOriginal-Rcpt-To: ana@x.example\n\
        --b\nContent-Type: message/rfc822\n\nMessage-ID: <1@d.example>\nTo: ana@x.example\n\nhi\n--b--\n";
    let found = report(arf).unwrap();
    assert_eq!((found.kind, found.feedback_type.as_deref()), (ReportKind::Complaint, Some("abuse")));
    assert_eq!(said(&found), ["delivered ana@x.example"]);
    assert_eq!(found.original_ids[0].as_str(), "1@d.example");
    assert_eq!(found.reverse_paths[0].local_part(), "b-1-2");
    let older = "From: <staff@hotmail.com>\nSubject: complaint about message from 192.0.2.1\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\nMessage-ID: <1@d.example>\n\nhi\n--b--\n";
    assert_eq!(report(older).unwrap().kind, ReportKind::Complaint);
}

#[test]
fn receipts_are_told_from_rejections_that_come_in_their_form() {
    let receipt = |text: &str, disposition: &str| {
        format!(
            "From: ana@x.example\nSubject: Re: order\nContent-Type: multipart/report; report-type=disposition-notification; boundary=b\n\n--b\n\n{text}\n\
             --b\nContent-Type: message/disposition-notification\n\nFinal-Recipient: rfc822;ana@x.example\nOriginal-Message-ID: <1@d.example>\nDisposition: {disposition}\n--b--\n"
        )
    };
    let found = report(&receipt("Your message was read.", "manual-action/MDN-sent-manually; displayed")).unwrap();
    assert_eq!((found.kind, said(&found)), (ReportKind::Disposition, vec!["delivered ana@x.example".to_owned()]));
    assert_eq!(found.original_ids[0].as_str(), "1@d.example");
    let rejected = receipt(
        "Your message to <ana@x.example> was automatically rejected:\nNot enough disk space",
        "automatic-action/MDN-sent-automatically; deleted",
    );
    assert_eq!(said(&report(&rejected).unwrap()), ["failed 5.2.2 ana@x.example"]);
}

#[test]
fn answers_of_programs_name_what_they_answer() {
    let found = report("From: ana@x.example\nSubject: Automatic reply: order\nIn-Reply-To: <1@d.example>\nReferences: <0@d.example> <1@d.example>\n\nI am away.\n").unwrap();
    assert_eq!((found.kind, found.recipients.len()), (ReportKind::AutoReply, 0));
    assert_eq!(found.original_ids.iter().map(MessageId::as_str).collect::<Vec<_>>(), ["1@d.example"]);
    for ordinary in [
        "From: ana@x.example\nSubject: Hello\nList-Id: <cats.list.example>\nPrecedence: list\n\nCats.\n",
        "From: no-reply@carrier.example\nSubject: Delivery failed\nAuto-Submitted: auto-generated\n\nYour parcel could not be delivered to the following address.\n",
        "From: tls@isp.example\nSubject: Report\nContent-Type: multipart/report; report-type=tlsrpt; boundary=b\n\n--b\n\nA report.\n--b--\n",
        "From: postmaster@shop.example\nSubject: Your order\n\nPlease write to ana@shop.example, the mailbox is full of questions.\n",
    ] {
        assert!(report(ordinary).is_none(), "{ordinary}");
    }
}

fn wrapped_times(times: usize) -> String {
    let inner = formal("Final-Recipient: rfc822;ana@x.example\nAction: failed\nStatus: 5.1.1");
    (0..times).fold(inner, |inner, n| {
        format!(
            "From: MAILER-DAEMON@mx.example\nSubject: Returned mail: User unknown\nContent-Type: multipart/mixed; boundary=w{n}x\n\n--w{n}x\n\n\
             ----- The following addresses had permanent delivery errors -----\n\n--w{n}x\nContent-Type: message/rfc822\n\n{inner}\n--w{n}x--\n"
        )
    })
}

#[test]
fn a_report_in_ten_others_is_found_and_a_deeper_one_is_not_looked_for() {
    let found = report(&wrapped_times(MAX_NESTING)).unwrap();
    assert_eq!(said(&found), ["failed 5.1.1 ana@x.example"]);
    assert!(found.reverse_paths.iter().any(|path| path.local_part() == "b-other-xyz"));
    let deeper = report(&wrapped_times(MAX_NESTING + 1)).unwrap();
    assert!(deeper.recipients.iter().all(|recipient| recipient.final_recipient.is_none()));
}

/// A failure because of a full mailbox, each in its charset.
const CHARSETS: [(&str, &str); 12] = [
    (
        "utf-8",
        "5Lul5LiL44Gu44Oh44O844Or44Ki44OJ44Os44K544G444Gu6YCB5L+h44Gr5aSx5pWX44GX44G+44GX44GfCmFuYUB4LmV4YW1wbGUK44Oh44O844Or44Oc44OD44Kv44K544GM5LiA5p2v44Gn44GZ",
    ),
    (
        "iso-2022-jp",
        "GyRCMEoyPCROJWEhPCVrJSIlSSVsJTkkWCROQXc/LiRLPDpHVCQ3JF4kNyQ/GyhCCmFuYUB4LmV4YW1wbGUKGyRCJWEhPCVrJVwlQyUvJTkkLDBsR1UkRyQ5GyhC",
    ),
    ("shift_jis", "iMiJuoLMg4GBW4OLg0GDaIOMg1iC1oLMkZeQTYLJjriUc4K1gtyCtYK9CmFuYUB4LmV4YW1wbGUKg4GBW4OLg3uDYoNOg1iCqojqlHSCxYK3"),
    ("euc-jp", "sMqyvKTOpeGhvKXrpaKlyaXspbmk2KTOwfe/rqTLvLrH1KS3pN6kt6S/CmFuYUB4LmV4YW1wbGUKpeGhvKXrpdylw6WvpbmkrLDsx9Wkx6S5"),
    ("koi8-r", "98HbxSDQydPYzc8gzsUgzc/WxdQgwtnU2CDEz9PUwdfMxc7PCmFuYUB4LmV4YW1wbGUK8d3JyyDQxdLF0M/MzsXO"),
    ("windows-1251", "wuD45SDv6PH87O4g7eUg7O7m5fIg4fvy/CDk7vHy4OLr5e3uCmFuYUB4LmV4YW1wbGUK3/no6iDv5fDl7+7r7eXt"),
    ("gb2312", "xPq1xNPKvP6xu83Lu9gKYW5hQHguZXhhbXBsZQrTys/k0tHC+g=="),
    ("big5", "tUyqa7bHu7ym3KRVpkOmrKXzqswKYW5hQHguZXhhbXBsZQqrSL1jpHe6oQ=="),
    ("euc-kr", "uN7AzyDA/Lzbv6EgvcfG0AphbmFAeC5leGFtcGxlCrjewM/H1MDMILChteY="),
    ("iso-8859-1", "Vm90cmUgbWVzc2FnZSBuJ2EgcGFzIHB1IOp0cmUgZGlzdHJpYnXpCmFuYUB4LmV4YW1wbGUKQm/udGUgYXV4IGxldHRyZXMgcGxlaW5l"),
    (
        "utf-16le",
        "SQBoAHIAZQAgAE4AYQBjAGgAcgBpAGMAaAB0ACAAawBvAG4AbgB0AGUAIABuAGkAYwBoAHQAIAB6AHUAZwBlAHMAdABlAGwAbAB0ACAAdwBlAHIAZABlAG4ACgBhAG4AYQBAAHgALgBlAHgAYQBtAHAAbABlAAoAUABvAHMAdABmAGEAYwBoACAAdgBvAGwAbAA=",
    ),
    ("windows-1252", "U3UgbWVuc2FqZSBubyBwdWRvIHNlciBlbnRyZWdhZG8KYW5hQHguZXhhbXBsZQpCdXrzbiBsbGVubw=="),
];

#[test]
fn words_are_read_in_twelve_charsets() {
    for (charset, body) in CHARSETS {
        let raw = format!(
            "From: MAILER-DAEMON@mx.example\nContent-Type: text/plain; charset={charset}\nContent-Transfer-Encoding: base64\n\n{body}\n"
        );
        assert_eq!(said(&report(&raw).unwrap()), ["failed 5.2.2 ana@x.example"], "{charset}");
    }
}

#[test]
fn a_report_that_says_nothing_is_one_nevertheless() {
    for status in ["", "\n\n\n", "nonsense", ":::\n: x\n", "Status: x\n\n\nStatus: y"] {
        let raw = formal(status).replace("It failed.", "");
        let found = report(&raw).unwrap();
        assert_eq!(found.kind, ReportKind::Dsn, "{status}");
        assert!(found.recipients.iter().all(|recipient| recipient.final_recipient.is_none()), "{status}");
    }
}

#[test]
fn what_a_report_may_cost_is_bounded() {
    let many: String = (0..10_000).map(|n| format!("Final-Recipient: rfc822;a{n}@x.example\nAction: failed\nStatus: 5.1.1\n\n")).collect();
    assert_eq!(report(&formal(&many)).unwrap().recipients.len(), MAX_RECIPIENTS);
    let (head, ..) = DIALECTS[0];
    let lines: String = (0..10_000).map(|n| format!("<a{n}@x.example>:\n550 no such user\n")).collect();
    let told = report(&format!("{head}\n\nI wasn't able to deliver your message to the following addresses\n{lines}")).unwrap();
    assert_eq!(told.recipients.len(), MAX_RECIPIENTS);
    let (address, words) = ("a".repeat(1_000), "ä\t".repeat(20_000));
    let long = format!("Final-Recipient: rfc822;{address}@x.example\nAction: failed\nStatus: 5.1.1\nDiagnostic-Code: smtp; \u{7}{words}");
    let found = report(&formal(&long)).unwrap();
    let diagnostic = found.recipients[0].diagnostic.clone().unwrap();
    assert!(diagnostic.chars().count() == MAX_DIAGNOSTIC && !diagnostic.chars().any(char::is_control));
    assert_eq!(found.recipients[0].final_recipient.as_deref().map(str::len), Some(MAX_ADDRESS));
    let heads: String = (0..1_000).map(|n| format!("Message-ID: <{n}@d.example>\nReturn-Path: <b-{n}@d.example>\n")).collect();
    let found = report(&format!("{head}\n\nI wasn't able to deliver your message to the following addresses\n{heads}")).unwrap();
    assert_eq!((found.original_ids.len(), found.reverse_paths.len()), (MAX_RETURNED, MAX_RETURNED));
}

#[test]
fn no_octets_make_the_reader_panic() {
    let whole = [formal("Final-Recipient: rfc822;ana@x.example\nAction: failed\nStatus: 5.1.1"), wrapped_times(3)];
    for raw in &whole {
        // Cut at every place, and with a byte that is no text in every place.
        for at in (0..raw.len()).step_by(7) {
            for bytes in [raw.as_bytes()[..at].to_vec(), [&raw.as_bytes()[..at], &[0xff, 0x1b, b'$'], &raw.as_bytes()[at..]].concat()] {
                if let Ok(message) = mime::parse(&bytes)
                    && let Some(report) = read_report(&message)
                {
                    assert!(report.recipients.len() <= MAX_RECIPIENTS);
                }
            }
        }
    }
}

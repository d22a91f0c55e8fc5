use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::tests::{Driver, run};
use super::{Limits, Role, Session};
use crate::smtp::reply::Reply;

fn of(role: Role) -> Driver {
    Driver::of(Session::with_role(role, "mx.d.example", Limits::default(), true))
}

/// A session on port 465 that said EHLO.
fn inside_tls() -> Driver {
    let mut d = of(Role::Submissions);
    d.feed(b"EHLO c\r\n");
    d
}

fn plain(user: &str, password: &str) -> String {
    STANDARD.encode(format!("\0{user}\0{password}"))
}

fn bearer(token: &str) -> String {
    STANDARD.encode(format!("n,a=ana,\u{1}auth=Bearer {token}\u{1}\u{1}"))
}

const MESSAGE: &[u8] = b"MAIL FROM:<a@x.example>\r\nRCPT TO:<b@d.example>\r\nDATA\r\nx\r\n.\r\n";

#[test]
fn nobody_signs_in_in_the_clear_or_sends_without_signing_in() {
    let mut d = of(Role::Submission);
    d.feed(b"EHLO c\r\n");
    assert!(d.wire.contains("STARTTLS") && !d.wire.contains("AUTH"), "{}", d.wire);
    d.feed(format!("AUTH PLAIN {}\r\nMAIL FROM:<a@x.example>\r\n", plain("ana", "secret")).as_bytes());
    assert_eq!(d.codes()[2..], ["530", "530"]);
    assert!(d.credentials.is_empty());
    d.feed(b"STARTTLS\r\n");
    d.feed(b"EHLO c\r\nMAIL FROM:<a@x.example>\r\n");
    assert_eq!(d.codes()[4..], ["220", "250", "530"]);
    assert!(d.wire.contains("250-AUTH PLAIN LOGIN OAUTHBEARER\r\n"));
    d.feed(format!("AUTH PLAIN {}\r\n", plain("ana", "secret")).as_bytes());
    d.feed(MESSAGE);
    assert_eq!(d.codes()[7..], ["235", "250", "250", "354", "250"]);
    assert_eq!(d.messages.len(), 1);
}

#[test]
fn the_relay_port_knows_no_sign_in() {
    let mut d = run("EHLO c\r\nSTARTTLS\r\n");
    assert!(!d.wire.contains("AUTH"));
    d.feed(format!("EHLO c\r\nAUTH PLAIN {}\r\n", plain("ana", "secret")).as_bytes());
    assert!(!d.wire.contains("AUTH") && d.codes().last() == Some(&"502"), "{}", d.wire);
    assert!(d.credentials.is_empty());
    assert!(!inside_tls().wire.contains("STARTTLS"), "TLS is there already");
}

#[test]
fn every_mechanism_signs_in_with_and_without_an_initial_response() {
    let (user, password) = (STANDARD.encode("ana"), STANDARD.encode("secret"));
    for (lines, codes) in [
        (format!("AUTH PLAIN {}\r\n", plain("ana", "secret")), &["235"][..]),
        (format!("auth plain\r\n{}\r\n", plain("ana", "secret")), &["334", "235"][..]),
        (format!("AUTH LOGIN\r\n{user}\r\n{password}\r\n"), &["334", "334", "235"][..]),
        (format!("AUTH LOGIN {user}\r\n{password}\r\n"), &["334", "235"][..]),
        (format!("AUTH OAUTHBEARER {}\r\n", bearer("secret")), &["235"][..]),
        (format!("AUTH OAUTHBEARER\r\n{}\r\n", bearer("secret")), &["334", "235"][..]),
    ] {
        let mut d = inside_tls();
        d.feed(lines.as_bytes());
        assert_eq!(d.codes()[2..], *codes, "{lines}");
        assert_eq!((d.credentials[0].user.as_str(), d.credentials[0].password.as_str()), ("ana", "secret"));
        d.feed(MESSAGE);
        assert_eq!(d.messages.len(), 1, "{lines}");
        d.feed(format!("AUTH PLAIN {}\r\n", plain("ana", "secret")).as_bytes());
        assert_eq!(d.codes().last(), Some(&"503"), "nobody signs in twice");
    }
    let mut d = inside_tls();
    d.feed(b"AUTH LOGIN\r\n");
    assert!(d.wire.ends_with("334 VXNlcm5hbWU6\r\n"));
}

#[test]
fn a_refused_token_is_told_in_json_before_the_end() {
    let mut d = inside_tls();
    d.feed(format!("AUTH OAUTHBEARER {}\r\n", bearer("wrong")).as_bytes());
    let challenge = d.wire.trim_end().rsplit(' ').next().unwrap().to_owned();
    assert_eq!(STANDARD.decode(challenge).unwrap(), br#"{"status":"invalid_token","schemes":"bearer"}"#);
    d.feed(b"AQ==\r\n");
    assert_eq!(d.codes()[2..], ["334", "535"]);
    d.feed(MESSAGE);
    assert!(d.messages.is_empty());
}

#[test]
fn three_refusals_end_the_session_and_a_cancelled_try_is_none() {
    let mut d = inside_tls();
    d.feed(b"AUTH PLAIN\r\n*\r\nAUTH LOGIN\r\nbad base64\r\nAUTH CRAM-MD5\r\nAUTH\r\n");
    assert_eq!(d.codes()[2..], ["334", "501", "334", "501", "504", "501"]);
    d.feed(format!("AUTH PLAIN {}\r\n", plain("ana", "later")).as_bytes());
    assert_eq!(d.codes().last(), Some(&"454"));
    let wrong = format!("AUTH PLAIN {}\r\n", plain("ana", "wrong"));
    d.feed(wrong.repeat(5).as_bytes());
    assert!(d.closed);
    assert_eq!(d.codes()[9..], ["535", "535", "535", "421"]);
}

#[test]
fn a_sign_in_has_its_place_and_its_length() {
    let mut d = inside_tls();
    d.feed(format!("AUTH PLAIN {}\r\nMAIL FROM:<a@x.example>\r\nAUTH PLAIN\r\n", plain("ana", "secret")).as_bytes());
    assert_eq!(d.codes().last(), Some(&"503"));
    let mut d = of(Role::Submissions);
    d.feed(b"AUTH PLAIN\r\n");
    assert_eq!(d.codes(), ["220", "503"]);
    let mut d = inside_tls();
    d.feed(format!("AUTH PLAIN {}\r\n", plain("ana", &"x".repeat(9_000))).as_bytes());
    assert_eq!(d.codes().last(), Some(&"535"), "a long token is read");
    d.feed(b"AUTH PLAIN\r\n");
    d.feed("A".repeat(20_000).as_bytes());
    assert!(d.closed && d.codes().last() == Some(&"500"));
    let mut d = inside_tls();
    d.feed(b"AUTH PLAIN\r\nabcd\nAUTH PLAIN\r\n");
    assert!(d.closed, "a bare LF ends the session here too");
}

#[test]
fn a_relay_that_is_trusted_says_for_whom_it_speaks() {
    let mut d = Driver::of(Session::new("mx.d.example", Limits::default(), false).offering_xclient());
    d.feed(b"EHLO relay\r\nXCLIENT ADDR=192.0.2.7 HELO=c.example LOGIN=boss\r\nMAIL FROM:<a@x.example>\r\nEHLO relay\r\n");
    assert!(d.wire.contains("250-XCLIENT NAME ADDR PORT PROTO HELO LOGIN\r\n"));
    assert_eq!(d.codes(), ["220", "250", "220", "503", "250"], "the session begins anew");
    d.feed(MESSAGE);
    let envelope = &d.messages[0].0;
    assert_eq!((envelope.told_client, envelope.helo.as_str()), (Some(IpAddr::from([192, 0, 2, 7])), "c.example"));
    d.feed(b"MAIL FROM:<a@x.example>\r\nXCLIENT ADDR=192.0.2.8\r\nRSET\r\nXCLIENT COLOUR=blue\r\n");
    assert_eq!(d.codes()[9..], ["250", "503", "250", "501"]);
    let d = run("EHLO c\r\nXCLIENT ADDR=192.0.2.7\r\n");
    assert!(!d.wire.contains("XCLIENT") && d.codes().last() == Some(&"500"), "{}", d.wire);
}

#[test]
fn nothing_is_kept_for_or_shown_of_who_has_not_signed_in() {
    let mut d = inside_tls();
    d.feed(b"MAIL FROM:<a@x.example>\r\nRCPT TO:<b@d.example>\r\n");
    d.feed("BDAT 5 LAST\r\nxxx\r\n".repeat(100).as_bytes());
    assert!(d.closed && d.codes().last() == Some(&"421"), "{:?}", d.codes());
    assert!(d.codes().len() < 30 && d.kept == 0, "{:?}", d.codes());
    let mut d = inside_tls();
    d.feed(format!("AUTH PLAIN {}", plain("ana", "secret")).as_bytes());
    assert_eq!(format!("{:?}", d.session), "Session(…)");
}

#[test]
fn words_in_any_language_leave_as_lines_of_ascii() {
    let mut d = inside_tls();
    d.session.close(Reply::new(550, "5.7.1", "Não.\nhttps://x.example/l/1"));
    d.feed(b"");
    assert!(d.wire.ends_with("550-5.7.1 Nao.\r\n550 5.7.1 https://x.example/l/1\r\n"));
}

//! The client against scripts of honest, clumsy and hostile servers.

use proptest::prelude::*;

use super::*;
use crate::smtp::data::{DataLimits, DataReader};

/// Plays a script of server lines against one transaction; gives what was written and the outcome.
fn play(script: &[&str]) -> (String, Option<Step>, bool) {
    play_as(Tls::Opportunistic, None, script)
}

fn play_as(tls: Tls, credentials: Option<(&str, &str)>, script: &[&str]) -> (String, Option<Step>, bool) {
    let credentials = credentials.map(|(user, password)| (user.to_owned(), password.to_owned()));
    let mut session = Session::new("mx.d.example", tls, credentials);
    let mut lines = script.iter();
    let mut written = String::new();
    let to = Mailbox::parse("ana@buyer.example").unwrap();
    loop {
        match session.step() {
            Step::Write(bytes) => written.push_str(&String::from_utf8(bytes).unwrap()),
            Step::Read => match lines.next() {
                Some(line) => session.receive(line.as_bytes()),
                None => return (written, None, false),
            },
            Step::StartTls => session.tls_started(),
            Step::Ready => session.begin(&None, &to, b"a\r\n.b\r\n"),
            end => return (written, Some(end), session.is_open()),
        }
    }
}

fn is_transient(step: &Option<Step>) -> bool {
    matches!(step, Some(Step::Done(Outcome::Transient(_))))
}

#[test]
fn a_pipelined_transaction_is_two_writes() {
    let (written, end, open) =
        play(&["220 hi\r\n", "250-x\r\n250 PIPELINING\r\n", "250 ok\r\n250 ok\r\n354 go\r\n", "250 2.0.0 queued\r\n"]);
    assert_eq!(written, "EHLO mx.d.example\r\nMAIL FROM:<>\r\nRCPT TO:<ana@buyer.example>\r\nDATA\r\na\r\n..b\r\n.\r\n");
    assert!(matches!(end, Some(Step::Done(Outcome::Delivered(_)))) && open);
}

#[test]
fn refusals_are_transient_or_permanent_and_leave_the_session_open() {
    let (_, end, open) = play(&["220 hi\r\n", "250 x\r\n", "250 ok\r\n", "550 5.1.1 no such user\r\n", "250 reset\r\n"]);
    let Some(Step::Done(Outcome::Permanent(reply))) = end else { panic!("{end:?}") };
    assert_eq!(reply.enhanced_status(), Some("5.1.1"));
    assert!(open);
    let (written, end, _) = play(&["220 hi\r\n", "250-x\r\n250 PIPELINING\r\n", "250 ok\r\n450 later\r\n354 go\r\n", "554 none\r\n"]);
    assert!(is_transient(&end));
    assert!(written.ends_with("DATA\r\n.\r\n"));
}

#[test]
fn starttls_is_used_when_offered() {
    let (written, _, _) = play(&[
        "220 hi\r\n",
        "250-x\r\n250 STARTTLS\r\n",
        "220 go\r\n",
        "250 x\r\n",
        "250 ok\r\n",
        "250 ok\r\n",
        "354 go\r\n",
        "250 ok\r\n",
    ]);
    assert_eq!(written.matches("EHLO").count(), 2);
}

#[test]
fn what_is_said_in_clear_behind_starttls_fails_the_server() {
    for tls in [Tls::Opportunistic, Tls::Required] {
        let (written, end, open) =
            play_as(tls, None, &["220 hi\r\n", "250-x\r\n250 STARTTLS\r\n", "220 go\r\n250-x\r\n250 PIPELINING\r\n"]);
        assert!(matches!(end, Some(Step::Failed(_))) && !open, "{end:?}");
        assert!(!written.contains("MAIL"), "{written}");
    }
}

#[test]
fn where_tls_is_required_nothing_is_said_without_it() {
    for script in [
        &["220 hi\r\n", "250 x\r\n"][..],
        &["220 hi\r\n", "502 what\r\n"],
        &["220 hi\r\n", "250-x\r\n250 STARTTLS\r\n", "454 4.7.0 not now\r\n"],
    ] {
        let (written, end, _) = play_as(Tls::Required, None, script);
        assert!(matches!(end, Some(Step::Failed(_))), "{script:?} {end:?}");
        assert!(!written.contains("MAIL") && !written.contains("HELO "), "{written}");
    }
}

#[test]
fn a_250_that_answers_nothing_delivers_nothing() {
    let ehlo = "250-x\r\n250 PIPELINING\r\n";
    for script in [
        // Leave to send is given by 354 only.
        &["220 hi\r\n", "250 x\r\n", "250 ok\r\n", "250 ok\r\n", "250 ok\r\n"][..],
        &["220 hi\r\n", ehlo, "250 ok\r\n250 ok\r\n250 ok\r\n"],
        // All said before the message was out.
        &["220 hi\r\n", ehlo, "250 ok\r\n250 ok\r\n354 go\r\n250 2.0.0 queued\r\n"],
        &["220 hi\r\n", "250 x\r\n", "250 ok\r\n250 ok\r\n354 go\r\n250 2.0.0 queued\r\n"],
        &["220 hi\r\n250 x\r\n250 ok\r\n250 ok\r\n354 go\r\n250 2.0.0 queued\r\n"],
        // A continuation where an end is due.
        &["220 hi\r\n", ehlo, "354 go\r\n354 go\r\n354 go\r\n"],
        &["220 hi\r\n", ehlo, "250 ok\r\n250 ok\r\n354 go\r\n", "354 go on\r\n"],
    ] {
        let (_, end, _) = play(script);
        assert!(is_transient(&end) || matches!(end, Some(Step::Failed(_))), "{script:?} {end:?}");
    }
}

#[test]
fn a_refusal_stands_whatever_is_said_behind_it() {
    let ehlo = "250-x\r\n250 PIPELINING\r\n";
    let (_, end, open) = play(&["220 hi\r\n", ehlo, "250 ok\r\n550 5.1.1 no\r\n503 5.5.1 no\r\n421 bye\r\n"]);
    assert!(matches!(end, Some(Step::Done(Outcome::Permanent(_)))) && !open, "{end:?}");
    let (_, end, open) = play(&["220 hi\r\n", ehlo, "250 ok\r\n250 ok\r\n354 go\r\n", "250 ok\r\n421 bye\r\n"]);
    assert!(matches!(end, Some(Step::Done(Outcome::Delivered(_)))) && !open, "{end:?}");
    // First 250 to everything, then no.
    let (_, end, _) = play(&["220 hi\r\n", ehlo, "250 ok\r\n250 ok\r\n354 go\r\n", "554 5.7.1 no\r\n"]);
    assert!(matches!(end, Some(Step::Done(Outcome::Permanent(_)))), "{end:?}");
}

#[test]
fn a_421_in_the_middle_ends_the_session_at_once() {
    for script in [
        &["220 hi\r\n", "250 x\r\n", "421 4.3.2 closing\r\n"][..],
        &["220 hi\r\n", "250 x\r\n", "250 ok\r\n", "421 4.3.2 closing\r\n"],
        &["220 hi\r\n", "250-x\r\n250 PIPELINING\r\n", "250 ok\r\n421 4.3.2 closing\r\n"],
        &["220 hi\r\n", "250 x\r\n", "250 ok\r\n", "250 ok\r\n", "354 go\r\n", "421 4.3.2 closing\r\n"],
    ] {
        let (_, end, open) = play(script);
        assert!(is_transient(&end) && !open, "{script:?} {end:?}");
    }
    let (_, end, _) = play(&["220 hi\r\n", "250-x\r\n250 STARTTLS\r\n", "421 4.3.2 closing\r\n"]);
    assert!(matches!(end, Some(Step::Failed(_))), "{end:?}");
}

#[test]
fn a_server_that_talks_nonsense_or_without_end_fails_without_panic() {
    let (flood, long) = ("220-welcome\r\n".repeat(2_000), "x".repeat(MAX_REPLY_BYTES + 1));
    for script in [
        &["hello\r\n"][..],
        &["554 go away\r\n"],
        &["220 hi\r\n", "25\r\n"],
        &["220 hi\r\n", "421 busy\r\n"],
        &[flood.as_str()],
        &[long.as_str()],
        &["\r\n"],
        &["2\u{fffd}0 hi\r\n"],
    ] {
        let (_, end, _) = play(script);
        assert!(matches!(end, Some(Step::Failed(_))), "{end:?}");
    }
}

#[test]
fn the_password_is_given_as_the_provider_asks() {
    let user = Some(("me", "secret"));
    let (written, _, _) = play_as(Tls::No, user, &["220 hi\r\n", "250-x\r\n250 AUTH LOGIN PLAIN\r\n", "235 2.7.0 in\r\n"]);
    assert!(written.contains("AUTH PLAIN AG1lAHNlY3JldA==\r\nMAIL"), "{written}");
    let login = ["220 hi\r\n", "250-x\r\n250 AUTH LOGIN\r\n", "334 VXNlcm5hbWU6\r\n", "334 UGFzc3dvcmQ6\r\n", "235 2.7.0 in\r\n"];
    let (written, _, _) = play_as(Tls::No, user, &login);
    assert!(written.contains("AUTH LOGIN\r\nbWU=\r\nc2VjcmV0\r\nMAIL"), "{written}");
    for script in [
        &["220 hi\r\n", "250-x\r\n250 AUTH CRAM-MD5\r\n"][..],
        &["220 hi\r\n", "502 what\r\n"],
        &["220 hi\r\n", "250-x\r\n250 AUTH PLAIN\r\n", "535 5.7.8 no\r\n"],
        // More challenges than there are answers.
        &["220 hi\r\n", "250-x\r\n250 AUTH PLAIN\r\n", "334 \r\n"],
    ] {
        let (written, end, _) = play_as(Tls::No, user, script);
        assert!(matches!(end, Some(Step::Failed(_))) && !written.contains("MAIL"), "{script:?} {end:?}");
    }
    let session = Session::new("mx.d.example", Tls::Required, Some(("me".to_owned(), "secret".to_owned())));
    assert!(!format!("{session:?}").contains("secret"));
}

/// What a receiver takes for the message: everything up to the first CR LF . CR LF, without the stuffing.
fn received(octets: &[u8]) -> (Vec<u8>, usize) {
    let mut reader = DataReader::new(DataLimits { size_bytes: usize::MAX, line_bytes: usize::MAX });
    let mut out = Vec::new();
    let (used, is_complete) = reader.read(octets, &mut out);
    assert!(is_complete && reader.defect().is_none_or(|d| d == crate::smtp::data::Defect::Nul), "{:?}", reader.defect());
    (out, used)
}

proptest! {
    #[test]
    fn nothing_that_is_sent_holds_a_bare_cr_or_lf(content in proptest::collection::vec(
        prop_oneof![Just(b'\r'), Just(b'\n'), Just(b'.'), Just(b'a'), any::<u8>()], 0..200)) {
        let sent = dot_stuffed(&content);
        for (at, octet) in sent.iter().enumerate() {
            match octet {
                b'\r' => prop_assert_eq!(sent.get(at + 1), Some(&b'\n')),
                b'\n' => prop_assert!(at > 0 && sent[at - 1] == b'\r'),
                _ => {}
            }
        }
        // One end, at the end; the CR LF before the first line is that of DATA.
        let seen = [b"\r\n", &sent[..]].concat();
        prop_assert_eq!(seen.windows(5).filter(|w| *w == b"\r\n.\r\n").count(), 1);
        prop_assert!(seen.ends_with(b"\r\n.\r\n"));
    }

    #[test]
    fn a_receiver_reads_the_very_content(lines in proptest::collection::vec("[.a-c]{0,6}", 0..8)) {
        let content: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
        let sent = dot_stuffed(content.as_bytes());
        let (out, used) = received(&sent);
        prop_assert_eq!(used, sent.len());
        prop_assert_eq!(String::from_utf8(out).unwrap(), content);
    }

    #[test]
    fn no_server_makes_the_client_panic(replies in proptest::collection::vec("[ -~\r\n]{0,20}|(220|250|354|421|550)[ -][a-z]{0,3}\r\n", 0..12)) {
        let script: Vec<&str> = replies.iter().map(String::as_str).collect();
        let (_, end, _) = play(&script);
        // Without a 354 and a 250 nothing is delivered.
        if matches!(end, Some(Step::Done(Outcome::Delivered(_)))) {
            prop_assert!(replies.concat().contains("354"));
        }
    }
}

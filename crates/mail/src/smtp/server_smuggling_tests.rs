use proptest::prelude::*;

use super::tests::Driver;
use super::{Limits, Role, Session};

/// Published ways to write an end of data that some server takes for one, and some of our own.
const ENDS: [&str; 20] = [
    "\n.\n",
    "\n.\r\n",
    "\r.\r",
    "\r.\n",
    "\r\n.\n",
    "\r\n.\r",
    "\n.\r",
    "\r\n\0.\r\n",
    "\r\n.\r\r\n",
    "\r.\r\n",
    "\n\n.\r\n",
    "\r\r\n.\n",
    "\r\n.\0\r\n",
    "\r\n\r.\r\n",
    "\r\n.\n\r\n",
    "\n\r\n.\r",
    "\r\0\n.\r\n",
    "\r\n.\r\0\n",
    "\n.\n\n",
    "\r\n..\n",
];
const SMUGGLED: &str = "MAIL FROM:<evil@x.example>\r\nRCPT TO:<b@d.example>\r\nDATA\r\nSubject: second\r\n\r\nevil\r\n";
const ENVELOPE: &str = "EHLO c\r\nMAIL FROM:<a@x.example>\r\nRCPT TO:<b@d.example>\r\n";

fn split(input: &[u8], at: usize) -> Driver {
    let mut driver = Driver::new(Limits::default());
    driver.feed(&input[..at]);
    if !driver.closed {
        driver.feed(&input[at..]);
    }
    driver
}

#[test]
fn no_variant_of_the_end_makes_a_second_message_at_any_split() {
    for end in ENDS {
        let input = format!("{ENVELOPE}DATA\r\nSubject: first\r\n\r\nhello{end}{SMUGGLED}.\r\nNOOP\r\n");
        for at in 0..=input.len() {
            let d = split(input.as_bytes(), at);
            assert!(d.messages.is_empty(), "{end:?} at {at}");
            assert_eq!(d.codes(), ["220", "250", "250", "250", "354", "550", "250"], "{end:?} at {at}");
            // A NUL that comes first is named in place of what follows it.
            let named = if end.contains('\0') { d.wire.contains("550 5.6.") } else { d.wire.contains("550 5.6.11 ") };
            assert!(named, "{end:?} at {at}: {}", d.wire);
        }
    }
}

#[test]
fn no_variant_of_the_end_makes_a_second_message_in_chunks() {
    for end in ENDS {
        let content = format!("Subject: first\r\n\r\nhello{end}{SMUGGLED}.\r\n");
        let (one, two) = content.split_at(content.len() / 2);
        let in_one = format!("{ENVELOPE}BDAT {} LAST\r\n{content}NOOP\r\n", content.len());
        let in_two = format!("{ENVELOPE}BDAT {}\r\n{one}BDAT {} LAST\r\n{two}NOOP\r\n", one.len(), two.len());
        for (input, codes) in [(in_one, &["550", "250"][..]), (in_two, &["250", "550", "250"][..])] {
            for at in 0..=input.len() {
                let d = split(input.as_bytes(), at);
                assert!(d.messages.is_empty(), "{end:?} at {at}");
                assert_eq!(d.codes()[4..], *codes, "{end:?} at {at}");
            }
        }
    }
}

#[test]
fn the_true_end_makes_two_messages_at_any_split() {
    let input = format!("{ENVELOPE}DATA\r\nSubject: first\r\n\r\n..hello\r\n.\r\n{SMUGGLED}.\r\n");
    for at in 0..=input.len() {
        assert_eq!(split(input.as_bytes(), at).messages.len(), 2, "at {at}");
    }
}

#[test]
fn bare_line_ends_in_any_command_end_the_session() {
    let commands = ["EHLO c", "MAIL FROM:<a@x.example>", "RCPT TO:<b@d.example>", "RSET", "NOOP", "BDAT 3", "DATA", "QUIT", "AUTH PLAIN"];
    for command in commands {
        for place in 0..=command.len() {
            for bare in ["\r", "\n", "\0"] {
                let line = format!("{}{bare}{}\r\n", &command[..place], &command[place..]);
                let mut d = Driver::new(Limits::default());
                d.feed(format!("{line}{ENVELOPE}DATA\r\nx\r\n.\r\n").as_bytes());
                assert!(d.closed && d.messages.is_empty(), "{line:?}");
                assert_eq!(d.codes(), ["220", "500"], "{line:?}");
            }
        }
    }
}

/// Runs the input, without TLS, until the session ends.
fn replies(role: Role, pieces: &[&[u8]]) -> (String, usize) {
    let mut d = Driver::of(Session::with_role(role, "mx.d.example", Limits::default(), false));
    d.feed(b"");
    for piece in pieces {
        if !d.closed {
            d.feed(piece);
        }
    }
    (d.wire, d.messages.len())
}

fn words() -> impl Strategy<Value = Vec<u8>> {
    let known = [
        "\r\n",
        "\r\n",
        "\n",
        "\r",
        ".",
        "\r\n.\r\n",
        "a",
        "\0",
        " ",
        "EHLO c\r\n",
        "DATA\r\n",
        "MAIL FROM:<a@x.example>\r\n",
        "RCPT TO:<b@d.example>\r\n",
        "BDAT 3\r\n",
        "BDAT 5 LAST\r\n",
        "RSET\r\n",
        "AUTH PLAIN AGFuYQBzZWNyZXQ=\r\n",
        "AUTH LOGIN\r\n",
        "*\r\n",
        "YW5h\r\n",
        "NOTIFY=NEVER",
        "ORCPT=utf-8;a",
    ];
    let word = prop::sample::select(known.to_vec()).prop_map(|word| word.as_bytes().to_vec());
    let octets = prop::collection::vec(any::<u8>(), 0..6);
    prop::collection::vec(prop_oneof![4 => word, 1 => octets], 0..40).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn any_bytes_give_the_same_replies_in_one_piece_and_in_many(
        input in words(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        role in prop::sample::select(vec![Role::Relay, Role::Submission, Role::Submissions]),
    ) {
        let mut places: Vec<usize> = cuts.iter().map(|cut| cut.index(input.len() + 1)).chain([0, input.len()]).collect();
        places.sort_unstable();
        let pieces: Vec<&[u8]> = places.windows(2).map(|pair| &input[pair[0]..pair[1]]).collect();
        prop_assert_eq!(replies(role, &[&input]), replies(role, &pieces));
        let octets: Vec<&[u8]> = input.chunks(1).collect();
        prop_assert_eq!(replies(role, &[&input]), replies(role, &octets));
    }
}

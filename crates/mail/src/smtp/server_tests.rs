use super::*;
use proptest::prelude::*;

/// Drives a session over scripted input: every recipient at `d.example` exists, every message is accepted, and
/// `ana` signs in with `secret`.
pub(super) struct Driver {
    pub(super) session: Session,
    pub(super) wire: String,
    pub(super) messages: Vec<(Envelope, Vec<u8>)>,
    body: Vec<u8>,
    /// Octets that the driver had to keep, forgotten ones too.
    pub(super) kept: usize,
    /// Recipients as a driver keeps them beside the session.
    told: Vec<String>,
    pub(super) credentials: Vec<Credentials>,
    /// What is answered to `Step::Transaction`.
    pub(super) transaction: Reply,
    pub(super) closed: bool,
}

impl Driver {
    pub(super) fn new(limits: Limits) -> Self {
        Self::of(Session::new("mx.d.example", limits, true))
    }

    pub(super) fn of(session: Session) -> Self {
        Self {
            session,
            wire: String::new(),
            messages: vec![],
            body: vec![],
            kept: 0,
            told: vec![],
            credentials: vec![],
            transaction: Reply::new(250, "2.1.0", "originator noted"),
            closed: false,
        }
    }

    pub(super) fn feed(&mut self, bytes: &[u8]) {
        self.session.receive(bytes);
        loop {
            let step = self.session.step();
            self.wire.push_str(&String::from_utf8(self.session.take_output()).unwrap());
            match step {
                Step::Read => return,
                Step::Authenticate(credentials) => {
                    self.session.answer_authentication(match (credentials.user.as_str(), credentials.password.as_str()) {
                        ("ana", "secret") => Reply::new(235, "2.7.0", "welcome"),
                        ("ana", "later") => Reply::new(454, "4.7.0", "try again later"),
                        _ => Reply::new(535, "5.7.8", "user or password is wrong"),
                    });
                    self.credentials.push(credentials);
                }
                Step::Transaction => self.session.answer_transaction(self.transaction.clone()),
                Step::Recipient(mailbox) if mailbox.domain().as_str() == "d.example" => {
                    self.told.push(mailbox.local_part().to_owned());
                    self.session.answer_recipient(Reply::new(250, "2.1.5", "ok"));
                }
                Step::Recipient(_) => self.session.answer_recipient(Reply::new(550, "5.1.1", "unknown")),
                Step::Body(bytes) => {
                    self.kept += bytes.len();
                    self.body.extend(bytes);
                }
                Step::Discard => {
                    self.body.clear();
                    self.told.clear();
                }
                Step::Message(envelope) => {
                    self.messages.push((envelope, std::mem::take(&mut self.body)));
                    self.session.answer_message(Reply::new(250, "2.0.0", "taken"));
                }
                Step::StartTls => self.session.tls_started(),
                Step::Close => {
                    self.closed = true;
                    return;
                }
            }
        }
    }

    pub(super) fn codes(&self) -> Vec<&str> {
        self.wire.lines().filter(|l| l.as_bytes().get(3) == Some(&b' ')).map(|l| &l[..3]).collect()
    }
}

pub(super) fn run(input: &str) -> Driver {
    let mut driver = Driver::new(Limits::default());
    driver.feed(input.as_bytes());
    driver
}

#[test]
fn a_pipelined_transaction() {
    let d = run(
        "EHLO c.example\r\nMAIL FROM:<a@x.example> SIZE=10 BODY=8BITMIME\r\nRCPT TO:<b@d.example>\r\nRCPT TO:<b@other.example>\r\nDATA\r\nSubject: x\r\n\r\n..hi\r\n.\r\nQUIT\r\n",
    );
    assert_eq!(d.codes(), ["220", "250", "250", "250", "550", "354", "250", "221"]);
    assert_eq!(d.messages[0].1, b"Subject: x\r\n\r\n.hi\r\n");
    assert_eq!(d.messages[0].0.recipients.len(), 1);
}

#[test]
fn chunks_make_one_message() {
    let d = run("EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<b@d.example>\r\nBDAT 6\r\na\r\n.\r\nBDAT 4 LAST\r\n\nb\r\n");
    assert_eq!(d.codes()[..4], ["220", "250", "250", "250"]);
    assert_eq!(d.codes()[4], "250");
    // The second chunk begins with a bare LF after a CR LF: refused, nothing accepted.
    assert_eq!(d.codes()[5], "550");
    assert!(d.messages.is_empty());
    let d = run("EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<b@d.example>\r\nBDAT 3\r\na\r\nBDAT 3 LAST\r\nb\r\nQUIT\r\n");
    assert_eq!(d.messages[0].1, b"a\r\nb\r\n");
    assert!(d.messages[0].0.reverse_path.is_none());
}

#[test]
fn orders_of_commands_that_make_no_sense() {
    let d = run(
        "MAIL FROM:<a@x.example>\r\nEHLO c\r\nRCPT TO:<b@d.example>\r\nDATA\r\nMAIL FROM:<a@x.example>\r\nDATA\r\nMAIL FROM:<a@x.example>\r\nVRFY b\r\nEXPN b\r\nETRN b\r\nNONSENSE\r\nRCPT TO:<b>\r\n",
    );
    assert_eq!(d.codes(), ["220", "503", "250", "503", "503", "250", "554", "503", "252", "502", "502", "500", "501"]);
}

#[test]
fn nothing_said_before_tls_counts() {
    let d = run("EHLO c\r\nMAIL FROM:<a@x.example>\r\nSTARTTLS\r\nRCPT TO:<b@d.example>\r\nDATA\r\n");
    assert_eq!(d.codes(), ["220", "250", "250", "220"], "what came behind STARTTLS in clear was run");
    let mut d = d;
    d.feed(b"MAIL FROM:<a@x.example>\r\nEHLO c\r\n");
    assert_eq!(d.codes()[4..], ["503", "250"]);
    assert_eq!(d.wire.matches("STARTTLS").count(), 1, "not offered twice");
}

#[test]
fn an_abandoned_transaction_leaves_nothing_to_the_next() {
    for end in ["RSET", "EHLO c", "HELO c"] {
        let mut d = Driver::new(Limits::default());
        d.feed(format!("EHLO c\r\nMAIL FROM:<a@x.example>\r\nRCPT TO:<one@d.example>\r\nBDAT 3\r\na\r\n{end}\r\nMAIL FROM:<a@x.example>\r\nRCPT TO:<two@d.example>\r\nDATA\r\nb\r\n.\r\n").as_bytes());
        assert_eq!(d.messages.len(), 1);
        assert_eq!(d.messages[0].1, b"b\r\n", "{end}");
        assert_eq!(d.told, ["two"], "{end}: the driver was told to forget the first recipient");
    }
    let d = run("EHLO c\r\nBDAT 3\r\nx\r\nMAIL FROM:<a@x.example>\r\nRCPT TO:<b@d.example>\r\nBDAT 0 LAST\r\n");
    assert!(d.codes().contains(&"503") && d.messages[0].1.is_empty());
    assert!(run("EHLO c\r\nBDAT 99999999999999999999\r\nMAIL FROM:<a@x.example>\r\n").closed);
}

#[test]
fn chunks_for_nobody_are_taken_off_the_wire_counted_and_not_kept() {
    for begin in ["EHLO c\r\n", "EHLO c\r\nMAIL FROM:<a@x.example>\r\nRCPT TO:<b@other.example>\r\n"] {
        for last in ["", " LAST"] {
            let mut d = run(begin);
            let before = d.codes().len();
            for piece in [format!("BDAT 9{last}\r\nNO").as_bytes(), b"OP\r\n", b"x\r\nVRFY b\r\n"] {
                d.feed(piece);
            }
            assert_eq!(d.codes()[before..], ["503", "252"], "{begin}{last}");
            d.feed(format!("BDAT 3{last}\r\na\r\n").repeat(Limits::default().bad_commands).as_bytes());
            assert!(d.closed && d.codes().last() == Some(&"421"), "{begin}{last}");
            assert_eq!(d.kept, 0, "{begin}{last}");
        }
    }
    let d = run("EHLO c\r\nMAIL FROM:<a@x.example>\r\nRCPT TO:<b@d.example>\r\nBDAT 3\r\na\r\nBDAT 0 LAST\r\n");
    assert_eq!((d.kept, d.messages.len()), (3, 1));
}

#[test]
fn bare_line_ends_close_or_refuse() {
    assert!(run("EHLO c\n").closed);
    assert!(run("EHLO c\rMAIL\r\n").closed);
    let d = run("EHLO c\r\nMAIL FROM:<a@x.example>\r\nRCPT TO:<b@d.example>\r\nDATA\r\na\n.\nMAIL FROM:<evil@x.example>\r\n.\r\nNOOP\r\n");
    assert_eq!(d.codes(), ["220", "250", "250", "250", "354", "550", "250"]);
    assert!(d.messages.is_empty());
}

#[test]
fn limits_hold() {
    let d = run(&("EHLO c\r\n".to_owned() + &"X".repeat(10_000)));
    assert!(d.closed && d.codes().contains(&"500"));
    let d = run(&("EHLO c\r\n".to_owned() + &"NONSENSE\r\n".repeat(30)));
    assert!(d.closed && d.codes().last() == Some(&"421"));
    let d = run(&("EHLO c\r\n".to_owned() + &"NOOP\r\n".repeat(10_000)));
    assert!(d.closed && d.codes().len() == 103, "idle commands end too");
    let d = run("EHLO c\r\nMAIL FROM:<a@x.example> SIZE=99999999999\r\n");
    assert_eq!(d.codes()[2], "552");
    let unknown: String = (0..20).map(|n| format!("RCPT TO:<n{n}@no.example>\r\n")).collect();
    let d = run(&("EHLO c\r\nMAIL FROM:<a@x.example>\r\n".to_owned() + &unknown));
    assert!(d.closed && d.codes().last() == Some(&"421"));
    let many: String = (0..101).map(|n| format!("RCPT TO:<n{n}@d.example>\r\n")).collect();
    let d = run(&("EHLO c\r\nMAIL FROM:<a@x.example>\r\n".to_owned() + &many));
    assert_eq!(d.codes().last(), Some(&"452"));
}

#[test]
fn postmaster_needs_no_domain() {
    let mut d = Driver::new(Limits::default());
    d.session = Session::new("d.example", Limits::default(), false);
    d.feed(b"EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<Postmaster>\r\nRCPT TO:<>\r\n");
    assert_eq!(d.codes(), ["220", "250", "250", "250", "501"]);
}

#[test]
fn what_is_asked_of_reports_comes_with_the_accepted_recipients() {
    let d = run(concat!(
        "EHLO c\r\nMAIL FROM:<a@x.example> RET=HDRS ENVID=QQ314159+2B1 AUTH=<>\r\n",
        "RCPT TO:<n@other.example> NOTIFY=DELAY\r\n",
        "RCPT TO:<one@d.example> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;b+2Bc@x.example\r\n",
        "RCPT TO:<two@d.example> NOTIFY=NEVER\r\n",
        "RCPT TO:<three@d.example> ORCPT=utf-8;jos\\x{E9}@x.example NOTIFY=DELAY\r\n",
        "RCPT TO:<four@d.example>\r\nDATA\r\na\r\n.\r\n",
        "MAIL FROM:<>\r\nRCPT TO:<one@d.example>\r\nDATA\r\nb\r\n.\r\n"
    ));
    assert!(d.wire.contains("250-DSN\r\n"));
    let dsn = &d.messages[0].0.dsn;
    assert_eq!((dsn.envelope_id.as_deref(), dsn.ret_headers_only), (Some("QQ314159+1"), true));
    assert_eq!(dsn.recipients.len(), d.messages[0].0.recipients.len());
    let nothing = RecipientNotify::default();
    let original = |text: &str| Some(text.to_owned());
    let expected = [
        RecipientNotify { success: true, failure: true, original_recipient: original("rfc822;b+c@x.example"), ..nothing.clone() },
        RecipientNotify { never: true, ..nothing.clone() },
        RecipientNotify { delay: true, original_recipient: original("utf-8;josé@x.example"), ..nothing.clone() },
        nothing.clone(),
    ];
    assert_eq!(dsn.recipients, expected);
    let next = DsnRequest { recipients: vec![nothing], ..DsnRequest::default() };
    assert!(d.messages[1].0.dsn == next, "what was asked of one message counted for the next");
}

#[test]
fn requests_that_contradict_themselves_are_refused() {
    let long = format!("ENVID={}", "a".repeat(101));
    for bad in ["RET=ALL", "RET=FULL RET=HDRS", "ENVID=", "ENVID=a+0D+0Ab", long.as_str()] {
        assert_eq!(run(&format!("EHLO c\r\nMAIL FROM:<> {bad}\r\n")).codes()[2], "501", "{bad}");
    }
    let long = format!("ORCPT=rfc822;{}", "a".repeat(501));
    for bad in ["NOTIFY=NEVER,SUCCESS", "NOTIFY=DELAY,NEVER", "NOTIFY=", "ORCPT=rfc822;a+0Ab", "ORCPT=b", long.as_str()] {
        let d = run(&format!("EHLO c\r\nMAIL FROM:<>\r\nRCPT TO:<one@d.example> {bad}\r\nDATA\r\n"));
        assert_eq!(d.codes()[3..], ["501", "554"], "{bad}");
    }
}

#[test]
fn who_is_told_to_wait_has_no_transaction() {
    let mut d = Driver::new(Limits::default());
    d.transaction = Reply::new(450, "4.7.1", "too many messages in a minute; wait");
    d.feed(b"EHLO c\r\nMAIL FROM:<a@x.example>\r\nRCPT TO:<b@d.example>\r\nDATA\r\n");
    assert_eq!(d.codes(), ["220", "250", "450", "503", "503"]);
    d.feed("MAIL FROM:<a@x.example>\r\n".repeat(200).as_bytes());
    assert!(d.closed && d.codes().len() < 110, "asking again and again ends");
}

proptest! {
    #[test]
    fn any_bytes_split_anywhere_never_panic_and_never_make_a_second_message(
        noise in prop::collection::vec(prop::sample::select(vec!["\r\n", "\n", "\r", ".", "a", "DATA", "MAIL FROM:<a@x.example>", "RCPT TO:<b@d.example>", "BDAT 3", "BDAT 5 LAST", "RSET", "EHLO c", "\0", " "]), 0..40),
        cut in 1usize..50,
    ) {
        let input = noise.concat();
        let mut whole = Driver::new(Limits::default());
        whole.feed(input.as_bytes());
        let mut pieces = Driver::new(Limits::default());
        pieces.feed(b"");
        for piece in input.as_bytes().chunks(cut) {
            if !pieces.closed {
                pieces.feed(piece);
            }
        }
        prop_assert_eq!(whole.messages.len(), pieces.messages.len());
        prop_assert_eq!(whole.codes(), pieces.codes());
    }
}

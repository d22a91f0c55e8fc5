use super::*;
use proptest::prelude::*;

/// Drives a session over scripted input: every recipient at `d.example` exists, every message is accepted.
struct Driver {
    session: Session,
    wire: String,
    messages: Vec<(Envelope, Vec<u8>)>,
    body: Vec<u8>,
    /// Recipients as a driver keeps them beside the session.
    told: Vec<String>,
    closed: bool,
}

impl Driver {
    fn new(limits: Limits) -> Self {
        Self {
            session: Session::new("mx.d.example", limits, true),
            wire: String::new(),
            messages: vec![],
            body: vec![],
            told: vec![],
            closed: false,
        }
    }

    fn feed(&mut self, bytes: &[u8]) {
        self.session.receive(bytes);
        loop {
            let step = self.session.step();
            self.wire.push_str(&String::from_utf8(self.session.take_output()).unwrap());
            match step {
                Step::Read => return,
                Step::Recipient(mailbox) if mailbox.domain().as_str() == "d.example" => {
                    self.told.push(mailbox.local_part().to_owned());
                    self.session.answer_recipient(Reply::new(250, "2.1.5", "ok"));
                }
                Step::Recipient(_) => self.session.answer_recipient(Reply::new(550, "5.1.1", "unknown")),
                Step::Body(bytes) => self.body.extend(bytes),
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

    fn codes(&self) -> Vec<&str> {
        self.wire.lines().filter(|l| l.as_bytes().get(3) == Some(&b' ')).map(|l| &l[..3]).collect()
    }
}

fn run(input: &str) -> Driver {
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

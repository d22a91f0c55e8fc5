//! The client side of a session (RFC 5321, section 3) for one recipient a transaction, as a state machine.
//!
//! The driver writes what `step` gives and feeds replies. A transaction is one write where the server offers
//! PIPELINING (RFC 2920); the content follows the 354. Outcomes are transient or permanent as RFC 5321,
//! section 4.2.1 says; a session that breaks after the final dot is transient, because nothing was promised.

use smtp_proto::{EXT_8BIT_MIME, EXT_PIPELINING, EXT_SMTP_UTF8, EXT_START_TLS, EhloResponse, Error};

use crate::address::{Mailbox, ReversePath};

/// Most octets of one reply.
const MAX_REPLY_BYTES: usize = 65_536;

/// A reply of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerReply {
    /// Reply code.
    pub code: u16,
    /// The whole text, lines joined by a space, printable ASCII only; for operator and analyst (privacy P01).
    pub text: String,
}

impl ServerReply {
    /// The enhanced status code at the start of the text (RFC 2034), such as `5.1.1`.
    #[must_use]
    pub fn enhanced_status(&self) -> Option<&str> {
        let first = self.text.split(' ').next()?;
        let mut numbers = first.split('.');
        let class = numbers.next()?;
        let valid = matches!(class, "2" | "4" | "5")
            && numbers.clone().count() == 2
            && numbers.all(|n| !n.is_empty() && n.len() <= 3 && n.bytes().all(|b| b.is_ascii_digit()));
        valid.then_some(first)
    }

    fn is_positive(&self) -> bool {
        (200..400).contains(&self.code)
    }
}

/// How a transaction ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The server took responsibility.
    Delivered(ServerReply),
    /// 4yz: try again later.
    Transient(ServerReply),
    /// 5yz: trying again is of no use.
    Permanent(ServerReply),
}

impl Outcome {
    fn of(reply: ServerReply) -> Self {
        match reply.code {
            200..=299 => Self::Delivered(reply),
            500..=599 => Self::Permanent(reply),
            _ => Self::Transient(reply),
        }
    }
}

/// What the driver has to do next.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// Write these bytes in one piece, then go on.
    Write(Vec<u8>),
    /// Read a reply and feed it with `receive`.
    Read,
    /// Negotiate TLS, then call `tls_started`.
    StartTls,
    /// The session is open and has nothing to do: begin a transaction.
    Ready,
    /// The transaction is over. The session is open for the next one unless `is_open` says no.
    Done(Outcome),
    /// The server cannot be used.
    Failed(ServerReply),
}

/// Whether TLS is wanted (RFC 3207).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tls {
    /// If the server offers it.
    Opportunistic,
    /// Without TLS there is no session.
    Required,
    /// Never, or already there.
    No,
}

#[derive(Debug, PartialEq, Eq)]
enum State {
    Greeting,
    Ehlo,
    Helo,
    StartTls,
    AwaitTls,
    AuthReply,
    Ready,
    /// Replies still to come to MAIL, RCPT and DATA; the first refusal decides.
    Envelope {
        answered: usize,
        refusal: Option<ServerReply>,
    },
    FinalReply,
    Reset(Box<Outcome>),
    Closed,
}

/// One session with a server.
#[derive(Debug)]
pub struct Session {
    hostname: String,
    tls: Tls,
    credentials: Option<(String, String)>,
    state: State,
    input: Vec<u8>,
    queue: Vec<Step>,
    pipelining: bool,
    smtputf8: bool,
    eight_bit: bool,
    commands: Vec<String>,
    content: Vec<u8>,
}

impl Session {
    /// A session that waits for the greeting.
    #[must_use]
    pub fn new(hostname: &str, tls: Tls, credentials: Option<(String, String)>) -> Self {
        Self {
            hostname: hostname.to_owned(),
            tls,
            credentials,
            state: State::Greeting,
            input: Vec::new(),
            queue: Vec::new(),
            pipelining: false,
            smtputf8: false,
            eight_bit: false,
            commands: Vec::new(),
            content: Vec::new(),
        }
    }

    /// Whether another transaction can be begun.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state == State::Ready
    }

    /// Takes bytes from the server.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.input.extend_from_slice(bytes);
    }

    /// Begins a transaction. `content` is the message with CRLF line ends, not dot-stuffed.
    pub fn begin(&mut self, reverse_path: &ReversePath, recipient: &Mailbox, content: &[u8]) {
        if !recipient.is_ascii() && !self.smtputf8 {
            self.queue.push(Step::Done(Outcome::Permanent(ServerReply {
                code: 553,
                text: "5.6.7 the next server does not offer SMTPUTF8".to_owned(),
            })));
            return;
        }
        let from = reverse_path.as_ref().map(Mailbox::to_wire).unwrap_or_default();
        let utf8 = if recipient.is_ascii() { "" } else { " SMTPUTF8" };
        // RFC 6152, section 2: only what is passed on as it came, to the operator, has more than 7 bits.
        let body = if self.eight_bit && !content.is_ascii() { " BODY=8BITMIME" } else { "" };
        self.content = dot_stuffed(content);
        self.commands =
            vec!["DATA\r\n".to_owned(), format!("RCPT TO:<{}>\r\n", recipient.to_wire()), format!("MAIL FROM:<{from}>{utf8}{body}\r\n")];
        self.state = State::Envelope { answered: 0, refusal: None };
        if self.pipelining {
            let all: String = self.commands.drain(..).rev().collect();
            self.queue.push(Step::Write(all.into_bytes()));
        } else {
            self.next_command();
        }
    }

    /// Ends the session politely.
    pub fn quit(&mut self) -> Vec<u8> {
        self.state = State::Closed;
        b"QUIT\r\n".to_vec()
    }

    /// Begins anew inside TLS.
    pub fn tls_started(&mut self) {
        self.tls = Tls::No;
        // RFC 3207, section 4.2: what the server said before is forgotten.
        self.input.clear();
        self.ehlo();
    }

    /// The refusal that was already said when the connection broke.
    pub fn take_refusal(&mut self) -> Option<Outcome> {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Reset(outcome) => Some(*outcome),
            State::Envelope { refusal: Some(reply), .. } => Some(Outcome::of(reply)),
            _ => None,
        }
    }

    /// What to do next.
    pub fn step(&mut self) -> Step {
        loop {
            if !self.queue.is_empty() {
                return self.queue.remove(0);
            }
            match self.state {
                State::AwaitTls => return Step::StartTls,
                State::Ready => return Step::Ready,
                _ => {}
            }
            match take_reply(&mut self.input) {
                Ok(Some((raw, reply))) => self.reply(&raw, reply),
                Ok(None) => return Step::Read,
                Err(reply) => {
                    self.state = State::Closed;
                    return Step::Failed(reply);
                }
            }
        }
    }

    fn reply(&mut self, raw: &[u8], reply: ServerReply) {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Greeting if reply.code == 220 => self.ehlo(),
            State::Ehlo if reply.is_positive() => self.after_ehlo(raw),
            State::Ehlo if reply.code >= 500 && self.tls != Tls::Required => {
                self.write(format!("HELO {}\r\n", self.hostname));
                self.state = State::Helo;
            }
            State::Helo if reply.is_positive() => self.state = State::Ready,
            State::StartTls if reply.code == 220 => self.state = State::AwaitTls,
            State::StartTls if self.tls == Tls::Opportunistic => {
                self.tls = Tls::No;
                self.state = State::Ready;
            }
            State::AuthReply if reply.is_positive() => self.state = State::Ready,
            State::Envelope { answered, refusal } => self.envelope_reply(answered, refusal, reply),
            State::FinalReply => {
                self.state = State::Ready;
                self.done(Outcome::of(reply));
            }
            State::Reset(outcome) => {
                self.state = if reply.is_positive() { State::Ready } else { State::Closed };
                self.queue.push(Step::Done(*outcome));
            }
            _ => self.queue.push(Step::Failed(reply)),
        }
    }

    fn after_ehlo(&mut self, raw: &[u8]) {
        let capabilities = match EhloResponse::parse(&mut raw.iter()) {
            Ok(response) => response.capabilities,
            Err(Error::NeedsMoreData { .. } | _) => 0,
        };
        self.pipelining = capabilities & EXT_PIPELINING != 0;
        self.smtputf8 = capabilities & EXT_SMTP_UTF8 != 0;
        self.eight_bit = capabilities & EXT_8BIT_MIME != 0;
        let offers_tls = capabilities & EXT_START_TLS != 0;
        if self.tls != Tls::No && offers_tls {
            self.write("STARTTLS\r\n".to_owned());
            self.state = State::StartTls;
        } else if self.tls == Tls::Required {
            self.queue.push(Step::Failed(ServerReply { code: 454, text: "4.7.4 the next server offers no STARTTLS".to_owned() }));
        } else if let Some((user, password)) = self.credentials.take() {
            use base64::Engine;
            let token = base64::engine::general_purpose::STANDARD.encode(format!("\0{user}\0{password}"));
            self.write(format!("AUTH PLAIN {token}\r\n"));
            self.state = State::AuthReply;
        } else {
            self.state = State::Ready;
        }
    }

    fn envelope_reply(&mut self, answered: usize, refusal: Option<ServerReply>, reply: ServerReply) {
        const DATA: usize = 2;
        let accepted_data = answered == DATA && reply.code == 354;
        let refusal = refusal.or_else(|| (!accepted_data && (answered == DATA || !reply.is_positive())).then(|| reply.clone()));
        if answered < DATA && (self.pipelining || refusal.is_none()) {
            self.state = State::Envelope { answered: answered + 1, refusal };
            if !self.pipelining {
                self.next_command();
            }
            return;
        }
        match refusal {
            None => {
                self.state = State::FinalReply;
                let content = std::mem::take(&mut self.content);
                self.queue.push(Step::Write(content));
            }
            // RFC 2920, section 3.1: DATA was pipelined and accepted although no recipient was; end it empty.
            Some(refusal) if accepted_data => {
                self.write(".\r\n".to_owned());
                self.state = State::Reset(Box::new(Outcome::of(refusal)));
            }
            Some(refusal) => {
                self.write("RSET\r\n".to_owned());
                self.state = State::Reset(Box::new(Outcome::of(refusal)));
            }
        }
    }

    /// A 421 closes the session whatever it answered (RFC 5321, section 3.8).
    fn done(&mut self, outcome: Outcome) {
        if let Outcome::Transient(reply) = &outcome
            && reply.code == 421
        {
            self.state = State::Closed;
        }
        self.queue.push(Step::Done(outcome));
    }

    fn ehlo(&mut self) {
        self.write(format!("EHLO {}\r\n", self.hostname));
        self.state = State::Ehlo;
    }

    fn next_command(&mut self) {
        if let Some(command) = self.commands.pop() {
            self.write(command);
        }
    }

    fn write(&mut self, line: String) {
        self.queue.push(Step::Write(line.into_bytes()));
    }
}

/// Content with every leading dot doubled and the end marked (RFC 5321, section 4.5.2).
fn dot_stuffed(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + content.len() / 64 + 8);
    for line in content.split_inclusive(|b| *b == b'\n') {
        if line.first() == Some(&b'.') {
            out.push(b'.');
        }
        out.extend_from_slice(line);
    }
    if !out.is_empty() && !out.ends_with(b"\r\n") {
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b".\r\n");
    out
}

/// One complete reply off the front of the input: its raw bytes and its meaning.
fn take_reply(input: &mut Vec<u8>) -> Result<Option<(Vec<u8>, ServerReply)>, ServerReply> {
    let nonsense = || ServerReply { code: 451, text: "4.5.0 the next server sent no valid reply".to_owned() };
    let mut at = 0;
    let mut text = String::new();
    loop {
        let Some(end) = memchr::memchr(b'\n', &input[at..]).map(|n| at + n + 1) else {
            return if input.len() > MAX_REPLY_BYTES { Err(nonsense()) } else { Ok(None) };
        };
        let line = input[at..end].trim_ascii_end();
        let code = line.get(..3).and_then(|c| std::str::from_utf8(c).ok()).and_then(|c| c.parse::<u16>().ok());
        let Some(code) = code.filter(|c| (200..600).contains(c)) else { return Err(nonsense()) };
        let words: String = line[3..].iter().skip(1).filter(|b| (0x20..0x7f).contains(*b)).map(|b| char::from(*b)).collect();
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(&words);
        at = end;
        if line.get(3) != Some(&b'-') {
            let raw: Vec<u8> = input.drain(..at).collect();
            return Ok(Some((raw, ServerReply { code, text })));
        }
        if at > MAX_REPLY_BYTES {
            return Err(nonsense());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays a script of server lines against one transaction; gives what was written and the outcome.
    fn play(script: &[&str]) -> (String, Option<Step>, bool) {
        let mut session = Session::new("mx.d.example", Tls::Opportunistic, None);
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
        assert!(matches!(end, Some(Step::Done(Outcome::Transient(_)))));
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
    fn a_server_that_talks_nonsense_fails_without_panic() {
        for script in [&["hello\r\n"][..], &["554 go away\r\n"], &["220 hi\r\n", "25\r\n"], &["220 hi\r\n", "421 busy\r\n"]] {
            let (_, end, _) = play(script);
            assert!(matches!(end, Some(Step::Failed(_))), "{script:?} {end:?}");
        }
    }
}

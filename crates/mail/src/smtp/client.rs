//! The client side of a session (RFC 5321, section 3) for one recipient a transaction, as a state machine.
//!
//! The driver writes what `step` gives and feeds replies. A transaction is one write where the server offers
//! PIPELINING (RFC 2920); the content follows the 354. Outcomes are transient or permanent as RFC 5321,
//! section 4.2.1 says; a session that breaks after the final dot is transient, because nothing was promised.
//!
//! Invariant: a server that speaks before it is asked is left, because which of its replies belongs to what would
//! be a guess. So nothing said in clear counts inside TLS, and a 250 promises only what it answers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use smtp_proto::{AUTH_LOGIN, AUTH_PLAIN, EXT_8BIT_MIME, EXT_PIPELINING, EXT_SMTP_UTF8, EXT_START_TLS, EhloResponse, Error};

use crate::address::{Mailbox, ReversePath};

/// Most octets of one reply, a long EHLO included; a server that floods with lines is left here.
const MAX_REPLY_BYTES: usize = 16 << 10;

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

    /// The same, with the class of RFC 3463, section 3.2, where a mailbox is refused without saying so by a code: these reply
    /// codes to RCPT speak of the mailbox (RFC 5321, section 4.2.2).
    fn about_recipient(self) -> Self {
        if !matches!(self.code, 550 | 551 | 553) || self.enhanced_status().is_some() {
            return self;
        }
        Self { text: format!("5.1.0 {}", self.text), ..self }
    }

    fn is_positive(&self) -> bool {
        (200..300).contains(&self.code)
    }

    /// What stands for a reply that makes no sense where it came; in our words, transient.
    fn nonsense(text: &str) -> Self {
        Self { code: 451, text: format!("4.5.0 the next server {text}") }
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
            400..=499 => Self::Transient(reply),
            // A 3yz asks for more where there is no more.
            _ => Self::Transient(ServerReply::nonsense("asked for more than there is")),
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

#[derive(PartialEq, Eq)]
enum State {
    Greeting,
    Ehlo,
    Helo,
    StartTls,
    AwaitTls,
    /// Answers still to give to challenges, the last one first.
    Auth(Vec<String>),
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

/// Nothing of it: it holds addresses, content and a password.
impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Session(…)")
    }
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

    /// Whether the whole message was given out and only the final reply is missing.
    #[must_use]
    pub fn awaits_final_reply(&self) -> bool {
        self.state == State::FinalReply
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
                Ok(Some((raw, reply))) => {
                    self.reply(&raw, reply);
                    self.check_turn();
                }
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
            // HELO offers neither TLS nor AUTH.
            State::Ehlo if reply.code >= 500 && self.tls != Tls::Required && self.credentials.is_none() => {
                self.write(format!("HELO {}\r\n", self.hostname));
                self.state = State::Helo;
            }
            State::Helo if reply.is_positive() => self.state = State::Ready,
            State::StartTls if reply.code == 220 => self.state = State::AwaitTls,
            State::StartTls if reply.code != 421 && self.tls == Tls::Opportunistic => {
                self.tls = Tls::No;
                self.state = State::Ready;
            }
            State::Auth(answers) => self.auth_reply(answers, reply),
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

    /// Nothing may be left to read when it is our turn. After STARTTLS it would be an attacker's (RFC 3207, section 6);
    /// before the message is out, a 250 would promise nothing.
    fn check_turn(&mut self) {
        let our_turn = !self.queue.is_empty() || matches!(self.state, State::Ready | State::AwaitTls);
        if self.input.is_empty() || !our_turn {
            return;
        }
        let state = std::mem::replace(&mut self.state, State::Closed);
        self.queue.retain(|step| !matches!(step, Step::Write(_)));
        if self.queue.is_empty() {
            self.queue.push(match state {
                State::Reset(outcome) => Step::Done(*outcome),
                _ => Step::Failed(ServerReply::nonsense("spoke before it was asked")),
            });
        }
    }

    fn after_ehlo(&mut self, raw: &[u8]) {
        let (capabilities, mechanisms) = match EhloResponse::parse(&mut raw.iter()) {
            Ok(response) => (response.capabilities, response.auth_mechanisms),
            Err(Error::NeedsMoreData { .. } | _) => (0, 0),
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
            self.sign_in(mechanisms, &user, &password);
        } else {
            self.state = State::Ready;
        }
    }

    /// AUTH PLAIN (RFC 4616) where it is offered, else LOGIN.
    fn sign_in(&mut self, mechanisms: u64, user: &str, password: &str) {
        if mechanisms & AUTH_PLAIN != 0 {
            self.write(format!("AUTH PLAIN {}\r\n", STANDARD.encode(format!("\0{user}\0{password}"))));
            self.state = State::Auth(Vec::new());
        } else if mechanisms & AUTH_LOGIN != 0 {
            self.write("AUTH LOGIN\r\n".to_owned());
            self.state = State::Auth(vec![STANDARD.encode(password), STANDARD.encode(user)]);
        } else {
            let text = "4.7.0 the next server offers neither AUTH PLAIN nor AUTH LOGIN".to_owned();
            self.queue.push(Step::Failed(ServerReply { code: 454, text }));
        }
    }

    fn auth_reply(&mut self, mut answers: Vec<String>, reply: ServerReply) {
        if reply.code == 334
            && let Some(answer) = answers.pop()
        {
            self.write(format!("{answer}\r\n"));
            self.state = State::Auth(answers);
        } else if reply.is_positive() {
            self.state = State::Ready;
        } else {
            self.queue.push(Step::Failed(reply));
        }
    }

    /// A reply to MAIL, RCPT or DATA. The state is `Closed` unless this sets another.
    fn envelope_reply(&mut self, answered: usize, refusal: Option<ServerReply>, reply: ServerReply) {
        const RCPT: usize = 1;
        const DATA: usize = 2;
        let is_expected = if answered == DATA { reply.code == 354 } else { reply.is_positive() };
        let is_sense = is_expected || reply.code >= 400;
        if !is_sense || reply.code == 421 {
            // A 250 to DATA is no leave to send; and a 421 closes the session (RFC 5321, section 3.8).
            let reply = if is_sense { reply } else { ServerReply::nonsense("gave a reply that makes no sense") };
            self.queue.push(Step::Done(Outcome::of(refusal.unwrap_or(reply))));
            return;
        }
        let reply = if answered == RCPT { reply.about_recipient() } else { reply };
        let refusal = refusal.or_else(|| (!is_expected).then_some(reply));
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
            Some(refusal) if answered == DATA && is_expected => {
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

/// Content with every leading dot doubled and the end marked (RFC 5321, section 4.5.2). A CR or LF by itself becomes a
/// whole line end: a server that takes it for one must not find an end of the message that is none (SMTP smuggling).
fn dot_stuffed(content: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(content.len() + content.len() / 64 + 8);
    let mut rest = content;
    while !rest.is_empty() {
        if rest[0] == b'.' {
            out.push(b'.');
        }
        let end = memchr::memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
        out.extend_from_slice(&rest[..end]);
        out.extend_from_slice(b"\r\n");
        rest = &rest[end..];
        let line_end = if rest.starts_with(b"\r\n") { 2 } else { rest.len().min(1) };
        rest = &rest[line_end..];
    }
    out.extend_from_slice(b".\r\n");
    out
}

/// One complete reply off the front of the input: its raw bytes and its meaning.
fn take_reply(input: &mut Vec<u8>) -> Result<Option<(Vec<u8>, ServerReply)>, ServerReply> {
    let nonsense = || ServerReply::nonsense("sent no valid reply");
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
#[path = "client_tests.rs"]
mod tests;

//! The server side of a session (RFC 5321, section 4) as a state machine.
//!
//! The driver gives bytes with `receive`, asks `step` what to do next, and answers what needs the world
//! (a recipient, a message, TLS). Replies collect in `take_output`, so that pipelined commands cost one write.
//! Invariant: no reply to a message is produced except by `answer_message`.

use std::borrow::Cow;
use std::net::IpAddr;

use smtp_proto::{Error, Request};

use crate::address::{Mailbox, ReversePath};
use crate::smtp::auth::{Exchange, MECHANISMS};
use crate::smtp::data::{ChunkReader, DataLimits, DataReader};
use crate::smtp::dsn_request::{DsnRequest, RecipientNotify};
use crate::smtp::reply::Reply;
use crate::smtp::xclient::{self, Told};

mod sign_in;
mod transaction;

pub use crate::smtp::auth::Credentials;

/// Longest command line: 512 by RFC 5321, section 4.5.3.1.4, more with extensions.
const MAX_COMMAND_BYTES: usize = 4_096;
/// Longest line while a client signs in (RFC 4954, section 4).
const MAX_SIGN_IN_BYTES: usize = 12_288;

/// What the listener of a session is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Takes mail of other servers; nobody signs in.
    Relay,
    /// Takes mail of those who sign in, after STARTTLS (RFC 6409).
    Submission,
    /// The same, inside TLS from the first octet (RFC 8314, section 3.3).
    Submissions,
}

/// What a session allows.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Limits of one message.
    pub data: DataLimits,
    /// Most recipients of one transaction (RFC 5321, section 4.5.3.1.8: at least 100).
    pub recipients: usize,
    /// Most transactions of one session.
    pub transactions: usize,
    /// Commands that were refused before the session is closed.
    pub bad_commands: usize,
    /// Commands that lead nowhere (NOOP, RSET, VRFY, HELP) between two messages.
    pub idle_commands: usize,
    /// Unknown recipients before the session is closed (product A5).
    pub unknown_recipients: usize,
    /// Refused sign-ins before the session is closed.
    pub refused_sign_ins: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            data: DataLimits { size_bytes: 26_214_400, line_bytes: 65_536 },
            recipients: 100,
            transactions: 10_000,
            bad_commands: 20,
            idle_commands: 100,
            unknown_recipients: 10,
            refused_sign_ins: 3,
        }
    }
}

/// The envelope of a mail transaction.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// RFC5321.MailFrom; `None` is the null reverse-path.
    pub reverse_path: ReversePath,
    /// Accepted forward-paths in order.
    pub recipients: Vec<Mailbox>,
    /// What the client called itself, or what a relay says that it called itself.
    pub helo: String,
    /// The client for whom a relay speaks, where it was told (XCLIENT).
    pub told_client: Option<IpAddr>,
    /// What is to be told of the delivery; its recipients are those above.
    pub dsn: DsnRequest,
}

/// What the driver has to do next.
#[derive(Debug)]
pub enum Step {
    /// Send the output, then read more bytes.
    Read,
    /// Check user and password, then call `answer_authentication`.
    Authenticate(Credentials),
    /// The client begins a message: let it or not by `answer_transaction`.
    Transaction,
    /// Look up this recipient, then call `answer_recipient`.
    Recipient(Mailbox),
    /// Keep these octets of the message.
    Body(Vec<u8>),
    /// The message is complete: take responsibility or refuse, then call `answer_message`.
    Message(Envelope),
    /// The message was refused by the session itself; forget what was kept.
    Discard,
    /// Send the output, negotiate TLS, then call `tls_started`.
    StartTls,
    /// Send the output and close.
    Close,
}

enum State {
    Command,
    Exchange(Exchange),
    AwaitAuthentication { credentials: Credentials, is_bearer: bool },
    AwaitTransaction(ReversePath, DsnRequest),
    AwaitRecipient(Mailbox, RecipientNotify),
    Data(DataReader),
    Chunk { reader: ChunkReader, last: bool },
    AwaitMessage,
    AwaitTls,
    Closed,
}

/// One session.
pub struct Session {
    hostname: String,
    limits: Limits,
    role: Role,
    offers_tls: bool,
    offers_xclient: bool,
    is_in_tls: bool,
    is_signed_in: bool,
    state: State,
    input: Vec<u8>,
    /// Octets of `input` that were used: moved out once a read, not once a line.
    used: usize,
    output: Vec<u8>,
    helo: Option<String>,
    told: Told,
    reverse_path: Option<ReversePath>,
    recipients: Vec<Mailbox>,
    dsn: DsnRequest,
    chunks: Option<ChunkReader>,
    discard: bool,
    /// With what the session itself refused the message that is discarded.
    refusal: Option<Reply>,
    transactions: usize,
    bad_commands: usize,
    idle_commands: usize,
    unknown_recipients: usize,
    refused_sign_ins: usize,
}

/// Nothing of it: what a client says holds addresses, content and passwords.
impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Session(…)")
    }
}

impl Session {
    /// A session with another server, whose greeting waits in the output.
    #[must_use]
    pub fn new(hostname: &str, limits: Limits, offers_tls: bool) -> Self {
        Self::with_role(Role::Relay, hostname, limits, offers_tls)
    }

    /// A session of any role, whose greeting waits in the output.
    #[must_use]
    pub fn with_role(role: Role, hostname: &str, limits: Limits, offers_tls: bool) -> Self {
        let mut session = Self {
            hostname: hostname.to_owned(),
            limits,
            role,
            offers_tls: offers_tls && role != Role::Submissions,
            offers_xclient: false,
            is_in_tls: role == Role::Submissions,
            is_signed_in: false,
            state: State::Command,
            input: Vec::new(),
            used: 0,
            output: Vec::new(),
            helo: None,
            told: Told::default(),
            reverse_path: None,
            recipients: Vec::new(),
            dsn: DsnRequest::default(),
            chunks: None,
            discard: false,
            refusal: None,
            transactions: 0,
            bad_commands: 0,
            idle_commands: 0,
            unknown_recipients: 0,
            refused_sign_ins: 0,
        };
        session.greet();
        session
    }

    /// Lets the client say for whom it speaks. Only for a relay whose word is taken.
    #[must_use]
    pub fn offering_xclient(mut self) -> Self {
        self.offers_xclient = true;
        self
    }

    fn greet(&mut self) {
        self.output.extend_from_slice(format!("220 {} ESMTP\r\n", self.hostname).as_bytes());
    }

    /// Takes bytes from the client.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.input.drain(..std::mem::take(&mut self.used));
        self.input.extend_from_slice(bytes);
    }

    /// What the client is to be sent.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// Whether a message is being read, so that the driver waits as long as RFC 5321, section 4.5.3.2 says.
    #[must_use]
    pub fn is_reading_message(&self) -> bool {
        matches!(self.state, State::Data(_) | State::Chunk { .. }) || self.chunks.is_some()
    }

    /// Whether a transaction is under way, so that its recipients still count.
    #[must_use]
    pub fn has_transaction(&self) -> bool {
        self.reverse_path.is_some()
    }

    /// Goes on as far as the bytes at hand allow.
    pub fn step(&mut self) -> Step {
        loop {
            if std::mem::take(&mut self.discard) {
                return Step::Discard;
            }
            match std::mem::replace(&mut self.state, State::Command) {
                State::Command => {
                    // The first line of a sign-in may hold all of it.
                    let longest = if self.may_sign_in() { MAX_SIGN_IN_BYTES } else { MAX_COMMAND_BYTES };
                    let Some(line) = self.take_line(longest) else {
                        return if matches!(self.state, State::Closed) { Step::Close } else { Step::Read };
                    };
                    self.command(&line);
                }
                State::Exchange(exchange) => {
                    let Some(line) = self.take_line(MAX_SIGN_IN_BYTES) else {
                        if matches!(self.state, State::Closed) {
                            return Step::Close;
                        }
                        self.state = State::Exchange(exchange);
                        return Step::Read;
                    };
                    self.exchange(exchange, &line);
                }
                State::Data(mut reader) => {
                    let mut body = Vec::new();
                    let (used, done) = reader.read(&self.input[self.used..], &mut body);
                    self.used += used;
                    if !done {
                        self.state = State::Data(reader);
                        return if body.is_empty() { Step::Read } else { Step::Body(body) };
                    }
                    self.end_of_data(reader.defect());
                    if !body.is_empty() {
                        return Step::Body(body);
                    }
                }
                State::Chunk { mut reader, last } => {
                    let mut body = Vec::new();
                    let (used, done) = reader.read(&self.input[self.used..], &mut body);
                    self.used += used;
                    if !self.has_recipient() {
                        // RFC 3030, section 2: they are taken off the wire all the same.
                        body.clear();
                    }
                    if !done {
                        self.state = State::Chunk { reader, last };
                        return if body.is_empty() { Step::Read } else { Step::Body(body) };
                    }
                    if last {
                        self.end_of_data(reader.defect());
                    } else {
                        self.end_of_chunk(reader);
                    }
                    if !body.is_empty() && !self.discard {
                        return Step::Body(body);
                    }
                }
                State::AwaitMessage => {
                    self.state = State::AwaitMessage;
                    return Step::Message(Envelope {
                        reverse_path: self.reverse_path.clone().unwrap_or_default(),
                        recipients: self.recipients.clone(),
                        helo: self.told.helo.clone().or_else(|| self.helo.clone()).unwrap_or_default(),
                        told_client: self.told.address,
                        dsn: self.dsn.clone(),
                    });
                }
                State::AwaitAuthentication { credentials, is_bearer } => {
                    self.state = State::AwaitAuthentication { credentials: credentials.clone(), is_bearer };
                    return Step::Authenticate(credentials);
                }
                State::AwaitTransaction(reverse_path, dsn) => {
                    self.state = State::AwaitTransaction(reverse_path, dsn);
                    return Step::Transaction;
                }
                State::AwaitRecipient(mailbox, notify) => {
                    self.state = State::AwaitRecipient(mailbox.clone(), notify);
                    return Step::Recipient(mailbox);
                }
                State::AwaitTls => {
                    self.state = State::AwaitTls;
                    return Step::StartTls;
                }
                State::Closed => {
                    self.state = State::Closed;
                    return Step::Close;
                }
            }
        }
    }

    /// Begins anew inside TLS (RFC 3207, section 4.2): nothing said before counts.
    pub fn tls_started(&mut self) {
        self.state = State::Command;
        self.offers_tls = false;
        self.is_in_tls = true;
        self.helo = None;
        self.told = Told::default();
        self.reset();
    }

    /// Ends the session with a 421, for example on time-out or shutdown.
    pub fn close(&mut self, reply: Reply) {
        self.reply(reply);
        self.state = State::Closed;
    }

    /// Ends a transaction before its message: the driver forgets recipients and octets before anything new.
    fn abandon(&mut self) {
        self.discard |= self.reverse_path.is_some() || self.chunks.is_some();
        self.reset();
    }

    fn reset(&mut self) {
        self.reverse_path = None;
        self.recipients.clear();
        self.dsn = DsnRequest::default();
        self.chunks = None;
    }

    fn reply(&mut self, reply: Reply) {
        reply.write(&mut self.output);
    }

    fn refuse(&mut self, reply: Reply) {
        self.bad_commands += 1;
        self.reply(reply);
        if self.bad_commands >= self.limits.bad_commands {
            self.close(Reply::new(421, "4.7.0", "too many bad commands"));
        }
    }

    /// A command that leads nowhere: a few are fine.
    fn count_idle(&mut self) -> bool {
        self.idle_commands += 1;
        let is_too_many = self.idle_commands > self.limits.idle_commands;
        if is_too_many {
            self.close(Reply::new(421, "4.7.0", "too many commands without a message; connect again"));
        }
        is_too_many
    }

    /// The next line with its end, if it is complete.
    fn take_line(&mut self, longest: usize) -> Option<Vec<u8>> {
        let rest = &self.input[self.used..];
        match memchr::memchr(b'\n', rest) {
            Some(end) if end < longest => {
                let line = rest[..=end].to_vec();
                self.used += end + 1;
                Some(line)
            }
            None if rest.len() < longest => None,
            _ => {
                self.close(Reply::new(500, "5.5.2", "the line is too long"));
                None
            }
        }
    }

    /// A line without its end. RFC 5321, section 2.3.8: lines end in CRLF; a bare CR or LF is a client that may not be
    /// understood alike, and closes the session.
    fn content_of<'a>(&mut self, line: &'a [u8]) -> Option<&'a [u8]> {
        let content = line.strip_suffix(b"\r\n").filter(|t| !t.contains(&b'\r') && !t.contains(&0));
        if content.is_none() {
            self.close(Reply::new(500, "5.5.2", "lines must end in CR LF"));
        }
        content
    }

    fn command(&mut self, line: &[u8]) {
        let Some(text) = self.content_of(line) else { return };
        if self.offers_xclient && is_command(text, b"XCLIENT") {
            return self.xclient(&text[b"XCLIENT".len()..]);
        }
        match Request::parse(&mut line.iter()) {
            Ok(request) => self.request(request, text),
            // The octets of a chunk whose size is not understood would be run as commands.
            Err(_) if text.trim_ascii_start().get(..4).is_some_and(|word| word.eq_ignore_ascii_case(b"BDAT")) => {
                self.close(Reply::new(501, "5.5.4", "syntax: BDAT chunk-size [LAST]"));
            }
            Err(Error::UnknownCommand) => self.refuse(Reply::new(500, "5.5.1", "command unknown")),
            Err(Error::InvalidSenderAddress) => self.refuse(Reply::new(501, "5.1.7", "the reverse-path is no mailbox")),
            Err(Error::InvalidRecipientAddress) => self.refuse(Reply::new(501, "5.1.3", "the forward-path is no mailbox")),
            Err(Error::SyntaxError { syntax }) => self.refuse(Reply::new(501, "5.5.4", format!("syntax: {syntax}"))),
            Err(Error::InvalidParameter { param: "ORCPT" }) => self.rcpt_of_another_kind(line),
            Err(Error::UnsupportedParameter { .. }) => self.refuse(Reply::new(555, "5.5.4", "parameter not supported")),
            Err(_) => self.refuse(Reply::new(501, "5.5.4", "parameter not understood")),
        }
    }

    fn request(&mut self, request: Request<Cow<'_, str>>, line: &[u8]) {
        let is_idle = matches!(request, Request::Noop { .. } | Request::Rset | Request::Vrfy { .. } | Request::Help { .. });
        if is_idle && self.count_idle() {
            return;
        }
        match request {
            Request::Ehlo { host } => self.ehlo(&host),
            Request::Helo { host } => {
                self.abandon();
                self.helo = Some(host.into_owned());
                let hostname = self.hostname.clone();
                self.reply(Reply::new(250, "", hostname));
            }
            Request::Mail { from } => self.mail(&from),
            Request::Rcpt { to } => self.rcpt(&to, None, line),
            Request::Auth { mechanism, initial_response } => self.auth(mechanism, &initial_response),
            Request::Data => self.data(),
            Request::Bdat { chunk_size, is_last } => self.bdat(chunk_size, is_last),
            Request::Rset => {
                self.abandon();
                self.reply(Reply::new(250, "2.0.0", "flushed"));
            }
            Request::Noop { .. } => self.reply(Reply::new(250, "2.0.0", "fine")),
            Request::Quit => {
                self.reply(Reply::new(221, "2.0.0", "goodbye"));
                self.state = State::Closed;
            }
            // RFC 5321, section 3.5.3: neither confirms nor denies (privacy P07).
            Request::Vrfy { .. } => self.reply(Reply::new(252, "2.5.2", "send some mail, we will try")),
            Request::Expn { .. } => self.refuse(Reply::new(502, "5.5.1", "not offered")),
            Request::Help { .. } => self.reply(Reply::new(214, "2.0.0", "RFC 5321 says it all")),
            Request::StartTls if self.offers_tls => {
                // RFC 3207, section 4: whatever came in clear behind the command is not TLS and is not a command.
                self.input.clear();
                self.used = 0;
                self.reply(Reply::new(220, "2.0.0", "go ahead"));
                self.state = State::AwaitTls;
            }
            _ => self.refuse(Reply::new(502, "5.5.1", "command not offered")),
        }
    }

    fn ehlo(&mut self, host: &str) {
        self.abandon();
        self.helo = Some(host.to_owned());
        let mut lines = vec![
            self.hostname.clone(),
            "PIPELINING".to_owned(),
            format!("SIZE {}", self.limits.data.size_bytes),
            "8BITMIME".to_owned(),
            "SMTPUTF8".to_owned(),
            "CHUNKING".to_owned(),
            "DSN".to_owned(),
        ];
        if self.offers_tls {
            lines.push("STARTTLS".to_owned());
        }
        if self.may_sign_in() {
            lines.push(format!("AUTH {MECHANISMS}"));
        }
        if self.offers_xclient {
            lines.push(xclient::OFFER.to_owned());
        }
        for line in lines {
            self.output.extend_from_slice(format!("250-{line}\r\n").as_bytes());
        }
        self.output.extend_from_slice(b"250 ENHANCEDSTATUSCODES\r\n");
    }
}

/// Whether a line begins with that word.
fn is_command(text: &[u8], word: &[u8]) -> bool {
    text.get(..word.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(word)) && text.get(word.len()).is_none_or(u8::is_ascii_whitespace)
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "server_sign_in_tests.rs"]
mod sign_in_tests;

#[cfg(test)]
#[path = "server_smuggling_tests.rs"]
mod smuggling_tests;

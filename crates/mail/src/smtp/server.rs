//! The server side of a session (RFC 5321, section 4) as a state machine.
//!
//! The driver gives bytes with `receive`, asks `step` what to do next, and answers what needs the world
//! (a recipient, a message, TLS). Replies collect in `take_output`, so that pipelined commands cost one write.
//! Invariant: no reply to a message is produced except by `answer_message`.

use smtp_proto::{Error, MAIL_BODY_BINARYMIME, MAIL_SMTPUTF8, Request};

use crate::address::{Mailbox, ReversePath};
use crate::smtp::data::{ChunkReader, DataLimits, DataReader, Defect};
use crate::smtp::reply::Reply;

/// Longest command line: 512 by RFC 5321, section 4.5.3.1.4, more with extensions.
const MAX_COMMAND_BYTES: usize = 4_096;

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
    /// What the client called itself.
    pub helo: String,
}

/// What the driver has to do next.
#[derive(Debug)]
pub enum Step {
    /// Send the output, then read more bytes.
    Read,
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

#[derive(Debug)]
enum State {
    Command,
    AwaitRecipient(Mailbox),
    Data(DataReader),
    Chunk { reader: ChunkReader, last: bool },
    AwaitMessage,
    AwaitTls,
    Closed,
}

/// One session.
#[derive(Debug)]
pub struct Session {
    hostname: String,
    limits: Limits,
    offers_tls: bool,
    state: State,
    input: Vec<u8>,
    /// Octets of `input` that were used: moved out once a read, not once a line.
    used: usize,
    output: Vec<u8>,
    helo: Option<String>,
    reverse_path: Option<ReversePath>,
    recipients: Vec<Mailbox>,
    chunks: Option<ChunkReader>,
    discard: bool,
    transactions: usize,
    bad_commands: usize,
    idle_commands: usize,
    unknown_recipients: usize,
}

impl Session {
    /// A session whose greeting waits in the output.
    #[must_use]
    pub fn new(hostname: &str, limits: Limits, offers_tls: bool) -> Self {
        let mut session = Self {
            hostname: hostname.to_owned(),
            limits,
            offers_tls,
            state: State::Command,
            input: Vec::new(),
            used: 0,
            output: Vec::new(),
            helo: None,
            reverse_path: None,
            recipients: Vec::new(),
            chunks: None,
            discard: false,
            transactions: 0,
            bad_commands: 0,
            idle_commands: 0,
            unknown_recipients: 0,
        };
        session.output.extend_from_slice(format!("220 {hostname} ESMTP\r\n").as_bytes());
        session
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
                    let Some(line) = self.take_line() else {
                        return if matches!(self.state, State::Closed) { Step::Close } else { Step::Read };
                    };
                    self.command(&line);
                    if let State::AwaitRecipient(mailbox) = &self.state {
                        return Step::Recipient(mailbox.clone());
                    }
                    if matches!(self.state, State::AwaitTls) {
                        return Step::StartTls;
                    }
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
                        helo: self.helo.clone().unwrap_or_default(),
                    });
                }
                State::AwaitRecipient(mailbox) => {
                    self.state = State::AwaitRecipient(mailbox.clone());
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

    /// Answers `Step::Recipient`: a positive reply adds the recipient.
    pub fn answer_recipient(&mut self, reply: Reply) {
        if let State::AwaitRecipient(mailbox) = std::mem::replace(&mut self.state, State::Command) {
            if reply.is_positive() {
                self.recipients.push(mailbox);
            } else if reply.code >= 500 {
                self.unknown_recipients += 1;
            }
            self.reply(reply);
            if self.unknown_recipients >= self.limits.unknown_recipients {
                self.close(Reply::new(421, "4.7.0", "too many unknown recipients; check the addresses and come back later"));
            }
        }
    }

    /// Answers `Step::Message` and ends the transaction.
    pub fn answer_message(&mut self, reply: Reply) {
        self.state = State::Command;
        self.idle_commands = 0;
        self.reset();
        let closes = reply.code == 421;
        self.reply(reply);
        if closes {
            self.state = State::Closed;
        }
    }

    /// Begins anew inside TLS (RFC 3207, section 4.2): nothing said before counts.
    pub fn tls_started(&mut self) {
        self.state = State::Command;
        self.offers_tls = false;
        self.helo = None;
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

    /// The next command line without its CRLF, if it is complete.
    fn take_line(&mut self) -> Option<Vec<u8>> {
        let rest = &self.input[self.used..];
        match memchr::memchr(b'\n', rest) {
            Some(end) if end < MAX_COMMAND_BYTES => {
                let line = rest[..=end].to_vec();
                self.used += end + 1;
                Some(line)
            }
            None if rest.len() < MAX_COMMAND_BYTES => None,
            _ => {
                self.close(Reply::new(500, "5.5.2", "the line is too long"));
                None
            }
        }
    }

    fn command(&mut self, line: &[u8]) {
        let text = &line[..line.len() - 1];
        // RFC 5321, section 2.3.8: lines end in CRLF; a bare CR or LF is a client that may not be understood alike.
        let Some(text) = text.strip_suffix(b"\r").filter(|t| !t.contains(&b'\r') && !t.contains(&0)) else {
            return self.close(Reply::new(500, "5.5.2", "lines must end in CR LF"));
        };
        match Request::parse(&mut line.iter()) {
            Ok(request) => self.request(request, text),
            // The octets of a chunk whose size is not understood would be run as commands.
            Err(_) if text.get(..4).is_some_and(|word| word.eq_ignore_ascii_case(b"BDAT")) => {
                self.close(Reply::new(501, "5.5.4", "syntax: BDAT chunk-size [LAST]"));
            }
            Err(Error::UnknownCommand) => self.refuse(Reply::new(500, "5.5.1", "command unknown")),
            Err(Error::InvalidSenderAddress) => self.refuse(Reply::new(501, "5.1.7", "the reverse-path is no mailbox")),
            Err(Error::InvalidRecipientAddress) => self.refuse(Reply::new(501, "5.1.3", "the forward-path is no mailbox")),
            Err(Error::SyntaxError { syntax }) => self.refuse(Reply::new(501, "5.5.4", format!("syntax: {syntax}"))),
            Err(Error::UnsupportedParameter { .. }) => self.refuse(Reply::new(555, "5.5.4", "parameter not supported")),
            Err(_) => self.refuse(Reply::new(501, "5.5.4", "parameter not understood")),
        }
    }

    fn request(&mut self, request: Request<std::borrow::Cow<'_, str>>, line: &[u8]) {
        if matches!(request, Request::Noop { .. } | Request::Rset | Request::Vrfy { .. } | Request::Help { .. }) {
            self.idle_commands += 1;
            if self.idle_commands > self.limits.idle_commands {
                return self.close(Reply::new(421, "4.7.0", "too many commands without a message; connect again"));
            }
        }
        match request {
            Request::Ehlo { host } => self.ehlo(&host),
            Request::Helo { host } => {
                self.abandon();
                self.helo = Some(host.into_owned());
                let hostname = self.hostname.clone();
                self.reply(Reply::new(250, "", hostname));
            }
            Request::Mail { from } => self.mail(&from.address, from.size, from.flags),
            Request::Rcpt { to } => self.rcpt(&to.address, line),
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
        ];
        if self.offers_tls {
            lines.push("STARTTLS".to_owned());
        }
        for line in lines {
            self.output.extend_from_slice(format!("250-{line}\r\n").as_bytes());
        }
        self.output.extend_from_slice(b"250 ENHANCEDSTATUSCODES\r\n");
    }

    fn mail(&mut self, address: &str, size: usize, flags: u64) {
        if self.helo.is_none() {
            return self.refuse(Reply::new(503, "5.5.1", "say EHLO first"));
        }
        if self.reverse_path.is_some() {
            return self.refuse(Reply::new(503, "5.5.1", "a transaction is under way; send RSET to end it"));
        }
        if flags & MAIL_BODY_BINARYMIME != 0 {
            return self.refuse(Reply::new(555, "5.5.4", "BINARYMIME is not offered"));
        }
        if size > self.limits.data.size_bytes && size != usize::MAX {
            return self.refuse(Reply::new(552, "5.3.4", format!("the message is larger than {} octets", self.limits.data.size_bytes)));
        }
        if self.transactions >= self.limits.transactions {
            return self.close(Reply::new(421, "4.7.0", "too many messages in one session; connect again"));
        }
        let reverse_path = match address {
            "" => None,
            address => match Mailbox::parse(address) {
                Ok(mailbox) => Some(mailbox),
                Err(error) => return self.refuse(Reply::new(501, "5.1.7", error.to_string())),
            },
        };
        // RFC 6531, section 3.5: without SMTPUTF8 an address is ASCII.
        if flags & MAIL_SMTPUTF8 == 0 && reverse_path.as_ref().is_some_and(|m| !m.is_ascii()) {
            return self.refuse(Reply::new(550, "5.6.7", "use SMTPUTF8 for this address"));
        }
        self.transactions += 1;
        self.reverse_path = Some(reverse_path);
        self.reply(Reply::new(250, "2.1.0", "originator noted"));
    }

    fn rcpt(&mut self, address: &str, line: &[u8]) {
        if self.reverse_path.is_none() {
            return self.refuse(Reply::new(503, "5.5.1", "say MAIL first"));
        }
        if self.recipients.len() >= self.limits.recipients {
            return self.reply(Reply::new(452, "4.5.3", "too many recipients; send the rest in another transaction"));
        }
        // RFC 5321, section 4.1.1.3: <Postmaster> without a domain is a recipient; the parser gives it as empty.
        let bare_postmaster = address.is_empty() && line.to_ascii_lowercase().windows(12).any(|w| w == b"<postmaster>");
        let address = if bare_postmaster { format!("postmaster@{}", self.hostname) } else { address.to_owned() };
        match Mailbox::parse(&address) {
            Ok(mailbox) => self.state = State::AwaitRecipient(mailbox),
            Err(error) => self.refuse(Reply::new(501, "5.1.3", error.to_string())),
        }
    }

    fn data(&mut self) {
        if self.chunks.is_some() {
            return self.refuse(Reply::new(503, "5.5.1", "BDAT was begun; go on with BDAT or send RSET"));
        }
        if self.reverse_path.is_none() {
            return self.refuse(Reply::new(503, "5.5.1", "say MAIL first"));
        }
        if self.recipients.is_empty() {
            return self.refuse(Reply::new(554, "5.5.1", "no valid recipients"));
        }
        self.reply(Reply::new(354, "", "end with CR LF . CR LF"));
        self.state = State::Data(DataReader::new(self.limits.data));
    }

    fn bdat(&mut self, octets: usize, last: bool) {
        // RFC 3030, section 2: a chunk is sent whatever we think of it, so a size beyond reason ends the session.
        if octets > self.limits.data.size_bytes.saturating_mul(2) {
            return self.close(Reply::new(552, "5.3.4", "the chunk is too large"));
        }
        let mut reader = self.chunks.take().unwrap_or_else(|| ChunkReader::new(self.limits.data));
        reader.begin(octets);
        self.state = State::Chunk { reader, last };
    }

    /// RFC 3030, section 2: each chunk is answered; without a transaction it is thrown away.
    fn end_of_chunk(&mut self, reader: ChunkReader) {
        if self.reverse_path.is_none() || self.recipients.is_empty() {
            self.discard = true;
            return self.reply(Reply::new(503, "5.5.1", "no transaction with a valid recipient"));
        }
        self.chunks = Some(reader);
        self.reply(Reply::new(250, "2.0.0", "chunk received"));
    }

    fn end_of_data(&mut self, defect: Option<Defect>) {
        let refusal = match defect {
            // BDAT without a valid transaction: the octets were taken off the wire, now say so.
            _ if self.reverse_path.is_none() || self.recipients.is_empty() => {
                Reply::new(503, "5.5.1", "no transaction with a valid recipient")
            }
            None => {
                self.state = State::AwaitMessage;
                return;
            }
            Some(Defect::BareLineEnd) => Reply::new(550, "5.6.11", "the message has a bare CR or LF; lines end in CR LF"),
            Some(Defect::Nul) => Reply::new(550, "5.6.0", "the message has a NUL octet"),
            Some(Defect::LongLine) => {
                Reply::new(550, "5.6.0", format!("the message has a line of more than {} octets", self.limits.data.line_bytes))
            }
            Some(Defect::TooLarge) => {
                Reply::new(552, "5.3.4", format!("the message is larger than {} octets", self.limits.data.size_bytes))
            }
        };
        self.reset();
        self.discard = true;
        self.state = State::Command;
        self.reply(refusal);
    }
}

#[cfg(test)]
#[path = "server_tests.rs"]
mod tests;

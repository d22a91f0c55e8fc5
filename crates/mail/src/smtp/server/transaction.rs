//! From MAIL to the end of the message (RFC 5321, section 3.3; RFC 3030; RFC 3461).

use std::borrow::Cow;

use smtp_proto::{MAIL_BODY_BINARYMIME, MAIL_SMTPUTF8, MailFrom, RcptTo, Request};

use super::{Session, State};
use crate::address::Mailbox;
use crate::smtp::data::{ChunkReader, DataReader, Defect};
use crate::smtp::dsn_request::{DsnRequest, RecipientNotify, original_recipient, take_original_recipient};
use crate::smtp::reply::Reply;

impl Session {
    pub(super) fn mail(&mut self, from: &MailFrom<Cow<'_, str>>) {
        if self.helo.is_none() {
            return self.refuse(Reply::new(503, "5.5.1", "say EHLO first"));
        }
        if let Some(refusal) = self.sign_in_needed() {
            return self.refuse(refusal);
        }
        if self.reverse_path.is_some() {
            return self.refuse(Reply::new(503, "5.5.1", "a transaction is under way; send RSET to end it"));
        }
        if from.flags & MAIL_BODY_BINARYMIME != 0 {
            return self.refuse(Reply::new(555, "5.5.4", "BINARYMIME is not offered"));
        }
        if from.size > self.limits.data.size_bytes && from.size != usize::MAX {
            return self.refuse(Reply::new(552, "5.3.4", format!("the message is larger than {} octets", self.limits.data.size_bytes)));
        }
        if self.transactions >= self.limits.transactions {
            return self.close(Reply::new(421, "4.7.0", "too many messages in one session; connect again"));
        }
        let reverse_path = match &*from.address {
            "" => None,
            address => match Mailbox::parse(address) {
                Ok(mailbox) => Some(mailbox),
                Err(error) => return self.refuse(Reply::new(501, "5.1.7", error.to_string())),
            },
        };
        // RFC 6531, section 3.5: without SMTPUTF8 an address is ASCII.
        if from.flags & MAIL_SMTPUTF8 == 0 && reverse_path.as_ref().is_some_and(|m| !m.is_ascii()) {
            return self.refuse(Reply::new(550, "5.6.7", "use SMTPUTF8 for this address"));
        }
        let Some(dsn) = DsnRequest::read(from.flags, from.env_id.as_deref()) else {
            return self.refuse(Reply::new(501, "5.5.4", "RET or ENVID is not understood"));
        };
        self.state = State::AwaitTransaction(reverse_path, dsn);
    }

    /// Answers `Step::Transaction`: a positive reply begins the message.
    pub fn answer_transaction(&mut self, reply: Reply) {
        if let State::AwaitTransaction(reverse_path, dsn) = std::mem::replace(&mut self.state, State::Command) {
            if reply.is_positive() {
                self.transactions += 1;
                self.reverse_path = Some(reverse_path);
                self.dsn = dsn;
                return self.reply(reply);
            }
            // Who is told to wait and asks again and again is idle.
            if !self.count_idle() {
                self.reply(reply);
            }
        }
    }

    /// `original` is given where it was taken out of the line before.
    pub(super) fn rcpt(&mut self, to: &RcptTo<Cow<'_, str>>, original: Option<String>, line: &[u8]) {
        if self.reverse_path.is_none() {
            return self.refuse(Reply::new(503, "5.5.1", "say MAIL first"));
        }
        if self.recipients.len() >= self.limits.recipients {
            return self.reply(Reply::new(452, "4.5.3", "too many recipients; send the rest in another transaction"));
        }
        // RFC 5321, section 4.1.1.3: <Postmaster> without a domain is a recipient; the parser gives it as empty.
        let bare_postmaster = to.address.is_empty() && line.to_ascii_lowercase().windows(12).any(|w| w == b"<postmaster>");
        let address: Cow<'_, str> =
            if bare_postmaster { Cow::Owned(format!("postmaster@{}", self.hostname)) } else { Cow::Borrowed(&*to.address) };
        let mailbox = match Mailbox::parse(&address) {
            Ok(mailbox) => mailbox,
            Err(error) => return self.refuse(Reply::new(501, "5.1.3", error.to_string())),
        };
        let original = match (&to.orcpt, original) {
            (Some(address), None) => match original_recipient("rfc822", address) {
                Some(original) => Some(original),
                None => return self.refuse(Reply::new(501, "5.5.4", "ORCPT is not understood")),
            },
            (_, original) => original,
        };
        match RecipientNotify::read(to.flags, original) {
            Some(notify) => self.state = State::AwaitRecipient(mailbox, notify),
            None => self.refuse(Reply::new(501, "5.5.4", "NOTIFY=NEVER stands alone")),
        }
    }

    /// RCPT whose ORCPT is of a kind that the parser does not know.
    pub(super) fn rcpt_of_another_kind(&mut self, line: &[u8]) {
        if let Some((rest, original)) = take_original_recipient(line)
            && let Ok(Request::Rcpt { to }) = Request::parse(&mut rest.iter())
            && to.orcpt.is_none()
        {
            return self.rcpt(&to, Some(original), &rest);
        }
        self.refuse(Reply::new(501, "5.5.4", "ORCPT is not understood"));
    }

    /// Answers `Step::Recipient`: a positive reply adds the recipient.
    pub fn answer_recipient(&mut self, reply: Reply) {
        if let State::AwaitRecipient(mailbox, notify) = std::mem::replace(&mut self.state, State::Command) {
            if reply.is_positive() {
                self.recipients.push(mailbox);
                self.dsn.recipients.push(notify);
            } else if reply.code >= 500 {
                self.unknown_recipients += 1;
            }
            self.reply(reply);
            if self.unknown_recipients >= self.limits.unknown_recipients {
                self.close(Reply::new(421, "4.7.0", "too many unknown recipients; check the addresses and come back later"));
            }
        }
    }

    pub(super) fn data(&mut self) {
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

    pub(super) fn bdat(&mut self, octets: usize, last: bool) {
        // RFC 3030, section 2: a chunk is sent whatever we think of it, so a size beyond reason ends the session.
        if octets > self.limits.data.size_bytes.saturating_mul(2) {
            return self.close(Reply::new(552, "5.3.4", "the chunk is too large"));
        }
        let mut reader = self.chunks.take().unwrap_or_else(|| ChunkReader::new(self.limits.data));
        reader.begin(octets);
        self.state = State::Chunk { reader, last };
    }

    /// Whether there is anybody to keep octets for.
    pub(super) fn has_recipient(&self) -> bool {
        self.reverse_path.is_some() && !self.recipients.is_empty()
    }

    /// RFC 3030, section 2: each chunk is answered; without a transaction it was thrown away.
    pub(super) fn end_of_chunk(&mut self, reader: ChunkReader) {
        if !self.has_recipient() {
            return self.refuse(no_recipient());
        }
        self.chunks = Some(reader);
        self.reply(Reply::new(250, "2.0.0", "chunk received"));
    }

    pub(super) fn end_of_data(&mut self, defect: Option<Defect>) {
        if !self.has_recipient() {
            self.abandon();
            return self.refuse(no_recipient());
        }
        let refusal = match defect {
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
        self.refusal = Some(refusal.clone());
        self.reply(refusal);
    }

    /// Once, with what the session itself refused a message that came whole.
    pub fn take_refusal(&mut self) -> Option<Reply> {
        self.refusal.take()
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
}

/// The answer to BDAT with nobody to take it.
fn no_recipient() -> Reply {
    Reply::new(503, "5.5.1", "no transaction with a valid recipient")
}

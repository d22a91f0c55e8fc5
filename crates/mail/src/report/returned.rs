//! What a report tells of the message that it is about: ids, and mailboxes that may be its reverse-path.
//!
//! Both are claims of whoever wrote the report. They are collected wherever a system leaves them, because some return the
//! head, some the message, some a few lines of text, and some only the address to which they write.

use crate::address::Mailbox;
use crate::html;
use crate::message_id::MessageId;
use crate::mime::{self, Entity, Fields, Message, decode_transfer};
use crate::report::formal::groups;
use crate::report::words::is_words;
use crate::report::{MAX_NESTING, MAX_RETURNED, addresses, excerpt, is_whole_message, text_of};

/// Most trace fields of a returned head that are looked at.
const MAX_TRACES: usize = 30;
/// Fields that hold the id of the message, the last ones set by systems that give it another.
const ID_FIELDS: [&str; 7] = [
    "message-id",
    "original-message-id",
    "x-original-message-id",
    "x-google-original-message-id",
    "x-gmail-original-message-id",
    "x-microsoft-original-message-id",
    "resent-message-id",
];
/// Fields that hold its reverse-path.
const PATH_FIELDS: [&str; 6] =
    ["return-path", "x-original-return-path", "original-mail-from", "envelope-from", "x-envelope-from", "x-postfix-sender"];
/// How the local-part of a reverse-path of ours begins; only such ones are taken from fields that name recipients.
const OWN_PREFIX: &str = "b-";

#[derive(Default)]
pub(super) struct Returned {
    pub(super) ids: Vec<MessageId>,
    pub(super) paths: Vec<Mailbox>,
}

impl Returned {
    pub(super) fn of(message: &Message<'_>) -> Self {
        let mut returned = Self::default();
        returned.read_addressee(message.fields());
        returned.read_parts(message, 0);
        returned
    }

    /// To whom the report is written: systems that return nothing still write to the reverse-path.
    fn read_addressee(&mut self, fields: &Fields<'_>) {
        for name in ["To", "Delivered-To", "X-Original-To", "Envelope-To", "X-Envelope-To", "Apparently-To"] {
            for value in fields.iter().filter(|f| f.name.eq_ignore_ascii_case(name)).take(MAX_RETURNED) {
                self.add_own(&String::from_utf8_lossy(value.value));
            }
        }
        // An answer names what it answers (RFC 3834, section 3.1.6); so do some mail systems.
        self.add_ids(&fields.raw("In-Reply-To").unwrap_or_default());
        if let Some(last) = MessageId::list(&fields.raw("References").unwrap_or_default()).pop() {
            self.add_id(last);
        }
    }

    fn read_parts(&mut self, message: &Message<'_>, depth: usize) {
        for (index, entity) in message.entities.iter().enumerate() {
            if self.is_full() {
                return;
            }
            self.read_part(message, index, entity);
        }
        if depth >= MAX_NESTING {
            return;
        }
        for entity in message.entities.iter().filter(|entity| is_whole_message(entity)) {
            let octets = decode_transfer(entity);
            if let Ok(inner) = mime::parse(&octets)
                && !self.is_full()
            {
                self.read_parts(&inner, depth + 1);
            }
        }
    }

    fn read_part(&mut self, message: &Message<'_>, index: usize, entity: &Entity<'_>) {
        match entity.media_type.as_str() {
            "message/rfc822"
            | "message/global"
            | "message/partial"
            | "message/news"
            | "text/rfc822-headers"
            | "message/rfc822-headers"
            | "message/global-headers" => self.read_head(&Fields::read(&decode_transfer(&excerpt(entity))).0),
            "message/delivery-status"
            | "message/global-delivery-status"
            | "message/disposition-notification"
            | "message/global-disposition-notification"
            | "message/feedback-report" => {
                for (name, value) in groups(&text_of(entity)).into_iter().flatten() {
                    self.read_status_field(&name, &value);
                }
            }
            "text/html" => self.read_text(&html::to_text_unread(&text_of(entity))),
            _ if is_words(message, index, entity) => self.read_text(&text_of(entity)),
            _ => {}
        }
        // A head that stands where the fields of its part should.
        if index > 0 && entity.fields.find("Message-ID").is_some() {
            self.read_head(&entity.fields);
        }
    }

    fn read_head(&mut self, fields: &Fields<'_>) {
        for field in fields.iter() {
            let value = String::from_utf8_lossy(field.value);
            self.read_field(field.name, &value);
        }
        for trace in fields.iter().filter(|field| field.name.eq_ignore_ascii_case("Received")).take(MAX_TRACES) {
            self.read_envelope(&String::from_utf8_lossy(trace.value));
        }
    }

    fn read_field(&mut self, name: &str, value: &str) {
        if ID_FIELDS.iter().any(|known| name.eq_ignore_ascii_case(known)) {
            self.add_ids(value);
        } else if PATH_FIELDS.iter().any(|known| name.eq_ignore_ascii_case(known)) {
            self.add_path(value);
        }
    }

    fn read_status_field(&mut self, name: &str, value: &str) {
        match name {
            "final-recipient" | "original-recipient" => self.add_own(value),
            _ if name.starts_with("x-") && name.ends_with("-sender") => self.add_path(value),
            _ => self.read_field(name, value),
        }
    }

    /// A returned head in a text: lines of fields, quoted or indented, the value perhaps on the next line.
    fn read_text(&mut self, text: &str) {
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next() {
            if self.is_full() {
                return;
            }
            let line = line.trim_start_matches([' ', '\t', '>', '|']);
            if let Some((name, value)) = line.split_once(':') {
                let value = if value.trim().is_empty() { lines.peek().copied().unwrap_or_default() } else { value };
                self.read_field(name.trim_end(), value);
            }
            self.read_envelope(line);
        }
    }

    /// `(envelope-from <user@domain>)` in a trace field, `MAIL FROM:<user@domain>` in a transcript.
    fn read_envelope(&mut self, line: &str) {
        let lower = line.to_ascii_lowercase();
        for mark in ["envelope-from", "envelope-sender", "mail from:"] {
            if let Some(at) = lower.find(mark) {
                self.add_path(&line[at + mark.len()..]);
            }
        }
    }

    fn add_ids(&mut self, value: &str) {
        let listed = MessageId::list(value);
        if listed.is_empty() {
            // Without its brackets, as some systems copy it.
            let bare = value.split_whitespace().next().filter(|id| id.contains('@'));
            if let Some(id) = bare.and_then(MessageId::new) {
                self.add_id(id);
            }
        }
        for id in listed {
            self.add_id(id);
        }
    }

    fn add_id(&mut self, id: MessageId) {
        if self.ids.len() < MAX_RETURNED && !self.ids.contains(&id) {
            self.ids.push(id);
        }
    }

    /// The first address of a value, whatever it is.
    fn add_path(&mut self, value: &str) {
        if let Some(mailbox) = addresses(value).next().and_then(|address| Mailbox::parse(address).ok()) {
            self.add_mailbox(mailbox);
        }
    }

    /// Those addresses of a value that may be reverse-paths of ours.
    fn add_own(&mut self, value: &str) {
        let is_own = |address: &&str| address.get(..OWN_PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(OWN_PREFIX));
        for address in addresses(value).filter(is_own).take(MAX_RETURNED) {
            if let Ok(mailbox) = Mailbox::parse(address) {
                self.add_mailbox(mailbox);
            }
        }
    }

    fn add_mailbox(&mut self, mailbox: Mailbox) {
        if self.paths.len() < MAX_RETURNED && !self.paths.iter().any(|known| known.canonical() == mailbox.canonical()) {
            self.paths.push(mailbox);
        }
    }

    fn is_full(&self) -> bool {
        self.ids.len() >= MAX_RETURNED && self.paths.len() >= MAX_RETURNED
    }
}

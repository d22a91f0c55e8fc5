//! What machines write about mail: delivery status notifications, complaints, answers and receipts.
//!
//! Pure: a message in, a value out. A report is believed to be one by its form (`formal.rs`: RFC 3464, RFC 5965, RFC 6533,
//! RFC 8098) or, from what looks like a mail system, by its words (`words.rs`, with the dialects of the world as data in
//! `report/dialects.toml`). It never says for which message it is true: whoever forges a report forges all of it, so the
//! caller looks among `reverse_paths` for an address with its own MAC. Whatever strangers write, nothing here panics, and
//! every list, text and depth has a named limit.

mod code;
pub(crate) mod data;
mod formal;
mod returned;
mod status;
mod words;

use crate::address::Mailbox;
use crate::automatic::is_answer;
use crate::message_id::MessageId;
use crate::mime::{self, Entity, decode_text, decode_transfer};
use crate::report::returned::Returned;
use crate::report::words::{Account, Clues};

/// Most recipients read from one report. A message of ours has one; the rest would be somebody else's.
pub const MAX_RECIPIENTS: usize = 100;
/// Most ids, and most reverse-paths, taken from one report.
pub const MAX_RETURNED: usize = 20;
/// Longest diagnostic in characters: enough for a reply of several lines (RFC 5321, section 4.5.3.1.5).
pub const MAX_DIAGNOSTIC: usize = 500;
/// How many messages in one another are opened to find the report that a gateway wrapped.
pub const MAX_NESTING: usize = 10;
/// Octets of one part that are read; reports are short, what they return is not needed whole.
const MAX_OCTETS: usize = 128 << 10;
/// Longest address in characters (RFC 5321, section 4.5.3.1.3, with room for RFC 6533).
const MAX_ADDRESS: usize = 320;

/// What a machine wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportKind {
    /// What became of a message on its way (RFC 3464), formal or in words.
    Dsn,
    /// Somebody called a message spam (RFC 5965).
    Complaint,
    /// A program answered for a person (RFC 3834).
    AutoReply,
    /// What became of a message at its reader (RFC 8098).
    Disposition,
}

/// RFC 3464, section 2.3.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Given up.
    Failed,
    /// Still being tried.
    Delayed,
    /// In the recipient's mailbox.
    Delivered,
    /// Handed to a system that sends no notifications.
    Relayed,
    /// Handed to several recipients.
    Expanded,
}

/// What became of the message for one recipient.
#[derive(Clone, PartialEq, Eq)]
pub struct RecipientStatus {
    /// What was done.
    pub action: Action,
    /// Enhanced status code such as `5.1.1` (RFC 3463); stated, or derived from the words. None in a receipt or complaint.
    pub status: Option<String>,
    /// The recipient as the other system names it; may be another than the one that was written to, and is never shown.
    pub final_recipient: Option<String>,
    /// What the other system said, printable, at most `MAX_DIAGNOSTIC` characters.
    pub diagnostic: Option<String>,
}

impl std::fmt::Debug for RecipientStatus {
    /// Without address and words, which may hold one.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecipientStatus").field("action", &self.action).field("status", &self.status).finish_non_exhaustive()
    }
}

/// A report, as far as it can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// What it is.
    pub kind: ReportKind,
    /// Of a DSN: each recipient, at most `MAX_RECIPIENTS`; none where it says nothing. Of a receipt and a complaint: the
    /// recipient to whom the message came, if it is named. Of an answer: none.
    pub recipients: Vec<RecipientStatus>,
    /// Ids that the returned or answered message may have, at most `MAX_RETURNED`.
    pub original_ids: Vec<MessageId>,
    /// Mailboxes that may be its reverse-path, at most `MAX_RETURNED`.
    pub reverse_paths: Vec<Mailbox>,
    /// Feedback-Type of a complaint in lower case: `abuse`, but also `not-spam` or `auth-failure` (RFC 6591).
    pub feedback_type: Option<String>,
}

/// Reads a message as a report of a machine; `None` for ordinary mail.
#[must_use]
pub fn read_report(message: &mime::Message<'_>) -> Option<Report> {
    let clues = Clues::of(message.fields());
    let (kind, recipients, feedback_type) = recognise(message, &clues)?;
    let Returned { ids: original_ids, paths: reverse_paths } = Returned::of(message);
    Some(Report { kind, recipients, original_ids, reverse_paths, feedback_type })
}

fn recognise(message: &mime::Message<'_>, clues: &Clues) -> Option<(ReportKind, Vec<RecipientStatus>, Option<String>)> {
    if let Some((recipients, feedback_type)) = formal::complaint(message, clues) {
        return Some((ReportKind::Complaint, recipients, Some(feedback_type)));
    }
    if let Some(recipients) = formal::disposition(message, clues) {
        return Some((ReportKind::Disposition, recipients, None));
    }
    if let Some(recipients) = delivery(message, clues, 0) {
        return Some((ReportKind::Dsn, recipients, None));
    }
    // What a mail system marks so and nobody understands could be a report: it is no person's answer.
    let is_answer = is_answer(message.fields()) && !clues.is_of_daemon();
    is_answer.then(|| (ReportKind::AutoReply, Vec::new(), None))
}

/// The recipients of a DSN; none of them where it is one and says nothing, `None` where it is none.
fn delivery(message: &mime::Message<'_>, clues: &Clues, depth: usize) -> Option<Vec<RecipientStatus>> {
    if !is_report(message) && !clues.any() {
        return None;
    }
    let account = Account::of(message);
    let records = formal::records(message, clues);
    if !records.is_empty() {
        return Some(formal::statuses(records, &account, clues));
    }
    if let Some(action) = words::action(&account, clues) {
        let told = words::recipients(message, &account, clues, action);
        return if told.is_empty() {
            // A gateway that says no more than that it hands on what another system reported.
            wrapped(message, depth).or_else(|| Some(words::nobody(&account, clues, action)))
        } else {
            Some(told)
        };
    }
    formal::is_declared(message).then(|| wrapped(message, depth).unwrap_or_default())
}

/// The recipients of a DSN that stands in this message as a message.
fn wrapped(message: &mime::Message<'_>, depth: usize) -> Option<Vec<RecipientStatus>> {
    if depth >= MAX_NESTING {
        return None;
    }
    message.entities.iter().filter(|entity| is_whole_message(entity)).find_map(|entity| {
        let octets = decode_transfer(entity);
        let inner = mime::parse(&octets).ok()?;
        delivery(&inner, &Clues::of(inner.fields()), depth + 1).filter(|recipients| !recipients.is_empty())
    })
}

/// Whether the message or a part of it declares itself a report (RFC 6522); mail gateways wrap it in what they add.
fn is_report(message: &mime::Message<'_>) -> bool {
    message.entities.iter().any(|entity| entity.media_type == "multipart/report")
}

fn is_whole_message(entity: &Entity<'_>) -> bool {
    matches!(entity.media_type.as_str(), "message/rfc822" | "message/global")
}

/// An entity cut to the octets that are read.
fn excerpt<'a>(entity: &Entity<'a>) -> Entity<'a> {
    let mut excerpt = entity.clone();
    excerpt.body = &entity.body[..entity.body.len().min(MAX_OCTETS)];
    excerpt
}

/// The text of a part, whatever its type. ISO-2022-JP is known by its escapes: mail systems of Japan leave the charset out.
fn text_of(entity: &Entity<'_>) -> String {
    let mut excerpt = excerpt(entity);
    let is_named = excerpt.charset.as_deref().is_some_and(|charset| charset.starts_with("iso-2022"));
    if !is_named && memchr::memmem::find(&decode_transfer(&excerpt), b"\x1b$").is_some() {
        excerpt.charset = Some("iso-2022-jp".to_owned());
    }
    decode_text(&excerpt)
}

/// At most so many printable characters on one line; `None` where nothing is left.
fn printable(text: &str, limit: usize) -> Option<String> {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let kept: String = line.chars().filter(|c| !c.is_control()).take(limit).collect();
    (!kept.is_empty()).then_some(kept)
}

/// What looks like an address in a text, in order. Each costs no more than its own length.
fn addresses(text: &str) -> impl Iterator<Item = &str> {
    let is_local = |c: char| !(c.is_whitespace() || c.is_control() || "<>\"'(),:;[]@".contains(c));
    let is_domain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    text.match_indices('@').filter_map(move |(at, _)| {
        let local: usize = text[..at].chars().rev().take_while(|c| is_local(*c)).map(char::len_utf8).sum();
        let domain = text[at + 1..].split(|c: char| !is_domain(c)).next().unwrap_or_default().trim_end_matches(['.', '-', '_']);
        (local > 0 && !domain.is_empty()).then(|| &text[at - local..at + 1 + domain.len()])
    })
}

#[cfg(test)]
mod tests;

//! Reports in their prescribed form: RFC 3464 and RFC 6533 (delivery status), RFC 5965 (feedback), RFC 8098 (disposition).
//!
//! Read as they are written, not as they should be: fields of a recipient among those of the message, unfolded lines, status
//! fields in a text part, parts of a multipart whose delimiters do not match.

use crate::mime::Message;
use crate::report::code::{Code, codes};
use crate::report::data::WORDS;
use crate::report::status::derive;
use crate::report::words::{Account, Clues, is_words};
use crate::report::{Action, MAX_ADDRESS, MAX_DIAGNOSTIC, MAX_RECIPIENTS, RecipientStatus, is_report, printable, text_of};

/// Longest Feedback-Type kept, in characters; the registered ones have up to 12 (RFC 5965, section 7.3).
const MAX_FEEDBACK_TYPE: usize = 32;

/// What one group of fields says of a recipient, as written.
#[derive(Debug, Default)]
pub(super) struct Record {
    recipient: Option<String>,
    action: Option<String>,
    status: Option<String>,
    diagnostic: Option<String>,
}

impl Record {
    fn of(group: &[(String, String)]) -> Self {
        let value = |name: &str| group.iter().find(|(n, _)| n == name).map(|(_, value)| value.clone());
        Self {
            recipient: value("final-recipient").or_else(|| value("original-recipient")).as_deref().and_then(address_value),
            action: value("action"),
            status: value("status"),
            diagnostic: value("diagnostic-code"),
        }
    }

    fn says_what(&self) -> bool {
        self.action.is_some() || self.status.is_some()
    }

    /// Whether it is one beyond doubt: needed where the fields stand in a text.
    fn is_certain(&self) -> bool {
        self.recipient.is_some() && (self.says_what() || self.diagnostic.is_some()) || self.action.is_some() && self.status.is_some()
    }
}

/// The records of every delivery-status part; where there is none, of a text of what looks like a mail system.
pub(super) fn records(message: &Message<'_>, clues: &Clues) -> Vec<Record> {
    if !is_report(message) && !clues.any() {
        return Vec::new();
    }
    let is_status = |media_type: &str| matches!(media_type, "message/delivery-status" | "message/global-delivery-status");
    let mut found = Vec::new();
    for entity in message.entities.iter().filter(|entity| is_status(&entity.media_type)) {
        if found.len() >= MAX_RECIPIENTS {
            break;
        }
        found.extend(records_in(&text_of(entity)));
    }
    if found.is_empty() && clues.any() {
        let texts = message.entities.iter().enumerate().filter(|(index, entity)| is_words(message, *index, entity));
        let certain = |text: String| records_in(&text).into_iter().filter(Record::is_certain).collect::<Vec<_>>();
        found = texts.map(|(_, entity)| certain(text_of(entity))).find(|records| !records.is_empty()).unwrap_or_default();
    }
    found.truncate(MAX_RECIPIENTS);
    found
}

fn records_in(text: &str) -> Vec<Record> {
    let mut records: Vec<Record> = Vec::new();
    for group in groups(text) {
        if records.len() >= MAX_RECIPIENTS {
            break;
        }
        let record = Record::of(&group);
        // An empty line in the midst of a recipient's fields.
        let goes_on = record.recipient.is_none() && records.last().is_some_and(|last| !last.says_what());
        if goes_on && let Some(last) = records.last_mut() {
            last.action = record.action;
            last.status = record.status;
            last.diagnostic = last.diagnostic.take().or(record.diagnostic);
        } else if record.recipient.is_some() || record.says_what() {
            records.push(record);
        }
    }
    records
}

/// Groups of fields between empty lines (RFC 3464, section 2.1), names in lower case. A line that is no field goes on with
/// the one before, whether it is folded or not.
pub(super) fn groups(text: &str) -> Vec<Vec<(String, String)>> {
    let mut groups = Vec::new();
    let mut group: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        if line.trim().is_empty() {
            if !group.is_empty() {
                groups.push(std::mem::take(&mut group));
            }
        } else if let Some((name, value)) = field(line) {
            group.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        } else if let Some((_, value)) = group.last_mut() {
            value.push(' ');
            value.push_str(line.trim());
        }
    }
    if !group.is_empty() {
        groups.push(group);
    }
    groups
}

fn field(line: &str) -> Option<(&str, &str)> {
    let (name, value) = line.split_once(':')?;
    let name = name.trim_end_matches([' ', '\t']);
    let is_name =
        name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_'));
    is_name.then_some((name, value))
}

/// `rfc822; <user@domain>` (RFC 3464, section 2.1.2): the address behind its type.
fn address_value(value: &str) -> Option<String> {
    let address = value.split_once(';').map_or(value, |(_, address)| address);
    printable(address.trim_matches(['<', '>', ' ']), MAX_ADDRESS)
}

/// What the records mean, with the words around them where the fields leave it open.
pub(super) fn statuses(records: Vec<Record>, account: &Account, clues: &Clues) -> Vec<RecipientStatus> {
    let is_alone = records.len() == 1;
    let is_delayed = account.is_delayed(clues);
    records.into_iter().map(|record| status_of(record, is_alone.then_some(account), is_delayed)).collect()
}

fn status_of(record: Record, account: Option<&Account>, is_delayed: bool) -> RecipientStatus {
    let diagnostic = record.diagnostic.unwrap_or_default();
    let status = record.status.unwrap_or_default();
    let stated = codes(&status).first().copied();
    let action = record.action.as_deref().and_then(action_of).unwrap_or_else(|| {
        // RFC 3464, section 2.3.3 requires it. What may still arrive is not called failed.
        match stated.or_else(|| derive(&diagnostic, None)).map(|code| code.class) {
            Some(2) => Action::Delivered,
            Some(4) => Action::Delayed,
            None if is_delayed => Action::Delayed,
            _ => Action::Failed,
        }
    });
    let is_trouble = matches!(action, Action::Failed | Action::Delayed) && stated.is_none_or(|code| code.class != 2);
    let code = if is_trouble { Some(settle(&status, &diagnostic, stated, action, account)) } else { stated };
    RecipientStatus {
        action,
        status: code.map(|code| code.to_string()),
        final_recipient: record.recipient,
        diagnostic: printable(&diagnostic, MAX_DIAGNOSTIC),
    }
}

/// The code of a failure or delay: stated, or from the diagnostic, or from the words around it.
fn settle(status: &str, diagnostic: &str, stated: Option<Code>, action: Action, account: Option<&Account>) -> Code {
    let derived = derive(diagnostic, stated);
    let is_open = derived.is_none_or(Code::is_open);
    let around = account.filter(|_| is_open).and_then(|account| derive(&format!("{status} {}", account.flat), stated));
    let class = if action == Action::Delayed { 4 } else { 5 };
    around.or(derived).unwrap_or_else(|| Code::of_class(class))
}

fn action_of(value: &str) -> Option<Action> {
    let word: String = value.trim().chars().take_while(char::is_ascii_alphabetic).collect();
    Some(match word.to_ascii_lowercase().as_str() {
        "failed" | "failure" | "fail" | "undeliverable" | "bounced" => Action::Failed,
        "delayed" | "delay" | "deferred" => Action::Delayed,
        "delivered" | "success" => Action::Delivered,
        "relayed" | "relay" => Action::Relayed,
        "expanded" => Action::Expanded,
        _ => return None,
    })
}

/// Whether it calls itself a delivery report, even where it holds none.
pub(super) fn is_declared(message: &Message<'_>) -> bool {
    let is_delivery = |value: Option<String>| value.is_some_and(|value| value.to_ascii_lowercase().contains("delivery-status"));
    message.entities.iter().any(|e| e.media_type == "multipart/report" && is_delivery(e.fields.raw("Content-Type")))
}

/// A complaint: the recipients to whom the message had come, and the Feedback-Type.
pub(super) fn complaint(message: &Message<'_>, clues: &Clues) -> Option<(Vec<RecipientStatus>, String)> {
    let part = message.entities.iter().find(|entity| entity.media_type == "message/feedback-report");
    match part {
        Some(part) if is_report(message) || clues.any() => {
            let fields: Vec<(String, String)> = groups(&text_of(part)).into_iter().flatten().collect();
            let named = |name: &'static str| fields.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_str());
            let kind = named("feedback-type").next().and_then(|value| printable(&value.to_ascii_lowercase(), MAX_FEEDBACK_TYPE));
            let recipients = named("original-rcpt-to").filter_map(address_value).take(MAX_RECIPIENTS);
            Some((recipients.map(|recipient| arrived(Some(recipient), None)).collect(), kind.unwrap_or_else(|| "abuse".to_owned())))
        }
        _ => {
            let named = |list: &[String], holds: fn(&str, &str) -> bool, text: &str| list.iter().any(|phrase| holds(text, phrase));
            let is_complaint = named(&WORDS.complaint.from, |text, phrase| text.contains(phrase), &clues.from)
                && named(&WORDS.complaint.subjects, |text, phrase| text.starts_with(phrase), &clues.subject);
            is_complaint.then(|| (Vec::new(), "abuse".to_owned()))
        }
    }
}

/// A receipt (RFC 8098): what the reader, or the reader's filter, did.
pub(super) fn disposition(message: &Message<'_>, clues: &Clues) -> Option<Vec<RecipientStatus>> {
    let part = message.entities.iter().find(|entity| is_receipt(&entity.media_type))?;
    if !is_report(message) && !clues.any() {
        return None;
    }
    let fields: Vec<(String, String)> = groups(&text_of(part)).into_iter().flatten().collect();
    let value = |name: &str| fields.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
    let recipient = value("final-recipient").or_else(|| value("original-recipient")).and_then(address_value);
    let disposition = value("disposition").unwrap_or_default().to_ascii_lowercase();
    let account = Account::of(message);
    // RFC 5429, section 2.1.3: a filter that rejects after delivery says so in a receipt of type "deleted".
    if disposition.contains("deleted") && WORDS.failed.stand_in(&account.flat) {
        let code = derive(&account.flat, None).unwrap_or_else(|| Code::of_class(5));
        let diagnostic = printable(&disposition, MAX_DIAGNOSTIC);
        return Some(vec![RecipientStatus {
            action: Action::Failed,
            status: Some(code.to_string()),
            final_recipient: recipient,
            diagnostic,
        }]);
    }
    Some(vec![arrived(recipient, printable(&disposition, MAX_DIAGNOSTIC))])
}

fn is_receipt(media_type: &str) -> bool {
    matches!(media_type, "message/disposition-notification" | "message/global-disposition-notification")
}

fn arrived(final_recipient: Option<String>, diagnostic: Option<String>) -> RecipientStatus {
    RecipientStatus { action: Action::Delivered, status: None, final_recipient, diagnostic }
}

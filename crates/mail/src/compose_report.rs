//! Delivery status notifications of our own to a writer (RFC 3464, RFC 3461, RFC 6533): the two parts that machines read.
//!
//! Every value is rebuilt: cleaned of line ends, cut to a length, folded. The reader learns the alias and our own
//! words, nothing of the other side's address, server or reply (privacy P01).

use std::fmt;

use crate::address::Mailbox;
use crate::compose::{base64_lines, encode_words, fold_into};
use crate::message_id::MessageId;

/// Most octets of a value that others chose; with its name it stays below a line of 998 (RFC 5322, section 2.1.1) even
/// where it cannot be folded. An ORCPT has at most 500 (RFC 3461, section 4.2).
const MAX_VALUE: usize = 500;
/// Most characters of the writer's subject; real ones end far below.
const MAX_SUBJECT: usize = 400;

/// What became of a message, for the one recipient that it had.
#[derive(Clone)]
pub struct DeliveryReport {
    /// Our own host name.
    pub reporting_mta: String,
    /// ENVID of the writer's transaction, decoded (RFC 3461, section 4.4).
    pub envelope_id: Option<String>,
    /// When the message came, as an RFC 5322 date-time.
    pub arrival_date: String,
    /// ORCPT as given, with its address type: `rfc822;x@y`.
    pub original_recipient: Option<String>,
    /// The alias to which the writer wrote.
    pub final_recipient: Mailbox,
    /// What was done.
    pub action: ReportAction,
    /// Enhanced status code (RFC 3463).
    pub status: String,
    /// Why, in our own words and ASCII.
    pub diagnostic: String,
    /// Until when it is tried, for a delay.
    pub will_retry_until: Option<String>,
    /// When it was tried last, as an RFC 5322 date-time.
    pub last_attempt_date: String,
    /// What the writer knows the message by.
    pub returned: ReturnedHeaders,
}

/// What was done with a message (RFC 3464, section 2.3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportAction {
    /// It was given up.
    Failed,
    /// It is still tried.
    Delayed,
    /// The next server took it, and will not report what becomes of it.
    Relayed,
}

impl ReportAction {
    /// The word in the report.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Delayed => "delayed",
            Self::Relayed => "relayed",
        }
    }
}

/// The header of the writer's own message, written anew.
#[derive(Clone)]
pub struct ReturnedHeaders {
    /// RFC5322.From: the writer.
    pub from: Option<Mailbox>,
    /// RFC5322.To: the alias.
    pub to: Mailbox,
    /// Subject in Unicode.
    pub subject: String,
    /// The writer's Message-ID.
    pub message_id: Option<MessageId>,
    /// Date as an RFC 5322 date-time.
    pub date: Option<String>,
}

// Addresses and subjects stand in neither.
impl fmt::Debug for DeliveryReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeliveryReport").field("action", &self.action).field("status", &self.status).finish_non_exhaustive()
    }
}

impl fmt::Debug for ReturnedHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ReturnedHeaders(…)")
    }
}

/// The two parts behind the text for people, each with its own header, ready to stand between boundaries: the status
/// (RFC 3464, section 2) and the header of the message (RFC 6522, section 4). Where an address in one is not ASCII it is
/// of the `message/global-…` kind (RFC 6533, sections 3 and 6), carried in 7 bits.
pub(crate) fn parts(report: &DeliveryReport) -> [String; 2] {
    let status = in_seven_bits("message/delivery-status", "message/global-delivery-status", status(report));
    let headers = in_seven_bits("text/rfc822-headers", "message/global-headers", headers(&report.returned));
    [status, headers]
}

/// The part as it is where it is ASCII; else under its other type, in base64.
fn in_seven_bits(plain: &str, global: &str, body: String) -> String {
    if body.is_ascii() {
        return format!("Content-Type: {plain}\r\n\r\n{body}");
    }
    format!("Content-Type: {global}\r\nContent-Transfer-Encoding: base64\r\n\r\n{}", base64_lines(body.as_bytes()))
}

/// Fields in the order of the grammar, RFC 3464, section 2.1: of the message, an empty line, of the recipient.
fn status(r: &DeliveryReport) -> String {
    let mut out = String::with_capacity(1024);
    let mut field = |name: &str, value: &str| fold_into(&mut out, name, value);
    if let Some(id) = &r.envelope_id {
        field("Original-Envelope-Id", &ascii(id));
    }
    field("Reporting-MTA", &format!("dns; {}", ascii(&r.reporting_mta)));
    field("Arrival-Date", &ascii(&r.arrival_date));
    out.push_str("\r\n");
    let mut field = |name: &str, value: &str| fold_into(&mut out, name, value);
    if let Some(original) = &r.original_recipient {
        field("Original-Recipient", &one_line(original));
    }
    let kind = if r.final_recipient.is_ascii() { "rfc822" } else { "utf-8" };
    field("Final-Recipient", &format!("{kind}; {}", r.final_recipient.to_wire()));
    field("Action", r.action.as_str());
    field("Status", &ascii(&r.status));
    field("Diagnostic-Code", &format!("smtp; {}", ascii(&r.diagnostic)));
    field("Last-Attempt-Date", &ascii(&r.last_attempt_date));
    if let Some(until) = &r.will_retry_until {
        field("Will-Retry-Until", &ascii(until));
    }
    out
}

fn headers(r: &ReturnedHeaders) -> String {
    let mut out = String::with_capacity(512);
    let mut field = |name: &str, value: &str| fold_into(&mut out, name, value);
    if let Some(from) = &r.from {
        field("From", &format!("<{}>", from.to_wire()));
    }
    field("To", &format!("<{}>", r.to.to_wire()));
    let subject: String = r.subject.chars().take(MAX_SUBJECT).collect();
    field("Subject", &encode_words(&subject));
    if let Some(date) = &r.date {
        field("Date", &ascii(date));
    }
    if let Some(id) = &r.message_id {
        field("Message-ID", &format!("<{}>", id.as_str()));
    }
    out
}

/// One line of visible ASCII; what is none becomes `?`.
fn ascii(text: &str) -> String {
    one_line(text).chars().map(|c| if c.is_ascii() { c } else { '?' }).collect()
}

/// One line: words with one space between them, nothing that could end it, cut to its length.
fn one_line(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(MAX_VALUE));
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|word| !word.is_empty()) {
        if !out.is_empty() {
            out.push(' ');
        }
        let room = MAX_VALUE.saturating_sub(out.len());
        out.push_str(&word[..word.floor_char_boundary(room)]);
        if word.len() > room {
            break;
        }
    }
    out.truncate(out.trim_end().len());
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::mime::{Fields, decode_transfer, parse};

    fn report() -> DeliveryReport {
        let alias = Mailbox::parse("t969vz2jn3bdsy7@marketplace.example").unwrap();
        DeliveryReport {
            reporting_mta: "mx.marketplace.example".into(),
            envelope_id: Some("QQ314159".into()),
            arrival_date: "Sun, 22 Nov 2026 03:00:00 +0000".into(),
            original_recipient: Some("rfc822;t969vz2jn3bdsy7@marketplace.example".into()),
            final_recipient: alias.clone(),
            action: ReportAction::Failed,
            status: "5.1.1".into(),
            diagnostic: "550 5.1.1 the mailbox of the other side does not exist any more and nothing was delivered".into(),
            will_retry_until: None,
            last_attempt_date: "Sun, 22 Nov 2026 03:00:05 +0000".into(),
            returned: ReturnedHeaders {
                from: Some(Mailbox::parse("ana@shop.example").unwrap()),
                to: alias,
                subject: "¿Dónde está?".into(),
                message_id: MessageId::new("a@b"),
                date: Some("Sun, 22 Nov 2026 02:59:00 +0000".into()),
            },
        }
    }

    #[test]
    fn golden_parts() {
        let [status, headers] = parts(&report());
        assert_eq!(
            status,
            "Content-Type: message/delivery-status\r\n\r\n\
             Original-Envelope-Id: QQ314159\r\n\
             Reporting-MTA: dns; mx.marketplace.example\r\n\
             Arrival-Date: Sun, 22 Nov 2026 03:00:00 +0000\r\n\
             \r\n\
             Original-Recipient: rfc822;t969vz2jn3bdsy7@marketplace.example\r\n\
             Final-Recipient: rfc822; t969vz2jn3bdsy7@marketplace.example\r\n\
             Action: failed\r\n\
             Status: 5.1.1\r\n\
             Diagnostic-Code: smtp; 550 5.1.1 the mailbox of the other side does not\r\n \
             exist any more and nothing was delivered\r\n\
             Last-Attempt-Date: Sun, 22 Nov 2026 03:00:05 +0000\r\n"
        );
        assert_eq!(
            headers,
            "Content-Type: text/rfc822-headers\r\n\r\n\
             From: <ana@shop.example>\r\n\
             To: <t969vz2jn3bdsy7@marketplace.example>\r\n\
             Subject: =?utf-8?B?wr9Ew7NuZGUgZXN0w6E/?=\r\n\
             Date: Sun, 22 Nov 2026 02:59:00 +0000\r\n\
             Message-ID: <a@b>\r\n"
        );
    }

    #[test]
    fn a_delay_says_until_when_it_is_tried() {
        let until = "Fri, 27 Nov 2026 03:00:00 +0000".to_owned();
        let delayed = DeliveryReport { action: ReportAction::Delayed, will_retry_until: Some(until), status: "4.2.0".into(), ..report() };
        let [status, _] = parts(&delayed);
        assert!(status.contains("\r\nAction: delayed\r\nStatus: 4.2.0\r\n"), "{status}");
        assert!(status.ends_with("\r\nWill-Retry-Until: Fri, 27 Nov 2026 03:00:00 +0000\r\n"), "{status}");
    }

    /// The body of a part, decoded.
    fn decoded(part: &str) -> (String, String) {
        let message = parse(part.as_bytes()).unwrap();
        let entity = &message.entities[0];
        (entity.media_type.clone(), String::from_utf8(decode_transfer(entity)).unwrap())
    }

    #[test]
    fn addresses_beyond_ascii_travel_in_seven_bits() {
        let mut r = report();
        r.original_recipient = Some("utf-8;señal@marketplace.example".into());
        r.returned.from = Some(Mailbox::parse("josé@shop.example").unwrap());
        let [status, headers] = parts(&r);
        assert!(status.is_ascii() && headers.is_ascii());
        let (kind, body) = decoded(&status);
        assert_eq!(kind, "message/global-delivery-status");
        assert!(body.contains("\r\nOriginal-Recipient: utf-8;señal@marketplace.example\r\n"), "{body}");
        let (kind, body) = decoded(&headers);
        assert_eq!(kind, "message/global-headers");
        assert!(body.starts_with("From: <josé@shop.example>\r\n"), "{body}");
    }

    #[test]
    fn debug_shows_neither_address_nor_subject() {
        let shown = format!("{:?} {:?}", report(), report().returned);
        assert!(!shown.contains('@') && !shown.contains("Dónde"), "{shown}");
    }

    /// Texts with everything that could start a line or a field.
    fn hostile() -> impl Strategy<Value = String> {
        prop_oneof![
            ".{0,80}",
            "[a-zé:; \\r\\n\\t\\x00\\x0b\\x0c\\u{85}\\u{2028}]{0,40}",
            "[^ ]{0,1500}",
            "(x\\r\\nBcc: a@b.example\\r\\n\\r\\n){1,9}"
        ]
    }

    proptest! {
        #[test]
        fn no_value_starts_a_line_or_a_field(values in proptest::collection::vec(hostile(), 9), has in any::<bool>()) {
            let mut values = values.into_iter();
            let mut next = || values.next().unwrap();
            let mut r = report();
            (r.reporting_mta, r.arrival_date, r.status) = (next(), next(), next());
            (r.diagnostic, r.last_attempt_date, r.returned.subject) = (next(), next(), next());
            r.envelope_id = has.then(&mut next);
            r.original_recipient = has.then(&mut next);
            r.will_retry_until = has.then(&mut next);
            for (part, fields) in parts(&r).iter().zip([if has { 10 } else { 7 }, 5]) {
                prop_assert!(part.is_ascii());
                prop_assert!(part.split("\r\n").all(|l| l.len() <= 998 && !l.contains(['\r', '\n'])), "{part:?}");
                let (_, body) = decoded(part);
                prop_assert!(body.split("\r\n").all(|l| l.len() <= 998 && !l.contains(['\r', '\n', '\0'])), "{body:?}");
                let (of_message, of_recipient) = body.split_once("\r\n\r\n").unwrap_or((body.as_str(), ""));
                let found = [of_message, of_recipient].map(|block| Fields::read(block.as_bytes()).0.iter().count());
                prop_assert_eq!(found.iter().sum::<usize>(), fields, "{:?}", body);
            }
        }
    }
}

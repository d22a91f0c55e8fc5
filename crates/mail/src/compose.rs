//! Composing a message anew from an allow-list (RFC 5322, RFC 2045–2047, 2231).
//!
//! Nothing of the message that came in is copied: every header is one of ours, every body is encoded from
//! Unicode text into 7 bits, lines stay below 78 octets. The same input gives the same bytes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::address::Mailbox;
use crate::compose_report::{self, DeliveryReport};
use crate::message_id::MessageId;

/// Longest line that we write in a body or a header where folding allows (RFC 5322, section 2.1.1).
const LINE: usize = 76;
/// Octets of text in one encoded word: 45 octets are 60 of base64, below the 75 of RFC 2047, section 2.
const WORD_OCTETS: usize = 45;

/// A file beside the message.
#[derive(Debug, Clone)]
pub struct File {
    /// File name, already masked.
    pub name: String,
    /// Content, already masked or rebuilt.
    pub content: FileContent,
    /// Content-ID, without brackets, of a picture that stands in the HTML (RFC 2392).
    pub content_id: Option<String>,
}

/// What a file holds.
#[derive(Debug, Clone)]
pub enum FileContent {
    /// Plain text.
    Text(String),
    /// Octets of a media type.
    Octets(&'static str, Vec<u8>),
}

/// Everything that an outgoing message may hold.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Display name and mailbox of From.
    pub from: (String, Mailbox),
    /// RFC5322.To.
    pub to: Mailbox,
    /// Reply-To; none for notices.
    pub reply_to: Option<Mailbox>,
    /// Subject in Unicode.
    pub subject: String,
    /// Date as an RFC 5322 date-time in UTC.
    pub date: String,
    /// Message-ID on our domain.
    pub message_id: MessageId,
    /// In-Reply-To, already mapped to an id that the reader knows.
    pub in_reply_to: Option<MessageId>,
    /// References, mapped likewise, oldest first.
    pub references: Vec<MessageId>,
    /// RFC 3834, section 5; none for what a person wrote.
    pub auto_submitted: Option<&'static str>,
    /// Who takes the message over, for the one trace field: our own host name.
    pub hostname: String,
    /// Loop protection: how many relays of ours this content has passed.
    pub hops: u32,
    /// Plain text body.
    pub text: String,
    /// HTML body without `html` and `body` tags.
    pub html: Option<String>,
    /// Files.
    pub files: Vec<File>,
    /// What became of the reader's own message, for machines (RFC 3464).
    pub report: Option<DeliveryReport>,
    /// Address at which one POST ends mail of this kind (RFC 8058).
    pub unsubscribe: Option<String>,
    /// 16 random octets from which boundaries are made.
    pub boundary_seed: [u8; 16],
    /// Language of the content for the `lang` attribute.
    pub language: String,
}

/// Writes the message: CRLF line ends, only octets below 128.
#[must_use]
pub fn compose(message: &Outgoing) -> Vec<u8> {
    let mut out = String::with_capacity(message.text.len() * 2 + message.html.as_ref().map_or(0, String::len) * 2 + 1024);
    write_header(&mut out, message);
    // RFC 2387: pictures that stand in the HTML are related to it; other files stand beside the message.
    let (inline, beside): (Vec<&File>, Vec<&File>) = message.files.iter().partition(|f| f.content_id.is_some());
    let body = multipart("related", &boundary(message, "r"), alternative(message), &inline);
    let body = multipart("mixed", &boundary(message, "m"), body, &beside);
    out.push_str(&match &message.report {
        Some(report) => reported(&boundary(message, "d"), &body, report),
        None => body,
    });
    out.into_bytes()
}

/// The body alone where there are no files; else a multipart of both.
fn multipart(subtype: &str, boundary: &str, body: String, files: &[&File]) -> String {
    if files.is_empty() {
        return body;
    }
    let root = if subtype == "related" { ";\r\n type=\"multipart/alternative\"" } else { "" };
    let mut out = format!("Content-Type: multipart/{subtype}; boundary=\"{boundary}\"{root}\r\n\r\n--{boundary}\r\n{body}\r\n");
    for file in files {
        out.push_str(&format!("--{boundary}\r\n{}\r\n", file_part(file)));
    }
    out.push_str(&format!("--{boundary}--\r\n"));
    out
}

/// RFC 6522: the words for a person first, then the two parts for machines.
fn reported(boundary: &str, words: &str, report: &DeliveryReport) -> String {
    let mut out = format!(
        "Content-Type: multipart/report; report-type=delivery-status;\r\n boundary=\"{boundary}\"\r\n\r\n--{boundary}\r\n{words}\r\n"
    );
    for part in compose_report::parts(report) {
        out.push_str(&format!("--{boundary}\r\n{part}\r\n"));
    }
    out.push_str(&format!("--{boundary}--\r\n"));
    out
}

fn write_header(out: &mut String, m: &Outgoing) {
    let mut field = |name: &str, value: &str| fold_into(out, name, value);
    // RFC 5321, section 4.4: a relay adds one trace field. Ours names no client (privacy H01).
    field("Received", &format!("by {} with SMTP; {}", m.hostname, m.date));
    field("From", &format!("{} <{}>", phrase(&m.from.0), m.from.1.to_wire()));
    field("To", &format!("<{}>", m.to.to_wire()));
    if let Some(reply_to) = &m.reply_to {
        field("Reply-To", &format!("{} <{}>", phrase(&m.from.0), reply_to.to_wire()));
    }
    field("Subject", &encode_words(&m.subject));
    field("Date", &m.date);
    field("Message-ID", &format!("<{}>", m.message_id.as_str()));
    if let Some(id) = &m.in_reply_to {
        field("In-Reply-To", &format!("<{}>", id.as_str()));
    }
    if !m.references.is_empty() {
        let list: Vec<String> = m.references.iter().map(|id| format!("<{}>", id.as_str())).collect();
        field("References", &list.join(" "));
    }
    if let Some(value) = m.auto_submitted {
        field("Auto-Submitted", value);
    }
    if let Some(address) = &m.unsubscribe {
        // RFC 8058, section 3.1: both fields, and the signature covers them.
        field("List-Unsubscribe", &format!("<{address}>"));
        field("List-Unsubscribe-Post", "List-Unsubscribe=One-Click");
    }
    field("X-Tradepost-Hops", &m.hops.to_string());
    field("MIME-Version", "1.0");
}

fn alternative(m: &Outgoing) -> String {
    let plain = text_part("plain", &m.text);
    let Some(html) = &m.html else { return plain };
    let document = format!(
        "<!DOCTYPE html>\n<html lang=\"{}\"><head><meta charset=\"utf-8\"></head><body>\n{html}\n</body></html>\n",
        crate::html::escape(&m.language)
    );
    let boundary = boundary(m, "a");
    format!(
        "Content-Type: multipart/alternative; boundary=\"{boundary}\"\r\n\r\n--{boundary}\r\n{plain}\r\n--{boundary}\r\n{}\r\n--{boundary}--\r\n",
        text_part("html", &document)
    )
}

fn boundary(m: &Outgoing, role: &str) -> String {
    let hex: String = m.boundary_seed.iter().map(|b| format!("{b:02x}")).collect();
    // RFC 2045, section 6.7: "=_" can occur in neither base64 nor quoted-printable output.
    format!("=_{role}{hex}")
}

fn text_part(subtype: &str, text: &str) -> String {
    format!("Content-Type: text/{subtype}; charset=utf-8\r\nContent-Transfer-Encoding: {}", encode_text(text))
}

fn file_part(file: &File) -> String {
    let (media_type, body) = match &file.content {
        FileContent::Text(text) => ("text/plain; charset=utf-8", encode_text(text)),
        FileContent::Octets(media_type, octets) => (*media_type, format!("base64\r\n\r\n{}", base64_lines(octets))),
    };
    let name = file_name_parameter(&file.name);
    let (disposition, id) = match &file.content_id {
        Some(id) => ("inline", format!("Content-ID: <{id}>\r\n")),
        None => ("attachment", String::new()),
    };
    format!("Content-Type: {media_type}\r\nContent-Disposition: {disposition};\r\n {name}\r\n{id}Content-Transfer-Encoding: {body}")
}

/// `filename=` as a quoted string, or as RFC 2231 extended value where it is not plain ASCII.
fn file_name_parameter(name: &str) -> String {
    if name.bytes().all(|b| (b.is_ascii_graphic() || b == b' ') && b != b'"' && b != b'\\') {
        return format!("filename=\"{name}\"");
    }
    let encoded: String = name
        .bytes()
        .map(|b| if b.is_ascii_alphanumeric() || b".-_".contains(&b) { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect();
    format!("filename*=utf-8''{encoded}")
}

/// Transfer encoding, the empty line and the body, whichever of the two encodings is shorter to read.
fn encode_text(text: &str) -> String {
    let needs_escape = text.bytes().filter(|b| !matches!(b, b' '..=b'~' | b'\n' | b'\t')).count();
    if needs_escape * 3 > text.len() {
        format!("base64\r\n\r\n{}", base64_lines(text.replace('\n', "\r\n").as_bytes()))
    } else {
        format!("quoted-printable\r\n\r\n{}", quoted_printable(text))
    }
}

pub(crate) fn base64_lines(bytes: &[u8]) -> String {
    let encoded = STANDARD.encode(bytes);
    let mut out = String::with_capacity(encoded.len() + encoded.len() / LINE * 2 + 2);
    for line in encoded.as_bytes().chunks(LINE) {
        out.extend(line.iter().map(|b| char::from(*b)));
        out.push_str("\r\n");
    }
    out
}

/// RFC 2045, section 6.7, for text with `\n` line ends.
fn quoted_printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
        let bytes = line.as_bytes();
        let mut column = 0;
        for (at, &byte) in bytes.iter().enumerate() {
            let last = at + 1 == bytes.len();
            let plain = matches!(byte, b'!'..=b'<' | b'>'..=b'~') || (matches!(byte, b' ' | b'\t') && !last);
            // A dot or "From " at the start of a line is changed by old transports.
            let plain = plain && !(column == 0 && matches!(byte, b'.' | b'F'));
            let width = if plain { 1 } else { 3 };
            if column + width > LINE - 1 {
                out.push_str("=\r\n");
                column = 0;
            }
            if plain {
                out.push(char::from(byte));
            } else {
                out.push_str(&format!("={byte:02X}"));
            }
            column += width;
        }
        out.push_str("\r\n");
    }
    out
}

/// A display name as an RFC 5322 phrase: quoted, or as encoded words.
fn phrase(name: &str) -> String {
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_graphic() || b == b' ') {
        return encode_words(name);
    }
    format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Unstructured text as it may stand in a header (RFC 2047, section 5).
#[must_use]
pub fn encode_words(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let printable = clean.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
    let longest = clean.split(' ').map(str::len).max().unwrap_or(0);
    if printable && !clean.contains("=?") && longest < LINE - 10 {
        return clean;
    }
    let mut words = Vec::new();
    let mut word = String::new();
    for c in clean.chars() {
        if word.len() + c.len_utf8() > WORD_OCTETS {
            words.push(std::mem::take(&mut word));
        }
        word.push(c);
    }
    words.push(word);
    words.iter().map(|w| format!("=?utf-8?B?{}?=", STANDARD.encode(w))).collect::<Vec<_>>().join(" ")
}

/// Writes one field, folded at spaces (RFC 5322, section 2.2.3).
pub(crate) fn fold_into(out: &mut String, name: &str, value: &str) {
    out.push_str(name);
    out.push(':');
    let mut column = name.len() + 1;
    for (n, word) in value.split(' ').enumerate() {
        // Folding before an empty word would leave a line of white space only.
        if n > 0 && column + 1 + word.len() > LINE && !word.is_empty() {
            out.push_str("\r\n ");
            column = 1;
        } else {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += word.len();
    }
    out.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mime;
    use proptest::prelude::*;

    fn message(text: &str, html: Option<&str>) -> Outgoing {
        Outgoing {
            from: ("Señora \"Café\"".into(), Mailbox::parse("t969vz2jn3bdsy7@marketplace.example").unwrap()),
            to: Mailbox::parse("ana@buyer.example").unwrap(),
            reply_to: Some(Mailbox::parse("t969vz2jn3bdsy7+7h2k9q@marketplace.example").unwrap()),
            subject: "¿Dónde está?".into(),
            date: "Sun, 22 Nov 2026 03:00:00 +0000".into(),
            message_id: MessageId::new("m1@marketplace.example").unwrap(),
            in_reply_to: MessageId::new("a@b"),
            references: vec![MessageId::new("a@b").unwrap()],
            auto_submitted: None,
            hostname: "mx.marketplace.example".into(),
            hops: 1,
            text: text.into(),
            html: html.map(str::to_owned),
            files: vec![],
            report: None,
            unsubscribe: None,
            boundary_seed: [7; 16],
            language: "es".into(),
        }
    }

    #[test]
    fn golden_plain() {
        let raw = String::from_utf8(compose(&message("Hola.\nFin.\n", None))).unwrap();
        let expected = "Received: by mx.marketplace.example with SMTP; Sun, 22 Nov 2026 03:00:00\r\n +0000\r\nFrom: =?utf-8?B?U2XDsW9yYSAiQ2Fmw6ki?= <t969vz2jn3bdsy7@marketplace.example>\r\nTo: <ana@buyer.example>\r\nReply-To: =?utf-8?B?U2XDsW9yYSAiQ2Fmw6ki?=\r\n <t969vz2jn3bdsy7+7h2k9q@marketplace.example>\r\nSubject: =?utf-8?B?wr9Ew7NuZGUgZXN0w6E/?=\r\nDate: Sun, 22 Nov 2026 03:00:00 +0000\r\nMessage-ID: <m1@marketplace.example>\r\nIn-Reply-To: <a@b>\r\nReferences: <a@b>\r\nX-Tradepost-Hops: 1\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nHola.\r\n=46in.\r\n";
        assert_eq!(raw, expected);
    }

    proptest! {
        #[test]
        fn what_is_composed_reads_back(text in "[^\\x00-\\x08\\x0b-\\x1f\\x7f-\\u{9f}\\u{feff}]{0,300}", subject in "[^\\p{C}\\p{Z}]{1,120}", name in "[a-zA-Zñ\"\\\\]{1,40}") {
            let mut m = message(&text, None);
            m.subject = subject.clone();
            m.from.0 = name;
            m.files.push(File { name: "nota ñ.txt".into(), content: FileContent::Text(text.clone()), content_id: None });
            m.files.push(File { name: "a.pdf".into(), content: FileContent::Octets("application/pdf", text.clone().into_bytes()), content_id: None });
            let raw = compose(&m);
            prop_assert!(raw.is_ascii());
            prop_assert!(raw.split(|b| *b == b'\n').all(|l| l.len() <= 998));
            let parsed = mime::parse(&raw).unwrap();
            let content = mime::read_content(&parsed);
            let said = content.text.clone();
            prop_assert_eq!(said.trim_end_matches('\n'), text.trim_end_matches('\n'));
            prop_assert_eq!(&content.subject, &subject);
            let files: Vec<_> = content.files().cloned().collect();
            prop_assert_eq!(&files[0].name, "nota ñ.txt");
            prop_assert_eq!(&files[1].octets, text.as_bytes());
            prop_assert_eq!(parsed.fields().originator().unwrap().mailbox.canonical(), "t969vz2jn3bdsy7@marketplace.example");
        }
    }
}

//! What a message says: subject, text, HTML and the parts beside them, all in Unicode.
//!
//! Only text and HTML bodies and plain text files become content. Every other part is named by its kind
//! alone, so that nothing of it (file name, type parameters) can travel.

use std::collections::BTreeMap;

use crate::html;
use crate::mime::decode::{TransferEncoding, decode_text, decode_transfer, transfer_encoding};
use crate::mime::structure::{Entity, Message};

/// Longest HTML part that is opened, in bytes; a longer one is treated as a part that we do not pass.
const MAX_HTML_BYTES: usize = 2 << 20;

/// Kind of a part that stands beside the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PartKind {
    /// A plain text file, which passes.
    TextFile,
    /// A picture.
    Picture,
    /// A PDF or office document.
    Document,
    /// A message within the message, or headers or reports of one.
    Message,
    /// A signature, key or certificate that a mail client adds.
    Signature,
    /// A calendar entry or a contact card.
    Card,
    /// Anything else.
    Other,
}

/// A part beside the text.
#[derive(Debug, Clone)]
pub struct Part {
    /// What it is.
    pub kind: PartKind,
    /// Its text and file name; only for `TextFile`.
    pub text: Option<(String, String)>,
}

/// The content of a message, still with every address in it.
#[derive(Debug, Clone, Default)]
pub struct Content {
    /// Subject, decoded, on one line.
    pub subject: String,
    /// The plain text; made from the HTML where the writer sent none (C9).
    pub text: String,
    /// Sanitised HTML, if the writer sent any.
    pub html: Option<String>,
    /// Parts beside the text, in order.
    pub parts: Vec<Part>,
}

impl Content {
    /// Whether the writer sent nothing at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.trim().is_empty() && self.parts.is_empty()
    }
}

#[derive(Default)]
struct Segment {
    text: Option<String>,
    html: Option<String>,
}

/// Reads the content of a message whose structure is known.
#[must_use]
pub fn read_content(message: &Message<'_>) -> Content {
    // One segment per alternative or lone body, in document order: the key is the entity's index.
    let mut segments: BTreeMap<usize, Segment> = BTreeMap::new();
    let mut parts = Vec::new();
    for (index, entity) in message.entities.iter().enumerate() {
        if entity.is_multipart() {
            continue;
        }
        let key = outermost_alternative(message, index).unwrap_or(index);
        match body_role(entity) {
            Role::Text => append(&mut segments.entry(key).or_default().text, &decode_text(entity)),
            Role::Html => {
                let Some(clean) = html::sanitise(&decode_text(entity)) else {
                    parts.push(Part { kind: PartKind::Other, text: None });
                    continue;
                };
                parts.extend((0..clean.pictures_removed.min(1)).map(|_| Part { kind: PartKind::Picture, text: None }));
                append(&mut segments.entry(key).or_default().html, &clean.html);
            }
            Role::File => {
                let name = entity.file_name.clone().unwrap_or_default();
                parts.push(Part { kind: PartKind::TextFile, text: Some((name, decode_text(entity))) });
            }
            Role::Beside(kind) => parts.push(Part { kind, text: None }),
        }
    }
    let any_html = segments.values().any(|s| s.html.as_deref().is_some_and(|h| !h.trim().is_empty()));
    let mut content = Content { subject: message.fields().text("Subject").unwrap_or_default(), parts, ..Content::default() };
    let mut joined = String::new();
    for segment in segments.into_values() {
        let text = match (&segment.text, &segment.html) {
            (Some(text), _) if !text.trim().is_empty() => text.clone(),
            (_, Some(html)) => html::to_text(html),
            (text, None) => text.clone().unwrap_or_default(),
        };
        if any_html {
            joined.push_str(&segment.html.unwrap_or_else(|| html::from_text(&text)));
        }
        if !content.text.is_empty() && !text.is_empty() {
            content.text.push('\n');
        }
        content.text.push_str(text.trim_end_matches('\n'));
        content.text.push('\n');
    }
    content.html = any_html.then_some(joined);
    content
}

enum Role {
    Text,
    Html,
    File,
    Beside(PartKind),
}

fn body_role(entity: &Entity<'_>) -> Role {
    if transfer_encoding(entity) == TransferEncoding::Unknown {
        return Role::Beside(PartKind::Other);
    }
    let beside = entity.is_attachment || entity.file_name.is_some();
    match entity.media_type.as_str() {
        "text/plain" if beside => {
            let bytes = decode_transfer(entity);
            if bytes.contains(&0) && entity.charset.is_none() { Role::Beside(PartKind::Other) } else { Role::File }
        }
        "text/plain" => Role::Text,
        "text/html" if !beside && entity.body.len() <= MAX_HTML_BYTES => Role::Html,
        other => Role::Beside(kind_of(other)),
    }
}

fn kind_of(media_type: &str) -> PartKind {
    match media_type {
        "application/pdf" | "application/msword" | "application/rtf" => PartKind::Document,
        "application/pgp-signature" | "application/pgp-keys" | "application/pkcs7-signature" | "application/x-pkcs7-signature" => {
            PartKind::Signature
        }
        "text/calendar" | "text/vcard" | "text/x-vcard" | "application/ics" => PartKind::Card,
        "text/rfc822-headers" => PartKind::Message,
        t if t.starts_with("message/") => PartKind::Message,
        t if t.starts_with("image/") => PartKind::Picture,
        t if t.starts_with("application/vnd.openxmlformats") || t.starts_with("application/vnd.oasis") => PartKind::Document,
        _ => PartKind::Other,
    }
}

fn outermost_alternative(message: &Message<'_>, index: usize) -> Option<usize> {
    let mut found = None;
    let mut at = message.entities[index].parent;
    while let Some(parent) = at {
        if message.entities[parent].media_type == "multipart/alternative" {
            found = Some(parent);
        }
        at = message.entities[parent].parent;
    }
    found
}

fn append(slot: &mut Option<String>, text: &str) {
    let whole = slot.get_or_insert_default();
    if !whole.is_empty() {
        whole.push('\n');
    }
    whole.push_str(text);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mime::parse;

    fn read(raw: &[u8]) -> Content {
        read_content(&parse(raw).unwrap())
    }

    #[test]
    fn html_only_mail_gets_a_text_alternative() {
        let content = read(b"Subject: x\r\nContent-Type: text/html\r\n\r\n<p>Hola <b>Ana</b></p><script>bad()</script>");
        assert!(content.text.contains("Hola Ana") && !content.text.contains("bad"));
        assert!(!content.html.unwrap().contains("script"));
    }

    #[test]
    fn only_text_and_html_of_an_alternative_are_kept() {
        let content = read(
            b"Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\nplain\r\n--b\r\nContent-Type: text/x-amp-html\r\n\r\namp\r\n--b\r\nContent-Type: text/html\r\n\r\n<i>html</i>\r\n--b--",
        );
        assert_eq!(content.text, "plain\n");
        assert!(content.html.unwrap().contains("<i>html</i>"));
        assert_eq!(content.parts.len(), 1);
    }

    #[test]
    fn a_footer_in_a_second_text_part_stays() {
        let content = read(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--");
        assert_eq!(content.text, "one\n\ntwo\n");
    }

    #[test]
    fn a_message_within_the_message_is_named_not_opened() {
        let content = read(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nFrom: secret@x.example\r\n\r\nsecret\r\n--b--");
        assert_eq!(content.parts[0].kind, PartKind::Message);
        assert!(!content.text.contains("secret"));
    }
}

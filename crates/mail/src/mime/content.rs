//! What a message says: subject, text, HTML and the parts beside them, all in Unicode.
//!
//! Text and HTML bodies become content, files are handed on for judgement, and what a mail client adds by
//! itself is named by its kind alone, so that nothing of it (file name, type parameters) can travel.

use std::collections::BTreeMap;

use crate::html;
use crate::mime::decode::{TransferEncoding, decode_text, decode_transfer, transfer_encoding};
use crate::mime::structure::{Entity, Message};
use crate::mime::tnef::{self, Tnef};
use crate::mime::uuencode::{self, UuFile};
use crate::mime::{armour, calendar};

/// Longest HTML part whose structure is opened, in bytes; of a longer one only the words are passed on.
const MAX_HTML_BYTES: usize = 2 << 20;

/// Kind of a part that stands beside the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PartKind {
    /// A file that a person attached.
    File,
    /// A picture.
    Picture,
    /// Headers or reports of a mail system.
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
    /// The file itself; only for `File`.
    pub file: Option<AttachedFile>,
}

/// A file as it was attached, transfer encoding undone.
#[derive(Debug, Clone)]
pub struct AttachedFile {
    /// Name as the writer gave it.
    pub name: String,
    /// Declared `type/subtype`, lower case.
    pub media_type: String,
    /// Content.
    pub octets: Vec<u8>,
    /// Content in Unicode, for a file declared as plain text.
    pub text: Option<String>,
    /// Content-ID, without brackets, of a picture that the HTML shows (RFC 2392).
    pub content_id: Option<String>,
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
    /// Whether the text is encrypted, so that only the other side's key opens it.
    pub encrypted: bool,
}

impl Content {
    /// Whether the writer sent nothing at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.trim().is_empty() && self.parts.is_empty()
    }

    /// The files, in order.
    pub fn files(&self) -> impl Iterator<Item = &AttachedFile> {
        self.parts.iter().filter_map(|p| p.file.as_ref())
    }

    /// The same without the files at those places in [`Content::files`].
    #[must_use]
    pub fn without_files(&self, places: &[usize]) -> Self {
        let mut place = 0;
        let stays = move |part: &&Part| {
            let goes = part.file.is_some() && places.contains(&place);
            place += usize::from(part.file.is_some());
            !goes
        };
        Self { parts: self.parts.iter().filter(stays).cloned().collect(), ..self.clone() }
    }
}

#[derive(Default)]
struct Segment {
    text: Option<String>,
    html: Option<String>,
    /// Words of HTML that is beyond the limits; counts where there is nothing better.
    unread: Option<String>,
}

/// Reads the content of a message whose structure is known.
#[must_use]
pub fn read_content(message: &Message<'_>) -> Content {
    let mut reader = Reader::default();
    for (index, entity) in message.entities.iter().enumerate() {
        // RFC 1847, section 2.2; RFC 8551, section 3.3.
        reader.encrypted |=
            matches!(entity.media_type.as_str(), "multipart/encrypted" | "application/pgp-encrypted") || is_enveloped(entity);
        if !entity.is_multipart() {
            let alternative = outermost_alternative(message, index);
            reader.read(entity, alternative.unwrap_or(index), alternative.is_some());
        }
    }
    reader.finish(message.fields().text("Subject").unwrap_or_default())
}

#[derive(Default)]
struct Reader {
    /// One segment per alternative or lone body, in document order: the key is the entity's index.
    segments: BTreeMap<usize, Segment>,
    parts: Vec<Part>,
    /// What was found in shells that mail clients put around a message.
    shells: Vec<Tnef>,
    encrypted: bool,
}

impl Reader {
    fn read(&mut self, entity: &Entity<'_>, key: usize, in_alternative: bool) {
        match body_role(entity, in_alternative) {
            Role::Text => self.text(key, &decode_text(entity)),
            Role::Html => self.html(key, &decode_text(entity)),
            Role::File => self.parts.push(Part { kind: PartKind::File, file: Some(attached(entity)) }),
            Role::Calendar => {
                // Beside another form of the text it says nothing new.
                if let Some(summary) = calendar::summarise(&decode_text(entity)).filter(|_| !in_alternative) {
                    append(&mut self.segments.entry(key).or_default().text, &summary);
                }
                self.beside(PartKind::Card);
            }
            Role::Tnef => match tnef::read(&decode_transfer(entity)) {
                Some(shell) => self.shells.push(shell),
                None => self.beside(PartKind::Other),
            },
            Role::Beside(kind) => self.beside(kind),
        }
    }

    fn text(&mut self, key: usize, text: &str) {
        let (text, stripped) = armour::strip(text);
        if stripped > 0 {
            self.beside(PartKind::Signature);
        }
        let (text, files) = uuencode::take_files(&text);
        append(&mut self.segments.entry(key).or_default().text, &text);
        let media_type = "application/octet-stream";
        let file = |f: UuFile| AttachedFile { name: f.name, media_type: media_type.into(), octets: f.octets, text: None, content_id: None };
        self.parts.extend(files.into_iter().map(|f| Part { kind: PartKind::File, file: Some(file(f)) }));
    }

    fn html(&mut self, key: usize, html: &str) {
        let shorter = (html.len() > MAX_HTML_BYTES).then(|| html::without_data_links(html));
        let html = shorter.as_deref().unwrap_or(html);
        let clean = if html.len() <= MAX_HTML_BYTES { html::sanitise(html) } else { None };
        let segment = self.segments.entry(key).or_default();
        match clean {
            Some(clean) => {
                append(&mut segment.html, &clean.html);
                if clean.pictures_removed > 0 {
                    self.beside(PartKind::Picture);
                }
            }
            // A bomb, or a document: its words are passed on, its structure is not opened.
            None => append(&mut segment.unread, &html::to_text_unread(html)),
        }
    }

    fn beside(&mut self, kind: PartKind) {
        self.parts.push(Part { kind, file: None });
    }

    /// Opens the shells: files beside the others, and the text where the message has no other.
    fn open_shells(&mut self) {
        for (n, shell) in std::mem::take(&mut self.shells).into_iter().enumerate() {
            let said = |s: &Segment| [&s.text, &s.html, &s.unread].into_iter().flatten().any(|t| !t.trim().is_empty());
            if !self.segments.values().any(said) {
                let key = usize::MAX - n;
                if let Some(html) = shell.html {
                    self.html(key, &html);
                }
                if let Some(text) = shell.text {
                    self.text(key, &text);
                }
            }
            for file in shell.files {
                let media_type = file.media_type.unwrap_or_else(|| "application/octet-stream".to_owned()).to_ascii_lowercase();
                let file = AttachedFile { name: file.name, media_type, octets: file.octets, text: None, content_id: file.content_id };
                self.parts.push(Part { kind: PartKind::File, file: Some(file) });
            }
        }
    }

    fn finish(mut self, subject: String) -> Content {
        self.open_shells();
        let any_html = self.segments.values().any(|s| s.html.as_deref().is_some_and(|h| !h.trim().is_empty()));
        let mut content = Content { subject, parts: self.parts, ..Content::default() };
        let mut joined = String::new();
        for segment in self.segments.into_values() {
            let text = match (segment.text, &segment.html, segment.unread) {
                (Some(text), ..) if !text.trim().is_empty() => text,
                (_, Some(html), unread) if !html.trim().is_empty() || unread.is_none() => of_html(&html::to_text(html)),
                (_, _, Some(unread)) => of_html(&unread),
                (text, ..) => text.unwrap_or_default(),
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
        // Two forms of a very long text would cost twice: its reader gets the plain one.
        content.html = (any_html && joined.len() <= MAX_HTML_BYTES).then_some(joined);
        // RFC 9580, section 6.2: an armoured message in the text itself.
        content.encrypted = self.encrypted || content.text.contains("-----BEGIN PGP MESSAGE-----");
        // RFC 2392: only what the HTML shows is a picture within it; the others stand beside the message.
        let shown = content.html.as_deref().map(html::pictures).unwrap_or_default();
        for file in content.parts.iter_mut().filter_map(|p| p.file.as_mut()) {
            file.content_id = file.content_id.take().filter(|id| shown.contains(id));
        }
        content
    }
}

/// Text made from HTML: what a client would take for a file or a key in it is none of the writer's words.
fn of_html(text: &str) -> String {
    uuencode::take_files(&armour::strip(text).0).0
}

fn attached(entity: &Entity<'_>) -> AttachedFile {
    let id = entity.fields.raw("Content-ID").map(|id| id.trim().trim_matches(['<', '>']).to_owned());
    AttachedFile {
        name: entity.file_name.clone().unwrap_or_default(),
        media_type: entity.media_type.clone(),
        octets: decode_transfer(entity),
        text: (entity.media_type == "text/plain").then(|| decode_text(entity)),
        content_id: id.filter(|id| !id.is_empty() && entity.media_type.starts_with("image/")),
    }
}

/// S/MIME that hides the text; a type without parameter is taken for it, because nothing in it can be read.
fn is_enveloped(entity: &Entity<'_>) -> bool {
    matches!(entity.media_type.as_str(), "application/pkcs7-mime" | "application/x-pkcs7-mime")
}

enum Role {
    Text,
    Html,
    File,
    Calendar,
    Tnef,
    Beside(PartKind),
}

fn body_role(entity: &Entity<'_>, in_alternative: bool) -> Role {
    if transfer_encoding(entity) == TransferEncoding::Unknown {
        return Role::Beside(PartKind::Other);
    }
    let beside = entity.is_attachment || entity.file_name.is_some();
    match entity.media_type.as_str() {
        "text/plain" if !beside => Role::Text,
        "text/html" if !beside => Role::Html,
        "application/pgp-signature" | "application/pgp-keys" | "application/pkcs7-signature" | "application/x-pkcs7-signature" => {
            Role::Beside(PartKind::Signature)
        }
        "application/pgp-encrypted" | "application/pkcs7-mime" | "application/x-pkcs7-mime" => Role::Beside(PartKind::Other),
        "text/calendar" | "application/ics" => Role::Calendar,
        "text/vcard" | "text/x-vcard" | "text/directory" => Role::Beside(PartKind::Card),
        // What a mail client or mail system adds by itself.
        "application/ms-tnef" | "application/vnd.ms-tnef" => Role::Tnef,
        _ if entity.file_name.as_deref().is_some_and(|name| name.eq_ignore_ascii_case("winmail.dat")) => Role::Tnef,
        "text/rfc822-headers" | "message/delivery-status" | "message/disposition-notification" | "message/feedback-report" => {
            Role::Beside(PartKind::Message)
        }
        // Another form of the text that only some clients show.
        _ if in_alternative && !beside => Role::Beside(PartKind::Other),
        t if beside || ["application/", "image/", "audio/", "video/", "message/"].iter().any(|kind| t.starts_with(kind)) => Role::File,
        _ => Role::Beside(PartKind::Other),
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
    fn a_message_within_the_message_is_a_file_and_not_opened() {
        let content = read(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nFrom: secret@x.example\r\n\r\nsecret\r\n--b--");
        assert_eq!(content.files().next().map(|f| f.media_type.as_str()), Some("message/rfc822"));
        assert!(!content.text.contains("secret"));
    }
}

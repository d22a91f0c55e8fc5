//! A mailbox's mail as the pages show it.

use mail::mime::{self, Fields};
use sandbox::StoredMail;

/// A received mail, read.
#[derive(Debug, Clone, Default)]
pub(crate) struct ReadMail {
    pub(crate) id: u64,
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) reply_to: String,
    pub(crate) subject: String,
    pub(crate) date: String,
    pub(crate) message_id: String,
    pub(crate) references: String,
    pub(crate) text: String,
    /// The HTML part exactly as received.
    pub(crate) html: Option<String>,
    pub(crate) files: Vec<(String, usize)>,
    /// Names and unfolded values in order.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) source: String,
}

/// Reads a mail for display.
pub(crate) fn read(mail: &StoredMail) -> ReadMail {
    let (fields, _) = Fields::read(&mail.octets);
    let text = |name: &str| fields.text(name).unwrap_or_default();
    let mut read = ReadMail {
        id: mail.id,
        from: text("From"),
        to: text("To"),
        reply_to: text("Reply-To"),
        subject: text("Subject"),
        date: text("Date"),
        message_id: text("Message-ID"),
        references: text("References"),
        source: String::from_utf8_lossy(&mail.octets).replace("\r\n", "\n"),
        ..ReadMail::default()
    };
    read.headers.push(("Return-Path".to_owned(), format!("<{}>", mail.reverse_path)));
    read.headers.extend(fields.iter().map(|f| (f.name.to_owned(), mime::decode_words(f.value))));
    if let Ok(message) = mime::parse(&mail.octets) {
        let content = mime::read_content(&message);
        read.html = message.entities.iter().find(|e| e.media_type == "text/html").map(mime::decode_text);
        read.files = content.files().map(|f| (f.name.clone(), f.octets.len())).collect();
        read.text = content.text;
    }
    read
}

impl ReadMail {
    /// Display name and bare address of From.
    pub(crate) fn author(&self) -> (String, String) {
        match self.from.rsplit_once('<') {
            Some((name, address)) => (name.trim().trim_matches('"').to_owned(), address.trim_end_matches('>').to_owned()),
            None => (self.from.clone(), self.from.clone()),
        }
    }

    /// Where an answer goes: Reply-To, else From.
    pub(crate) fn answer_to(&self) -> String {
        let whole = if self.reply_to.is_empty() { &self.from } else { &self.reply_to };
        whole.rsplit_once('<').map_or(whole.as_str(), |(_, address)| address.trim_end_matches('>')).to_owned()
    }

    pub(crate) fn answer_subject(&self) -> String {
        if self.subject.to_ascii_lowercase().starts_with("re:") { self.subject.clone() } else { format!("Re: {}", self.subject) }
    }

    pub(crate) fn answer_references(&self) -> String {
        format!("{} {}", self.references, self.message_id).trim().to_owned()
    }

    /// The original below an answer, as mail programs put it.
    pub(crate) fn quoted(&self) -> String {
        let lines: String = self.text.trim_end().lines().map(|l| format!("> {l}\n")).collect();
        format!("\nOn {}, {} wrote:\n{lines}", self.date, self.from)
    }

    pub(crate) fn preview(&self) -> String {
        // The banner stands above; what a person wrote begins behind the first empty line.
        let said = self.text.split_once("\n\n").map_or(self.text.as_str(), |(_, rest)| rest);
        said.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(110).collect()
    }
}

/// Why a header is as it is, for the curious.
pub(crate) fn header_note(name: &str, value: &str) -> &'static str {
    match name.to_ascii_lowercase().as_str() {
        "return-path" if value == "<>" => "Null: a notice of ours, so that nothing answers it.",
        "return-path" => "A reverse-path of our own with a MAC: bounces come to us, never to the writer.",
        "received" => "One trace field of our own. It names no client, no host and no address of the writer.",
        "from" => "Name from the party's record, never from the mail; the bare alias, the same for ever.",
        "reply-to" => "The alias with the conversation's tag: the first evidence of where an answer belongs.",
        "message-id" => "Fresh, on our domain.",
        "in-reply-to" | "references" => "Translated: each side is shown only ids that it knows.",
        "date" => "When we took responsibility, in UTC, so that no time zone names a place.",
        "dkim-signature" => "Signed by the alias domain; From is signed twice against additions.",
        "subject" => "To a seller with the order's id once; taken out again on the way back.",
        "auto-submitted" => "Says that a machine wrote it (RFC 3834).",
        "x-tradepost-hops" => "Counts relays against loops.",
        _ => "",
    }
}

//! Reports in words: what a mail system writes to a person, read by the phrases of `report/dialects.toml`.
//!
//! Words alone are no proof, because people quote them: the head of the message must point to a mail system as well, and
//! quoted lines do not count.

use std::collections::HashSet;

use crate::html;
use crate::mime::{Entity, Fields, Message};
use crate::report::code::Code;
use crate::report::data::{WORDS, flat};
use crate::report::status::derive;
use crate::report::{Action, MAX_DIAGNOSTIC, MAX_RECIPIENTS, RecipientStatus, addresses, printable, text_of};

/// Most lines of an account that are read.
const MAX_LINES: usize = 2_000;
/// What systems rule their lines with.
const RULING: [char; 9] = [' ', '\t', '-', '=', '*', '_', '#', '+', '~'];

/// What the head of a message says of its author.
pub(super) struct Clues {
    /// Subject, flat.
    pub(super) subject: String,
    /// From and Return-Path, flat.
    pub(super) from: String,
    /// Addresses of `X-Failed-Recipients`, which Exim and Gmail set.
    failed_recipients: Option<Vec<String>>,
    is_machine: bool,
}

impl Clues {
    /// Whether From or the reverse-path is one that only mail systems use.
    pub(super) fn is_of_daemon(&self) -> bool {
        WORDS.machines.iter().any(|machine| self.from.contains(machine.as_str()))
    }

    pub(super) fn of(fields: &Fields<'_>) -> Self {
        let return_path = fields.raw("Return-Path");
        let subject = flat(&fields.text("Subject").unwrap_or_default());
        let from = flat(&format!("{} {}", fields.text("From").unwrap_or_default(), return_path.as_deref().unwrap_or_default()));
        let failed = fields.raw("X-Failed-Recipients");
        let failed_recipients: Option<Vec<String>> =
            failed.map(|list| addresses(&list).take(MAX_RECIPIENTS).map(str::to_lowercase).collect());
        let is_null = return_path.is_some_and(|path| matches!(path.as_str(), "" | "<>"));
        let is_machine = is_null
            || failed_recipients.is_some()
            || WORDS.machines.iter().any(|machine| from.contains(machine.as_str()))
            || WORDS.subjects.iter().any(|phrase| subject.starts_with(phrase.as_str()))
            || WORDS.subjects_holding.iter().any(|phrase| subject.contains(phrase.as_str()));
        Self { subject, from, failed_recipients, is_machine }
    }

    /// Whether anything points to a mail system.
    pub(super) fn any(&self) -> bool {
        self.is_machine
    }
}

/// What the report itself says, without the message that it returns.
pub(super) struct Account {
    lines: Vec<String>,
    /// All of it, flat.
    pub(super) flat: String,
}

impl Account {
    pub(super) fn of(message: &Message<'_>) -> Self {
        let leaves = message.entities.iter().enumerate().filter(|(_, entity)| !entity.is_attachment);
        let mut texts: Vec<String> =
            leaves.clone().filter(|(index, entity)| is_words(message, *index, entity)).map(|(_, entity)| text_of(entity)).collect();
        if texts.iter().all(|text| text.trim().is_empty()) {
            let pages = leaves.filter(|(_, entity)| entity.media_type == "text/html");
            texts = pages.map(|(_, entity)| html::to_text_unread(&text_of(entity))).collect();
        }
        let lines = own_lines(&texts);
        let flat = flat(&lines.join("\n"));
        Self { lines, flat }
    }

    /// Whether the message is still being tried.
    pub(super) fn is_delayed(&self, clues: &Clues) -> bool {
        WORDS.delayed.stand_in(&self.flat) || WORDS.delayed.stand_in(&clues.subject)
    }

    /// Each line that begins with an address, with what follows until the next such line.
    fn blocks(&self) -> Vec<(String, String)> {
        let mut blocks: Vec<(String, String)> = Vec::new();
        for line in &self.lines {
            if let Some(address) = leading_address(line) {
                blocks.push((address.to_lowercase(), line.clone()));
            } else if let Some((_, text)) = blocks.last_mut() {
                text.push('\n');
                text.push_str(line);
            }
        }
        blocks
    }
}

/// Whether a part is text to be read; a multipart of which no part was found is, because its delimiters do not match.
pub(super) fn is_words(message: &Message<'_>, index: usize, entity: &Entity<'_>) -> bool {
    let media_type = entity.media_type.as_str();
    if entity.is_multipart() {
        // Entities are in document order: the first part of a multipart follows it.
        return message.entities.get(index + 1).is_none_or(|next| next.parent != Some(index));
    }
    media_type.starts_with("text/")
        && !matches!(media_type, "text/html" | "text/rfc822-headers" | "text/calendar" | "text/css" | "text/x-vcard")
}

fn own_lines(texts: &[String]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in texts.iter().flat_map(|text| text.lines()) {
        if lines.len() >= MAX_LINES {
            break;
        }
        let bare = flat(line);
        if WORDS.opens_returned(bare.trim_matches(RULING)) && lines.iter().any(|line| !line.trim().is_empty()) {
            break;
        }
        // Three marks are the transcript of a session, one is a quotation.
        if !line.starts_with('>') || line.starts_with(">>>") {
            lines.push(line.to_owned());
        }
    }
    lines
}

/// What became of the message, if the words say anything of it.
pub(super) fn action(account: &Account, clues: &Clues) -> Option<Action> {
    if !clues.any() {
        None
    } else if account.is_delayed(clues) {
        Some(Action::Delayed)
    } else if WORDS.failed.stand_in(&account.flat) {
        Some(Action::Failed)
    } else if WORDS.delivered.stand_in(&account.flat) {
        Some(Action::Delivered)
    } else {
        clues.failed_recipients.is_some().then_some(Action::Failed)
    }
}

/// The recipients that the words name, each with what is said of it.
pub(super) fn recipients(message: &Message<'_>, account: &Account, clues: &Clues, action: Action) -> Vec<RecipientStatus> {
    let told = told(message, account, clues);
    let derived: Vec<Option<Code>> = told.iter().map(|(_, text)| derive(text, None)).collect();
    // What is said of all, or of one, stands anywhere; beside what is said of others it would be theirs.
    let whole = derived.iter().all(Option::is_none).then(|| whole_code(account, clues)).flatten();
    let pairs = told.into_iter().zip(derived);
    pairs
        .map(|((address, text), code)| RecipientStatus {
            action,
            status: Some(fitting(code.or(whole), action).to_string()),
            final_recipient: Some(address),
            diagnostic: printable(&text, MAX_DIAGNOSTIC),
        })
        .collect()
}

/// The one status of a report that names no recipient.
pub(super) fn nobody(account: &Account, clues: &Clues, action: Action) -> Vec<RecipientStatus> {
    let status = Some(fitting(whole_code(account, clues), action).to_string());
    vec![RecipientStatus { action, status, final_recipient: None, diagnostic: printable(&account.flat, MAX_DIAGNOSTIC) }]
}

fn whole_code(account: &Account, clues: &Clues) -> Option<Code> {
    derive(&account.flat, None).or_else(|| derive(&clues.subject, None))
}

/// A code of the class that goes with the action; given up after transient replies keeps their class.
fn fitting(code: Option<Code>, action: Action) -> Code {
    match action {
        Action::Failed => code.unwrap_or(Code::of_class(5)),
        Action::Delayed => code.map_or(Code::of_class(4), |code| code.in_class(4)),
        Action::Delivered | Action::Relayed | Action::Expanded => Code::of_class(2),
    }
}

/// Addresses and what is said of each: by the field, by lines that begin with one, by the words before one, by any.
fn told(message: &Message<'_>, account: &Account, clues: &Clues) -> Vec<(String, String)> {
    let own = own_addresses(message.fields());
    let mut told = Told::default();
    let blocks = account.blocks();
    if let Some(failed) = &clues.failed_recipients {
        failed.iter().for_each(|address| told.add(address, ""));
        blocks.iter().for_each(|(address, text)| told.more(address, text));
        return told.0;
    }
    for (address, text) in blocks.iter().filter(|(address, _)| !own.contains(address)) {
        told.add(address, text);
    }
    if told.0.is_empty() {
        for end in WORDS.recipients_follow(&account.flat, MAX_RECIPIENTS) {
            let rest = account.flat[end..].trim_start_matches([' ', '<', '"', '\'', '-', ':']);
            if let Some(address) = leading_address(rest) {
                told.add(address, "");
            }
        }
    }
    if told.0.is_empty() {
        blocks.iter().for_each(|(address, text)| told.add(address, text));
    }
    if told.0.is_empty() {
        for address in addresses(&account.flat).filter(|address| !own.contains(*address)).take(MAX_RECIPIENTS) {
            told.add(address, "");
        }
    }
    told.0
}

#[derive(Default)]
struct Told(Vec<(String, String)>);

impl Told {
    fn holds(&self, address: &str) -> bool {
        self.0.iter().any(|(known, _)| known == address)
    }

    /// Adds words about an address that is known; others are left out.
    fn more(&mut self, address: &str, text: &str) {
        if let Some((_, known)) = self.0.iter_mut().find(|(known, _)| known == address) {
            known.push(' ');
            known.push_str(text);
        }
    }

    fn add(&mut self, address: &str, text: &str) {
        if self.holds(address) {
            self.more(address, text);
        } else if self.0.len() < MAX_RECIPIENTS {
            self.0.push((address.to_owned(), text.to_owned()));
        }
    }
}

/// Those between whom the report itself goes; it names them, but not as recipients.
fn own_addresses(fields: &Fields<'_>) -> HashSet<String> {
    let names = ["To", "From", "Delivered-To", "Return-Path", "Envelope-To"];
    let texts: Vec<String> = names.iter().filter_map(|name| fields.text(name)).collect();
    texts.iter().flat_map(|text| addresses(text).take(MAX_RECIPIENTS)).map(str::to_lowercase).collect()
}

/// The address with which a line begins, behind bullets, brackets and quotes.
fn leading_address(line: &str) -> Option<&str> {
    let line = line.trim_start_matches([' ', '\t', '*', '-', '•', '>', '|']).trim_start_matches(['<', '"', '\'']);
    addresses(line).next().filter(|address| line.starts_with(*address))
}

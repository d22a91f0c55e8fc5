//! Rules as data: an embedded default, and an operator's file laid over it, known by its hash (architecture
//! decision 11).
//!
//! A file is taken whole or refused with the line that is wrong.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use aws_lc_rs::digest::{Context, SHA256};
use serde::Deserialize;
use toml::Spanned;

use crate::order::OrderStatus;
use crate::policy::checks::Phrases;
use crate::policy::reasons::Reason;
use crate::texts::is_same_language;

/// Version of the code that reads the rules: the same file under other code is another rule set.
const ENGINE: &[u8] = b"tradepost rules 4";
const DEFAULT: &str = include_str!("../../rules/default.toml");

/// What the bracketed word in a subject does (C5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportantMode {
    /// It lets a message pass the opt-out, always.
    Honour,
    /// It lets so many a day pass; they are counted, and it can be withdrawn from a seller.
    HonourWithAudit,
    /// It does nothing.
    Ignore,
}

/// What a suspicious critical message meets (C14).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckMode {
    /// It passes; the writer is told and it is counted.
    Warn,
    /// It is refused.
    Block,
    /// Nothing.
    Off,
}

/// What happens to contact data that a person typed (C10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ContactMode {
    /// The reader sees a mask.
    Mask,
    /// It passes.
    Pass,
}

/// The rules of one marketplace.
#[derive(Debug, Clone)]
pub struct RuleSet {
    /// Days for which a reply passes the opt-out after the buyer's last message (C3).
    pub reply_window_days: u32,
    /// Categories whose orders are exempt from the opt-out (C4), in lower case.
    pub exempt_categories: Vec<String>,
    /// What the bracketed word does.
    pub important: ImportantMode,
    /// Overrides a day as a share of the daily limit, in per cent.
    pub important_percent: i64,
    /// Overrides a day at least.
    pub important_at_least: i64,
    /// The words by language, in lower case.
    pub important_words: BTreeMap<String, Vec<String>>,
    /// Messages a day for each order a day (C7).
    pub orders_factor: i64,
    /// Days over which orders are averaged.
    pub window_days: u32,
    /// Messages a day beside that.
    pub base: i64,
    /// Messages of a buyer per pair and day (C14).
    pub buyer_per_day: i64,
    /// Hours within which the same message is accepted once (C14).
    pub duplicate_hours: u32,
    /// Days within which one automatic message of a side passes in a conversation (C11).
    pub automatic_days: u32,
    /// Octets of attachments, each and together (C8).
    pub max_attachment_bytes: usize,
    /// Attachments on pages and API.
    pub max_attachments: usize,
    /// What happens to telephone numbers, where the reason says nothing else.
    pub phones: ContactMode,
    /// What happens to links to hosts that are not allowed.
    pub links: ContactMode,
    /// Hosts to which links pass, with everything below them; lower case.
    pub allowed_hosts: Vec<String>,
    /// Content checks on critical messages.
    pub checks: CheckMode,
    /// Their phrases, by language.
    pub phrases: Arc<Phrases>,
    /// Why a message may be reported (F1).
    pub report_reasons: Vec<String>,
    /// Contact reasons in the order in which they are offered (D1).
    pub reasons: Vec<Reason>,
    /// SHA-256 of engine, default and file.
    pub hash: [u8; 32],
}

/// Why a rules file is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RulesError {
    /// Where in the text, as a range of octets.
    pub place: Option<Range<usize>>,
    /// What is wrong and what would be right.
    pub message: String,
}

impl RulesError {
    fn at<T>(place: &Spanned<T>, message: impl Into<String>) -> Self {
        Self { place: Some(place.span()), message: message.into() }
    }
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct File {
    opt_out: OptOut,
    important: Important,
    daily_limit: DailyLimit,
    buyer_limit: BuyerLimit,
    duplicates: Duplicates,
    automatic: Automatic,
    attachments: Attachments,
    phones: Phones,
    links: Links,
    checks: Checks,
    reports: Reports,
    reason: Vec<ReasonRow>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct OptOut {
    reply_window_days: Option<Spanned<i64>>,
    exempt_categories: Option<Vec<String>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Important {
    mode: Option<ImportantMode>,
    per_day_percent: Option<Spanned<i64>>,
    per_day_at_least: Option<Spanned<i64>>,
    words: BTreeMap<String, Vec<Spanned<String>>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct DailyLimit {
    orders_factor: Option<Spanned<i64>>,
    window_days: Option<Spanned<i64>>,
    base: Option<Spanned<i64>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct BuyerLimit {
    per_pair_and_day: Option<Spanned<i64>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Duplicates {
    hours: Option<Spanned<i64>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Automatic {
    once_in_days: Option<Spanned<i64>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Attachments {
    max_bytes: Option<Spanned<i64>>,
    max_count: Option<Spanned<i64>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Phones {
    mode: Option<ContactMode>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Links {
    mode: Option<ContactMode>,
    allow: Option<Vec<Spanned<String>>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Checks {
    mode: Option<CheckMode>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Reports {
    reasons: Option<Vec<Spanned<String>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReasonRow {
    id: Spanned<String>,
    action: Option<Spanned<String>>,
    critical: bool,
    #[serde(default)]
    statuses: Vec<Spanned<String>>,
    customizable: Option<bool>,
    #[serde(default)]
    categories: Vec<String>,
    days_after_delivery: Option<Spanned<[i64; 2]>>,
    #[serde(default)]
    once_per_order: bool,
    #[serde(default = "yes")]
    free_text: bool,
    #[serde(default)]
    phones: bool,
    #[serde(default)]
    links: Vec<Spanned<String>>,
}

fn yes() -> bool {
    true
}

impl RuleSet {
    /// The embedded rules.
    ///
    /// # Panics
    /// Never: a test reads them.
    #[must_use]
    pub fn embedded() -> Self {
        Self::parse("").expect("an empty file changes nothing of the embedded rules")
    }

    /// Lays a file over the embedded rules.
    ///
    /// # Errors
    /// `RulesError` names the place: unknown keys, numbers out of range, reasons that overlap, windows that
    /// nothing can meet.
    pub fn parse(text: &str) -> Result<Self, RulesError> {
        let read = |text: &str| -> Result<File, RulesError> {
            toml::from_str(text).map_err(|e| RulesError { place: e.span(), message: e.message().to_owned() })
        };
        let mut rules = Self::nothing();
        rules.lay(read(DEFAULT)?)?;
        rules.lay(read(text)?)?;
        let mut context = Context::new(&SHA256);
        for part in [ENGINE, DEFAULT.as_bytes(), Phrases::source().as_bytes(), text.as_bytes()] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        rules.hash.copy_from_slice(context.finish().as_ref());
        Ok(rules)
    }

    /// The reason of that id.
    #[must_use]
    pub fn reason(&self, id: &str) -> Option<&Reason> {
        self.reasons.iter().find(|r| r.id == id)
    }

    /// The bracketed words that count on a marketplace of these languages; English counts everywhere.
    pub fn important_words_of<'a>(&'a self, languages: &'a [String]) -> impl Iterator<Item = &'a str> {
        let counts = move |tag: &str| tag == "en" || languages.iter().any(|l| is_same_language(l, tag));
        self.important_words.iter().filter(move |(tag, _)| counts(tag)).flat_map(|(_, words)| words).map(String::as_str)
    }

    fn nothing() -> Self {
        Self {
            reply_window_days: 0,
            exempt_categories: Vec::new(),
            important: ImportantMode::Ignore,
            important_percent: 0,
            important_at_least: 0,
            important_words: BTreeMap::new(),
            orders_factor: 0,
            window_days: 1,
            base: 0,
            buyer_per_day: 0,
            duplicate_hours: 0,
            automatic_days: 0,
            max_attachment_bytes: 0,
            max_attachments: 0,
            phones: ContactMode::Mask,
            links: ContactMode::Mask,
            allowed_hosts: Vec::new(),
            checks: CheckMode::Off,
            phrases: Arc::new(Phrases::embedded()),
            report_reasons: Vec::new(),
            reasons: Vec::new(),
            hash: [0; 32],
        }
    }

    fn lay(&mut self, file: File) -> Result<(), RulesError> {
        put(&mut self.reply_window_days, file.opt_out.reply_window_days, 0..=3_650)?;
        if let Some(categories) = file.opt_out.exempt_categories {
            self.exempt_categories = categories.iter().map(|c| c.to_lowercase()).collect();
        }
        self.important = file.important.mode.unwrap_or(self.important);
        put(&mut self.important_percent, file.important.per_day_percent, 0..=100)?;
        put(&mut self.important_at_least, file.important.per_day_at_least, 0..=1_000_000)?;
        for (language, words) in file.important.words {
            self.important_words.insert(language, words.into_iter().map(important_word).collect::<Result<_, _>>()?);
        }
        put(&mut self.orders_factor, file.daily_limit.orders_factor, 0..=1_000)?;
        put(&mut self.window_days, file.daily_limit.window_days, 1..=366)?;
        put(&mut self.base, file.daily_limit.base, 0..=100_000_000)?;
        put(&mut self.buyer_per_day, file.buyer_limit.per_pair_and_day, 1..=1_000_000)?;
        put(&mut self.duplicate_hours, file.duplicates.hours, 0..=720)?;
        put(&mut self.automatic_days, file.automatic.once_in_days, 1..=365)?;
        put(&mut self.max_attachment_bytes, file.attachments.max_bytes, 0..=100 << 20)?;
        put(&mut self.max_attachments, file.attachments.max_count, 0..=100)?;
        self.phones = file.phones.mode.unwrap_or(self.phones);
        self.links = file.links.mode.unwrap_or(self.links);
        if let Some(allow) = file.links.allow {
            self.allowed_hosts = allow.into_iter().map(host).collect::<Result<_, _>>()?;
        }
        self.checks = file.checks.mode.unwrap_or(self.checks);
        if let Some(reasons) = file.reports.reasons {
            self.report_reasons = distinct(reasons)?;
        }
        if !file.reason.is_empty() {
            self.reasons = reasons(file.reason)?;
        }
        Ok(())
    }
}

/// A number within its range.
fn put<T: TryFrom<i64>>(slot: &mut T, new: Option<Spanned<i64>>, range: std::ops::RangeInclusive<i64>) -> Result<(), RulesError> {
    let Some(new) = new else { return Ok(()) };
    let value = *new.get_ref();
    let wrong = || RulesError::at(&new, format!("{value} is out of range; {} to {} can be meant", range.start(), range.end()));
    if !range.contains(&value) {
        return Err(wrong());
    }
    *slot = T::try_from(value).map_err(|_| wrong())?;
    Ok(())
}

fn important_word(word: Spanned<String>) -> Result<String, RulesError> {
    let text = word.get_ref().trim().to_lowercase();
    let valid = (2..=30).contains(&text.chars().count()) && text.chars().all(char::is_alphabetic);
    if valid { Ok(text) } else { Err(RulesError::at(&word, "a word of 2 to 30 letters, without the brackets")) }
}

/// A host, as a link names it.
fn host(host: Spanned<String>) -> Result<String, RulesError> {
    let text = host.get_ref().trim().trim_end_matches('.').to_lowercase();
    let is_label = |l: &str| !l.is_empty() && l.len() <= 63 && l.chars().all(|c| c.is_alphanumeric() || c == '-');
    let valid = text.split('.').count() >= 2 && text.split('.').all(is_label);
    if valid { Ok(text) } else { Err(RulesError::at(&host, "a host such as \"tracking.example\", without https:// and path")) }
}

fn distinct(ids: Vec<Spanned<String>>) -> Result<Vec<String>, RulesError> {
    let mut out: Vec<String> = Vec::new();
    for id in ids {
        if !is_id(id.get_ref()) {
            return Err(RulesError::at(&id, "an id of a-z, 0-9 and _"));
        }
        if out.contains(id.get_ref()) {
            return Err(RulesError::at(&id, format!("\"{}\" stands here twice", id.get_ref())));
        }
        out.push(id.into_inner());
    }
    Ok(out)
}

fn reasons(rows: Vec<ReasonRow>) -> Result<Vec<Reason>, RulesError> {
    let mut out: Vec<Reason> = Vec::new();
    for row in rows {
        if !is_id(row.id.get_ref()) {
            return Err(RulesError::at(&row.id, "an id of a-z, 0-9 and _"));
        }
        if out.iter().any(|r| r.id == *row.id.get_ref()) {
            return Err(RulesError::at(&row.id, format!("there are two reasons \"{}\"; a reason stands here once", row.id.get_ref())));
        }
        if let Some(action) = &row.action
            && out.iter().any(|r| r.action.as_ref() == Some(action.get_ref()))
        {
            return Err(RulesError::at(action, format!("the action \"{}\" belongs to another reason already", action.get_ref())));
        }
        let mut statuses = Vec::new();
        for word in &row.statuses {
            let known = || OrderStatus::ALL.map(OrderStatus::as_str).join(", ");
            let wrong = || RulesError::at(word, format!("no status \"{}\"; there are {}", word.get_ref(), known()));
            statuses.push(OrderStatus::parse(word.get_ref()).ok_or_else(wrong)?);
        }
        out.push(Reason {
            days_after_delivery: row.days_after_delivery.map(|w| window(&w, &statuses)).transpose()?,
            id: row.id.into_inner(),
            action: row.action.map(Spanned::into_inner),
            critical: row.critical,
            statuses,
            customizable: row.customizable,
            categories: row.categories.iter().map(|c| c.to_lowercase()).collect(),
            once_per_order: row.once_per_order,
            free_text: row.free_text,
            phones: row.phones,
            links: row.links.into_iter().map(host).collect::<Result<_, _>>()?,
        });
    }
    if !out.iter().any(|r| r.id == "other" && !r.critical) {
        return Err(RulesError {
            place: None,
            message: "there must be a reason \"other\" that is not critical: mail comes with it".to_owned(),
        });
    }
    Ok(out)
}

fn window(window: &Spanned<[i64; 2]>, statuses: &[OrderStatus]) -> Result<(u32, u32), RulesError> {
    let [from, to] = *window.get_ref();
    if !statuses.is_empty() && !statuses.iter().any(|s| matches!(s, OrderStatus::Delivered | OrderStatus::Returned)) {
        return Err(RulesError::at(window, "days after delivery can never come for an order that is not delivered; add that status"));
    }
    match (u32::try_from(from), u32::try_from(to)) {
        (Ok(from), Ok(to)) if from <= to && to <= 3_650 => Ok((from, to)),
        _ => Err(RulesError::at(window, format!("no day lies between {from} and {to}; give the first day, then the last"))),
    }
}

fn is_id(text: &str) -> bool {
    (1..=40).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> (usize, String) {
        let error = RuleSet::parse(text).unwrap_err();
        (error.place.map_or(0, |p| text[..p.start].matches('\n').count() + 1), error.message)
    }

    #[test]
    fn the_embedded_rules_say_what_the_product_says() {
        let rules = RuleSet::embedded();
        assert_eq!((rules.reply_window_days, rules.orders_factor, rules.base, rules.buyer_per_day), (90, 5, 600, 50));
        assert_eq!(rules.exempt_categories, ["wine", "handmade", "custom"]);
        assert_eq!(rules.max_attachment_bytes, 10 * 1024 * 1024);
        assert_eq!(rules.reasons.iter().filter(|r| r.critical).count(), 8);
        assert_eq!(rules.important_words_of(&["pt-BR".into()]).collect::<Vec<_>>(), ["important", "importante"]);
    }

    #[test]
    fn a_file_changes_what_it_names_and_the_hash() {
        let changed = RuleSet::parse("[opt_out]\nreply_window_days = 30\n").unwrap();
        let default = RuleSet::embedded();
        assert_eq!((changed.reply_window_days, changed.base), (30, default.base));
        assert_ne!(changed.hash, default.hash);
        assert_eq!(changed.hash, RuleSet::parse("[opt_out]\nreply_window_days = 30\n").unwrap().hash);
    }

    #[test]
    fn faults_are_named_with_their_line() {
        assert_eq!(fault("[opt_out]\nreply_window = 3\n").0, 2);
        assert!(fault("[opt_out]\nreply_window = 3\n").1.starts_with("unknown field `reply_window`"));
        assert_eq!(fault("\n[daily_limit]\nbase = -1\n").0, 3);
        let other = "[[reason]]\nid = \"other\"\ncritical = false\n";
        let (line, message) = fault(&format!("{other}[[reason]]\nid = \"other\"\ncritical = true\n"));
        assert_eq!((line, message.contains("two reasons")), (5, true), "{message}");
        let (line, message) = fault(&format!("{other}[[reason]]\nid = \"late\"\ncritical = false\ndays_after_delivery = [30, 5]\n"));
        assert_eq!((line, message.contains("no day lies between 30 and 5")), (7, true), "{message}");
        let never = format!("{other}[[reason]]\nid = \"x\"\ncritical = false\nstatuses = [\"pending\"]\ndays_after_delivery = [1, 2]\n");
        assert_eq!(fault(&never).0, 8);
        assert!(
            fault(&format!("{other}[[reason]]\nid = \"x\"\ncritical = false\nstatuses = [\"lost\"]\n")).1.contains("no status \"lost\"")
        );
        let twice = format!(
            "{other}[[reason]]\nid = \"x\"\ncritical = false\naction = \"a\"\n[[reason]]\nid = \"y\"\ncritical = false\naction = \"a\"\n"
        );
        assert_eq!(fault(&twice).0, 11);
        assert!(fault("[[reason]]\nid = \"x\"\ncritical = false\n").1.contains("\"other\""));
        assert_eq!(fault("[important.words]\nde = [\"[wichtig]\"]\n").0, 2);
        assert_eq!(fault("[checks]\nmode = \"loud\"\n").0, 2);
        assert_eq!(fault("[links]\nmode = \"mask\"\nallow = [\"https://x.example/\"]\n").0, 3);
    }
}

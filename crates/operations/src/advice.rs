//! What the rules advise, in the words of whoever reads it: the same in a notice, an answer of the API and a page.

use domain::Timestamp;
use domain::policy::{Advice, Decision, RefusedFile};
use mail::Mailbox;

use crate::context::{Context, Marketplace};

/// A piece of advice in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Stable code; also the cause that is counted.
    pub code: &'static str,
    /// What happened and what can be done.
    pub text: String,
}

/// The remedy of a decision in words, if it has one.
#[must_use]
pub(crate) fn remedy(ctx: &Context, marketplace: &Marketplace, locale: &str, decision: &Decision, about: About<'_>) -> Option<Told> {
    decision.remedy.as_ref().map(|advice| say(ctx, marketplace, locale, advice, about))
}

/// What beside the rules a text may name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct About<'a> {
    /// Files that do not pass.
    pub(crate) files: &'a [RefusedFile],
    /// When limits begin anew.
    pub(crate) resets_at: Timestamp,
}

/// One piece of advice in words.
#[must_use]
pub(crate) fn say(ctx: &Context, marketplace: &Marketplace, locale: &str, advice: &Advice, about: About<'_>) -> Told {
    let field = |name: &str| advice.fields.iter().find(|(n, _)| *n == name).map_or("", |(_, value)| value.as_str());
    let postmaster = postmaster(marketplace).to_wire();
    let reset = marketplace.calendar.minute(about.resets_at);
    let files: Vec<String> = about.files.iter().map(|f| file_line(ctx, locale, f)).collect();
    let files = files.join("\n");
    let megabytes = (marketplace.rules.max_attachment_bytes >> 20).to_string();
    let name = ("marketplace", marketplace.name.as_str());
    let word = bracketed_word(marketplace, locale);
    let why = match field("why") {
        "" => String::new(),
        why => ctx.text(locale, &format!("unavailable_{why}"), &[]),
    };
    let suspicion = match field("suspicion") {
        "" => String::new(),
        suspicion => ctx.text(locale, &format!("suspicion_{suspicion}"), &[name]),
    };
    let average = decimal(locale, field("average"));
    let own = [
        name,
        ("postmaster", postmaster.as_str()),
        ("reset", reset.as_str()),
        ("files", files.as_str()),
        ("megabytes", megabytes.as_str()),
        ("word", word.as_str()),
        ("why", why.as_str()),
        ("suspicion", suspicion.as_str()),
        ("average", average.as_str()),
    ];
    let given = advice.fields.iter().map(|(n, v)| (*n, v.as_str()));
    let fields: Vec<(&str, &str)> = own.into_iter().chain(given).collect();
    Told { code: advice.key, text: ctx.text(locale, advice.key, &fields) }
}

/// The address that people write to about the marketplace itself (A8).
pub(crate) fn postmaster(marketplace: &Marketplace) -> Mailbox {
    Mailbox::new("postmaster", marketplace.domain.clone()).expect("a local-part")
}

fn file_line(ctx: &Context, locale: &str, file: &RefusedFile) -> String {
    let name: String = file.name.chars().filter(|c| !c.is_control()).take(120).collect();
    let name = if name.trim().is_empty() { ctx.text(locale, "file_unnamed", &[]) } else { name };
    format!("- {}", ctx.text(locale, &format!("file_{}", file.cause.as_str()), &[("name", &name)]))
}

/// The word that a reader of `locale` would write, as one begins a sentence with it.
fn bracketed_word(marketplace: &Marketplace, locale: &str) -> String {
    let own = [locale.to_owned()];
    let words = &marketplace.rules;
    // The reader's own word where the site knows it, else the site's, else English.
    let of_reader = marketplace.languages.iter().map(String::as_str).chain(["en"]).any(|l| domain::texts::is_same_language(l, locale));
    let mut candidates = words.important_words_of(if of_reader { &own } else { &marketplace.languages });
    let english: Vec<&String> = words.important_words.get("en").into_iter().flatten().collect();
    let word = candidates.find(|w| !english.iter().any(|e| e.as_str() == *w)).or_else(|| english.first().map(|w| w.as_str()));
    let mut chars = word.unwrap_or("important").chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

fn decimal(locale: &str, number: &str) -> String {
    if locale.starts_with("en") { number.to_owned() } else { number.replace('.', ",") }
}

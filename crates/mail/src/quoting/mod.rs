//! What an author wrote, and what a mail program quoted below, above or between it.
//!
//! Reads lines, by data of seventeen languages (`quoting/<language>.toml`): attribution lines ("On …, X wrote:"),
//! header blocks (From, Sent, To, Subject), dividers, signatures, and lines by which programs name themselves.

mod data;

use std::ops::Range;

use crate::scrub::fold::is_invisible;
use data::{Role, WORDS};

/// Most lines of one attribution.
const MAX_ATTRIBUTION_LINES: usize = 4;
/// Longest attribution, in characters.
const MAX_ATTRIBUTION: usize = 500;
/// Most lines of one header block.
const MAX_BLOCK_LINES: usize = 16;
/// Longest line by which a program names itself, in characters.
const MAX_DEVICE: usize = 120;

/// A line as it is read.
#[derive(Debug, Clone)]
pub struct Line {
    /// Content without marks of quotation, trimmed, lower case.
    text: String,
    /// How deep it stands in quotations.
    depth: u8,
    /// Characters of marks and white space before the content.
    pub(crate) prefix: usize,
}

/// What a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineKind {
    /// The author's own.
    Said,
    /// "On …, X wrote:".
    Attribution,
    /// From, Sent, To, Subject, and the divider above them.
    HeaderBlock,
    /// What others wrote before.
    Quoted,
    /// "Sent from my …".
    Device,
    /// Below the `-- ` line (RFC 3676, section 4.3).
    Signature,
}

impl Line {
    /// Reads one line; `depth` is what is known beside its own marks, as in HTML.
    #[must_use]
    pub fn of(chars: &[char], depth: u8) -> Self {
        let (mut prefix, mut marks) = (0, 0_u8);
        for c in chars {
            match c {
                '>' => marks = marks.saturating_add(1),
                c if c.is_whitespace() => {}
                _ => break,
            }
            prefix += 1;
        }
        let text: String = chars[prefix..].iter().filter(|c| !is_invisible(**c)).flat_map(|c| c.to_lowercase()).collect();
        // Some programs quote their own HTML into plain text.
        let text = if text.contains("&nbsp;") { text.replace("&nbsp;", " ") } else { text };
        Self { text: text.trim_end().to_owned(), depth: depth.saturating_add(marks), prefix }
    }

    fn is_blank(&self) -> bool {
        self.text.is_empty()
    }
}

/// What an author wrote in a text: without quotations, what introduces them, signature and device lines.
#[must_use]
pub fn written(text: &str) -> String {
    written_behind(text, &[])
}

/// The same of a text in which one of these lines stands in place of what introduced a quotation.
#[must_use]
pub fn written_behind(text: &str, introductions: &[String]) -> String {
    let lines: Vec<Line> = text.lines().map(|l| Line::of(&l.chars().collect::<Vec<_>>(), 0)).collect();
    let introductions: Vec<String> = introductions.iter().map(|i| i.to_lowercase()).collect();
    let kinds = classify_behind(&lines, &introductions);
    let said: Vec<&str> = kinds.iter().zip(text.lines()).filter(|(kind, _)| **kind == LineKind::Said).map(|(_, text)| text).collect();
    said.join("\n").trim().to_owned()
}

/// Says of each line what it is.
#[must_use]
pub fn classify(lines: &[Line]) -> Vec<LineKind> {
    classify_behind(lines, &[])
}

fn classify_behind(lines: &[Line], introductions: &[String]) -> Vec<LineKind> {
    let mut kinds: Vec<LineKind> = lines.iter().map(|l| if l.depth > 0 { LineKind::Quoted } else { LineKind::Said }).collect();
    let labels: Vec<Label> = lines.iter().map(|l| WORDS.label(&l.text)).collect();
    let mut at = 0;
    while at < lines.len() {
        if introductions.contains(&lines[at].text) {
            kinds[at] = LineKind::Attribution;
            at += 1;
        } else if let Some(range) = trace(lines, at) {
            at = range.end;
            kinds[range].fill(LineKind::HeaderBlock);
        } else if let Some(end) = header_block(lines, &labels, at) {
            // The line that some programs draw above it.
            let rule =
                (0..at).rev().find(|n| !lines[*n].is_blank()).filter(|n| is_rule(&lines[*n].text) && lines[*n].depth == lines[at].depth);
            kinds[rule.unwrap_or(at)..end].fill(LineKind::HeaderBlock);
            at = end;
        } else if let Some(start) = attribution(lines, at, &kinds) {
            kinds[start..=at].fill(LineKind::Attribution);
            at += 1;
        } else {
            at += 1;
        }
    }
    quote_the_rest(lines, &mut kinds);
    broken_quotations(lines, &mut kinds);
    signatures(lines, &mut kinds);
    devices(lines, &mut kinds);
    kinds
}

/// Everything below an unmarked header block, or below an attribution that no marked line follows, is quoted.
fn quote_the_rest(lines: &[Line], kinds: &mut [LineKind]) {
    for at in 0..lines.len() {
        let ends_here = at + 1 == lines.len() || kinds[at + 1] != kinds[at];
        if lines[at].depth > 0 || !ends_here {
            continue;
        }
        // Looked for only here: a row of empty lines would else be walked once for each of them.
        let is_unmarked_below = || lines[at + 1..].iter().find(|l| !l.is_blank()).is_some_and(|l| l.depth == 0);
        let quotes_rest = match kinds[at] {
            LineKind::HeaderBlock => true,
            LineKind::Attribution => is_unmarked_below(),
            _ => false,
        };
        if quotes_rest {
            for kind in kinds[at + 1..].iter_mut().filter(|k| **k == LineKind::Said) {
                *kind = LineKind::Quoted;
            }
            return;
        }
    }
}

/// A quoted line that was broken in two by a program that marks only the first: the rest is quoted as well.
fn broken_quotations(lines: &[Line], kinds: &mut [LineKind]) {
    for at in 1..lines.len().saturating_sub(1) {
        let (before, line, after) = (&lines[at - 1], &lines[at], &lines[at + 1]);
        let is_between = kinds[at] == LineKind::Said && before.depth > 0 && after.depth > 0 && !line.is_blank();
        let is_rest = before.text.chars().count() >= 55 && line.text.chars().count() <= 25 && !before.text.ends_with(['.', '!', '?', ':']);
        if is_between && is_rest {
            kinds[at] = LineKind::Quoted;
        }
    }
}

/// The header of a message that a mail system put into a text, as bounces have it: every field around one that only mail
/// systems write (RFC 5322, section 3.6.7).
fn trace(lines: &[Line], at: usize) -> Option<Range<usize>> {
    if !is_trace_field(&lines[at].text) {
        return None;
    }
    let belongs = |n: &usize| {
        let line = &lines[*n];
        line.depth == lines[at].depth && !line.is_blank() && (line.prefix > usize::from(line.depth) + 1 || is_field(&line.text))
    };
    let start = (0..at).rev().take_while(belongs).last().unwrap_or(at);
    let end = (at + 1..lines.len()).take_while(belongs).last().map_or(at + 1, |n| n + 1);
    Some(start..end)
}

fn is_trace_field(text: &str) -> bool {
    let Some((name, value)) = text.split_once(':') else { return false };
    match name {
        "received" => (value.contains(" by ") || value.contains(" from ")) && value.contains([';', '[', '(', '.']),
        "return-path" => value.contains('<'),
        "message-id" => value.contains('<') && value.contains('@'),
        "dkim-signature" | "domainkey-signature" | "arc-seal" | "arc-message-signature" => value.contains("a="),
        "authentication-results" | "arc-authentication-results" | "received-spf" => value.contains(['=', '(']),
        "x-originating-ip" | "x-received" | "x-mailer" | "delivered-to" => !value.is_empty(),
        _ => false,
    }
}

/// `Name: value`, the name without a space.
fn is_field(text: &str) -> bool {
    text.split_once(':').is_some_and(|(name, _)| {
        (2..=40).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    })
}

/// The roles of a line's label in each language, and whether a value follows it.
type Label = Option<(&'static [(usize, Role)], bool)>;

/// Where the header block that begins at `at` ends, if one does. Its first line may be a divider.
fn header_block(lines: &[Line], labels: &[Label], at: usize) -> Option<usize> {
    let first = &lines[at];
    if first.is_blank() {
        return None;
    }
    let is_divider = WORDS.is_divider(&first.text);
    if !is_divider && labels[at].is_none() {
        return None;
    }
    let mut seen: Vec<(usize, Role)> = Vec::new();
    let (mut end, mut open) = (at, false);
    for (n, line) in lines.iter().enumerate().skip(at).take(MAX_BLOCK_LINES) {
        if line.depth != first.depth {
            break;
        }
        if n == at && is_divider {
            end = n + 1;
            continue;
        }
        if line.is_blank() {
            // One empty line between fields is how some programs write paragraphs.
            if n > at && lines[n - 1].is_blank() {
                break;
            }
            continue;
        }
        match labels[n] {
            Some((roles, has_value)) => {
                seen.extend_from_slice(roles);
                end = n + 1;
                open = !has_value || roles.iter().any(|(_, role)| matches!(role, Role::To | Role::Cc));
            }
            // A field that goes on: a value below its label, or a long list of recipients.
            None if open && n == end => {
                end = n + 1;
                open = WORDS.is_list(&line.text);
            }
            None if n == at || !is_rule(&line.text) || end > at + usize::from(is_divider) => break,
            None => end = n + 1,
        }
    }
    let has = |language: usize, wanted: &[Role]| seen.iter().any(|(l, role)| *l == language && wanted.contains(role));
    let is_block = seen.iter().any(|(l, role)| *role == Role::From && has(*l, &[Role::Sent]) && has(*l, &[Role::To, Role::Subject]));
    // "From: Grandma, To: Lucy, Date: 14/02/2025" is a dedication: a mail program writes the hour, an address, or a subject.
    let has_subject = seen.iter().any(|(_, role)| *role == Role::Subject);
    let is_exact = || {
        let says_more = |l: &Line| l.text.contains('@') || WORDS.date(&l.text).has_time || (has_subject && WORDS.date(&l.text).has_year);
        lines[at..end].iter().any(says_more)
    };
    // Below a divider fewer fields say enough.
    let is_short = is_divider && seen.iter().any(|(_, role)| matches!(role, Role::From | Role::Sent));
    match (is_block && is_exact() || is_short, is_divider) {
        (true, _) => Some(end),
        (false, true) => Some(at + 1),
        _ => None,
    }
}

fn is_rule(text: &str) -> bool {
    text.chars().count() >= 5 && text.chars().all(|c| matches!(c, '-' | '_' | '=' | '*' | ' '))
}

/// Where the attribution that ends at `at` begins, if one does.
fn attribution(lines: &[Line], at: usize, kinds: &[LineKind]) -> Option<usize> {
    let last = &lines[at];
    let ends = last.text.trim_end_matches(['*', '_', ' ']);
    let is_ruled = ends.starts_with("--") && ends.ends_with("--");
    if last.is_blank() || !(ends.ends_with([':', '：']) || is_ruled || WORDS.ends_with_verb(ends)) {
        return None;
    }
    let next = (at + 1..lines.len()).find(|n| !lines[*n].is_blank());
    let is_quoted_below = next.is_some_and(|n| lines[n].depth > last.depth);
    let mut joined = String::new();
    for start in (at.saturating_sub(MAX_ATTRIBUTION_LINES - 1)..=at).rev() {
        let line = &lines[start];
        // An attribution is one sentence.
        let ends_before = start < at && line.text.ends_with(['.', '!', '?']) && line.text.len() > 30;
        if line.is_blank()
            || ends_before
            || line.depth != last.depth
            || matches!(kinds[start], LineKind::Attribution | LineKind::HeaderBlock)
        {
            return None;
        }
        joined = format!("{} {joined}", line.text);
        if joined.chars().count() > MAX_ATTRIBUTION {
            return None;
        }
        if is_attribution(joined.trim_matches(['-', ' ', '*', '_']), is_quoted_below) {
            return Some(opening(lines, start, at, kinds));
        }
    }
    None
}

/// The line that opens an attribution whose later lines already say enough: "On Mon, 3 Nov, Ana" above "<a@x> wrote:".
fn opening(lines: &[Line], start: usize, end: usize, kinds: &[LineKind]) -> usize {
    let opens = |n: usize| WORDS.opens(&lines[n].text) && !lines[n].text.ends_with(['.', '!', '?']);
    // "Ana <ana@x.example>, 3 Nov 2025" above "10:00 wrote:".
    let names = |n: usize| {
        let text = &lines[n].text;
        text.contains('@') && text.contains('<') && (WORDS.has_date(text) || text.ends_with(['>', ','])) && !text.ends_with([':', '：'])
    };
    if let Some(above) = start.checked_sub(1).filter(|n| lines[*n].depth == lines[end].depth && names(*n)) {
        return above;
    }
    if opens(start) {
        return start;
    }
    let lowest = (end + 1).saturating_sub(MAX_ATTRIBUTION_LINES);
    let above = (lowest..start).rev().take_while(|n| {
        !lines[*n].is_blank() && lines[*n].depth == lines[end].depth && matches!(kinds[*n], LineKind::Said | LineKind::Quoted)
    });
    above.into_iter().find(|n| opens(*n) && WORDS.has_date(&lines[*n].text)).unwrap_or(start)
}

fn is_attribution(text: &str, is_quoted_below: bool) -> bool {
    if !is_quoted_below && !text.contains(|c: char| c == '@' || c.is_ascii_digit()) {
        return false;
    }
    let has_colon = text.ends_with([':', '：']);
    let date = WORDS.date(text);
    let address = text.contains('@') || text.contains("mailto:");
    let has_verb = WORDS.has_verb(text);
    if has_verb {
        let is_short = text.split_whitespace().count() <= 12;
        // "You wrote to me on 3 March 2024 that …:" is a sentence: there the verb does not stand at the end. Without a colon
        // it takes more than a date.
        let ends_with_verb = WORDS.ends_with_any_verb(text);
        let is_dated =
            (date.has_time && (ends_with_verb || WORDS.opens(text)) || date.has_year && ends_with_verb) && (has_colon || is_quoted_below);
        return is_dated || address || (is_quoted_below && (is_short || date.is_some()));
    }
    // Some programs write no verb at all: "3 нояб. 2025 г., 10:00, Ana <ana@x.example>:".
    address && date.has_time && (date.has_year || date.has_month) && has_colon
}

fn signatures(lines: &[Line], kinds: &mut [LineKind]) {
    let mut within: Option<u8> = None;
    for at in 0..lines.len() {
        let line = &lines[at];
        if matches!(kinds[at], LineKind::Attribution | LineKind::HeaderBlock) || within.is_some_and(|depth| depth != line.depth) {
            within = None;
        }
        if line.text == "--" || line.text == "—" {
            within = Some(line.depth);
        }
        if within.is_some() {
            kinds[at] = LineKind::Signature;
        }
    }
}

/// Device lines: at the end of what somebody wrote, so that the same words within a text stay.
fn devices(lines: &[Line], kinds: &mut [LineKind]) {
    let mut is_end = true;
    for at in (0..lines.len()).rev() {
        let line = &lines[at];
        if line.is_blank() {
            continue;
        }
        let is_next_deeper = lines.get(at + 1).is_none_or(|n| n.depth != line.depth);
        if !matches!(kinds[at], LineKind::Said | LineKind::Quoted) || is_next_deeper {
            is_end = true;
        }
        let is_device = is_end && matches!(kinds[at], LineKind::Said | LineKind::Quoted) && is_device(&line.text);
        if is_device {
            kinds[at] = LineKind::Device;
        } else if matches!(kinds[at], LineKind::Said | LineKind::Quoted) {
            is_end = false;
        }
    }
}

fn is_device(text: &str) -> bool {
    text.chars().count() <= MAX_DEVICE && WORDS.is_device(text.trim_matches(['*', '_', ' ', '.', '-']))
}

#[cfg(test)]
mod tests;

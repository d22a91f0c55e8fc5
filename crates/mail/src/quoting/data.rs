//! The words of seventeen languages by which mail programs introduce what they quote.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use serde::Deserialize;

/// One language as its file says it; each file tells which programs its words come from.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    wrote: Vec<String>,
    opens: Vec<String>,
    months: Vec<String>,
    weekdays: Vec<String>,
    from: Vec<String>,
    sent: Vec<String>,
    to: Vec<String>,
    cc: Vec<String>,
    subject: Vec<String>,
    other: Vec<String>,
    divider: Vec<String>,
    device: Vec<String>,
    device_end: Vec<String>,
}

const FILES: [&str; 17] = [
    include_str!("../../quoting/en.toml"),
    include_str!("../../quoting/de.toml"),
    include_str!("../../quoting/fr.toml"),
    include_str!("../../quoting/es.toml"),
    include_str!("../../quoting/pt.toml"),
    include_str!("../../quoting/it.toml"),
    include_str!("../../quoting/nl.toml"),
    include_str!("../../quoting/pl.toml"),
    include_str!("../../quoting/ru.toml"),
    include_str!("../../quoting/ja.toml"),
    include_str!("../../quoting/zh.toml"),
    include_str!("../../quoting/ko.toml"),
    include_str!("../../quoting/da.toml"),
    include_str!("../../quoting/sv.toml"),
    include_str!("../../quoting/fi.toml"),
    include_str!("../../quoting/no.toml"),
    include_str!("../../quoting/uk.toml"),
];

/// What a label of a header block names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    From,
    Sent,
    To,
    Cc,
    Subject,
    Other,
}

/// All languages together.
pub(super) struct Words {
    verbs: Phrases,
    months: Phrases,
    opens: Vec<String>,
    labels: HashMap<String, Vec<(usize, Role)>>,
    dividers: HashSet<String>,
    devices: Vec<String>,
    device_ends: Vec<String>,
}

/// Phrases that are looked for all at once.
struct Phrases {
    phrases: Vec<String>,
    /// None where there are too many; a test says that there are not.
    search: Option<AhoCorasick>,
}

impl Phrases {
    fn new(phrases: Vec<String>) -> Self {
        let search = AhoCorasick::new(&phrases).ok();
        Self { phrases, search }
    }

    /// Whether a text holds one as whole words; where words are not spaced, anywhere.
    fn stand_in(&self, text: &str) -> bool {
        let is_inner = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
        let is_whole = |start: usize, end: usize, phrase: &str| {
            is_cjk(phrase) || !(is_inner(text[..start].chars().next_back()) || is_inner(text[end..].chars().next()))
        };
        let Some(search) = &self.search else { return false };
        search.find_overlapping_iter(text).any(|m| is_whole(m.start(), m.end(), &self.phrases[m.pattern().as_usize()]))
    }
}

/// What a text says of an instant.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Date {
    pub(super) has_time: bool,
    pub(super) has_year: bool,
    pub(super) has_month: bool,
}

impl Date {
    pub(super) fn is_some(self) -> bool {
        self.has_time || self.has_year || self.has_month
    }
}

pub(super) static WORDS: LazyLock<Words> = LazyLock::new(|| {
    let (mut verbs, mut months) = (Vec::new(), Vec::new());
    let mut words = Words {
        verbs: Phrases::new(Vec::new()),
        months: Phrases::new(Vec::new()),
        opens: Vec::new(),
        labels: HashMap::new(),
        dividers: HashSet::new(),
        devices: Vec::new(),
        device_ends: Vec::new(),
    };
    for (language, file) in FILES.iter().enumerate() {
        // Embedded and covered by a test: a fault here is a fault of the build.
        let Ok(file) = toml::from_str::<File>(file) else { continue };
        let lower = |list: Vec<String>| list.into_iter().map(|w| w.to_lowercase()).collect::<Vec<_>>();
        verbs.extend(lower(file.wrote));
        words.opens.extend(lower(file.opens));
        words.opens.extend(lower(file.weekdays));
        months.extend(lower(file.months));
        words.dividers.extend(lower(file.divider));
        words.devices.extend(lower(file.device));
        words.device_ends.extend(lower(file.device_end));
        let labels = [
            (file.from, Role::From),
            (file.sent, Role::Sent),
            (file.to, Role::To),
            (file.cc, Role::Cc),
            (file.subject, Role::Subject),
            (file.other, Role::Other),
        ];
        for (list, role) in labels {
            for label in lower(list) {
                words.labels.entry(label).or_default().push((language, role));
            }
        }
    }
    words.verbs = Phrases::new(verbs);
    words.months = Phrases::new(months);
    words
});

impl Words {
    /// The roles of a line `Label: value` in each language that has the label, and whether a value follows.
    pub(super) fn label(&'static self, text: &str) -> Option<(&'static [(usize, Role)], bool)> {
        let at = text.char_indices().take(40).find(|(_, c)| matches!(c, ':' | '：'));
        let (label, value) = match at {
            Some((at, c)) => (&text[..at], &text[at + c.len_utf8()..]),
            None => return None,
        };
        let roles = self.labels.get(label.trim_matches(['*', '_', ' ', '\u{a0}']))?;
        Some((roles, !value.trim_matches(['*', '_', ' ', '\u{a0}']).is_empty()))
    }

    /// Whether a line goes on with recipients.
    pub(super) fn is_list(&self, text: &str) -> bool {
        text.ends_with([';', ',']) || text.contains('@')
    }

    /// "-----Original Message-----", "Begin forwarded message:".
    pub(super) fn is_divider(&self, text: &str) -> bool {
        let may_be = text.starts_with(['-', '_', '=', '*', '—', '–', '─']) || text.ends_with([':', '：', '-', '*', '_']);
        if !may_be || text.chars().count() > 100 {
            return false;
        }
        let bare = text.trim_matches(|c: char| matches!(c, '-' | '_' | '=' | '*' | ' ' | '—' | '–' | '─' | '>' | '<'));
        let is_ruled = text.len() > bare.len() + 3 && text.starts_with(['-', '_', '=', '*', '—', '–', '─']);
        let phrase = bare.trim_end_matches([':', '：', ' ']);
        let ends = is_ruled || phrase.len() < bare.len();
        ends && self.dividers.contains(phrase)
    }

    pub(super) fn is_device(&self, text: &str) -> bool {
        let ends = |phrase: &String| {
            text.strip_suffix(phrase.as_str()).is_some_and(|rest| rest.is_empty() || !phrase.is_ascii() || rest.ends_with([' ', '\'', '"']))
        };
        // What follows the words of a program is its name or its link; a person goes on with a sentence.
        let is_name = |rest: &str| {
            let rest = rest.split('<').next().unwrap_or_default();
            rest.split_whitespace().count() <= 7 && !rest.contains([',', ';', '!', '?'])
        };
        let begins = |phrase: &String| starts_with_word(text, phrase) && is_name(&text[phrase.len()..]);
        self.devices.iter().any(begins) || self.device_ends.iter().any(ends)
    }

    /// Whether a line begins as attributions do: an opening word, a weekday, a date.
    pub(super) fn opens(&self, text: &str) -> bool {
        text.starts_with(|c: char| c.is_ascii_digit()) || self.opens.iter().any(|word| starts_with_word(text, word))
    }

    pub(super) fn has_verb(&self, text: &str) -> bool {
        self.verbs.stand_in(text)
    }

    pub(super) fn ends_with_verb(&self, text: &str) -> bool {
        self.verbs.phrases.iter().any(|verb| !verb.is_ascii() && has_no_spaces(verb) && text.ends_with(verb.as_str()))
    }

    /// Whether a verb stands at the end, before the colon.
    pub(super) fn ends_with_any_verb(&self, text: &str) -> bool {
        let text = text.trim_end_matches([':', '：', ' ', '-', '*', '_']);
        self.verbs.phrases.iter().any(|verb| text.ends_with(verb.as_str()))
    }

    pub(super) fn has_date(&self, text: &str) -> bool {
        self.date(text).is_some()
    }

    /// Reads the digits of a text as years and times, and its words as months.
    pub(super) fn date(&self, text: &str) -> Date {
        let mut date = Date::default();
        let chars: Vec<char> = text.chars().collect();
        let mut at = 0;
        let mut has_day = false;
        while at < chars.len() {
            let from = at;
            while at < chars.len() && chars[at].is_ascii_digit() {
                at += 1;
            }
            let length = at - from;
            if length == 0 {
                at += 1;
                continue;
            }
            has_day |= length <= 2;
            let first = chars[from];
            date.has_year |= length == 4 && (first == '1' && chars[from + 1] == '9' || first == '2' && chars[from + 1] == '0');
            // "03.11.25", "3/11/25": two digits of a year behind two more numbers.
            let joint = |c: Option<&char>| c.is_some_and(|c| matches!(c, '.' | '/' | '-'));
            date.has_year |= length == 2
                && from >= 4
                && joint(chars.get(from - 1))
                && chars[from - 2].is_ascii_digit()
                && chars[from.saturating_sub(4)..from - 2].iter().any(|c| joint(Some(c)));
            let minutes = |n: usize| chars.get(n).is_some_and(char::is_ascii_digit) && chars.get(n + 1).is_some_and(char::is_ascii_digit);
            let sign = chars.get(at).copied().unwrap_or(' ');
            date.has_time |=
                length <= 2 && matches!(sign, ':' | 'h' | '時' | '点' | '시') && (minutes(at + 1) || sign != ':' && sign != 'h');
            // "kl. 10.15", "klo 10.15", "10.15 uhr".
            let is_clock =
                length <= 2 && sign == '.' && minutes(at + 1) && !chars.get(at + 3).is_some_and(|c| *c == '.' || c.is_ascii_digit());
            let before: String = chars[from.saturating_sub(5)..from].iter().collect();
            date.has_time |= is_clock && (before.contains("kl") || before.contains("um ") || before.contains("ore"));
        }
        date.has_month = has_day && self.months.stand_in(text);
        date
    }
}

fn has_no_spaces(word: &str) -> bool {
    !word.contains(' ')
}

fn is_cjk(word: &str) -> bool {
    word.chars().any(|c| matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}'))
}

fn starts_with_word(text: &str, word: &str) -> bool {
    text.strip_prefix(word).is_some_and(|rest| is_cjk(word) || !rest.starts_with(char::is_alphanumeric) || word.ends_with(' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_is_read() {
        for file in FILES {
            let file: File = toml::from_str(file).unwrap();
            assert!(!file.wrote.is_empty() && !file.from.is_empty() && !file.sent.is_empty() && !file.subject.is_empty());
            assert!(!file.divider.is_empty() && !file.months.is_empty() && !file.device.is_empty());
        }
    }
}

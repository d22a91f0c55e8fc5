//! The words of mail systems and of answering programs, read once from `report/dialects.toml`.

use std::collections::HashSet;
use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use serde::Deserialize;

use crate::report::code::{Code, codes};

const FILE: &str = include_str!("../../report/dialects.toml");

/// The file as it is written; what its keys mean stands in it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    machines: Vec<String>,
    dialect: Vec<Dialect>,
    status: Vec<Meaning>,
    complaint: Complaint,
    answer: Answer,
    list: List,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Dialect {
    #[serde(rename = "name")]
    _name: String,
    subjects: Vec<String>,
    subjects_holding: Vec<String>,
    failed: Vec<String>,
    delayed: Vec<String>,
    delivered: Vec<String>,
    recipient: Vec<String>,
    returned: Vec<String>,
    returned_line: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Meaning {
    code: String,
    says: Vec<String>,
}

/// Who reports complaints without ARF, and how.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Complaint {
    pub(super) from: Vec<String>,
    pub(super) subjects: Vec<String>,
}

/// How answering programs mark their answers.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Answer {
    pub(crate) fields: Vec<String>,
    pub(crate) values: Vec<FieldValue>,
    pub(crate) subjects: Vec<String>,
    pub(crate) whole_subjects: Vec<String>,
}

/// A field whose value begins with one of these.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FieldValue {
    pub(crate) field: String,
    pub(crate) begins: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    fields: Vec<String>,
}

/// Phrases that are looked for all at once.
pub(super) struct Phrases {
    /// None where there are too many; a test says that there are not.
    search: Option<AhoCorasick>,
}

impl Phrases {
    fn new(phrases: &[String]) -> Self {
        Self { search: AhoCorasick::new(phrases).ok() }
    }

    /// Whether the text, as [`flat`] makes it, holds one of them.
    pub(super) fn stand_in(&self, text: &str) -> bool {
        self.search.as_ref().is_some_and(|search| search.is_match(text))
    }

    /// Where the first so many of them end.
    fn ends(&self, text: &str, limit: usize) -> Vec<usize> {
        self.search.as_ref().map_or_else(Vec::new, |search| search.find_overlapping_iter(text).take(limit).map(|m| m.end()).collect())
    }

    /// The lowest place in the list among those that the text holds.
    fn first(&self, text: &str) -> Option<usize> {
        self.search.as_ref().and_then(|search| search.find_overlapping_iter(text).map(|m| m.pattern().as_usize()).min())
    }
}

/// All dialects together, in lower case.
pub(crate) struct Words {
    pub(super) machines: Vec<String>,
    pub(super) subjects: Vec<String>,
    pub(super) subjects_holding: Vec<String>,
    pub(super) failed: Phrases,
    pub(super) delayed: Phrases,
    pub(super) delivered: Phrases,
    recipient: Phrases,
    returned: Vec<String>,
    returned_line: HashSet<String>,
    meanings: Phrases,
    /// The code of each phrase of `meanings`, in their order.
    meaning_codes: Vec<Code>,
    pub(super) complaint: Complaint,
    pub(crate) answer: Answer,
    /// Fields that only lists set.
    pub(crate) list_fields: Vec<String>,
}

impl Words {
    /// What the first entry that the text holds means.
    pub(super) fn meaning(&self, text: &str) -> Option<Code> {
        self.meanings.first(text).and_then(|place| self.meaning_codes.get(place).copied())
    }

    /// Where in the text an address of a recipient follows.
    pub(super) fn recipients_follow(&self, text: &str, limit: usize) -> Vec<usize> {
        self.recipient.ends(text, limit)
    }

    /// Whether a line, without its ruling, opens what is left of the returned message.
    pub(super) fn opens_returned(&self, line: &str) -> bool {
        self.returned.iter().any(|phrase| line.starts_with(phrase.as_str()))
            || self.returned_line.contains(line.trim_end_matches([':', ' ']))
    }
}

pub(crate) static WORDS: LazyLock<Words> = LazyLock::new(|| {
    // Embedded and covered by a test: a fault here is a fault of the build.
    let file: File = toml::from_str(FILE).unwrap_or_default();
    let all = |pick: fn(&Dialect) -> &Vec<String>| lower(file.dialect.iter().flat_map(pick).cloned());
    let mut meaning_codes = Vec::new();
    let mut meanings = Vec::new();
    for meaning in &file.status {
        let Some(code) = codes(&meaning.code).first().copied() else { continue };
        meanings.extend(lower(meaning.says.iter().cloned()));
        meaning_codes.resize(meanings.len(), code);
    }
    Words {
        machines: lower(file.machines.iter().cloned()),
        subjects: all(|d| &d.subjects),
        subjects_holding: all(|d| &d.subjects_holding),
        failed: Phrases::new(&all(|d| &d.failed)),
        delayed: Phrases::new(&all(|d| &d.delayed)),
        delivered: Phrases::new(&all(|d| &d.delivered)),
        recipient: Phrases::new(&all(|d| &d.recipient)),
        returned: all(|d| &d.returned),
        returned_line: all(|d| &d.returned_line).into_iter().collect(),
        meanings: Phrases::new(&meanings),
        meaning_codes,
        complaint: Complaint { from: lower(file.complaint.from), subjects: lower(file.complaint.subjects) },
        answer: Answer {
            fields: file.answer.fields,
            values: file.answer.values.into_iter().map(|v| FieldValue { field: v.field, begins: lower(v.begins) }).collect(),
            subjects: lower(file.answer.subjects),
            whole_subjects: lower(file.answer.whole_subjects),
        },
        list_fields: file.list.fields,
    }
});

/// Lower case, white space as one space, one kind of apostrophe: the form in which words are compared.
pub(crate) fn flat(text: &str) -> String {
    text.to_lowercase().replace('’', "'").split_whitespace().collect::<Vec<_>>().join(" ")
}

fn lower(list: impl IntoIterator<Item = String>) -> Vec<String> {
    list.into_iter().map(|phrase| phrase.to_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_read_and_every_phrase_can_be_found() {
        let file: File = toml::from_str(FILE).unwrap();
        assert!(file.dialect.len() >= 20 && file.status.len() >= 10);
        assert!(WORDS.failed.search.is_some() && WORDS.meanings.search.is_some() && WORDS.recipient.search.is_some());
        for dialect in &file.dialect {
            let lists = [&dialect.subjects, &dialect.subjects_holding, &dialect.failed, &dialect.delayed, &dialect.delivered];
            for phrase in
                lists.into_iter().flatten().chain([&dialect.recipient, &dialect.returned, &dialect.returned_line].into_iter().flatten())
            {
                // Compared with text that `flat` made: a phrase that differs from its own flat form is never found.
                assert!(!phrase.trim().is_empty() && flat(phrase) == phrase.trim().to_lowercase(), "{phrase:?}");
            }
        }
        for meaning in &file.status {
            assert_eq!(codes(&meaning.code).len(), 1, "{}", meaning.code);
            assert!(meaning.says.iter().all(|phrase| !phrase.trim().is_empty()));
        }
        assert!(file.machines.iter().chain(&file.answer.subjects).all(|phrase| phrase.len() > 3));
    }
}

//! Reports of other mail systems in the shared corpus: each is read right, and nothing else is taken for one.

#![allow(clippy::unwrap_used)] // Helpers of tests may panic.

use std::collections::BTreeMap;
use std::path::Path;

use mail::mime;
use mail::report::{Action, RecipientStatus, Report, ReportKind, read_report};
use serde::Deserialize;

#[derive(Deserialize)]
struct Cases {
    bounces: Vec<Case>,
    among_others: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    kind: String,
    said: Vec<String>,
    times: Option<usize>,
}

impl Case {
    /// Whether a report says what the case expects; of a code that is only a class, the class.
    fn holds(&self, report: Option<&Report>) -> bool {
        let Some(report) = report else { return false };
        let kind = match report.kind {
            ReportKind::Dsn => "dsn",
            ReportKind::Complaint => "complaint",
            ReportKind::AutoReply => "auto_reply",
            ReportKind::Disposition => "disposition",
        };
        let expected: Vec<&String> = match self.times {
            Some(times) => std::iter::repeat_n(&self.said[0], times).collect(),
            None => self.said.iter().collect(),
        };
        let got = if report.kind == ReportKind::Complaint { Vec::new() } else { said(report) };
        let fits =
            |(got, expected): (&String, &&String)| got == *expected || !expected.contains('.') && got.starts_with(&format!("{expected}."));
        kind == self.kind && got.len() == expected.len() && got.iter().zip(&expected).all(fits)
    }
}

/// Every file of the folders whose name begins so, by `folder/name`.
fn files(corpus: &Path, prefix: &str) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for folder in std::fs::read_dir(corpus).unwrap().map(|entry| entry.unwrap().path()) {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        if !name.starts_with(prefix) || !folder.is_dir() {
            continue;
        }
        for file in std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
            files.insert(format!("{name}/{}", file.file_name().unwrap().to_string_lossy()), std::fs::read(&file).unwrap());
        }
    }
    files
}

fn read_octets(octets: &[u8]) -> Option<Report> {
    mime::parse(octets).ok().and_then(|message| read_report(&message))
}

fn cases() -> Cases {
    toml::from_str(include_str!("../../crates/mail/report/cases/sisimai.toml")).unwrap()
}

#[test]
fn at_least_ninety_nine_in_a_hundred_bounces_of_the_corpus_set_the_right_state() {
    let Some(corpus) = e2e::corpus() else { return };
    let (cases, files) = (cases().bounces, files(&corpus, "bounces-sisimai"));
    let unknown = |name: &&String| !cases.iter().any(|case| name.ends_with(&format!("/{}", case.name)));
    assert_eq!(files.keys().find(unknown), None, "a file without a case");
    assert!(cases.len() >= 132);
    let wrong: Vec<String> = cases
        .iter()
        .map(|case| (case, read_octets(&files[&format!("bounces-sisimai/{}", case.name)])))
        .filter(|(case, report)| !case.holds(report.as_ref()))
        .map(|(case, report)| {
            format!("{}: wanted {:?}, got {:?}", case.name, case.said, report.as_ref().map(|report| (report.kind, said(report))))
        })
        .collect();
    assert!(wrong.len() * 100 <= cases.len(), "{} of {} wrong:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn at_most_one_in_a_thousand_ordinary_messages_is_taken_for_a_report() {
    let Some(corpus) = e2e::corpus() else { return };
    let (cases, files) = (cases().among_others, files(&corpus, "mime-"));
    let (mut ordinary, mut taken, mut wrong) = (0, Vec::new(), Vec::new());
    for (name, octets) in &files {
        let report = read_octets(octets);
        match cases.iter().find(|case| case.name == *name) {
            Some(case) if !case.holds(report.as_ref()) => wrong.push(name),
            Some(_) => {}
            None => {
                ordinary += 1;
                taken.extend(report.is_some().then_some(name));
            }
        }
    }
    assert!(ordinary >= 300, "{ordinary}");
    assert!(taken.len() * 1_000 <= ordinary, "taken for reports: {taken:?}");
    assert!(wrong.is_empty(), "not read: {wrong:?}");
    assert!(cases.iter().all(|case| files.contains_key(&case.name)), "a case without a file");
}

/// What became of each recipient, and the code.
fn said(report: &Report) -> Vec<String> {
    let word = |action| match action {
        Action::Failed => "failed",
        Action::Delayed => "delayed",
        Action::Delivered => "delivered",
        Action::Relayed => "relayed",
        Action::Expanded => "expanded",
    };
    let whole = |r: &RecipientStatus| {
        let parts = [Some(word(r.action)), r.status.as_deref()];
        parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
    };
    report.recipients.iter().map(whole).collect()
}

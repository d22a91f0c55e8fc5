//! What authors wrote, by the table of cases: at least five shapes in each of seventeen languages, of our own
//! making, and the expectation for each file of the corpus by name and hash.

#![allow(clippy::print_stdout)]

use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Cases {
    case: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    shape: String,
    message: String,
    author: String,
}

const CASES: [(&str, &str); 17] = [
    ("en", include_str!("../../quoting/cases/en.toml")),
    ("de", include_str!("../../quoting/cases/de.toml")),
    ("fr", include_str!("../../quoting/cases/fr.toml")),
    ("es", include_str!("../../quoting/cases/es.toml")),
    ("pt", include_str!("../../quoting/cases/pt.toml")),
    ("it", include_str!("../../quoting/cases/it.toml")),
    ("nl", include_str!("../../quoting/cases/nl.toml")),
    ("pl", include_str!("../../quoting/cases/pl.toml")),
    ("ru", include_str!("../../quoting/cases/ru.toml")),
    ("ja", include_str!("../../quoting/cases/ja.toml")),
    ("zh", include_str!("../../quoting/cases/zh.toml")),
    ("ko", include_str!("../../quoting/cases/ko.toml")),
    ("da", include_str!("../../quoting/cases/da.toml")),
    ("sv", include_str!("../../quoting/cases/sv.toml")),
    ("fi", include_str!("../../quoting/cases/fi.toml")),
    ("no", include_str!("../../quoting/cases/no.toml")),
    ("uk", include_str!("../../quoting/cases/uk.toml")),
];

/// Letters and digits, lower case: how an expectation is compared.
fn pressed(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Whether everything that the author wrote is there, in order, whatever else is.
fn holds_all(got: &str, author: &str) -> bool {
    let mut rest = got;
    author.lines().map(pressed).filter(|l| !l.is_empty()).all(|line| match rest.find(&line) {
        Some(at) => {
            rest = &rest[at + line.len()..];
            true
        }
        None => false,
    })
}

#[test]
fn authors_are_told_from_quotations_in_seventeen_languages() {
    let (mut total, mut right) = (0, 0);
    let mut lost = Vec::new();
    for (language, file) in CASES {
        let cases: Cases = toml::from_str(file).unwrap();
        assert!(cases.case.len() >= 6, "{language}");
        for case in cases.case {
            total += 1;
            let got = pressed(&written(&case.message));
            if got == pressed(&case.author) {
                right += 1;
            } else {
                println!("{language} {}: wanted\n{}\ngot\n{}\n", case.shape, case.author, written(&case.message));
            }
            if !holds_all(&got, &case.author) {
                lost.push(format!("{language} {}", case.shape));
            }
        }
    }
    println!("{right} of {total} right");
    assert!(lost.is_empty(), "what the author wrote is lost in {lost:?}");
    assert!(right * 100 >= total * 97, "{right} of {total}");
}

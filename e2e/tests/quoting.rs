//! Replies of the corpus, each read once by eye: what its author wrote, by name and hash.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods)] // Helpers of tests may panic and speak.

use aws_lc_rs::digest::{SHA256, digest};
use mail::{html, mime, quoting};
use serde::Deserialize;

#[derive(Deserialize)]
struct Expectations {
    file: Vec<Expectation>,
}

#[derive(Deserialize)]
struct Expectation {
    /// Path below the corpus.
    name: String,
    sha256: String,
    /// `text`, `mail`, `html`, or `none` for what is no message.
    kind: String,
    /// SHA-256 of the author's letters and digits, lower case, in UTF-8.
    #[serde(default)]
    author_sha256: String,
    /// How many characters these are.
    #[serde(default)]
    author_length: usize,
}

/// Share of the files, in per cent, that must be exactly right. The others are ambiguous, or shapes of list software.
const AT_LEAST: usize = 95;

#[test]
fn replies_of_the_corpus_are_read_as_by_eye() {
    let Some(corpus) = e2e::corpus() else { return };
    let expectations: Expectations = toml::from_str(include_str!("../../crates/mail/quoting/cases/corpus.toml")).unwrap();
    let (mut total, mut right, mut cut) = (0, 0, Vec::new());
    for e in &expectations.file {
        let octets = std::fs::read(corpus.join(&e.name)).unwrap();
        assert_eq!(hex(&octets), e.sha256, "{} is another file", e.name);
        let text = match e.kind.as_str() {
            "none" => continue,
            "text" => String::from_utf8_lossy(&octets).replace("\r\n", "\n"),
            "mail" => mime::read_content(&mime::parse(&octets).unwrap()).text,
            "html" => html::to_text(&html::sanitise(&String::from_utf8_lossy(&octets)).unwrap().html),
            other => panic!("{}: no kind {other}", e.name),
        };
        total += 1;
        let written = quoting::written(&text);
        let got: String = written.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
        if hex(got.as_bytes()) == e.author_sha256 {
            right += 1;
        } else {
            println!("{}: {} of {} characters", e.name, got.chars().count(), e.author_length);
            if let Ok(folder) = std::env::var("TRADEPOST_QUOTING_DEBUG") {
                std::fs::write(format!("{folder}/{}", e.name.replace('/', "__")), &written).unwrap();
            }
            if got.chars().count() < e.author_length {
                cut.push(e.name.clone());
            }
        }
    }
    println!("{right} of {total} right; of {} something is missing: {cut:?}", cut.len());
    assert!(total >= 70 && right * 100 >= total * AT_LEAST, "{right} of {total}");
}

fn hex(octets: &[u8]) -> String {
    digest(&SHA256, octets).as_ref().iter().map(|b| format!("{b:02x}")).collect()
}

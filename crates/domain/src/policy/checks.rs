//! Content checks: does a critical message read like one that is never critical (C14)?
//!
//! Phrases are data, per language; they are compared without case and accents, as whole words.

use std::collections::BTreeMap;

use toml::Table;

const FILES: [(&str, &str); 3] = [
    ("en", include_str!("../../checks/en.toml")),
    ("es", include_str!("../../checks/es.toml")),
    ("pt-BR", include_str!("../../checks/pt-BR.toml")),
];

/// What a message seems to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Suspicion {
    /// A request for a review or rating.
    Review,
    /// A confirmation of order, shipping, delivery or refund.
    Confirmation,
    /// A delay, something out of stock, an alternative: the order is to be cancelled instead.
    Unavailable,
}

impl Suspicion {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Review, Self::Confirmation, Self::Unavailable];

    /// The word in records and the API, and the key in the files of phrases.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Review => "review",
            Self::Confirmation => "confirmation",
            Self::Unavailable => "unavailable",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.as_str() == word)
    }
}

/// Phrases by suspicion, folded.
#[derive(Debug)]
pub struct Phrases(BTreeMap<Suspicion, Vec<String>>);

impl Phrases {
    /// The embedded phrases of every language.
    #[must_use]
    pub fn embedded() -> Self {
        let mut all: BTreeMap<Suspicion, Vec<String>> = BTreeMap::new();
        for (_, file) in FILES {
            let table: Table = file.parse().expect("embedded phrases are valid: a test reads each");
            for suspicion in Suspicion::ALL {
                let phrases = table.get(suspicion.as_str()).and_then(toml::Value::as_array);
                all.entry(suspicion).or_default().extend(phrases.into_iter().flatten().filter_map(toml::Value::as_str).map(fold));
            }
        }
        Self(all)
    }

    pub(crate) fn source() -> String {
        FILES.iter().map(|(_, file)| *file).collect()
    }

    /// What the text seems to be, in fixed order.
    #[must_use]
    pub fn suspect(&self, text: &str) -> Vec<Suspicion> {
        // Nobody hides a review request behind 50,000 characters of something else.
        let text = fold(&text.chars().take(50_000).collect::<String>());
        let found = |phrases: &Vec<String>| phrases.iter().any(|p| text.contains(p.as_str()));
        self.0.iter().filter(|(_, phrases)| found(phrases)).map(|(suspicion, _)| *suspicion).collect()
    }
}

/// Lower case, accents of the languages at hand off, every other character a single space; a space at both
/// ends, so that a phrase matches whole words only.
fn fold(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push(' ');
    for c in text.chars().flat_map(char::to_lowercase) {
        let plain = match c {
            'á' | 'à' | 'â' | 'ã' | 'ä' => 'a',
            'é' | 'è' | 'ê' | 'ë' => 'e',
            'í' | 'ì' | 'î' | 'ï' => 'i',
            'ó' | 'ò' | 'ô' | 'õ' | 'ö' => 'o',
            'ú' | 'ù' | 'û' | 'ü' => 'u',
            'ç' => 'c',
            'ñ' => 'n',
            // A combining accent belongs to the letter before it.
            '\u{300}'..='\u{36f}' => continue,
            c if c.is_alphanumeric() => c,
            _ => ' ',
        };
        if plain != ' ' || !out.ends_with(' ') {
            out.push(plain);
        }
    }
    if !out.ends_with(' ') {
        out.push(' ');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_has_phrases_of_every_kind() {
        for (language, file) in FILES {
            let table: Table = file.parse().unwrap();
            assert_eq!(table.keys().count(), 3, "{language}");
            for suspicion in Suspicion::ALL {
                assert!(table[suspicion.as_str()].as_array().unwrap().len() >= 10, "{language} {suspicion:?}");
            }
        }
    }

    #[test]
    fn phrases_match_whole_words_without_case_and_accents() {
        let phrases = Phrases(BTreeMap::from([(Suspicion::Review, vec![fold("deje una reseña")])]));
        assert_eq!(phrases.suspect("Por favor, DEJE una  resen\u{303}a."), [Suspicion::Review]);
        assert!(phrases.suspect("no deje una reseñada").is_empty());
    }
}

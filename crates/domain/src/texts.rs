//! Words that people read, per language, from files (architecture decision 11).
//!
//! A language is one file of `key = "text"` with `{field}` placeholders. A missing language falls back to
//! its base (`es-MX` → `es`) and then to English.

use std::collections::BTreeMap;
use std::sync::LazyLock;

static LANGUAGES: LazyLock<BTreeMap<&'static str, BTreeMap<String, String>>> = LazyLock::new(|| {
    [
        ("en", include_str!("../locales/en.toml")),
        ("es", include_str!("../locales/es.toml")),
        ("pt-BR", include_str!("../locales/pt-BR.toml")),
    ]
    .into_iter()
    .map(|(language, file)| (language, read(file)))
    .collect()
});

fn read(file: &str) -> BTreeMap<String, String> {
    let table: toml::Table = file.parse().expect("embedded language files are valid: a test reads each");
    table.into_iter().filter_map(|(key, value)| value.as_str().map(|text| (key, text.to_owned()))).collect()
}

/// The languages at hand.
pub fn languages() -> impl Iterator<Item = &'static str> {
    LANGUAGES.keys().copied()
}

/// The language in which a reader of `locale` is served.
#[must_use]
pub fn language_of(locale: &str) -> &'static str {
    let same = |l: &&str| l.eq_ignore_ascii_case(locale);
    let base = |tag: &str| tag.split('-').next().unwrap_or_default().to_ascii_lowercase();
    languages().find(same).or_else(|| languages().find(|l| base(l) == base(locale))).unwrap_or("en")
}

/// The text of `key` for a reader of `locale`, with its placeholders filled.
///
/// # Panics
/// When no language has the key: keys are constants of this program, and a test holds every file to them.
#[must_use]
pub fn text(locale: &str, key: &str, fields: &[(&str, &str)]) -> String {
    let template = LANGUAGES[language_of(locale)].get(key).or_else(|| LANGUAGES["en"].get(key)).expect("text keys are constants");
    let mut out = String::with_capacity(template.len() + 32);
    let mut rest = template.as_str();
    // One pass, so that a field's value is never searched for placeholders.
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let (name, tail) = after.split_once('}').unwrap_or((after, ""));
        out.push_str(fields.iter().find(|(n, _)| *n == name).map_or("", |(_, value)| value));
        rest = tail;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placeholders(text: &str) -> Vec<&str> {
        let mut names: Vec<&str> = text.split('{').skip(1).filter_map(|t| t.split('}').next()).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn every_language_has_every_key_and_field() {
        let english = &LANGUAGES["en"];
        for (language, texts) in LANGUAGES.iter() {
            assert_eq!(texts.keys().collect::<Vec<_>>(), english.keys().collect::<Vec<_>>(), "{language}");
            for (key, text) in texts {
                assert_eq!(placeholders(text), placeholders(&english[key]), "{language} {key}");
            }
        }
    }

    #[test]
    fn a_reader_gets_the_nearest_language() {
        assert_eq!(["es", "es-MX", "pt", "pt-br", "de", ""].map(language_of), ["es", "es", "pt-BR", "pt-BR", "en", "en"]);
    }

    #[test]
    fn field_values_are_not_searched_again() {
        assert!(text("en", "banner_to_buyer", &[("business", "{marketplace}"), ("marketplace", "X")]).contains("{marketplace}"));
    }
}

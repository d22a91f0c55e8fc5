//! Words that people read, per language, from files (architecture decision 11).
//!
//! A language is one file of `key = "text"` with `{field}` placeholders, and one of templates. An operator
//! adds languages and templates, and changes texts, by files of their own. A missing language falls back to
//! its base (`es-MX` → `es`) and then to English.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::templates::{self, Template};

const EMBEDDED: [(&str, &str, &str); 3] = [
    ("en", include_str!("../locales/en.toml"), include_str!("../templates/en.toml")),
    ("es", include_str!("../locales/es.toml"), include_str!("../templates/es.toml")),
    ("pt-BR", include_str!("../locales/pt-BR.toml"), include_str!("../templates/pt-BR.toml")),
];
/// Kinds of keys that an operator's rules may add.
const OWN_NAMES: [&str; 2] = ["reason_", "report_"];
/// The language that every key exists in.
const LAST_RESORT: &str = "en";

/// Why an operator's file is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextsError {
    /// Where in the text, as a range of octets.
    pub place: Option<Range<usize>>,
    /// What is wrong and what would be right.
    pub message: String,
}

/// Every text and template.
#[derive(Debug, Clone)]
pub struct Texts {
    texts: BTreeMap<String, BTreeMap<String, String>>,
    templates: BTreeMap<String, BTreeMap<String, Template>>,
}

impl Texts {
    /// What the program brings along.
    ///
    /// # Panics
    /// Never: a test reads every embedded file.
    #[must_use]
    pub fn embedded() -> Self {
        let mut all = Self { texts: BTreeMap::new(), templates: BTreeMap::new() };
        for (language, texts, own) in EMBEDDED {
            let table: toml::Table = texts.parse().expect("embedded texts are valid");
            let texts = table.into_iter().filter_map(|(key, value)| value.as_str().map(|text| (key, text.to_owned()))).collect();
            all.texts.insert(language.to_owned(), texts);
            all.templates.insert(language.to_owned(), templates::read(own).expect("embedded templates are valid"));
        }
        all
    }

    /// Lays an operator's file over a language, or adds the language: `[texts]` with keys, `[templates.ID]`.
    ///
    /// # Errors
    /// An unknown key or placeholder; a new language that lacks a key.
    pub fn lay(&mut self, language: &str, file: &str) -> Result<(), TextsError> {
        let fault = |e: toml::de::Error| TextsError { place: e.span(), message: e.message().to_owned() };
        let file: OperatorFile = toml::from_str(file).map_err(fault)?;
        let known = &self.texts[LAST_RESORT];
        for (key, text) in &file.texts {
            let at = |message: String| TextsError { place: Some(text.span()), message };
            // Names of the operator's own reasons.
            if OWN_NAMES.iter().any(|kind| key.starts_with(kind)) {
                continue;
            }
            let Some(original) = known.get(key) else { return Err(at(format!("there is no text \"{key}\""))) };
            let names = placeholders(original);
            if let Some(unknown) = placeholders(text.get_ref()).into_iter().find(|name| !names.contains(name)) {
                let may = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
                return Err(at(format!("the text \"{key}\" has no field {{{unknown}}}; it has {may}")));
            }
        }
        if !self.texts.contains_key(language)
            && !file.texts.is_empty()
            && let Some(missing) = known.keys().find(|key| !file.texts.contains_key(*key))
        {
            return Err(TextsError { place: None, message: format!("a new language has every text; \"{missing}\" is missing") });
        }
        if !file.texts.is_empty() {
            let texts = self.texts.entry(language.to_owned()).or_default();
            texts.extend(file.texts.into_iter().map(|(key, text)| (key, text.into_inner())));
        }
        let own = templates::check(file.templates)?;
        for (id, template) in own {
            // One message is made of it in two languages: what the seller fills in must fit both.
            let others = self.templates.iter().filter(|(of, _)| of.as_str() != language).find_map(|(_, all)| all.get(&id));
            if let Some(other) = others.filter(|other| other.reason != template.reason || other.fields != template.fields) {
                let fields = if other.fields.is_empty() { "none".to_owned() } else { other.fields.join(", ") };
                let message = format!("template \"{id}\" has reason \"{}\" and fields {fields} in another language", other.reason);
                return Err(TextsError { place: None, message });
            }
            self.templates.entry(language.to_owned()).or_default().insert(id, template);
        }
        Ok(())
    }

    /// The languages at hand.
    pub fn languages(&self) -> impl Iterator<Item = &str> {
        self.texts.keys().map(String::as_str)
    }

    /// The language in which a reader of `locale` is served.
    #[must_use]
    pub fn language_of(&self, locale: &str) -> &str {
        nearest(self.languages(), locale).unwrap_or(LAST_RESORT)
    }

    /// The text of `key` for a reader of `locale`, with its placeholders filled.
    ///
    /// # Panics
    /// When no language has the key: keys are constants of this program, and a test holds every file to them.
    #[must_use]
    pub fn text(&self, locale: &str, key: &str, fields: &[(&str, &str)]) -> String {
        let last = &self.texts[LAST_RESORT];
        fill(self.texts[self.language_of(locale)].get(key).or_else(|| last.get(key)).expect("text keys are constants"), fields)
    }

    /// The text of a key that an operator's data may have made, such as that of a reason; the id itself without one.
    #[must_use]
    pub fn name_of(&self, locale: &str, kind: &str, id: &str) -> String {
        let key = format!("{kind}_{id}");
        let text = self.texts[self.language_of(locale)].get(&key).or_else(|| self.texts[LAST_RESORT].get(&key));
        text.cloned().unwrap_or_else(|| id.replace('_', " "))
    }

    /// Every template id with its reason, in order of ids.
    #[must_use]
    pub fn template_ids(&self) -> BTreeMap<&str, &str> {
        self.templates.values().flatten().map(|(id, t)| (id.as_str(), t.reason.as_str())).collect()
    }

    /// A template for a reader: in their language, else the site's, else English, else any (D2). Gives the
    /// language too.
    #[must_use]
    pub fn template(&self, id: &str, locale: &str, site: &str) -> Option<(&str, &Template)> {
        let having = || self.templates.iter().filter(|(_, all)| all.contains_key(id)).map(|(language, _)| language.as_str());
        let language = [locale, site, LAST_RESORT].into_iter().find_map(|l| nearest(having(), l)).or_else(|| having().next())?;
        Some((language, &self.templates[language][id]))
    }
}

/// Whether two tags name the same language, whatever the region.
#[must_use]
pub fn is_same_language(a: &str, b: &str) -> bool {
    base(a) == base(b)
}

/// Puts values in place of placeholders, in one pass, so that a value is never searched for placeholders.
#[must_use]
pub fn fill(template: &str, fields: &[(&str, &str)]) -> String {
    let mut out = String::with_capacity(template.len() + 32);
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let (name, tail) = after.split_once('}').unwrap_or((after, ""));
        out.push_str(fields.iter().find(|(n, _)| *n == name).map_or("", |(_, value)| value));
        rest = tail;
    }
    out.push_str(rest);
    out
}

/// The names between braces, each once, sorted.
#[must_use]
pub fn placeholders(text: &str) -> Vec<&str> {
    let mut names: Vec<&str> = text.split('{').skip(1).filter_map(|t| t.split('}').next()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct OperatorFile {
    #[serde(default)]
    texts: BTreeMap<String, toml::Spanned<String>>,
    #[serde(default)]
    templates: BTreeMap<String, toml::Spanned<templates::TemplateRow>>,
}

fn nearest<'a>(languages: impl Iterator<Item = &'a str>, locale: &str) -> Option<&'a str> {
    let all: Vec<&str> = languages.collect();
    let same = all.iter().find(|l| l.eq_ignore_ascii_case(locale));
    same.or_else(|| all.iter().find(|l| is_same_language(l, locale))).copied()
}

fn base(tag: &str) -> String {
    tag.split('-').next().unwrap_or_default().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_language_has_every_key_and_field() {
        let all = Texts::embedded();
        let english = &all.texts["en"];
        for (language, texts) in &all.texts {
            assert_eq!(texts.keys().collect::<Vec<_>>(), english.keys().collect::<Vec<_>>(), "{language}");
            for (key, text) in texts {
                assert_eq!(placeholders(text), placeholders(&english[key]), "{language} {key}");
            }
        }
    }

    #[test]
    fn every_language_has_every_template_and_field() {
        let all = Texts::embedded();
        let english = &all.templates["en"];
        for (language, templates) in &all.templates {
            assert_eq!(templates.keys().collect::<Vec<_>>(), english.keys().collect::<Vec<_>>(), "{language}");
            for (id, template) in templates {
                let other = &english[id];
                assert_eq!((&template.reason, &template.fields), (&other.reason, &other.fields), "{language} {id}");
                assert_eq!(placeholders(&template.subject), placeholders(&other.subject), "{language} {id}");
                assert_eq!(placeholders(&template.body), placeholders(&other.body), "{language} {id}");
            }
        }
    }

    #[test]
    fn every_reason_has_a_template_and_a_name_in_every_language() {
        let all = Texts::embedded();
        for reason in crate::policy::RuleSet::embedded().reasons {
            assert!(all.template_ids().values().any(|r| *r == reason.id), "{} has no template", reason.id);
            assert!(all.texts["en"].contains_key(&format!("reason_{}", reason.id)), "{} has no name", reason.id);
        }
    }

    #[test]
    fn a_reader_gets_the_nearest_language() {
        let all = Texts::embedded();
        assert_eq!(["es", "es-MX", "pt", "pt-br", "de", ""].map(|l| all.language_of(l)), ["es", "es", "pt-BR", "pt-BR", "en", "en"]);
    }

    #[test]
    fn field_values_are_not_searched_again() {
        let all = Texts::embedded();
        assert!(all.text("en", "banner_to_buyer", &[("business", "{marketplace}"), ("marketplace", "X")]).contains("{marketplace}"));
    }

    #[test]
    fn an_operator_adds_texts_templates_and_languages_by_files() {
        let mut all = Texts::embedded();
        all.lay("en", "[texts]\nempty_message = \"(empty)\"\n").unwrap();
        assert_eq!(all.text("en", "empty_message", &[]), "(empty)");
        let own = "[templates.colour]\nreason = \"customization\"\nfields = [\"colour\"]\ntitle = \"Colour\"\nsubject = \"{order}\"\nbody = \"{colour}?\"\n";
        all.lay("de", own).unwrap();
        assert_eq!(all.template("colour", "pt-BR", "es").unwrap().0, "de", "better another language than none");
        let error = |language: &str, file: &str| Texts::embedded().lay(language, file).unwrap_err().message;
        all.lay("en", "[texts]\nreason_gift_note = \"Gift note\"\n").unwrap();
        assert_eq!(all.name_of("es", "reason", "gift_note"), "Gift note");
        assert_eq!(all.name_of("es", "reason", "own_kind"), "own kind", "better the id than nothing");
        assert!(error("en", "[texts]\nempty_mesage = \"x\"\n").contains("no text \"empty_mesage\""));
        assert!(error("en", "[texts]\nempty_message = \"{x}\"\n").contains("no field {x}"));
        assert!(error("de", "[texts]\nempty_message = \"leer\"\n").contains("is missing"));
        assert!(error("de", &own.replace("{colour}?", "{color}")).contains("{color}"));
        assert!(error("de", &own.replace("[templates.colour]", "[templates.other]")).contains("another language"));
    }
}

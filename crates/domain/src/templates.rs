//! Message templates: the operator's text with named fields, one file a language (D2).

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::Spanned;

use crate::texts::{TextsError, fill, placeholders};

/// Fields that every template may use without declaring them.
pub const BUILT_IN: [&str; 5] = ["business", "buyer", "items", "marketplace", "order"];
/// Longest value of a field, in characters.
pub const MAX_FIELD: usize = 4_000;

/// A template in one language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// The contact reason that it is for.
    pub reason: String,
    /// Fields that the seller fills in.
    pub fields: Vec<String>,
    /// What the seller picks from a list.
    pub title: String,
    /// Subject with placeholders.
    pub subject: String,
    /// Text with placeholders.
    pub body: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TemplateRow {
    reason: String,
    #[serde(default)]
    fields: Vec<String>,
    title: String,
    subject: String,
    body: String,
}

/// What is wrong with the values given for a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldFault {
    /// It is not filled in.
    Missing(String),
    /// The template has no such field.
    Unknown(String),
    /// It is longer than [`MAX_FIELD`].
    TooLong(String),
}

impl Template {
    /// Fills it in; gives subject and text.
    ///
    /// # Errors
    /// Every fault of the values.
    pub fn render(&self, built_in: &[(&str, &str)], given: &BTreeMap<String, String>) -> Result<(String, String), Vec<FieldFault>> {
        let missing = self.fields.iter().filter(|f| given.get(*f).is_none_or(|v| v.trim().is_empty())).cloned().map(FieldFault::Missing);
        let unknown = given.keys().filter(|k| !self.fields.contains(k)).cloned().map(FieldFault::Unknown);
        let long = given.iter().filter(|(_, v)| v.chars().count() > MAX_FIELD).map(|(k, _)| FieldFault::TooLong(k.clone()));
        let faults: Vec<FieldFault> = missing.chain(unknown).chain(long).collect();
        if !faults.is_empty() {
            return Err(faults);
        }
        let given = given.iter().map(|(k, v)| (k.as_str(), v.trim()));
        let fields: Vec<(&str, &str)> = built_in.iter().copied().chain(given).collect();
        let subject = fill(&self.subject, &fields).split_whitespace().collect::<Vec<_>>().join(" ");
        Ok((subject, fill(&self.body, &fields).trim().to_owned()))
    }
}

/// Reads an embedded file.
pub(crate) fn read(file: &str) -> Result<BTreeMap<String, Template>, TextsError> {
    let rows = toml::from_str(file).map_err(|e| TextsError { place: e.span(), message: e.message().to_owned() })?;
    check(rows)
}

/// Holds each template to its fields.
pub(crate) fn check(rows: BTreeMap<String, Spanned<TemplateRow>>) -> Result<BTreeMap<String, Template>, TextsError> {
    let mut out = BTreeMap::new();
    for (id, row) in rows {
        let place = Some(row.span());
        let row = row.into_inner();
        let used = [placeholders(&row.subject), placeholders(&row.body)].concat();
        let known = |name: &&str| BUILT_IN.contains(name) || row.fields.iter().any(|f| f == name);
        if let Some(unknown) = used.iter().find(|name| !known(name)) {
            let message =
                format!("template \"{id}\" uses {{{unknown}}}, which is neither in its fields nor one of {}", BUILT_IN.join(", "));
            return Err(TextsError { place, message });
        }
        if let Some(unused) = row.fields.iter().find(|f| !used.contains(&f.as_str())) {
            return Err(TextsError { place, message: format!("template \"{id}\" declares the field \"{unused}\" and does not use it") });
        }
        let TemplateRow { reason, fields, title, subject, body } = row;
        out.insert(id, Template { reason, fields, title, subject, body });
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_held_to_the_fields() {
        let file = "[t]\nreason = \"other\"\nfields = [\"a\"]\ntitle = \"T\"\nsubject = \"{order}\\n{a}\"\nbody = \"{a} {business}\"\n";
        let template = read(file).unwrap().remove("t").unwrap();
        let given = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let built_in = [("order", "302-1"), ("business", "{a}")];
        assert_eq!(template.render(&built_in, &given(&[("a", " x ")])), Ok(("302-1 x".into(), "x {a}".into())));
        let faults = template.render(&built_in, &given(&[("b", "y")])).unwrap_err();
        assert_eq!(faults, [FieldFault::Missing("a".into()), FieldFault::Unknown("b".into())]);
    }
}

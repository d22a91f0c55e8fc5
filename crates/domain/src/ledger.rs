//! The record format: canonical entries, salted leaves, a chain per pair (architecture decision 7).
//!
//! An entry is JSON in the form of RFC 8785 restricted to objects, arrays, strings, booleans and integers.
//! It names parties, orders and messages by id only. Test vectors stand in `docs/record-format.md` and
//! below; nothing written under version 1 is ever encoded differently.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use aws_lc_rs::digest::{Context, SHA256};

use crate::id::PairId;
use crate::policy::Decision;

/// Version of the record format, the `v` of every entry.
pub const FORMAT: i64 = 1;

/// A value of a canonical entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Text.
    Text(String),
    /// An integer; RFC 8785 keeps it exact within ±2^53, which every number here respects.
    Integer(i64),
    /// True or false.
    Boolean(bool),
    /// A list.
    List(Vec<Value>),
    /// Named values. Keys are ASCII, so that byte order is the UTF-16 order of RFC 8785, section 3.2.3.
    Object(BTreeMap<&'static str, Value>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Boolean(value)
    }
}

impl Value {
    /// An object from pairs.
    pub fn object<const N: usize>(pairs: [(&'static str, Value); N]) -> Self {
        Self::Object(BTreeMap::from(pairs))
    }

    /// Octets as lower-case hex.
    #[must_use]
    pub fn hex(octets: &[u8]) -> Self {
        Self::Text(octets.iter().fold(String::new(), |mut out, b| {
            let _ = write!(out, "{b:02x}");
            out
        }))
    }

    /// The canonical text.
    #[must_use]
    pub fn canonical(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Text(text) => write_string(out, text),
            Self::Integer(number) => {
                let _ = write!(out, "{number}");
            }
            Self::Boolean(value) => out.push_str(if *value { "true" } else { "false" }),
            Self::List(values) => {
                out.push('[');
                for (n, value) in values.iter().enumerate() {
                    if n > 0 {
                        out.push(',');
                    }
                    value.write(out);
                }
                out.push(']');
            }
            Self::Object(pairs) => {
                out.push('{');
                for (n, (key, value)) in pairs.iter().enumerate() {
                    if n > 0 {
                        out.push(',');
                    }
                    write_string(out, key);
                    out.push(':');
                    value.write(out);
                }
                out.push('}');
            }
        }
    }
}

/// RFC 8785, section 3.2.2.2: the shortest escapes, everything else as it is.
fn write_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// The decision as it stands in an entry.
#[must_use]
pub fn decision_value(decision: &Decision) -> Value {
    let rules = decision.rules.iter().map(|run| {
        let inputs = run.inputs.iter().map(|(name, value)| (*name, Value::from(value.as_str()))).collect();
        Value::object([("inputs", Value::Object(inputs)), ("result", run.result.into()), ("rule", run.rule.into())])
    });
    let mut object = BTreeMap::from([
        ("outcome", Value::from(decision.outcome.as_str())),
        ("rule_set", Value::hex(&decision.rule_set)),
        ("rules", Value::List(rules.collect())),
    ]);
    if let Some(remedy) = &decision.remedy {
        object.insert("remedy", remedy.key.into());
    }
    if !decision.tell.is_empty() {
        object.insert("tell", Value::List(decision.tell.iter().map(|advice| advice.key.into()).collect()));
    }
    Value::Object(object)
}

/// Leaf of an entry: SHA-256(salt ‖ canonical entry).
#[must_use]
pub fn leaf(salt: &[u8; 32], canonical_entry: &str) -> [u8; 32] {
    hash(&[salt, canonical_entry.as_bytes()])
}

/// Link of the chain of a pair: SHA-256("tradepost/link/v1" ‖ pair ‖ number as 64-bit big endian ‖ previous link ‖ leaf).
/// The first entry has number 1 and 32 zero octets before it.
#[must_use]
pub fn link(pair: PairId, number: i64, previous: &[u8; 32], leaf: &[u8; 32]) -> [u8; 32] {
    hash(&[b"tradepost/link/v1", pair.as_bytes(), &number.to_be_bytes(), previous, leaf])
}

/// SHA-256 of concatenated octets.
#[must_use]
pub fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(octets: &[u8]) -> String {
        match Value::hex(octets) {
            Value::Text(text) => text,
            _ => String::new(),
        }
    }

    /// The vectors published in docs/record-format.md, so that both change together or not at all.
    #[test]
    fn published_vectors() {
        let entry = Value::object([
            ("v", FORMAT.into()),
            ("kind", "message.accepted".into()),
            ("at", 1_795_316_400_000_000.into()),
            ("aligned", true.into()),
            ("note", "línea\n\"1\"\u{1}".into()),
            ("ids", Value::List(vec!["a".into(), "b".into()])),
        ]);
        let canonical = entry.canonical();
        let salt = [0x11; 32];
        let leaf = leaf(&salt, &canonical);
        let first = link(PairId::from_bytes([0x22; 16]), 1, &[0; 32], &leaf);
        let second = link(PairId::from_bytes([0x22; 16]), 2, &first, &leaf);
        let document = include_str!("../../../docs/record-format.md");
        for vector in [&canonical, &hex(&leaf), &hex(&first), &hex(&second)] {
            assert!(document.contains(vector.as_str()), "docs/record-format.md lacks {vector}");
        }
    }
}

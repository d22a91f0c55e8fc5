//! Message-IDs (RFC 5322, section 3.6.4) as they are compared and written.
//!
//! Held without angle brackets; never holds white space or brackets, so a References line made of them
//! always folds.

use std::fmt;

/// Longest Message-ID kept, in octets: one that fits a header line of 998 with its brackets.
const MAX_MESSAGE_ID: usize = 900;
/// Most ids read from one References field; the newest are at its end (RFC 5322, section 3.6.4).
const MAX_REFERENCES: usize = 50;

/// One Message-ID without its angle brackets.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct MessageId(String);

impl MessageId {
    /// Takes an id without brackets; `None` if it is empty, too long or holds white space or brackets.
    #[must_use]
    pub fn new(id: &str) -> Option<Self> {
        let bad = |c: char| !c.is_ascii_graphic() || c == '<' || c == '>';
        (!id.is_empty() && id.len() <= MAX_MESSAGE_ID && !id.chars().any(bad)).then(|| Self(id.to_owned()))
    }

    /// The id without brackets.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Every id of a Message-ID, In-Reply-To or References value, in order, newest last.
    #[must_use]
    pub fn list(value: &str) -> Vec<Self> {
        let mut ids: Vec<Self> = value
            .split('<')
            .skip(1)
            .filter_map(|rest| rest.split_once('>'))
            .filter_map(|(id, _)| Self::new(&id.split_whitespace().collect::<String>()))
            .collect();
        let surplus = ids.len().saturating_sub(MAX_REFERENCES);
        ids.drain(..surplus);
        ids
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MessageId(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folded_references_give_their_ids_in_order() {
        let ids = MessageId::list("<a@x>\r\n\t<b@y> (was: c) <d@z");
        assert_eq!(ids.iter().map(MessageId::as_str).collect::<Vec<_>>(), ["a@x", "b@y"]);
    }

    #[test]
    fn an_endless_references_field_keeps_the_newest() {
        let line: String = (0..500).map(|n| format!("<{n}@x> ")).collect();
        let ids = MessageId::list(&line);
        assert_eq!(ids.len(), MAX_REFERENCES);
        assert_eq!(ids.last().unwrap().as_str(), "499@x");
    }
}

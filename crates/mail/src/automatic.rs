//! Whether a machine answered (RFC 3834): vacation notes, out-of-office notes, mailing lists.
//!
//! `auto-generated` is not among them: programs of sellers send what a person would otherwise write, and what
//! they send passes the same rules as what a person writes.

use crate::mime::Fields;

/// Fields that only auto-responders set, whatever their value (RFC 3834, section 3.1.8, names the custom).
const RESPONDER_FIELDS: [&str; 5] = ["X-Autoreply", "X-Autorespond", "X-Autoresponder", "X-Auto-Reply-From", "X-Vacation"];

/// Whether the fields of a message say that a machine answered or a list distributed it.
#[must_use]
pub fn is_automatic(fields: &Fields<'_>) -> bool {
    let word = |name: &str| fields.raw(name).map(|v| v.trim().to_ascii_lowercase()).unwrap_or_default();
    // RFC 3834, section 5: parameters may follow the keyword.
    let submitted = word("Auto-Submitted");
    submitted.split([';', ' ', '(']).next().is_some_and(|w| w == "auto-replied" || w == "auto-notified")
        || matches!(word("Precedence").as_str(), "auto_reply" | "list" | "junk")
        || fields.find("List-Id").is_some()
        || RESPONDER_FIELDS.iter().any(|name| fields.find(name).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_machines_are_told_from_what_programs_send() {
        let is = |head: &str| is_automatic(&Fields::read(format!("{head}\r\n\r\n").as_bytes()).0);
        for yes in [
            "Auto-Submitted: auto-replied",
            "auto-submitted: Auto-Replied (vacation)",
            "Auto-Submitted: auto-replied; x=y",
            "Precedence: auto_reply",
            "X-Autoreply: yes",
            "List-Id: <a.b>",
        ] {
            assert!(is(yes), "{yes}");
        }
        for no in [
            "Auto-Submitted: no",
            "Auto-Submitted: auto-generated",
            "Precedence: bulk",
            "X-Auto-Response-Suppress: All",
            "Subject: auto-replied",
        ] {
            assert!(!is(no), "{no}");
        }
    }
}

//! What several targets share.

use attachment::Kind;
use mail::scrub::{Identity, Masks, OwnWords, Scrubber, region_of};

/// A scrubber that looks for everything.
#[must_use]
pub fn scrubber() -> Scrubber {
    let mask = |word: &str| format!("[{word}]");
    Scrubber {
        masks: Masks {
            address: mask("address"),
            link: mask("link"),
            own_link: mask("own link"),
            phone: mask("phone"),
            name: mask("name"),
            quotation: mask("earlier"),
            device: mask("device"),
            armour: mask("armour"),
        },
        writer: Identity::new("Ana Canary", "Ana", None),
        own: OwnWords::new(["Sur, a seller on Market, wrote to you:".to_owned()], ["Order 302-1".to_owned(), "Report:".to_owned()]),
        hosts: Some(vec!["carrier.example".to_owned()]),
        phones: Some(["es", "en", "pt-BR"].into_iter().filter_map(region_of).collect()),
        known: vec!["302-1234567-1234567".to_owned()],
    }
}

/// No address that anybody could write to stands in a text.
///
/// # Panics
/// Where one does: that is the finding.
pub fn assert_no_address(text: &str) {
    let is_letter = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    for (at, _) in text.match_indices('@') {
        let around = is_letter(text[..at].chars().next_back()) && is_letter(text[at + 1..].chars().next());
        assert!(!around, "an address in {text:?}");
    }
}

/// A document as its cleaner takes it; what comes out is taken again.
///
/// # Panics
/// Where it is not: that is the finding.
pub fn clean_twice(kind: Kind, octets: &[u8]) {
    if let Ok(clean) = attachment::clean_document(kind, octets) {
        assert!(attachment::clean_document(kind, &clean).is_ok(), "what was cleaned is not taken again");
    }
}

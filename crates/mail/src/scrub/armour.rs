//! Keys, signatures and certificates in armour within a text that has no lines of its own, as in HTML: base64 of names
//! and addresses (privacy M10–M12; RFC 9580, section 6.2; RFC 7468). In plain text `mime::armour` sees them first.

use std::ops::Range;

/// What armour may hold that is nobody's text.
const LABELS: [&str; 7] = ["PGP PUBLIC KEY BLOCK", "PGP PRIVATE KEY BLOCK", "PGP SIGNATURE", "CERTIFICATE", "PKCS7", "CMS", "PRIVATE KEY"];

/// From each BEGIN line to its END line; where that is missing, as far as base64 reaches.
pub(super) fn find(chars: &[char]) -> Vec<Range<usize>> {
    let begin: Vec<char> = "-----BEGIN ".chars().collect();
    let end: Vec<char> = "-----END ".chars().collect();
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(start) = position(chars, at, &begin) {
        let label: String = chars[start + begin.len()..].iter().take(32).collect();
        at = start + begin.len();
        if !LABELS.iter().any(|l| label.starts_with(&format!("{l}-----"))) {
            continue;
        }
        let next = position(chars, at, &begin).unwrap_or(chars.len());
        at = match position(&chars[..next], at, &end) {
            Some(e) => after_dashes(chars, e + end.len()),
            None => after_base64(chars, after_dashes(chars, at)),
        };
        found.push(start..at);
    }
    found
}

fn position(chars: &[char], from: usize, word: &[char]) -> Option<usize> {
    chars[from..].windows(word.len()).position(|w| w == word).map(|n| from + n)
}

/// Behind the five dashes that end a line of armour.
fn after_dashes(chars: &[char], from: usize) -> usize {
    let dashes = ['-'; 5];
    position(chars, from, &dashes).filter(|n| n - from < 40).map_or(chars.len().min(from + 40), |n| n + 5)
}

/// Behind words that are too long for a language, and the checksum.
fn after_base64(chars: &[char], from: usize) -> usize {
    let mut end = from;
    let mut at = from;
    while at < chars.len() {
        let start = at + chars[at..].iter().take_while(|c| c.is_whitespace() || **c == '>').count();
        let length = chars[start..].iter().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=')).count();
        if length < 16 && !(length == 5 && chars.get(start) == Some(&'=')) {
            break;
        }
        end = start + length;
        at = end;
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(text: &str) -> String {
        let chars: Vec<char> = text.chars().collect();
        let mut out = String::new();
        let mut at = 0;
        for r in find(&chars) {
            out.extend(&chars[at..r.start]);
            at = r.end;
        }
        out.extend(&chars[at..]);
        out
    }

    #[test]
    fn armour_goes_wherever_it_stands_and_text_stays() {
        let key = "mQENBFabcdefghijklmnopqrstuvwxyz0123456789 =abcd";
        assert_eq!(
            left(&format!("key: -----BEGIN PGP PUBLIC KEY BLOCK----- {key} -----END PGP PUBLIC KEY BLOCK----- thanks")),
            "key:  thanks"
        );
        assert_eq!(left(&format!("-----BEGIN CERTIFICATE-----\n{key}\nPlease send the invoice.")), "\nPlease send the invoice.");
        let label = "-----BEGIN SHIPPING LABEL----- to Ana";
        assert_eq!(left(label), label);
        left(&"-----BEGIN CERTIFICATE-----".repeat(5_000));
    }
}

//! Addresses in base64 within links (privacy B30).

use std::ops::Range;

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

use crate::scrub::address;

/// Shortest run of digits that is looked into: nine octets hold hardly an address.
const MIN_DIGITS: usize = 12;
/// Longest one.
const MAX_DIGITS: usize = 4_000;

/// Runs of base64 digits that hold an address in clear text, in a line that begins at `start`.
pub(super) fn find(chars: &[char], start: usize) -> Vec<Range<usize>> {
    let is_digit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '_' | '-');
    let mut found = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let from = at;
        while at < chars.len() && is_digit(chars[at]) {
            at += 1;
        }
        if (MIN_DIGITS..=MAX_DIGITS).contains(&(at - from)) && shows_address(&chars[from..at].iter().collect::<String>()) {
            found.push(start + from..start + at);
        }
        at += usize::from(at == from);
    }
    found
}

fn shows_address(digits: &str) -> bool {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent).with_decode_allow_trailing_bits(true);
    let whole = &digits[..digits.len() - usize::from(digits.len() % 4 == 1)];
    let decoded = [&URL_SAFE, &STANDARD].into_iter().find_map(|alphabet| GeneralPurpose::new(alphabet, config).decode(whole).ok());
    let Some(octets) = decoded else { return false };
    // An address is letters: octets that are none hold none, and chance makes no "a@b.cd" among letters.
    let text: Vec<char> = String::from_utf8_lossy(&octets).chars().collect();
    let printable = text.iter().filter(|c| c.is_ascii_graphic() || c.is_ascii_whitespace()).count();
    printable * 10 >= text.len() * 9
        && address::find(&text).iter().any(|r| text[r.clone()].iter().filter(|c| c.is_ascii_alphanumeric()).count() >= 5)
}

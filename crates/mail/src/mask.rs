//! Masking addresses in text: any address, not only a known one (product C10, privacy B38).
//!
//! Works on characters after decoding; characters without width are looked through, full-width forms count
//! as what they look like. What is masked is visible: the reader sees that something stood there.

use std::ops::Range;

/// How to mask.
#[derive(Debug, Clone, Copy)]
pub struct Masking<'a> {
    /// What stands in place of an address, in the reader's language.
    pub mask: &'a str,
    /// What stands in place of a link of ours, which was one reader's and works for whoever has it (W15).
    pub link: &'a str,
}

/// Begins the secret of every link of ours, so that one is recognised wherever it comes back. Letters and digits
/// only: programs that rewrite links leave them as they are.
pub const LINK_MARK: &str = "tpl1k";

/// Something that is not passed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Where it stands, in characters.
    pub range: Range<usize>,
    /// Whether it is a link of ours; else an address.
    pub is_link: bool,
}

impl Masking<'_> {
    pub(crate) fn in_place_of(&self, span: &Span) -> &str {
        if span.is_link { self.link } else { self.mask }
    }
}

/// How far a local-part is followed to the left, in characters: it has 64 octets, and may be padded with
/// characters without width.
const MAX_LEFT: usize = 1_000;

/// Masks every address in a text; gives the text and how many were masked.
#[must_use]
pub fn mask_text(text: &str, masking: &Masking<'_>) -> (String, usize) {
    if !text.contains(is_at) && !text.contains(['%', '&']) && !text.contains(LINK_MARK) {
        return (text.to_owned(), 0);
    }
    let chars: Vec<char> = text.chars().collect();
    let spans = find_spans(&chars);
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for span in &spans {
        out.extend(&chars[at..span.range.start]);
        out.push_str(masking.in_place_of(span));
        at = span.range.end;
    }
    out.extend(&chars[at..]);
    (out, spans.len())
}

/// What is masked, in order and without overlap.
#[must_use]
pub fn find_spans(chars: &[char]) -> Vec<Span> {
    let links = find_links(chars);
    let apart = |a: &Range<usize>| links.iter().all(|l| a.end <= l.start || l.end <= a.start);
    let addresses = find_addresses(chars).into_iter().filter(apart);
    let mut spans: Vec<Span> = addresses.map(|range| Span { range, is_link: false }).collect();
    spans.extend(links.iter().map(|range| Span { range: range.clone(), is_link: true }));
    spans.sort_by_key(|s| s.range.start);
    spans
}

/// Links of ours: from the mark to both sides up to what no link holds, so that a wrapped one goes whole.
fn find_links(chars: &[char]) -> Vec<Range<usize>> {
    let ends = |c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"' | '\'' | '(' | ')' | '[' | ']');
    let mark: Vec<char> = LINK_MARK.chars().collect();
    let mut links: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    while at + mark.len() <= chars.len() {
        if chars[at..at + mark.len()] != mark[..] {
            at += 1;
            continue;
        }
        let floor = links.last().map_or(0, |l| l.end).max(at.saturating_sub(MAX_LEFT));
        let start = (floor..at).rev().find(|&n| ends(chars[n])).map_or(floor, |n| n + 1);
        let end = (at..chars.len()).find(|&n| ends(chars[n])).unwrap_or(chars.len());
        links.push(start..end);
        at = end;
    }
    links
}

/// Where addresses stand, in order and without overlap, as ranges of characters.
fn find_addresses(chars: &[char]) -> Vec<Range<usize>> {
    let mut spans: Vec<Range<usize>> = Vec::new();
    for at in 0..chars.len() {
        let width = at_width(chars, at);
        if width == 0 || spans.last().is_some_and(|s| s.end > at) {
            continue;
        }
        let floor = spans.last().map_or(0, |s| s.end);
        let start = extend_left(chars, at, floor.max(at.saturating_sub(MAX_LEFT)));
        // Only behind something that can be a local-part: a row of at signs costs no more than its length.
        if start < at {
            let end = extend_right(chars, at + width - 1);
            if end > at + width {
                spans.push(start..end);
            }
        }
    }
    spans
}

fn extend_left(chars: &[char], at: usize, floor: usize) -> usize {
    let mut start = at;
    let mut probe = at;
    while probe > floor {
        let c = chars[probe - 1];
        if is_local(c) {
            start = probe - 1;
        } else if !is_invisible(c) {
            break;
        }
        probe -= 1;
    }
    // A quoted local-part ("ana lopez"@…) goes with its quotes.
    if start == at && at > floor && chars[at - 1] == '"' {
        let limit = at.saturating_sub(crate::address::MAX_LOCAL_PART + 2).max(floor);
        if let Some(open) = (limit..at - 1).rev().find(|&n| chars[n] == '"') {
            return open;
        }
    }
    // Punctuation that only leads up to an address stays.
    while start < at && matches!(chars[start], '.' | '-' | '\'' | '*' | '/' | '=' | '?' | '&' | '|' | '{' | '}') {
        start += 1;
    }
    start
}

/// The end of the domain: words joined by one dot, hyphen or the like, looked at once each.
fn extend_right(chars: &[char], at: usize) -> usize {
    let mut end = at + 1;
    let mut joined = false;
    let mut literal = false;
    for (probe, &c) in chars.iter().enumerate().skip(at + 1) {
        // "a@b@c" and a domain literal are one address as far as masking goes.
        if is_word(c) || is_at(c) || c == '[' || (c == ']' && literal) {
            literal |= c == '[';
            joined = false;
            end = probe + 1;
        } else if matches!(c, '.' | '-' | '_' | ':' | '。' | '．' | '｡') && !joined {
            joined = true;
        } else if !is_invisible(c) {
            break;
        }
    }
    end
}

/// How many characters stand for an at sign here: itself, or percent- and entity-encoded (privacy B25, B26).
fn at_width(chars: &[char], at: usize) -> usize {
    const ENCODED: [&str; 5] = ["%40", "%2540", "&#64;", "&#x40;", "&commat;"];
    match chars[at] {
        c if is_at(c) => 1,
        '%' | '&' => ENCODED.iter().find(|e| is_written(chars, at, e)).map_or(0, |e| e.len()),
        _ => 0,
    }
}

fn is_written(chars: &[char], at: usize, word: &str) -> bool {
    chars.len() - at >= word.len() && word.chars().zip(&chars[at..]).all(|(w, c)| w.eq_ignore_ascii_case(c))
}

fn is_at(c: char) -> bool {
    matches!(c, '@' | '＠' | '﹫')
}

/// A letter or digit, or an accent that follows its letter, as some systems write them.
fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '\u{300}'..='\u{36f}')
}

fn is_local(c: char) -> bool {
    is_word(c) || ".!#$%&'*+-/=?^_`{|}~．＿－".contains(c)
}

/// Characters without width that could hide an address from a search.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{2066}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mask(text: &str) -> String {
        mask_text(text, &Masking { mask: "[x]", link: "[link]" }).0
    }

    #[test]
    fn addresses_in_ordinary_sentences() {
        assert_eq!(mask("Write to Ana.Lopez+shop@Mail.Example.org."), "Write to [x].");
        assert_eq!(mask("On Mon, Ana <ana@x.example> wrote:"), "On Mon, Ana <[x]> wrote:");
        assert_eq!(mask("(ana@x.example, b@y.example)"), "([x], [x])");
        assert_eq!(mask("mailto:ana@x.example?subject=hi"), "mailto:[x]?subject=hi");
        assert_eq!(mask("<CAF=9x@mail.gmail.com>"), "<[x]>");
        assert_eq!(mask("ana＠x．example and a\u{200b}na@x\u{ad}.example"), "[x] and [x]");
        assert_eq!(mask("\"ana lopez\"@x.example"), "[x]");
        assert_eq!(mask("ana%40x.example, ana&#64;x.example & ana&#X40;x.example"), "[x], [x] & [x]");
        assert_eq!(mask("jose\u{301}@bu\u{308}cher.example, ana%2540x.example"), "[x], [x]");
        assert_eq!(mask("root@localhost, ana@[192.0.2.1]"), "[x], [x]");
    }

    #[test]
    fn links_of_ours_go_whole_wherever_they_come_back() {
        assert_eq!(mask("> Report: https://m.example/l/tpl1kAbC-_9 thanks"), "> Report: [link] thanks");
        assert_eq!(mask("<https://safe.example/?u=https%3A%2F%2Fm.example%2Fl%2Ftpl1kAbC%40&x=1>"), "<[link]>");
        assert_eq!(mask("tpl1ka@b.example tpl1k"), "[link] [link]");
    }

    #[test]
    fn what_is_no_address_stays() {
        for text in ["3 @ 5 EUR", "@handle says", "order 302-1234567-1234567", "50% off / 3*2=6", "100%40 & 5", "a@ b"] {
            assert_eq!(mask(text), text);
        }
    }

    #[test]
    fn hostile_rows_cost_no_more_than_their_length() {
        for row in ["@", "%40", "a@", "a@\u{200b}", "]", "a@[]", "&#64;", "a.@", "a@-", "tpl1k", "tpl1"] {
            let text = row.repeat(300_000);
            mask(&text);
        }
        mask(&format!("a@{}", "\u{200b}".repeat(1_000_000)));
    }

    proptest! {
        #[test]
        fn no_address_survives_whatever_stands_around_it(before in "[^@＠﹫a-zA-Z0-9]{0,12}", after in "[ ,;.!?)>\n]{1,3}[^@＠﹫]{0,12}") {
            let out = mask(&format!("{before}canary@secret.example{after}"));
            prop_assert!(!out.contains("canary") && !out.contains("secret.example"), "{}", out);
        }

        #[test]
        fn text_without_an_at_sign_is_never_changed(text in "[^@＠﹫]{0,200}") {
            prop_assert_eq!(mask(&text), text);
        }
    }
}

//! Addresses in folded text: any address, not only a known one (product C10, privacy B38), also spelled out
//! ("ana at shop dot example", B31).

use std::collections::HashSet;
use std::ops::Range;
use std::sync::LazyLock;

/// How far a local-part is followed to the left, in characters: it has 64 octets.
const MAX_LEFT: usize = 320;

/// Words for the at sign and the dot, by which people spell addresses out, and the domains that need no dot.
struct Spelling {
    at: HashSet<&'static str>,
    dot: HashSet<&'static str>,
    providers: HashSet<&'static str>,
    endings: HashSet<&'static str>,
}

static SPELLING: LazyLock<Spelling> = LazyLock::new(|| {
    let words = |list: &'static str| list.split_whitespace().collect();
    Spelling {
        at: words(
            "@ at arroba arrobas chiocciola arobase arobas klammeraffe snabela snabel apestaart apenstaartje małpa собака собачка ätt miukumauku kissanhäntä 골뱅이 アットマーク アット 艾特",
        ),
        dot: words("dot punto ponto point punkt punt kropka точка крапка piste prikk prikken ドット 点 點 점 닷"),
        providers: words(
            "gmail googlemail hotmail outlook live msn yahoo ymail icloud me gmx web tonline proton protonmail aol mail yandex naver qq 163 126 daum hanmail libero virgilio orange free sfr wanadoo laposte uol bol terra telefonica onet wp interia ziggo kpn",
        ),
        endings: words(
            "com net org info biz eu es pt br fr de it nl pl ru uk co ar mx cl cat gal jp cn kr dk se fi no ua ch at be ie us ca au shop store online io me tv dev app email mail example test",
        ),
    }
});

/// Where addresses stand, in order and without overlap.
pub(super) fn find(chars: &[char]) -> Vec<Range<usize>> {
    let mut spans: Vec<Range<usize>> = Vec::new();
    for at in 0..chars.len() {
        if chars[at] != '@' || spans.last().is_some_and(|s| s.end > at) {
            continue;
        }
        let floor = spans.last().map_or(0, |s| s.end);
        let start = extend_left(chars, at, floor.max(at.saturating_sub(MAX_LEFT)));
        // Only behind something that can be a local-part: a row of at signs costs no more than its length.
        if start < at {
            let end = extend_right(chars, at);
            if end > at + 1 {
                spans.push(start..end);
            }
        }
    }
    spans
}

fn extend_left(chars: &[char], at: usize, floor: usize) -> usize {
    let mut start = at;
    while start > floor && is_local(chars[start - 1]) {
        start -= 1;
    }
    // A quoted local-part ("ana lopez"@…) goes with its quotes.
    if start == at && at > floor && chars[at - 1] == '"' {
        let limit = at.saturating_sub(crate::address::MAX_LOCAL_PART + 2).max(floor);
        if let Some(open) = (limit..at - 1).rev().find(|&n| chars[n] == '"') {
            return open;
        }
    }
    // In a link an address is one value of many.
    if chars[start..at].windows(2).any(|pair| pair == ['/', '/']) {
        start = chars[start..at].iter().rposition(|c| "/?=&#;".contains(*c)).map_or(start, |n| start + n + 1);
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
        // "a@b@c" and a domain literal are one address as far as masking goes; a mask in brackets is none.
        let opens = c == '['
            && chars.get(probe + 1).is_some_and(|d| d.is_ascii_digit() || (matches!(d, 'i' | 'I') && is_ipv6(&chars[probe + 1..])));
        if is_word(c) || c == '@' || opens || (c == ']' && literal) {
            literal |= opens;
            joined = false;
            end = probe + 1;
        } else if matches!(c, '.' | '-' | '_' | ':' | '。' | '｡') && !joined {
            joined = true;
        } else {
            break;
        }
    }
    end
}

/// RFC 5321, section 4.1.3.
fn is_ipv6(chars: &[char]) -> bool {
    chars.len() >= 5 && chars[..5].iter().collect::<String>().eq_ignore_ascii_case("ipv6:")
}

/// A letter or digit, or an accent that follows its letter, as some systems write them.
pub(super) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '\u{300}'..='\u{36f}')
}

fn is_local(c: char) -> bool {
    is_word(c) || ".!#$%&'*+-/=?^_`{|}~".contains(c)
}

/// Addresses of machines in brackets, as mail systems write them into their texts: `[192.0.2.1]`, `(2001:db8::1)`.
pub(super) fn find_machines(chars: &[char], start: usize) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for (at, open) in chars.iter().enumerate() {
        if !matches!(open, '[' | '(') {
            continue;
        }
        let inner: String = chars[at + 1..].iter().take(50).take_while(|c| !matches!(c, ']' | ')' | ' ')).collect();
        let bare = inner.strip_prefix("IPv6:").unwrap_or(&inner).trim_matches(['[', ']']);
        let bare = if bare.contains("::") || bare.matches(':').count() > 1 { bare } else { bare.split(':').next().unwrap_or_default() };
        if bare.len() >= 3 && bare.parse::<std::net::IpAddr>().is_ok() {
            found.push(start + at + 1..start + at + 1 + inner.chars().count());
        }
    }
    found
}

/// A word of a line, and whether it stands in brackets of its own.
struct Word {
    text: String,
    range: Range<usize>,
    bracketed: bool,
}

/// Spelled-out addresses of one line that begins at `start`.
pub(super) fn find_spelled(chars: &[char], start: usize) -> Vec<Range<usize>> {
    let words = words_of(chars, start);
    let mut spans: Vec<Range<usize>> = Vec::new();
    for at in 1..words.len() {
        if !SPELLING.at.contains(words[at].text.as_str()) || spans.last().is_some_and(|s| s.end > words[at].range.start) {
            continue;
        }
        if let Some(last) = spelled_domain(&words, at) {
            // A local-part may be spelled with dots itself.
            let mut first = at - 1;
            while first >= 2 && (words[first - 1].text == "." || (words[first - 1].bracketed && is_dot(&words[first - 1]))) {
                first -= 2;
            }
            spans.push(words[first].range.start..words[last].range.end);
        }
    }
    spans
}

/// The last word of a domain spelled out behind the at sign at `at`: "shop dot example", or a provider that everybody knows.
fn spelled_domain(words: &[Word], at: usize) -> Option<usize> {
    let sure = words[at].bracketed || words[at].text != "at";
    let mut last = at + 1;
    words.get(last)?;
    let mut dots = 0;
    while let (Some(dot), Some(label)) = (words.get(last + 1), words.get(last + 2)) {
        if !is_dot(dot) {
            break;
        }
        // "Look at shop.com" names no address, and "at home dot we" is a sentence; "at shop dot com" is neither.
        if !sure && (dot.text == "." || !(dot.bracketed || SPELLING.endings.contains(label.text.as_str()))) {
            break;
        }
        dots += 1;
        last += 2;
    }
    let provider = SPELLING.providers.contains(words[at + 1].text.as_str());
    let ends_well = words[last].text.len() >= 2 && words[last].text.chars().all(char::is_alphabetic);
    (dots > 0 && ends_well || (sure && provider)).then_some(last)
}

fn is_dot(word: &Word) -> bool {
    word.text == "." || SPELLING.dot.contains(word.text.as_str())
}

fn words_of(chars: &[char], start: usize) -> Vec<Word> {
    const OPEN: &str = "([{<_-*\"'";
    const CLOSE: &str = ")]}>_-*\"'";
    let mut words = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        if chars[at] == '.' && at + 1 < chars.len() && at > 0 && is_word(chars[at + 1]) && is_word(chars[at - 1]) {
            words.push(Word { text: ".".to_owned(), range: start + at..start + at + 1, bracketed: false });
            at += 1;
            continue;
        }
        // An at sign that stands apart, as an ordinary address has none.
        if chars[at] == '@' {
            let apart = |c: Option<&char>| c.is_none_or(|c| c.is_whitespace() || "()[]{}".contains(*c));
            if apart(chars[..at].last()) || apart(chars.get(at + 1)) {
                words.push(Word { text: "@".to_owned(), range: start + at..start + at + 1, bracketed: true });
            }
        }
        if !is_word(chars[at]) {
            at += 1;
            continue;
        }
        let from = at;
        while at < chars.len() && (is_word(chars[at]) || (chars[at] == '-' && chars.get(at + 1).copied().is_some_and(is_word) && at > from))
        {
            at += 1;
        }
        let text: String = chars[from..at].iter().flat_map(|c| c.to_lowercase()).collect();
        let before = chars[..from].iter().rev().find(|c| **c != ' ');
        let after = chars[at..].iter().find(|c| **c != ' ');
        let bracketed = before.is_some_and(|c| OPEN.contains(*c)) && after.is_some_and(|c| CLOSE.contains(*c));
        words.push(Word { text: text.replace("snabel-a", "snabela"), range: start + from..start + at, bracketed });
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spelled(text: &str) -> Vec<String> {
        let chars: Vec<char> = text.chars().collect();
        find_spelled(&chars, 0).into_iter().map(|r| chars[r].iter().collect()).collect()
    }

    #[test]
    fn spelled_addresses_are_seen() {
        for (text, found) in [
            ("write to ana at shop dot com please", "ana at shop dot com"),
            ("ana (at) shop (dot) example", "ana (at) shop (dot) example"),
            ("ana[at]mail.shop[dot]example", "ana[at]mail.shop[dot]example"),
            ("soy ana arroba gmail", "ana arroba gmail"),
            ("ana.lopez arroba shop punto example", "ana.lopez arroba shop punto example"),
            ("ana собака почта точка example", "ana собака почта точка example"),
            ("ana {at} gmail.com", "ana {at} gmail.com"),
            ("ana @ tienda.es", "ana @ tienda.es"),
            ("ana (@) gmail", "ana (@) gmail"),
        ] {
            assert_eq!(spelled(text), [found], "{text}");
        }
    }

    #[test]
    fn sentences_are_no_addresses() {
        for text in [
            "I am at home dot we can talk",
            "look at the point on the map",
            "look at shop.com",
            "two at 5 euro",
            "2 @ 3.50 EUR",
            "@handle says hi.there",
            "meet at noon",
            "5 arrobas de vino",
            "at",
            "a point at the end",
        ] {
            assert_eq!(spelled(text), Vec::<String>::new(), "{text}");
        }
    }
}

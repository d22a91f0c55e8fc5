//! Text as a search sees it: characters without width left out, compatibility forms as what they look like
//! (UAX #15), percent- and entity-encoded characters decoded (privacy B25, B26, B28, B39).

use std::ops::Range;

use unicode_normalization::char::decompose_compatible;

/// How often a percent sign may itself be percent-encoded.
const MAX_ENCODINGS: usize = 3;

/// Folded characters, each with the range of characters that it stands for.
pub(crate) struct Folded {
    pub(crate) chars: Vec<char>,
    from: Vec<u32>,
    to: Vec<u32>,
}

impl Folded {
    pub(crate) fn of(chars: &[char]) -> Self {
        let mut out =
            Self { chars: Vec::with_capacity(chars.len()), from: Vec::with_capacity(chars.len()), to: Vec::with_capacity(chars.len()) };
        let mut at = 0;
        while at < chars.len() {
            let (folded, width) = decoded(&chars[at..]).unwrap_or((chars[at], 1));
            // A control character shows nothing either, but for line ends and tabs.
            let is_shown = !folded.is_control() || folded.is_whitespace();
            if is_shown && !is_invisible(folded) {
                out.push_folded(folded, at..at + width);
            }
            at += width;
        }
        out
    }

    /// The characters of the original that a range of folded ones stands for.
    pub(crate) fn origin(&self, range: &Range<usize>) -> Range<usize> {
        if range.is_empty() {
            return 0..0;
        }
        self.from[range.start] as usize..self.to[range.end - 1] as usize
    }

    fn push_folded(&mut self, c: char, origin: Range<usize>) {
        let mut push = |c: char| {
            self.chars.push(c);
            self.from.push(u32::try_from(origin.start).unwrap_or(u32::MAX));
            self.to.push(u32::try_from(origin.end).unwrap_or(u32::MAX));
        };
        match c {
            '\n' => push(c),
            _ if c.is_whitespace() => push(' '),
            '\u{2010}'..='\u{2015}' | '\u{2212}' => push('-'),
            _ if (c as u32) < 0x2000 => push(c),
            _ => {
                let mut ascii = Vec::new();
                decompose_compatible(c, |d| ascii.push(d));
                if !ascii.is_empty() && ascii.len() <= 4 && ascii.iter().all(|d| d.is_ascii_graphic()) {
                    ascii.into_iter().for_each(push);
                } else {
                    push(c);
                }
            }
        }
    }
}

/// A character that stands percent- or entity-encoded, and in how many characters.
fn decoded(chars: &[char]) -> Option<(char, usize)> {
    match chars[0] {
        '%' => {
            let mut at = 1;
            for _ in 0..MAX_ENCODINGS {
                if chars.get(at) == Some(&'2') && chars.get(at + 1) == Some(&'5') && hex(chars, at + 2).is_some() {
                    at += 2;
                }
            }
            let value = hex(chars, at)?;
            Some((char::from(value), at + 2)).filter(|(c, _)| c.is_ascii_graphic())
        }
        '&' => {
            let end = chars.iter().take(10).position(|c| *c == ';')?;
            let name: String = chars[1..end].iter().collect::<String>().to_ascii_lowercase();
            let value = match name.strip_prefix('#') {
                Some(number) => number.strip_prefix('x').map_or_else(|| number.parse().ok(), |h| u32::from_str_radix(h, 16).ok())?,
                None => match name.as_str() {
                    "commat" => u32::from('@'),
                    "period" => u32::from('.'),
                    "zwnj" | "zwj" | "shy" => 0xad,
                    _ => return None,
                },
            };
            char::from_u32(value).filter(|c| !c.is_control()).map(|c| (c, end + 1))
        }
        _ => None,
    }
}

fn hex(chars: &[char], at: usize) -> Option<u8> {
    let digit = |at: usize| chars.get(at).and_then(|c| c.to_digit(16)).and_then(|d| u8::try_from(d).ok());
    Some(digit(at)? << 4 | digit(at + 1)?)
}

/// Characters without width that could hide something from a search.
pub(crate) fn is_invisible(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fold(text: &str) -> String {
        Folded::of(&text.chars().collect::<Vec<_>>()).chars.iter().collect()
    }

    #[test]
    fn what_looks_alike_is_one() {
        assert_eq!(fold("a\u{200b}n\u{ad}a＠ｘ．example ﹫ ⓐ 𝐛"), "ana@x.example @ a b");
        assert_eq!(fold("a%40b a%2540b a%252540b %63 100% 5%2"), "a@b a@b a@b c 100% 5%2");
        assert_eq!(fold("a&#64;b&#x2e;c &commat; &amp; & x;"), "a@b.c @ &amp; & x;");
        assert_eq!(fold("１２３\u{a0}4–5。"), "123 4-5。");
    }

    #[test]
    fn ranges_lead_back() {
        let chars: Vec<char> = "x a%2540\u{200b}b".chars().collect();
        let folded = Folded::of(&chars);
        assert_eq!(folded.origin(&(2..5)), 2..10);
        assert_eq!(folded.origin(&(3..4)), 3..8);
    }
}

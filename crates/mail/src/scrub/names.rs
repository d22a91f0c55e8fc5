//! Names that only mail knows: the writer's display name, less what the party record shows anyway.
//!
//! A surname such as Price or Long must not eat the text: single words of a name are masked only where names
//! stand (signatures, file names); in a sentence only the whole display name is.

use std::ops::Range;

use crate::address::Mailbox;
use crate::scrub::address::is_word;

/// Shortest word of a name that is masked by itself, in characters.
const MIN_WORD: usize = 3;
/// Shortest local-part that is looked for in file names.
const MIN_LOCAL: usize = 4;

/// Who wrote a message, as the mail says it.
#[derive(Debug, Clone, Default)]
pub struct Identity {
    /// Words of the display name in order, lower case, and whether the record shows each.
    words: Vec<(String, bool)>,
    /// The local-part of the address, lower case.
    local_part: String,
}

impl Identity {
    /// Of a writer whose mail says `display_name`, while the record says `shown`.
    #[must_use]
    pub fn new(display_name: &str, shown: &str, address: Option<&Mailbox>) -> Self {
        let split = |text: &str| -> Vec<String> {
            text.split(|c: char| !is_word(c)).filter(|w| !w.is_empty()).map(str::to_lowercase).take(8).collect()
        };
        let shown = split(shown);
        // A display name that is an address is masked as one.
        let words = if display_name.contains('@') { Vec::new() } else { split(display_name) };
        Self {
            words: words.into_iter().map(|w| (w.clone(), shown.contains(&w))).collect(),
            local_part: address.map(|m| m.local_part().to_lowercase()).unwrap_or_default(),
        }
    }

    /// Whether there is anything that the record does not show.
    fn is_secret(&self) -> bool {
        self.words.iter().any(|(_, shown)| !shown)
    }

    /// The whole display name wherever it stands, in either order; the words that the record shows stay.
    pub(super) fn find_whole(&self, chars: &[char]) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        let whole = self.words.len() >= 2 || self.words.first().is_some_and(|(w, _)| w.chars().count() >= MIN_WORD && !w.is_ascii());
        if !self.is_secret() || !whole {
            return found;
        }
        let reversed: Vec<_> = self.words.iter().rev().cloned().collect();
        let mut at = 0;
        while at < chars.len() {
            if !is_word(chars[at]) || (at > 0 && is_word(chars[at - 1]) && self.words[0].0.is_ascii()) {
                at += 1;
                continue;
            }
            let hit = [&self.words, &reversed].into_iter().find_map(|words| match_words(chars, at, words));
            match hit {
                Some((secret, end)) => {
                    found.push(secret);
                    at = end;
                }
                None => at += 1,
            }
        }
        found
    }

    /// Single words of the name, where a signature stands.
    pub(super) fn find_words(&self, chars: &[char]) -> Vec<Range<usize>> {
        self.find_each(chars, |word| self.words.iter().any(|(w, shown)| !shown && w == word && w.chars().count() >= MIN_WORD))
    }

    /// Words of the name, and the local-part of the address, in a file name.
    pub(super) fn find_in_file_name(&self, chars: &[char]) -> Vec<Range<usize>> {
        let mut found = self.find_words(chars);
        if self.local_part.chars().count() >= MIN_LOCAL {
            let lower: Vec<char> = chars.iter().map(|c| c.to_lowercase().next().unwrap_or(*c)).collect();
            let wanted: Vec<char> = self.local_part.chars().collect();
            let mut at = 0;
            while at + wanted.len() <= lower.len() {
                if lower[at..at + wanted.len()] == wanted[..] {
                    found.push(at..at + wanted.len());
                    at += wanted.len();
                } else {
                    at += 1;
                }
            }
        }
        // Names run together in file names: "AnaCanary_factura.pdf".
        for (word, shown) in self.words.iter().filter(|(w, _)| w.chars().count() >= 5) {
            let lower: String = chars.iter().map(|c| c.to_lowercase().next().unwrap_or(*c)).collect();
            if !shown {
                found.extend(lower.match_indices(word.as_str()).map(|(n, w)| {
                    let start = lower[..n].chars().count();
                    start..start + w.chars().count()
                }));
            }
        }
        found.sort_by_key(|r| r.start);
        found
    }

    fn find_each(&self, chars: &[char], is_wanted: impl Fn(&str) -> bool) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        if !self.is_secret() {
            return found;
        }
        let mut at = 0;
        while at < chars.len() {
            let start = at;
            while at < chars.len() && is_word(chars[at]) {
                at += 1;
            }
            if at > start {
                let word: String = chars[start..at].iter().flat_map(|c| c.to_lowercase()).collect();
                if is_wanted(&word) {
                    found.push(start..at);
                }
            } else {
                at += 1;
            }
        }
        found
    }
}

/// The words one behind the other from `at`: the part that is to be masked, and where the last one ends.
fn match_words(chars: &[char], mut at: usize, words: &[(String, bool)]) -> Option<(Range<usize>, usize)> {
    let mut secret: Option<Range<usize>> = None;
    for (n, (word, shown)) in words.iter().enumerate() {
        if n > 0 {
            let gap = chars[at..].iter().take(4).take_while(|c| !is_word(**c)).count();
            if gap == 0 || gap > 3 || chars[at..at + gap].iter().any(|c| !matches!(c, ' ' | ',' | '.' | '-' | '\n' | '\'')) {
                return None;
            }
            at += gap;
        }
        let start = at;
        for expected in word.chars() {
            if chars.get(at).and_then(|c| c.to_lowercase().next()) != Some(expected) {
                return None;
            }
            at += 1;
        }
        if !shown {
            secret = Some(secret.map_or(start, |s| s.start)..at);
        }
    }
    let cut = word_goes_on(chars, at, words);
    if cut { None } else { secret.map(|s| (s, at)) }
}

fn word_goes_on(chars: &[char], at: usize, words: &[(String, bool)]) -> bool {
    words.last().is_some_and(|(w, _)| w.is_ascii()) && chars.get(at).copied().is_some_and(is_word)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hits(found: Vec<Range<usize>>, text: &str) -> Vec<String> {
        let chars: Vec<char> = text.chars().collect();
        found.into_iter().map(|r| chars[r].iter().collect()).collect()
    }

    fn whole(identity: &Identity, text: &str) -> Vec<String> {
        hits(identity.find_whole(&text.chars().collect::<Vec<_>>()), text)
    }

    #[test]
    fn the_whole_name_goes_and_single_words_stay() {
        let ana = Identity::new("Ana Price", "Ana", None);
        assert_eq!(whole(&ana, "Regards, Ana Price. The price is low, ana PRICE"), ["Price", "PRICE"]);
        assert_eq!(whole(&ana, "Price, Ana"), ["Price"]);
        assert_eq!(whole(&ana, "Ana, what is the price? Ana Prices"), Vec::<String>::new());
        let both = Identity::new("Ana Price", "", None);
        assert_eq!(whole(&both, "I am Ana  Price!"), ["Ana  Price"]);
        assert_eq!(whole(&Identity::new("Shop Sur", "Shop Sur", None), "Shop Sur"), Vec::<String>::new());
        assert_eq!(whole(&Identity::new("山田太郎", "", None), "私は山田太郎です"), ["山田太郎"]);
    }

    #[test]
    fn file_names_lose_names_and_local_parts() {
        let ana = Identity::new("Ana Canary", "Ana", Mailbox::parse("ana.c77@mail.example").ok().as_ref());
        let text = "AnaCanary_ana.c77-factura.pdf";
        assert_eq!(hits(ana.find_in_file_name(&text.chars().collect::<Vec<_>>()), text), ["Canary", "ana.c77"]);
    }
}

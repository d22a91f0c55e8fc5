//! Names that only mail knows: the writer's display name, less what the party record shows anyway.
//!
//! A surname such as Price or Long must not eat the text: single words of a name are masked only where names
//! stand (signatures, file names); in a sentence only the whole display name is.

use std::ops::Range;

use unicode_normalization::char::decompose_canonical;

use crate::address::Mailbox;
use crate::scrub::address::is_word;
use crate::scrub::occurrences;

/// Shortest word of a name that is masked by itself, in letters; of Chinese characters and the like two are a name.
const MIN_WORD: usize = 3;
/// Words of display names that name nobody.
const ROLES: [&str; 48] = [
    "customer",
    "service",
    "services",
    "support",
    "team",
    "sales",
    "info",
    "information",
    "office",
    "shop",
    "store",
    "online",
    "help",
    "helpdesk",
    "admin",
    "contact",
    "the",
    "and",
    "of",
    "de",
    "del",
    "la",
    "al",
    "do",
    "da",
    "atencion",
    "cliente",
    "clientes",
    "ventas",
    "tienda",
    "soporte",
    "equipo",
    "servicio",
    "pedidos",
    "orders",
    "atendimento",
    "vendas",
    "loja",
    "suporte",
    "equipe",
    "kundenservice",
    "verkauf",
    "boutique",
    "client",
    "clientele",
    "negozio",
    "assistenza",
    "vendite",
];
/// Shortest word that is looked for within other words of file names.
const MIN_INNER: usize = 5;
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
            // What is an address is masked as one.
            let tokens = text.split_whitespace().filter(|t| !t.contains('@'));
            tokens
                .flat_map(|t| t.split(|c: char| !is_word(c)))
                .map(|w| w.chars().filter_map(base).collect())
                .filter(|w: &String| !w.is_empty())
                .take(8)
                .collect()
        };
        let shown = split(shown);
        Self {
            words: split(display_name).into_iter().map(|w| (w.clone(), shown.contains(&w) || ROLES.contains(&w.as_str()))).collect(),
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
        // A single word is a whole name where surname and first name are written as one.
        let whole = self.words.len() >= 2 || self.words.first().is_some_and(|(w, _)| is_spaceless(w) && w.chars().count() >= 2);
        if !self.is_secret() || !whole {
            return found;
        }
        let reversed: Vec<_> = self.words.iter().rev().cloned().collect();
        let mut at = 0;
        while at < chars.len() {
            if !is_word(chars[at]) || (at > 0 && is_word(chars[at - 1]) && !is_spaceless(&self.words[0].0)) {
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
        self.find_each(chars, |word| self.words.iter().any(|(w, shown)| !shown && w == word && is_long_enough(w)))
    }

    /// Words of the name, and the local-part of the address, in a file name.
    pub(super) fn find_in_file_name(&self, chars: &[char]) -> Vec<Range<usize>> {
        let mut found = self.find_words(chars);
        let lower: Vec<char> = chars.iter().map(|c| c.to_lowercase().next().unwrap_or(*c)).collect();
        // Names run together in file names: "AnaCanary_factura.pdf".
        let inner = self.words.iter().filter(|(word, shown)| !shown && word.chars().count() >= MIN_INNER).map(|(word, _)| word);
        let local_part = Some(&self.local_part).filter(|l| l.chars().count() >= MIN_LOCAL);
        for wanted in local_part.into_iter().chain(inner) {
            found.extend(occurrences(&lower, &wanted.chars().collect::<Vec<_>>()));
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
                let word: String = chars[start..at].iter().copied().filter_map(base).collect();
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
            if chars.get(at).copied().and_then(base) != Some(expected) {
                return None;
            }
            at += 1;
            at += chars[at..].iter().take_while(|c| base(**c).is_none()).count();
        }
        if !shown {
            secret = Some(secret.map_or(start, |s| s.start)..at);
        }
    }
    let goes_on = chars.get(at).copied().is_some_and(is_word) && !words.last().is_some_and(|(w, _)| is_spaceless(w));
    if goes_on { None } else { secret.map(|s| (s, at)) }
}

/// A letter without case and accents; `None` for an accent by itself.
fn base(c: char) -> Option<char> {
    if matches!(c, '\u{300}'..='\u{36f}') {
        return None;
    }
    let mut first = None;
    decompose_canonical(c, |d| first = first.or(Some(d)));
    first.unwrap_or(c).to_lowercase().next()
}

/// Whether a word is of a script that puts no spaces between words.
fn is_spaceless(word: &str) -> bool {
    word.chars().any(|c| matches!(c, '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}' | '\u{f900}'..='\u{faff}'))
}

fn is_long_enough(word: &str) -> bool {
    word.chars().count() >= if is_spaceless(word) { 2 } else { MIN_WORD }
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
        assert_eq!(
            whole(&Identity::new("José Álvarez", "José", None), "jose alvarez, Jose\u{301} A\u{301}lvarez"),
            ["alvarez", "A\u{301}lvarez"]
        );
        assert_eq!(whole(&Identity::new("İrem Yılmaz", "", None), "İREM YILMAZ, irem yılmaz"), ["irem yılmaz"]);
        assert_eq!(whole(&Identity::new("Ana Canary @ Casa", "Ana", None), "Ana Canary Casa"), ["Canary Casa"]);
        for (name, shown) in [("Customer Service", "Sur"), ("Atención al Cliente", "Sur"), ("Иван", "Ivan")] {
            assert_eq!(
                whole(&Identity::new(name, shown, None), "Customer Service, atención al cliente, Иваново Иван"),
                Vec::<String>::new()
            );
        }
    }

    #[test]
    fn file_names_lose_names_and_local_parts() {
        let ana = Identity::new("Ana Canary", "Ana", Mailbox::parse("ana.c77@mail.example").ok().as_ref());
        let text = "AnaCanary_ana.c77-factura.pdf";
        assert_eq!(hits(ana.find_in_file_name(&text.chars().collect::<Vec<_>>()), text), ["Canary", "ana.c77"]);
    }
}

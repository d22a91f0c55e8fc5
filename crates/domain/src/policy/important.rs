//! The bracketed word in a subject (C5).

/// Whether a decoded subject holds one of the words between ASCII brackets: any case, any place. Full-width
/// brackets, look-alike letters and the word without brackets are not it. Reads each character once.
#[must_use]
pub fn has_bracketed_word<'a>(subject: &str, words: impl Iterator<Item = &'a str> + Clone) -> bool {
    subject.split('[').skip(1).any(|rest| {
        // A word has at most 30 letters: behind an unclosed bracket nothing is searched for long.
        let head: String = rest.chars().take(64).take_while(|c| *c != ']' && *c != '[').collect();
        let closed = rest[head.len()..].starts_with(']');
        closed && words.clone().any(|word| head.trim().to_lowercase() == word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(subject: &str) -> bool {
        has_bracketed_word(subject, ["importante", "important"].into_iter())
    }

    #[test]
    fn any_case_and_place_but_with_ascii_brackets() {
        for yes in
            ["[Importante] Falta un dato", "Falta un dato [IMPORTANTE]", "Re: AW: [ important ] x", "a [x] [importante]", "[[Importante]]"]
        {
            assert!(has(yes), "{yes}");
        }
        for no in [
            "Importante: Falta",
            "(importante)",
            "［Importante］ x",
            "[імportante]",
            "[importantе]",
            "[important",
            "important]",
            "[very important]",
            "[]",
            "",
        ] {
            assert!(!has(no), "{no}");
        }
    }

    #[test]
    fn a_long_subject_costs_its_length() {
        assert!(!has(&"[".repeat(10_000)));
        assert!(has(&format!("{}[Importante]", "[x".repeat(5_000))));
    }
}

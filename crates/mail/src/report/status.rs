//! What words say of a delivery as an enhanced status code: stated, or from an SMTP reply and what the words mean.

use crate::report::code::{Code, codes};
use crate::report::data::{WORDS, flat};

/// What became of a delivery by the words about it. `stated` is the code of a Status field; where it says more than its
/// class, it holds.
pub(super) fn derive(text: &str, stated: Option<Code>) -> Option<Code> {
    if let Some(code) = stated
        && !code.is_open()
    {
        return stated;
    }
    let text = flat(text);
    let fits = |code: &Code| code.class != 2 && stated.is_none_or(|stated| stated.class == code.class);
    let found: Vec<Code> = codes(&text).into_iter().filter(fits).collect();
    // "5.0.0" and "5.3.0" are what servers say that have nothing to say.
    let specific = found.iter().find(|code| code.detail != 0).or_else(|| found.iter().find(|code| code.subject != 0));
    if specific.is_some() {
        return specific.copied();
    }
    let class = stated.map(|code| code.class).or_else(|| reply_class(&text)).or_else(|| found.first().map(|code| code.class));
    match (WORDS.meaning(&text), class) {
        (Some(meaning), Some(class)) => Some(meaning.in_class(class)),
        (Some(meaning), None) => Some(meaning),
        (None, Some(class)) => stated.or(Some(Code::of_class(class))),
        (None, None) => None,
    }
}

/// The class of the first SMTP reply (RFC 5321, section 4.2) of 4yz or 5yz that stands in a text.
fn reply_class(text: &str) -> Option<u8> {
    let bytes = text.as_bytes();
    let opens = |at: usize| at == 0 || matches!(bytes[at - 1], b' ' | b';' | b':' | b'>' | b'(' | b'\'' | b'"');
    let closes = |at: usize| matches!(bytes.get(at), None | Some(b' ' | b'-' | b':' | b'.'));
    bytes.windows(3).enumerate().find_map(|(at, digits)| {
        let is_reply = matches!(digits[0], b'4' | b'5') && (b'0'..=b'5').contains(&digits[1]) && digits[2].is_ascii_digit();
        (is_reply && opens(at) && closes(at + 3)).then(|| digits[0] - b'0')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stated_code_weighs_more_than_a_reply_and_a_reply_more_than_words() {
        let derived = |text: &str, stated: Option<&str>| {
            derive(text, stated.and_then(|code| codes(code).first().copied())).map_or_else(String::new, |code| code.to_string())
        };
        assert_eq!(derived("550 User unknown", None), "5.1.1");
        assert_eq!(derived("450 mailbox full", None), "4.2.2");
        assert_eq!(derived("550 5.2.1 User unknown", None), "5.2.1");
        assert_eq!(derived("550 5.1.1 gone", Some("5.0.0")), "5.1.1");
        assert_eq!(derived("550 5.1.1 gone", Some("5.2.0")), "5.2.0");
        assert_eq!(derived("421 4.3.0 later", Some("5.0.0")), "5.0.0");
        assert_eq!(derived("Connection timed out", None), "4.4.1");
        assert_eq!(derived("554 no", None), "5.0.0");
        assert_eq!(derived("nothing is said", None), "");
    }
}

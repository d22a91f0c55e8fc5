//! Enhanced status codes (RFC 3463) as values, and where they stand in words.

use std::fmt;

/// Most codes looked at in one text.
const MAX_CODES: usize = 50;
/// The subjects that RFC 3463, section 3 defines end here; what looks like a code with a higher one is a version.
const MAX_SUBJECT: u16 = 7;

/// `class.subject.detail`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Code {
    /// 2, 4 or 5.
    pub(super) class: u8,
    /// What the trouble is about: an address, a mailbox, the route (RFC 3463, section 3).
    pub(super) subject: u16,
    pub(super) detail: u16,
}

impl Code {
    /// `class.0.0`: only the class is known (RFC 3463, section 3.1).
    pub(super) fn of_class(class: u8) -> Self {
        Self { class, subject: 0, detail: 0 }
    }

    /// Whether it says no more than its class.
    pub(super) fn is_open(self) -> bool {
        self.subject == 0 && self.detail == 0
    }

    /// The same in another class.
    pub(super) fn in_class(self, class: u8) -> Self {
        Self { class, ..self }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

/// The codes that a text states, in order; versions and IP addresses are none.
pub(super) fn codes(text: &str) -> Vec<Code> {
    let bytes = text.as_bytes();
    memchr::memchr_iter(b'.', bytes).filter_map(|dot| code_at(bytes, dot.checked_sub(1)?)).take(MAX_CODES).collect()
}

fn code_at(bytes: &[u8], at: usize) -> Option<Code> {
    let class = bytes.get(at)?.checked_sub(b'0').filter(|class| matches!(class, 2 | 4 | 5))?;
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if at > 0 && (is_inner(bytes[at - 1]) || bytes[at - 1] == b'.') {
        return None;
    }
    let (subject, dot) = number(bytes, at + 2)?;
    if bytes.get(dot) != Some(&b'.') || subject > MAX_SUBJECT {
        return None;
    }
    let (detail, end) = number(bytes, dot + 1)?;
    let goes_on = match bytes.get(end) {
        Some(b'.') => bytes.get(end + 1).is_some_and(u8::is_ascii_digit),
        Some(byte) => is_inner(*byte),
        None => false,
    };
    (!goes_on).then_some(Code { class, subject, detail })
}

/// One to three digits and where they end.
fn number(bytes: &[u8], at: usize) -> Option<(u16, usize)> {
    let digits = bytes.get(at..)?.iter().take_while(|byte| byte.is_ascii_digit()).take(4).count();
    if !(1..=3).contains(&digits) {
        return None;
    }
    let value = bytes[at..at + digits].iter().fold(0, |value, byte| value * 10 + u16::from(byte - b'0'));
    Some((value, at + digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_addresses_are_no_codes() {
        let found = |text: &str| codes(text).iter().map(Code::to_string).collect::<Vec<_>>();
        assert_eq!(found("550-5.1.1 no; (#5.2.2) 4.4.7."), ["5.1.1", "5.2.2", "4.4.7"]);
        for none in ["5.5.1960.3", "192.5.1.1", "5.1.1.2", "Exim 4.94.2", "v4.1.1", "4.4.4b", "5.1", "5..1", "5.1.", ".", "5.1.1000", ""] {
            assert!(found(none).is_empty(), "{none}");
        }
    }
}

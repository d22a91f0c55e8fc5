//! What a client asks to be told of a delivery (RFC 3461): RET and ENVID of MAIL, NOTIFY and ORCPT of RCPT.
//!
//! Texts are kept decoded, as a report writes them (RFC 3464, sections 2.2.1 and 2.3.1).

use std::fmt;

use smtp_proto::{MAIL_RET_FULL, MAIL_RET_HDRS, RCPT_NOTIFY_DELAY, RCPT_NOTIFY_FAILURE, RCPT_NOTIFY_NEVER, RCPT_NOTIFY_SUCCESS};

/// Longest ENVID (RFC 3461, section 4.4).
const MAX_ENVELOPE_ID: usize = 100;
/// Longest ORCPT (RFC 3461, section 4.2).
const MAX_ORIGINAL_RECIPIENT: usize = 500;

/// What is asked of a whole message.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct DsnRequest {
    /// ENVID, to come back as Original-Envelope-Id.
    pub envelope_id: Option<String>,
    /// RET=HDRS: a report of failure brings the header only.
    pub ret_headers_only: bool,
    /// What is asked of each accepted recipient, in their order.
    pub recipients: Vec<RecipientNotify>,
}

/// What is asked of one recipient. Nothing asked means: a report if the delivery fails or is late.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct RecipientNotify {
    /// NOTIFY=NEVER.
    pub never: bool,
    /// NOTIFY=SUCCESS.
    pub success: bool,
    /// NOTIFY=FAILURE.
    pub failure: bool,
    /// NOTIFY=DELAY.
    pub delay: bool,
    /// ORCPT as Original-Recipient is written: `rfc822;a@x.example`, the address decoded.
    pub original_recipient: Option<String>,
}

impl DsnRequest {
    /// Reads the parameters of MAIL; `None` where RFC 3461 asks for 501.
    pub(crate) fn read(flags: u64, envelope_id: Option<&str>) -> Option<Self> {
        if flags & MAIL_RET_FULL != 0 && flags & MAIL_RET_HDRS != 0 {
            return None;
        }
        if envelope_id.is_some_and(|id| id.is_empty() || id.len() > MAX_ENVELOPE_ID || !id.is_ascii() || !is_printable(id)) {
            return None;
        }
        let ret_headers_only = flags & MAIL_RET_HDRS != 0;
        Some(Self { envelope_id: envelope_id.map(str::to_owned), ret_headers_only, recipients: Vec::new() })
    }
}

impl RecipientNotify {
    /// Reads the parameters of RCPT; `None` where RFC 3461 asks for 501.
    pub(crate) fn read(flags: u64, original_recipient: Option<String>) -> Option<Self> {
        let is = |flag: u64| flags & flag != 0;
        // RFC 3461, section 4.1: NEVER stands alone.
        if is(RCPT_NOTIFY_NEVER) && is(RCPT_NOTIFY_SUCCESS | RCPT_NOTIFY_FAILURE | RCPT_NOTIFY_DELAY) {
            return None;
        }
        Some(Self {
            never: is(RCPT_NOTIFY_NEVER),
            success: is(RCPT_NOTIFY_SUCCESS),
            failure: is(RCPT_NOTIFY_FAILURE),
            delay: is(RCPT_NOTIFY_DELAY),
            original_recipient,
        })
    }
}

impl fmt::Debug for DsnRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DsnRequest({} recipients)", self.recipients.len())
    }
}

impl fmt::Debug for RecipientNotify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { never, success, failure, delay, .. } = self;
        f.debug_struct("RecipientNotify")
            .field("never", never)
            .field("success", success)
            .field("failure", failure)
            .field("delay", delay)
            .finish_non_exhaustive()
    }
}

/// Original-Recipient from an address type and its decoded address; `None` for what no report may hold.
pub(crate) fn original_recipient(kind: &str, address: &str) -> Option<String> {
    let is_kind = (1..=32).contains(&kind.len()) && kind.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    // RFC 6533, section 3: only this type has other letters.
    let is_address = !address.is_empty() && is_printable(address) && (address.is_ascii() || kind.eq_ignore_ascii_case("utf-8"));
    (is_kind && is_address).then(|| format!("{};{address}", kind.to_ascii_lowercase()))
}

/// Takes ORCPT out of a RCPT line whose address type the parser does not know, such as `utf-8` (RFC 6533, section 3).
/// Gives the line without it and the Original-Recipient.
pub(crate) fn take_original_recipient(line: &[u8]) -> Option<(Vec<u8>, String)> {
    let path_end = memchr::memchr(b'>', line)? + 1;
    let parameters = std::str::from_utf8(&line[path_end..]).ok()?;
    let mut rest = line[..path_end].to_vec();
    let mut found = None;
    for word in parameters.split_ascii_whitespace() {
        match word.split_once('=') {
            Some((name, value)) if name.eq_ignore_ascii_case("ORCPT") && found.is_none() => found = Some(value),
            _ => {
                rest.push(b' ');
                rest.extend_from_slice(word.as_bytes());
            }
        }
    }
    rest.extend_from_slice(b"\r\n");
    let (kind, address) = found.filter(|value| value.len() <= MAX_ORIGINAL_RECIPIENT)?.split_once(';')?;
    let address = if kind.eq_ignore_ascii_case("utf-8") { decode_utf8_address(address)? } else { decode_xtext(address)? };
    Some((rest, original_recipient(kind, &address)?))
}

/// RFC 3461, section 4: `+` and two hex digits stand for an octet.
pub(crate) fn decode_xtext(text: &str) -> Option<String> {
    let mut octets = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        octets.push(match byte {
            b'+' => (hex(bytes.next()?)? << 4) | hex(bytes.next()?)?,
            b'!'..=b'~' if byte != b'=' => byte,
            _ => return None,
        });
    }
    String::from_utf8(octets).ok()
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|d| u8::try_from(d).ok())
}

/// RFC 6533, section 3: `\x{221A}` stands for a character; others stand for themselves.
fn decode_utf8_address(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\\x{") {
        let (digits, after) = after.split_once('}')?;
        let is_point = (2..=6).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
        let point = u32::from_str_radix(digits, 16).ok().filter(|_| is_point)?;
        out.push_str(before);
        out.push(char::from_u32(point)?);
        rest = after;
    }
    out.push_str(rest);
    Some(out)
}

/// Nothing that could begin a new line in a report.
fn is_printable(text: &str) -> bool {
    !text.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_original_recipient_in_any_script_is_taken_out_of_its_line() {
        let (line, original) = take_original_recipient(b"RCPT TO:<b@d.example> ORCPT=utf-8;jos\\x{E9}@x.example NOTIFY=NEVER\r\n").unwrap();
        assert_eq!(line, b"RCPT TO:<b@d.example> NOTIFY=NEVER\r\n");
        assert_eq!(original, "utf-8;josé@x.example");
        let (_, original) = take_original_recipient(b"RCPT TO:<b@d.example> orcpt=X400;a+2Bb+3D\r\n").unwrap();
        assert_eq!(original, "x400;a+b=");
    }

    #[test]
    fn nothing_that_would_begin_a_line_in_a_report_is_kept() {
        let long = format!("ORCPT=utf-8;{}", "a".repeat(500));
        for bad in [
            "ORCPT=utf-8;a\\x{0D}\\x{0A}X:",
            "ORCPT=x;a+0D+0Ab",
            "ORCPT=x;",
            "ORCPT=;a",
            "ORCPT=x;+4",
            "ORCPT=x;+ZZ",
            "ORCPT=x;+C3+A9",
            long.as_str(),
            "A=b",
        ] {
            assert!(take_original_recipient(format!("RCPT TO:<b@d.example> {bad}\r\n").as_bytes()).is_none(), "{bad}");
        }
        assert!(DsnRequest::read(0, Some("a\r\nb")).is_none());
        assert!(DsnRequest::read(MAIL_RET_FULL | MAIL_RET_HDRS, None).is_none());
        assert!(RecipientNotify::read(RCPT_NOTIFY_NEVER | RCPT_NOTIFY_DELAY, None).is_none());
    }

    #[test]
    fn debug_shows_no_address() {
        let notify = RecipientNotify { original_recipient: Some("rfc822;ana@x.example".to_owned()), ..RecipientNotify::default() };
        let request = DsnRequest { envelope_id: Some("ana".to_owned()), recipients: vec![notify.clone()], ..DsnRequest::default() };
        assert!(!format!("{notify:?} {request:?}").contains("ana"));
    }
}

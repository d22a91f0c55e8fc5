//! From bytes to Unicode: transfer encodings, charsets, encoded words.
//!
//! Whatever the bytes are, a text comes out: unknown charsets are read as UTF-8 with replacement, because
//! an undecoded text could hide an address from everything that searches it.

use base64::Engine;
use mail_parser::HeaderValue;
use mail_parser::decoders::base64::base64_decode;
use mail_parser::decoders::charsets::map::charset_decoder;
use mail_parser::decoders::quoted_printable::quoted_printable_decode;
use mail_parser::parsers::MessageStream;

use crate::mime::structure::Entity;

/// How a body is encoded for transfer (RFC 2045, section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferEncoding {
    /// As it stands.
    Identity,
    /// Base64.
    Base64,
    /// Quoted-printable.
    QuotedPrintable,
    /// None that we know: nobody can say what the body shows once somebody decodes it.
    Unknown,
}

/// The transfer encoding of an entity; comments and parameters behind the word do not count.
#[must_use]
pub fn transfer_encoding(entity: &Entity<'_>) -> TransferEncoding {
    let field = entity.fields.raw("Content-Transfer-Encoding").unwrap_or_default().to_ascii_lowercase();
    match field.split(|c: char| c.is_whitespace() || c == ';' || c == '(').find(|w| !w.is_empty()).unwrap_or_default() {
        "" | "7bit" | "8bit" | "binary" => TransferEncoding::Identity,
        "base64" => TransferEncoding::Base64,
        "quoted-printable" => TransferEncoding::QuotedPrintable,
        _ => TransferEncoding::Unknown,
    }
}

/// The body of an entity after its transfer encoding.
///
/// What stands in base64 without being of it, such as a footer that a gateway added, is left out.
#[must_use]
pub fn decode_transfer(entity: &Entity<'_>) -> Vec<u8> {
    match transfer_encoding(entity) {
        TransferEncoding::Base64 => base64_decode(entity.body).unwrap_or_else(|| lenient_base64(entity.body)),
        TransferEncoding::QuotedPrintable => quoted_printable_decode(entity.body).unwrap_or_else(|| entity.body.to_vec()),
        TransferEncoding::Identity | TransferEncoding::Unknown => entity.body.to_vec(),
    }
}

fn lenient_base64(body: &[u8]) -> Vec<u8> {
    let mut digits: Vec<u8> =
        body.iter().copied().take_while(|b| *b != b'=').filter(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/')).collect();
    // A lone digit holds no octet.
    if digits.len() % 4 == 1 {
        digits.pop();
    }
    base64::engine::general_purpose::STANDARD_NO_PAD.decode(&digits).unwrap_or_default()
}

/// The text of a text entity in Unicode with `\n` line ends, without NUL and other controls.
#[must_use]
pub fn decode_text(entity: &Entity<'_>) -> String {
    let bytes = decode_transfer(entity);
    let text = match entity.charset.as_deref().and_then(|c| charset_decoder(c.as_bytes())) {
        Some(decoder) => decoder(&bytes),
        None => String::from_utf8(bytes).unwrap_or_else(|e| latin1_or_lossy(e.as_bytes())),
    };
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let keep = |c: &char| !c.is_control() || matches!(c, '\n' | '\t');
    text.replace("\r\n", "\n").replace('\r', "\n").chars().filter(keep).collect()
}

/// Unlabelled 8-bit text that is no UTF-8 is most often a Windows code page.
fn latin1_or_lossy(bytes: &[u8]) -> String {
    match charset_decoder(b"windows-1252") {
        Some(decoder) => decoder(bytes),
        None => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// An unstructured field value: unfolded, encoded words decoded (RFC 2047), on one line, trimmed.
#[must_use]
pub fn decode_words(value: &[u8]) -> String {
    let terminated = [value, b"\r\n"].concat();
    let decoded = match MessageStream::new(&terminated).parse_unstructured() {
        HeaderValue::Text(text) => text.into_owned(),
        HeaderValue::TextList(list) => list.join(" "),
        _ => String::from_utf8_lossy(value).into_owned(),
    };
    decoded.split(|c: char| c.is_control()).filter(|s| !s.is_empty()).collect::<Vec<_>>().join(" ").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mime::parse;

    fn text(raw: &[u8]) -> String {
        decode_text(&parse(raw).unwrap().entities[0])
    }

    #[test]
    fn charsets_that_hide_an_address_are_opened() {
        assert_eq!(text(b"Content-Type: text/plain; charset=utf-7\r\n\r\n+AEA-x"), "@x");
        assert_eq!(text(b"Content-Type: text/plain; charset=utf-16le\r\nContent-Transfer-Encoding: base64\r\n\r\nYQBAAGIA"), "a@b");
        assert_eq!(text(b"Content-Type: text/plain; charset=iso-2022-jp\r\n\r\n\x1b$B$\"\x1b(B a@b"), "あ a@b");
        assert_eq!(text(b"Content-Transfer-Encoding: BASE64 (really)\r\n\r\nYUBi\r\n-- footer of a gateway!\r\n")[..3], *"a@b");
        assert_eq!(text(b"Content-Transfer-Encoding: quoted-printable\r\n\r\na=\r\n=40b"), "a@b");
    }

    #[test]
    fn encoded_words_become_one_line() {
        assert_eq!(decode_words(b" =?utf-8?q?Hola=0D=0ABcc:_x?=\r\n =?utf-8?b?w7E=?="), "Hola Bcc: xñ");
    }
}

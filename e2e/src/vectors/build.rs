//! What messages of the set are made of: fields, parts, transfer encodings, and the containers within files.
//!
//! Everything is written with `\n`; the finished letter has CRLF.

use std::io::{Cursor, Write};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use flate2::Compression;
use flate2::write::ZlibEncoder;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::vectors::Case;

/// A message about to be written; each field of it may be replaced.
pub struct Letter<'a> {
    pub case: &'a Case<'a>,
    /// Lines above From.
    pub top: String,
    pub from: String,
    pub to: String,
    pub subject: String,
    pub id: String,
    pub date: String,
    pub version: String,
    /// Lines below.
    pub more: String,
}

impl<'a> Letter<'a> {
    pub fn new(case: &'a Case<'a>) -> Self {
        Self {
            case,
            top: String::new(),
            from: format!("<{}>", case.from),
            to: format!("<{}>", case.alias),
            subject: "A word about the lamp".to_owned(),
            id: format!("<{}@letters.example>", case.word),
            date: "Fri, 20 Nov 2026 10:00:00 +0000".to_owned(),
            version: "1.0".to_owned(),
            more: String::new(),
        }
    }

    /// The whole message: its fields, those of the content, the empty line, the content.
    pub fn with(self, content_fields: &str, content: &str) -> Vec<u8> {
        let Self { case: _, top, from, to, subject, id, date, version, more } = self;
        let head = format!(
            "{top}From: {from}\nTo: {to}\nSubject: {subject}\nMessage-ID: {id}\nDate: {date}\nMIME-Version: {version}\n{more}{content_fields}\n"
        );
        crlf(format!("{head}\n{content}\n").as_bytes())
    }

    /// Plain text in UTF-8.
    pub fn plain(self, text: &str) -> Vec<u8> {
        self.with("Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit", text)
    }

    /// HTML in UTF-8.
    pub fn html(self, body: &str) -> Vec<u8> {
        let document = format!("<!DOCTYPE html>\n<html><head><title>Lamp</title></head><body>\n{body}\n</body></html>");
        self.html_document(&document)
    }

    /// HTML in UTF-8, with a head of its own.
    pub fn html_document(self, document: &str) -> Vec<u8> {
        self.with("Content-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: 8bit", document)
    }

    /// What the author wrote as one part, then further ones.
    pub fn mixed(self, parts: &[String]) -> Vec<u8> {
        let written = text_part(&self.case.written);
        self.multipart("mixed", &[std::slice::from_ref(&written), parts].concat())
    }

    /// A multipart; its type may carry parameters.
    pub fn multipart(self, kind: &str, parts: &[String]) -> Vec<u8> {
        self.with(&format!("Content-Type: multipart/{kind}; boundary=\"=_letter\""), &joined("=_letter", parts))
    }

    /// What the author wrote, and a file.
    pub fn file(self, name: &str, kind: &str, octets: &[u8]) -> Vec<u8> {
        self.mixed(&[file_part(name, kind, octets)])
    }
}

/// The body of a multipart.
pub fn joined(boundary: &str, parts: &[String]) -> String {
    let parts: String = parts.iter().map(|part| format!("--{boundary}\n{part}\n")).collect();
    format!("{parts}--{boundary}--")
}

/// A part: its fields, the empty line, its body.
pub fn part(fields: &str, body: &str) -> String {
    format!("{fields}\n\n{body}")
}

pub fn text_part(text: &str) -> String {
    part("Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit", text)
}

pub fn html_part(html: &str) -> String {
    part("Content-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: 8bit", html)
}

pub fn file_part(name: &str, kind: &str, octets: &[u8]) -> String {
    let disposition = format!("Content-Disposition: attachment; filename=\"{name}\"");
    part(&format!("Content-Type: {kind}; name=\"{name}\"\n{disposition}\nContent-Transfer-Encoding: base64"), &to_base64(octets))
}

/// Every line end as CRLF.
pub fn crlf(octets: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(octets.len() + octets.len() / 32);
    for octet in octets.iter().filter(|b| **b != b'\r') {
        if *octet == b'\n' {
            out.push(b'\r');
        }
        out.push(*octet);
    }
    out
}

/// In lines of 76 digits, as everywhere in mail.
pub fn to_base64(octets: &[u8]) -> String {
    lines(&STANDARD.encode(octets), 76)
}

/// ASCII cut into lines, each with its end.
pub fn lines(text: &str, width: usize) -> String {
    text.as_bytes().chunks(width).map(|line| format!("{}\n", String::from_utf8_lossy(line))).collect()
}

/// Quoted-printable in which every octet is encoded.
pub fn quoted_throughout(text: &str) -> String {
    let encoded: String = text.bytes().map(|b| format!("={b:02X}")).collect();
    encoded.as_bytes().chunks(72).map(|line| String::from_utf8_lossy(line).into_owned()).collect::<Vec<_>>().join("=\n")
}

pub fn percent_throughout(text: &str) -> String {
    text.bytes().map(|b| format!("%{b:02x}")).collect()
}

/// RFC 2152, everything shifted.
pub fn utf7(text: &str) -> String {
    format!("+{}-", STANDARD_NO_PAD.encode(utf16_be(text)))
}

pub fn utf16_be(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

pub fn utf16_le(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// A file in running text, as before MIME.
pub fn uuencode(name: &str, octets: &[u8]) -> String {
    let digit = |value: u32| char::from(if value == 0 { b'`' } else { value.to_be_bytes()[3] + 32 });
    let line = |chunk: &[u8]| {
        let groups = chunk.chunks(3).flat_map(|group| {
            let at = |n: usize| u32::from(group.get(n).copied().unwrap_or(0));
            let bits = (at(0) << 16) | (at(1) << 8) | at(2);
            [18_u32, 12, 6, 0].map(|shift| digit((bits >> shift) & 63))
        });
        let length = digit(u32::try_from(chunk.len()).unwrap());
        format!("{length}{}\n", groups.collect::<String>())
    };
    let body: String = octets.chunks(45).map(line).collect();
    format!("begin 644 {name}\n{body}`\nend")
}

/// CRC-32 of ISO 3309, as PNG has it.
pub fn crc32(octets: &[u8]) -> u32 {
    !octets.iter().fold(u32::MAX, |crc, octet| {
        (0..8).fold(crc ^ u32::from(*octet), |crc, _| if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 })
    })
}

/// Octets in a zlib stream.
pub fn zlib(octets: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(octets).unwrap();
    encoder.finish().unwrap()
}

/// Files in a zip, deflated.
pub fn zipped(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, octets) in files {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(octets).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// A number of 16 bits, big-endian.
pub fn be16(value: usize) -> [u8; 2] {
    u16::try_from(value).unwrap().to_be_bytes()
}

/// A number of 32 bits, big-endian.
pub fn be32(value: usize) -> [u8; 4] {
    u32::try_from(value).unwrap().to_be_bytes()
}

/// A number of 16 bits, little-endian.
pub fn le16(value: usize) -> [u8; 2] {
    u16::try_from(value).unwrap().to_le_bytes()
}

/// A number of 32 bits, little-endian.
pub fn le32(value: usize) -> [u8; 4] {
    u32::try_from(value).unwrap().to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_are_those_of_their_standards() {
        assert_eq!(uuencode("cat.txt", b"Cat"), "begin 644 cat.txt\n#0V%T\n`\nend");
        assert_eq!(utf7("@"), "+AEA-");
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(quoted_throughout("a@"), "=61=40");
        assert_eq!(crlf(b"a\nb\r\n"), b"a\r\nb\r\n");
        assert_eq!(joined("b", &["x".to_owned()]), "--b\nx\n--b--");
    }
}

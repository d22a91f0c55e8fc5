//! Search of a secret in octets under every decoding that a reader of mail or of files may apply.
//!
//! Breadth first: the octets themselves, then what one decoding makes of them, then two, up to six. Text decodings
//! follow one another in one order only, so that their number stays small; decodings of structure begin anew.

use std::collections::{HashSet, VecDeque};
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Read;

use flate2::read::{DeflateDecoder, GzDecoder, ZlibDecoder};

/// Decodings that follow one another.
const MAX_DEPTH: usize = 6;
/// Octets of all views of one message together; a message of the set needs about a tenth of it.
const MAX_OCTETS: usize = 16 << 20;
/// Octets that one compressed stream may unfold to.
const MAX_INFLATED: u64 = 2 << 20;
/// Shortest run of digits that is taken for base64 or hexadecimal.
const MIN_RUN: usize = 16;

/// One way to read the octets.
struct View {
    path: String,
    octets: Vec<u8>,
    depth: usize,
    /// The last of the text decodings behind it.
    rank: usize,
}

/// Everything that octets can be read as.
pub struct Views {
    views: Vec<View>,
    /// Whether there was more than the budget allows to look at.
    pub cut: bool,
}

/// Where a secret was found, as the decodings that lead to it; `None` if nothing shows it. ASCII case does not count.
pub fn find(octets: &[u8], secret: &str) -> Option<String> {
    Views::of(octets).find(secret).map(str::to_owned)
}

impl Views {
    /// Reads octets, such as a whole message.
    pub fn of(octets: &[u8]) -> Self {
        let mut out = Self { views: Vec::new(), cut: false };
        let (mut seen, mut budget) = (HashSet::new(), MAX_OCTETS);
        let whole = View { path: "as it stands".to_owned(), octets: octets.to_vec(), depth: 0, rank: 0 };
        let mut waiting = VecDeque::from([whole]);
        while let Some(view) = waiting.pop_front() {
            if view.depth < MAX_DEPTH {
                for (how, octets, rank) in decodings(&view) {
                    if octets.len() < 4 || !seen.insert(hash(&octets, rank)) {
                        continue;
                    }
                    if octets.len() > budget {
                        out.cut = true;
                        continue;
                    }
                    budget -= octets.len();
                    waiting.push_back(View { path: format!("{} › {how}", view.path), octets, depth: view.depth + 1, rank });
                }
            }
            out.views.push(view);
        }
        out.views.iter_mut().for_each(|view| view.octets.make_ascii_lowercase());
        out
    }

    /// The decodings that lead to a secret.
    pub fn find(&self, secret: &str) -> Option<&str> {
        let secret = secret.to_ascii_lowercase();
        self.views.iter().find(|view| contains(&view.octets, secret.as_bytes())).map(|view| view.path.as_str())
    }
}

fn contains(octets: &[u8], what: &[u8]) -> bool {
    let Some(first) = what.first() else { return true };
    octets.windows(what.len()).any(|window| window[0] == *first && window == what)
}

fn hash(octets: &[u8], rank: usize) -> u64 {
    let mut hasher = DefaultHasher::new();
    octets.hash(&mut hasher);
    rank.hash(&mut hasher);
    hasher.finish()
}

type Decoder = fn(&[u8]) -> Vec<u8>;

/// What one decoding makes of a view: its name, the octets, and the rank from which text decodings go on.
fn decodings(view: &View) -> Vec<(String, Vec<u8>, usize)> {
    let octets = view.octets.as_slice();
    let mut found: Vec<(String, Vec<u8>)> = compressed(octets);
    if octets.iter().filter(|b| **b == 0).count() >= 4 {
        let units: [fn([u8; 2]) -> u16; 2] = [u16::from_le_bytes, u16::from_be_bytes];
        for offset in [0_usize, 1] {
            found.extend(units.map(|unit| ("UTF-16".to_owned(), utf16(octets, offset, unit))));
        }
    }
    if !is_text(octets) {
        found.push(("texts".to_owned(), texts(octets)));
        return found.into_iter().map(|(how, octets)| (how, octets, 0)).collect();
    }
    if view.depth == 0 || contains(&octets.to_ascii_lowercase(), b"content-type:") {
        found.extend(entities_of(octets));
    }
    found.extend(base64_runs(octets).into_iter().map(|octets| ("base64".to_owned(), octets)));
    found.extend(hexadecimal(octets).into_iter().map(|octets| ("hexadecimal".to_owned(), octets)));
    found.push(("uuencoded".to_owned(), uudecoded(octets)));
    found.push(("encoded words".to_owned(), encoded_words(octets)));
    found.push(("continued parameters".to_owned(), continued_parameters(octets)));
    let mut out: Vec<_> = found.into_iter().map(|(how, octets)| (how, octets, 0)).collect();
    // In this order; one may follow itself, so that what was encoded twice is found.
    let in_order: [(&str, Decoder); 7] = [
        ("octal escapes", octal),
        ("quoted-printable", quoted_printable),
        ("HTML entities", html_entities),
        ("percent", percent),
        ("without tags", without_tags),
        ("without invisible characters", without_invisible),
        ("narrow forms", narrow),
    ];
    for (rank, (how, decode)) in in_order.into_iter().enumerate().skip(view.rank) {
        let decoded = decode(octets);
        if decoded != octets {
            out.push((how.to_owned(), decoded, rank));
        }
    }
    out
}

/// Nearly free of control characters, as no compressed or binary content is.
fn is_text(octets: &[u8]) -> bool {
    let controls = octets.iter().filter(|b| matches!(b, 0..=8 | 11 | 14..=26 | 28..=31 | 127)).count();
    controls * 50 <= octets.len()
}

/// Runs of printable characters in binary content.
fn texts(octets: &[u8]) -> Vec<u8> {
    let runs = octets.split(|b| !matches!(b, b'\t' | b'\n' | b'\r' | b' '..=b'~' | 0x80..=0xff));
    runs.filter(|run| run.len() >= 6).collect::<Vec<_>>().join(&b'\n')
}

/// The header, decoded, and each part, decoded, of what is a message.
fn entities_of(octets: &[u8]) -> Vec<(String, Vec<u8>)> {
    let Ok(message) = mail::mime::parse(octets) else { return Vec::new() };
    let mut out = Vec::new();
    for (n, entity) in message.entities.iter().enumerate() {
        let mut header = String::new();
        for field in entity.fields.iter() {
            let _ = writeln!(header, "{}: {}", field.name, mail::mime::decode_words(field.value));
        }
        let _ = writeln!(header, "{}", entity.file_name.as_deref().unwrap_or_default());
        out.push((format!("header {n}"), header.into_bytes()));
        if !entity.is_multipart() {
            out.push((format!("part {n}"), mail::mime::decode_transfer(entity)));
            out.push((format!("text of part {n}"), mail::mime::decode_text(entity).into_bytes()));
        }
    }
    out
}

/// What stands in zlib, gzip and zip streams; a damaged one as far as it can be read.
fn compressed(octets: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut out = Vec::new();
    for (at, start) in octets.windows(4).enumerate() {
        let rest = &octets[at..];
        let (how, content) = match start {
            [0x78, 0x01 | 0x5e | 0x9c | 0xda, ..] => ("zlib", inflated(ZlibDecoder::new(rest))),
            [0x1f, 0x8b, 8, _] => ("gzip", inflated(GzDecoder::new(rest))),
            [b'P', b'K', 3, 4] => ("zip", zip_entry(rest)),
            _ => continue,
        };
        if content.len() >= 4 {
            out.push((how.to_owned(), content));
        }
    }
    out
}

fn inflated(stream: impl Read) -> Vec<u8> {
    let mut out = Vec::new();
    // An error ends it; what was read before stays.
    let _ = stream.take(MAX_INFLATED).read_to_end(&mut out);
    out
}

/// The content behind a local header of a zip file, if it is deflated; what is stored is seen as it stands.
fn zip_entry(octets: &[u8]) -> Vec<u8> {
    let short = |at: usize| octets.get(at..at + 2).map(|b| usize::from(u16::from_le_bytes([b[0], b[1]])));
    let (Some(8), Some(name), Some(extra)) = (short(8), short(26), short(28)) else { return Vec::new() };
    octets.get(30 + name + extra..).map(|content| inflated(DeflateDecoder::new(content))).unwrap_or_default()
}

/// Runs of ASCII in units of 16 bits, from an offset on.
fn utf16(octets: &[u8], offset: usize, unit: fn([u8; 2]) -> u16) -> Vec<u8> {
    let letter = |pair: &[u8]| u8::try_from(unit([pair[0], pair[1]])).ok().filter(u8::is_ascii).unwrap_or(0);
    let letters: Vec<u8> = octets[offset.min(octets.len())..].chunks_exact(2).map(letter).collect();
    texts(&letters)
}

/// Runs of base64 digits, also over line ends, decoded from each of four places: nobody knows where one begins.
fn base64_runs(octets: &[u8]) -> Vec<Vec<u8>> {
    let digit = |b: &u8| b.is_ascii_alphanumeric() || b"+/-_".contains(b);
    let runs = runs(octets, digit, b"\r\n");
    (0_usize..4).map(|offset| runs.iter().flat_map(|run| from_base64(&run[offset..])).collect::<Vec<u8>>()).collect()
}

fn from_base64(run: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(run.len() + 1);
    let (mut bits, mut held) = (0_u32, 0_u32);
    for digit in run {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' | b'-' => 62,
            _ => 63,
        };
        bits = ((bits << 6) | u32::from(value)) & 0xff_ffff;
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push((bits >> held).to_be_bytes()[3]);
        }
    }
    out.push(b'\n');
    out
}

/// Runs of hexadecimal digits, also with spaces between, from both places.
fn hexadecimal(octets: &[u8]) -> Vec<Vec<u8>> {
    let value = |b: u8| char::from(b).to_digit(16).unwrap_or(0);
    let runs = runs(octets, u8::is_ascii_hexdigit, b" \r\n");
    let decode = |run: &[u8]| run.chunks_exact(2).map(|pair| (value(pair[0]) * 16 + value(pair[1])).to_be_bytes()[3]).collect::<Vec<_>>();
    (0_usize..2).map(|offset| runs.iter().flat_map(|run| decode(&run[offset..])).collect::<Vec<u8>>()).collect()
}

/// Runs of digits, with what may stand between them left out.
fn runs(octets: &[u8], is_digit: impl Fn(&u8) -> bool, between: &[u8]) -> Vec<Vec<u8>> {
    let mut out = vec![Vec::new()];
    for octet in octets {
        if is_digit(octet) {
            out.last_mut().unwrap().push(*octet);
        } else if !between.contains(octet) && !out.last().unwrap().is_empty() {
            out.push(Vec::new());
        }
    }
    out.retain(|run| run.len() >= MIN_RUN);
    out
}

fn uudecoded(octets: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut inside = false;
    for line in octets.split(|b| *b == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line)) {
        if line.starts_with(b"begin ") {
            inside = true;
        } else if line == b"end" {
            inside = false;
        } else if inside && let Some((length, digits)) = line.split_first() {
            let value = |n: usize| u32::from(digits.get(n).copied().unwrap_or(b' ').wrapping_sub(32) & 63);
            let groups = (0..digits.len()).step_by(4).map(|n| (value(n) << 18) | (value(n + 1) << 12) | (value(n + 2) << 6) | value(n + 3));
            let decoded = groups.flat_map(|group| group.to_be_bytes()[1..].to_vec());
            out.extend(decoded.take(usize::from(length.wrapping_sub(32) & 63)));
        }
    }
    out
}

/// Escapes of strings in PDF.
fn octal(octets: &[u8]) -> Vec<u8> {
    let is_octal = |b: &u8| (b'0'..=b'7').contains(b);
    let escape = |rest: &[u8]| match rest {
        [b'\\', a, b, c, ..] if [a, b, c].into_iter().all(is_octal) => {
            let value = u32::from(a - b'0') * 64 + u32::from(b - b'0') * 8 + u32::from(c - b'0');
            Some((vec![value.to_be_bytes()[3]], 4))
        }
        _ => None,
    };
    replaced(octets, escape)
}

/// RFC 2047, wherever it stands.
fn encoded_words(octets: &[u8]) -> Vec<u8> {
    if !contains(octets, b"=?") {
        return Vec::new();
    }
    let text = String::from_utf8_lossy(octets).replace("\r\n", "\n").replace("\n ", " ").replace("\n\t", " ");
    text.split('\n').map(|line| mail::mime::decode_words(line.as_bytes())).collect::<Vec<_>>().join("\n").into_bytes()
}

/// RFC 2231: values that are continued from parameter to parameter.
fn continued_parameters(octets: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(octets);
    let mut out = String::new();
    for piece in text.split([';', '\n']) {
        let Some((name, value)) = piece.trim().split_once('=') else { continue };
        let Some((_, number)) = name.trim_end_matches('*').split_once('*') else { continue };
        if number == "0" {
            out.push('\n');
        }
        if number.bytes().all(|b| b.is_ascii_digit()) {
            out.push_str(value.trim().trim_matches('"'));
        }
    }
    percent(out.as_bytes())
}

fn quoted_printable(octets: &[u8]) -> Vec<u8> {
    replaced(octets, |rest| match rest {
        [b'=', b'\r', b'\n', ..] => Some((Vec::new(), 3)),
        [b'=', b'\n', ..] => Some((Vec::new(), 2)),
        [b'=', high, low, ..] => Some((vec![hex_pair(*high, *low)?], 3)),
        _ => None,
    })
}

fn percent(octets: &[u8]) -> Vec<u8> {
    replaced(octets, |rest| match rest {
        [b'%', high, low, ..] => Some((vec![hex_pair(*high, *low)?], 3)),
        _ => None,
    })
}

fn hex_pair(high: u8, low: u8) -> Option<u8> {
    let value = char::from(high).to_digit(16)? * 16 + char::from(low).to_digit(16)?;
    u8::try_from(value).ok()
}

fn html_entities(octets: &[u8]) -> Vec<u8> {
    replaced(octets, |rest| {
        let [b'&', name @ ..] = rest else { return None };
        let end = name.iter().take(12).position(|b| !b.is_ascii_alphanumeric() && *b != b'#')?;
        let text = std::str::from_utf8(&name[..end]).ok()?;
        let number = text.strip_prefix('#').and_then(|digits| match digits.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok(),
            None => digits.parse().ok(),
        });
        let character = match text {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            "nbsp" => '\u{a0}',
            "shy" => '\u{ad}',
            "zwnj" => '\u{200c}',
            "zwj" => '\u{200d}',
            "commat" => '@',
            "period" => '.',
            _ => number.and_then(char::from_u32)?,
        };
        let semicolon = usize::from(name.get(end) == Some(&b';'));
        Some((character.to_string().into_bytes(), 1 + end + semicolon))
    })
}

fn without_tags(octets: &[u8]) -> Vec<u8> {
    replaced(octets, |rest| match rest {
        [b'<', next, ..] if next.is_ascii_alphabetic() || b"/!?".contains(next) => {
            rest.iter().position(|b| *b == b'>').map(|end| (Vec::new(), end + 1))
        }
        _ => None,
    })
}

fn without_invisible(octets: &[u8]) -> Vec<u8> {
    let is_invisible = |c: &char| {
        matches!(
            c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
                | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}'
        )
    };
    changed(octets, |text| text.chars().filter(|c| !is_invisible(c)).collect())
}

/// Full-width forms as what they look like.
fn narrow(octets: &[u8]) -> Vec<u8> {
    let narrowed = |c: char| match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        '\u{3002}' | '\u{ff61}' => '.',
        '\u{fe6b}' => '@',
        c => c,
    };
    changed(octets, |text| text.chars().map(narrowed).collect())
}

/// Text that is changed as a whole; octets without anything beyond ASCII stay.
fn changed(octets: &[u8], change: impl Fn(&str) -> String) -> Vec<u8> {
    if octets.is_ascii() {
        return octets.to_vec();
    }
    let text = String::from_utf8_lossy(octets);
    let changed = change(&text);
    if changed == text { octets.to_vec() } else { changed.into_bytes() }
}

/// Copies octets; where `decode` knows what stands there, it says what to write and how many octets that was.
fn replaced(octets: &[u8], decode: impl Fn(&[u8]) -> Option<(Vec<u8>, usize)>) -> Vec<u8> {
    let mut out = Vec::with_capacity(octets.len());
    let mut at = 0;
    while at < octets.len() {
        // Every escape begins with one of these; the rest is copied without asking.
        let decoded = if b"=%&<\\".contains(&octets[at]) { decode(&octets[at..]) } else { None };
        match decoded {
            Some((with, length)) => {
                out.extend(with);
                at += length;
            }
            None => {
                out.push(octets[at]);
                at += 1;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors::build;

    const SECRET: &str = "zqs00bxk";

    fn message(fields: &str, body: &str) -> Vec<u8> {
        build::crlf(format!("From: a@b.example\nSubject: x\n{fields}\n{body}\n").as_bytes())
    }

    fn assert_found(what: &str, octets: &[u8]) {
        assert!(find(octets, SECRET).is_some(), "{what}: not found");
        assert_eq!(find(octets, "zqs99bxk"), None, "{what}: what is absent was found");
    }

    fn utf16_of(text: &str, unit: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(unit).collect()
    }

    #[test]
    fn a_secret_is_found_in_every_text_encoding() {
        let word = format!("mail to {SECRET} now");
        let hex = |prefix: &str| SECRET.bytes().map(|b| format!("{prefix}{b:02X}")).collect::<String>();
        let between = |what: &str| SECRET.chars().map(|c| format!("{c}{what}")).collect::<String>();
        let full_width: String = SECRET.chars().map(|c| char::from_u32(u32::from(c) + 0xfee0).unwrap()).collect();
        let octal: String = SECRET.bytes().map(|b| format!("\\{b:03o}")).collect();
        for (what, text) in [
            ("plain", word.clone()),
            ("other case", word.to_uppercase()),
            ("quoted-printable", hex("=")),
            ("soft line break", between("=\n")),
            ("percent", hex("%")),
            ("percent twice", hex("%25")),
            ("entities", SECRET.bytes().map(|b| format!("&#{b};")).collect::<String>()),
            ("hexadecimal entities", hex("&#x")),
            ("entities of percent", hex("&#37;")),
            ("tags", between("<wbr>")),
            ("zero width", between("\u{200b}")),
            ("zero width as entities", between("&#8203;")),
            ("full width", full_width),
            ("hexadecimal", format!("<FEFF{}>", hex("00"))),
            ("octal", format!("({octal})")),
            ("base64 in text", format!("see /u/{} here", build::to_base64(word.as_bytes()).trim())),
            ("base64 of base64", build::to_base64(build::to_base64(word.as_bytes()).as_bytes())),
            ("UTF-7", build::utf7(&word)),
            ("uuencoded", build::uuencode("a.txt", word.as_bytes())),
        ] {
            assert_found(what, &message("", &text));
        }
    }

    #[test]
    fn a_secret_is_found_in_headers_and_parts() {
        let word = format!("mail to {SECRET} now");
        let (one, two) = SECRET.split_at(4);
        let encoded = build::to_base64(word.as_bytes());
        let wide = build::to_base64(&utf16_of(&word, u16::to_le_bytes));
        let nested = build::to_base64(&message("Content-Type: text/plain\nContent-Transfer-Encoding: base64\n", &encoded));
        for (what, fields, body) in [
            ("encoded word", format!("Comments: =?utf-8?B?{}?=\n", encoded.trim()), ""),
            ("two encoded words", format!("Comments: =?utf-8?Q?{one}?=\n =?utf-8?Q?{two}?=\n"), ""),
            ("parameter", format!("Content-Type: text/plain; name*0*=utf-8''{one};\n name*1={two}\n"), ""),
            ("base64 body", "Content-Transfer-Encoding: base64\n".to_owned(), encoded.as_str()),
            ("UTF-16", "Content-Type: text/plain; charset=utf-16le\nContent-Transfer-Encoding: base64\n".to_owned(), wide.as_str()),
            ("message in a message", "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n".to_owned(), nested.as_str()),
        ] {
            assert_found(what, &message(&fields, body));
        }
    }

    #[test]
    fn a_secret_is_found_in_files() {
        let word = format!("mail to {SECRET} now");
        let binary = |octets: Vec<u8>| [b"\0\x01\x02\x03".to_vec(), octets, vec![0; 4]].concat();
        for (what, octets) in [
            ("8-bit", binary(word.clone().into_bytes())),
            ("UTF-16 little-endian", binary(utf16_of(&word, u16::to_le_bytes))),
            ("UTF-16 big-endian", binary(utf16_of(&word, u16::to_be_bytes))),
            ("at an odd place", [b"\x01".to_vec(), utf16_of(&word, u16::to_le_bytes)].concat()),
            ("zlib", binary(build::zlib(word.as_bytes()))),
            ("zip", build::zipped(&[("word/document.xml", word.repeat(9).into_bytes())])),
            ("zlib in zip", build::zipped(&[("a.bin", build::zlib(word.as_bytes()))])),
            ("entities in zip", build::zipped(&[("a.xml", "zqs00&#98;xk ".repeat(9).into_bytes())])),
        ] {
            let fields = "Content-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n";
            assert_found(what, &message(fields, &build::to_base64(&octets)));
        }
    }
}

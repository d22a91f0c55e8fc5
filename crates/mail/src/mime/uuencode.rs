//! Files written into the text itself: uuencode, in both forms that POSIX describes.
//!
//! Mail clients show such a block as an attachment, so it is judged as one. Decoding is lenient, because theirs
//! is: what a stricter reader left in the text, theirs would open unseen.

use base64::Engine;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// Digits without padding, whatever the bits that are left over.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true).with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A file that stood in the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UuFile {
    /// Name as the writer gave it.
    pub(crate) name: String,
    /// Content.
    pub(crate) octets: Vec<u8>,
}

/// Takes the files out of a text; gives the text without them, and them.
pub(crate) fn take_files(text: &str) -> (String, Vec<UuFile>) {
    if !text.contains("begin") {
        return (text.to_owned(), Vec::new());
    }
    let lines: Vec<&str> = text.split('\n').collect();
    let mut kept: Vec<&str> = Vec::with_capacity(lines.len());
    let mut files = Vec::new();
    // Lines whose end was cut off decode to more than they hold; together never to more than the text.
    let mut room = text.len();
    let mut at = 0;
    while let Some(&line) = lines.get(at) {
        at += 1;
        let behind = lines.get(at..).unwrap_or_default();
        match Begin::read(line).and_then(|begin| read_block(&begin, behind, room)) {
            Some((file, used)) => {
                room = room.saturating_sub(file.octets.len());
                files.push(file);
                at += used;
            }
            None => kept.push(line),
        }
    }
    (kept.join("\n"), files)
}

/// The line that opens a block.
struct Begin<'a> {
    /// What every line of the block begins with where somebody quoted it.
    prefix: &'a str,
    name: &'a str,
    is_base64: bool,
}

impl<'a> Begin<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let rest = line.trim_start_matches(['>', ' ']);
        let prefix = &line[..line.len() - rest.len()];
        let (is_base64, rest) = match rest.strip_prefix("begin-base64 ") {
            Some(rest) => (true, rest),
            None => (false, rest.strip_prefix("begin ")?),
        };
        let (mode, name) = rest.trim_start().split_once(' ')?;
        let is_mode = matches!(mode.len(), 3 | 4) && mode.bytes().all(|b| matches!(b, b'0'..=b'7'));
        let name = name.trim();
        (is_mode && !name.is_empty()).then_some(Self { prefix, name, is_base64 })
    }

    fn unquote<'l>(&self, line: &'l str) -> &'l str {
        // A quoted empty line has often lost its space.
        line.strip_prefix(self.prefix).or_else(|| line.strip_prefix(self.prefix.trim_end())).unwrap_or(line)
    }
}

/// The file of a block and the number of its lines; none when the lines are no block after all.
///
/// Every line is read for one block only, because another one that opens ends the search: a text full of openings
/// costs no more than its length.
fn read_block(begin: &Begin<'_>, lines: &[&str], room: usize) -> Option<(UuFile, usize)> {
    let end = if begin.is_base64 { "====" } else { "end" };
    let mut octets = Vec::new();
    let mut digits = Vec::new();
    let (mut valid, mut invalid) = (0_usize, 0_usize);
    for (n, &line) in lines.iter().enumerate() {
        let line = begin.unquote(line);
        if line.trim() == end {
            octets.extend(decode_base64(&mut digits));
            octets.truncate(room);
            let name = begin.name.chars().filter(|c| !c.is_control()).collect();
            return (valid > 0 && invalid <= valid).then_some((UuFile { name, octets }, n + 1));
        }
        if Begin::read(line).is_some() {
            return None;
        }
        if line.trim().is_empty() {
            continue;
        }
        let is_valid = if begin.is_base64 { read_digits(line, &mut digits) } else { decode_line(line, &mut octets, room) };
        if is_valid {
            valid += 1;
        } else if valid == 0 {
            return None;
        } else {
            invalid += 1;
        }
    }
    None
}

/// Decodes one line: its length, then four characters for every three octets.
fn decode_line(line: &str, octets: &mut Vec<u8>, room: usize) -> bool {
    let Some((&first, rest)) = line.as_bytes().split_first() else { return false };
    let is_digit = |b: &u8| matches!(b, b' '..=b'`');
    if !is_digit(&first) || !rest.iter().all(is_digit) {
        return false;
    }
    let value = |b: u8| (b - b' ') & 0x3f;
    let length = usize::from(value(first));
    let groups = length.div_ceil(3);
    // Some programs add a character for a checksum.
    if rest.trim_ascii_end().len() > groups * 4 + 1 {
        return false;
    }
    if octets.len() >= room {
        return true;
    }
    let start = octets.len();
    // Spaces at the end, which stand for zero, get lost on the way.
    let digit = |n: usize| rest.get(n).map_or(0, |b| value(*b));
    for at in (0..groups * 4).step_by(4) {
        let (a, b, c, d) = (digit(at), digit(at + 1), digit(at + 2), digit(at + 3));
        octets.extend([(a << 2) | (b >> 4), (b << 4) | (c >> 2), (c << 6) | d]);
    }
    octets.truncate(start + length);
    true
}

fn read_digits(line: &str, digits: &mut Vec<u8>) -> bool {
    let line = line.trim().as_bytes();
    let is_valid = line.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='));
    if is_valid {
        digits.extend(line.iter().filter(|b| **b != b'='));
    }
    is_valid
}

fn decode_base64(digits: &mut Vec<u8>) -> Vec<u8> {
    // A lone digit holds no octet.
    if digits.len() % 4 == 1 {
        digits.pop();
    }
    LENIENT.decode(digits.as_slice()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(name: &str, octets: &[u8]) -> UuFile {
        UuFile { name: name.to_owned(), octets: octets.to_vec() }
    }

    fn encode(octets: &[u8]) -> String {
        let digit = |value: u8| char::from(if value == 0 { b'`' } else { value + b' ' });
        let mut out = String::from("begin 644 x.bin\n");
        for line in octets.chunks(45) {
            out.push(digit(u8::try_from(line.len()).unwrap()));
            for three in line.chunks(3) {
                let (a, b, c) = (three[0], three.get(1).copied().unwrap_or(0), three.get(2).copied().unwrap_or(0));
                out.extend([a >> 2, ((a << 4) | (b >> 4)) & 0x3f, ((b << 2) | (c >> 6)) & 0x3f, c & 0x3f].map(digit));
            }
            out.push('\n');
        }
        out + "`\nend"
    }

    #[test]
    fn a_block_becomes_a_file() {
        let (text, files) = take_files("Hi,\n\nbegin 644 cat.txt\n#0V%T\n`\nend\n\nAna");
        assert_eq!((text.as_str(), files), ("Hi,\n\n\nAna", vec![file("cat.txt", b"Cat")]));
        let (text, files) = take_files("begin 0755 my cat.txt\n#0V%T\n \nend\nbegin 600 b\n!00\nend");
        assert_eq!((text.as_str(), files), ("", vec![file("my cat.txt", b"Cat"), file("b", b"A")]));
    }

    #[test]
    fn the_base64_form_is_known() {
        let (text, files) = take_files("a\nbegin-base64 644 cat.txt\nQ2F0\nQ2F0Cg==\n====\nb");
        assert_eq!((text.as_str(), files), ("a\nb", vec![file("cat.txt", b"CatCat\n")]));
    }

    #[test]
    fn quoted_and_damaged_blocks_are_known() {
        let (text, files) = take_files("> Look:\n> begin 644 cat.txt\n> #0V%T\n>\n> `\n> end\nNice");
        assert_eq!((text.as_str(), files), ("> Look:\nNice", vec![file("cat.txt", b"Cat")]));
        // A footer in the middle, spaces lost at the end of a line, a checksum character behind it.
        let (text, files) = take_files("begin 644 x\n#0V%TA\nfooter of a gateway\n$0V%T\nend");
        assert_eq!((text.as_str(), files), ("", vec![file("x", b"CatCat\0")]));
    }

    #[test]
    fn ordinary_text_stays() {
        for text in [
            "begin 2024 with a smile\nand end\nend",
            "begin 644 cat.txt\n#0V%T\n`\n",
            "begin 644 cat.txt\nend",
            "begin 644 cat.txt",
            "begin 644\n#0V%T\nend",
            "begin 648 x\n#0V%T\nend",
            "begin 644 x\n#0V%T\nthis is only\na text that somebody\nwrote\nend",
            "begin\n\nend",
            "",
        ] {
            assert_eq!(take_files(text), (text.to_owned(), Vec::new()));
        }
    }

    #[test]
    fn hostile_rows_cost_no_more_than_their_length() {
        for row in ["begin 644 x\n", "begin 644 x\n#0V%T\n", "M\n", "begin 644 x\nM\nM\nM\nend\n", "> > begin 644 x\n> #0V%T\n"] {
            let text = row.repeat(50_000);
            let (kept, files) = take_files(&text);
            let held: usize = files.iter().map(|f| f.octets.len()).sum();
            assert!(kept.len() <= text.len() && held <= text.len());
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_comes_back(octets in proptest::collection::vec(any::<u8>(), 1..200), quote in "(> ){0,2}") {
            let text: Vec<String> = encode(&octets).lines().map(|l| format!("{quote}{l}")).collect();
            let (text, files) = take_files(&text.join("\n"));
            prop_assert_eq!((text.as_str(), files), ("", vec![file("x.bin", &octets)]));
        }

        #[test]
        fn no_text_makes_it_panic(text in "((> )?(begin 644 x|begin-base64 644 é|end|====|`|#0V%T|M|é|[ -`]{0,9})\n){0,20}") {
            take_files(&text);
        }
    }
}

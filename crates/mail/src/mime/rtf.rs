//! Rich text of Outlook messages: the compression of MS-OXRTFCP, and the text or the HTML of MS-OXRTFEX within.
//!
//! Only what a reader saw comes out: fonts, pictures, document properties and destinations that are marked as
//! ignorable (`\*`) are skipped.

use std::collections::BTreeMap;

use mail_parser::decoders::charsets::map::charset_decoder;

/// Largest rich text that is opened, decompressed.
const MAX_RTF_BYTES: usize = 4 << 20;
/// Deepest nesting of groups.
const MAX_GROUPS: usize = 1_000;
/// Most characters that stand in for one `\u` (`\uc`).
const MAX_FALLBACK: usize = 32;
/// Code page of text in 16-bit units, low octet first.
pub(crate) const UTF_16: u32 = 1200;
/// Code page of UTF-8.
pub(crate) const UTF_8: u32 = 65_001;
/// Code page where none is named.
const WESTERN: u32 = 1252;

/// Octets that a reference can point back to.
const DICTIONARY: usize = 4096;
/// How the dictionary begins.
const INITIAL: &[u8; 207] = b"{\\rtf1\\ansi\\mac\\deff0\\deftab720{\\fonttbl;}{\\f0\\fnil \\froman \\fswiss \\fmodern \
\\fscript \\fdecor MS Sans SerifSymbolArialTimes New RomanCourier{\\colortbl\\red0\\green0\\blue0\r\n\
\\par \\pard\\plain\\f0\\fs20\\b\\i\\u\\tab\\tx";

/// What rich text shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Rendering {
    /// Plain text.
    Text(String),
    /// The HTML that the rich text was made from.
    Html(String),
}

/// Undoes the compression. The checksum is not compared: what it says about a text nobody can use.
pub(crate) fn decompress(octets: &[u8]) -> Option<Vec<u8>> {
    let (header, content) = octets.split_first_chunk::<16>()?;
    let size = usize::try_from(u32::from_le_bytes([header[4], header[5], header[6], header[7]])).ok()?;
    if size > MAX_RTF_BYTES {
        return None;
    }
    match &header[8..12] {
        b"LZFu" => expand(content),
        b"MELA" => Some(content.get(..size).unwrap_or(content).to_vec()),
        _ => None,
    }
}

fn expand(content: &[u8]) -> Option<Vec<u8>> {
    let mut dictionary = [0_u8; DICTIONARY];
    dictionary[..INITIAL.len()].copy_from_slice(INITIAL);
    let mut write = INITIAL.len();
    let mut out: Vec<u8> = Vec::new();
    let mut input = content.iter().copied();
    while let Some(control) = input.next() {
        for bit in 0..8 {
            if out.len() > MAX_RTF_BYTES {
                return None;
            }
            let Some(first) = input.next() else { return Some(out) };
            if control & (1 << bit) == 0 {
                out.push(first);
                dictionary[write] = first;
                write = (write + 1) % DICTIONARY;
                continue;
            }
            let Some(second) = input.next() else { return Some(out) };
            let reference = usize::from(u16::from_be_bytes([first, second]));
            let from = reference >> 4;
            // A reference to the place that is written next ends the text.
            if from == write {
                return Some(out);
            }
            for n in 0..(reference & 0xf) + 2 {
                let octet = dictionary[(from + n) % DICTIONARY];
                out.push(octet);
                dictionary[write] = octet;
                write = (write + 1) % DICTIONARY;
            }
        }
    }
    Some(out)
}

/// Text in a Windows code page; a page that we do not know is read as the Western one.
pub(crate) fn decode_code_page(octets: &[u8], code_page: u32) -> String {
    if octets.is_empty() || code_page == UTF_8 {
        return String::from_utf8_lossy(octets).into_owned();
    }
    let named = match code_page {
        874 => "windows-874",
        932 => "shift_jis",
        936 => "gbk",
        949 | 51_949 => "euc-kr",
        950 => "big5",
        850 => "ibm850",
        866 => "ibm866",
        UTF_16 => "utf-16le",
        1201 => "utf-16be",
        10_000 => "macintosh",
        20_866 => "koi8-r",
        21_866 => "koi8-u",
        50_220..=50_222 => "iso-2022-jp",
        51_932 => "euc-jp",
        54_936 => "gb18030",
        65_000 => "utf-7",
        _ => "windows-1252",
    };
    let charset = match code_page {
        1250..=1258 => format!("windows-{code_page}"),
        28_591..=28_606 => format!("iso-8859-{}", code_page - 28_590),
        _ => named.to_owned(),
    };
    match charset_decoder(charset.as_bytes()) {
        Some(decoder) => decoder(octets),
        None => String::from_utf8_lossy(octets).into_owned(),
    }
}

/// What the rich text shows; none when it is no rich text or nests too deep.
pub(crate) fn render(rtf: &[u8]) -> Option<Rendering> {
    let rtf = rtf.trim_ascii_start();
    if !rtf.starts_with(b"{\\rtf") {
        return None;
    }
    let mut reader = Reader::new(rtf);
    while let Some(octet) = reader.take() {
        match octet {
            b'{' => {
                if reader.outer.len() >= MAX_GROUPS {
                    return None;
                }
                reader.open();
            }
            b'}' => {
                reader.close();
                if reader.outer.is_empty() {
                    break;
                }
            }
            b'\\' => reader.control(),
            b'\r' | b'\n' | 0 => {}
            _ => reader.octet(octet),
        }
    }
    reader.flush();
    Some(if reader.from_html { Rendering::Html(reader.out) } else { Rendering::Text(reader.out) })
}

/// What holds for a group and, unless it says otherwise, for the groups within.
#[derive(Debug, Clone, Copy)]
struct Group {
    /// Whether nothing of it is shown.
    skipped: bool,
    /// Whether it lists fonts.
    is_font_table: bool,
    /// Whether it stands only for readers that cannot show the HTML (`\htmlrtf`).
    rtf_only: bool,
    /// Code page of its 8-bit text.
    code_page: u32,
    /// How many characters behind a `\u` stand in for it.
    fallback: usize,
}

struct Reader<'a> {
    rtf: &'a [u8],
    /// Never behind the end.
    at: usize,
    group: Group,
    outer: Vec<Group>,
    out: String,
    // Text whose decoding waits for the rest of its characters; at most one of the two holds any.
    octets: Vec<u8>,
    units: Vec<u16>,
    /// Characters to leave out, because they stand in for the last `\u`.
    to_skip: usize,
    /// Whether the last token was `\*`.
    ignorable: bool,
    font: i32,
    /// Code pages by font.
    fonts: BTreeMap<i32, u32>,
    /// Code page of the document.
    ansi: u32,
    from_html: bool,
}

impl<'a> Reader<'a> {
    fn new(rtf: &'a [u8]) -> Self {
        Self {
            rtf,
            at: 0,
            group: Group { skipped: false, is_font_table: false, rtf_only: false, code_page: WESTERN, fallback: 1 },
            outer: Vec::new(),
            out: String::new(),
            octets: Vec::new(),
            units: Vec::new(),
            to_skip: 0,
            ignorable: false,
            font: 0,
            fonts: BTreeMap::new(),
            ansi: WESTERN,
            from_html: false,
        }
    }

    fn peek(&self) -> Option<u8> {
        self.rtf.get(self.at).copied()
    }

    fn take(&mut self) -> Option<u8> {
        let octet = self.peek()?;
        self.at += 1;
        Some(octet)
    }

    fn open(&mut self) {
        self.flush();
        self.to_skip = 0;
        self.ignorable = false;
        self.outer.push(self.group);
    }

    fn close(&mut self) {
        self.flush();
        self.to_skip = 0;
        self.ignorable = false;
        if let Some(outer) = self.outer.pop() {
            self.group = outer;
        }
    }

    fn is_shown(&self) -> bool {
        !(self.group.skipped || self.from_html && self.group.rtf_only)
    }

    fn flush(&mut self) {
        if !self.units.is_empty() {
            self.out.push_str(&String::from_utf16_lossy(&self.units));
            self.units.clear();
        }
        if !self.octets.is_empty() {
            self.out.push_str(&decode_code_page(&self.octets, self.group.code_page));
            self.octets.clear();
        }
    }

    fn octet(&mut self, octet: u8) {
        if self.to_skip > 0 {
            self.to_skip -= 1;
        } else if self.is_shown() {
            if !self.units.is_empty() {
                self.flush();
            }
            self.octets.push(octet);
        }
    }

    fn unit(&mut self, number: i32) {
        self.to_skip = self.group.fallback;
        if self.is_shown() {
            if !self.octets.is_empty() {
                self.flush();
            }
            // Above 32,767 it is written as a negative number.
            self.units.push((number & 0xffff) as u16);
        }
    }

    fn character(&mut self, character: char) {
        if self.is_shown() {
            self.flush();
            self.out.push(character);
        }
    }

    fn set_code_page(&mut self, code_page: u32) {
        self.flush();
        self.group.code_page = code_page;
    }

    /// Reads what follows a backslash.
    fn control(&mut self) {
        let start = self.at;
        let Some(first) = self.take() else { return };
        if !first.is_ascii_alphabetic() {
            self.symbol(first);
            return;
        }
        while self.peek().is_some_and(|b| b.is_ascii_alphabetic()) {
            self.at += 1;
        }
        let rtf = self.rtf;
        let word = rtf.get(start..self.at).unwrap_or_default();
        let is_negative = self.peek() == Some(b'-') && rtf.get(self.at + 1).is_some_and(u8::is_ascii_digit);
        if is_negative {
            self.at += 1;
        }
        let mut number: Option<i32> = None;
        while let Some(digit) = self.peek().filter(u8::is_ascii_digit) {
            self.at += 1;
            number = Some(number.unwrap_or(0).saturating_mul(10).saturating_add(i32::from(digit - b'0')));
        }
        if self.peek() == Some(b' ') {
            self.at += 1;
        }
        self.word(word, if is_negative { number.map(|n| -n) } else { number });
    }

    fn symbol(&mut self, symbol: u8) {
        match symbol {
            b'\'' => {
                let digits = self.rtf.get(self.at..self.at + 2).and_then(|d| std::str::from_utf8(d).ok());
                if let Some(octet) = digits.and_then(|d| u8::from_str_radix(d, 16).ok()) {
                    self.at += 2;
                    self.octet(octet);
                }
            }
            b'*' => self.ignorable = true,
            b'\\' | b'{' | b'}' => self.octet(symbol),
            b'~' => self.character('\u{a0}'),
            b'_' => self.character('-'),
            b'\r' | b'\n' => self.character('\n'),
            _ => {}
        }
    }

    fn word(&mut self, word: &[u8], number: Option<i32>) {
        self.to_skip = 0;
        let ignorable = std::mem::take(&mut self.ignorable);
        match word {
            b"htmltag" if self.from_html => {}
            _ if ignorable => self.group.skipped = true,
            b"fonttbl" => {
                self.group.skipped = true;
                self.group.is_font_table = true;
            }
            b"colortbl" | b"stylesheet" | b"info" | b"pict" | b"objdata" | b"filetbl" | b"listtable" | b"revtbl" => {
                self.group.skipped = true;
            }
            // The HTML has its own list marks.
            b"pntext" if self.from_html => self.group.skipped = true,
            b"fromhtml" => self.from_html |= number != Some(0),
            b"htmlrtf" => {
                self.flush();
                self.group.rtf_only = number != Some(0);
            }
            b"ansicpg" => {
                self.ansi = number.and_then(|n| u32::try_from(n).ok()).unwrap_or(WESTERN);
                self.set_code_page(self.ansi);
            }
            b"f" if self.group.is_font_table => self.font = number.unwrap_or(0),
            b"f" => {
                let code_page = self.fonts.get(&number.unwrap_or(0)).copied().unwrap_or(self.ansi);
                self.set_code_page(code_page);
            }
            b"fcharset" if self.group.is_font_table => {
                if let Some(code_page) = charset_code_page(number.unwrap_or(1)) {
                    self.fonts.insert(self.font, code_page);
                }
            }
            b"plain" => self.set_code_page(self.ansi),
            b"uc" => self.group.fallback = usize::try_from(number.unwrap_or(1)).unwrap_or(0).min(MAX_FALLBACK),
            b"u" => self.unit(number.unwrap_or(0)),
            b"bin" => {
                let length = usize::try_from(number.unwrap_or(0)).unwrap_or(0);
                self.at = self.at.saturating_add(length).min(self.rtf.len());
            }
            b"par" | b"line" | b"sect" | b"page" | b"row" => self.character('\n'),
            b"tab" | b"cell" => self.character('\t'),
            b"emdash" => self.character('—'),
            b"endash" => self.character('–'),
            b"bullet" => self.character('•'),
            b"lquote" => self.character('‘'),
            b"rquote" => self.character('’'),
            b"ldblquote" => self.character('“'),
            b"rdblquote" => self.character('”'),
            b"emspace" | b"enspace" | b"qmspace" => self.character(' '),
            _ => {}
        }
    }
}

/// The code page of a font's character set; none for the one of the document.
fn charset_code_page(charset: i32) -> Option<u32> {
    Some(match charset {
        0 => WESTERN,
        77 => 10_000,
        128 => 932,
        129 => 949,
        134 => 936,
        136 => 950,
        161 => 1253,
        162 => 1254,
        163 => 1258,
        177 => 1255,
        178 => 1256,
        186 => 1257,
        204 => 1251,
        222 => 874,
        238 => 1250,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(rtf: &[u8]) -> String {
        match render(rtf) {
            Some(Rendering::Text(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_published_samples_decompress() {
        // MS-OXRTFCP, section 4.
        let simple = b"\x2d\x00\x00\x00\x2b\x00\x00\x00LZFu\xf1\xc5\xc7\xa7\x03\x00\x0a\x00rcpg125B2\x0a\xf3 hel\x09\x00 bw\x05\xb0ld}\x0a\x80\x0f\xa0";
        assert_eq!(decompress(simple).unwrap(), b"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n");
        let crossing = b"\x1a\x00\x00\x00\x1c\x00\x00\x00LZFu\xe2\xd4\x4b\x51\x41\x00\x04 WXYZ\x0dn}\x01\x0e\xb0";
        assert_eq!(decompress(crossing).unwrap(), b"{\\rtf1 WXYZWXYZWXYZWXYZWXYZ}");
        let stored = b"\x15\x00\x00\x00\x09\x00\x00\x00MELA\x00\x00\x00\x00{\\rtf1 x}more";
        assert_eq!(decompress(stored).unwrap(), b"{\\rtf1 x}");
        for cut in 0..simple.len() {
            decompress(&simple[..cut]);
        }
        assert_eq!(decompress(b"\x00\x00\x00\x00\xff\xff\xff\xffLZFu\x00\x00\x00\x00abc"), None);
    }

    #[test]
    fn text_is_read_and_what_names_the_author_is_not() {
        let rtf = br"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0\fswiss Arial;}{\f1\fswiss\fcharset204 Arial Cyr;}}{\info{\author Canary}}{\*\generator Canary;}{\colortbl;\red0;}\pard\f0 Ol\'e1, {\b Ana}\par 5\u8364 ? \{x\}\tab {\f1\'cf\'f0}\line \u-10179?\u-8704?{\pict\bin5 }}}}}}\lquote k\rquote}junk";
        assert_eq!(text(rtf), "Olá, Ana\n5€ {x}\tПр\n😀‘k’");
    }

    #[test]
    fn encapsulated_html_comes_out_as_html() {
        let rtf = br"{\rtf1\ansi\ansicpg1251\fromhtml1 \deff0{\fonttbl{\f0\fswiss Arial;}}{\*\htmltag19 <html>}{\*\htmltag64 <p>}\htmlrtf {\htmlrtf0 \'cf\htmlrtf\par}\htmlrtf0{\*\mhtmltag84 no}{\pntext no\tab}{\*\htmltag84 &amp;}\htmlrtf &\htmlrtf0 b{\*\htmltag72 </p>}{\*\htmltag27 </html>}}";
        assert_eq!(render(rtf), Some(Rendering::Html("<html><p>П&amp;b</p></html>".to_owned())));
    }

    #[test]
    fn what_is_no_rich_text_or_a_bomb_is_refused() {
        assert_eq!(render(b"hello"), None);
        assert_eq!(render("{\\rtf1".repeat(2_000).as_bytes()), None);
        assert_eq!(text(b"{\\rtf1 a\\bin99999999999 b"), "a");
        assert_eq!(text(b"{\\rtf1 a\\'"), "a");
        assert_eq!(text(b"{\\rtf1 a\\"), "a");
    }

    #[test]
    fn code_pages_are_known_by_number() {
        assert_eq!(decode_code_page(b"\x93\xfa", 932), "日");
        assert_eq!(decode_code_page(b"\xe9", 28_591), "é");
        assert_eq!(decode_code_page(b"a\x00b\x00", UTF_16), "ab");
        assert_eq!(decode_code_page("é".as_bytes(), UTF_8), "é");
        assert_eq!(decode_code_page(b"\x80", 12_345), "€");
        assert_eq!(decode_code_page(b"", 932), "");
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(tail in r"(\\[a-z*'{}]{1,3}-?[0-9]{0,4} ?|[{}a]|\\htmlrtf0?|\\fromhtml1|\\u-?[0-9]{5}|\\'[89a-f][0-9a-f]|\\f1|\\fcharset128|\\fonttbl){0,60}") {
            render(format!("{{\\rtf1 {tail}").as_bytes());
        }

        #[test]
        fn no_octets_make_the_decompression_panic(octets in proptest::collection::vec(any::<u8>(), 0..400)) {
            decompress(&octets);
            decompress(&[&b"\0\0\0\0\0\0\0\0LZFu\0\0\0\0"[..], &octets[..]].concat());
        }
    }
}

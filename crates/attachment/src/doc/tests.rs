//! A document made in code, with the mark "Cana" wherever a person, a time or a remainder can be.

use std::io::{Cursor, Read, Write};

use cfb::{CompoundFile, Version};
use proptest::prelude::*;

use super::clean_doc;
use crate::kind::Fault;
use crate::octets::put;

const NARROW: &[u8] = b"Hola \x13 AUTHOR \x14Ana Canary\x15 y \x13 HYPERLINK \"mailto:Canary@x.example\" \x14aqui\x15.\r";
const NARROW_CLEAN: &[u8] = b"Hola \x13        \x14          \x15 y \x13                                     \x14aqui\x15.\r";
const WIDE: &str = "Precio: 10 € \u{13} FILENAME \\p \u{14}C:\\Canary.doc\u{15} fin\r";
const WIDE_CLEAN: &str = "Precio: 10 € \u{13}             \u{14}             \u{15} fin\r";
const NARROW_AT: usize = 1_024;
const WIDE_AT: usize = 1_280;
const CHPX_PAGE: usize = 3;
const PAPX_PAGE: usize = 4;
const SEPX_AT: usize = 2_560;
const BLIP_AT: usize = 2_700;

struct Document {
    word: Vec<u8>,
    table: Vec<u8>,
    data: Vec<u8>,
}

impl Document {
    /// A structure in the table stream, after a remainder of another.
    fn with(&mut self, index: usize, octets: &[u8]) {
        self.table.extend_from_slice(b"Canary slack ");
        let (fc, lcb) = (self.table.len(), octets.len());
        self.table.extend_from_slice(octets);
        put(&mut self.word, 154 + 8 * index, &longs(&[fc, lcb]));
    }
}

fn long(number: usize) -> [u8; 4] {
    u32::try_from(number).unwrap().to_le_bytes()
}

fn longs(numbers: &[usize]) -> Vec<u8> {
    numbers.iter().flat_map(|number| long(*number)).collect()
}

fn shorts(numbers: &[u16]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}

/// A count and the characters.
fn xst(text: &str) -> Vec<u8> {
    let count = u16::try_from(text.encode_utf16().count()).unwrap();
    [shorts(&[count]), utf16(text)].concat()
}

fn sttb(strings: &[&str]) -> Vec<u8> {
    let count = u16::try_from(strings.len()).unwrap();
    let strings: Vec<Vec<u8>> = strings.iter().map(|string| xst(string)).collect();
    [shorts(&[0xffff, count, 0]), strings.concat()].concat()
}

/// A record of a drawing.
fn record(head: u16, kind: u16, body: &[u8]) -> Vec<u8> {
    [shorts(&[head, kind]), longs(&[body.len()]), body.to_vec()].concat()
}

fn characters() -> usize {
    NARROW.len() + WIDE.encode_utf16().count()
}

fn picture() -> Vec<u8> {
    let jpeg = b"\xff\xd8\xff\xfe\0\x08Canary\xff\xda\0\x08\x01\x01\0\0\x3f\0pixels\xff\xd9Canary";
    record(0x46a0, 0xf01d, &[b"0123456789abcdef\xff".as_slice(), jpeg].concat())
}

fn main_stream() -> Vec<u8> {
    let mut word = b"Canary! ".repeat(512);
    let w = &mut word;
    // File information block: Word 97, second table stream, 108 pairs, two more words.
    put(w, 0, &[0; 1_024]);
    put(w, 0, &shorts(&[0xa5ec, 0xc1]));
    put(w, 10, &shorts(&[0x1a00]));
    put(w, 14, b"Cana");
    put(w, 32, &shorts(&[14]));
    put(w, 34, b"Canary");
    put(w, 62, &shorts(&[22]));
    put(w, 68, b"Canary! ");
    put(w, 76, &long(characters()));
    put(w, 152, &shorts(&[108]));
    put(w, 1_018, &shorts(&[2, 0xd9, 0]));
    put(w, NARROW_AT, NARROW);
    put(w, WIDE_AT, &utf16(WIDE));
    // A session, a picture, the author of a revision.
    let page = 512 * CHPX_PAGE;
    put(w, page, &longs(&[NARROW_AT, 1_536]));
    put(w, page + 8, &[240]);
    put(w, page + 480, b"\x10\x16\x68Cana\x03\x6a\0\0\0\0\x04\x48\x01\0");
    put(w, page + 511, &[1]);
    let page = 512 * PAPX_PAGE;
    put(w, page, &longs(&[NARROW_AT, 1_536]));
    put(w, page + 8, &[240, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    put(w, page + 480, b"\0\x04\0\0\x67\x64Cana");
    put(w, page + 511, &[1]);
    put(w, SEPX_AT, b"\x06\0\x3a\x70Cana");
    put(w, BLIP_AT, &picture());
    word
}

fn drawings() -> Vec<u8> {
    let name = utf16("Canary\0");
    let mut entry = vec![0_u8; 36];
    put(&mut entry, 28, &long(BLIP_AT));
    put(&mut entry, 33, &[14]);
    let store = record(0x001f, 0xf001, &record(0x0062, 0xf007, &[entry, name.clone()].concat()));
    let properties = record(0x0013, 0xf00b, &[shorts(&[0x8380]), long(name.len()).to_vec(), name].concat());
    let drawing = record(0x000f, 0xf002, &record(0x000f, 0xf004, &properties));
    [record(0x000f, 0xf000, &store), vec![0], drawing].concat()
}

fn clx() -> Vec<u8> {
    let plc = [
        longs(&[0, NARROW.len(), characters()]),
        shorts(&[0]),
        long(0x4000_0000 | (2 * NARROW_AT)).to_vec(),
        shorts(&[0, 0]),
        long(WIDE_AT).to_vec(),
        shorts(&[0]),
    ]
    .concat();
    [vec![2], long(plc.len()).to_vec(), plc].concat()
}

fn link() -> Vec<u8> {
    let class = b"\xd0\xc9\xea\x79\xf9\xba\xce\x11\x8c\x82\x00\xaa\x00\x4b\xa9\x0b";
    let link = [b"\x08".as_slice(), class, &longs(&[2, 0x17]), &utf16("mailto:Canary@x.example\0")].concat();
    let mut picf = vec![0_u8; 68];
    put(&mut picf, 0, &longs(&[68 + link.len(), 68]));
    [picf, link, b"Canary after it".to_vec()].concat()
}

fn document() -> Document {
    let mut d = Document { word: main_stream(), table: Vec::new(), data: link() };
    let style = [vec![0; 12], b"Cana".to_vec(), vec![0; 2]].concat();
    d.with(1, &[shorts(&[18, 1, 18]), vec![0; 14], shorts(&[18]), style].concat());
    d.with(4, &[longs(&[0, characters()]), xst("Cana"), vec![0; 20]].concat());
    d.with(6, &[longs(&[0, characters()]), shorts(&[0]), longs(&[SEPX_AT]), b"\0\0Cana".to_vec()].concat());
    d.with(12, &longs(&[NARROW_AT, 1_536, CHPX_PAGE]));
    d.with(13, &longs(&[NARROW_AT, 1_536, PAPX_PAGE]));
    d.with(27, b"Canary LaserJet");
    d.with(31, &[vec![7; 20], b"Canary Canary Cana".to_vec(), vec![7; 46]].concat());
    d.with(32, &sttb(&["Ana Canary"; 18]));
    d.with(33, &clx());
    d.with(35, &utf16("C:\\Canary"));
    d.with(36, &xst("Ana Canary"));
    d.with(50, &drawings());
    d.with(51, &sttb(&["Unknown", "Ana Canary", "Eva"]));
    d.with(71, &sttb(&["Ana Canary", "C:\\Canary.doc"]));
    let mut list = [shorts(&[1]), vec![0; 28]].concat();
    put(&mut list, 2 + 26, &[1]);
    d.with(73, &list);
    // The level is not counted in the list's length.
    d.table.extend_from_slice(&[vec![0; 28], xst("LEVEL")].concat());
    d.with(97, &utf16("To: Canary"));
    d.table.extend_from_slice(b"Canary");
    d
}

fn container(streams: &[(&str, &[u8])]) -> Vec<u8> {
    let mut file = CompoundFile::create_with_version(Version::V3, Cursor::new(Vec::new())).unwrap();
    for (name, octets) in streams {
        file.create_stream(name).unwrap().write_all(octets).unwrap();
    }
    file.flush().unwrap();
    file.into_inner().into_inner()
}

fn file(d: &Document) -> Vec<u8> {
    container(&[
        ("WordDocument", &d.word),
        ("1Table", &d.table),
        ("Data", &d.data),
        ("\u{5}SummaryInformation", b"Ana Canary"),
        ("\u{5}DocumentSummaryInformation", &utf16("Canary Ltd")),
        ("\u{1}CompObj", b"Canary"),
    ])
}

fn stream(octets: &[u8], name: &str) -> Vec<u8> {
    let mut found = Vec::new();
    CompoundFile::open(Cursor::new(octets)).unwrap().open_stream(name).unwrap().read_to_end(&mut found).unwrap();
    found
}

fn holds(octets: &[u8], what: &[u8]) -> bool {
    octets.windows(what.len()).any(|window| window == what)
}

#[test]
fn persons_times_and_remainders_are_gone_and_the_text_stays() {
    let octets = file(&document());
    assert!(holds(&octets, b"Cana") && holds(&octets, &utf16("Cana")));
    let clean = clean_doc(&octets).unwrap();
    assert!(!holds(&clean, b"Cana") && !holds(&clean, &utf16("Cana")));
    let (word, table) = (stream(&clean, "WordDocument"), stream(&clean, "1Table"));
    assert_eq!(word[NARROW_AT..].get(..NARROW.len()), Some(NARROW_CLEAN));
    assert_eq!(word[WIDE_AT..].get(..2 * WIDE.encode_utf16().count()), Some(utf16(WIDE_CLEAN).as_slice()));
    assert!(holds(&word, b"\x3f\0pixels\xff\xd9"), "pixels stay");
    assert!(holds(&word, b"\x04\x48\x01\0"), "which author made a revision stays");
    assert!(holds(&table, &xst("LEVEL")), "levels of lists stay");
    assert!(holds(&table, &sttb(&["Unknown", "Author", "Aut"])));
    assert!(holds(&table, &xst("A")), "initials");
    assert!(holds(&table, &[7; 20]) && holds(&table, &[7; 46]), "properties stay but for times");
    let names: Vec<String> =
        CompoundFile::open(Cursor::new(&clean)).unwrap().read_root_storage().map(|entry| entry.name().to_owned()).collect();
    assert_eq!(names, ["Data", "1Table", "WordDocument"]);
}

#[test]
fn cleaning_twice_changes_nothing() {
    let clean = clean_doc(&file(&document())).unwrap();
    assert_eq!(clean_doc(&clean).as_deref(), Ok(clean.as_slice()));
}

/// Spaces for characters but the ones that hold fields and paragraphs.
fn blanked(text: &str) -> Vec<u8> {
    utf16(&text.replace(|character: char| character >= ' ', " "))
}

#[test]
fn what_is_tracked_as_deleted_is_spaces() {
    let mut d = document();
    // The first word is a run of its own.
    let page = 512 * CHPX_PAGE;
    put(&mut d.word, page, &longs(&[NARROW_AT, NARROW_AT + 4, 1_536]));
    put(&mut d.word, page + 12, &[235, 240]);
    put(&mut d.word, page + 470, b"\x03\0\x08\x01");
    put(&mut d.word, page + 511, &[2]);
    let clean = clean_doc(&file(&d)).unwrap();
    let word = stream(&clean, "WordDocument");
    assert_eq!(word[NARROW_AT..].get(..NARROW.len()), Some([b"    ".as_slice(), &NARROW_CLEAN[4..]].concat().as_slice()));
    assert_eq!(word[WIDE_AT..].get(..2 * WIDE.encode_utf16().count()), Some(utf16(WIDE_CLEAN).as_slice()));
    // Formatting of the second piece: in two octets, and in a list in front of the pieces; it may also take deletion back.
    for (list, prm, is_deleted) in
        [(b"".as_slice(), 0x0182, true), (b"\x01\x03\0\0\x08\x01", 1, true), (b"\x01\x03\0\0\x08\0", 1, false), (b"", 3, false)]
    {
        let mut pieces = clx();
        let at = pieces.len() - 2;
        put(&mut pieces, at, &shorts(&[prm]));
        d.with(33, &[list, &pieces].concat());
        let word = stream(&clean_doc(&file(&d)).unwrap(), "WordDocument");
        let wanted = if is_deleted { blanked(WIDE) } else { utf16(WIDE_CLEAN) };
        assert_eq!(word[WIDE_AT..].get(..wanted.len()), Some(wanted.as_slice()));
    }
}

#[test]
fn macros_locks_and_other_programs_are_refused() {
    let d = document();
    let with = |name: &str| container(&[("WordDocument", &d.word), ("1Table", &d.table), (name, b"x")]);
    let locked = |flags: u16, mark: u16| {
        let mut word = d.word.clone();
        put(&mut word, 0, &shorts(&[mark]));
        put(&mut word, 10, &shorts(&[flags]));
        container(&[("WordDocument", &word), ("1Table", &d.table)])
    };
    for (octets, fault) in [
        (with("Macros"), Fault::Macros),
        (with("_VBA_PROJECT_CUR"), Fault::Macros),
        (with("EncryptedPackage"), Fault::Encrypted),
        (locked(0x1300, 0xa5ec), Fault::Encrypted),
        (locked(0x0100, 0xa5dc), Fault::Encrypted),
        (locked(0, 0xa5dc), Fault::Unreadable),
        (container(&[("Workbook", b"x")]), Fault::Disagreement),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec(), Fault::Unreadable),
        (Vec::new(), Fault::Unreadable),
    ] {
        assert_eq!(clean_doc(&octets), Err(fault));
    }
    // The other table stream than the one that is there.
    assert_eq!(clean_doc(&locked(0x1000, 0xa5ec)), Err(Fault::Unreadable));
}

#[test]
fn a_document_without_a_piece_table_is_refused() {
    for clx in [b"".as_slice(), b"\x03", b"\x02\xff\0\0\0", b"\x01\xff"] {
        let mut d = document();
        d.with(33, clx);
        assert_eq!(clean_doc(&file(&d)), Err(Fault::Unreadable));
    }
}

#[test]
fn a_chain_of_sectors_that_list_sectors_is_followed_no_further_than_needed() {
    let mut octets = file(&document());
    // Each of these lists the FAT over and over and goes on with the next.
    let first = octets.len() / 512 - 1;
    for index in 0..64 {
        octets.extend_from_slice(&longs(&[0; 127]));
        octets.extend_from_slice(&long(first + index + 1));
    }
    put(&mut octets, 68, &long(first));
    assert_eq!(clean_doc(&octets), Err(Fault::Unreadable));
}

#[test]
fn what_is_cut_off_is_no_panic() {
    let octets = file(&document());
    for end in (0..octets.len()).step_by(61) {
        let _ = clean_doc(&octets[..end]);
    }
}

proptest! {
    #[test]
    fn hostile_octets_are_refused_or_cleaned_never_a_panic(
        flips in prop::collection::vec((0..4_usize, any::<usize>(), any::<u8>()), 1..40),
    ) {
        let mut d = document();
        for (stream, at, octet) in flips {
            let octets = match stream {
                0 => &mut d.word[..1_024],
                1 => &mut d.word[1_024..],
                2 => &mut d.table[..],
                _ => &mut d.data[..],
            };
            let at = at % octets.len();
            octets[at] = octet;
        }
        if let Ok(clean) = clean_doc(&file(&d)) {
            prop_assert!(clean_doc(&clean).is_ok());
        }
    }
}

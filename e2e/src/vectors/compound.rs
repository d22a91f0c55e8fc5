//! A Word 97 document within an OLE compound file, from the octets up (MS-CFB, MS-DOC, MS-OLEPS).
//!
//! Written by hand, so that what reads it in the service is not what wrote it.

use crate::vectors::build::{le16, le32, utf16_le};

const SECTOR: usize = 512;
/// Streams below this size would stand in a stream of small sectors; each of ours is filled up to it.
const SMALLEST: usize = 4_096;
const END_OF_CHAIN: u32 = 0xffff_fffe;
const NOBODY: u32 = 0xffff_ffff;

/// One paragraph of Latin-1 text. The name stands in summary information of 8 bits and of UTF-16, as author of the
/// document, as author of changes and in the list of who saved it; the address as title.
pub fn document(text: &str, name: &str, address: &str) -> Vec<u8> {
    let (main, table) = word(&format!("{text}\r"), name);
    let summary = [(1, code_page(1252)), (2, narrow(address)), (4, narrow(name)), (8, narrow(name))];
    let more = [(1, code_page(1200)), (14, wide(name)), (15, wide(address))];
    compound(&[
        ("WordDocument", main),
        ("1Table", table),
        ("\u{5}SummaryInformation", properties(b"\xe0\x85\x9f\xf2\xf9\x4f\x68\x10\xab\x91\x08\x00\x2b\x27\xb3\xd9", &summary)),
        ("\u{5}DocumentSummaryInformation", properties(b"\x02\xd5\xcd\xd5\x9c\x2e\x1b\x10\x93\x97\x08\x00\x2b\x2c\xf9\xae", &more)),
    ])
}

/// The streams `WordDocument` and `1Table`.
fn word(text: &str, name: &str) -> (Vec<u8>, Vec<u8>) {
    // Behind the header of 900 octets: text, one page of character runs, one of paragraph runs.
    const TEXT_AT: usize = 2 * SECTOR;
    let text_end = TEXT_AT + text.len();
    assert!(text.len() <= SECTOR, "one page of text");
    let bounds = [le32(TEXT_AT), le32(text_end)].concat();
    let page_of = |n: usize| [bounds.as_slice(), &le32(n)].concat();
    // Places 6 and 7 are its author and who saved it last (2.9.266).
    let mut associated = [""; 18];
    associated[6] = name;
    associated[7] = name;
    // Piece: 8-bit text is marked in bit 30 and counted in halves (2.9.73).
    let piece = [le32(0).as_slice(), &le32(text.len()), &le16(0), &le32(2 * TEXT_AT + 0x4000_0000), &le16(0)].concat();
    let section = [le32(0).as_slice(), &le32(text.len()), b"\0\0\xff\xff\xff\xff\0\0\xff\xff\xff\xff"].concat();
    let font = [b"\x16\x90\x01\0\0".to_vec(), vec![0; 34], utf16_le("Times New Roman\0")].concat();
    let fonts = [le16(1).as_slice(), &le16(0), &le16(font.len())[..1], &font].concat();
    // Index within the header's list of places (2.5.6), and what stands there.
    let pieces = [b"\x02".as_slice(), &le32(piece.len()), &piece].concat();
    let saved = strings(&[name, &format!("C:\\Users\\{name}\\factura.doc")]);
    let tables = [
        (1_usize, styles()),
        (6, section),
        (12, page_of(3)),
        (13, page_of(4)),
        (15, fonts),
        (31, vec![0; 500]),
        (32, strings(&associated)),
        (33, pieces),
        (51, strings(&["Unknown", name])),
        (71, saved),
    ];
    let (mut table, mut places) = (Vec::<u8>::new(), vec![(0, 0); 93]);
    for (index, octets) in &tables {
        places[*index] = (table.len(), octets.len());
        table.extend_from_slice(octets);
        table.resize(table.len().next_multiple_of(2), 0);
    }
    let mut counts = [0; 22];
    (counts[0], counts[3]) = (SMALLEST, text.len());
    let head = [
        // Mark, version 97, English, tables in 1Table, characters of more than one octet.
        b"\xec\xa5\xc1\0\0\0\x09\x04\0\0\0\x12\xbf\0".to_vec(),
        vec![0; 10],
        bounds.clone(),
        le16(14).to_vec(),
        vec![0; 26],
        b"\x09\x04".to_vec(),
        le16(22).to_vec(),
        counts.iter().flat_map(|count| le32(*count)).collect::<Vec<u8>>(),
        le16(93).to_vec(),
        places.iter().flat_map(|(at, length)| [le32(*at), le32(*length)].concat()).collect::<Vec<u8>>(),
        le16(0).to_vec(),
    ]
    .concat();
    // Pages of runs: bounds, where the run's properties stand in the page (none; word 250), and the number of runs last.
    let characters = page(&[(0, bounds.as_slice()), (8, b"\0".as_slice()), (511, b"\x01".as_slice())]);
    let paragraphs = page(&[(0, bounds.as_slice()), (8, b"\xfa".as_slice()), (500, b"\0\x01\0\0".as_slice()), (511, b"\x01".as_slice())]);
    let mut main = head;
    main.resize(TEXT_AT, 0);
    main.extend_from_slice(text.as_bytes());
    main.resize(TEXT_AT + SECTOR, 0);
    main.extend([characters, paragraphs].concat());
    (main, table)
}

fn page(pieces: &[(usize, &[u8])]) -> Vec<u8> {
    let mut out = vec![0; SECTOR];
    for (at, octets) in pieces {
        out[*at..*at + octets.len()].copy_from_slice(octets);
    }
    out
}

/// A style sheet with "Normal" and fourteen empty places (2.9.271).
fn styles() -> Vec<u8> {
    let head = [15, 10, 1, 0x5b, 15, 0, 0, 0, 0].map(le16).concat();
    let name = [le16(6).to_vec(), utf16_le("Normal\0")].concat();
    // A paragraph style based on none, with properties of paragraph (only its own number) and character (none).
    let own = [le16(2), le16(0), le16(0)].concat();
    let length = 10 + name.len() + own.len();
    let normal = [[0, 0xfff1, 2, length, 0].map(le16).concat(), name, own].concat();
    [le16(head.len()).to_vec(), head, le16(normal.len()).to_vec(), normal, vec![0; 28]].concat()
}

/// A table of strings in UTF-16 (2.2.4).
fn strings(texts: &[&str]) -> Vec<u8> {
    let entry = |text: &&str| [le16(text.encode_utf16().count()).to_vec(), utf16_le(text)].concat();
    [[0xffff, texts.len(), 0].map(le16).concat(), texts.iter().flat_map(entry).collect::<Vec<u8>>()].concat()
}

fn code_page(number: usize) -> Vec<u8> {
    [le32(2), le32(number)].concat()
}

fn narrow(text: &str) -> Vec<u8> {
    value(0x1e, text.len() + 1, [text.as_bytes(), b"\0"].concat())
}

fn wide(text: &str) -> Vec<u8> {
    value(0x1f, text.encode_utf16().count() + 1, utf16_le(&format!("{text}\0")))
}

fn value(kind: usize, length: usize, mut octets: Vec<u8>) -> Vec<u8> {
    octets.resize(octets.len().next_multiple_of(4), 0);
    [le32(kind).to_vec(), le32(length).to_vec(), octets].concat()
}

/// A property set of one section: format, then numbers and values.
fn properties(format: &[u8; 16], values: &[(usize, Vec<u8>)]) -> Vec<u8> {
    let (mut index, mut octets) = (Vec::<u8>::new(), Vec::<u8>::new());
    for (number, value) in values {
        index.extend([le32(*number), le32(8 + 8 * values.len() + octets.len())].concat());
        octets.extend_from_slice(value);
    }
    let size = 8 + index.len() + octets.len();
    let head = [b"\xfe\xff\0\0\x05\0\x02\0".to_vec(), vec![0; 16], le32(1).to_vec(), format.to_vec(), le32(48).to_vec()].concat();
    [head, le32(size).to_vec(), le32(values.len()).to_vec(), index, octets].concat()
}

/// A compound file, version 3, of streams in the root.
fn compound(streams: &[(&str, Vec<u8>)]) -> Vec<u8> {
    // The allocation table is sector 0, then the directory, then the streams.
    let mut chains: Vec<u32> = vec![0xffff_fffd];
    let directory_at = chain(&mut chains, (streams.len() + 1).div_ceil(4));
    let mut content = Vec::<u8>::new();
    let mut entries = vec![Entry { name: "Root Entry", start: END_OF_CHAIN, size: 0, left: NOBODY, right: NOBODY, is_red: false }];
    for &(name, ref octets) in streams {
        let mut octets = octets.clone();
        octets.resize(octets.len().max(SMALLEST), 0);
        let size = octets.len();
        octets.resize(size.next_multiple_of(SECTOR), 0);
        let start = chain(&mut chains, octets.len() / SECTOR);
        entries.push(Entry { name, start, size, left: NOBODY, right: NOBODY, is_red: false });
        content.extend(octets);
    }
    assert!(chains.len() <= SECTOR / 4, "one sector of allocation table");
    // Shorter names come first, then by letters without case.
    let mut order: Vec<usize> = (1..entries.len()).collect();
    order.sort_by_key(|n| (entries[*n].name.encode_utf16().count(), entries[*n].name.to_uppercase()));
    let levels = order.len().ilog2();
    let root = tree(&order, levels, &mut entries);
    let header = [
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".to_vec(),
        vec![0; 16],
        b"\x3e\0\x03\0\xfe\xff\x09\0\x06\0".to_vec(),
        vec![0; 6],
        [0, 1, directory_at, 0, 4_096, END_OF_CHAIN, 0, END_OF_CHAIN, 0, 0].map(u32::to_le_bytes).concat(),
        vec![0xff; 108 * 4],
    ]
    .concat();
    let mut table: Vec<u8> = chains.iter().flat_map(|next| next.to_le_bytes()).collect();
    table.resize(SECTOR, 0xff);
    let mut directory: Vec<u8> = entries.iter().enumerate().flat_map(|(n, entry)| entry.octets(n == 0, root)).collect();
    while !directory.len().is_multiple_of(SECTOR) {
        directory.extend([vec![0_u8; 68], vec![0xff; 12], vec![0; 48]].concat());
    }
    [header, table, directory, content].concat()
}

/// Adds a chain of sectors behind the others; gives its first.
fn chain(chains: &mut Vec<u32>, sectors: usize) -> u32 {
    let start = u32::try_from(chains.len()).unwrap();
    chains.extend((start + 1..).take(sectors - 1));
    chains.push(END_OF_CHAIN);
    start
}

struct Entry<'a> {
    name: &'a str,
    start: u32,
    size: usize,
    left: u32,
    right: u32,
    is_red: bool,
}

impl Entry<'_> {
    fn octets(&self, is_root: bool, child: u32) -> Vec<u8> {
        let mut name = utf16_le(&format!("{}\0", self.name));
        let name_len = le16(name.len()).to_vec();
        name.resize(64, 0);
        let kind = [if is_root { 5 } else { 2 }, u8::from(!self.is_red)];
        // The class of Word documents stands at the root.
        let class = if is_root { b"\x06\x09\x02\0\0\0\0\0\xc0\0\0\0\0\0\0\x46".to_vec() } else { vec![0; 16] };
        let links = [self.left, self.right, if is_root { child } else { NOBODY }].map(u32::to_le_bytes).concat();
        let (start, size) = (self.start.to_le_bytes().to_vec(), le32(self.size).to_vec());
        [name, name_len, kind.to_vec(), links, class, vec![0; 20], start, size, vec![0; 4]].concat()
    }
}

/// A balanced tree: the middle one is the root of its share; those of the lowest level are red.
fn tree(order: &[usize], levels_below: u32, entries: &mut [Entry<'_>]) -> u32 {
    let middle = order.len() / 2;
    let Some(at) = order.get(middle).copied() else { return NOBODY };
    let below = levels_below.saturating_sub(1);
    entries[at].left = tree(&order[..middle], below, entries);
    entries[at].right = tree(&order[middle + 1..], below, entries);
    entries[at].is_red = levels_below == 0;
    u32::try_from(at).unwrap()
}

//! Files made in code, with the mark "Canary" wherever something must go.

use proptest::prelude::*;

use super::directory::{Order, octets_of};
use super::page::Page;
use super::*;
use crate::picture::exif;
use crate::picture::jpeg::segment;

type Row = (u16, u16, Vec<u8>);

/// A file under construction.
struct Builder {
    order: Order,
    octets: Vec<u8>,
    link: usize,
}

impl Builder {
    fn new(order: Order) -> Self {
        let octets = match order {
            Order::Little => b"II*\0\0\0\0\0".to_vec(),
            Order::Big => b"MM\0*\0\0\0\0".to_vec(),
        };
        Self { order, octets, link: 4 }
    }

    fn block(&mut self, octets: &[u8]) -> u32 {
        self.octets.resize(self.octets.len().next_multiple_of(2), 0);
        self.octets.extend_from_slice(octets);
        u32::try_from(self.octets.len() - octets.len()).unwrap()
    }

    fn shorts(&self, tag: u16, values: &[u16]) -> Row {
        (tag, SHORT, values.iter().flat_map(|value| self.order.of_short(*value)).collect())
    }

    fn longs(&self, tag: u16, values: &[u32]) -> Row {
        (tag, LONG, values.iter().flat_map(|value| self.order.of_long(*value)).collect())
    }

    /// A directory that nothing links to.
    fn directory(&mut self, rows: &[Row]) -> u32 {
        let mut table = self.order.of_short(u16::try_from(rows.len()).unwrap()).to_vec();
        for (tag, kind, octets) in rows {
            table.extend(self.order.of_short(*tag));
            table.extend(self.order.of_short(*kind));
            table.extend(self.order.of_long(u32::try_from(octets.len() / octets_of(*kind)).unwrap()));
            if octets.len() <= 4 {
                table.extend_from_slice(octets);
                table.resize(table.len() + 4 - octets.len(), 0);
            } else {
                let at = self.block(octets);
                table.extend(self.order.of_long(at));
            }
        }
        table.extend_from_slice(&[0; 4]);
        self.block(&table)
    }

    fn link(&mut self, at: u32) {
        self.octets[self.link..self.link + 4].copy_from_slice(&self.order.of_long(at));
    }

    /// The next directory of the chain.
    fn page(&mut self, rows: &[Row]) {
        let at = self.directory(rows);
        self.link(at);
        self.link = self.octets.len() - 4;
    }

    /// Fields of three by two grey pixels, a row in a strip.
    fn grey(&self, compression: u16, offsets: &[u32], counts: &[u32]) -> Vec<Row> {
        vec![
            self.longs(NEW_SUBFILE_TYPE, &[2]),
            self.shorts(IMAGE_WIDTH, &[3]),
            self.shorts(IMAGE_LENGTH, &[2]),
            self.shorts(BITS_PER_SAMPLE, &[8]),
            self.shorts(COMPRESSION, &[compression]),
            self.shorts(PHOTOMETRIC_INTERPRETATION, &[1]),
            self.longs(STRIP_OFFSETS, offsets),
            self.shorts(SAMPLES_PER_PIXEL, &[1]),
            self.shorts(ROWS_PER_STRIP, &[1]),
            self.longs(STRIP_BYTE_COUNTS, counts),
        ]
    }
}

fn text(tag: u16, text: &str) -> Row {
    (tag, ASCII, text.as_bytes().to_vec())
}

/// Two pages with everything that must go.
fn picture(order: Order, compression: u16, strips: [&[u8]; 2]) -> Vec<u8> {
    let mut file = Builder::new(order);
    file.block(b"Canary in a gap");
    for orientation in [6, 8] {
        let exif = file.directory(&[text(0x927c, "Canary maker note")]);
        let gps = file.directory(&[text(1, "Canary, N 38, W 9")]);
        let offsets = strips.map(|strip| file.block(strip));
        let counts = strips.map(|strip| u32::try_from(strip.len()).unwrap());
        let mut rows = file.grey(compression, &offsets, &counts);
        rows.push(file.shorts(274, &[orientation]));
        rows.push(file.shorts(320, &[0xca; 1_000]));
        for tag in [269, 270, 271, 272, 285, 305, 306, 315, 316, 333, 700, 33_432, 33_723, 34_377, 34_675, 34_737, 50_000] {
            rows.push(text(tag, "Canary"));
        }
        // A text that claims to be a resolution.
        rows.push(text(282, "Canary"));
        rows.push(file.longs(EXIF_IFD, &[exif]));
        rows.push(file.longs(GPS_IFD, &[gps]));
        rows.push((JPEG_TABLES, UNDEFINED, jpeg(&[(0xfe, b"Canary"), (0xdb, &[7; 65])], b"")));
        file.page(&rows);
    }
    file.block(b"Canary after the end");
    file.octets
}

fn jpeg(segments: &[(u8, &[u8])], coded: &[u8]) -> Vec<u8> {
    let mut out = vec![0xff, SOI];
    for (marker, body) in segments {
        segment(&mut out, *marker, body);
    }
    [out.as_slice(), coded, &[0xff, EOI]].concat()
}

/// The data of all pages.
fn strips(octets: &[u8]) -> Vec<Vec<u8>> {
    let mut source = Source::open(octets).unwrap();
    let mut budget = Budget(usize::MAX);
    let (pages, marks) = source.pages(&mut budget).unwrap();
    source.marks = marks;
    let mut strips = Vec::new();
    for at in pages {
        for piece in Page::read(&source, at).unwrap().pieces(&mut budget).unwrap() {
            let (from, end) = piece.unwrap();
            strips.push(octets[from..end].to_vec());
        }
    }
    strips
}

fn holds(octets: &[u8], part: &[u8]) -> bool {
    octets.windows(part.len()).any(|window| window == part)
}

const LZW: [&[u8]; 2] = [b"\x80\x01\x02\x03\x04", b"\x80\x05\x06\x07"];

#[test]
fn texts_places_and_gaps_go_and_pixels_stay() {
    for order in [Order::Little, Order::Big] {
        let original = picture(order, 5, LZW);
        assert_eq!(strips(&original), [LZW, LZW].concat());
        let clean = clean(&original).unwrap();
        assert!(!holds(&clean, b"Canary"));
        assert_eq!(strips(&clean), [LZW, LZW].concat(), "two pages");
        assert_eq!(exif::orientation(&clean), Some(6));
        assert_eq!(clean[..4], original[..4]);
        let tags = |octets: &[u8]| {
            let source = Source::open(octets).unwrap();
            let (pages, _) = source.pages(&mut Budget(usize::MAX)).unwrap();
            pages.into_iter().map(|at| source.directory(at).unwrap().into_keys().collect::<Vec<_>>()).collect::<Vec<_>>()
        };
        let kept = [254_u16, 256, 257, 258, 259, 262, 273, 274, 277, 278, 279, 320];
        assert_eq!(tags(&clean), [kept, kept]);
        assert_eq!(super::clean(&clean).as_deref(), Some(clean.as_slice()), "cleaning twice changes nothing");
    }
}

#[test]
fn rows_end_where_their_pixels_end() {
    let clean = clean(&picture(Order::Big, 1, [b"\x01\x02\x03Canary", b"\x04\x05\x06Canary"])).unwrap();
    assert!(!holds(&clean, b"Canary"));
    assert_eq!(strips(&clean), [b"\x01\x02\x03", b"\x04\x05\x06", b"\x01\x02\x03", b"\x04\x05\x06"]);
    assert_eq!(super::clean(&clean).as_deref(), Some(clean.as_slice()));

    let mut file = Builder::new(Order::Little);
    let at = file.block(b"\x01\x02\x03\x04\x05\x06Canary");
    let mut rows = file.grey(1, &[at, at + 3], &[]);
    rows.retain(|row| row.0 != STRIP_BYTE_COUNTS);
    file.page(&rows);
    assert_eq!(strips(&super::clean(&file.octets).unwrap()), [b"\x01\x02\x03", b"\x04\x05\x06"], "counts were left out");
    let mut rows = file.grey(5, &[at, at + 3], &[]);
    rows.retain(|row| row.0 != STRIP_BYTE_COUNTS);
    let mut file = Builder::new(Order::Little);
    file.block(b"\x01\x02\x03\x04\x05\x06Canary");
    file.page(&rows);
    assert!(super::clean(&file.octets).is_none(), "nothing says how long compressed data is");
}

#[test]
fn compressed_data_ends_before_texts_and_with_the_file() {
    let mut file = Builder::new(Order::Little);
    let at = file.block(LZW[0]);
    let mut rows = file.grey(5, &[at, at], &[1_000, 5]);
    rows.push(text(270, "Canary"));
    file.page(&rows);
    let clean = clean(&file.octets).unwrap();
    assert!(!holds(&clean, b"Canary"));
    assert!(strips(&clean).iter().all(|strip| strip.starts_with(LZW[0])));

    let mut file = Builder::new(Order::Big);
    let place = u32::try_from(HEADER + 2 + 12 * 10 + 4 + 16).unwrap();
    let rows = file.grey(5, &[place, place], &[1_000, 5]);
    file.page(&rows);
    assert_eq!(file.block(LZW[0]), place);
    assert_eq!(strips(&super::clean(&file.octets).unwrap()), [LZW[0], LZW[0]]);
}

#[test]
fn jpeg_streams_lose_texts_and_keep_scans() {
    let tables: [(u8, &[u8]); 3] = [(0xe1, b"Exif\0\0Canary"), (0xfe, b"Canary"), (0xc4, b"codes")];
    let frame: [(u8, &[u8]); 2] = [(0xc0, b"frame"), (SOS, b"scan")];
    let plain = jpeg(&[tables[2], frame[0], frame[1]], b"\x12\xff\0\x34\xff\xd0\x56");
    let stream = jpeg(&[tables.as_slice(), &frame].concat(), b"\x12\xff\0\x34\xff\xd0\x56");
    let stream = [stream.as_slice(), b"Canary"].concat();
    let cleaned = clean(&picture(Order::Little, 7, [&stream, &stream])).unwrap();
    assert!(!holds(&cleaned, b"Canary") && holds(&cleaned, &[7; 65]));
    assert_eq!(strips(&cleaned), vec![plain.clone(); 4]);
    assert_eq!(clean(&cleaned).as_deref(), Some(cleaned.as_slice()));

    // As section 22 has it, one stream for the page.
    let mut file = Builder::new(Order::Big);
    let at = file.block(&stream);
    let count = u32::try_from(stream.len()).unwrap();
    let mut rows = file.grey(6, &[at + 40], &[count - 40]);
    rows.push(file.longs(JPEG_INTERCHANGE_FORMAT, &[at]));
    rows.push(file.longs(JPEG_INTERCHANGE_FORMAT_LENGTH, &[count]));
    rows.retain(|row| row.0 != ROWS_PER_STRIP);
    file.page(&rows);
    let cleaned = clean(&file.octets).unwrap();
    assert!(!holds(&cleaned, b"Canary"));
    assert_eq!(strips(&cleaned), [plain]);
    assert_eq!(clean(&cleaned).as_deref(), Some(cleaned.as_slice()));

    // A stream of tables, and strips of coded data.
    let mut file = Builder::new(Order::Little);
    let header = jpeg(&[tables.as_slice(), &frame[..1]].concat(), b"");
    let at = file.block(&header);
    let first = file.block(b"\xff\xda\0\x06scan\x12\xff\0\x34");
    let second = file.block(b"\x56\xff\xd9Canary");
    let mut rows = file.grey(6, &[first, second], &[12, 9]);
    rows.push(file.longs(JPEG_INTERCHANGE_FORMAT, &[at]));
    rows.push(file.longs(JPEG_INTERCHANGE_FORMAT_LENGTH, &[u32::try_from(header.len()).unwrap()]));
    file.page(&rows);
    let cleaned = clean(&file.octets).unwrap();
    assert!(!holds(&cleaned, b"Canary"));
    assert_eq!(strips(&cleaned), [b"\xff\xda\0\x06scan\x12\xff\0\x34".as_slice(), b"\x56\xff\xd9"]);
    assert_eq!(clean(&cleaned).as_deref(), Some(cleaned.as_slice()));
}

#[test]
fn tables_by_themselves_are_copied() {
    let mut file = Builder::new(Order::Big);
    let quantisation = file.block(&[7; 64]);
    let mut codes = [0; 18];
    (codes[1], codes[16], codes[17]) = (2, 0xaa, 0xbb);
    let codes = file.block(&codes);
    let strip = file.block(b"\x12\xff\0\x34");
    let mut rows = file.grey(6, &[strip], &[4]);
    rows.push(file.longs(JPEG_Q_TABLES, &[quantisation]));
    rows.push(file.longs(JPEG_DC_TABLES, &[codes]));
    file.page(&rows);
    let cleaned = clean(&file.octets).unwrap();
    assert!(holds(&cleaned, &[7; 64]) && holds(&cleaned, b"\x02\0\0\0\0\0\0\0\0\0\0\0\0\0\0\xaa\xbb"));
    assert_eq!(strips(&cleaned), [b"\x12\xff\0\x34"]);
    assert_eq!(clean(&cleaned).as_deref(), Some(cleaned.as_slice()));
}

#[test]
fn smaller_versions_go_unless_there_is_nothing_else() {
    let mut file = Builder::new(Order::Little);
    let (small, large) = (file.block(LZW[0]), file.block(LZW[1]));
    let mut reduced = file.grey(5, &[small], &[5]);
    reduced[0] = file.longs(NEW_SUBFILE_TYPE, &[1]);
    file.page(&reduced);
    assert_eq!(strips(&clean(&file.octets).unwrap()), [LZW[0]]);
    let mut full = file.grey(5, &[large], &[4]);
    full[1] = file.shorts(IMAGE_WIDTH, &[60]);
    full[2] = file.shorts(IMAGE_LENGTH, &[40]);
    full.push(file.longs(EXIF_IFD, &[8]));
    file.page(&full);
    assert_eq!(strips(&clean(&file.octets).unwrap()), [LZW[1]]);

    let mut camera = Builder::new(Order::Little);
    let (large, small) = (camera.block(LZW[1]), camera.block(LZW[0]));
    full[6] = camera.longs(STRIP_OFFSETS, &[large]);
    camera.page(&full);
    let thumbnail = camera.grey(5, &[small], &[5]);
    camera.page(&thumbnail);
    assert_eq!(strips(&clean(&camera.octets).unwrap()), [LZW[1]]);
}

#[test]
fn a_chain_without_end_ends() {
    let mut file = Builder::new(Order::Big);
    let at = file.block(LZW[0]);
    let rows = file.grey(5, &[at], &[5]);
    file.page(&rows);
    file.page(&rows);
    let first = u32::from_be_bytes(file.octets[4..8].try_into().unwrap());
    file.link(first);
    assert_eq!(strips(&clean(&file.octets).unwrap()).len(), 2);
}

#[test]
fn data_that_pages_share_is_copied_once_and_never_multiplied() {
    let many = |step: u32| {
        let mut file = Builder::new(Order::Little);
        let at = file.block(&[0x55; 2_000]);
        for n in 0..100 {
            let rows = file.grey(5, &[at + step * n], &[1_500]);
            file.page(&rows);
        }
        file.octets
    };
    let same = many(0);
    assert!(clean(&same).is_some_and(|clean| clean.len() <= same.len()));
    assert!(clean(&many(1)).is_none());
}

#[test]
fn what_is_not_understood_is_refused() {
    let refused = |compression| clean(&picture(Order::Little, compression, LZW)).is_none();
    // Old and new JPEG without a stream, WebP, and a number that nobody gave out.
    assert!(refused(6) && refused(7) && refused(50_001) && refused(999));
    assert!(clean(b"II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0").is_none(), "BigTIFF");
    assert!(clean(b"II*\0\x08\0\0\0\0\0\0\0\0\0").is_none(), "no page");
}

#[test]
fn what_is_cut_off_is_refused_or_shortened() {
    for order in [Order::Little, Order::Big] {
        let whole = picture(order, 5, LZW);
        for n in 0..whole.len() {
            if let Some(clean) = clean(&whole[..n]) {
                assert!(clean.len() <= whole.len() && !holds(&clean, b"Canary"));
            }
        }
    }
}

proptest! {
    #[test]
    fn hostile_edits_never_panic_and_cleaning_twice_changes_nothing(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        compression in prop::sample::select(vec![1_u16, 5, 6, 7]),
    ) {
        let stream = jpeg(&[(0xc4, b"codes"), (0xc0, b"frame"), (SOS, b"scan")], b"\x12\x34");
        let mut octets = picture(Order::Little, compression, [&stream, &stream]);
        for (place, octet) in edits {
            let place = place.index(octets.len());
            octets[place] = octet;
        }
        if let Some(once) = clean(&octets) {
            prop_assert!(once.len() <= 4 * octets.len() + 4_096);
            prop_assert_eq!(clean(&once), Some(once));
        }
    }
}

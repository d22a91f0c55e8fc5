//! Pictures that any program opens, with a canary where cameras and programs leave names. Pixels are letters, so that
//! it can be seen whether they arrived.

use crate::vectors::Case;
use crate::vectors::build::{be16, be32, crc32, le16, le32, utf16_le, zlib};

/// Sixteen grey pixels.
pub const PIXELS: &str = "PIXELS OF A BLUE";
/// The next row.
const SECOND_ROW: &str = "LAMP IN TWO ROWS";
/// The coded data of the JPEG: one octet a block, see `jpeg`.
pub const SCAN: &str = "P2X4L6P2X4L6N8T0";

const BYTE: usize = 1;
const ASCII: usize = 2;
const SHORT: usize = 3;
const LONG: usize = 4;
const RATIONAL: usize = 5;
const UNDEFINED: usize = 7;

/// A grey picture of 128 by 8 pixels. The code tables have one word of one bit each, so that a block is a zero bit, six
/// bits for its brightness and a zero bit: octets such as `P`.
pub fn jpeg(segments: &[Vec<u8>], behind: &[u8]) -> Vec<u8> {
    let one_word = |class: u8, value: u8| [[class, 1].as_slice(), &[0; 15], &[value]].concat();
    [
        b"\xff\xd8".to_vec(),
        segment(0xe0, b"JFIF\0\x01\x02\0\0\x48\0\x48\0\0"),
        segments.concat(),
        segment(0xdb, &[b"\0".as_slice(), &[1; 64]].concat()),
        segment(0xc0, b"\x08\0\x08\0\x80\x01\x01\x11\0"),
        segment(0xc4, &one_word(0, 6)),
        segment(0xc4, &one_word(0x10, 0)),
        segment(0xda, b"\x01\x01\0\0\x3f\0"),
        SCAN.as_bytes().to_vec(),
        b"\xff\xd9".to_vec(),
        behind.to_vec(),
    ]
    .concat()
}

fn segment(marker: u8, content: &[u8]) -> Vec<u8> {
    [[0xff, marker].as_slice(), &be16(content.len() + 2), content].concat()
}

/// GPS: the seconds of latitude and longitude are rationals whose octets are the canary, beside texts.
pub fn jpeg_with_place(c: &Case<'_>) -> Vec<u8> {
    let whole = |n: usize| [be32(n), be32(1)].concat();
    // Letters over letters: between 0.4 and 2.6 seconds.
    let place = |degrees: usize, minutes: usize| [whole(degrees), whole(minutes), c.canary.as_bytes()[..8].to_vec()].concat();
    let place_name = format!("ASCII\0\0\0Lamp Street 7, {}", c.canary);
    let gps = [
        (0x01, ASCII, b"N\0".to_vec()),
        (0x02, RATIONAL, place(40, 25)),
        (0x03, ASCII, b"W\0".to_vec()),
        (0x04, RATIONAL, place(3, 42)),
        (0x1b, UNDEFINED, format!("ASCII\0\0\0{}", c.canary).into_bytes()),
        (0x1c, UNDEFINED, place_name.into_bytes()),
    ];
    let first = |gps_at: usize| directory(8, &[(0x010f, ASCII, text("Camera")), (0x8825, LONG, be32(gps_at).to_vec())], 0);
    let gps_at = 8 + first(0).len();
    jpeg(&[exif(&[first(gps_at), directory(gps_at, &gps, 0)])], b"")
}

/// Owner, serial numbers, descriptions, a note of the maker; the picture stands on its side.
pub fn jpeg_with_owner(c: &Case<'_>) -> Vec<u8> {
    let detail = [
        (0x927c, UNDEFINED, format!("MAKER\0\x01\0 serial {}", c.canary).into_bytes()),
        (0x9286, UNDEFINED, format!("ASCII\0\0\0of {}", c.address()).into_bytes()),
        (0xa430, ASCII, text(&c.name)),
        (0xa431, ASCII, text(&c.canary)),
        (0xa435, ASCII, text(&c.canary)),
    ];
    let first = |detail_at: usize| {
        let entries = [
            (0x010e, ASCII, text(&format!("by {}", c.address()))),
            (0x010f, ASCII, text("Camera")),
            (0x0112, SHORT, be16(6).to_vec()),
            (0x0131, ASCII, text(&format!("Letters on {}", c.host()))),
            (0x013b, ASCII, text(&c.name)),
            (0x8298, ASCII, text(&format!("(c) {}", c.name))),
            (0x8769, LONG, be32(detail_at).to_vec()),
            (0x9c9d, BYTE, utf16_le(&format!("{}\0", c.name))),
        ];
        directory(8, &entries, 0)
    };
    let detail_at = 8 + first(0).len();
    jpeg(&[exif(&[first(detail_at), directory(detail_at, &detail, 0)])], b"")
}

/// A comment, XMP, and octets behind the end of the picture.
pub fn jpeg_with_comments(c: &Case<'_>) -> Vec<u8> {
    let xmp = format!("http://ns.adobe.com/xap/1.0/\0{}", xmp(c));
    let segments = [segment(0xfe, format!("made by {}", c.address()).as_bytes()), segment(0xe1, xmp.as_bytes())];
    jpeg(&segments, format!("\0\0MotionPhoto {} \0", c.host()).as_bytes())
}

/// A second, smaller picture in EXIF, with a comment of its own.
pub fn jpeg_with_thumbnail(c: &Case<'_>) -> Vec<u8> {
    let small = jpeg(&[segment(0xfe, format!("uncropped, {}", c.name).as_bytes())], b"");
    let second_at = 8 + directory(8, &[(0x010f, ASCII, text("Camera"))], 0).len();
    let second = |at: usize| {
        let entries = [(0x0103, SHORT, be16(6).to_vec()), (0x0201, LONG, be32(at).to_vec()), (0x0202, LONG, be32(small.len()).to_vec())];
        directory(second_at, &entries, 0)
    };
    let small_at = second_at + second(0).len();
    let first = directory(8, &[(0x010f, ASCII, text("Camera"))], second_at);
    jpeg(&[exif(&[first, second(small_at), small])], b"")
}

fn exif(directories: &[Vec<u8>]) -> Vec<u8> {
    segment(0xe1, &[b"Exif\0\0MM\0*\0\0\0\x08".to_vec(), directories.concat()].concat())
}

fn text(text: &str) -> Vec<u8> {
    format!("{text}\0").into_bytes()
}

/// An image file directory (TIFF 6.0, section 2), big-endian, that begins at a place; entries in order of their tags.
fn directory(at: usize, entries: &[(usize, usize, Vec<u8>)], next: usize) -> Vec<u8> {
    let values_at = at + 2 + 12 * entries.len() + 4;
    let (mut table, mut values) = (be16(entries.len()).to_vec(), Vec::<u8>::new());
    for (tag, kind, octets) in entries {
        let unit = match *kind {
            SHORT => 2,
            LONG => 4,
            RATIONAL => 8,
            _ => 1,
        };
        table.extend([be16(*tag), be16(*kind)].concat());
        table.extend(be32(octets.len() / unit));
        if octets.len() <= 4 {
            table.extend(octets.iter().copied().chain([0; 4]).take(4));
        } else {
            table.extend(be32(values_at + values.len()));
            values.extend_from_slice(octets);
            if values.len() % 2 == 1 {
                values.push(0);
            }
        }
    }
    table.extend(be32(next));
    table.extend(values);
    table
}

fn xmp(c: &Case<'_>) -> String {
    let creator =
        format!("<dc:creator xmlns:dc=\"http://purl.org/dc/elements/1.1/\"><rdf:Seq><rdf:li>{}</rdf:li></rdf:Seq></dc:creator>", c.name);
    let rdf = format!(
        "<rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\"><rdf:Description>{creator}</rdf:Description></rdf:RDF>"
    );
    format!("<x:xmpmeta xmlns:x=\"adobe:ns:meta/\">{rdf}</x:xmpmeta>")
}

/// Sixteen by two grey pixels, with chunks before the picture data.
pub fn png(chunks: &[Vec<u8>]) -> Vec<u8> {
    let rows = format!("\0{PIXELS}\0{SECOND_ROW}");
    [
        b"\x89PNG\r\n\x1a\n".to_vec(),
        chunk(b"IHDR", b"\0\0\0\x10\0\0\0\x02\x08\0\0\0\0"),
        chunks.concat(),
        chunk(b"IDAT", &zlib(rows.as_bytes())),
        chunk(b"IEND", b""),
    ]
    .concat()
}

pub fn png_with_texts(c: &Case<'_>) -> Vec<u8> {
    let tiff = [b"MM\0*\0\0\0\x08".to_vec(), directory(8, &[(0x013b, ASCII, text(&c.name))], 0)].concat();
    png(&[
        chunk(b"tEXt", format!("Author\0{}", c.name).as_bytes()),
        chunk(b"zTXt", &[b"Comment\0\0".to_vec(), zlib(format!("made by {}", c.address()).as_bytes())].concat()),
        chunk(b"iTXt", format!("XML:com.adobe.xmp\0\0\0\0\0{}", xmp(c)).as_bytes()),
        chunk(b"eXIf", &tiff),
    ])
}

fn chunk(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let named = [kind.as_slice(), content].concat();
    let check = crc32(&named).to_be_bytes();
    [be32(content.len()).as_slice(), &named, &check].concat()
}

/// Sixteen by two grey pixels in one strip, uncompressed.
pub fn tiff(c: &Case<'_>) -> Vec<u8> {
    let number = |value: usize| be16(value).to_vec();
    let first = |pixels_at: usize| {
        let entries = [
            (256, SHORT, number(16)),
            (257, SHORT, number(2)),
            (258, SHORT, number(8)),
            (259, SHORT, number(1)),
            (262, SHORT, number(1)),
            (270, ASCII, text(&format!("scanned for {}", c.address()))),
            (271, ASCII, text("Scanner")),
            (273, LONG, be32(pixels_at).to_vec()),
            (277, SHORT, number(1)),
            (278, SHORT, number(2)),
            (279, LONG, be32(32).to_vec()),
            (305, ASCII, text(&format!("Letters on {}", c.host()))),
            (315, ASCII, text(&c.name)),
            (316, ASCII, text(&c.host())),
            (700, BYTE, xmp(c).into_bytes()),
        ];
        directory(8, &entries, 0)
    };
    let pixels_at = 8 + first(0).len();
    [b"MM\0*\0\0\0\x08".to_vec(), first(pixels_at), format!("{PIXELS}{SECOND_ROW}").into_bytes()].concat()
}

/// Sixteen pixels of 128 colours. With as many codes as colours and two, every code has eight bits and a pixel is its own.
pub fn gif(c: &Case<'_>) -> Vec<u8> {
    let colours: Vec<u8> = (0..128).flat_map(|n| [2 * n; 3]).collect();
    let comment = format!("made by {}", c.address());
    [
        b"GIF89a\x10\0\x01\0\xf6\0\0".as_slice(),
        &colours,
        b"\x21\xfe",
        &be16(comment.len())[1..],
        comment.as_bytes(),
        b"\0\x2c\0\0\0\0\x10\0\x01\0\0\x07\x12\x80",
        PIXELS.as_bytes(),
        b"\x81\0\x3b",
    ]
    .concat()
}

/// Eight by two pixels of 24 bits, and octets behind them.
pub fn bmp(c: &Case<'_>) -> Vec<u8> {
    let rows = format!("{PIXELS} LAMP ..IN TWO ROWS OF EIGHT ...");
    let sizes = [le32(40), le32(8), le32(2)].concat();
    let header = [le32(54 + rows.len()), le32(0), le32(54)].concat();
    let format = [le16(1), le16(24)].concat();
    let rest = [le32(0), le32(rows.len()), le32(2835), le32(2835), le32(0), le32(0)].concat();
    let behind = format!("saved by {}", c.address());
    [b"BM".as_slice(), &header, &sizes, &format, &rest, rows.as_bytes(), behind.as_bytes()].concat()
}

//! Pictures within another file, where nothing may move: metadata is overwritten where it stands, and every pixel is kept.

use std::ops::Range;

use crate::kind::Kind;
use crate::octets::{clear, put, u8_at, u16_at, u32_at};
use crate::picture::jpeg::end_of_scan;
use crate::picture::{clean_picture, crc32};

/// Chunks of PNG that are kept as they are; other ancillary ones become a private chunk of zeros.
const CHUNKS: [&[u8; 4]; 11] = [b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"sBIT", b"pHYs", b"bKGD"];
const NO_CHUNK: &[u8; 4] = b"prVt";
const EOI: usize = 0xd9;
const SOS: usize = 0xda;
const SIGNATURE: &[u8; 8] = b"\x89PNG\r\n\x1a\n";

/// Tags of TIFF that hold names, times, places or metadata of another format.
const TAGS: [usize; 18] = [269, 270, 271, 272, 285, 305, 306, 315, 316, 333, 700, 32_932, 33_432, 33_723, 34_377, 37_500, 37_724, 42_016];
/// Tags that refer to more tags: Exif, GPS, interoperability.
const MORE_TAGS: [usize; 3] = [34_665, 34_853, 40_965];
/// Most directories of tags in a picture.
const MAX_DIRECTORIES: usize = 64;

/// Blanks a picture's metadata; whether it is one.
pub(crate) fn image(octets: &mut [u8]) -> bool {
    if octets.starts_with(b"\xff\xd8\xff") {
        jpeg(octets)
    } else if octets.starts_with(SIGNATURE) {
        png(octets)
    } else if octets.starts_with(b"II*\0") || octets.starts_with(b"MM\0*") {
        tiff(octets)
    } else if octets.starts_with(b"GIF8") {
        clean_picture(Kind::Gif, octets).is_ok_and(|clean| refill(octets, &clean))
    } else {
        false
    }
}

/// Another picture in the place of one, and zeros behind it; whether it fits.
pub(crate) fn refill(place: &mut [u8], new: &[u8]) -> bool {
    let Some((front, rest)) = place.split_at_mut_checked(new.len()) else { return false };
    front.copy_from_slice(new);
    rest.fill(0);
    true
}

/// JPEG (ITU-T T.81, annex B): application segments but JFIF and Adobe, comments, and what follows the end.
fn jpeg(octets: &mut [u8]) -> bool {
    let mut blanks: Vec<Range<usize>> = Vec::new();
    let (mut at, mut scans) = (2, 0_usize);
    while let Some((marker, start)) = next_marker(octets, at) {
        if marker == EOI {
            at = start;
            break;
        }
        let (Some(high), Some(low)) = (u8_at(octets, start), u8_at(octets, start + 1)) else { break };
        let (body, end) = (start + 2, start + 256 * high + low);
        if end < body || end > octets.len() {
            break;
        }
        match marker {
            // Dimensions of a printed pixel; a thumbnail may follow them.
            0xe0 => blanks.push(end.min(body + 12)..end),
            0xe1..=0xed | 0xef | 0xfe => blanks.push(body..end),
            _ => {}
        }
        at = end;
        if marker == SOS {
            scans += 1;
            at = end_of_scan(octets, at);
        }
    }
    if scans > 0 {
        blanks.push(at..octets.len());
        blanks.into_iter().for_each(|blank| clear(octets, blank.start, blank.end));
    }
    scans > 0
}

/// A marker after its fill octets (B.1.1.2), and where it ends.
fn next_marker(octets: &[u8], at: usize) -> Option<(usize, usize)> {
    let fill = octets.get(at..)?.iter().take_while(|octet| **octet == 0xff).count();
    let marker = u8_at(octets, at + fill)?;
    (fill > 0 && marker != 0).then_some((marker, at + fill + 1))
}

/// PNG (ISO/IEC 15948): ancillary chunks that change no pixel, and what follows the end.
fn png(octets: &mut [u8]) -> bool {
    let (mut at, mut has_pixels) = (SIGNATURE.len(), false);
    while let Some(head) = octets.get(at..at + 8) {
        let length = head[..4].iter().fold(0_usize, |sum, octet| 256 * sum + usize::from(*octet));
        let is_kept = CHUNKS.iter().any(|chunk| head[4..] == **chunk);
        let is_critical = head[4].is_ascii_uppercase();
        let (is_pixels, is_last) = (head[4..] == *b"IDAT", head[4..] == *b"IEND");
        has_pixels |= is_pixels;
        let end = at + 12 + length;
        if end > octets.len() {
            clear(octets, if is_pixels { octets.len() } else { at }, octets.len());
            break;
        }
        if !is_kept && !is_critical {
            put(octets, at + 4, NO_CHUNK);
            clear(octets, at + 8, end - 4);
            let crc = crc32(octets.get(at + 4..end - 4).unwrap_or_default());
            put(octets, end - 4, &crc.to_be_bytes());
        }
        at = end;
        if is_last {
            clear(octets, at, octets.len());
            break;
        }
    }
    has_pixels
}

/// TIFF 6.0, section 2: values of tags that say who, when, where or with what.
fn tiff(octets: &mut [u8]) -> bool {
    const SIZES: [usize; 13] = [0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8];
    let is_little = octets.starts_with(b"II");
    let u16_of = |octets: &[u8], at: usize| u16_at(octets, at).map(|n| if is_little { n } else { swap(n, 2) });
    let u32_of = |octets: &[u8], at: usize| u32_at(octets, at).map(|n| if is_little { n } else { swap(n, 4) });
    let mut directories: Vec<(usize, bool)> = u32_of(octets, 4).map(|at| (at, false)).into_iter().collect();
    let (mut seen, mut left) = (0, 2 * octets.len());
    while let Some((directory, is_private)) = directories.pop() {
        seen += 1;
        let Some(count) = u16_of(octets, directory).filter(|_| seen <= MAX_DIRECTORIES) else { return false };
        for index in 0..count {
            let at = directory + 2 + 12 * index;
            let (Some(tag), Some(kind)) = (u16_of(octets, at), u16_of(octets, at + 2)) else { return false };
            let (Some(values), Some(value)) = (u32_of(octets, at + 4), u32_of(octets, at + 8)) else { return false };
            let length = SIZES.get(kind).copied().unwrap_or(0).saturating_mul(values);
            if MORE_TAGS.contains(&tag) {
                directories.push((value, true));
            } else if is_private || kind == 2 || TAGS.contains(&tag) {
                let from = if length <= 4 { at + 8 } else { value };
                // Values that overlap so often are nobody's.
                let Some(rest) = left.checked_sub(length) else { return false };
                left = rest;
                clear(octets, from, from.saturating_add(length));
            }
        }
        if !is_private && let Some(next) = u32_of(octets, directory + 2 + 12 * count).filter(|next| *next > 0) {
            directories.push((next, false));
        }
    }
    true
}

/// The octets of a number the other way round.
fn swap(number: usize, octets: usize) -> usize {
    (0..octets).fold(0_usize, |sum, octet| 256 * sum + ((number >> (8 * octet)) & 0xff))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(octets: &[u8], what: &[u8]) -> bool {
        octets.windows(what.len()).any(|window| window == what)
    }

    #[test]
    fn metadata_of_a_jpeg_is_blanked_where_it_stands() {
        let mut jpeg = b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x48\0\x48\0\0".to_vec();
        jpeg.extend_from_slice(b"\xff\xe1\0\x0eExif\0\0Canary");
        jpeg.extend_from_slice(b"\xff\xfe\0\x08Canary");
        jpeg.extend_from_slice(b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0\x01");
        jpeg.extend_from_slice(b"\xff\xda\0\x08\x01\x01\0\0\x3f\0\x12\xff\0\x34\xff\xd0\x56\xff\xd9");
        let length = jpeg.len();
        jpeg.extend_from_slice(b"Canary");
        assert!(image(&mut jpeg));
        assert!(!holds(&jpeg, b"Canary") && !holds(&jpeg, b"Exif"));
        for kept in [b"JFIF".as_slice(), b"Adobe", b"\x3f\0\x12\xff\0\x34\xff\xd0\x56\xff\xd9"] {
            assert!(holds(&jpeg, kept));
        }
        assert_eq!(jpeg.len(), length + 6);
        jpeg.truncate(length);
        let once = jpeg.clone();
        assert!(image(&mut jpeg) && jpeg == once);
        assert!(holds(&jpeg, b"\x56\xff\xd9"));
    }

    #[test]
    fn metadata_of_a_png_is_blanked_where_it_stands() {
        let mut png = SIGNATURE.to_vec();
        for (kind, body) in [(b"IHDR", b"0123456789012".as_slice()), (b"tEXt", b"Author\0Canary"), (b"IDAT", b"pixels"), (b"IEND", b"")] {
            png.extend_from_slice(&u32::try_from(body.len()).unwrap().to_be_bytes());
            let chunk = [kind.as_slice(), body].concat();
            png.extend_from_slice(&chunk);
            png.extend_from_slice(&crc32(&chunk).to_be_bytes());
        }
        png.extend_from_slice(b"Canary");
        assert!(image(&mut png));
        assert!(!holds(&png, b"Canary") && !holds(&png, b"tEXt"));
        assert!(holds(&png, b"prVt") && holds(&png, b"IDATpixels"));
    }

    #[test]
    fn metadata_of_a_tiff_is_blanked_where_it_stands() {
        let mut tiff = b"II*\0\x08\0\0\0\x02\0".to_vec();
        // ImageWidth 1, and Artist at 38.
        tiff.extend_from_slice(b"\0\x01\x03\0\x01\0\0\0\x01\0\0\0");
        tiff.extend_from_slice(b"\x3b\x01\x02\0\x07\0\0\0\x26\0\0\0");
        tiff.extend_from_slice(b"\0\0\0\0Canary\0");
        assert!(image(&mut tiff));
        assert!(!holds(&tiff, b"Canary") && holds(&tiff, b"\0\x01\x03\0\x01\0\0\0\x01"));
        assert_eq!(swap(0x0102, 2), 0x0201);
    }

    #[test]
    fn what_is_shorter_is_followed_by_zeros() {
        let mut place = *b"0123456789";
        assert!(refill(&mut place, b"new") && place == *b"new\0\0\0\0\0\0\0");
        assert!(!refill(&mut place, b"longer than it"));
        let gif = b"GIF89a\x01\0\x01\0\0\0\0\x21\xfe\x06Canary\0\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x4c\x01\0\x3b";
        let mut picture = gif.to_vec();
        assert!(image(&mut picture) && picture.len() == gif.len() && !holds(&picture, b"Canary"));
        assert!(!image(&mut [0; 9]));
    }
}

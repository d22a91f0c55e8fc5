//! Pictures inside a document ([MS-ODRAW] 2.2.22 to 2.2.31): rewritten where they stand, so that nothing moves. What nobody
//! understands becomes zeros: it shows nothing.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::bufread::ZlibDecoder;
use flate2::write::ZlibEncoder;

use crate::kind::Kind;
use crate::octets::{clear, put, u8_at, u16_at, u32_at};
use crate::picture::{blank, clean_picture, metafile};

const EMF: usize = 0xf01a;
const WMF: usize = 0xf01b;
const PICT: usize = 0xf01c;
const DIB: usize = 0xf01f;
/// Head of a metafile (OfficeArtMetafileHeader, 2.2.31): how long it is inflated comes first, how it is compressed later.
const METAFILE_HEAD: usize = 34;
const COMPRESSION: usize = 32;
const DEFLATE: usize = 0;
const NO_COMPRESSION: usize = 0xfe;
/// A metafile, inflated.
const MAX_METAFILE: usize = 16 << 20;
/// All metafiles of a document, inflated: they are also deflated again.
pub(super) const MAX_INFLATED: usize = 64 << 20;

/// The body of a picture's record; `left` is how much may still be inflated.
pub(super) fn blip(kind: usize, instance: usize, body: &mut [u8], left: &mut usize) {
    // One or two checksums of the picture come first.
    let checksums = if instance & 1 == 1 { 32 } else { 16 };
    match kind {
        EMF | WMF | PICT => {
            if let Some((head, metafile)) = body.get_mut(checksums..).and_then(|rest| rest.split_at_mut_checked(METAFILE_HEAD)) {
                rewrite(kind, head, metafile, left);
            } else {
                body.fill(0);
            }
        }
        DIB => {
            if body.get_mut(checksums + 1..).and_then(bitmap).is_none() {
                clear(body, checksums + 1, body.len());
            }
        }
        // What is called a picture and is none shows nothing.
        _ => {
            if ![checksums + 1, 17, 33].iter().any(|at| body.get_mut(*at..).is_some_and(blank::image)) {
                clear(body, checksums + 1, body.len());
            }
        }
    }
}

/// A metafile without what names programs, titles and people; one that shows nothing where it cannot be had in this place.
fn rewrite(kind: usize, head: &mut [u8], body: &mut [u8], left: &mut usize) {
    let is_deflated = u8_at(head, COMPRESSION) == Some(DEFLATE);
    let (old, end) = match u8_at(head, COMPRESSION) {
        Some(DEFLATE) => inflate(body, left).unwrap_or_default(),
        Some(NO_COMPRESSION) => (body.to_vec(), body.len()),
        _ => (Vec::new(), 0),
    };
    let (clean, empty) = match kind {
        EMF => (metafile::clean_emf(&old), metafile::empty_emf(&old)),
        WMF => (metafile::clean_wmf(&old), metafile::empty_wmf()),
        _ => (None, Vec::new()),
    };
    if clean.as_ref() == Some(&old) {
        clear(body, end, body.len());
        return;
    }
    for new in [clean.unwrap_or_default(), empty] {
        let packed = if is_deflated && !new.is_empty() { deflate(&new) } else { new.clone() };
        // What is left of the place is zeros, which nobody reads: a metafile and what is deflated say where they end.
        if !packed.is_empty() && blank::refill(body, &packed) {
            put(head, 0, &u32::try_from(new.len()).unwrap_or(0).to_le_bytes());
            return;
        }
    }
    body.fill(0);
}

/// What is deflated (RFC 1950), and how much of the place it takes.
fn inflate(octets: &[u8], left: &mut usize) -> Option<(Vec<u8>, usize)> {
    let most = MAX_METAFILE.min(*left);
    let limit = u64::try_from(most).ok()?.saturating_add(1);
    let mut decoder = ZlibDecoder::new(octets);
    let mut out = Vec::new();
    let read = Read::by_ref(&mut decoder).take(limit).read_to_end(&mut out);
    *left = left.saturating_sub(out.len());
    if read.is_err() || out.len() > most {
        return None;
    }
    let end = usize::try_from(decoder.total_in()).ok()?;
    Some((out, end))
}

/// As small as can be, so that it fits where it was; nothing where that fails.
fn deflate(octets: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    match encoder.write_all(octets) {
        Ok(()) => encoder.finish().unwrap_or_default(),
        Err(_) => Vec::new(),
    }
}

/// A bitmap: what a BMP holds behind the head of the file. `None` where it is none.
fn bitmap(octets: &mut [u8]) -> Option<()> {
    const FILE_HEAD: usize = 14;
    let (head, bits, compression, used) = (u32_at(octets, 0)?, u16_at(octets, 14)?, u32_at(octets, 16)?, u32_at(octets, 32)?);
    let masks = if head == 40 && compression == 3 { 12 } else { 0 };
    let colours = match (bits, used) {
        (0..=8, 0) => 1 << bits,
        _ => used,
    };
    let pixels = FILE_HEAD.checked_add(head)?.checked_add(masks)?.checked_add(colours.checked_mul(4)?)?;
    let place = u32::try_from(pixels).ok()?.to_le_bytes();
    let file = [b"BM\0\0\0\0\0\0\0\0".as_slice(), &place, &*octets].concat();
    let clean = clean_picture(Kind::Bmp, &file).ok()?;
    blank::refill(octets, clean.get(FILE_HEAD..)?).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(octets: &[u8], what: &[u8]) -> bool {
        octets.windows(what.len()).any(|window| window == what)
    }

    fn run(kind: usize, body: &mut [u8]) {
        let mut left = MAX_INFLATED;
        blip(kind, 0x3d4, body, &mut left);
    }

    /// A metafile with a comment after checksum and head, deflated unless said otherwise.
    fn with_comment(compression: u8) -> Vec<u8> {
        let empty = metafile::empty_emf(b"");
        let comment = b"\x46\0\0\0\x14\0\0\0\x06\0\0\0Canary\0\0";
        let whole = [&empty[..108], comment, &empty[108..]].concat();
        let mut body = vec![7_u8; 16 + METAFILE_HEAD];
        body[16 + COMPRESSION] = compression;
        body.extend(if compression == 0 { deflate(&whole) } else { whole });
        body
    }

    fn shown(body: &[u8]) -> Vec<u8> {
        let mut left = MAX_INFLATED;
        inflate(&body[16 + METAFILE_HEAD..], &mut left).unwrap().0
    }

    #[test]
    fn what_is_no_picture_is_cleared_in_its_record() {
        let mut body = [b"0123456789abcdef\0".as_slice(), b"\xff\xd8\xff Canary"].concat();
        run(0xf01d, &mut body);
        assert!(!holds(&body, b"Canary"));
        let mut body = [b"0123456789abcdef".as_slice(), &[0; METAFILE_HEAD], b"Canary"].concat();
        run(PICT, &mut body);
        assert!(!holds(&body, b"Canary"));
        let mut body = b"0123456789abcdefCanary".to_vec();
        run(EMF, &mut body);
        assert!(!holds(&body, b"Canary"));
    }

    #[test]
    fn metafiles_are_cleaned_in_their_place() {
        for compression in [0, 0xfe] {
            let mut body = with_comment(compression);
            let length = body.len();
            run(EMF, &mut body);
            assert_eq!(body.len(), length);
            assert!(!holds(&body, b"Canary"));
            assert_eq!(u32_at(&body, 16), Some(128));
            let once = body.clone();
            run(EMF, &mut body);
            assert!(body == once, "cleaning twice changes nothing");
        }
        let mut body = with_comment(0);
        run(EMF, &mut body);
        assert!(metafile::is_emf(&shown(&body)) && !holds(&shown(&body), b"Canary"));
        // What stands behind the stream goes, even if nothing in it is changed.
        body.extend_from_slice(b"Canary");
        run(EMF, &mut body);
        assert!(!holds(&body, b"Canary"));
    }

    #[test]
    fn what_is_no_metafile_becomes_an_empty_one() {
        let mut noise = 1_u32;
        let mut next = || {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            noise.to_le_bytes()[3]
        };
        let strange: Vec<u8> = (0..300).map(|_| next()).collect();
        for (kind, empty) in [(EMF, metafile::empty_emf(b"")), (WMF, metafile::empty_wmf())] {
            let mut body = [vec![0; 16 + METAFILE_HEAD], deflate(&strange)].concat();
            run(kind, &mut body);
            assert_eq!(shown(&body), empty);
        }
        // It is not inflated beyond what is left.
        let mut body = with_comment(0);
        blip(EMF, 0x3d4, &mut body, &mut 100);
        assert_eq!(shown(&body), metafile::empty_emf(b""));
    }

    #[test]
    fn bitmaps_are_kept_without_what_stands_around_their_pixels() {
        // One pixel of 24 bits.
        let info = [b"\x28\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\x18\0".as_slice(), &[0; 24]].concat();
        let mut body = [[7_u8; 17].as_slice(), &info, b"\x11\x22\x33\0", b"Canary"].concat();
        run(DIB, &mut body);
        assert!(holds(&body, b"\x11\x22\x33\0") && !holds(&body, b"Canary") && body.starts_with(&[7; 17]));
        let mut body = [[7_u8; 17].as_slice(), b"Canary"].concat();
        run(DIB, &mut body);
        assert!(!holds(&body, b"Canary"));
    }
}

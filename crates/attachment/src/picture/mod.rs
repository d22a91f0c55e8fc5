//! Pictures without metadata: the pixels are copied bit for bit, everything else is left behind but what shows the
//! picture as its writer saw it (orientation, palette, transparency, loops).
//!
//! Nothing is decoded, so that a picture costs no more than its octets; one whose pixels would overwhelm who opens it is
//! refused all the same. Pictures within documents that cannot move are blanked where they stand (`blank.rs`).

pub(crate) mod blank;
mod bmp;
mod exif;
mod gif;
mod jpeg;
pub(crate) mod metafile;
mod png;
mod tiff;

use crate::kind::{Fault, Kind};

/// Most pixels of a picture: twice what cameras and scanners make, a twentieth of what formats can say.
const MAX_PIXELS: u64 = 400_000_000;

/// The picture rebuilt.
///
/// # Errors
/// `Unreadable` where its structure is none of its format's, or its size nobody's; `Kind` for what is no picture.
pub fn clean_picture(kind: Kind, octets: &[u8]) -> Result<Vec<u8>, Fault> {
    let clean = match kind {
        Kind::Jpeg => jpeg::clean(octets),
        Kind::Png => png::clean(octets),
        Kind::Gif => gif::clean(octets),
        Kind::Bmp => bmp::clean(octets),
        Kind::Tiff => tiff::clean(octets),
        _ => return Err(Fault::Kind),
    };
    clean.ok_or(Fault::Unreadable)
}

/// Whether a picture has a size that can be shown.
fn is_showable(width: impl Into<u64>, height: impl Into<u64>) -> bool {
    width.into().saturating_mul(height.into()) <= MAX_PIXELS
}

/// `N` octets at a place.
fn take<const N: usize>(octets: &[u8], at: usize) -> Option<[u8; N]> {
    octets.get(at..at.checked_add(N)?)?.try_into().ok()
}

/// CRC-32 of ISO 3309 over type and body of a chunk (ISO/IEC 15948, annex D); bit by bit is fast enough for what is written.
fn crc32<'a>(octets: impl IntoIterator<Item = &'a u8>) -> u32 {
    !octets.into_iter().fold(u32::MAX, |crc, octet| {
        (0..8).fold(crc ^ u32::from(*octet), |crc, _| if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn pictures_that_overwhelm_their_reader_are_refused() {
        let frame = b"\xff\xd8\xff\xc0\0\x0b\x08\xff\xff\xff\xff\x01\x01\x11\0\xff\xda\0\x08\x01\x01\0\0\x3f\0\x12\xff\xd9";
        assert_eq!(clean_picture(Kind::Jpeg, frame), Err(Fault::Unreadable));
        let small = [&frame[..7], b"\0\x10\0\x10", &frame[11..]].concat();
        assert!(clean_picture(Kind::Jpeg, &small).is_ok());
        let gif = b"GIF89a\xff\xff\xff\xff\0\0\0\x2c\0\0\0\0\xff\xff\xff\xff\0\x02\x01\0\0\x3b";
        assert_eq!(clean_picture(Kind::Gif, gif), Err(Fault::Unreadable));
        assert_eq!(clean_picture(Kind::Pdf, b"%PDF-"), Err(Fault::Kind));
    }

    #[test]
    fn the_published_check_value_is_computed() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    proptest! {
        #[test]
        fn hostile_octets_are_refused_or_shortened_never_a_panic(octets in prop::collection::vec(any::<u8>(), 0..400), kind in 0..5usize) {
            let kinds = [
                (Kind::Jpeg, b"\xff\xd8\xff".as_slice()),
                (Kind::Png, b"\x89PNG\r\n\x1a\n"),
                (Kind::Gif, b"GIF89a"),
                (Kind::Bmp, b"BM"),
                (Kind::Tiff, b"II*\0"),
            ];
            let (kind, mark) = kinds[kind];
            let octets = [mark, &octets].concat();
            if let Ok(clean) = clean_picture(kind, &octets) {
                // Headers may be written anew; nothing else is ever added.
                prop_assert!(clean.len() <= octets.len() + 64);
            }
        }
    }
}

//! The one thing of EXIF that belongs to the picture: which side is up (EXIF 2.32, tag 0x0112).

use crate::picture::take;

const ORIENTATION: u16 = 0x0112;
/// A directory has a few dozen entries.
const MAX_ENTRIES: u16 = 512;

/// The orientation of a TIFF structure, 2 to 8; none where the picture stands as it is.
pub(super) fn orientation(tiff: &[u8]) -> Option<u8> {
    let little = match take::<4>(tiff, 0)? {
        [b'I', b'I', 42, 0] => true,
        [b'M', b'M', 0, 42] => false,
        _ => return None,
    };
    let short = |at| take::<2>(tiff, at).map(|b| if little { u16::from_le_bytes(b) } else { u16::from_be_bytes(b) });
    let long = |at| take::<4>(tiff, at).map(|b| if little { u32::from_le_bytes(b) } else { u32::from_be_bytes(b) });
    let directory = usize::try_from(long(4)?).ok()?;
    let entries = short(directory)?.min(MAX_ENTRIES);
    for n in 0..usize::from(entries) {
        let entry = directory.checked_add(2 + 12 * n)?;
        if short(entry)? == ORIENTATION {
            return u8::try_from(short(entry + 8)?).ok().filter(|value| (2..=8).contains(value));
        }
    }
    None
}

/// A TIFF structure that holds the orientation and nothing else.
pub(super) fn only_orientation(value: u8) -> Vec<u8> {
    // Big endian, first directory at 8, one entry of type SHORT, no further directory.
    let mut out = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    out.extend_from_slice(&[value, 0, 0, 0, 0, 0, 0]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orientation_is_read_in_both_orders_and_written() {
        assert_eq!(orientation(&only_orientation(6)), Some(6));
        assert_eq!(orientation(b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x08\0\0\0\0\0\0\0"), Some(8));
        assert_eq!(orientation(&only_orientation(1)), None, "as it is");
        assert_eq!(orientation(b"II*\0\xff\xff\xff\xff"), None);
    }
}

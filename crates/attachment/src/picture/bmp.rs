//! BMP: header, masks, palette and rows are copied; gaps, colour profiles and what follows the rows are not.

use crate::picture::{is_showable, take};

const FILE_HEADER: usize = 14;
/// BITMAPINFOHEADER.
const INFO_HEADER: usize = 40;

pub(super) fn clean(octets: &[u8]) -> Option<Vec<u8>> {
    if take::<2>(octets, 0)? != *b"BM" {
        return None;
    }
    let long = |at| take::<4>(octets, at).map(u32::from_le_bytes);
    let short = |at| take::<2>(octets, at).map(u16::from_le_bytes);
    let pixels_at = usize::try_from(long(10)?).ok()?;
    let header_len = usize::try_from(long(14)?).ok().filter(|n| (INFO_HEADER..=124).contains(n))?;
    let width = u64::from(long(18)?.cast_signed().unsigned_abs());
    let height = u64::from(long(22)?.cast_signed().unsigned_abs());
    let (bits, compression) = (u64::from(short(28)?), long(30)?);
    if !matches!(bits, 1 | 4 | 8 | 16 | 24 | 32) || !is_showable(width, height) {
        return None;
    }
    let size = match compression {
        // Rows of whole 32-bit words.
        0 | 3 => (width.checked_mul(bits)?.checked_add(31)? / 32 * 4).checked_mul(height)?,
        // Run-length coding of 8 and 4 bits says its own length.
        1 | 2 => u64::from(long(34)?),
        _ => return None,
    };
    // Colour masks stand behind the header of 40 octets, or within a longer one, there with one for transparency.
    let masks_at = FILE_HEADER + INFO_HEADER;
    let masks = match (compression, header_len) {
        (3, 56..) if long(masks_at + 12)? != 0 => octets.get(masks_at..masks_at + 16)?,
        (3, _) => octets.get(masks_at..masks_at + 12)?,
        _ => &[],
    };
    let colours = match (bits, usize::try_from(long(46)?).ok()?) {
        (16.., _) => 0,
        (bits, 0) => 1 << bits,
        (bits, used) => used.min(1 << bits),
    };
    let palette_at = FILE_HEADER + header_len + if header_len == INFO_HEADER { masks.len() } else { 0 };
    let palette = octets.get(palette_at..palette_at + 4 * colours)?;
    let size = usize::try_from(size).ok()?;
    let pixels = octets.get(pixels_at..pixels_at.checked_add(size)?)?;
    let offset = FILE_HEADER + INFO_HEADER + masks.len() + palette.len();
    let number = |n: usize| u32::try_from(n).ok().map(u32::to_le_bytes);
    let mut out = Vec::with_capacity(offset + size);
    out.extend_from_slice(b"BM");
    out.extend_from_slice(&number(offset + size)?);
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&number(offset)?);
    // Size, width, height, planes, bits and compression as they were; then sizes of our own.
    out.extend_from_slice(&number(if masks.len() == 16 { INFO_HEADER + 16 } else { INFO_HEADER })?);
    out.extend_from_slice(octets.get(18..34)?);
    out.extend_from_slice(&number(size)?);
    out.extend_from_slice(octets.get(38..46)?);
    out.extend_from_slice(&number(colours)?);
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(masks);
    out.extend_from_slice(palette);
    out.extend_from_slice(pixels);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two by one pixels of 24 bits, with a gap before the rows and something behind them.
    fn picture() -> Vec<u8> {
        let mut out = b"BM\0\0\0\0\0\0\0\0\x3c\0\0\0\x28\0\0\0\x02\0\0\0\x01\0\0\0\x01\0\x18\0\0\0\0\0".to_vec();
        out.extend_from_slice(&[0; 20]);
        out.extend_from_slice(b"Canary");
        out.extend_from_slice(&[1, 2, 3, 4, 5, 6, 0, 0]);
        out.extend_from_slice(b"Canary");
        out
    }

    #[test]
    fn gaps_go_and_rows_stay() {
        let clean = clean(&picture()).unwrap();
        assert!(!clean.windows(6).any(|w| w == b"Canary"));
        assert_eq!((clean.len(), &clean[54..]), (62, [1, 2, 3, 4, 5, 6, 0, 0].as_slice()));
        assert_eq!(super::clean(&clean).as_deref(), Some(clean.as_slice()));
    }

    #[test]
    fn sizes_that_no_file_has_are_refused() {
        let mut huge = picture();
        huge[18..26].copy_from_slice(&[0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff, 0x7f]);
        assert!(clean(&huge).is_none());
        assert!((0..68).all(|n| clean(&picture()[..n]).is_none()));
    }
}

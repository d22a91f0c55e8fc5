//! PNG (ISO/IEC 15948): critical chunks and those that change how pixels look are copied, texts and times are not.

use crate::picture::{crc32, exif, is_showable, take};

const SIGNATURE: &[u8; 8] = b"\x89PNG\r\n\x1a\n";
/// Chunks that are copied: critical ones, transparency, and colour spaces of a few fixed numbers.
const KEPT: [&[u8; 4]; 11] = [b"IHDR", b"PLTE", b"IDAT", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"sBIT", b"acTL", b"fcTL", b"fdAT"];
/// Longest of the small ones; a longer one is none of the format's and may hide something.
const MAX_SMALL: usize = 1_024;

pub(super) fn clean(octets: &[u8]) -> Option<Vec<u8>> {
    let rest = octets.strip_prefix(SIGNATURE)?;
    let mut out = Vec::with_capacity(octets.len());
    out.extend_from_slice(SIGNATURE);
    let (mut at, mut pixels) = (0, false);
    loop {
        let length = usize::try_from(u32::from_be_bytes(take(rest, at)?)).ok()?;
        let kind: [u8; 4] = take(rest, at + 4)?;
        let end = at.checked_add(12)?.checked_add(length)?;
        let whole = rest.get(at..end)?;
        let body = &whole[8..whole.len() - 4];
        if kind == *b"IHDR" && !is_showable(u32::from_be_bytes(take(body, 0)?), u32::from_be_bytes(take(body, 4)?)) {
            return None;
        }
        if kind == *b"IEND" {
            chunk(&mut out, b"IEND", &[]);
            return pixels.then_some(out);
        }
        let is_large = matches!(&kind, b"IDAT" | b"fdAT");
        if KEPT.contains(&&kind) && (is_large || body.len() <= MAX_SMALL) {
            out.extend_from_slice(whole);
            pixels |= kind == *b"IDAT";
        } else if kind == *b"eXIf"
            && let Some(value) = exif::orientation(body)
        {
            chunk(&mut out, b"eXIf", &exif::only_orientation(value));
        } else if kind[0].is_ascii_uppercase() {
            // A critical chunk that is not known: nobody could show the picture without it.
            return None;
        }
        at = end;
    }
}

fn chunk(out: &mut Vec<u8>, kind: &[u8; 4], body: &[u8]) {
    out.extend_from_slice(&u32::try_from(body.len()).unwrap_or(0).to_be_bytes());
    out.extend_from_slice(kind);
    out.extend_from_slice(body);
    out.extend_from_slice(&crc32(kind.iter().chain(body)).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture() -> Vec<u8> {
        let mut out = SIGNATURE.to_vec();
        chunk(&mut out, b"IHDR", b"\0\0\0\x01\0\0\0\x01\x08\0\0\0\0");
        chunk(&mut out, b"tEXt", b"Author\0Ana Canary");
        chunk(&mut out, b"iTXt", b"XML:com.adobe.xmp\0Canary");
        chunk(&mut out, b"eXIf", &[exif::only_orientation(8), b"Canary".to_vec()].concat());
        chunk(&mut out, b"iCCP", b"Canary");
        chunk(&mut out, b"tIME", b"\x07\xea\x0b\x16\0\0\0");
        chunk(&mut out, b"IDAT", b"pixels");
        chunk(&mut out, b"IEND", &[]);
        out.extend_from_slice(b"Canary after the end");
        out
    }

    #[test]
    fn texts_go_and_pixels_stay() {
        let clean = clean(&picture()).unwrap();
        assert!(!clean.windows(6).any(|w| w == b"Canary") && !clean.windows(4).any(|w| w == b"tIME"));
        assert!(clean.windows(6).any(|w| w == b"pixels"));
        let exif = clean.windows(4).position(|w| w == b"eXIf").unwrap();
        assert_eq!(exif::orientation(&clean[exif + 4..]), Some(8));
        assert_eq!(super::clean(&clean).as_deref(), Some(clean.as_slice()));
    }

    #[test]
    fn what_is_cut_off_or_unknown_is_refused() {
        let whole = picture();
        assert!((0..whole.len() - 20).all(|n| clean(&whole[..n]).is_none()));
        let mut strange = SIGNATURE.to_vec();
        chunk(&mut strange, b"XDAT", b"x");
        chunk(&mut strange, b"IEND", &[]);
        assert!(clean(&strange).is_none());
    }
}

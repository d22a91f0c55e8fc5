//! Metafiles ([MS-EMF], [MS-EMFPLUS], [MS-WMF]): the records that draw are copied. Descriptions, comments, names of colour
//! profiles and what is passed through to a printer are not; they name programs, titles and people. Pictures and metafiles
//! within records are cleaned where they stand; what cannot be shows nothing.

use std::ops::Range;

use crate::octets::{clear, put, u16_at, u32_at};
use crate::picture::{blank, take};

/// Records of an EMF.
const EMR_HEADER: u32 = 1;
const EMR_EOF: u32 = 14;
const EMR_COMMENT: u32 = 70;
const EMR_SETDIBITSTODEVICE: u32 = 80;
const EMR_STRETCHDIBITS: u32 = 81;
const EMR_CREATECOLORSPACE: u32 = 99;
const EMR_DRAWESCAPE: u32 = 105;
const EMR_EXTESCAPE: u32 = 106;
const EMR_NAMEDESCAPE: u32 = 110;
const EMR_SETICMPROFILEA: u32 = 112;
const EMR_SETICMPROFILEW: u32 = 113;
const EMR_COLORMATCHTOTARGETW: u32 = 121;
const EMR_CREATECOLORSPACEW: u32 = 122;
/// Records within EMF+: one that holds whatever a program wants, and one that defines a brush, a picture and the like.
const EMFPLUS_COMMENT: usize = 0x4003;
const EMFPLUS_OBJECT: usize = 0x4008;
/// Head of such a record.
const PLUS_HEAD: usize = 12;
/// Kinds of objects, and of a brush and of an image.
const BRUSH: usize = 1;
const IMAGE: usize = 5;
const TEXTURE: usize = 2;
const BITMAP: usize = 1;
const METAFILE: usize = 2;
/// Records of a WMF.
const META_EOF: u16 = 0;
const META_ESCAPE: u16 = 0x0626;
const META_SETDIBTODEV: u16 = 0x0d33;
const META_STRETCHDIB: u16 = 0x0f43;
/// In front of a WMF that may be placed.
const PLACEABLE: &[u8] = b"\xd7\xcd\xc6\x9a";
/// A metafile in a picture of a metafile; one within that one shows nothing.
const MAX_DEPTH: usize = 1;

/// A record that defines an object, or a part of one that is too long for a record.
struct Piece {
    /// Its number and kind.
    object: usize,
    is_continued: bool,
    place: Range<usize>,
}

/// Whether it begins as an EMF does (2.3.4.2).
pub(crate) fn is_emf(octets: &[u8]) -> bool {
    octets.starts_with(b"\x01\0\0\0") && octets.get(40..44) == Some(b" EMF")
}

/// An EMF that shows nothing, as large as another one if that says how large it is.
pub(crate) fn empty_emf(like: &[u8]) -> Vec<u8> {
    let mut out = vec![0_u8; 108];
    if let Some(head) = like.get(..88).filter(|head| is_emf(head)) {
        // Bounds and frame; pixels and millimetres of the device.
        put(&mut out, 8, &head[8..40]);
        put(&mut out, 72, &head[72..88]);
    }
    out.extend_from_slice(b"\x0e\0\0\0\x14\0\0\0\0\0\0\0\x10\0\0\0\x14\0\0\0");
    put(&mut out, 0, &[1]);
    put(&mut out, 4, &[108]);
    put(&mut out, 40, b" EMF\0\0\x01\0\x80\0\0\0\x02\0\0\0\x01");
    out
}

/// A WMF that shows nothing.
pub(crate) fn empty_wmf() -> Vec<u8> {
    b"\x01\0\x09\0\0\x03\x0c\0\0\0\0\0\x03\0\0\0\0\0\x03\0\0\0\0\0".to_vec()
}

/// An EMF without descriptions and comments; `None` where its records are none.
pub(crate) fn clean_emf(octets: &[u8]) -> Option<Vec<u8>> {
    emf(octets, 0)
}

fn emf(octets: &[u8], depth: usize) -> Option<Vec<u8>> {
    let header = u32_at(octets, 4).filter(|size| *size >= 88 && size.is_multiple_of(4))?;
    octets.get(..header)?;
    // The description and the format of pixels stand somewhere behind the fixed fields, whose end has moved twice.
    let mut fixed = header.min(108);
    if u32_at(octets, 60)? > 0 {
        fixed = fixed.min(u32_at(octets, 64)?);
    }
    if fixed >= 100 && u32_at(octets, 88)? > 0 {
        fixed = fixed.min(u32_at(octets, 92)?);
    }
    let fixed = match fixed {
        108.. => 108,
        100..108 => 100,
        _ => 88,
    };
    let mut out = octets.get(..fixed)?.to_vec();
    put(&mut out, 4, &u32::try_from(fixed).ok()?.to_le_bytes());
    clear(&mut out, 60, 68);
    if fixed >= 100 {
        clear(&mut out, 88, 96);
    }
    let (mut at, mut records, mut pieces) = (header, 1_u32, Vec::new());
    loop {
        let kind = u32::from_le_bytes(take(octets, at)?);
        let size = u32_at(octets, at + 4).filter(|size| *size >= 8 && size.is_multiple_of(4))?;
        let record = octets.get(at..at.checked_add(size)?)?;
        at += size;
        let begin = out.len();
        match kind {
            EMR_COMMENT if record.get(12..16) == Some(b"EMF+") => {
                out.extend_from_slice(record);
                read_plus(&mut out, begin, &mut pieces)?;
            }
            EMR_COMMENT | EMR_DRAWESCAPE | EMR_EXTESCAPE | EMR_NAMEDESCAPE => continue,
            EMR_SETICMPROFILEA | EMR_SETICMPROFILEW | EMR_COLORMATCHTOTARGETW => continue,
            // A second head, and what no reader knows.
            0 | EMR_HEADER | 123.. => continue,
            _ => {
                out.extend_from_slice(record);
                clean_record(kind, out.get_mut(begin..)?);
            }
        }
        records = records.checked_add(1)?;
        if kind == EMR_EOF {
            break;
        }
    }
    clean_objects(&mut out, &pieces, depth);
    let size = u32::try_from(out.len()).ok()?;
    put(&mut out, 48, &size.to_le_bytes());
    put(&mut out, 52, &records.to_le_bytes());
    Some(out)
}

fn clean_record(kind: u32, record: &mut [u8]) {
    match kind {
        // Behind numbers: the name of a profile's file, and the profile.
        EMR_CREATECOLORSPACE | EMR_CREATECOLORSPACEW => clear(record, 80, record.len()),
        EMR_SETDIBITSTODEVICE | EMR_STRETCHDIBITS => {
            let Some(info) = u32_at(record, 48).filter(|info| is_coded(record, *info)) else { return };
            let (bits, length) = (u32_at(record, 56).unwrap_or(usize::MAX), u32_at(record, 60).unwrap_or(0));
            let end = bits.saturating_add(length);
            if !record.get_mut(bits..end).is_some_and(blank::image) {
                clear(record, info, record.len());
            }
        }
        _ => {}
    }
}

/// Whether a bitmap is a whole JPEG or PNG (BI_JPEG, BI_PNG).
fn is_coded(octets: &[u8], info: usize) -> bool {
    matches!(u32_at(octets, info.saturating_add(16)), Some(4 | 5))
}

/// A record of EMF+ records, the last one of an EMF until now: comments among them are emptied, and objects are noted.
fn read_plus(out: &mut [u8], begin: usize, pieces: &mut Vec<Piece>) -> Option<()> {
    let end = u32_at(out, begin + 8)?.checked_add(begin + 12).filter(|end| *end <= out.len())?;
    let mut at = begin + 16;
    while at < end {
        let size = u32_at(out, at + 4).filter(|size| *size >= PLUS_HEAD)?;
        let next = at.checked_add(size).filter(|next| *next <= end)?;
        let flags = u16_at(out, at + 2)?;
        match u16_at(out, at)? {
            EMFPLUS_COMMENT => clear(out, at + PLUS_HEAD, next),
            EMFPLUS_OBJECT => {
                pieces.push(Piece { object: flags & 0x7fff, is_continued: flags & 0x8000 != 0, place: at + PLUS_HEAD..next });
            }
            _ => {}
        }
        at = next;
    }
    clear(out, end, out.len());
    Some(())
}

/// Cleans objects. One that goes on in the next record begins in each of its own with how long it is as a whole.
fn clean_objects(out: &mut [u8], pieces: &[Piece], depth: usize) {
    let mut rest = pieces;
    while let Some(first) = rest.first() {
        let total = u32_at(out, first.place.start).filter(|_| first.is_continued).unwrap_or(0);
        let (mut object, mut places) = (Vec::new(), Vec::new());
        for piece in rest {
            if !places.is_empty() && (piece.object != first.object || object.len() >= total) {
                break;
            }
            let head = if piece.is_continued { 4 } else { 0 };
            let place = piece.place.start + head..piece.place.end;
            object.extend_from_slice(out.get(place.clone()).unwrap_or_default());
            places.push(place);
        }
        rest = rest.get(places.len()..).unwrap_or_default();
        clean_object((first.object >> 8) & 0x7f, &mut object, depth);
        let mut from = object.as_slice();
        for place in places {
            if let Some(to) = out.get_mut(place)
                && let Some((front, back)) = from.split_at_checked(to.len())
            {
                to.copy_from_slice(front);
                from = back;
            }
        }
    }
}

fn clean_object(kind: usize, object: &mut [u8], depth: usize) {
    match kind {
        IMAGE => clean_image(object, depth),
        BRUSH if u32_at(object, 4) == Some(TEXTURE) => {
            // The image stands behind flags, how it is repeated, and a transformation if the flags say so.
            let image = if u32_at(object, 8).unwrap_or(0) & 2 == 0 { 16 } else { 40 };
            clean_image(object.get_mut(image..).unwrap_or_default(), depth);
        }
        _ => {}
    }
}

/// EmfPlusImage (2.2.1.4).
fn clean_image(image: &mut [u8], depth: usize) {
    const PIXELS: usize = 0;
    const COMPRESSED: usize = 1;
    let is_kept = match (u32_at(image, 4), u32_at(image, 24)) {
        (Some(BITMAP), Some(PIXELS)) => true,
        (Some(BITMAP), Some(COMPRESSED)) => image.get_mut(28..).is_some_and(blank::image),
        (Some(METAFILE), _) => image.get_mut(16..).is_some_and(|metafile| {
            let clean = if depth >= MAX_DEPTH {
                None
            } else if is_emf(metafile) {
                emf(metafile, depth + 1)
            } else {
                clean_wmf(metafile)
            };
            clean.is_some_and(|clean| blank::refill(metafile, &clean))
        }),
        _ => false,
    };
    if !is_kept {
        clear(image, 8, image.len());
    }
}

/// A WMF without escapes; `None` where its records are none.
pub(crate) fn clean_wmf(octets: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(octets.len());
    let mut at = 0;
    if octets.starts_with(PLACEABLE) {
        let mut header: [u8; 22] = take(octets, 0)?;
        // A handle of a running program, and what is reserved; then the sum of the ten words (2.3.2.3).
        header[4..6].fill(0);
        header[16..20].fill(0);
        let sum = header[..20].chunks_exact(2).fold(0, |sum, word| sum ^ u16::from_le_bytes([word[0], word[1]]));
        header[20..22].copy_from_slice(&sum.to_le_bytes());
        out.extend_from_slice(&header);
        at = header.len();
    }
    let begin = out.len();
    let header: [u8; 18] = take(octets, at)?;
    if !matches!(&header[..6], [1 | 2, 0, 9, 0, 0, 1 | 3]) {
        return None;
    }
    out.extend_from_slice(&header);
    at += header.len();
    loop {
        let size = u32_at(octets, at).filter(|words| *words >= 3)?.checked_mul(2)?;
        let kind = u16::from_le_bytes(take(octets, at + 4)?);
        let record = octets.get(at..at.checked_add(size)?)?;
        at += size;
        let begin = out.len();
        if kind != META_ESCAPE {
            out.extend_from_slice(record);
        }
        match kind {
            META_SETDIBTODEV => clean_bitmap(out.get_mut(begin + 24..).unwrap_or_default()),
            META_STRETCHDIB => clean_bitmap(out.get_mut(begin + 28..).unwrap_or_default()),
            _ => {}
        }
        if kind == META_EOF {
            break;
        }
    }
    let words = u32::try_from((out.len() - begin) / 2).ok()?;
    put(&mut out, begin + 6, &words.to_le_bytes());
    Some(out)
}

/// A bitmap behind its record's numbers, if it is a whole JPEG or PNG.
fn clean_bitmap(octets: &mut [u8]) {
    if is_coded(octets, 0) {
        let pixels = u32_at(octets, 0).unwrap_or(usize::MAX);
        if !octets.get_mut(pixels..).is_some_and(blank::image) {
            octets.fill(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(kind: u32, body: &[u8]) -> Vec<u8> {
        let size = u32::try_from(body.len() + 8).unwrap();
        [kind.to_le_bytes().as_slice(), size.to_le_bytes().as_slice(), body].concat()
    }

    fn emf() -> Vec<u8> {
        let mut out = vec![0_u8; 108];
        put(&mut out, 0, &[1]);
        put(&mut out, 4, &[120]);
        out[40..44].copy_from_slice(b" EMF");
        put(&mut out, 60, &[6]);
        put(&mut out, 64, &[108]);
        out.extend_from_slice(b"C\0a\0n\0a\0r\0y\0");
        out.extend(record(EMR_COMMENT, b"\x08\0\0\0Canary\0\0"));
        out.extend(record(EMR_COMMENT, b"\x18\0\0\0EMF+\x03\x40\0\0\x14\0\0\0\x06\0\0\0Canary\0\0"));
        out.extend(record(EMR_NAMEDESCAPE, b"Canary\0\0"));
        out.extend(record(EMR_SETICMPROFILEW, b"Canary\0\0"));
        out.extend(record(200, b"Canary\0\0"));
        out.extend(record(EMR_CREATECOLORSPACEW, &[[9_u8; 72].as_slice(), b"Canary\0\0"].concat()));
        out.extend(record(2, b"drawn\0\0\0"));
        out.extend(record(EMR_EOF, &[0; 12]));
        out.extend_from_slice(b"Canary after the end");
        out
    }

    /// A picture with a comment.
    const JPEG: &[u8] = b"\xff\xd8\xff\xfe\0\x08Canary\xff\xda\0\x08\x01\x01\0\0\x3f\0pixels\xff\xd9\0\0\0\0\0\0";

    /// Records in front of the end of an EMF.
    fn emf_of(records: &[Vec<u8>]) -> Vec<u8> {
        let empty = empty_emf(b"");
        [&empty[..108], &records.concat(), &empty[108..]].concat()
    }

    /// A record of EMF+ that defines object 3.
    fn object(kind: u8, flags: u8, body: &[u8]) -> Vec<u8> {
        let size = u32::try_from(body.len() + 12).unwrap().to_le_bytes();
        let length = u32::try_from(body.len()).unwrap().to_le_bytes();
        [b"\x08\x40\x03".as_slice(), &[kind | flags], &size, &length, body].concat()
    }

    fn plus(records: &[Vec<u8>]) -> Vec<u8> {
        let records = records.concat();
        let length = u32::try_from(records.len() + 4).unwrap().to_le_bytes();
        record(EMR_COMMENT, &[length.as_slice(), b"EMF+", &records].concat())
    }

    /// An image of a kind, and what is in it.
    fn image(head: &[u32], body: &[u8]) -> Vec<u8> {
        head.iter().flat_map(|number| number.to_le_bytes()).chain(body.iter().copied()).collect()
    }

    fn wmf() -> Vec<u8> {
        let mut out = [PLACEABLE, b"\x07\0", &[9; 10], b"Cana", b"\0\0"].concat();
        out.extend_from_slice(b"\x01\0\x09\0\0\x03\0\0\0\0\0\0\x07\0\0\0\0\0");
        out.extend_from_slice(b"\x08\0\0\0\x26\x06\x0f\0\x06\0Canary");
        out.extend_from_slice(b"\x04\0\0\0\x03\x01\x08\0");
        out.extend_from_slice(b"\x03\0\0\0\0\0Canary");
        out
    }

    fn holds(octets: &[u8], what: &[u8]) -> bool {
        octets.windows(what.len()).any(|window| window == what)
    }

    #[test]
    fn drawings_stay_and_words_go() {
        let clean = clean_emf(&emf()).unwrap();
        assert!(is_emf(&clean) && holds(&clean, b"drawn") && holds(&clean, b"EMF+"));
        assert!(!holds(&clean, b"Canary") && !holds(&clean, b"C\0a\0n\0"));
        assert_eq!(clean_emf(&clean).as_deref(), Some(clean.as_slice()));
        let clean = clean_wmf(&wmf()).unwrap();
        assert!(!holds(&clean, b"Cana") && holds(&clean, b"\x03\x01\x08\0"));
        assert_eq!(clean_wmf(&clean).as_deref(), Some(clean.as_slice()));
    }

    #[test]
    fn pictures_within_lose_their_metadata() {
        let bitmap = image(&[0, 1, 8, 8, 0, 0, 1], JPEG);
        let (front, back) = bitmap.split_at(40);
        let total = u32::try_from(bitmap.len()).unwrap().to_le_bytes();
        let parts = [front, back].map(|part| object(5, 0x80, &[total.as_slice(), part].concat()));
        let texture = image(&[0, 2, 0, 0, 0, 1, 8, 8, 0, 0, 1], JPEG);
        let inner = emf_of(&[record(EMR_COMMENT, b"\x06\0\0\0Canary\0\0"), record(2, b"drawn\0\0\0")]);
        let length = u32::try_from(inner.len()).unwrap();
        for records in [
            vec![plus(&[object(5, 0, &bitmap)])],
            vec![plus(&parts[..1]), plus(&parts[1..])],
            vec![plus(&[object(1, 0, &texture)])],
            vec![record(EMR_STRETCHDIBITS, &coded())],
        ] {
            let clean = clean_emf(&emf_of(&records)).unwrap();
            assert!(holds(&clean, b"pixels\xff\xd9") && !holds(&clean, b"Canary"), "{clean:?}");
            assert_eq!(clean_emf(&clean).as_deref(), Some(clean.as_slice()));
        }
        let clean = clean_emf(&emf_of(&[plus(&[object(5, 0, &image(&[0, 2, 3, length], &inner))])])).unwrap();
        assert!(holds(&clean, b"drawn") && !holds(&clean, b"Canary"));
        for unknown in [image(&[0, 1, 8, 8, 0, 0, 1], b"Canary\0\0"), image(&[0, 2, 3, 28, 0, 0, 0], b"Canary\0\0")] {
            assert!(!holds(&clean_emf(&emf_of(&[plus(&[object(5, 0, &unknown)])])).unwrap(), b"Canary"));
        }
        let mut wmf = empty_wmf();
        let drawn = [b"\0\0\0\0\x43\x0f".as_slice(), &[0; 22], &INFO, JPEG].concat();
        let words = u32::try_from(drawn.len() / 2).unwrap().to_le_bytes();
        wmf.splice(18..18, drawn);
        put(&mut wmf, 18, &words);
        let clean = clean_wmf(&wmf).unwrap();
        assert!(holds(&clean, b"pixels\xff\xd9") && !holds(&clean, b"Canary"));
    }

    /// Head of a bitmap that is a JPEG.
    const INFO: [u8; 40] = {
        let mut info = [0; 40];
        (info[0], info[16]) = (40, 4);
        info
    };

    /// Numbers of a record, the head of a bitmap and a JPEG.
    fn coded() -> Vec<u8> {
        let mut body = [[0_u8; 72].as_slice(), &INFO, JPEG].concat();
        let length = u32::try_from(JPEG.len()).unwrap().to_le_bytes();
        put(&mut body, 40, &[80, 0, 0, 0, 40, 0, 0, 0, 120, 0, 0, 0]);
        put(&mut body, 52, &length);
        body
    }

    #[test]
    fn empty_ones_are_clean() {
        assert_eq!(clean_emf(&empty_emf(b"")).as_deref(), Some(empty_emf(b"").as_slice()));
        assert_eq!(clean_wmf(&empty_wmf()).as_deref(), Some(empty_wmf().as_slice()));
        let mut like = emf();
        put(&mut like, 8, &[5; 32]);
        assert_eq!(empty_emf(&like).get(8..40), Some([5_u8; 32].as_slice()));
    }

    #[test]
    fn what_is_cut_off_is_refused() {
        assert!((0..emf().len() - 20).all(|n| clean_emf(&emf()[..n]).is_none()));
        assert!((0..wmf().len() - 6).all(|n| clean_wmf(&wmf()[..n]).is_none()));
    }

    proptest! {
        #[test]
        fn hostile_octets_never_panic(octets in prop::collection::vec(any::<u8>(), 0..300), at in 0..120_usize) {
            for mut whole in [emf(), wmf()] {
                let end = (at + octets.len()).min(whole.len());
                let begin = at.min(end);
                whole[begin..end].copy_from_slice(&octets[..end - begin]);
                let _ = (clean_emf(&whole), clean_wmf(&whole));
            }
        }
    }
}

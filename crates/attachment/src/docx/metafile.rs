//! Metafiles ([MS-EMF], [MS-EMFPLUS], [MS-WMF]): the records that draw are copied. Descriptions, comments and what is
//! passed through to a printer are not; they name programs, titles and people.

/// Records of an EMF.
const EMR_EOF: u32 = 14;
const EMR_COMMENT: u32 = 70;
const EMR_DRAWESCAPE: u32 = 105;
const EMR_EXTESCAPE: u32 = 106;
const EMR_NAMEDESCAPE: u32 = 110;
/// A record within EMF+ that holds whatever a program wants.
const EMFPLUS_COMMENT: u16 = 0x4003;
/// Records of a WMF.
const META_EOF: u16 = 0;
const META_ESCAPE: u16 = 0x0626;
/// In front of a WMF that may be placed.
const PLACEABLE: &[u8] = b"\xd7\xcd\xc6\x9a";

/// Whether it begins as an EMF does (2.3.4.2).
pub(super) fn is_emf(octets: &[u8]) -> bool {
    octets.starts_with(b"\x01\0\0\0") && octets.get(40..44) == Some(b" EMF")
}

/// An EMF without descriptions and comments; `None` where its records are none.
pub(super) fn clean_emf(octets: &[u8]) -> Option<Vec<u8>> {
    let header = length(octets, 4).filter(|size| *size >= 88 && size.is_multiple_of(4))?;
    octets.get(..header)?;
    // The description and the format of pixels stand somewhere behind the fixed fields, whose end has moved twice.
    let mut fixed = header.min(108);
    if length(octets, 60)? > 0 {
        fixed = fixed.min(length(octets, 64)?);
    }
    if fixed >= 100 && length(octets, 88)? > 0 {
        fixed = fixed.min(length(octets, 92)?);
    }
    let fixed = match fixed {
        108.. => 108,
        100..108 => 100,
        _ => 88,
    };
    let mut out = octets.get(..fixed)?.to_vec();
    put(&mut out, 4, u32::try_from(fixed).ok()?);
    put(&mut out, 60, 0);
    put(&mut out, 64, 0);
    if fixed >= 100 {
        put(&mut out, 88, 0);
        put(&mut out, 92, 0);
    }
    let (mut at, mut records) = (header, 1_u32);
    loop {
        let kind = u32::from_le_bytes(take(octets, at)?);
        let size = length(octets, at + 4).filter(|size| *size >= 8 && size.is_multiple_of(4))?;
        let record = octets.get(at..at.checked_add(size)?)?;
        at += size;
        match kind {
            EMR_COMMENT if record.get(12..16) == Some(b"EMF+") => out.extend_from_slice(&without_comments(record)?),
            EMR_COMMENT | EMR_DRAWESCAPE | EMR_EXTESCAPE | EMR_NAMEDESCAPE => continue,
            _ => out.extend_from_slice(record),
        }
        records = records.checked_add(1)?;
        if kind == EMR_EOF {
            break;
        }
    }
    let size = u32::try_from(out.len()).ok()?;
    put(&mut out, 48, size);
    put(&mut out, 52, records);
    Some(out)
}

/// A record of EMF+ records, with the comments among them emptied.
fn without_comments(record: &[u8]) -> Option<Vec<u8>> {
    let mut out = record.to_vec();
    let end = length(record, 8)?.checked_add(12).filter(|end| *end <= record.len())?;
    let mut at = 16;
    while at < end {
        let size = length(record, at + 4).filter(|size| *size >= 12)?;
        let next = at.checked_add(size).filter(|next| *next <= end)?;
        if u16::from_le_bytes(take(record, at)?) == EMFPLUS_COMMENT {
            out.get_mut(at + 12..next)?.fill(0);
        }
        at = next;
    }
    out.get_mut(end..)?.fill(0);
    Some(out)
}

/// A WMF without escapes; `None` where its records are none.
pub(super) fn clean_wmf(octets: &[u8]) -> Option<Vec<u8>> {
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
        let size = length(octets, at).filter(|words| *words >= 3)?.checked_mul(2)?;
        let kind = u16::from_le_bytes(take(octets, at + 4)?);
        let record = octets.get(at..at.checked_add(size)?)?;
        at += size;
        if kind != META_ESCAPE {
            out.extend_from_slice(record);
        }
        if kind == META_EOF {
            break;
        }
    }
    let words = u32::try_from((out.len() - begin) / 2).ok()?;
    put(&mut out, begin + 6, words);
    Some(out)
}

fn take<const N: usize>(octets: &[u8], at: usize) -> Option<[u8; N]> {
    octets.get(at..at.checked_add(N)?)?.try_into().ok()
}

fn length(octets: &[u8], at: usize) -> Option<usize> {
    usize::try_from(u32::from_le_bytes(take(octets, at)?)).ok()
}

fn put(out: &mut [u8], at: usize, value: u32) {
    if let Some(place) = out.get_mut(at..at + 4) {
        place.copy_from_slice(&value.to_le_bytes());
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
        put(&mut out, 0, 1);
        put(&mut out, 4, 120);
        out[40..44].copy_from_slice(b" EMF");
        put(&mut out, 60, 6);
        put(&mut out, 64, 108);
        out.extend_from_slice(b"C\0a\0n\0a\0r\0y\0");
        out.extend(record(EMR_COMMENT, b"\x08\0\0\0Canary\0\0"));
        out.extend(record(EMR_COMMENT, b"\x18\0\0\0EMF+\x03\x40\0\0\x14\0\0\0\x06\0\0\0Canary\0\0"));
        out.extend(record(EMR_NAMEDESCAPE, b"Canary\0\0"));
        out.extend(record(2, b"drawn\0\0\0"));
        out.extend(record(EMR_EOF, &[0; 12]));
        out.extend_from_slice(b"Canary after the end");
        out
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

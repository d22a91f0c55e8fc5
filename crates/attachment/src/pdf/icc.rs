//! Colour profiles (ICC.1): numbers of colours are kept; who made the profile, for which device and when is not.

use std::ops::Range;

use lopdf::Stream;

/// Longest profile; those of presses have some megabytes.
const MAX_PROFILE_BYTES: usize = 16 << 20;
const MAX_TAGS: usize = 256;
/// Before the tags: header (7.2) and their number (7.3).
const TABLE: usize = 132;
/// Of the header: size, version, class and colour spaces, mark, attributes, intent and illuminant.
const HEADER: [Range<usize>; 4] = [0..4, 8..24, 36..40, 56..80];
/// Tags of which colours are calculated (9.2).
const COLOURS: &str = "rXYZ gXYZ bXYZ rTRC gTRC bTRC kTRC wtpt bkpt chad A2B0 A2B1 A2B2 A2B3 B2A0 B2A1 B2A2 B2A3 \
                       D2B0 D2B1 D2B2 D2B3 B2D0 B2D1 B2D2 B2D3 gamt chrm lumi cicp";
/// Types of numbers (10); a tag of colours may not be a text.
const NUMBERS: [&[u8]; 11] = [b"XYZ ", b"curv", b"para", b"sf32", b"mft1", b"mft2", b"mAB ", b"mBA ", b"mpet", b"chrm", b"cicp"];

/// Cleans a profile's stream. One that is none is left empty: readers then go by the number of its colours (8.6.5.5).
pub(super) fn clean_stream(stream: &mut Stream) {
    let mut plain = stream.get_plain_content_with_limit(MAX_PROFILE_BYTES).unwrap_or_default();
    if clean(&mut plain).is_none() {
        plain.clear();
    }
    stream.set_plain_content(plain);
    // What cannot be packed is as good unpacked.
    let _ = stream.compress();
}

/// Cleans a profile in place. Two tags that readers require stay as empty texts.
pub(super) fn clean(profile: &mut [u8]) -> Option<()> {
    if profile.len() < TABLE || profile[36..40] != *b"acsp" {
        return None;
    }
    let count = number(profile, 128).filter(|count| *count <= MAX_TAGS)?;
    let first = TABLE + 12 * count;
    let table = profile.get(TABLE..first)?;
    let mut clean = vec![0_u8; profile.len()];
    for part in HEADER {
        clean[part.clone()].copy_from_slice(&profile[part]);
    }
    let (mut entries, mut kept, mut texts) = (Vec::new(), Vec::new(), Vec::new());
    for entry in table.chunks_exact(12) {
        let (from, size) = (number(entry, 4)?, number(entry, 8)?);
        let place = from..from.checked_add(size)?;
        let data = profile.get(place.clone())?;
        if from < first {
            return None;
        }
        if COLOURS.split(' ').any(|tag| tag.as_bytes() == &entry[..4]) && data.get(..4).is_some_and(|kind| NUMBERS.contains(&kind)) {
            clean[place.clone()].copy_from_slice(data);
            entries.extend_from_slice(entry);
            kept.push(place);
        } else if matches!(&entry[..4], b"desc" | b"cprt") {
            texts.push((entry, place));
        }
    }
    for (entry, place) in texts {
        let empty: &[u8] = match &entry[..4] {
            _ if profile[8] >= 4 => b"mluc\0\0\0\0\0\0\0\0\0\0\0\x0c",
            b"desc" => b"desc\0\0\0\0\0\0\0\x01\0",
            _ => b"text\0\0\0\0\0",
        };
        let is_shared = kept.iter().any(|other| other.start < place.end && place.start < other.end);
        if !is_shared && place.len() >= empty.len() {
            clean[place.start..place.start + empty.len()].copy_from_slice(empty);
            entries.extend_from_slice(entry);
        }
    }
    clean[128..TABLE].copy_from_slice(&u32::try_from(entries.len() / 12).ok()?.to_be_bytes());
    clean[TABLE..TABLE + entries.len()].copy_from_slice(&entries);
    profile.copy_from_slice(&clean);
    Some(())
}

fn number(octets: &[u8], at: usize) -> Option<usize> {
    let octets: [u8; 4] = octets.get(at..at + 4)?.try_into().ok()?;
    usize::try_from(u32::from_be_bytes(octets)).ok()
}

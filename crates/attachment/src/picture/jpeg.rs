//! JPEG (ITU-T T.81, annex B): tables, frames and scans are copied; application segments and comments are not.

use crate::picture::{exif, is_showable, take};

const SOI: u8 = 0xd8;
const EOI: u8 = 0xd9;
const SOS: u8 = 0xda;
const APP0: u8 = 0xe0;
const APP1: u8 = 0xe1;
const APP14: u8 = 0xee;

pub(super) fn clean(octets: &[u8]) -> Option<Vec<u8>> {
    if take::<2>(octets, 0)? != [0xff, SOI] {
        return None;
    }
    let mut kept = Vec::with_capacity(octets.len());
    let mut head = vec![0xff, SOI];
    let (mut orientation, mut scans) = (None, 0_usize);
    let mut at = 2;
    loop {
        let marker = match marker(octets, &mut at) {
            Some(EOI) => break,
            Some(marker) => marker,
            // Cut off behind a scan, or written by a program that leaves the end marker out: shown as far as it goes.
            None if scans > 0 => break,
            None => return None,
        };
        let length = usize::from(u16::from_be_bytes(take(octets, at)?));
        let body = octets.get(at + 2..at.checked_add(length)?)?;
        at += length;
        match marker {
            // Dimensions of a printed pixel; a thumbnail may follow them in the original.
            APP0 if body.starts_with(b"JFIF\0") && body.len() >= 14 => {
                segment(&mut head, APP0, &[&body[..12], &[0, 0]].concat());
            }
            APP1 if body.starts_with(b"Exif\0\0") => orientation = orientation.or_else(|| exif::orientation(&body[6..])),
            // Says how the three colours are coded; without it they are shown wrong.
            APP14 if body.starts_with(b"Adobe") && body.len() >= 12 => segment(&mut kept, APP14, &body[..12]),
            // A frame says its size (B.2.2).
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf
                if !is_showable(u16::from_be_bytes(take(body, 1)?), u16::from_be_bytes(take(body, 3)?)) =>
            {
                return None;
            }
            // Quantisation, Huffman and arithmetic tables, restart intervals, frames of every coding.
            0xc0..=0xcf | 0xdb | 0xdd | 0xdc => segment(&mut kept, marker, body),
            SOS => {
                segment(&mut kept, SOS, body);
                scans += 1;
                let end = end_of_scan(octets, at);
                // Half a marker at the cut is none.
                let end = if end == octets.len() && octets[at..].ends_with(&[0xff]) { end - 1 } else { end };
                kept.extend_from_slice(&octets[at..end]);
                at = end;
            }
            _ => {}
        }
    }
    if scans == 0 {
        return None;
    }
    if let Some(value) = orientation {
        segment(&mut head, APP1, &[b"Exif\0\0".as_slice(), &exif::only_orientation(value)].concat());
    }
    head.extend_from_slice(&kept);
    head.extend_from_slice(&[0xff, EOI]);
    Some(head)
}

/// The next marker that has a segment or ends the picture; stray octets before it are skipped, as decoders do, and fill
/// octets as B.1.1.2 says.
fn marker(octets: &[u8], at: &mut usize) -> Option<u8> {
    loop {
        *at += octets.get(*at..)?.iter().position(|b| *b == 0xff)? + 1;
        match *octets.get(*at)? {
            0xff => {}
            // A stuffed octet, and markers that stand alone: TEM, restarts, another start (B.1.1.3).
            0 | 1 | 0xd0..=0xd8 => *at += 1,
            marker => {
                *at += 1;
                return Some(marker);
            }
        }
    }
}

/// Where the coded data of a scan ends: at a marker that is neither a stuffed octet nor a restart, or where the picture
/// was cut off.
pub(super) fn end_of_scan(octets: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(found) = octets.get(at..).and_then(|rest| rest.iter().position(|b| *b == 0xff)) {
        at += found;
        match octets.get(at + 1) {
            Some(0 | 0xd0..=0xd7) => at += 2,
            Some(0xff) => at += 1,
            Some(_) => return at,
            None => break,
        }
    }
    octets.len()
}

/// A segment: marker, length, body (B.1.1.4).
pub(super) fn segment(out: &mut Vec<u8>, marker: u8, body: &[u8]) {
    let length = u16::try_from(body.len() + 2).unwrap_or(u16::MAX);
    out.extend_from_slice(&[0xff, marker]);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(body);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(orientation: u8) -> Vec<u8> {
        let mut out = vec![0xff, SOI];
        segment(&mut out, APP0, b"JFIF\0\x01\x02\0\0\x48\0\x48\x01\x01Canary thumbnail");
        segment(&mut out, APP1, &[b"Exif\0\0".as_slice(), &exif::only_orientation(orientation), b"Canary GPS"].concat());
        segment(&mut out, APP1, b"http://ns.adobe.com/xap/1.0/\0<x>Canary</x>");
        segment(&mut out, 0xfe, b"Canary comment");
        segment(&mut out, 0xdb, &[7; 65]);
        segment(&mut out, 0xc0, b"\x08\0\x01\0\x01\x01\x01\x11\0");
        segment(&mut out, SOS, b"\x01\x01\0\0\x3f\0");
        out.extend_from_slice(b"\x12\xff\0\x34\xff\xd0\x56");
        segment(&mut out, 0xc4, b"table between scans");
        segment(&mut out, SOS, b"\x01\x01\0\0\x3f\0");
        out.extend_from_slice(b"\x78");
        out.extend_from_slice(&[0xff, EOI]);
        out.extend_from_slice(b"Canary after the end");
        out
    }

    #[test]
    fn metadata_goes_and_scans_stay() {
        let clean = clean(&picture(6)).unwrap();
        assert!(!clean.windows(6).any(|w| w == b"Canary"));
        for kept in [b"\x12\xff\0\x34\xff\xd0\x56".as_slice(), b"table between scans", b"\x78\xff\xd9"] {
            assert!(clean.windows(kept.len()).any(|w| w == kept));
        }
        let exif = clean.windows(6).position(|w| w == b"Exif\0\0").unwrap();
        assert_eq!(exif::orientation(&clean[exif + 6..]), Some(6));
        assert_eq!(super::clean(&clean).as_deref(), Some(clean.as_slice()), "cleaning twice changes nothing");
        assert!(!super::clean(&picture(1)).unwrap().windows(4).any(|w| w == b"Exif"));
    }

    #[test]
    fn what_is_cut_off_before_its_picture_is_refused_and_later_ended() {
        let whole = picture(1);
        let scan = whole.windows(2).position(|w| w == [0xff, SOS]).unwrap();
        assert!((2..=scan).all(|n| clean(&whole[..n]).is_none()));
        let end = whole.windows(2).rposition(|w| w == [0xff, EOI]).unwrap();
        let cut = clean(&whole[..end - 1]).unwrap();
        assert!(cut.ends_with(&[0xff, EOI]) && cut.windows(5).any(|w| w == b"\x12\xff\0\x34\xff"));
        assert_eq!(clean(&cut).as_deref(), Some(cut.as_slice()));
    }

    #[test]
    fn stray_octets_between_segments_are_skipped() {
        let whole = picture(1);
        let scan = whole.windows(2).position(|w| w == [0xff, SOS]).unwrap();
        let strange = [&whole[..2], &[0xff, SOI, 0, 7], &whole[2..scan], b"\0\0", &whole[scan..]].concat();
        assert_eq!(clean(&strange), clean(&whole));
    }
}

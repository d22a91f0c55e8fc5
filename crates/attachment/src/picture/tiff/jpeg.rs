//! JPEG inside TIFF: of its segments those that decode it are kept.

use super::{APP0, APP14, EOI, SOI, SOS};
use crate::picture::jpeg::{end_of_scan, segment};
use crate::picture::take;

/// A JPEG stream with nothing but what decodes it.
pub(super) struct Stream {
    pub(super) octets: Vec<u8>,
    pub(super) has_codes: bool,
    pub(super) has_scan: bool,
}

/// Reads a stream that may lack its tables, its scan or its end.
pub(super) fn stream(octets: &[u8]) -> Option<Stream> {
    if !octets.starts_with(&[0xff, SOI]) {
        return None;
    }
    let mut stream = Stream { octets: vec![0xff, SOI], has_codes: false, has_scan: false };
    let mut at = 2;
    while let Some((marker, begin)) = next_marker(octets, at) {
        at = begin;
        match marker {
            EOI => {
                stream.octets.extend_from_slice(&[0xff, EOI]);
                break;
            }
            SOI => return None,
            // These stand alone.
            0x01 | 0xd0..=0xd7 => continue,
            _ => {}
        }
        let length = usize::from(u16::from_be_bytes(take(octets, at)?));
        let body = octets.get(at + 2..at + length)?;
        at += length;
        match marker {
            // Dimensions of a printed pixel; a thumbnail may follow them.
            APP0 if body.starts_with(b"JFIF\0") && body.len() >= 14 => {
                segment(&mut stream.octets, APP0, &[&body[..12], &[0, 0]].concat());
            }
            // Says how the colours are coded.
            APP14 if body.starts_with(b"Adobe") && body.len() >= 12 => segment(&mut stream.octets, APP14, &body[..12]),
            // Frames of every coding, tables, number of lines, restart interval.
            0xc0..=0xcf | 0xdb..=0xdd => {
                segment(&mut stream.octets, marker, body);
                stream.has_codes |= matches!(marker, 0xc4 | 0xcc);
            }
            SOS => {
                segment(&mut stream.octets, SOS, body);
                let end = end_of_scan(octets, at);
                stream.has_scan |= end > at;
                stream.octets.extend_from_slice(octets.get(at..end)?);
                at = end;
            }
            _ => {}
        }
    }
    Some(stream)
}

/// The next marker, and where its segment begins; fill and stray octets before it are skipped.
fn next_marker(octets: &[u8], from: usize) -> Option<(u8, usize)> {
    let rest = octets.get(from..)?;
    let at = rest.windows(2).position(|pair| pair[0] == 0xff && !matches!(pair[1], 0 | 0xff))?;
    Some((rest[at + 1], from + at + 2))
}

/// Coded data up to the end of its scan, and the end of the image if that follows.
pub(super) fn scan(octets: &[u8]) -> Option<&[u8]> {
    let header = if octets.starts_with(&[0xff, SOS]) { 2 + usize::from(u16::from_be_bytes(take(octets, 2)?)) } else { 0 };
    let mut end = end_of_scan(octets, Some(header).filter(|n| *n <= octets.len())?);
    if octets.get(end..)?.starts_with(&[0xff, EOI]) {
        end += 2;
    }
    octets.get(..end).filter(|scan| !scan.is_empty())
}

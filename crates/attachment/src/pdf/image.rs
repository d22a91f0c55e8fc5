//! Pictures of a document bring their own metadata: segments of a JPEG (7.4.8), boxes of JPEG 2000 (7.4.9).

use lopdf::{Dictionary, Object, Stream};

use crate::kind::Fault;
use crate::pdf::{clean_jpeg, jpx};

/// Longest picture that is taken out of another coding.
const MAX_IMAGE_BYTES: usize = 32 << 20;
/// Most pixels of a frame, as elsewhere.
const MAX_PIXELS: u32 = 400_000_000;

/// Cleans a stream that is a picture, and takes off other codings around it, through which nothing is seen.
///
/// # Errors
/// `Unreadable` where that is not possible: a picture is neither passed unseen nor left out unsaid.
pub(super) fn clean_stream(stream: &mut Stream) -> Result<(), Fault> {
    if stream.dict.get(b"Filter").is_ok_and(Object::is_null) {
        stream.dict.remove(b"Filter");
    }
    if !stream.dict.has(b"Filter") {
        return Ok(());
    }
    let filters: Vec<Vec<u8>> = stream.filters().map_err(|_| Fault::Unreadable)?.iter().map(|filter| filter.to_vec()).collect();
    let is_picture = |filter: &Vec<u8>| matches!(filter.as_slice(), b"DCTDecode" | b"DCT" | b"JPXDecode");
    let Some(place) = filters.iter().position(is_picture) else { return Ok(()) };
    // Whatever follows the picture's own coding would have to decode pixels.
    if place + 1 != filters.len() {
        return Err(Fault::Unreadable);
    }
    let outer = if place == 0 { None } else { Some(outer_decoded(stream, &filters[..place]).ok_or(Fault::Unreadable)?) };
    let plain = outer.as_deref().unwrap_or(&stream.content);
    let clean = if filters[place] == b"JPXDecode" { jpx::clean(plain) } else { clean_jpeg(plain) };
    let clean = clean.ok_or(Fault::Unreadable)?;
    if outer.is_some() {
        keep_last_coding(&mut stream.dict, &filters[place], place);
    }
    stream.set_content(clean);
    Ok(())
}

/// The content after the filters that stand around the picture.
fn outer_decoded(stream: &Stream, outer: &[Vec<u8>]) -> Option<Vec<u8>> {
    let mut dictionary = Dictionary::new();
    dictionary.set("Filter", Object::Array(outer.iter().map(|filter| Object::Name(full_name(filter).to_vec())).collect()));
    if let Ok(parameters) = stream.dict.get(b"DecodeParms") {
        dictionary.set("DecodeParms", parameters.clone());
    }
    Stream::new(dictionary, stream.content.clone()).decompressed_content_with_limit(MAX_IMAGE_BYTES).ok()
}

/// 8.9.7, table 94.
fn full_name(filter: &[u8]) -> &[u8] {
    match filter {
        b"Fl" => b"FlateDecode",
        b"LZW" => b"LZWDecode",
        b"A85" => b"ASCII85Decode",
        b"AHx" => b"ASCIIHexDecode",
        b"RL" => b"RunLengthDecode",
        other => other,
    }
}

fn keep_last_coding(dictionary: &mut Dictionary, filter: &[u8], place: usize) {
    let parameters = match dictionary.remove(b"DecodeParms") {
        Some(Object::Array(items)) => items.into_iter().nth(place),
        Some(Object::Dictionary(one)) if one.has(b"ColorTransform") => Some(Object::Dictionary(one)),
        _ => None,
    };
    dictionary.set("Filter", Object::Name(filter.to_vec()));
    if let Some(parameters @ Object::Dictionary(_)) = parameters {
        dictionary.set("DecodeParms", parameters);
    }
}

/// A JPEG that is not quite one: without application segments and comments before its first scan, and without what
/// follows its last end.
pub(super) fn jpeg_leniently(octets: &[u8]) -> Option<Vec<u8>> {
    let mut at = octets.windows(2).take(1_024).position(|w| w == [0xff, 0xd8])? + 2;
    let mut out = vec![0xff, 0xd8];
    loop {
        at += octets.get(at..)?.iter().position(|octet| *octet == 0xff)?;
        at += octets.get(at..)?.iter().position(|octet| *octet != 0xff)?;
        let marker = octets[at];
        at += 1;
        match marker {
            0 | 1 | 0xd0..=0xd8 => continue,
            0xd9 => return None,
            _ => {}
        }
        let length = u16::from_be_bytes([*octets.get(at)?, *octets.get(at + 1)?]);
        let body = octets.get(at + 2..at + usize::from(length))?;
        at += usize::from(length);
        let kept = match marker {
            // Says how the three colours are coded.
            0xee if body.starts_with(b"Adobe") && body.len() >= 12 => &body[..12],
            0xe0..=0xef | 0xfe => continue,
            0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                let &[_, h1, h0, w1, w0, ..] = body else { return None };
                let pixels = u32::from(u16::from_be_bytes([h1, h0])).saturating_mul(u32::from(u16::from_be_bytes([w1, w0])));
                if pixels > MAX_PIXELS {
                    return None;
                }
                body
            }
            _ => body,
        };
        out.extend_from_slice(&[0xff, marker]);
        out.extend_from_slice(&u16::try_from(kept.len() + 2).ok()?.to_be_bytes());
        out.extend_from_slice(kept);
        if marker == 0xda {
            let rest = &octets[at..];
            let end = rest.windows(2).rposition(|w| w == [0xff, 0xd9]).map_or(rest.len(), |found| found + 2);
            out.extend_from_slice(&rest[..end]);
            return Some(out);
        }
    }
}

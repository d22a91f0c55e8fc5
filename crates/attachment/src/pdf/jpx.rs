//! JPEG 2000 (ISO/IEC 15444-1, annexes A and I): boxes that show the picture, and a codestream without comments.

use crate::pdf::icc;

/// The picture without boxes that hold metadata; none where it holds no codestream.
pub(super) fn clean(octets: &[u8]) -> Option<Vec<u8>> {
    if octets.starts_with(b"\xff\x4f\xff\x51") {
        return Some(codestream(octets));
    }
    if octets.get(4..8)? != b"jP  " {
        return None;
    }
    let mut out = Vec::with_capacity(octets.len());
    let (mut rest, mut is_shown) = (octets, false);
    while rest.len() >= 8 {
        let (name, body, after) = next_box(rest)?;
        rest = after;
        match name {
            b"jP  " | b"ftyp" | b"rreq" => write_box(&mut out, name, body),
            b"jp2h" | b"jpch" | b"jplh" => write_box(&mut out, name, &header(body, 0)?),
            b"jp2c" => {
                write_box(&mut out, name, &codestream(body));
                is_shown = true;
            }
            _ => {}
        }
    }
    is_shown.then_some(out)
}

/// Boxes within a header: all but resolution, labels and metadata.
fn header(octets: &[u8], depth: usize) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(octets.len());
    let mut rest = octets;
    while rest.len() >= 8 {
        let (name, body, after) = next_box(rest)?;
        rest = after;
        match name {
            b"res " | b"lbl " | b"xml " | b"uuid" | b"uinf" | b"jp2i" | b"asoc" | b"cref" | b"free" | b"mdat" => {}
            b"cgrp" if depth == 0 => write_box(&mut out, name, &header(body, 1)?),
            b"colr" => write_box(&mut out, name, &colour(body)),
            _ => write_box(&mut out, name, body),
        }
    }
    Some(out)
}

/// A colour specification (I.5.3.3); methods 2 and 3 hold a profile.
fn colour(body: &[u8]) -> Vec<u8> {
    let mut out = body.to_vec();
    if matches!(out.first(), Some(2 | 3))
        && let Some(profile) = out.get_mut(3..)
        && icc::clean(profile).is_none()
    {
        profile.fill(0);
    }
    out
}

/// The name of a box, its body, and what follows it. A length of one stands before the length in eight octets, a length
/// of zero for the rest; the last box may be cut off.
fn next_box(octets: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let short = u32::from_be_bytes(octets.get(..4)?.try_into().ok()?);
    let (head, length) = match short {
        0 => (8, octets.len()),
        1 => (16, usize::try_from(u64::from_be_bytes(octets.get(8..16)?.try_into().ok()?)).ok()?),
        _ => (8, usize::try_from(short).ok()?),
    };
    if length < head {
        return None;
    }
    let end = length.min(octets.len());
    Some((&octets[4..8], octets.get(head..end)?, &octets[end..]))
}

fn write_box(out: &mut Vec<u8>, name: &[u8], body: &[u8]) {
    if let Ok(length) = u32::try_from(body.len() + 8) {
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(name);
    } else {
        out.extend_from_slice(&1_u32.to_be_bytes());
        out.extend_from_slice(name);
        out.extend_from_slice(&(body.len() as u64 + 16).to_be_bytes());
    }
    out.extend_from_slice(body);
}

/// A codestream with comments (A.9.2) blanked in the headers of picture and tiles.
fn codestream(octets: &[u8]) -> Vec<u8> {
    const COM: u8 = 0x64;
    const SOT: u8 = 0x90;
    const SOD: u8 = 0x93;
    const EOC: u8 = 0xd9;
    let mut out = octets.to_vec();
    let mut at = 2_usize;
    let mut next_tile: Option<usize> = None;
    while out.get(at) == Some(&0xff) {
        let marker = out.get(at + 1).copied().unwrap_or(EOC);
        if matches!(marker, SOD | EOC) {
            match next_tile.take() {
                Some(next) if next > at => at = next,
                _ => break,
            }
            continue;
        }
        let Some(&[high, low]) = out.get(at + 2..at + 4) else { break };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let end = at + 2 + length.max(2);
        // How far the tile's part reaches, counted from its own marker; zero for the last.
        if marker == SOT
            && let Some(&[a, b, c, d]) = out.get(at + 6..at + 10)
        {
            let reach = u32::from_be_bytes([a, b, c, d]);
            next_tile = if reach == 0 { None } else { usize::try_from(reach).ok().and_then(|reach| at.checked_add(reach)) };
        }
        if marker == COM
            && let Some(text) = out.get_mut(at + 6..end)
        {
            text.fill(b' ');
        }
        at = end;
    }
    out
}

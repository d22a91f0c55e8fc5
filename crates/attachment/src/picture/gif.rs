//! GIF (GIF89a): images, their timing and the loop are copied; comments, texts and other applications are not.

use crate::picture::{is_showable, take};

pub(super) fn clean(octets: &[u8]) -> Option<Vec<u8>> {
    let header: [u8; 13] = take(octets, 0)?;
    if !matches!(&header[..6], b"GIF87a" | b"GIF89a") {
        return None;
    }
    let short = |octets: &[u8], at| take::<2>(octets, at).map(u16::from_le_bytes);
    if !is_showable(short(&header, 6)?, short(&header, 8)?) {
        return None;
    }
    let mut at = 13 + table_len(header[10]);
    let mut out = octets.get(..at)?.to_vec();
    let mut images = 0_usize;
    loop {
        let begin = at;
        match octets.get(at).copied() {
            // Trailer: what follows is no part of the picture. Some programs leave it out.
            None if images == 0 => return None,
            None | Some(0x3b) => {
                out.push(0x3b);
                return (images > 0).then_some(out);
            }
            // Image descriptor, its table, the LZW code size and the data.
            Some(0x2c) => {
                let descriptor: [u8; 10] = take(octets, at)?;
                if !is_showable(short(&descriptor, 5)?, short(&descriptor, 7)?) {
                    return None;
                }
                at = after_blocks(octets, at.checked_add(10 + table_len(descriptor[9]) + 1)?)?;
                out.extend_from_slice(&octets[begin..at]);
                images += 1;
            }
            Some(0x21) => {
                let label = *octets.get(at + 1)?;
                at = after_blocks(octets, at + 2)?;
                match label {
                    // Graphic control: exactly one block of four octets.
                    0xf9 if at - begin == 8 => out.extend_from_slice(&octets[begin..at]),
                    // How often an animation runs.
                    0xff if octets.get(begin + 2..begin + 14) == Some(b"\x0bNETSCAPE2.0") && at - begin == 19 => {
                        out.extend_from_slice(&octets[begin..at]);
                    }
                    _ => {}
                }
            }
            // Padding between blocks.
            Some(0) => at += 1,
            Some(_) => return None,
        }
    }
}

/// Octets of a colour table, from the packed field that announces it.
fn table_len(packed: u8) -> usize {
    if packed & 0x80 == 0 { 0 } else { 3 << ((packed & 7) + 1) }
}

/// Behind a row of sub-blocks and the empty one that ends it.
fn after_blocks(octets: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let length = usize::from(*octets.get(at)?);
        at += 1 + length;
        if length == 0 {
            return Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture() -> Vec<u8> {
        [
            b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff".as_slice(),
            b"\x21\xff\x0bNETSCAPE2.0\x03\x01\0\0\0",
            b"\x21\xff\x0bXMP DataXMP\x06Canary\0",
            b"\x21\xfe\x06Canary\0",
            b"\x21\xf9\x04\0\x0a\0\0\0",
            b"\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0",
            b"\x3bCanary",
        ]
        .concat()
    }

    #[test]
    fn comments_go_and_images_and_loops_stay() {
        let clean = clean(&picture()).unwrap();
        assert!(!clean.windows(6).any(|w| w == b"Canary"));
        assert!(clean.windows(11).any(|w| w == b"NETSCAPE2.0") && clean.ends_with(b"\x02\x02\x44\x01\0\x3b"));
        assert_eq!(super::clean(&clean).as_deref(), Some(clean.as_slice()));
    }

    #[test]
    fn what_is_cut_off_is_refused() {
        let whole = picture();
        let image = whole.iter().rposition(|b| *b == 0x2c).unwrap();
        assert!((0..=image).all(|n| clean(&whole[..n]).is_none()));
        assert_eq!(clean(&whole[..whole.len() - 7]), clean(&whole), "only the trailer is missing");
    }
}

//! Pictures without metadata: the pixels are copied bit for bit, everything else is left behind but what shows the
//! picture as its writer saw it (orientation, palette, transparency, loops).
//!
//! Nothing is decoded, so that a picture of 65,535² pixels costs no more than its octets.

mod bmp;
mod exif;
mod gif;
mod jpeg;
mod png;

use crate::kind::{Fault, Kind};

/// The picture rebuilt; `None` for a kind that is rebuilt elsewhere or not at all.
///
/// # Errors
/// `Unreadable` where its structure is none of its format's.
pub fn clean_picture(kind: Kind, octets: &[u8]) -> Option<Result<Vec<u8>, Fault>> {
    let clean = match kind {
        Kind::Jpeg => jpeg::clean(octets),
        Kind::Png => png::clean(octets),
        Kind::Gif => gif::clean(octets),
        Kind::Bmp => bmp::clean(octets),
        _ => return None,
    };
    Some(clean.ok_or(Fault::Unreadable))
}

/// `N` octets at a place.
fn take<const N: usize>(octets: &[u8], at: usize) -> Option<[u8; N]> {
    octets.get(at..at.checked_add(N)?)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn hostile_octets_are_refused_or_shortened_never_a_panic(octets in prop::collection::vec(any::<u8>(), 0..400), kind in 0..4usize) {
            let kinds = [(Kind::Jpeg, b"\xff\xd8\xff".as_slice()), (Kind::Png, b"\x89PNG\r\n\x1a\n"), (Kind::Gif, b"GIF89a"), (Kind::Bmp, b"BM")];
            let (kind, mark) = kinds[kind];
            let octets = [mark, &octets].concat();
            if let Some(Ok(clean)) = clean_picture(kind, &octets) {
                // Headers may be written anew; nothing else is ever added.
                prop_assert!(clean.len() <= octets.len() + 64);
            }
        }
    }
}

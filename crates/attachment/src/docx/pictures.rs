//! Pictures of a document: rebuilt, or replaced by an empty one, so that what shows them still stands.

use crate::kind::Kind;
use crate::picture::{clean_picture, metafile};

/// One transparent pixel.
const BLANK: &[u8] = b"\x89PNG\r\n\x1a\n\
    \x00\x00\x00\x0dIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f\x15\xc4\x89\
    \x00\x00\x00\x0bIDATx\xdac`\x00\x02\x00\x00\x05\x00\x01\xe9\xfa\xdc\xd8\
    \x00\x00\x00\x00IEND\xaeB`\x82";

/// A picture as it is written.
pub(super) struct Picture {
    pub(super) octets: Vec<u8>,
    pub(super) extension: &'static str,
    pub(super) content_type: &'static str,
}

impl Picture {
    /// The one that shows nothing.
    pub(super) fn blank() -> Self {
        Self { octets: BLANK.to_vec(), extension: "png", content_type: "image/png" }
    }

    /// Without metadata; what it is, its content says.
    pub(super) fn clean(octets: &[u8]) -> Self {
        let kind = |kind: Kind, extension| {
            let octets = clean_picture(kind, octets).ok()?;
            Some(Self { octets, extension, content_type: kind.media_type() })
        };
        let clean = if octets.starts_with(b"\xff\xd8\xff") {
            kind(Kind::Jpeg, "jpeg")
        } else if octets.starts_with(b"\x89PNG\r\n\x1a\n") {
            kind(Kind::Png, "png")
        } else if octets.starts_with(b"GIF8") {
            kind(Kind::Gif, "gif")
        } else if octets.starts_with(b"II*\0") || octets.starts_with(b"MM\0*") {
            kind(Kind::Tiff, "tiff")
        } else if octets.starts_with(b"BM") {
            kind(Kind::Bmp, "bmp")
        } else if metafile::is_emf(octets) {
            metafile::clean_emf(octets).map(|octets| Self { octets, extension: "emf", content_type: "image/x-emf" })
        } else {
            metafile::clean_wmf(octets).map(|octets| Self { octets, extension: "wmf", content_type: "image/x-wmf" })
        };
        clean.unwrap_or_else(Self::blank)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_empty_picture_is_one() {
        let clean = Picture::clean(BLANK);
        assert_eq!((clean.octets.as_slice(), clean.extension, clean.content_type), (BLANK, "png", "image/png"));
    }

    #[test]
    fn what_nobody_understands_is_replaced() {
        for octets in [b"".as_slice(), b"<svg/>", b"\x1f\x8b\x08", b"\xff\xd8\xff", b"BM", b"\x01\0\0\0"] {
            assert_eq!(Picture::clean(octets).octets, BLANK);
        }
    }
}

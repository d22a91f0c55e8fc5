//! TIFF (revision 6.0): of every page the pixels, and the fields that say how to show them, are copied into a directory
//! written anew. Texts, dates, places, colour profiles, smaller versions of a page, private fields, and octets that no
//! page refers to are left behind.

mod directory;
mod jpeg;
mod page;
#[cfg(test)]
mod tests;
mod write;

use std::collections::BTreeMap;

use directory::Source;
use write::Writer;

// Types (section 2, and IFD of technical note 1).
const BYTE: u16 = 1;
const ASCII: u16 = 2;
const SHORT: u16 = 3;
const LONG: u16 = 4;
const RATIONAL: u16 = 5;
const SBYTE: u16 = 6;
const UNDEFINED: u16 = 7;
const SSHORT: u16 = 8;
const SLONG: u16 = 9;
const SRATIONAL: u16 = 10;
const FLOAT: u16 = 11;
const DOUBLE: u16 = 12;
const IFD: u16 = 13;

// Fields that are looked into (appendix A).
const NEW_SUBFILE_TYPE: u16 = 254;
const SUBFILE_TYPE: u16 = 255;
const IMAGE_WIDTH: u16 = 256;
const IMAGE_LENGTH: u16 = 257;
const BITS_PER_SAMPLE: u16 = 258;
const COMPRESSION: u16 = 259;
const PHOTOMETRIC_INTERPRETATION: u16 = 262;
const STRIP_OFFSETS: u16 = 273;
const SAMPLES_PER_PIXEL: u16 = 277;
const ROWS_PER_STRIP: u16 = 278;
const STRIP_BYTE_COUNTS: u16 = 279;
const PLANAR_CONFIGURATION: u16 = 284;
const TILE_WIDTH: u16 = 322;
const TILE_LENGTH: u16 = 323;
const TILE_OFFSETS: u16 = 324;
const TILE_BYTE_COUNTS: u16 = 325;
const SUB_IFDS: u16 = 330;
const JPEG_TABLES: u16 = 347;
const JPEG_INTERCHANGE_FORMAT: u16 = 513;
const JPEG_INTERCHANGE_FORMAT_LENGTH: u16 = 514;
const JPEG_Q_TABLES: u16 = 519;
const JPEG_DC_TABLES: u16 = 520;
const JPEG_AC_TABLES: u16 = 521;
const YCBCR_SUBSAMPLING: u16 = 530;
const EXIF_IFD: u16 = 34_665;
const GPS_IFD: u16 = 34_853;

/// The image file header (section 2).
const HEADER: usize = 8;
const MAX_DIRECTORIES: usize = 4_096;
const MAX_SAMPLES: usize = 64;
/// Strips and tiles of a page, and different ones of a file.
const MAX_PIECES: usize = 1 << 19;
/// Four tables of each kind fit well.
const MAX_JPEG_TABLES: usize = 4_096;
/// The thumbnail that a camera puts behind its picture is not larger.
const MAX_THUMBNAIL: usize = 320;
/// Compressions whose data is samples and nothing else: none, CCITT, LZW, Deflate, NeXT, PackBits, ThunderScan, LogLuv,
/// LZMA and Zstandard. WebP and JPEG 2000 may hold metadata of their own.
const SAMPLES_ONLY: [usize; 15] = [1, 2, 3, 4, 5, 8, 32_766, 32_771, 32_773, 32_809, 32_946, 34_676, 34_677, 34_925, 50_000];

// Markers of JPEG (ITU-T T.81, table B.1).
const SOI: u8 = 0xd8;
const EOI: u8 = 0xd9;
const SOS: u8 = 0xda;
const APP0: u8 = 0xe0;
const APP14: u8 = 0xee;

pub(super) fn clean(octets: &[u8]) -> Option<Vec<u8>> {
    let mut source = Source::open(octets)?;
    let mut budget = Budget(octets.len().saturating_mul(4).saturating_add(1_024));
    let (pages, marks) = source.pages(&mut budget)?;
    source.marks = marks;
    let mut out = Vec::with_capacity(octets.len());
    out.extend_from_slice(octets.get(..4)?);
    out.extend_from_slice(&[0; 4]);
    let mut writer = Writer { source: &source, budget, out, link: 4, copied: BTreeMap::new() };
    for at in pages {
        writer.page(at)?;
    }
    Some(writer.out)
}

/// Octets that may still be read and copied: directories that share their data do not make a large file of a small one.
struct Budget(usize);

impl Budget {
    fn spend(&mut self, octets: usize) -> Option<()> {
        self.0 = self.0.checked_sub(octets)?;
        Some(())
    }
}

//! A page: the fields that say how to show it, and where its strips or tiles are.

use std::collections::BTreeMap;

use super::directory::{Directory, Source, octets_of};
use super::{
    BITS_PER_SAMPLE, BYTE, Budget, COMPRESSION, DOUBLE, FLOAT, IMAGE_LENGTH, IMAGE_WIDTH, LONG, MAX_PIECES, MAX_SAMPLES,
    PHOTOMETRIC_INTERPRETATION, PLANAR_CONFIGURATION, RATIONAL, ROWS_PER_STRIP, SAMPLES_PER_PIXEL, SBYTE, SHORT, SLONG, SSHORT,
    STRIP_BYTE_COUNTS, STRIP_OFFSETS, TILE_BYTE_COUNTS, TILE_LENGTH, TILE_OFFSETS, TILE_WIDTH, YCBCR_SUBSAMPLING,
};
use crate::picture::is_showable;

/// A field as it is written.
pub(super) struct Field {
    pub(super) kind: u16,
    pub(super) octets: Vec<u8>,
}

pub(super) type Fields = BTreeMap<u16, Field>;

/// Where a strip or tile begins and ends; none for one that was never written.
pub(super) type Piece = Option<(usize, usize)>;

/// The types and the greatest number of values of a field that is copied as it is; `None` for one that is not.
fn allowed(tag: u16, samples: usize, levels: usize) -> Option<(&'static [u16], usize)> {
    const WHOLE: &[u16] = &[BYTE, SHORT, LONG];
    const RATIO: &[u16] = &[RATIONAL];
    const WHOLE_OR_RATIO: &[u16] = &[LONG, RATIONAL];
    const REAL: &[u16] = &[BYTE, SHORT, LONG, SBYTE, SSHORT, SLONG, FLOAT, DOUBLE];
    Some(match tag {
        // Kind of page, dimensions, compression, photometric interpretation, halftones, order of bits, orientation,
        // samples, rows, planes, fax options, unit, predictor, tiles, inks, JPEG process and restarts, position of chroma.
        254..=257 | 259 | 262..=266 | 274 | 277 | 278 | 284 | 292 | 293 | 296 | 317 | 322 | 323 | 332 | 334 | 512 | 515 | 531 => (WHOLE, 1),
        // Of each sample: bits, least and greatest value, meaning, format, JPEG predictor and point transform.
        258 | 280 | 281 | 338 | 339 | 517 | 518 => (WHOLE, samples),
        // Resolution.
        282 | 283 => (RATIO, 1),
        // Number of the page, halftone hints, subsampling of chroma.
        297 | 321 | 530 => (WHOLE, 2),
        // Transfer function and palette.
        301 | 320 => (WHOLE, 3 * levels),
        // White point, primaries, coefficients of luma, reference black and white.
        318 => (RATIO, 2),
        319 => (RATIO, 6),
        529 => (RATIO, 3),
        532 => (WHOLE_OR_RATIO, 6),
        // Range of dots; least and greatest value of samples that are no whole numbers.
        336 => (WHOLE, 2 * samples),
        340 | 341 => (REAL, samples),
        _ => return None,
    })
}

/// Strips (section 3) or tiles (section 15): how large they are and how many there should be.
struct Grid {
    across: usize,
    rows: usize,
    /// Rows of the page; tiles are whole beyond them.
    length: usize,
    is_tiled: bool,
    per_plane: usize,
    planes: usize,
}

pub(super) struct Page<'a> {
    source: &'a Source<'a>,
    pub(super) directory: Directory,
    /// Of each sample of a pixel.
    pub(super) bits: Vec<usize>,
}

impl<'a> Page<'a> {
    pub(super) fn read(source: &'a Source<'a>, at: usize) -> Option<Self> {
        let directory = source.directory(at)?;
        let mut bits = match directory.get(&BITS_PER_SAMPLE) {
            Some(entry) => source.numbers(entry, MAX_SAMPLES)?,
            None => vec![1],
        };
        let first = bits.first().copied().filter(|n| *n > 0)?;
        let samples = source.number(&directory, SAMPLES_PER_PIXEL).unwrap_or(bits.len());
        if samples == 0 || samples > MAX_SAMPLES || bits.iter().any(|n| *n > 64) {
            return None;
        }
        bits.resize(samples, first);
        Some(Self { source, directory, bits })
    }

    pub(super) fn number(&self, tag: u16) -> Option<usize> {
        self.source.number(&self.directory, tag)
    }

    pub(super) fn compression(&self) -> Option<usize> {
        match self.directory.get(&COMPRESSION) {
            Some(entry) => self.source.numbers(entry, 1)?.first().copied(),
            None => Some(1),
        }
    }

    pub(super) fn is_tiled(&self) -> bool {
        self.number(TILE_WIDTH).is_some() && self.number(TILE_LENGTH).is_some()
    }

    /// The fields of offsets and of byte counts.
    pub(super) fn tags(&self) -> (u16, u16) {
        if self.directory.contains_key(&TILE_OFFSETS) { (TILE_OFFSETS, TILE_BYTE_COUNTS) } else { (STRIP_OFFSETS, STRIP_BYTE_COUNTS) }
    }

    pub(super) fn fields(&self, budget: &mut Budget) -> Option<Fields> {
        let levels = 1_usize << self.bits.first().copied()?.min(16);
        let mut fields = Fields::new();
        for (tag, entry) in &self.directory {
            let Some((kinds, most)) = allowed(*tag, self.bits.len(), levels) else { continue };
            if entry.length > 0 && kinds.contains(&entry.kind) {
                let octets = self.source.values(entry, most * octets_of(entry.kind))?;
                budget.spend(octets.len())?;
                fields.insert(*tag, Field { kind: entry.kind, octets: octets.to_vec() });
            }
        }
        Some(fields)
    }

    fn grid(&self) -> Option<Grid> {
        let (width, length) = (self.number(IMAGE_WIDTH)?, self.number(IMAGE_LENGTH)?);
        let is_tiled = self.is_tiled();
        let (across, rows) = if is_tiled {
            (self.number(TILE_WIDTH)?, self.number(TILE_LENGTH)?)
        } else {
            (width, self.number(ROWS_PER_STRIP).filter(|rows| *rows > 0).unwrap_or(length).min(length))
        };
        if across == 0 || rows == 0 || !is_showable(width as u64, length as u64) || (!is_tiled && self.tags().0 == TILE_OFFSETS) {
            return None;
        }
        let per_plane = width.div_ceil(across).saturating_mul(length.div_ceil(rows));
        let planes = if self.number(PLANAR_CONFIGURATION) == Some(2) { self.bits.len() } else { 1 };
        Some(Grid { across, rows, length, is_tiled, per_plane, planes })
    }

    /// Octets of an uncompressed strip or tile; rows begin on octets.
    fn size(&self, grid: &Grid, index: usize) -> Option<usize> {
        let plane = index.checked_div(grid.per_plane)?;
        let of_pixel = if grid.planes > 1 { *self.bits.get(plane)? } else { self.bits.iter().sum::<usize>() };
        let above = (index - plane * grid.per_plane).checked_mul(grid.rows)?;
        let rows = if grid.is_tiled { grid.rows } else { grid.rows.min(grid.length.checked_sub(above)?) };
        Some(grid.across.saturating_mul(of_pixel).div_ceil(8).saturating_mul(rows))
    }

    pub(super) fn pieces(&self, budget: &mut Budget) -> Option<Vec<Piece>> {
        let grid = self.grid()?;
        let is_compressed = self.compression()? != 1;
        let subsampling = self.directory.get(&YCBCR_SUBSAMPLING).and_then(|entry| self.source.numbers(entry, 2));
        // With subsampled chroma (section 21) a pixel has no size of its own.
        let is_subsampled = self.number(PHOTOMETRIC_INTERPRETATION) == Some(6) && subsampling.is_none_or(|n| n != [1, 1]);
        let (offsets, counts) = self.tags();
        let offsets = self.directory.get(&offsets)?;
        let expected = grid.per_plane.saturating_mul(grid.planes).min(offsets.length / octets_of(offsets.kind).max(1));
        if expected > MAX_PIECES {
            return None;
        }
        budget.spend(8 * expected)?;
        let offsets = self.source.numbers(offsets, expected)?;
        let counts = match self.directory.get(&counts) {
            Some(entry) => self.source.numbers(entry, expected)?,
            None => Vec::new(),
        };
        let mut pieces = Vec::with_capacity(offsets.len());
        for (index, from) in offsets.into_iter().enumerate() {
            let declared = counts.get(index).copied().filter(|count| *count > 0);
            if from == 0 && declared.is_none() {
                pieces.push(None);
                continue;
            }
            let needed = if is_compressed || is_subsampled { None } else { Some(self.size(&grid, index)?) };
            let length = match (needed, declared) {
                // Nothing hides behind the pixels.
                (Some(needed), Some(declared)) => needed.min(declared),
                (length, None) | (None, length) => length?,
            };
            pieces.push(Some((from, self.source.end(from, length, is_compressed)?)));
        }
        pieces.iter().any(Option::is_some).then_some(pieces)
    }
}

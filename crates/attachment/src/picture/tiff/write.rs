//! The file written anew: pages, each with its data, behind one another.

use std::collections::BTreeMap;

use super::directory::{Entry, Source, octets_of};
use super::jpeg::{scan, stream};
use super::page::{Field, Fields, Page, Piece};
use super::{
    BYTE, Budget, IMAGE_LENGTH, JPEG_AC_TABLES, JPEG_DC_TABLES, JPEG_INTERCHANGE_FORMAT, JPEG_INTERCHANGE_FORMAT_LENGTH, JPEG_Q_TABLES,
    JPEG_TABLES, LONG, MAX_JPEG_TABLES, MAX_PIECES, ROWS_PER_STRIP, SAMPLES_ONLY, SOI, UNDEFINED,
};
use crate::picture::take;

/// How data is copied.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Form {
    /// As it is.
    Samples,
    /// As a JPEG stream, whole or abbreviated.
    Stream,
    /// As coded data of JPEG, with or without the header of its scan.
    Scan,
}

pub(super) struct Writer<'a> {
    pub(super) source: &'a Source<'a>,
    pub(super) budget: Budget,
    pub(super) out: Vec<u8>,
    /// Where the offset of the next directory is written.
    pub(super) link: usize,
    /// Offset and length of what is already there, by its place in the source.
    pub(super) copied: BTreeMap<(usize, usize, Form), (usize, usize)>,
}

impl Writer<'_> {
    pub(super) fn page(&mut self, at: usize) -> Option<()> {
        let page = Page::read(self.source, at)?;
        let mut fields = page.fields(&mut self.budget)?;
        let pieces = page.pieces(&mut self.budget)?;
        let places = match page.compression()? {
            6 => self.old_jpeg(&page, &pieces, &mut fields)?,
            7 => {
                if let Some(entry) = page.directory.get(&JPEG_TABLES) {
                    fields.insert(JPEG_TABLES, self.jpeg_tables(entry)?);
                }
                self.copies(&pieces, Form::Stream)?
            }
            compression if SAMPLES_ONLY.contains(&compression) => self.copies(&pieces, Form::Samples)?,
            _ => return None,
        };
        let (offsets, counts): (Vec<usize>, Vec<usize>) = places.into_iter().unzip();
        let tags = page.tags();
        fields.insert(tags.0, self.longs(&offsets)?);
        fields.insert(tags.1, self.longs(&counts)?);
        self.directory(&fields)
    }

    /// Appends on a word boundary; gives the offset.
    fn put(&mut self, octets: &[u8]) -> usize {
        let at = self.out.len().next_multiple_of(2);
        self.out.resize(at, 0);
        self.out.extend_from_slice(octets);
        at
    }

    fn longs(&self, values: &[usize]) -> Option<Field> {
        let mut octets = Vec::with_capacity(4 * values.len());
        for value in values {
            octets.extend_from_slice(&self.source.order.of_long(u32::try_from(*value).ok()?));
        }
        Some(Field { kind: LONG, octets })
    }

    /// Copies data once, however often it is referred to.
    fn copy(&mut self, from: usize, end: usize, form: Form) -> Option<(usize, usize)> {
        if let Some(known) = self.copied.get(&(from, end, form)) {
            return Some(*known);
        }
        let source = self.source;
        let octets = source.octets.get(from..end)?;
        self.budget.spend(octets.len())?;
        if self.copied.len() >= MAX_PIECES {
            return None;
        }
        let place = match form {
            Form::Samples => (self.put(octets), octets.len()),
            Form::Stream => {
                let stream = stream(octets)?;
                (self.put(&stream.octets), stream.octets.len())
            }
            Form::Scan => {
                let scan = scan(octets)?;
                (self.put(scan), scan.len())
            }
        };
        self.copied.insert((from, end, form), place);
        Some(place)
    }

    fn copies(&mut self, pieces: &[Piece], form: Form) -> Option<Vec<(usize, usize)>> {
        pieces
            .iter()
            .map(|piece| match *piece {
                Some((from, end)) => self.copy(from, end, form),
                None => Some((0, 0)),
            })
            .collect()
    }

    /// Tables that the streams of a page share (technical note 2).
    fn jpeg_tables(&mut self, entry: &Entry) -> Option<Field> {
        if !matches!(entry.kind, BYTE | UNDEFINED) {
            return None;
        }
        let source = self.source;
        self.budget.spend(entry.length)?;
        let tables = stream(source.values(entry, entry.length)?)?;
        (!tables.has_scan && tables.octets.len() <= MAX_JPEG_TABLES).then_some(Field { kind: UNDEFINED, octets: tables.octets })
    }

    /// JPEG as section 22 has it: one stream for the page; or a stream of tables, or tables by themselves, and strips of
    /// coded data.
    fn old_jpeg(&mut self, page: &Page<'_>, pieces: &[Piece], fields: &mut Fields) -> Option<Vec<(usize, usize)>> {
        let source = self.source;
        let whole = match *pieces {
            [Some((from, end))] if source.octets.get(from..end)?.starts_with(&[0xff, SOI]) => Some((from, end)),
            _ => None,
        };
        let interchange = match (whole, page.number(JPEG_INTERCHANGE_FORMAT)) {
            (Some(whole), _) => Some(whole),
            (None, Some(from)) => Some((from, source.end(from, page.number(JPEG_INTERCHANGE_FORMAT_LENGTH)?, true)?)),
            (None, None) => None,
        };
        let Some((from, end)) = interchange else {
            self.old_tables(page, fields)?;
            return self.copies(pieces, Form::Scan);
        };
        self.budget.spend(end - from)?;
        let stream = stream(source.octets.get(from..end)?)?;
        if !stream.has_codes {
            return None;
        }
        let (offset, length) = (self.put(&stream.octets), stream.octets.len());
        fields.insert(JPEG_INTERCHANGE_FORMAT, self.longs(&[offset])?);
        fields.insert(JPEG_INTERCHANGE_FORMAT_LENGTH, self.longs(&[length])?);
        if stream.has_scan && pieces.len() == 1 {
            // Readers disagree on where in the stream its strip begins: at the start, then, and of all rows.
            if !page.is_tiled() {
                fields.insert(ROWS_PER_STRIP, self.longs(&[page.number(IMAGE_LENGTH)?])?);
            }
            return Some(vec![(offset, length)]);
        }
        if stream.has_scan || whole.is_some() {
            return None;
        }
        self.copies(pieces, Form::Scan)
    }

    /// Tables for each sample: 64 octets of quantisation; how many codes there are of 16 lengths, and their values.
    fn old_tables(&mut self, page: &Page<'_>, fields: &mut Fields) -> Option<()> {
        let source = self.source;
        if !page.directory.contains_key(&JPEG_DC_TABLES) {
            return None;
        }
        for tag in [JPEG_Q_TABLES, JPEG_DC_TABLES, JPEG_AC_TABLES] {
            let Some(entry) = page.directory.get(&tag) else { continue };
            let mut offsets = Vec::new();
            for from in source.numbers(entry, page.bits.len().min(4))? {
                let codes: usize = match tag {
                    JPEG_Q_TABLES => 48,
                    _ => take::<16>(source.octets, from)?.iter().map(|n| usize::from(*n)).sum(),
                };
                if codes > 256 {
                    return None;
                }
                offsets.push(self.copy(from, from.checked_add(16 + codes)?, Form::Samples)?.0);
            }
            if offsets.is_empty() {
                return None;
            }
            fields.insert(tag, self.longs(&offsets)?);
        }
        Some(())
    }

    /// Writes a directory behind its values and links it to the one before.
    fn directory(&mut self, fields: &Fields) -> Option<()> {
        let order = self.source.order;
        let mut table = order.of_short(u16::try_from(fields.len()).ok()?).to_vec();
        for (tag, field) in fields {
            let length = field.octets.len();
            let count = length.checked_div(octets_of(field.kind))?;
            table.extend_from_slice(&order.of_short(*tag));
            table.extend_from_slice(&order.of_short(field.kind));
            table.extend_from_slice(&order.of_long(u32::try_from(count).ok()?));
            if length <= 4 {
                table.extend_from_slice(&field.octets);
                table.extend(std::iter::repeat_n(0, 4 - length));
            } else {
                let at = self.put(&field.octets);
                table.extend_from_slice(&order.of_long(u32::try_from(at).ok()?));
            }
        }
        table.extend_from_slice(&[0; 4]);
        let at = self.put(&table);
        self.out.get_mut(self.link..self.link + 4)?.copy_from_slice(&order.of_long(u32::try_from(at).ok()?));
        self.link = self.out.len() - 4;
        Some(())
    }
}

//! Directories and the values of their fields, as they are read: where pages are, and where data ends.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    ASCII, BYTE, Budget, DOUBLE, EXIF_IFD, FLOAT, GPS_IFD, HEADER, IFD, IMAGE_LENGTH, IMAGE_WIDTH, LONG, MAX_DIRECTORIES, MAX_THUMBNAIL,
    NEW_SUBFILE_TYPE, RATIONAL, SBYTE, SHORT, SLONG, SRATIONAL, SSHORT, STRIP_OFFSETS, SUB_IFDS, SUBFILE_TYPE, TILE_OFFSETS, UNDEFINED,
};
use crate::picture::take;

#[derive(Clone, Copy)]
pub(super) enum Order {
    Little,
    Big,
}

impl Order {
    fn short(self, octets: [u8; 2]) -> u16 {
        match self {
            Self::Little => u16::from_le_bytes(octets),
            Self::Big => u16::from_be_bytes(octets),
        }
    }

    fn long(self, octets: [u8; 4]) -> u32 {
        match self {
            Self::Little => u32::from_le_bytes(octets),
            Self::Big => u32::from_be_bytes(octets),
        }
    }

    pub(super) fn of_short(self, value: u16) -> [u8; 2] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }

    pub(super) fn of_long(self, value: u32) -> [u8; 4] {
        match self {
            Self::Little => value.to_le_bytes(),
            Self::Big => value.to_be_bytes(),
        }
    }
}

/// A field as it was found: its type, and where its values are.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    pub(super) kind: u16,
    at: usize,
    pub(super) length: usize,
}

pub(super) type Directory = BTreeMap<u16, Entry>;

pub(super) struct Source<'a> {
    pub(super) octets: &'a [u8],
    pub(super) order: Order,
    /// Where directories and the values of fields begin, in order.
    pub(super) marks: Vec<usize>,
}

impl<'a> Source<'a> {
    pub(super) fn open(octets: &'a [u8]) -> Option<Self> {
        let order = match take::<4>(octets, 0)? {
            [b'I', b'I', 42, 0] => Order::Little,
            [b'M', b'M', 0, 42] => Order::Big,
            _ => return None,
        };
        Some(Self { octets, order, marks: Vec::new() })
    }

    fn short(&self, at: usize) -> Option<u16> {
        take::<2>(self.octets, at).map(|octets| self.order.short(octets))
    }

    fn long(&self, at: usize) -> Option<usize> {
        usize::try_from(self.order.long(take::<4>(self.octets, at)?)).ok()
    }

    /// An image file directory (section 2).
    pub(super) fn directory(&self, at: usize) -> Option<Directory> {
        let entries = usize::from(self.short(at)?);
        let mut directory = Directory::new();
        for n in 0..entries {
            let begin = at + 2 + 12 * n;
            let (tag, kind) = (self.short(begin)?, self.short(begin + 2)?);
            let length = octets_of(kind).saturating_mul(self.long(begin + 4)?);
            let at = if length <= 4 { begin + 8 } else { self.long(begin + 8)? };
            // The first of a repeated field counts.
            directory.entry(tag).or_insert(Entry { kind, at, length });
        }
        Some(directory)
    }

    /// The first octets of a field's values, at most so many.
    pub(super) fn values(&self, entry: &Entry, most: usize) -> Option<&'a [u8]> {
        self.octets.get(entry.at..entry.at.checked_add(entry.length.min(most))?)
    }

    /// The first of a field's whole numbers, at most so many.
    pub(super) fn numbers(&self, entry: &Entry, most: usize) -> Option<Vec<usize>> {
        if !matches!(entry.kind, BYTE | SHORT | LONG) {
            return None;
        }
        let size = octets_of(entry.kind);
        let values = self.values(entry, most.saturating_mul(size))?;
        values
            .chunks_exact(size)
            .map(|value| match *value {
                [a] => Some(usize::from(a)),
                [a, b] => Some(usize::from(self.order.short([a, b]))),
                [a, b, c, d] => usize::try_from(self.order.long([a, b, c, d])).ok(),
                _ => None,
            })
            .collect()
    }

    pub(super) fn number(&self, directory: &Directory, tag: u16) -> Option<usize> {
        self.numbers(directory.get(&tag)?, 1)?.first().copied()
    }

    /// The directories of pages in their order, and the places of their fields.
    pub(super) fn pages(&self, budget: &mut Budget) -> Option<(Vec<usize>, Vec<usize>)> {
        let mut at = self.long(4)?;
        let mut seen = BTreeSet::new();
        let mut pages: Vec<(usize, bool)> = Vec::new();
        let mut marks = Vec::new();
        let mut of_camera = None;
        // A chain that turns back on itself or leaves the file ends there.
        while at != 0 && seen.insert(at) {
            if seen.len() > MAX_DIRECTORIES {
                return None;
            }
            let Some(entries) = self.short(at) else { break };
            let end = at + 2 + 12 * usize::from(entries);
            if end > self.octets.len() {
                break;
            }
            budget.spend(end - at)?;
            let directory = self.directory(at)?;
            let width = self.number(&directory, IMAGE_WIDTH).filter(|n| *n > 0);
            let length = self.number(&directory, IMAGE_LENGTH).filter(|n| *n > 0);
            let has_data = directory.contains_key(&STRIP_OFFSETS) || directory.contains_key(&TILE_OFFSETS);
            // Without them it is the JPEG thumbnail of EXIF, or no picture at all.
            if let (Some(width), Some(length), true) = (width, length, has_data) {
                let has_exif = directory.contains_key(&EXIF_IFD);
                if pages.is_empty() && has_exif {
                    of_camera = Some((width, length));
                }
                // With EXIF the second directory is the thumbnail, and not marked as one.
                let is_thumbnail = pages.len() == 1
                    && !has_exif
                    && width.max(length) <= MAX_THUMBNAIL
                    && of_camera.is_some_and(|(full_width, full_length)| 2 * width <= full_width && 2 * length <= full_length);
                let is_reduced = self.number(&directory, NEW_SUBFILE_TYPE).is_some_and(|flags| flags & 1 == 1)
                    || self.number(&directory, SUBFILE_TYPE) == Some(2);
                pages.push((at, is_reduced || is_thumbnail));
                marks.push(at);
                marks.extend(directory.values().filter(|entry| entry.length > 4).map(|entry| entry.at));
                for tag in [SUB_IFDS, EXIF_IFD, GPS_IFD] {
                    let places = directory.get(&tag).and_then(|entry| self.numbers(&Entry { kind: LONG, ..*entry }, 64));
                    marks.extend(places.unwrap_or_default());
                }
            }
            at = self.long(end).unwrap_or(0);
        }
        // A smaller version may show what was cut away from the picture; a file of nothing else is shown as it is.
        if pages.iter().any(|(_, is_smaller)| !is_smaller) {
            pages.retain(|(_, is_smaller)| !is_smaller);
        }
        marks.sort_unstable();
        (!pages.is_empty()).then(|| (pages.iter().map(|(at, _)| *at).collect(), marks))
    }

    /// Where data ends that says its own length; what is cut off ends with the file. Compressed data that runs into a
    /// directory or a field's values says a wrong length, and ends before them.
    pub(super) fn end(&self, from: usize, length: usize, is_compressed: bool) -> Option<usize> {
        let mut end = from.checked_add(length)?.min(self.octets.len());
        if is_compressed && let Some(mark) = self.marks.get(self.marks.partition_point(|mark| *mark <= from)) {
            end = end.min(*mark);
        }
        (from >= HEADER && from < end).then_some(end)
    }
}

/// Size of one value; none of an unknown type.
pub(super) fn octets_of(kind: u16) -> usize {
    match kind {
        BYTE | ASCII | SBYTE | UNDEFINED => 1,
        SHORT | SSHORT => 2,
        LONG | SLONG | FLOAT | IFD => 4,
        RATIONAL | SRATIONAL | DOUBLE => 8,
        _ => 0,
    }
}

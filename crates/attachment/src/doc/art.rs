//! Drawings and pictures ([MS-ODRAW], [MS-DOC] 2.9.192): names of files and shapes, descriptions that hold an address or a
//! path, links out of the web, and metadata of pictures.

use std::collections::BTreeSet;
use std::mem::take;

use crate::doc::sprm::{self, Found};
use crate::doc::{Budget, Kept, blips};
use crate::octets::{clear, u8_at, u16_at, u32_at};
use crate::picture::{blank, metafile};

/// How deep records may be nested.
const MAX_DEPTH: usize = 16;
/// What a container's version is (MS-ODRAW 2.2.1).
const CONTAINER: usize = 0xf;
/// A picture of the store (OfficeArtFBSE, 2.2.32), and pictures (2.2.24 to 2.2.31).
const FBSE: usize = 0xf007;
const BLIPS: [usize; 8] = [0xf01a, 0xf01b, 0xf01c, 0xf01d, 0xf01e, 0xf01f, 0xf029, 0xf02a];
/// Tables of properties (2.2.9 to 2.2.11).
const TABLES: [usize; 3] = [0xf00b, 0xf121, 0xf122];
/// Properties that are cleared: name of a picture's file (pibName) and of a shape (wzName), tooltip, script, and the shape
/// over again as a zip (metroBlob).
const CLEARED: [usize; 5] = [0x0105, 0x0380, 0x038d, 0x038e, 0x03a9];
/// Description of a shape (wzDescription).
const DESCRIPTION: usize = 0x0381;
/// Link of a shape (pihlShape).
const LINK: usize = 0x0382;
/// Properties that are arrays, which some programs write without counting their six octets of head.
const ARRAYS: [usize; 9] = [325, 326, 337, 338, 341, 342, 343, 407, 899];

/// PICF: its length, and kinds of picture (mfpf.mm).
const PICF: usize = 68;
const MM_SHAPE: usize = 0x64;
const MM_SHAPEFILE: usize = 0x66;
/// Class of a hyperlink (MS-OSHARED 2.3.7.1).
const HYPERLINK: [u8; 16] = [0xd0, 0xc9, 0xea, 0x79, 0xf9, 0xba, 0xce, 0x11, 0x8c, 0x82, 0x00, 0xaa, 0x00, 0x4b, 0xa9, 0x0b];
/// How data of a form field begin (FFData, MS-DOC 2.9.78).
const FORM_FIELD: [u8; 4] = [0xff; 4];

/// A walk through drawings.
pub(super) struct Art<'a> {
    budget: &'a mut Budget,
    /// Where the store says that pictures are, in the main stream.
    delayed: BTreeSet<usize>,
    /// What deflated metafiles may still have.
    inflation: usize,
}

impl<'a> Art<'a> {
    pub(super) fn new(budget: &'a mut Budget) -> Self {
        Self { budget, delayed: BTreeSet::new(), inflation: blips::MAX_INFLATED }
    }

    /// OfficeArtContent: what drawings share, then each drawing after an octet.
    pub(super) fn content(&mut self, octets: &mut [u8]) -> Option<()> {
        let mut at = 0;
        while let Some(length) = u32_at(octets, at + 4) {
            let end = (at + 8).saturating_add(length).min(octets.len());
            self.records(octets.get_mut(at..end)?, 0)?;
            at = end + 1;
        }
        Some(())
    }

    /// Pictures in the main stream.
    pub(super) fn delayed(&mut self, word: &mut [u8], kept: &mut Kept) -> Option<()> {
        for at in take(&mut self.delayed) {
            let is_picture = u16_at(word, at + 2).is_some_and(|kind| BLIPS.contains(&kind));
            let Some(length) = u32_at(word, at + 4).filter(|_| is_picture) else { continue };
            let end = (at + 8).saturating_add(length).min(word.len());
            kept.mark(at, end - at);
            self.records(word.get_mut(at..end)?, 0)?;
        }
        Some(())
    }

    /// The data stream: more formatting, pictures in the text and data of fields. What nothing refers to is not marked.
    pub(super) fn data(&mut self, data: &mut [u8], found: &mut Found, kept: &mut Kept) -> Option<()> {
        for at in take(&mut found.formatting) {
            let Some(length) = u16_at(data, at) else { continue };
            self.budget.spend(length)?;
            kept.mark(at, 2 + length);
            let end = (at + 2 + length).min(data.len());
            sprm::scrub(data.get_mut(at + 2..end)?, found);
        }
        for at in take(&mut found.pictures) {
            let Some(length) = u32_at(data, at).filter(|length| *length >= PICF) else { continue };
            if u16_at(data, at + 4) != Some(PICF) || at + PICF > data.len() {
                continue;
            }
            let end = (at + length).min(data.len());
            kept.mark(at, end - at);
            self.picture(data.get_mut(at..end)?)?;
        }
        Some(())
    }

    /// PICFAndOfficeArtData or NilPICFAndBinData.
    fn picture(&mut self, octets: &mut [u8]) -> Option<()> {
        self.budget.spend(octets.len())?;
        let kind = u16_at(octets, 6)?;
        let body = octets.get_mut(PICF..)?;
        match kind {
            MM_SHAPE => self.records(body, 0),
            MM_SHAPEFILE => {
                let name = 1 + u8_at(body, 0).unwrap_or(0).min(body.len().saturating_sub(1));
                body.get_mut(1..name).unwrap_or_default().fill(b' ');
                self.records(body.get_mut(name..).unwrap_or_default(), 0)
            }
            // Data of a field: HFD is an octet and a hyperlink; what is not known is of some program.
            0 => {
                if body.get(1..17) == Some(HYPERLINK.as_slice()) {
                    hyperlink(body.get_mut(1..)?);
                } else if !body.starts_with(&FORM_FIELD) {
                    body.fill(0);
                }
                Some(())
            }
            // Bitmaps and metafiles as Word 6 kept them.
            _ => {
                if !blank::image(body)
                    && let Some(clean) = metafile::clean_wmf(body)
                {
                    blank::refill(body, &clean);
                }
                Some(())
            }
        }
    }

    fn records(&mut self, octets: &mut [u8], depth: usize) -> Option<()> {
        self.budget.spend(octets.len())?;
        let mut at = 0;
        while let (Some(head), Some(kind), Some(length)) = (u16_at(octets, at), u16_at(octets, at + 2), u32_at(octets, at + 4)) {
            let end = (at + 8).saturating_add(length).min(octets.len());
            let body = octets.get_mut(at + 8..end)?;
            let (version, instance) = (head & 0xf, head >> 4);
            if kind == FBSE {
                self.store_entry(body, depth)?;
            } else if BLIPS.contains(&kind) {
                blips::blip(kind, instance, body, &mut self.inflation);
            } else if TABLES.contains(&kind) {
                let _ = properties(body, instance);
            } else if version == CONTAINER && depth < MAX_DEPTH {
                self.records(body, depth + 1)?;
            }
            at = end;
        }
        Some(())
    }

    /// OfficeArtFBSE: where its picture is, the name of its file, and perhaps the picture.
    fn store_entry(&mut self, body: &mut [u8], depth: usize) -> Option<()> {
        const HEAD: usize = 36;
        let (Some(delay), Some(name)) = (u32_at(body, 28), u8_at(body, 33)) else { return Some(()) };
        self.delayed.insert(delay);
        clear(body, HEAD, HEAD + name);
        match body.get_mut(HEAD + name..) {
            Some(rest) if depth < MAX_DEPTH => self.records(rest, depth + 1),
            _ => Some(()),
        }
    }
}

/// A table of properties (MS-ODRAW 2.2.9): entries of six octets, then what did not fit into them.
fn properties(octets: &mut [u8], count: usize) -> Option<()> {
    const COMPLEX: usize = 0x8000;
    let mut at = 6 * count;
    for index in 0..count {
        let head = u16_at(octets, 6 * index)?;
        let mut length = u32_at(octets, 6 * index + 2)?;
        if head & COMPLEX == 0 {
            continue;
        }
        let property = head & 0x3fff;
        if ARRAYS.contains(&property) {
            let (elements, size) = (u16_at(octets, at).unwrap_or(0), u16_at(octets, at + 4).unwrap_or(0));
            let size = if size == 0xfff0 { 4 } else { size };
            length += if length > 0 && elements * size == length { 6 } else { 0 };
        }
        let end = at.saturating_add(length).min(octets.len());
        let body = octets.get_mut(at..end)?;
        if CLEARED.contains(&property) || (property == DESCRIPTION && names_a_place(body)) {
            body.fill(0);
        } else if property == LINK {
            hyperlink(body);
        }
        at = end;
    }
    Some(())
}

/// Whether a text is an address or a path, as programs describe pictures by where they came from.
fn names_a_place(text: &[u8]) -> bool {
    text.chunks_exact(2).any(|unit| unit[1] == 0 && matches!(unit[0], b'\\' | b'/' | b'@' | b':'))
}

/// A hyperlink after its class (MS-OSHARED 2.3.7.1): one that is not into the web becomes a link to nowhere, which has a
/// version and no flag.
fn hyperlink(octets: &mut [u8]) {
    const HEAD: usize = 20;
    let lower = octets.to_ascii_lowercase();
    let is_web = lower.windows(8).any(|text| text == b"h\0t\0t\0p\0");
    // Before the sign stands a character, so that it is no length of 64.
    let is_address = lower.windows(4).any(|text| text[0] > b' ' && text[1..] == *b"\0@\0");
    if !octets.starts_with(&HYPERLINK) {
        octets.fill(0);
    } else if !is_web || is_address {
        clear(octets, HEAD, octets.len());
    }
}

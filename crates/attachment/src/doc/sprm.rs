//! Formatting ([MS-DOC] 2.2.5, 2.4.6, 2.6): dates and session numbers in it become zeros, and what it refers to is found, as
//! is what it says is deleted.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::doc::{Budget, Kept};
use crate::octets::{clear, u8_at, u16_at, u32_at};

/// A page of formatting.
const PAGE: usize = 512;

/// Whether a run is tracked as deleted (sprmCFRMarkDel).
const DELETED: usize = 0x0800;

/// What formatting says about other places.
#[derive(Default)]
pub(super) struct Found {
    /// Runs of the main stream that are tracked as deleted.
    pub(super) deleted: Vec<Range<usize>>,
    /// Places in the data stream: pictures and data of fields (sprmCPicLocation). Embedded objects have a number there that is no place.
    pub(super) pictures: BTreeSet<usize>,
    /// More formatting (sprmPHugePapx, sprmPTableProps).
    pub(super) formatting: BTreeSet<usize>,
}

/// Walks a list of properties (grpprl) and clears dates of revisions and numbers of editing sessions.
pub(super) fn scrub(grpprl: &mut [u8], found: &mut Found) {
    let mut at = 0;
    while let Some(opcode) = u16_at(grpprl, at) {
        at += 2;
        let Some(length) = grpprl.get(at..).and_then(|rest| operand(rest, opcode)) else { return };
        let Some(body) = grpprl.get_mut(at..at + length) else { return };
        match opcode {
            // Dates of insertion and deletion; sessions of text, formatting, deletion, paragraph, section and table.
            0x6805 | 0x6864 | 0x6816 | 0x6815 | 0x6817 | 0x6467 | 0x703a | 0x7479 => body.fill(0),
            // Changes of character, paragraph, section and table formatting, and of a displayed field: flag, author, date.
            0xca57 | 0xca89 | 0xc63f | 0xc66f | 0xd227 | 0xd243 | 0xd667 | 0xca62 => clear(body, 4, 8),
            // Change of a paragraph's number.
            0xc645 => clear(body, 5, 9),
            0x6a03 | 0x680e => found.pictures.extend(u32_at(body, 0)),
            0x6645 | 0x6646 | 0x646b => found.formatting.extend(u32_at(body, 0)),
            _ => {}
        }
        at += length;
    }
}

/// Whether a list of properties says that its text is tracked as deleted, if it says anything: the last word counts.
pub(super) fn deletion(grpprl: &[u8]) -> Option<bool> {
    let (mut at, mut is_deleted) = (0, None);
    while let Some(opcode) = u16_at(grpprl, at) {
        at += 2;
        let Some(length) = grpprl.get(at..).and_then(|rest| operand(rest, opcode)) else { break };
        if opcode == DELETED {
            is_deleted = u8_at(grpprl, at).map(|value| value & 1 == 1);
        }
        at += length;
    }
    is_deleted
}

/// How long the operand of an opcode is (2.2.5.1, and the two that count in their own way).
fn operand(rest: &[u8], opcode: usize) -> Option<usize> {
    Some(match opcode >> 13 {
        0 | 1 => 1,
        2 | 4 | 5 => 2,
        3 => 4,
        7 => 3,
        // sprmTDefTable and its predecessor.
        _ if opcode == 0xd606 || opcode == 0xd608 => u16_at(rest, 0)? + 1,
        // sprmPChgTabs with more tab stops than an octet can count.
        _ if opcode == 0xc615 && u8_at(rest, 0)? == 255 => {
            let deleted = 4 * u8_at(rest, 1)?;
            3 + deleted + 3 * u8_at(rest, 2 + deleted)?
        }
        _ => 1 + u8_at(rest, 0)?,
    })
}

/// Pages of formatting: runs and properties are kept, the hole between them is not (ChpxFkp 2.9.33, PapxFkp 2.9.175).
pub(super) fn pages(
    word: &mut [u8],
    plc: &[u8],
    of_paragraphs: bool,
    kept: &mut Kept,
    found: &mut Found,
    budget: &mut Budget,
) -> Option<()> {
    let count = plc.len().checked_sub(4)? / 8;
    let mut seen = BTreeSet::new();
    for index in 0..count {
        let base = PAGE * (u32_at(plc, 4 * (count + 1) + 4 * index)? & 0x3f_ffff);
        if !seen.insert(base) {
            continue;
        }
        let page = word.get(base..base + PAGE)?.to_vec();
        let runs = u8_at(&page, PAGE - 1)?;
        let entry = if of_paragraphs { 13 } else { 1 };
        let entries = 4 * (runs + 1);
        let head = entries + entry * runs;
        if head >= PAGE {
            return None;
        }
        kept.mark(base, head);
        kept.mark(base + PAGE - 1, 1);
        for run in 0..runs {
            let at = 2 * u8_at(&page, entries + entry * run)?;
            if at == 0 {
                continue;
            }
            let (start, length) = match (of_paragraphs, u8_at(&page, at)?) {
                (false, size) => (at + 1, size),
                (true, 0) => (at + 2, 2 * u8_at(&page, at + 1)?),
                (true, size) => (at + 1, 2 * size - 1),
            };
            let end = (start + length).min(PAGE - 1);
            kept.mark(base + at, end - at);
            budget.spend(end - at)?;
            // A paragraph's properties begin with the number of its style.
            let properties = if of_paragraphs { start + 2 } else { start };
            if let Some(grpprl) = word.get_mut(base + properties..base + end) {
                if !of_paragraphs && deletion(grpprl) == Some(true) {
                    found.deleted.push(u32_at(&page, 4 * run)?..u32_at(&page, 4 * run + 4)?);
                }
                scrub(grpprl, found);
            }
        }
    }
    Some(())
}

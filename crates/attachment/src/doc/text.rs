//! Text ([MS-DOC] 2.4.1): the pieces it is made of, fields that name a person, a file or an address, and what is tracked as
//! deleted.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::doc::fib::{Fib, PLCF_FLD};
use crate::doc::sprm;
use crate::fields::{self, Kind};
use crate::octets::{put, u8_at, u16_at, u32_at};

/// Characters that begin a field, divide its instruction from its result, and end it (2.8.25).
const FIELD_BEGIN: usize = 0x13;
const FIELD_SEPARATOR: usize = 0x14;
const FIELD_END: usize = 0x15;
/// The first character that is no control character: those hold paragraphs, cells and nested fields together.
const FIRST_VISIBLE: usize = 0x20;
/// How deep fields may be nested; of a deeper one the outermost is forgotten.
const MAX_DEPTH: usize = 64;
/// Stories before the one that each structure of fields belongs to, in the order of `PLCF_FLD`.
const STORIES_BEFORE: [usize; 7] = [0, 2, 1, 4, 5, 6, 7];

/// What a piece says about deletion in two octets (Prm0, 2.9.215): the number of sprmCFRMarkDel there.
const PRM_DELETED: usize = 0x41;

/// Text in one place of the main stream.
pub(super) struct Piece {
    pub(super) at: usize,
    characters: usize,
    is_wide: bool,
    /// Its own formatting (Prm, 2.9.214).
    prm: usize,
}

impl Piece {
    /// How many octets it has.
    pub(super) fn octets(&self) -> usize {
        if self.is_wide { 2 * self.characters } else { self.characters }
    }

    /// Whether it is tracked as deleted by its own formatting, which counts more than that of its runs.
    fn deletion(&self, prcs: &[Option<bool>]) -> Option<bool> {
        if self.prm & 1 == 1 {
            return prcs.get(self.prm >> 1).copied().flatten();
        }
        ((self.prm >> 1) & 0x7f == PRM_DELETED).then_some((self.prm >> 8) & 1 == 1)
    }
}

/// A place of a character, and in the lowest bit whether it has two octets.
#[derive(Clone, Copy)]
struct Unit(u32);

impl Unit {
    fn new(at: usize, is_wide: bool) -> Option<Self> {
        u32::try_from(2 * at + usize::from(is_wide)).ok().map(Self)
    }

    fn place(self) -> (usize, bool) {
        (usize::try_from(self.0 / 2).unwrap_or(usize::MAX), self.0 % 2 == 1)
    }

    fn read(self, word: &[u8]) -> usize {
        let (at, is_wide) = self.place();
        if is_wide { u16_at(word, at).unwrap_or(0) } else { u8_at(word, at).unwrap_or(0) }
    }

    fn blank(self, word: &mut [u8]) {
        if self.read(word) >= FIRST_VISIBLE {
            let (at, is_wide) = self.place();
            put(word, at, if is_wide { b" \0".as_slice() } else { b" ".as_slice() });
        }
    }
}

/// All text of a document, in the order of its stories.
pub(super) struct Text {
    pub(super) pieces: Vec<Piece>,
    /// Formatting of pieces, where it is in the piece table.
    pub(super) prcs: Vec<Range<usize>>,
    units: Vec<Unit>,
}

impl Text {
    /// Reads a piece table (Clx, 2.9.38) for a stream of a length. Pieces that together are longer than the stream
    /// are nobody's text.
    pub(super) fn parse(clx: &[u8], length: usize) -> Option<Self> {
        let (mut at, mut prcs) = (0, Vec::new());
        while u8_at(clx, at)? == 1 {
            let end = at + 3 + u16_at(clx, at + 1)?;
            prcs.push(at + 3..end.min(clx.len()));
            at = end;
        }
        if u8_at(clx, at)? != 2 {
            return None;
        }
        let plc = clx.get(at + 5..at + 5 + u32_at(clx, at + 1)?)?;
        let count = plc.len().checked_sub(4)? / 12;
        let (mut pieces, mut left) = (Vec::with_capacity(count), length);
        for index in 0..count {
            let characters = u32_at(plc, 4 * index + 4)?.checked_sub(u32_at(plc, 4 * index)?)?;
            // FcCompressed (2.9.73): 8-bit text at half the offset where bit 30 is set.
            let fc = u32_at(plc, 4 * (count + 1) + 8 * index + 2)?;
            let (is_wide, fc) = (fc & 0x4000_0000 == 0, fc & 0x3fff_ffff);
            let prm = u16_at(plc, 4 * (count + 1) + 8 * index + 6)?;
            let piece = Piece { at: if is_wide { fc } else { fc / 2 }, characters, is_wide, prm };
            left = left.checked_sub(piece.octets())?;
            if piece.at + piece.octets() > length {
                return None;
            }
            pieces.push(piece);
        }
        let mut units = Vec::with_capacity(length - left);
        for piece in &pieces {
            let width = if piece.is_wide { 2 } else { 1 };
            for index in 0..piece.characters {
                units.push(Unit::new(piece.at + width * index, piece.is_wide)?);
            }
        }
        Some(Self { pieces, prcs, units })
    }

    /// Spaces for instructions, and for results where they name a person or a path.
    pub(super) fn blank_fields(&self, word: &mut [u8], kinds: &BTreeMap<usize, usize>) {
        let mut open: Vec<(usize, Option<usize>)> = Vec::new();
        for (index, unit) in self.units.iter().enumerate() {
            match unit.read(word) {
                FIELD_BEGIN => {
                    if open.len() == MAX_DEPTH {
                        open.remove(0);
                    }
                    open.push((index, None));
                }
                FIELD_SEPARATOR => {
                    if let Some((_, separator)) = open.last_mut() {
                        *separator = separator.or(Some(index));
                    }
                }
                FIELD_END => {
                    if let Some((begin, separator)) = open.pop() {
                        self.blank_field(word, begin, separator.unwrap_or(index), index, kinds.get(&begin).copied());
                    }
                }
                _ => {}
            }
        }
    }

    /// Spaces for what is tracked as deleted, by runs of the main stream or by the formatting of pieces in the piece table.
    pub(super) fn blank_deleted(&self, word: &mut [u8], clx: &[u8], runs: Vec<Range<usize>>) {
        let prcs: Vec<Option<bool>> = self.prcs.iter().map(|prc| clx.get(prc.clone()).and_then(sprm::deletion)).collect();
        let (runs, mut first) = (merged(runs), 0);
        for piece in &self.pieces {
            let units = self.units.get(first..first + piece.characters).unwrap_or_default();
            first += piece.characters;
            match piece.deletion(&prcs) {
                Some(true) => units.iter().for_each(|unit| unit.blank(word)),
                Some(false) => {}
                None => {
                    let mut next = runs.partition_point(|run| run.end <= piece.at);
                    for unit in units {
                        let (at, _) = unit.place();
                        while runs.get(next).is_some_and(|run| run.end <= at) {
                            next += 1;
                        }
                        if runs.get(next).is_some_and(|run| run.start <= at) {
                            unit.blank(word);
                        }
                    }
                }
            }
        }
    }

    fn blank_field(&self, word: &mut [u8], begin: usize, separator: usize, end: usize, kind: Option<usize>) {
        let instruction = self.units.get(begin + 1..separator).unwrap_or_default();
        let characters = instruction.iter().map(|unit| unit.read(word)).filter(|character| *character >= FIRST_VISIBLE);
        let characters = characters.map(|character| u32::try_from(character).ok().and_then(char::from_u32).unwrap_or(' '));
        let what = judge(&characters.collect::<String>(), kind);
        if what != Blank::Nothing {
            instruction.iter().for_each(|unit| unit.blank(word));
        }
        if what == Blank::Both {
            self.units.get(separator + 1..end).unwrap_or_default().iter().for_each(|unit| unit.blank(word));
        }
    }
}

/// Kinds of fields (flt) by the position of their first character: programs in other languages may have written
/// instructions in those.
pub(super) fn field_kinds(table: &[u8], fib: &Fib) -> BTreeMap<usize, usize> {
    let mut kinds = BTreeMap::new();
    for (index, before) in PLCF_FLD.into_iter().zip(STORIES_BEFORE) {
        let Some(plc) = table.get(fib.range(index)) else { continue };
        let base: usize = fib.ccp.iter().take(before).sum();
        let count = plc.len().saturating_sub(4) / 6;
        for field in 0..count {
            let fld = 4 * (count + 1) + 2 * field;
            if let (Some(position), Some(character), Some(kind)) = (u32_at(plc, 4 * field), u8_at(plc, fld), u8_at(plc, fld + 1))
                && character & 0x1f == FIELD_BEGIN
            {
                kinds.insert(base + position, kind);
            }
        }
    }
    kinds
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Blank {
    Nothing,
    Instruction,
    Both,
}

fn judge(instruction: &str, number: Option<usize>) -> Blank {
    if instruction.trim().is_empty() {
        return Blank::Nothing;
    }
    let (kind, arguments) = fields::read(instruction);
    // A keyword of another language may be the one of a harmless field in English.
    match kind.filter(|kind| *kind != Kind::Computed).or_else(|| number.and_then(fields::of_number)) {
        Some(Kind::Link) if !is_web(arguments) => Blank::Instruction,
        Some(Kind::Property) if !fields::names_a_person(arguments) => Blank::Nothing,
        Some(Kind::Identity | Kind::Property | Kind::Hidden) => Blank::Both,
        Some(Kind::Source) => Blank::Instruction,
        Some(Kind::Link | Kind::Computed) | None => Blank::Nothing,
    }
}

/// Places in order, none within another.
fn merged(mut runs: Vec<Range<usize>>) -> Vec<Range<usize>> {
    runs.retain(|run| run.start < run.end);
    runs.sort_unstable_by_key(|run| run.start);
    let mut merged: Vec<Range<usize>> = Vec::new();
    for run in runs {
        match merged.last_mut() {
            Some(last) if run.start <= last.end => last.end = last.end.max(run.end),
            _ => merged.push(run),
        }
    }
    merged
}

/// A link to the web or to a place in the document itself, not to an address or a file.
fn is_web(target: &str) -> bool {
    let target = target.trim().to_ascii_lowercase();
    let is_web = target.contains("http://") || target.contains("https://") || target.starts_with("\\l");
    is_web && !["@", "mailto:", "file:"].iter().any(|other| target.contains(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_judged_by_their_instruction() {
        assert_eq!(judge(" AUTHOR  \\* MERGEFORMAT ", None), Blank::Both);
        assert_eq!(judge(" AUTEUR ", Some(17)), Blank::Both);
        assert_eq!(judge(" DOCPROPERTY Company ", None), Blank::Both);
        assert_eq!(judge(" DOCPROPERTY Version ", None), Blank::Nothing);
        assert_eq!(judge(" INCLUDEPICTURE \"c:\\\\ana\\\\a.jpg\" ", None), Blank::Instruction);
        assert_eq!(judge(" HYPERLINK \"mailto:ana@shop.example\" ", Some(88)), Blank::Instruction);
        assert_eq!(judge("HYPERLINK \"file:///c:/ana.doc\"", None), Blank::Instruction);
        assert_eq!(judge(" HYPERLINK  \\o \"tip\" \"https://shop.example/a\" ", None), Blank::Nothing);
        assert_eq!(judge(" HYPERLINK \\l \"_Toc1\" ", None), Blank::Nothing);
        assert_eq!(judge(" XE \"Ana\" ", None), Blank::Both);
        assert_eq!(judge(" SET who Ana ", Some(6)), Blank::Both);
        assert_eq!(judge(" PAGE ", Some(33)), Blank::Nothing);
        assert_eq!(judge("   ", Some(17)), Blank::Nothing);
    }

    #[test]
    fn places_are_merged() {
        let runs = [4..6, 0..2, 1..3, 6..7].to_vec();
        assert_eq!(merged(runs), [0..3, 4..7]);
        assert!(merged(Vec::new()).is_empty());
    }
}

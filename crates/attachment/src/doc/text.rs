//! Text ([MS-DOC] 2.4.1): the pieces it is made of, and fields that name a person, a file or an address.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::doc::fib::{Fib, PLCF_FLD};
use crate::doc::{put, u8_at, u16_at, u32_at};

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

/// Fields that show who or where the writer is, or a path.
const IDENTITIES: [&str; 7] = ["AUTHOR", "LASTSAVEDBY", "USERNAME", "USERINITIALS", "USERADDRESS", "FILENAME", "TEMPLATE"];
/// Fields that show any property of the document, and properties that are of a person.
const PROPERTIES: [&str; 2] = ["INFO", "DOCPROPERTY"];
const OF_A_PERSON: [&str; 7] = ["AUTHOR", "LASTSAVEDBY", "MANAGER", "COMPANY", "FILENAME", "TEMPLATE", "HYPERLINKBASE"];
/// Fields whose instruction is a path, a command or data of a program, and whose result is text or a picture of the document.
const SOURCES: [&str; 12] =
    ["INCLUDEPICTURE", "INCLUDETEXT", "INCLUDE", "IMPORT", "LINK", "DDE", "DDEAUTO", "RD", "DATABASE", "DATA", "ADDIN", "PRIVATE"];
const HYPERLINK: &str = "HYPERLINK";

/// Text in one place of the main stream.
pub(super) struct Piece {
    pub(super) at: usize,
    characters: usize,
    is_wide: bool,
}

impl Piece {
    /// How many octets it has.
    pub(super) fn octets(&self) -> usize {
        if self.is_wide { 2 * self.characters } else { self.characters }
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
            let piece = Piece { at: if is_wide { fc } else { fc / 2 }, characters, is_wide };
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

fn judge(instruction: &str, kind: Option<usize>) -> Blank {
    let text = instruction.trim();
    if text.is_empty() {
        return Blank::Nothing;
    }
    let (first, rest) = text.split_at(text.find(|c: char| !c.is_alphanumeric()).unwrap_or(text.len()));
    let first = first.to_ascii_uppercase();
    let is_known = |word: &str| [HYPERLINK].iter().chain(&IDENTITIES).chain(&PROPERTIES).chain(&SOURCES).any(|known| *known == word);
    let keyword = if is_known(&first) { first.as_str() } else { kind.and_then(keyword_of).unwrap_or_default() };
    let is_unwanted = if keyword == HYPERLINK {
        !is_web(rest)
    } else if PROPERTIES.contains(&keyword) {
        let text = text.to_ascii_uppercase();
        OF_A_PERSON.iter().any(|property| text.contains(property))
    } else {
        !keyword.is_empty()
    };
    if !is_unwanted {
        Blank::Nothing
    } else if IDENTITIES.contains(&keyword) || PROPERTIES.contains(&keyword) {
        Blank::Both
    } else {
        Blank::Instruction
    }
}

/// A link to the web or to a place in the document itself, not to an address or a file.
fn is_web(target: &str) -> bool {
    let target = target.trim().to_ascii_lowercase();
    let is_web = target.contains("http://") || target.contains("https://") || target.starts_with("\\l");
    is_web && !["@", "mailto:", "file:"].iter().any(|other| target.contains(other))
}

fn keyword_of(kind: usize) -> Option<&'static str> {
    Some(match kind {
        11 => "RD",
        14 => "INFO",
        17 => "AUTHOR",
        20 => "LASTSAVEDBY",
        29 => "FILENAME",
        30 => "TEMPLATE",
        36 => "INCLUDE",
        40 => "DATA",
        45 => "DDE",
        46 => "DDEAUTO",
        55 => "IMPORT",
        56 => "LINK",
        60 => "USERNAME",
        61 => "USERINITIALS",
        62 => "USERADDRESS",
        67 => "INCLUDEPICTURE",
        68 => "INCLUDETEXT",
        77 => "PRIVATE",
        78 => "DATABASE",
        81 => "ADDIN",
        85 => "DOCPROPERTY",
        88 => HYPERLINK,
        _ => return None,
    })
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
        assert_eq!(judge(" PAGE ", Some(33)), Blank::Nothing);
        assert_eq!(judge("   ", Some(17)), Blank::Nothing);
    }
}

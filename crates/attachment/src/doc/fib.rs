//! The file information block ([MS-DOC] 2.5): where structures are in the table stream, and which of them are kept.

use std::ops::Range;

use crate::kind::Fault;
use crate::octets::{clear, put, u16_at, u32_at};

/// wIdent of Word 97 and later (2.5.2).
const WORD_97: usize = 0xa5ec;
/// wIdent of Word 6 and 95, which have one stream and other offsets.
const WORD_6: usize = 0xa5dc;
const FLAGS: usize = 10;
const F_ENCRYPTED: usize = 1 << 8;
const F_WHICH_TBL_STM: usize = 1 << 9;
const F_WRITE_RESERVATION: usize = 1 << 11;
/// Where the counts of characters begin (2.5.4).
const CCP_TEXT: usize = 76;
const CB_RG_FC_LCB: usize = 152;
/// Where the pairs of offset and length begin (2.5.5).
const RG_FC_LCB: usize = 154;
/// Pairs of Word 97, the fewest there are.
const PAIRS_97: usize = 93;
/// Most pairs; Word 2007 writes 183.
const MAX_PAIRS: usize = 512;

/// Style sheet.
pub(super) const STSHF: usize = 1;
/// Where comments are, with their authors' initials.
pub(super) const PLCF_AND_REF: usize = 4;
/// Sections.
pub(super) const PLCF_SED: usize = 6;
/// Pages of character formatting.
pub(super) const PLCF_BTE_CHPX: usize = 12;
/// Pages of paragraph formatting.
pub(super) const PLCF_BTE_PAPX: usize = 13;
/// Fields of: main text, headers, footnotes, comments, endnotes, text boxes, text boxes of headers.
pub(super) const PLCF_FLD: [usize; 7] = [16, 17, 18, 19, 48, 57, 59];
/// Document properties.
pub(super) const DOP: usize = 31;
/// Strings associated with the document: title, author, template, mail merge, password.
pub(super) const STTBF_ASSOC: usize = 32;
/// Piece table.
pub(super) const CLX: usize = 33;
/// Authors of comments.
pub(super) const GRP_XST_ATN_OWNERS: usize = 36;
/// Drawings.
pub(super) const DGG_INFO: usize = 50;
/// Authors of revisions.
pub(super) const STTBF_RMARK: usize = 51;
/// Lists; their levels follow and are not counted.
pub(super) const PLF_LST: usize = 73;

/// What is kept (2.5.6 to 2.5.10): styles (1), footnotes (2, 3), comments (4, 5, 36, 37, 42, 43), sections (6), headers (11),
/// formatting (12, 13), fonts (15), fields (16 to 19, 48, 57, 59), bookmarks (21 to 23), properties (31, 32), pieces (33),
/// drawings (40, 41, 50), endnotes (46, 47), revisions (51), text boxes (56, 58, 75, 76), lists (73, 74, 91), tables (93).
const KEPT: [usize; 41] = [
    1, 2, 3, 4, 5, 6, 11, 12, 13, 15, 16, 17, 18, 19, 21, 22, 23, 31, 32, 33, 36, 37, 40, 41, 42, 43, 46, 47, 48, 50, 51, 56, 57, 58, 59,
    73, 74, 75, 76, 91, 93,
];
/// Not a pair, but when the document was saved.
const FILETIME: usize = 87;
/// Without these there is no document.
const NEEDED: [usize; 5] = [STSHF, PLCF_BTE_CHPX, PLCF_BTE_PAPX, DOP, CLX];
/// Kept, but written anew: their place is marked by who writes them.
const WRITTEN: [usize; 3] = [STTBF_ASSOC, GRP_XST_ATN_OWNERS, STTBF_RMARK];

/// Offset and length of a structure in the table stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) fc: usize,
    pub(super) lcb: usize,
}

/// The block, as far as it is needed.
pub(super) struct Fib {
    pairs: Vec<Pair>,
    /// Where it ends.
    pub(super) end: usize,
    /// How far levels of lists may go: to the next structure.
    pub(super) levels_end: usize,
    /// Characters of the main text, footnotes, headers, macros, comments, endnotes, text boxes, text boxes of headers.
    pub(super) ccp: [usize; 8],
    /// The name of the table stream.
    pub(super) table: &'static str,
}

impl Fib {
    /// Reads the block at the beginning of the main stream.
    pub(super) fn parse(word: &[u8]) -> Result<Self, Fault> {
        let mark = u16_at(word, 0).filter(|mark| [WORD_97, WORD_6].contains(mark)).ok_or(Fault::Unreadable)?;
        let flags = u16_at(word, FLAGS).ok_or(Fault::Unreadable)?;
        if flags & F_ENCRYPTED != 0 {
            return Err(Fault::Encrypted);
        }
        if mark != WORD_97 {
            return Err(Fault::Unreadable);
        }
        let table = if flags & F_WHICH_TBL_STM == 0 { "0Table" } else { "1Table" };
        Self::read(word, table).ok_or(Fault::Unreadable)
    }

    fn read(word: &[u8], table: &'static str) -> Option<Self> {
        let count = u16_at(word, CB_RG_FC_LCB).filter(|count| (PAIRS_97..=MAX_PAIRS).contains(count))?;
        if u16_at(word, 32)? != 14 || u16_at(word, 62)? != 22 {
            return None;
        }
        let mut pairs = Vec::with_capacity(count);
        for index in 0..count {
            let at = RG_FC_LCB + 8 * index;
            pairs.push(Pair { fc: u32_at(word, at)?, lcb: u32_at(word, at + 4)? });
        }
        let mut ccp = [0; 8];
        for (index, characters) in ccp.iter_mut().enumerate() {
            *characters = u32_at(word, CCP_TEXT + 4 * index)?;
        }
        let mut end = RG_FC_LCB + 8 * count;
        if let Some(words) = u16_at(word, end) {
            end += 2 + 2 * words;
        }
        (end <= word.len()).then_some(Self { pairs, end, levels_end: 0, ccp, table })
    }

    /// Forgets what is not in the list or not in the stream; `None` where the document needs it.
    pub(super) fn keep_only(&mut self, table_length: usize) -> Option<()> {
        let lists = self.pair(PLF_LST);
        let others = self.pairs.iter().enumerate().filter(|(index, pair)| *index != FILETIME && pair.lcb > 0);
        let starts = others.map(|(_, pair)| pair.fc).filter(|fc| *fc >= lists.fc.saturating_add(lists.lcb));
        self.levels_end = starts.min().unwrap_or(table_length).min(table_length);
        for (index, pair) in self.pairs.iter_mut().enumerate() {
            let is_inside = pair.lcb > 0 && pair.fc.checked_add(pair.lcb).is_some_and(|end| end <= table_length);
            if !is_inside || !KEPT.contains(&index) {
                *pair = Pair::default();
            }
        }
        NEEDED.iter().all(|index| self.pair(*index).lcb > 0).then_some(())
    }

    /// A structure; empty where there is none.
    pub(super) fn pair(&self, index: usize) -> Pair {
        self.pairs.get(index).copied().unwrap_or_default()
    }

    /// Where a structure is.
    pub(super) fn range(&self, index: usize) -> Range<usize> {
        let pair = self.pair(index);
        pair.fc..pair.fc + pair.lcb
    }

    /// Gives a structure another length; nothing is left of an empty one.
    pub(super) fn resize(&mut self, index: usize, lcb: usize) {
        if let Some(pair) = self.pairs.get_mut(index) {
            *pair = if lcb == 0 { Pair::default() } else { Pair { fc: pair.fc, lcb } };
        }
    }

    /// What is kept as it is.
    pub(super) fn unwritten(&self) -> impl Iterator<Item = Pair> {
        self.pairs.iter().enumerate().filter(|(index, _)| !WRITTEN.contains(index)).map(|(_, pair)| *pair)
    }

    /// Writes the block back without the second document of templates (pnNext), the hash of a password (lKey), numbers of
    /// the program's build and what is reserved.
    pub(super) fn write(&self, word: &mut [u8]) {
        clear(word, 8, 10);
        let flags = u16_at(word, FLAGS).unwrap_or(0) & !F_WRITE_RESERVATION;
        put(word, FLAGS, &low(flags)[..2]);
        clear(word, 14, 18);
        clear(word, 34, 60);
        clear(word, 68, CCP_TEXT);
        for (index, pair) in self.pairs.iter().enumerate() {
            let at = RG_FC_LCB + 8 * index;
            put(word, at, &low(pair.fc));
            put(word, at + 4, &low(pair.lcb));
        }
    }
}

/// The lowest four octets, little-endian.
fn low(number: usize) -> [u8; 4] {
    u32::try_from(number).unwrap_or(0).to_le_bytes()
}

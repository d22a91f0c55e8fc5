//! Structures of the table stream ([MS-DOC] 2.8, 2.9) that name persons or times and are needed all the same.

use crate::doc::fib::{DOP, Fib, GRP_XST_ATN_OWNERS, PLCF_AND_REF, PLCF_SED, PLF_LST, STSHF, STTBF_ASSOC, STTBF_RMARK};
use crate::doc::sprm::{self, Found};
use crate::doc::{Budget, Kept};
use crate::octets::{clear, put, u8_at, u16_at, u32_at};

/// Who every author is.
const AUTHOR: &[u8] = b"A\0u\0t\0h\0o\0r\0";
/// Who the first author of revisions always is.
const UNKNOWN: &[u8] = b"U\0n\0k\0n\0o\0w\0n\0";
/// The 18 strings of SttbfAssoc, all empty.
const NO_STRINGS: [u8; 42] = {
    let mut sttb = [0; 42];
    (sttb[0], sttb[1], sttb[2]) = (0xff, 0xff, 18);
    sttb
};
/// Of the document's properties (2.7): created, revised, printed, revisions and minutes of editing; the first session's
/// number of Word 2002; the document's number of Word 2010.
const TIMES: [(usize, usize); 3] = [(20, 38), (590, 594), (674, 678)];

/// Marks what is kept and takes persons, times and numbers of sessions out of it.
pub(super) fn scrub(table: &mut [u8], fib: &mut Fib, kept: &mut Kept, found: &mut Found) {
    fib.unwritten().for_each(|pair| kept.mark(pair.fc, pair.lcb));
    rewrite(table, fib, kept, STTBF_RMARK, revision_authors);
    rewrite(table, fib, kept, GRP_XST_ATN_OWNERS, |old| Some(comment_authors(old)));
    rewrite(table, fib, kept, STTBF_ASSOC, |old| (old.len() >= NO_STRINGS.len()).then(|| NO_STRINGS.to_vec()));
    if let Some(dop) = table.get_mut(fib.range(DOP)) {
        TIMES.iter().for_each(|(from, to)| clear(dop, *from, *to));
    }
    if let Some(plc) = table.get_mut(fib.range(PLCF_AND_REF)) {
        initials(plc);
    }
    if let Some(sheet) = table.get_mut(fib.range(STSHF)) {
        // A sheet that is cut off ends where it is cut off.
        let _ = styles(sheet);
    }
    levels(table, fib, kept, found);
}

/// Another structure in place of one, never longer; none where it cannot be read.
fn rewrite(table: &mut [u8], fib: &mut Fib, kept: &mut Kept, index: usize, new: impl FnOnce(&[u8]) -> Option<Vec<u8>>) {
    let pair = fib.pair(index);
    let new = table.get(fib.range(index)).and_then(new).filter(|new| new.len() <= pair.lcb).unwrap_or_default();
    put(table, pair.fc, &new);
    kept.mark(pair.fc, new.len());
    fib.resize(index, new.len());
}

/// SttbfRMark: every author but the unknown one is "Author", or as much of it as the name was long.
fn revision_authors(old: &[u8]) -> Option<Vec<u8>> {
    if u16_at(old, 0)? != 0xffff || u16_at(old, 4)? != 0 {
        return None;
    }
    let mut new = old.get(..6)?.to_vec();
    let mut at = 6;
    for _ in 0..u16_at(old, 2)? {
        let length = 2 * u16_at(old, at)?;
        let name = old.get(at + 2..at + 2 + length)?;
        name_into(&mut new, if name == UNKNOWN { UNKNOWN } else { anonymous(length) });
        at += 2 + length;
    }
    Some(new)
}

/// GrpXstAtnOwners: names one after another.
fn comment_authors(old: &[u8]) -> Vec<u8> {
    let (mut new, mut at) = (Vec::new(), 0);
    while let Some(length) = u16_at(old, at).map(|count| 2 * count).filter(|length| at + 2 + length <= old.len()) {
        name_into(&mut new, anonymous(length));
        at += 2 + length;
    }
    new
}

fn anonymous(length: usize) -> &'static [u8] {
    AUTHOR.get(..length).unwrap_or(AUTHOR)
}

/// Xst: a count of characters and the characters.
fn name_into(new: &mut Vec<u8>, name: &[u8]) {
    new.extend_from_slice(&u16::try_from(name.len() / 2).unwrap_or(0).to_le_bytes());
    new.extend_from_slice(name);
}

/// ATRDPre10: initials of comments' authors.
fn initials(plc: &mut [u8]) {
    let count = plc.len().saturating_sub(4) / 34;
    for index in 0..count {
        let at = 4 * (count + 1) + 30 * index;
        let is_named = u16_at(plc, at).is_some_and(|length| length > 0);
        clear(plc, at, at + 20);
        if is_named {
            put(plc, at, b"\x01\0A\0");
        }
    }
}

/// STSH: the session in which each style was changed (StdfPost2000).
fn styles(sheet: &mut [u8]) -> Option<()> {
    const WITH_SESSION: usize = 18;
    if u16_at(sheet, 4)? < WITH_SESSION {
        return None;
    }
    let mut at = 2 + u16_at(sheet, 0)?;
    for _ in 0..u16_at(sheet, 2)? {
        let length = u16_at(sheet, at)?;
        at += 2;
        if length >= WITH_SESSION {
            clear(sheet, at + 12, at + 16);
        }
        at += length.next_multiple_of(2);
    }
    Some(())
}

/// Levels of lists (LVL) follow the lists (PlfLst) and are not part of their length.
fn levels(table: &mut [u8], fib: &Fib, kept: &mut Kept, found: &mut Found) {
    let lists = fib.range(PLF_LST);
    let count: usize = table.get(lists.clone()).map_or(0, |lists| {
        let lists = lists.get(2..).unwrap_or_default().chunks_exact(28).take(u16_at(lists, 0).unwrap_or(0));
        lists.map(|list| if u8_at(list, 26).unwrap_or(0) & 1 == 1 { 1_usize } else { 9 }).sum()
    });
    let Some(table) = table.get_mut(..fib.levels_end) else { return };
    let mut end = lists.end;
    for _ in 0..count {
        let Some(next) = level(table, end, found) else { break };
        end = next;
    }
    kept.mark(lists.end, end - lists.end);
}

/// Where a level ends.
fn level(table: &mut [u8], at: usize, found: &mut Found) -> Option<usize> {
    let text = at + 28 + u8_at(table, at + 24)? + u8_at(table, at + 25)?;
    sprm::scrub(table.get_mut(at + 28..text)?, found);
    let end = text + 2 + 2 * u16_at(table, text)?;
    (end <= table.len()).then_some(end)
}

/// PlcfSed: sections and their formatting in the main stream (Sepx); printers of old programs go.
pub(super) fn sections(
    table: &mut [u8],
    word: &mut [u8],
    fib: &Fib,
    kept: &mut Kept,
    found: &mut Found,
    budget: &mut Budget,
) -> Option<()> {
    let plc = table.get_mut(fib.range(PLCF_SED))?;
    let count = plc.len().saturating_sub(4) / 16;
    for index in 0..count {
        let sed = 4 * (count + 1) + 12 * index;
        let at = u32_at(plc, sed + 2)?;
        put(plc, sed + 8, &[0xff; 4]);
        if at == 0xffff_ffff {
            continue;
        }
        let length = u16_at(word, at)?;
        budget.spend(length)?;
        kept.mark(at, 2 + length);
        sprm::scrub(word.get_mut(at + 2..at + 2 + length)?, found);
    }
    Some(())
}

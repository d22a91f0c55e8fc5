//! DOC (Word 97–2003, [MS-DOC]) without what names its author: a new container, only the streams that show the document,
//! and in them only what something refers to.
//!
//! Left out with their streams: document properties, custom XML, signatures, embedded objects (their pictures stay). Of the
//! table stream a list of structures is kept, everything else is zeros: who saved it and where, printers, routing slips,
//! mail envelopes, user names, smart tags, themes, embedded fonts. Text that no piece refers to, as fast saves leave it, is
//! zeros too. Nothing moves, so that no place in the document has to be computed anew.
//!
//! Text that is tracked as deleted is spaces, also in pieces whose formatting says so; pictures and notes that were deleted
//! with it stay. Metafiles (EMF, WMF) are cleaned, deflated or not; one that nobody understands, and any PICT, shows nothing.
//! What stays, because a reader sees it: comments, alternative texts without an address or a path.
//!
//! Every walk is paid from one budget, so that structures that overlap cost no more than structures that do not.

mod art;
mod blips;
mod container;
mod fib;
mod sprm;
mod table;
#[cfg(test)]
mod tests;
mod text;

use std::mem::take;
use std::ops::Range;

use crate::kind::Fault;
use crate::octets::clear;
use container::Streams;
use fib::Fib;
use sprm::Found;

/// Octets that may be looked at; a document of 10 MiB needs a quarter at most.
const BUDGET: usize = 256 << 20;

/// Rewrites a DOC; gives the new file.
///
/// # Errors
/// `Macros`, `Encrypted`, `Disagreement` for a container of another program, or `Unreadable`: no container, older than
/// Word 97, or text, styles or formatting are not where the file says.
pub(crate) fn clean_doc(octets: &[u8]) -> Result<Vec<u8>, Fault> {
    let rebuilt = |octets: &[u8]| {
        let (streams, fib) = container::read(octets)?;
        rebuild(streams, fib).ok_or(Fault::Unreadable)
    };
    let clean = rebuilt(octets)?;
    // Structures that contradict one another may read differently once a part of them is blank: then nobody knows which
    // reading another program takes.
    if rebuilt(&clean).as_ref() == Ok(&clean) { Ok(clean) } else { Err(Fault::Unreadable) }
}

fn rebuild(streams: Streams, mut fib: Fib) -> Option<Vec<u8>> {
    let Streams { mut word, mut table, mut data } = streams;
    let (mut in_word, mut in_table, mut in_data) = (Kept::default(), Kept::default(), Kept::default());
    let (mut budget, mut found) = (Budget(BUDGET), Found::default());
    fib.keep_only(table.len())?;
    in_word.mark(0, fib.end);

    let body = text::Text::parse(table.get(fib.range(fib::CLX))?, word.len())?;
    body.pieces.iter().for_each(|piece| in_word.mark(piece.at, piece.octets()));
    let clx = fib.pair(fib::CLX).fc;
    for prc in &body.prcs {
        sprm::scrub(table.get_mut(clx + prc.start..clx + prc.end)?, &mut found);
    }
    sprm::pages(&mut word, table.get(fib.range(fib::PLCF_BTE_CHPX))?, false, &mut in_word, &mut found, &mut budget)?;
    sprm::pages(&mut word, table.get(fib.range(fib::PLCF_BTE_PAPX))?, true, &mut in_word, &mut found, &mut budget)?;
    table::sections(&mut table, &mut word, &fib, &mut in_word, &mut found, &mut budget)?;
    let kinds = text::field_kinds(&table, &fib);
    body.blank_fields(&mut word, &kinds);
    body.blank_deleted(&mut word, table.get(fib.range(fib::CLX))?, take(&mut found.deleted));

    table::scrub(&mut table, &mut fib, &mut in_table, &mut found);
    let mut drawings = art::Art::new(&mut budget);
    drawings.content(table.get_mut(fib.range(fib::DGG_INFO))?)?;
    drawings.delayed(&mut word, &mut in_word)?;
    if let Some(data) = &mut data {
        drawings.data(data, &mut found, &mut in_data)?;
        in_data.clear_rest(data);
    }

    fib.write(&mut word);
    in_word.clear_rest(&mut word);
    in_table.clear_rest(&mut table);
    container::write(&word, (fib.table, table.as_slice()), data.as_deref())
}

/// Places of a stream that something refers to.
#[derive(Default)]
struct Kept(Vec<Range<usize>>);

impl Kept {
    fn mark(&mut self, from: usize, length: usize) {
        self.0.push(from..from.saturating_add(length));
    }

    /// Zeros wherever nothing was marked.
    fn clear_rest(mut self, octets: &mut [u8]) {
        self.0.sort_unstable_by_key(|place| place.start);
        let mut at = 0;
        for place in &self.0 {
            clear(octets, at, place.start);
            at = at.max(place.end);
        }
        clear(octets, at, octets.len());
    }
}

/// What may still be looked at.
struct Budget(usize);

impl Budget {
    fn spend(&mut self, octets: usize) -> Option<()> {
        self.0 = self.0.checked_sub(octets)?;
        Some(())
    }
}

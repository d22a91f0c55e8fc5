//! What is taken out of what a person wrote before the other side reads it (product C10, `privacy.md`).
//!
//! The same search runs over plain text and over the visible text of HTML: it gives spans of characters, each
//! with a kind, and whoever holds the text puts a visible mask in their place. Everything is decoded and folded
//! before it is searched; what is searched is never what is sent.

mod address;
mod armour;
mod contact;
mod encoded;
pub(crate) mod fold;
mod names;
mod own;

use std::collections::BTreeMap;
use std::ops::{AddAssign, Range};

pub use contact::host_of;
pub use contact::region_of;
pub use names::Identity;
pub use own::{LINK_MARK, OwnWords};
pub use rlibphonenumber::Region;

use crate::quoting::{self, LineKind};
use fold::Folded;

/// Texts are worked on in blocks of about so many characters, so that memory stays bounded.
const BLOCK: usize = 1 << 20;

/// What stands in place of what was taken out, in the reader's language.
#[derive(Debug, Clone, Default)]
pub struct Masks {
    /// Of an address.
    pub address: String,
    /// Of a link to a host that is not allowed.
    pub link: String,
    /// Of a link of ours, which was one reader's and works for whoever has it (W15).
    pub own_link: String,
    /// Of a telephone number.
    pub phone: String,
    /// Of a name.
    pub name: String,
    /// Of the line or header block with which a mail program begins a quotation.
    pub quotation: String,
    /// Of a line by which a mail program or device names itself.
    pub device: String,
    /// Of a key, signature or certificate in armour.
    pub armour: String,
}

/// What is taken out, and for whom.
#[derive(Debug, Clone, Default)]
pub struct Scrubber {
    /// What the reader sees instead.
    pub masks: Masks,
    /// Who wrote it.
    pub writer: Identity,
    /// Our own sentences.
    pub own: OwnWords,
    /// Hosts to which links pass, with everything below them; `None` lets every link pass.
    pub hosts: Option<Vec<String>>,
    /// Regions whose telephone numbers are known; `None` lets numbers pass.
    pub phones: Option<Vec<Region>>,
    /// Numbers of orders, which are no telephone numbers whatever they look like.
    pub known: Vec<String>,
}

/// How much was masked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Addresses.
    pub addresses: usize,
    /// Links.
    pub links: usize,
    /// Telephone numbers.
    pub phones: usize,
    /// Names.
    pub names: usize,
}

impl Counts {
    /// The larger of each: two forms of one text say the same.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            addresses: self.addresses.max(other.addresses),
            links: self.links.max(other.links),
            phones: self.phones.max(other.phones),
            names: self.names.max(other.names),
        }
    }

    /// All together.
    #[must_use]
    pub fn total(&self) -> usize {
        self.addresses + self.links + self.phones + self.names
    }

    pub(crate) fn count(&mut self, kind: Kind) {
        match kind {
            Kind::Address => self.addresses += 1,
            Kind::Link => self.links += 1,
            Kind::Phone => self.phones += 1,
            Kind::Name => self.names += 1,
            Kind::OwnLink | Kind::Own | Kind::Quotation | Kind::Device | Kind::Armour => {}
        }
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.addresses += other.addresses;
        self.links += other.links;
        self.phones += other.phones;
        self.names += other.names;
    }
}

/// What something is that does not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Address,
    Link,
    OwnLink,
    Phone,
    Name,
    Quotation,
    Device,
    Armour,
    /// Our own words: taken out without a mask.
    Own,
}

/// Something that does not pass, and where it stands, in characters.
#[derive(Debug, Clone)]
pub(crate) struct Span {
    pub(crate) range: Range<usize>,
    pub(crate) kind: Kind,
    /// Whether a mask stands in its place: the rest of something that another span cuts in two has none.
    pub(crate) is_masked: bool,
}

/// In what a search looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// A text that may quote and be signed.
    Body,
    /// One line: a subject, a caption.
    Line,
    FileName,
}

impl Scrubber {
    /// A plain text, with what was masked.
    #[must_use]
    pub fn text(&self, text: &str) -> (String, Counts) {
        let mut out = String::with_capacity(text.len());
        let mut counts = Counts::default();
        let mut rest = text;
        while !rest.is_empty() {
            let (block, after) = rest.split_at(block_end(rest));
            let chars: Vec<char> = block.chars().collect();
            self.put(&chars, &self.find(&chars, &[]), &mut out, &mut counts);
            rest = after;
        }
        (out, counts)
    }

    /// A subject or a caption.
    #[must_use]
    pub fn line(&self, line: &str) -> (String, Counts) {
        self.whole(line, Scope::Line)
    }

    /// A file name.
    #[must_use]
    pub fn file_name(&self, name: &str) -> (String, Counts) {
        self.whole(name, Scope::FileName)
    }

    fn whole(&self, text: &str, scope: Scope) -> (String, Counts) {
        let chars: Vec<char> = text.chars().collect();
        let (mut out, mut counts) = (String::with_capacity(text.len()), Counts::default());
        self.put(&chars, &self.spans(&chars, &[], scope), &mut out, &mut counts);
        (out, counts)
    }

    fn put(&self, chars: &[char], spans: &[Span], out: &mut String, counts: &mut Counts) {
        let mut at = 0;
        for span in spans {
            out.extend(&chars[at..span.range.start]);
            out.push_str(self.in_place_of(span));
            counts.count(span.kind);
            at = span.range.end;
        }
        out.extend(&chars[at..]);
    }

    /// What the reader sees in place of a span.
    pub(crate) fn in_place_of(&self, span: &Span) -> &str {
        if !span.is_masked {
            return "";
        }
        match span.kind {
            Kind::Address => &self.masks.address,
            Kind::Link => &self.masks.link,
            Kind::OwnLink => &self.masks.own_link,
            Kind::Phone => &self.masks.phone,
            Kind::Name => &self.masks.name,
            Kind::Quotation => &self.masks.quotation,
            Kind::Device => &self.masks.device,
            Kind::Armour => &self.masks.armour,
            Kind::Own => "",
        }
    }

    /// Everything in a body that does not pass, in order and without overlap. `depths` says for each line how deep
    /// it stands in quotations, beside what its own marks say.
    pub(crate) fn find(&self, chars: &[char], depths: &[u8]) -> Vec<Span> {
        self.spans(chars, depths, Scope::Body)
    }

    /// Whether a link may stand: its host is allowed, and it carries neither an address nor a secret of ours.
    pub(crate) fn allows_link(&self, url: &str) -> bool {
        let chars: Vec<char> = url.chars().collect();
        self.allows_host(&host_of(url)) && encoded::find(&chars, 0).is_empty() && {
            let folded = Folded::of(&chars);
            address::find(&folded.chars).is_empty() && own::find_links(&folded.chars).is_empty()
        }
    }

    fn allows_host(&self, host: &str) -> bool {
        let Some(allowed) = &self.hosts else { return true };
        allowed.iter().any(|a| host == a || host.strip_suffix(a.as_str()).is_some_and(|rest| rest.ends_with('.')))
    }

    fn spans(&self, chars: &[char], depths: &[u8], scope: Scope) -> Vec<Span> {
        let folded = Folded::of(chars);
        let mut found = Found::default();
        let text = &folded.chars;
        let own_links = own::find_links(text);
        let lines = lines_of(text);
        let mut signature: Vec<Range<usize>> = Vec::new();
        if scope == Scope::Body {
            armour::find(text).into_iter().for_each(|r| found.take(r, Kind::Armour));
            own::find_sentences(text, &self.own, &own_links).into_iter().for_each(|r| found.take(r, Kind::Own));
            self.quotations(text, &lines, depths, &mut found, &mut signature);
        }
        own_links.into_iter().for_each(|r| found.take(r, Kind::OwnLink));
        let mut pieces = contact::MAX_PIECES;
        for line in &lines {
            self.contacts(text, line.clone(), &mut pieces, &mut found);
        }
        address::find(text).into_iter().for_each(|r| found.take(r, Kind::Address));
        self.writer.find_whole(text).into_iter().for_each(|r| found.take(r, Kind::Name));
        for range in signature {
            let words = self.writer.find_words(&text[range.clone()]);
            words.into_iter().for_each(|r| found.take(range.start + r.start..range.start + r.end, Kind::Name));
        }
        if scope == Scope::FileName {
            self.writer.find_in_file_name(text).into_iter().for_each(|r| found.take(r, Kind::Name));
        }
        found.spans(&folded)
    }

    /// Lines with which mail programs begin quotations or name themselves; notes where signatures stand.
    fn quotations(&self, text: &[char], lines: &[Range<usize>], depths: &[u8], found: &mut Found, signature: &mut Vec<Range<usize>>) {
        let read: Vec<quoting::Line> = lines
            .iter()
            .enumerate()
            .map(|(n, range)| quoting::Line::of(&text[range.clone()], depths.get(n).copied().unwrap_or_default()))
            .collect();
        let kinds = quoting::classify(&read);
        let mut n = 0;
        while n < kinds.len() {
            let last = (n..kinds.len()).take_while(|m| kinds[*m] == kinds[n]).last().unwrap_or(n);
            let begin = lines[n].start + read[n].prefix;
            let end = lines[last].end;
            match kinds[n] {
                LineKind::Attribution | LineKind::HeaderBlock if begin < end => found.take(begin..end, Kind::Quotation),
                LineKind::Device if begin < end => found.take(begin..end, Kind::Device),
                LineKind::Signature => signature.push(begin..end),
                _ => {}
            }
            n = last + 1;
        }
    }

    fn contacts(&self, text: &[char], range: Range<usize>, pieces: &mut usize, found: &mut Found) {
        let (chars, start) = (&text[range.clone()], range.start);
        let may_link = chars.contains(&'.') || chars.contains(&':');
        let digits = chars.iter().filter(|c| c.is_numeric()).take(7).count();
        if may_link || digits == 7 {
            let line = contact::Line::of(text, range);
            for link in contact::find_links(&line).into_iter().filter(|link| !self.allows_host(&link.host)) {
                found.take(link.range, Kind::Link);
            }
            if let (Some(regions), 7) = (&self.phones, digits) {
                let phones = contact::find_phones(&line, regions, pieces);
                phones
                    .into_iter()
                    .filter(|r| !self.is_known(&chars[r.start - start..r.end - start]))
                    .for_each(|r| found.take(r, Kind::Phone));
            }
        }
        address::find_machines(chars, start).into_iter().for_each(|r| found.take(r, Kind::Address));
        address::find_spelled(chars, start).into_iter().for_each(|r| found.take(r, Kind::Address));
        if chars.contains(&'=') || chars.contains(&'/') {
            encoded::find(chars, start).into_iter().for_each(|r| found.take(r, Kind::Address));
        }
    }

    fn is_known(&self, number: &[char]) -> bool {
        let digits = |text: &str| text.chars().filter(char::is_ascii_alphanumeric).collect::<String>();
        let number = digits(&number.iter().collect::<String>());
        self.known.iter().any(|k| digits(k).contains(&number))
    }
}

/// Reads the tables that searches need, which takes a moment: once at start, so that the first message does not wait for them.
pub fn warm_up() {
    let everything = Scrubber { hosts: Some(Vec::new()), phones: Some(region_of("es").into_iter().collect()), ..Scrubber::default() };
    let _ = everything.text(
        "On Mon, 3 Nov 2025 at 10:00, Ana <ana@x.example> wrote:\n> tel. 612 345 678, https://x.example/, ana (at) x (dot) example\n",
    );
    let _ = crate::html::sanitise("<p>x</p>");
}

/// What was found, without overlap: of what another took first, only the rest is taken.
#[derive(Default)]
struct Found(BTreeMap<usize, (usize, Kind, bool)>);

impl Found {
    fn take(&mut self, range: Range<usize>, kind: Kind) {
        let mut at = range.start;
        // The one that begins before and reaches into it.
        if let Some((_, (end, ..))) = self.0.range(..=at).next_back() {
            at = at.max(*end);
        }
        let mut is_masked = at == range.start;
        while at < range.end {
            let next = self.0.range(at..range.end).next().map(|(start, (end, other, _))| (*start, *end, *other));
            let end = next.map_or(range.end, |(start, ..)| start);
            if at < end {
                // One mask for what two searches of a kind found side by side.
                let is_next_alike = next.is_some_and(|(.., other)| other == kind);
                self.0.insert(at, (end, kind, is_masked && !is_next_alike));
                is_masked = false;
            }
            at = next.map_or(range.end, |(_, end, _)| end);
        }
    }

    fn spans(self, folded: &Folded) -> Vec<Span> {
        let mut out: Vec<Span> = Vec::with_capacity(self.0.len());
        for (start, (end, kind, is_masked)) in self.0 {
            let mut range = folded.origin(&(start..end));
            // One character of the original may stand for several folded ones.
            range.start = range.start.max(out.last().map_or(0, |s| s.range.end));
            if range.start < range.end {
                out.push(Span { range, kind, is_masked });
            }
        }
        out
    }
}

/// Where a word stands, from left to right without overlap; the word is not empty.
fn occurrences(text: &[char], word: &[char]) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut at = 0;
    while at + word.len() <= text.len() {
        if text[at] == word[0] && text[at..at + word.len()] == *word {
            found.push(at..at + word.len());
            at += word.len();
        } else {
            at += 1;
        }
    }
    found
}

/// The lines of a text, without their ends.
fn lines_of(chars: &[char]) -> Vec<Range<usize>> {
    let mut lines = Vec::new();
    let mut start = 0;
    for (n, c) in chars.iter().enumerate() {
        if *c == '\n' {
            lines.push(start..n);
            start = n + 1;
        }
    }
    lines.push(start..chars.len());
    lines
}

/// Where a block ends: behind a line, at most about a megabyte away.
fn block_end(text: &str) -> usize {
    if text.len() <= BLOCK {
        return text.len();
    }
    let limit = (0..=BLOCK).rev().find(|n| text.is_char_boundary(*n)).unwrap_or(text.len());
    // Between words at least: a cut within an address would leave its halves.
    let between = |is_end: fn(char) -> bool| text[..limit].rfind(is_end).filter(|n| *n > 0).map(|n| n + 1);
    between(|c| c == '\n').or_else(|| between(|c| c == ' ')).unwrap_or(limit)
}

#[cfg(test)]
mod tests;

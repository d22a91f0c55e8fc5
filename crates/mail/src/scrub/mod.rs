//! What is taken out of what a person wrote before the other side reads it (product C10, `privacy.md`).
//!
//! The same search runs over plain text and over the visible text of HTML: it gives spans of characters, each
//! with a kind, and whoever holds the text puts a visible mask in their place. Everything is decoded and folded
//! before it is searched; what is searched is never what is sent.

mod address;
mod contact;
mod fold;
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
    /// Numbers of orders and parcels, which are no telephone numbers whatever they look like.
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
            Kind::OwnLink | Kind::Own | Kind::Quotation | Kind::Device => {}
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
        self.allows_host(&host_of(url)) && !hides_address(url) && {
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
            armour(text, &lines, &mut found);
            own::find_sentences(text, &self.own, &own_links).into_iter().for_each(|r| found.take(r, Kind::Own));
            self.quotations(text, &lines, depths, &mut found, &mut signature);
        }
        own_links.into_iter().for_each(|r| found.take(r, Kind::OwnLink));
        for line in &lines {
            self.contacts(&text[line.clone()], line.start, &mut found);
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

    fn contacts(&self, chars: &[char], start: usize, found: &mut Found) {
        let may_link = chars.contains(&'.') || chars.contains(&':');
        let digits = chars.iter().filter(|c| c.is_numeric()).take(7).count();
        if may_link || digits == 7 {
            let line = contact::Line::of(chars, start);
            for link in contact::find_links(&line).into_iter().filter(|link| !self.allows_host(&link.host)) {
                found.take(link.range, Kind::Link);
            }
            if let (Some(regions), 7) = (&self.phones, digits) {
                let phones = contact::find_phones(&line, regions);
                phones
                    .into_iter()
                    .filter(|r| !self.is_known(&chars[r.start - start..r.end - start]))
                    .for_each(|r| found.take(r, Kind::Phone));
            }
        }
        address::find_spelled(chars, start).into_iter().for_each(|r| found.take(r, Kind::Address));
        if chars.contains(&'=') || chars.contains(&'/') {
            encoded_addresses(chars, start).into_iter().for_each(|r| found.take(r, Kind::Address));
        }
    }

    fn is_known(&self, number: &[char]) -> bool {
        let digits = |text: &str| text.chars().filter(char::is_ascii_alphanumeric).collect::<String>();
        let number = digits(&number.iter().collect::<String>());
        self.known.iter().any(|k| digits(k).contains(&number))
    }
}

/// Keys, signatures and certificates in armour, which is base64 of names and addresses (privacy M12). Plain text has
/// lost them before; here they stand in HTML.
fn armour(text: &[char], lines: &[Range<usize>], found: &mut Found) {
    let starts = |n: usize, word: &str| {
        let line: String = text[lines[n].clone()].iter().skip_while(|c| matches!(c, '>' | ' ')).take(48).collect();
        line.starts_with(word) && !line.contains("MESSAGE")
    };
    let mut at = 0;
    while at < lines.len() {
        if !starts(at, "-----BEGIN ") {
            at += 1;
            continue;
        }
        let end = (at + 1..lines.len()).find(|n| starts(*n, "-----END ")).unwrap_or(lines.len() - 1);
        found.take(lines[at].start..lines[end].end, Kind::Device);
        at = end + 1;
    }
}

/// Words of an allowed link that are base64 of an address (privacy B30).
fn encoded_addresses(chars: &[char], start: usize) -> Vec<Range<usize>> {
    let is_digit = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '_' | '-');
    let mut found = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        let from = at;
        while at < chars.len() && is_digit(chars[at]) {
            at += 1;
        }
        if at - from >= 12 && shows_address(&chars[from..at].iter().collect::<String>()) {
            found.push(start + from..start + at);
        }
        at += usize::from(at == from);
    }
    found
}

fn hides_address(url: &str) -> bool {
    let chars: Vec<char> = url.chars().collect();
    !encoded_addresses(&chars, 0).is_empty()
}

/// Whether base64 digits hold an address in clear text.
fn shows_address(digits: &str) -> bool {
    use base64::Engine;
    use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
    let even = |text: &str| text[..text.len() - usize::from(text.len() % 4 == 1)].to_owned();
    let octets = URL_SAFE_NO_PAD.decode(even(digits)).or_else(|_| STANDARD_NO_PAD.decode(even(digits)));
    let text = octets.ok().and_then(|o| String::from_utf8(o).ok()).filter(|t| t.chars().all(|c| !c.is_control()));
    text.is_some_and(|t| !address::find(&t.chars().collect::<Vec<_>>()).is_empty())
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
            let next = self.0.range(at..range.end).next().map(|(start, (end, ..))| (*start, *end));
            let end = next.map_or(range.end, |(start, _)| start);
            if at < end {
                self.0.insert(at, (end, kind, is_masked));
                is_masked = false;
            }
            at = next.map_or(range.end, |(_, end)| end);
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
    text[..limit].rfind('\n').map_or(limit, |n| n + 1)
}

#[cfg(test)]
mod tests;

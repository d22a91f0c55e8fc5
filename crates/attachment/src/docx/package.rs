//! The zip of an OPC package (ISO/IEC 29500-2) read within bounds: how many entries, and how much of what is really inflated.
//! What nothing reads may be as large as it likes.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};

use zip::ZipArchive;

use crate::kind::Fault;

/// More parts than any document has.
const MAX_ENTRIES: usize = 2_000;
/// Of all parts together that are read, inflated.
const MAX_TOTAL: u64 = 48 << 20;
/// Of one part of XML, inflated.
const MAX_XML: u64 = 24 << 20;
/// All XML together may have so many octets, or so many times what it is packed into: words pack four to thirty to one,
/// what a bomb repeats a thousand. Pictures may: they are copied, not read.
const MAX_RATIO: u64 = 120;
const RATIO_FROM: u64 = 8 << 20;

const CONTENT_TYPES: &str = "[content_types].xml";

/// A package that is open for reading. Names of parts are compared without regard to case (part 2, 6.3.5), so that they
/// are lower case in here.
pub(super) struct Package<'a> {
    archive: ZipArchive<Cursor<&'a [u8]>>,
    entries: BTreeMap<String, usize>,
    /// Of the file, as no part can be packed into more.
    length: u64,
    left: u64,
    /// Of XML that was read: how long it is, and what it was packed into.
    xml: u64,
    packed: u64,
}

impl<'a> Package<'a> {
    /// Reads the directory only.
    pub(super) fn open(octets: &'a [u8]) -> Result<Self, Fault> {
        // A locked document is an OLE container around an encrypted package ([MS-OFFCRYPTO], 2.3.4.4).
        if octets.starts_with(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1") {
            return Err(Fault::Encrypted);
        }
        // The library reads the whole directory before it can be asked how long it is.
        if octets.windows(4).filter(|mark| *mark == b"PK\x01\x02").count() > 2 * MAX_ENTRIES {
            return Err(Fault::Unreadable);
        }
        let archive = ZipArchive::new(Cursor::new(octets)).map_err(|_| Fault::Unreadable)?;
        if archive.len() > MAX_ENTRIES || archive.has_duplicate_names() {
            return Err(Fault::Unreadable);
        }
        let mut entries = BTreeMap::new();
        for at in 0..archive.len() {
            let entry = archive.by_index_data(at).map_err(|_| Fault::Unreadable)?;
            if entry.encrypted() {
                return Err(Fault::Encrypted);
            }
            let name = entry.name().map_err(|_| Fault::Unreadable)?.replace('\\', "/").to_ascii_lowercase();
            if name.starts_with('/') || name.contains([':', '\0']) || name.split('/').any(|segment| segment == "..") {
                return Err(Fault::Unreadable);
            }
            if name.ends_with('/') {
                continue;
            }
            if name.ends_with("vbaproject.bin") || name.ends_with("vbadata.xml") {
                return Err(Fault::Macros);
            }
            if entries.insert(name, at).is_some() {
                return Err(Fault::Unreadable);
            }
        }
        let length = u64::try_from(octets.len()).unwrap_or(u64::MAX);
        let mut package = Self { archive, entries, length, left: MAX_TOTAL, xml: 0, packed: 0 };
        let types = package.xml(CONTENT_TYPES)?.ok_or(Fault::Unreadable)?;
        if text(types)?.to_ascii_lowercase().contains("macroenabled") {
            return Err(Fault::Macros);
        }
        Ok(package)
    }

    /// The octets of a part of XML; `None` where there is none of that name.
    pub(super) fn xml(&mut self, name: &str) -> Result<Option<Vec<u8>>, Fault> {
        let Some(at) = self.entries.get(name).copied() else {
            return Ok(None);
        };
        let packed = self.archive.by_index_data(at).map_err(|_| Fault::Unreadable)?.compressed_size();
        self.packed = self.packed.saturating_add(packed).min(self.length);
        let most = self.packed.saturating_mul(MAX_RATIO).max(RATIO_FROM);
        let octets = self.read(at, MAX_XML.min(most.saturating_sub(self.xml)))?;
        self.xml = self.xml.saturating_add(u64::try_from(octets.len()).unwrap_or(u64::MAX));
        Ok(Some(octets))
    }

    /// The octets of a picture; `None` where there is none of that name.
    pub(super) fn picture(&mut self, name: &str) -> Result<Option<Vec<u8>>, Fault> {
        match self.entries.get(name).copied() {
            Some(at) => self.read(at, u64::MAX).map(Some),
            None => Ok(None),
        }
    }

    fn read(&mut self, at: usize, limit: u64) -> Result<Vec<u8>, Fault> {
        let limit = limit.min(self.left);
        let entry = self.archive.by_index(at).map_err(|_| Fault::Unreadable)?;
        let mut octets = Vec::new();
        entry.take(limit.saturating_add(1)).read_to_end(&mut octets).map_err(|_| Fault::Unreadable)?;
        let length = u64::try_from(octets.len()).unwrap_or(u64::MAX);
        if length > limit {
            return Err(Fault::Unreadable);
        }
        self.left -= length;
        Ok(octets)
    }

    /// The entry that a relationship of a part leads to, if there is one.
    pub(super) fn find(&self, part: &str, target: &str) -> Option<String> {
        let name = resolve(part, target);
        if self.entries.contains_key(&name) {
            return Some(name);
        }
        let name = percent_decode(&name)?.to_ascii_lowercase();
        self.entries.contains_key(&name).then_some(name)
    }
}

/// The entry with the relationships of a part; of the package itself for an empty name (part 2, 6.5.2).
pub(super) fn relationships_of(part: &str) -> String {
    match part.rsplit_once('/') {
        Some((folder, name)) => format!("{folder}/_rels/{name}.rels"),
        None => format!("_rels/{part}.rels"),
    }
}

/// XML as text: UTF-8 or UTF-16, the two that a package may use (part 2, 6.2.5).
pub(super) fn text(octets: Vec<u8>) -> Result<String, Fault> {
    let unit: fn([u8; 2]) -> u16 = match (octets.first().copied(), octets.get(1).copied()) {
        (Some(0xff), Some(0xfe)) => u16::from_le_bytes,
        (Some(0xfe), Some(0xff)) => u16::from_be_bytes,
        _ => return String::from_utf8(octets).map_err(|_| Fault::Unreadable),
    };
    let units = octets.chunks_exact(2).skip(1).map(|pair| unit([pair[0], pair[1]]));
    char::decode_utf16(units).collect::<Result<String, _>>().map_err(|_| Fault::Unreadable)
}

fn resolve(part: &str, target: &str) -> String {
    let target = target.replace('\\', "/").to_ascii_lowercase();
    let target = target.split(['#', '?']).next().unwrap_or_default();
    let mut segments: Vec<&str> = part.split('/').collect();
    // The last one is the part itself.
    segments.pop();
    if target.starts_with('/') {
        segments.clear();
    }
    for segment in target.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            name => segments.push(name),
        }
    }
    segments.join("/")
}

fn percent_decode(name: &str) -> Option<String> {
    let mut octets = Vec::with_capacity(name.len());
    let mut rest = name.bytes();
    while let Some(octet) = rest.next() {
        if octet == b'%' {
            let digit = |octet: Option<u8>| char::from(octet?).to_digit(16);
            let (high, low) = (digit(rest.next())?, digit(rest.next())?);
            octets.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            octets.push(octet);
        }
    }
    String::from_utf8(octets).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_relative_to_their_part() {
        assert_eq!(resolve("word/document.xml", "media/Image1.PNG"), "word/media/image1.png");
        assert_eq!(resolve("word/charts/chart1.xml", "../media/./image1.png#x"), "word/media/image1.png");
        assert_eq!(resolve("word/document.xml", "/Word/styles.xml"), "word/styles.xml");
        assert_eq!(resolve("", "../../word\\document.xml"), "word/document.xml");
        assert_eq!(percent_decode("a%20b%C3%A9").as_deref(), Some("a bé"));
        assert_eq!(percent_decode("a%2"), None);
        assert_eq!(relationships_of("word/document.xml"), "word/_rels/document.xml.rels");
        assert_eq!(relationships_of(""), "_rels/.rels");
    }

    #[test]
    fn both_encodings_are_read() {
        assert_eq!(text(b"<a/>".to_vec()).as_deref(), Ok("<a/>"));
        assert_eq!(text(b"\xff\xfe<\0\xe9\0".to_vec()).as_deref(), Ok("<é"));
        assert_eq!(text(b"\xfe\xff\0<\0\xe9".to_vec()).as_deref(), Ok("<é"));
        assert_eq!(text(b"\xe9".to_vec()), Err(Fault::Unreadable));
    }
}

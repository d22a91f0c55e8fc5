//! The compound file ([MS-CFB]): three streams are read, three are written to a new one without times, names or slack.

use std::io::{Cursor, Read, Write};

use cfb::{CompoundFile, Version};

use crate::doc::fib::Fib;
use crate::kind::Fault;
use crate::octets::{u16_at, u32_at};

/// Longest stream that is read.
const MAX_STREAM: u64 = 32 << 20;
/// Most entries of the root storage.
const MAX_ENTRIES: usize = 5_000;
/// Class of the root storage: Word.Document.8.
const CLASS: &str = "00020906-0000-0000-c000-000000000046";
/// Where macros are kept ([MS-OVBA] 2.2.1).
const MACROS: [&str; 4] = ["macros", "_vba_project_cur", "_vba_project", "vba"];
/// What a locked document is kept in ([MS-OFFCRYPTO] 2.1 to 2.3).
const LOCKS: [&str; 4] = ["encryptedpackage", "encryptioninfo", "\u{6}dataspaces", "\u{9}drmcontent"];

/// A compound file in memory.
pub(super) type File = CompoundFile<Cursor<Vec<u8>>>;

/// What is read of a document ([MS-DOC] 2.1).
pub(super) struct Streams {
    pub(super) word: Vec<u8>,
    pub(super) table: Vec<u8>,
    pub(super) data: Option<Vec<u8>>,
}

/// The streams of a document and where its structures are.
pub(super) fn read(octets: &[u8]) -> Result<(Streams, Fib), Fault> {
    let mut file = open(octets)?;
    let word = word(&mut file)?;
    let fib = Fib::parse(&word)?;
    let table = stream(&mut file, fib.table)?;
    let data = if file.is_stream("Data") { Some(stream(&mut file, "Data")?) } else { None };
    Ok((Streams { word, table, data }, fib))
}

/// Opens a compound file that is a document without macros and locks.
pub(super) fn open(octets: &[u8]) -> Result<File, Fault> {
    let sector = match u16_at(octets, 30) {
        Some(9) => 512,
        Some(12) => 4_096,
        _ => return Err(Fault::Unreadable),
    };
    // Some writers end the file where the last stream ends.
    let mut whole = octets.to_vec();
    whole.resize(octets.len().next_multiple_of(sector), 0);
    check_difat(&whole, sector).ok_or(Fault::Unreadable)?;
    let file = CompoundFile::open(Cursor::new(whole)).map_err(|_| Fault::Unreadable)?;
    let names: Vec<String> = file.read_root_storage().take(MAX_ENTRIES + 1).map(|entry| entry.name().to_ascii_lowercase()).collect();
    let holds = |wanted: &[&str]| names.iter().any(|name| wanted.contains(&name.as_str()));
    if names.len() > MAX_ENTRIES {
        Err(Fault::Unreadable)
    } else if holds(&LOCKS) {
        Err(Fault::Encrypted)
    } else if holds(&MACROS) {
        Err(Fault::Macros)
    } else if !holds(&["worddocument"]) {
        Err(Fault::Disagreement)
    } else {
        Ok(file)
    }
}

/// The main stream.
pub(super) fn word(file: &mut File) -> Result<Vec<u8>, Fault> {
    stream(file, "WordDocument")
}

fn stream(file: &mut File, name: &str) -> Result<Vec<u8>, Fault> {
    let mut stream = file.open_stream(name).map_err(|_| Fault::Unreadable)?;
    if stream.len() > MAX_STREAM {
        return Err(Fault::Unreadable);
    }
    let mut octets = Vec::new();
    stream.read_to_end(&mut octets).map_err(|_| Fault::Unreadable)?;
    Ok(octets)
}

/// Follows the DIFAT (2.5) no further than a file of this length needs. The library reads a sector for each of its entries
/// before it compares their number with the file's length: that may be a hundred times the file.
fn check_difat(octets: &[u8], sector: usize) -> Option<()> {
    let sectors = octets.len() / sector;
    let entries = sector / 4;
    let mut left = sectors / entries / (entries - 1) + 2;
    let mut next = u32_at(octets, 68)?;
    while next < sectors {
        left = left.checked_sub(1)?;
        next = u32_at(octets, (next + 2) * sector - 4)?;
    }
    Some(())
}

/// A new compound file.
pub(super) fn write(word: &[u8], table: (&str, &[u8]), data: Option<&[u8]>) -> Option<Vec<u8>> {
    let mut file = CompoundFile::create_with_version(Version::V3, Cursor::new(Vec::new())).ok()?;
    file.set_storage_clsid("/", CLASS.parse().ok()?).ok()?;
    let streams = [Some(("WordDocument", word)), Some(table), data.map(|data| ("Data", data))];
    for (name, octets) in streams.into_iter().flatten() {
        let mut stream = file.create_new_stream(name).ok()?;
        stream.write_all(octets).ok()?;
        stream.flush().ok()?;
    }
    file.flush().ok()?;
    Some(file.into_inner().into_inner())
}

//! PDF without what names its author.
//!
//! Kept is what shows the document: pages and what they draw, fonts, pictures, annotations, fields and what was typed
//! into them, layers, outlines, links to pages of the web, the structure that is read aloud. Of dictionaries whose kind
//! is known, only keys that show something are kept (`rules`); of all others, keys that are known to hold metadata and
//! keys of programs are left behind. Information, identifiers, XMP, embedded and outer files, scripts, signatures and
//! actions other than going to a place or a web page do not pass. Pictures lose their metadata, colour profiles their
//! texts, contents their comments.
//!
//! What is shown may still name somebody: text, titles of outlines, names of layers, of fields and of fonts, texts
//! beside structure and within contents, pixels. So may comments and pictures within contents that this module does not
//! understand or that are too long, which it leaves as they are.
//!
//! The library that reads it bounds neither memory nor time: callers with documents of strangers run this in a
//! process of its own.

mod content;
mod icc;
mod image;
mod jpx;
mod resolve;
mod rules;
mod strip;
mod survey;
#[cfg(test)]
mod tests;

use lopdf::xref::{XrefEntry, XrefType};
use lopdf::{Dictionary, Document, Object, SaveOptions};

use self::rules::Role;
use self::survey::Survey;
use crate::kind::{Fault, Kind};
use crate::picture::clean_picture;

/// Second line of every file: four octets that say that it is no text (7.5.2).
const BINARY_MARK: [u8; 4] = [0xbb, 0xad, 0xc0, 0xde];
/// Version of a file that says no version.
const VERSION: &str = "1.7";
/// Octets of contents that are searched for comments and pictures.
const MAX_CONTENTS: usize = 48 << 20;

/// Rewrites a PDF; gives the new file.
///
/// # Errors
/// `Encrypted`, or `Unreadable` for what no reader of ours understands.
pub(crate) fn clean_pdf(octets: &[u8]) -> Result<Vec<u8>, Fault> {
    let mut document = Document::load_mem(octets).map_err(|e| match e {
        lopdf::Error::InvalidPassword | lopdf::Error::Decryption(_) | lopdf::Error::UnsupportedSecurityHandler(_) => Fault::Encrypted,
        _ => Fault::Unreadable,
    })?;
    if document.is_encrypted() || document.was_encrypted() || document.trailer.has(b"Encrypt") {
        return Err(Fault::Encrypted);
    }
    let pages = pages_of(&document);
    if pages == 0 {
        return Err(Fault::Unreadable);
    }
    // Of the trailer only what a reader needs: information, identifiers and checksums tell files apart (7.5.5).
    let root = document.trailer.get(b"Root").and_then(Object::as_reference).map_err(|_| Fault::Unreadable)?;
    document.trailer = Dictionary::new();
    document.trailer.set("Root", root);
    document.binary_mark = BINARY_MARK.to_vec();
    if !rules::is_version(document.version.as_bytes()) {
        document.version = VERSION.to_owned();
    }
    clean_objects(&mut document, root)?;
    // Whatever is no longer named is not written.
    document.prune_objects();
    document.renumber_objects();
    let mut out = Vec::with_capacity(octets.len());
    if is_packed(&document) {
        let options = SaveOptions { use_object_streams: true, use_xref_streams: true, ..SaveOptions::default() };
        document.save_with_options(&mut out, options).map_err(|_| Fault::Unreadable)?;
    } else {
        document.save_to(&mut out).map_err(|_| Fault::Unreadable)?;
    }
    drop(document);
    // A document whose objects are not what they say is another one now: it must open, with the pages that it had.
    let again = Document::load_mem(&out).map_err(|_| Fault::Unreadable)?;
    if pages_of(&again) == pages { Ok(out) } else { Err(Fault::Unreadable) }
}

/// Pages that are there, rather than only named.
fn pages_of(document: &Document) -> usize {
    document.get_pages().values().filter(|id| document.get_dictionary(**id).is_ok()).count()
}

fn clean_objects(document: &mut Document, root: lopdf::ObjectId) -> Result<(), Fault> {
    resolve::inline_values(document);
    let survey = Survey::of(document, root);
    document.objects.retain(|id, _| survey.roles.contains_key(id));
    let mut budget = MAX_CONTENTS;
    for (id, object) in &mut document.objects {
        strip::strip(object, survey.roles.get(id).copied().unwrap_or(Role::Plain), 0);
        let Object::Stream(stream) = object else { continue };
        image::clean_stream(stream)?;
        if survey.profiles.contains(id) {
            icc::clean_stream(stream);
        } else if survey.contents.contains(id) {
            content::clean_stream(stream, &mut budget);
        }
    }
    Ok(())
}

/// Whether it came with objects within streams (7.5.7): unpacked it would be several times as long.
fn is_packed(document: &Document) -> bool {
    let table = &document.reference_table;
    matches!(table.cross_reference_type, XrefType::CrossReferenceStream)
        || table.entries.values().any(|entry| matches!(entry, XrefEntry::Compressed { .. }))
}

/// A JPEG without metadata. Some programs leave the end marker out; what is still no picture by its structure is cleaned
/// as far as its first scan.
fn clean_jpeg(octets: &[u8]) -> Option<Vec<u8>> {
    clean_picture(Kind::Jpeg, octets)
        .or_else(|_| clean_picture(Kind::Jpeg, &[octets, b"\xff\xd9"].concat()))
        .ok()
        .or_else(|| image::jpeg_leniently(octets))
}

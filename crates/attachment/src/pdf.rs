//! PDF without what names its author: document information, XMP, embedded files, scripts and actions.

use lopdf::{Document, Object};

use crate::kind::Fault;

/// Keys of dictionaries that hold metadata, programs or other files (ISO 32000-1, sections 7.11, 12.6, 14.3).
const REMOVED: [&[u8]; 13] = [
    b"Metadata",
    b"PieceInfo",
    b"LastModified",
    b"OpenAction",
    b"AA",
    b"JavaScript",
    b"JS",
    b"EmbeddedFiles",
    b"EmbeddedFile",
    b"AF",
    b"Collection",
    b"SpiderInfo",
    b"Legal",
];

/// Rewrites a PDF; gives the new file.
///
/// # Errors
/// `Encrypted`, or `Unreadable` for what no reader of ours understands.
pub fn clean_pdf(octets: &[u8]) -> Result<Vec<u8>, Fault> {
    let mut document = Document::load_mem(octets).map_err(|e| match e {
        lopdf::Error::InvalidPassword | lopdf::Error::Decryption(_) | lopdf::Error::UnsupportedSecurityHandler(_) => Fault::Encrypted,
        _ => Fault::Unreadable,
    })?;
    if document.is_encrypted() || document.was_encrypted() || document.trailer.has(b"Encrypt") {
        return Err(Fault::Encrypted);
    }
    if document.get_pages().is_empty() {
        return Err(Fault::Unreadable);
    }
    document.trailer.remove(b"Info");
    // The second half of the file identifier tells versions of one file apart (14.4): both go.
    document.trailer.remove(b"ID");
    for object in document.objects.values_mut() {
        strip(object, 0);
    }
    // Whatever is no longer named is not written.
    document.prune_objects();
    document.renumber_objects();
    let mut out = Vec::with_capacity(octets.len());
    document.save_to(&mut out).map_err(|_| Fault::Unreadable)?;
    Ok(out)
}

/// Removes from dictionaries at every depth; a nesting beyond 64 is nobody's document.
fn strip(object: &mut Object, depth: usize) {
    if depth > 64 {
        *object = Object::Null;
        return;
    }
    let dictionary = match object {
        Object::Dictionary(dictionary) => dictionary,
        Object::Stream(stream) => &mut stream.dict,
        Object::Array(items) => return items.iter_mut().for_each(|item| strip(item, depth + 1)),
        _ => return,
    };
    for key in REMOVED {
        dictionary.remove(key);
    }
    // Annotations name whoever made them, and when (12.5.2, table 170).
    let is_annotation = dictionary.get(b"Type").and_then(Object::as_name).is_ok_and(|n| n == b"Annot")
        || dictionary.has(b"Subtype") && dictionary.has(b"Rect");
    if is_annotation {
        for key in [b"T".as_slice(), b"M", b"CreationDate", b"NM"] {
            dictionary.remove(key);
        }
    }
    dictionary.iter_mut().for_each(|(_, value)| strip(value, depth + 1));
}

#[cfg(test)]
mod tests {
    use super::*;
    use lopdf::{Stream, dictionary};

    fn pdf() -> Document {
        let mut d = Document::with_version("1.5");
        let content = d.add_object(Stream::new(dictionary! {}, b"BT (hola) Tj ET".to_vec()));
        let pages = d.new_object_id();
        let page = d.add_object(dictionary! { "Type" => "Page", "Parent" => pages, "Contents" => content, "MediaBox" => vec![0.into(), 0.into(), 100.into(), 100.into()] });
        d.objects.insert(pages, Object::Dictionary(dictionary! { "Type" => "Pages", "Kids" => vec![page.into()], "Count" => 1 }));
        let xmp = d.add_object(Stream::new(dictionary! { "Type" => "Metadata" }, b"<x:creator>Ana Canary</x:creator>".to_vec()));
        let catalog = d.add_object(
            dictionary! { "Type" => "Catalog", "Pages" => pages, "Metadata" => xmp, "OpenAction" => Object::string_literal("Canary") },
        );
        d.trailer.set("Root", catalog);
        let info = d.add_object(dictionary! { "Author" => Object::string_literal("Ana Canary") });
        d.trailer.set("Info", info);
        d
    }

    fn save(mut document: Document) -> Vec<u8> {
        let mut out = Vec::new();
        document.save_to(&mut out).unwrap();
        out
    }

    #[test]
    fn metadata_and_actions_are_gone_and_the_page_stays() {
        let octets = save(pdf());
        assert!(octets.windows(6).any(|w| w == b"Canary"));
        let clean = clean_pdf(&octets).unwrap();
        assert!(!clean.windows(6).any(|w| w == b"Canary"));
        let read = Document::load_mem(&clean).unwrap();
        assert_eq!(read.get_pages().len(), 1);
        let page = read.get_pages()[&1];
        assert_eq!(read.get_page_content(page).trim_ascii(), b"BT (hola) Tj ET");
    }

    #[test]
    fn what_is_no_document_is_refused() {
        assert_eq!(clean_pdf(b"%PDF-1.7\njunk"), Err(Fault::Unreadable));
        assert_eq!(clean_pdf(b""), Err(Fault::Unreadable));
    }
}

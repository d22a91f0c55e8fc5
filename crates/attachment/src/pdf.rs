//! PDF without what names its author: document information, XMP, embedded files, signatures, forms of programs,
//! scripts, and actions other than following a link.
//!
//! The library that reads it bounds neither memory nor time: callers with documents of strangers run this in a
//! process of its own.

use lopdf::{Dictionary, Document, Object, Stream};

use crate::kind::{Fault, Kind};
use crate::picture::clean_picture;

/// Keys of dictionaries that hold metadata, programs or other files (ISO 32000-1, sections 7.11, 12.6, 12.8, 14.3).
const REMOVED: [&[u8]; 22] = [
    b"Metadata",
    b"PieceInfo",
    b"LastModified",
    b"OpenAction",
    b"AA",
    b"JavaScript",
    b"JS",
    b"EmbeddedFiles",
    b"EF",
    b"RF",
    b"UF",
    b"FS",
    b"AF",
    b"Collection",
    b"SpiderInfo",
    b"Legal",
    b"XFA",
    b"Perms",
    b"DSS",
    b"RichMediaContent",
    b"Next",
    b"PresSteps",
];
/// Longest picture that is taken out of another coding.
const MAX_IMAGE_BYTES: usize = 32 << 20;
/// Of a signature: who signed, where, and the certificate (12.8.1, table 252).
const OF_SIGNATURE: [&[u8]; 9] = [b"Name", b"ContactInfo", b"Location", b"Reason", b"Contents", b"Cert", b"M", b"Prop_Build", b"Reference"];
/// Of an annotation: who made it and when (12.5.2, table 164).
const OF_ANNOTATION: [&[u8]; 4] = [b"T", b"M", b"CreationDate", b"NM"];

/// Keys of the catalogue (7.7.2, table 28) and of a page (7.7.3.3, table 30) that show the document. Programs put entries of
/// their own beside them.
const OF_CATALOG: [&[u8]; 19] = [
    b"Type",
    b"Version",
    b"Extensions",
    b"Pages",
    b"PageLabels",
    b"Names",
    b"Dests",
    b"ViewerPreferences",
    b"PageLayout",
    b"PageMode",
    b"Outlines",
    b"Threads",
    b"StructTreeRoot",
    b"MarkInfo",
    b"Lang",
    b"OCProperties",
    b"AcroForm",
    b"Requirements",
    b"NeedsRendering",
];
const OF_PAGE: [&[u8]; 20] = [
    b"Type",
    b"Parent",
    b"Resources",
    b"MediaBox",
    b"CropBox",
    b"BleedBox",
    b"TrimBox",
    b"ArtBox",
    b"BoxColorInfo",
    b"Contents",
    b"Rotate",
    b"Group",
    b"B",
    b"Dur",
    b"Annots",
    b"StructParents",
    b"SeparationInfo",
    b"Tabs",
    b"UserUnit",
    b"VP",
];

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
    if document.get_pages().is_empty() {
        return Err(Fault::Unreadable);
    }
    // Of the trailer only what a reader needs: information, identifiers and checksums tell files apart (7.5.5).
    let root = document.trailer.get(b"Root").cloned().map_err(|_| Fault::Unreadable)?;
    document.trailer = Dictionary::new();
    document.trailer.set("Root", root);
    for object in document.objects.values_mut() {
        strip(object, 0);
        if let Object::Stream(stream) = object {
            clean_image(stream);
        }
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
    if is_unwanted(dictionary) {
        *object = Object::Null;
        return;
    }
    REMOVED.iter().for_each(|key| drop(dictionary.remove(key)));
    for (kind, kept) in [(b"Catalog".as_slice(), OF_CATALOG.as_slice()), (b"Page", OF_PAGE.as_slice())] {
        if names(dictionary, b"Type", &[kind]) {
            let others: Vec<Vec<u8>> =
                dictionary.iter().map(|(key, _)| key.clone()).filter(|key| !kept.contains(&key.as_slice())).collect();
            others.iter().for_each(|key| drop(dictionary.remove(key)));
        }
    }
    if names(dictionary, b"Type", &[b"Sig", b"DocTimeStamp"]) || (dictionary.has(b"ByteRange") && dictionary.has(b"Contents")) {
        OF_SIGNATURE.iter().for_each(|key| drop(dictionary.remove(key)));
    }
    if names(dictionary, b"FT", &[b"Sig"]) {
        dictionary.remove(b"V");
    }
    if names(dictionary, b"Type", &[b"Annot"]) || (dictionary.has(b"Subtype") && dictionary.has(b"Rect")) {
        OF_ANNOTATION.iter().for_each(|key| drop(dictionary.remove(key)));
    }
    dictionary.iter_mut().for_each(|(_, value)| strip(value, depth + 1));
}

/// A picture within the document brings its own metadata: JPEG segments (7.4.8), boxes of JPEG 2000 (7.4.9).
fn clean_image(stream: &mut Stream) {
    let Ok(filters) = stream.filters().map(|f| f.iter().map(|f| f.to_vec()).collect::<Vec<_>>()) else { return };
    let clean = match filters.iter().map(Vec::as_slice).collect::<Vec<_>>().as_slice() {
        [b"DCTDecode" | b"DCT"] => Some(clean_jpeg(&stream.content)),
        [b"JPXDecode"] => Some(without_boxes(&stream.content)),
        // Another coding around it: nothing is seen through it, so that it is taken off where that is possible.
        [.., b"DCTDecode" | b"DCT"] => {
            let plain = outer_decoded(stream, &filters).unwrap_or_default();
            stream.dict.set("Filter", Object::Name(b"DCTDecode".to_vec()));
            stream.dict.remove(b"DecodeParms");
            Some(clean_jpeg(&plain))
        }
        _ => None,
    };
    if let Some(clean) = clean {
        stream.set_content(clean);
    }
}

/// Some programs leave the end marker out; what is no picture at all is left empty.
fn clean_jpeg(octets: &[u8]) -> Vec<u8> {
    let ended = || clean_picture(Kind::Jpeg, &[octets, b"\xff\xd9"].concat());
    clean_picture(Kind::Jpeg, octets).or_else(|_| ended()).unwrap_or_default()
}

/// The content after all filters but the last.
fn outer_decoded(stream: &Stream, filters: &[Vec<u8>]) -> Option<Vec<u8>> {
    let mut dictionary = Dictionary::new();
    let outer = filters[..filters.len() - 1].iter().map(|f| Object::Name(f.clone())).collect();
    dictionary.set("Filter", Object::Array(outer));
    Stream::new(dictionary, stream.content.clone()).decompressed_content_with_limit(MAX_IMAGE_BYTES).ok()
}

/// JPEG 2000 without the boxes that hold metadata (ISO/IEC 15444-1, annex I).
fn without_boxes(octets: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(octets.len());
    let mut rest = octets;
    while rest.len() >= 8 {
        let length = u32::from_be_bytes([rest[0], rest[1], rest[2], rest[3]]) as usize;
        let length = if length < 8 { rest.len() } else { length.min(rest.len()) };
        if !matches!(&rest[4..8], b"xml " | b"uuid" | b"uinf" | b"jp2i") {
            out.extend_from_slice(&rest[..length]);
        }
        rest = &rest[length..];
    }
    out
}

fn names(dictionary: &Dictionary, key: &[u8], values: &[&[u8]]) -> bool {
    dictionary.get(key).and_then(Object::as_name).is_ok_and(|name| values.contains(&name))
}

/// Embedded files, annotations that hold or play one, and actions other than going to a place or a web page.
fn is_unwanted(dictionary: &Dictionary) -> bool {
    const HOLDERS: [&[u8]; 6] = [b"FileAttachment", b"Movie", b"Sound", b"Screen", b"RichMedia", b"3D"];
    const ACTIONS: [&[u8]; 14] = [
        b"Launch",
        b"JavaScript",
        b"GoToR",
        b"GoToE",
        b"SubmitForm",
        b"ImportData",
        b"ResetForm",
        b"Rendition",
        b"Movie",
        b"Sound",
        b"Hide",
        b"SetOCGState",
        b"Trans",
        b"GoTo3DView",
    ];
    let web = |uri: &[u8]| uri.starts_with(b"http://") || uri.starts_with(b"https://");
    let is_other_uri = dictionary.get(b"URI").and_then(Object::as_str).is_ok_and(|uri| !web(uri) || uri.contains(&b'@'));
    names(dictionary, b"Type", &[b"EmbeddedFile", b"Filespec", b"F"])
        || (names(dictionary, b"Subtype", &HOLDERS) && dictionary.has(b"Rect"))
        || (names(dictionary, b"S", &ACTIONS) && !names(dictionary, b"Type", &[b"Page", b"Group", b"StructElem"]))
        || is_other_uri
}

#[cfg(test)]
mod tests {
    use super::*;
    use lopdf::{Stream, dictionary};

    fn text(text: &str) -> Object {
        Object::string_literal(text)
    }

    fn pdf() -> Document {
        let mut d = Document::with_version("1.5");
        let content = d.add_object(Stream::new(dictionary! {}, b"BT (hola) Tj ET".to_vec()));
        let pages = d.new_object_id();
        let program = d.add_object(Stream::new(dictionary! { "Type" => "EmbeddedFile" }, b"MZ Canary".to_vec()));
        let file = d.add_object(dictionary! { "Type" => "Filespec", "UF" => text("Canary.exe"), "EF" => dictionary! { "F" => program } });
        let signature = d.add_object(dictionary! { "Type" => "Sig", "Name" => text("Ana Canary"), "ContactInfo" => text("Canary"), "Contents" => text("Canary"), "ByteRange" => vec![0.into()] });
        let rect = || vec![0.into(), 0.into(), 9.into(), 9.into()];
        let annotations: Vec<Object> = vec![
            dictionary! { "Type" => "Annot", "Subtype" => "FileAttachment", "Rect" => rect(), "FS" => file }.into(),
            dictionary! { "Type" => "Annot", "Subtype" => "Widget", "FT" => "Sig", "Rect" => rect(), "V" => signature }.into(),
            dictionary! { "Type" => "Annot", "Subtype" => "Text", "Rect" => rect(), "T" => text("Ana Canary") }.into(),
            dictionary! { "Type" => "Annot", "Subtype" => "Link", "Rect" => rect(), "A" => dictionary! { "S" => "URI", "URI" => text("mailto:Canary@x.example") } }.into(),
            dictionary! { "Type" => "Annot", "Subtype" => "Link", "Rect" => rect(), "A" => dictionary! { "S" => "Launch", "F" => text("Canary") } }.into(),
            dictionary! { "Type" => "Annot", "Subtype" => "Link", "Rect" => rect(), "A" => dictionary! { "S" => "URI", "URI" => text("https://shop.example/kept") } }.into(),
        ];
        let page = d.add_object(dictionary! { "Type" => "Page", "Parent" => pages, "Contents" => content, "MediaBox" => vec![0.into(), 0.into(), 100.into(), 100.into()], "Annots" => annotations });
        d.objects.insert(pages, Object::Dictionary(dictionary! { "Type" => "Pages", "Kids" => vec![page.into()], "Count" => 1 }));
        let xmp = d.add_object(Stream::new(dictionary! { "Type" => "Metadata" }, b"<x:creator>Ana Canary</x:creator>".to_vec()));
        let form = dictionary! { "XFA" => text("Canary"), "Fields" => Object::Array(vec![]) };
        let catalog = d.add_object(dictionary! { "Type" => "Catalog", "Pages" => pages, "Metadata" => xmp, "OpenAction" => text("Canary"), "AcroForm" => form, "Perms" => dictionary! { "DocMDP" => signature } });
        d.trailer.set("Root", catalog);
        let info = d.add_object(dictionary! { "Author" => text("Ana Canary") });
        d.trailer.set("Info", info);
        d.trailer.set("DocChecksum", text("Canary"));
        d
    }

    fn save(mut document: Document) -> Vec<u8> {
        let mut out = Vec::new();
        document.save_to(&mut out).unwrap();
        out
    }

    #[test]
    fn metadata_files_signatures_and_actions_are_gone_and_the_page_stays() {
        let octets = save(pdf());
        let holds = |octets: &[u8], what: &[u8]| octets.windows(what.len()).any(|w| w == what);
        assert!(holds(&octets, b"Canary"));
        let clean = clean_pdf(&octets).unwrap();
        assert!(!holds(&clean, b"Canary"), "{}", String::from_utf8_lossy(&clean));
        assert!(holds(&clean, b"https://shop.example/kept"));
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

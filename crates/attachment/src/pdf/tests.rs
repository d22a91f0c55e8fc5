//! Documents that name somebody where they can, and the same documents cleaned.

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
    assert!(holds(&octets, b"Canary"));
    let clean = cleaned(&octets);
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

fn holds(octets: &[u8], what: &[u8]) -> bool {
    octets.windows(what.len()).any(|w| w == what)
}

/// Cleaned, and every object unpacked so that it is seen.
fn cleaned(octets: &[u8]) -> Vec<u8> {
    let mut read = Document::load_mem(&clean_pdf(octets).unwrap()).unwrap();
    for object in read.objects.values_mut() {
        if let Object::Stream(stream) = object {
            let _ = stream.decompress();
        }
    }
    save(read)
}

/// A document of one page; `more` adds to it and gives entries of the page.
fn with(more: impl FnOnce(&mut Document) -> Dictionary) -> Vec<u8> {
    let mut d = Document::with_version("1.5");
    let content = d.add_object(Stream::new(dictionary! {}, b"BT (hola) Tj ET".to_vec()));
    let pages = d.new_object_id();
    let mut page = dictionary! { "Type" => "Page", "Parent" => pages, "Contents" => content, "MediaBox" => vec![0.into(), 0.into(), 9.into(), 9.into()] };
    for (key, value) in more(&mut d) {
        page.set(key, value);
    }
    let page = d.add_object(page);
    d.objects.insert(
        pages,
        Object::Dictionary(dictionary! { "Type" => "Pages", "Kids" => vec![page.into()], "Count" => 1, "Own" => text("Canary") }),
    );
    let catalog = d.add_object(dictionary! { "Type" => "Catalog", "Pages" => pages });
    d.trailer.set("Root", catalog);
    save(d)
}

/// A page that draws one object.
fn drawing(name: &str, object: lopdf::ObjectId) -> Dictionary {
    dictionary! { "Resources" => dictionary! { "XObject" => dictionary! { name => object } } }
}

fn jpeg() -> Vec<u8> {
    [
        b"\xff\xd8\xff\xfe\0\x08Canary\xff\xc0\0\x0b\x08\0\x10\0\x10\x01\x01\x11\0".as_slice(),
        b"\xff\xda\0\x08\x01\x01\0\0\x3f\0\x12\xff\xd9",
    ]
    .concat()
}

#[test]
fn what_is_named_indirectly_is_looked_at_all_the_same() {
    let clean = cleaned(&with(|d| {
        let filter = d.add_object(Object::Name(b"DCTDecode".to_vec()));
        let uri = d.add_object(text("mailto:Canary@x.example"));
        let kind = d.add_object(Object::Name(b"URI".to_vec()));
        let launch = d.add_object(Object::Name(b"Launch".to_vec()));
        let rect = || vec![0.into(), 0.into(), 9.into(), 9.into()];
        let picture = d.add_object(Stream::new(dictionary! { "Subtype" => "Image", "Filter" => vec![filter.into()] }, jpeg()));
        let link = dictionary! { "Subtype" => "Link", "Rect" => rect(), "A" => dictionary! { "S" => kind, "URI" => uri } };
        let other = dictionary! { "Subtype" => "Link", "Rect" => rect(), "A" => dictionary! { "S" => launch, "F" => text("Canary") } };
        let mut page = drawing("Im.1", picture);
        page.set("Annots", vec![link.into(), other.into()]);
        page
    }));
    assert!(!holds(&clean, b"Canary"), "{}", String::from_utf8_lossy(&clean));
    assert!(holds(&clean, b"Im.1") && holds(&clean, b"\xff\xda"), "names of resources may hold dots");
}

#[test]
fn private_keys_go_and_names_of_fields_stay() {
    let clean = cleaned(&with(|d| {
        let form = dictionary! { "Subtype" => "Form", "BBox" => vec![0.into()], "PTEX.FileName" => text("Canary"), "F" => text("Canary"), "OPI" => text("Canary") };
        let form = d.add_object(Stream::new(form, b"q Q".to_vec()));
        let layer = dictionary! { "Type" => "OCG", "Name" => text("kept layer"), "Usage" => dictionary! { "CreatorInfo" => dictionary! { "Creator" => text("Canary") } } };
        let layer = d.add_object(layer);
        let rect = || vec![0.into(), 0.into(), 9.into(), 9.into()];
        let field = dictionary! { "Subtype" => "Widget", "FT" => "Tx", "Rect" => rect(), "T" => text("kept field"), "V" => text("kept value"), "TU" => text("C:\\Canary") };
        let note = dictionary! { "Subtype" => "Text", "Rect" => rect(), "T" => text("Canary"), "Subj" => text("Canary"), "Contents" => text("kept note") };
        let mut page = drawing("X", form);
        page.set("Annots", vec![field.into(), note.into()]);
        page.set("Hidden", text("Canary"));
        page.set("Group", dictionary! { "S" => "Transparency", "Own:Key" => text("Canary"), "OC" => layer });
        page
    }));
    assert!(!holds(&clean, b"Canary"), "{}", String::from_utf8_lossy(&clean));
    for kept in ["kept layer", "kept field", "kept value", "kept note", "Transparency"] {
        assert!(holds(&clean, kept.as_bytes()), "{kept}");
    }
}

#[test]
fn outlines_keep_their_order_and_texts_lose_paths() {
    let octets = save({
        let mut d = Document::load_mem(&with(|_| Dictionary::new())).unwrap();
        let (outlines, first, second) = (d.new_object_id(), d.new_object_id(), d.new_object_id());
        d.objects.insert(outlines, dictionary! { "Type" => "Outlines", "First" => first, "Last" => second, "Count" => 2 }.into());
        d.objects.insert(first, dictionary! { "Title" => text("one"), "Parent" => outlines, "Next" => second }.into());
        d.objects.insert(second, dictionary! { "Title" => text("second item"), "Parent" => outlines, "Prev" => first }.into());
        let path = [b"\xfe\xff".as_slice(), &"C:\\Canary".encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<u8>>()].concat();
        let element = dictionary! { "Type" => "StructElem", "S" => "Figure", "Alt" => text("kept alt"), "ActualText" => Object::string_literal(path) };
        let element = d.add_object(element);
        let root = d.trailer.get(b"Root").and_then(Object::as_reference).unwrap();
        let catalog = d.get_dictionary_mut(root).unwrap();
        catalog.set("Outlines", outlines);
        catalog.set("StructTreeRoot", dictionary! { "Type" => "StructTreeRoot", "K" => element });
        catalog.set("Threads", vec![text("Canary")]);
        d
    });
    let clean = cleaned(&octets);
    for kept in ["second item", "kept alt", "/Next"] {
        assert!(holds(&clean, kept.as_bytes()), "{kept}");
    }
    for gone in ["ActualText", "Canary"] {
        assert!(!holds(&clean, gone.as_bytes()), "{gone}");
    }
}

#[test]
fn contents_lose_comments_outside_of_strings_and_metadata_of_pictures() {
    let content = b"q % Canary\n(100 % \\) kept) Tj <</A (x)>> BDC";
    assert_eq!(content::rewritten(content).unwrap(), b"q \n(100 % \\) kept) Tj <</A (x)>> BDC");
    let picture = [b"q BI /W 1 /H 1 /F /DCT ID ".as_slice(), &jpeg(), b"\nEI Q % end"].concat();
    let clean = content::rewritten(&picture).unwrap();
    assert!(!holds(&clean, b"Canary") && !holds(&clean, b"end") && holds(&clean, b"\nEI Q"));
    let raw = b"BI /W 2 /H 2 ID \x80%EI\x81%\nEI\nQ";
    assert_eq!(content::rewritten(raw).unwrap(), raw);
    assert_eq!(content::rewritten(b"BI /W 2 ID % no end"), None);
    assert_eq!(content::rewritten(b"(never closed % "), None);
}

#[test]
fn colour_profiles_keep_numbers_only() {
    let mut profile = vec![7_u8; 132 + 36];
    profile[8] = 2;
    profile[36..40].copy_from_slice(b"acsp");
    profile[128..132].copy_from_slice(&3_u32.to_be_bytes());
    for (n, (name, data)) in
        [(b"rXYZ", b"XYZ \0\0\0\0colours here".as_slice()), (b"desc", b"desc\0\0\0\0\0\0\0\x07Canary\0"), (b"dmnd", b"text\0\0\0\0Canary")]
            .into_iter()
            .enumerate()
    {
        let at = 132 + 12 * n;
        let from = profile.len() as u32;
        profile[at..at + 4].copy_from_slice(name);
        profile[at + 4..at + 8].copy_from_slice(&from.to_be_bytes());
        profile[at + 8..at + 12].copy_from_slice(&(data.len() as u32).to_be_bytes());
        profile.extend_from_slice(data);
    }
    let before = profile.len();
    icc::clean(&mut profile).unwrap();
    assert_eq!(profile.len(), before);
    assert!(holds(&profile, b"colours here") && holds(&profile, b"desc\0\0\0\0\0\0\0\x01\0") && !holds(&profile, b"Canary"));
    assert_eq!((profile[131], profile[24], profile[84]), (2, 0, 0));
    assert_eq!(icc::clean(&mut [0; 200]), None);
}

#[test]
fn boxes_and_comments_of_jpeg_2000_go() {
    let part = |name: &[u8], body: &[u8]| [&(body.len() as u32 + 8).to_be_bytes()[..], name, body].concat();
    let stream = b"\xff\x4f\xff\x64\0\x0a\0\x01Canary\xff\x90\0\x0a\0\0\0\0\0\0\0\x01\xff\x93data\xff\xd9";
    let header = part(b"jp2h", &[part(b"ihdr", b"size"), part(b"res ", b"Canary")].concat());
    let long = [b"\0\0\0\x01xml \0\0\0\0\0\0\0\x16Canary".as_slice()].concat();
    let octets = [part(b"jP  ", b"\r\n\x87\n"), header, long, part(b"jp2c", stream)].concat();
    let clean = jpx::clean(&octets).unwrap();
    assert!(!holds(&clean, b"Canary") && holds(&clean, b"ihdrsize") && holds(&clean, b"data"));
    assert_eq!(jpx::clean(b"nothing of the kind"), None);
}

#[test]
fn pictures_are_never_emptied() {
    let around = |content: Vec<u8>, filters: Vec<Object>| {
        with(|d| {
            let picture = d.add_object(Stream::new(dictionary! { "Subtype" => "Image", "Filter" => filters }, content));
            drawing("X", picture)
        })
    };
    let hex: String = jpeg().iter().map(|octet| format!("{octet:02x}")).chain([">".to_owned()]).collect();
    let clean = cleaned(&around(hex.into_bytes(), vec!["ASCIIHexDecode".into(), "DCTDecode".into()]));
    assert!(holds(&clean, b"\xff\xc0\0\x0b") && !holds(&clean, b"Canary"));
    assert_eq!(clean_pdf(&around(b"Canary".to_vec(), vec!["Unknown".into(), "DCTDecode".into()])), Err(Fault::Unreadable));
    assert_eq!(clean_pdf(&around(b"Canary".to_vec(), vec!["DCTDecode".into()])), Err(Fault::Unreadable));
    let cut = image::jpeg_leniently(&[&jpeg()[..jpeg().len() - 2], b"\xff"].concat()).unwrap();
    assert!(!holds(&cut, b"Canary") && cut.ends_with(b"\x12\xff"));
}

#[test]
fn packed_objects_stay_packed_and_the_file_is_the_same_each_time() {
    let octets = with(|d| {
        let annotations: Vec<Object> = (0..300)
            .map(|n| d.add_object(dictionary! { "Subtype" => "Square", "Rect" => vec![n.into(), 0.into(), 9.into(), 9.into()] }).into())
            .collect();
        dictionary! { "Annots" => annotations }
    });
    let mut source = Document::load_mem(&octets).unwrap();
    source.version = "9.9 Canary".to_owned();
    source.binary_mark = vec![0xc1, 0xaa, 0xee, 0xf2];
    let clean = clean_pdf(&save(source)).unwrap();
    assert!(clean.starts_with(b"%PDF-1.7\n%\xbb\xad\xc0\xde\n") && !holds(&clean, b"Canary"));
    assert!(clean.len() < octets.len() / 2 && holds(&clean, b"ObjStm"));
    assert_eq!(clean, clean_pdf(&octets).map(|other| [b"%PDF-1.7".as_slice(), &other[8..]].concat()).unwrap());
    assert_eq!(Document::load_mem(&clean).unwrap().get_pages().len(), 1);
}

//! Dictionaries without what names somebody, at every depth.

use lopdf::{Dictionary, Object};

use crate::pdf::rules::{MAX_DEPTH, Role, is_version, name, says};

/// Of a signature: who signed, where, and the certificate (12.8.1, table 252).
const OF_SIGNATURE: [&[u8]; 10] =
    [b"Name", b"ContactInfo", b"Location", b"Reason", b"Contents", b"Cert", b"M", b"Prop_Build", b"Reference", b"ByteRange"];
/// Texts in place of what is shown (14.9.3 to 14.9.5). Programs put where a picture came from into them.
const TEXTS: [&[u8]; 4] = [b"Alt", b"ActualText", b"TU", b"E"];

/// Removes from an object and all that stands within it.
pub(super) fn strip(object: &mut Object, role: Role, depth: usize) {
    if depth > MAX_DEPTH {
        *object = Object::Null;
        return;
    }
    let (dictionary, role) = match object {
        Object::Dictionary(dictionary) => {
            let role = role.refined(dictionary);
            (dictionary, role)
        }
        Object::Stream(stream) => (&mut stream.dict, Role::Stream),
        Object::Array(items) => return items.iter_mut().for_each(|item| strip(item, role, depth + 1)),
        _ => return,
    };
    if is_unwanted(dictionary, role) {
        *object = Object::Null;
        return;
    }
    strip_keys(dictionary, role);
    for (key, value) in dictionary.iter_mut() {
        strip(value, role.below(key), depth + 1);
    }
}

fn strip_keys(dictionary: &mut Dictionary, role: Role) {
    if role.is_map() {
        // Names stand for objects; what is written out beside them is no resource.
        dictionary.as_hashmap_mut().retain(|_, value| !matches!(value, Object::String(..)));
        return;
    }
    dictionary.as_hashmap_mut().retain(|key, value| role.keeps(key) && !is_path(key, value));
    let is_signature = matches!(name(dictionary, b"Type"), Some(b"Sig" | b"DocTimeStamp"));
    if is_signature || (dictionary.has(b"ByteRange") && dictionary.has(b"Contents")) {
        OF_SIGNATURE.iter().for_each(|key| drop(dictionary.remove(key)));
    }
    match role {
        // The name of a field is needed, that of who wrote a remark is not.
        Role::Annotation => {
            if dictionary.has(b"Subtype") && !says(dictionary, b"Subtype", b"Widget") {
                dictionary.remove(b"T");
            }
            if says(dictionary, b"FT", b"Sig") {
                dictionary.remove(b"V");
                dictionary.remove(b"DV");
            }
        }
        Role::Catalog if !name(dictionary, b"Version").is_some_and(is_version) => drop(dictionary.remove(b"Version")),
        Role::Stream if name(dictionary, b"Name").is_none() => drop(dictionary.remove(b"Name")),
        // One action after another (12.6.2).
        Role::Plain if dictionary.has(b"S") => drop(dictionary.remove(b"Next")),
        _ => {}
    }
}

/// The path of another file (7.11), or one in a text.
fn is_path(key: &[u8], value: &Object) -> bool {
    value.as_str().is_ok_and(|text| key == b"F" || (TEXTS.contains(&key) && is_address(text)))
}

/// Whether a text holds a path or an address.
fn is_address(text: &[u8]) -> bool {
    let pairs = |octets: &[u8], read: fn([u8; 2]) -> u16| octets.chunks_exact(2).map(|pair| read([pair[0], pair[1]])).collect::<Vec<u16>>();
    let units = match text {
        [0xfe, 0xff, rest @ ..] => pairs(rest, u16::from_be_bytes),
        [0xff, 0xfe, rest @ ..] => pairs(rest, u16::from_le_bytes),
        _ => text.iter().map(|octet| u16::from(*octet)).collect(),
    };
    let is = |unit: &u16, sign: u8| *unit == u16::from(sign);
    units.iter().any(|unit| is(unit, b'\\') || is(unit, b'@')) || units.windows(2).any(|pair| is(&pair[0], b':') && is(&pair[1], b'/'))
}

/// Embedded files, annotations that hold or play one, and actions other than going to a place or a web page.
fn is_unwanted(dictionary: &Dictionary, role: Role) -> bool {
    match role {
        Role::Catalog | Role::Pages | Role::Page | Role::Structure | Role::StructureElement | Role::Map | Role::Glyphs => false,
        Role::Action => !matches!(name(dictionary, b"S"), Some(b"GoTo" | b"URI" | b"Named")) || is_other_link(dictionary),
        Role::Annotation => {
            matches!(name(dictionary, b"Subtype"), Some(b"FileAttachment" | b"Movie" | b"Sound" | b"Screen" | b"RichMedia" | b"3D"))
        }
        Role::Stream => matches!(name(dictionary, b"Type"), Some(b"EmbeddedFile" | b"Metadata")),
        _ => {
            let is_group = says(dictionary, b"Type", b"Group");
            matches!(name(dictionary, b"Type"), Some(b"EmbeddedFile" | b"Filespec" | b"F" | b"Metadata" | b"Thread" | b"Bead"))
                || (!is_group && name(dictionary, b"S").is_some_and(is_forbidden_action))
                || says(dictionary, b"O", b"UserProperties")
                || is_other_link(dictionary)
        }
    }
}

fn is_forbidden_action(name: &[u8]) -> bool {
    matches!(
        name,
        b"Launch"
            | b"JavaScript"
            | b"GoToR"
            | b"GoToE"
            | b"SubmitForm"
            | b"ImportData"
            | b"ResetForm"
            | b"Rendition"
            | b"Movie"
            | b"Sound"
            | b"Hide"
            | b"SetOCGState"
            | b"Trans"
            | b"GoTo3DView"
            | b"Thread"
            | b"RichMediaExecute"
            | b"GoToDp"
    )
}

/// A link to anything but a page of the web.
fn is_other_link(dictionary: &Dictionary) -> bool {
    let is_web = |uri: &[u8]| {
        let start = uri[..uri.len().min(8)].to_ascii_lowercase();
        (start.starts_with(b"http://") || start.starts_with(b"https://")) && !uri.contains(&b'@')
    };
    match dictionary.get(b"URI") {
        Ok(Object::String(uri, _)) => !is_web(uri),
        Ok(_) => true,
        Err(_) => false,
    }
}

//! winmail.dat: the Transport Neutral Encapsulation Format of Outlook and Exchange (MS-OXTNEF).
//!
//! Text, HTML and files come out and nothing else: who wrote it, with what and to whom stands in properties that
//! are not even read. Where the octets are cut off the reading ends; what stood whole before that counts.

use crate::mime::rtf::{self, Rendering, UTF_8, UTF_16, decode_code_page};

const SIGNATURE: u32 = 0x223E_9F78;
/// Most attributes in a stream and most properties in a list.
const MAX_LIST: usize = 1_000;

// Attributes (MS-OXTNEF), without the type in their upper half.
const ATT_BODY: u16 = 0x800C;
const ATT_MAPI_PROPS: u16 = 0x9003;
const ATT_OEM_CODEPAGE: u16 = 0x9007;
const ATT_ATTACH_REND_DATA: u16 = 0x9002;
const ATT_ATTACH_TITLE: u16 = 0x8010;
const ATT_ATTACH_DATA: u16 = 0x800F;
const ATT_ATTACHMENT: u16 = 0x9005;

// Properties (MS-OXPROPS).
const PR_BODY: u16 = 0x1000;
const PR_RTF_COMPRESSED: u16 = 0x1009;
const PR_BODY_HTML: u16 = 0x1013;
const PR_INTERNET_CPID: u16 = 0x3FDE;
const PR_DISPLAY_NAME: u16 = 0x3001;
const PR_ATTACH_DATA: u16 = 0x3701;
const PR_ATTACH_FILENAME: u16 = 0x3704;
const PR_ATTACH_METHOD: u16 = 0x3705;
const PR_ATTACH_LONG_FILENAME: u16 = 0x3707;
const PR_ATTACH_MIME_TAG: u16 = 0x370E;
const PR_ATTACH_CONTENT_ID: u16 = 0x3712;

// Property types (MS-OXCDATA, section 2.11.1).
const INTEGER_32: u16 = 0x0003;
const OBJECT: u16 = 0x000D;
const STRING_8: u16 = 0x001E;
const STRING: u16 = 0x001F;
const BINARY: u16 = 0x0102;
const MULTIPLE: u16 = 0x1000;

/// Attachment method of a message within the message.
const EMBEDDED_MESSAGE: u32 = 5;
/// Octets that name the interface before an object.
const INTERFACE: usize = 16;

/// What a winmail.dat holds for a reader.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tnef {
    /// The plain text, with `\n` line ends.
    pub(crate) text: Option<String>,
    /// The HTML, not sanitised.
    pub(crate) html: Option<String>,
    /// The files, in order.
    pub(crate) files: Vec<TnefFile>,
}

/// A file within a winmail.dat.
#[derive(Debug, Clone)]
pub(crate) struct TnefFile {
    /// Name as the writer gave it; may be empty.
    pub(crate) name: String,
    /// Declared `type/subtype`, lower case; `message/rfc822` for a message, which is not opened.
    pub(crate) media_type: Option<String>,
    /// What the HTML calls it by, without angle brackets.
    pub(crate) content_id: Option<String>,
    /// Content; none for a message or a file that is only referred to.
    pub(crate) octets: Vec<u8>,
}

/// Reads a winmail.dat; none when it is none, or has more attributes than any honest one.
pub(crate) fn read(octets: &[u8]) -> Option<Tnef> {
    let mut cursor = Cursor { octets };
    if cursor.u32()? != SIGNATURE {
        return None;
    }
    // The key that ties attachments to their message where they travel apart.
    cursor.take(2)?;
    let mut seen = Seen::default();
    let mut count = 0;
    while let Some((id, value)) = read_attribute(&mut cursor) {
        count += 1;
        if count > MAX_LIST {
            return None;
        }
        match id {
            ATT_OEM_CODEPAGE => seen.code_page = Cursor { octets: value }.u32().unwrap_or_default(),
            ATT_BODY => seen.body = value,
            ATT_MAPI_PROPS => seen.properties = read_properties(value),
            ATT_ATTACH_REND_DATA => seen.attachments.push(Attachment::default()),
            ATT_ATTACH_TITLE => seen.attachment().title = value,
            ATT_ATTACH_DATA => seen.attachment().data = value,
            ATT_ATTACHMENT => seen.attachment().properties = read_properties(value),
            _ => {}
        }
    }
    Some(seen.decode())
}

struct Cursor<'a> {
    octets: &'a [u8],
}

impl<'a> Cursor<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.octets.split_at_checked(length)?;
        self.octets = rest;
        Some(head)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.octets.split_first_chunk::<N>()?;
        self.octets = rest;
        Some(*head)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn length(&mut self) -> Option<usize> {
        self.u32().and_then(|n| usize::try_from(n).ok())
    }

    /// Values fill up to four octets; the last one in a list sometimes does not.
    fn padding(&mut self, length: usize) {
        self.take((4 - length % 4) % 4);
    }
}

/// The next attribute: its id and its value.
fn read_attribute<'a>(cursor: &mut Cursor<'a>) -> Option<(u16, &'a [u8])> {
    let [level] = cursor.array::<1>()?;
    // Of the message or of an attachment.
    if !matches!(level, 1 | 2) {
        return None;
    }
    let id = cursor.u16()?;
    cursor.take(2)?;
    let length = cursor.length()?;
    let value = cursor.take(length)?;
    // The checksum; some programs write a wrong one.
    cursor.take(2);
    Some((id, value))
}

#[derive(Debug, Clone, Copy)]
struct Property<'a> {
    id: u16,
    kind: u16,
    /// The only value, or the first.
    value: &'a [u8],
}

impl Property<'_> {
    fn text(&self, code_page: u32) -> Option<String> {
        match self.kind {
            STRING => Some(decode_code_page(self.value, UTF_16)),
            STRING_8 => Some(decode_code_page(self.value, code_page)),
            _ => None,
        }
    }

    fn integer(&self) -> Option<u32> {
        if self.kind == INTEGER_32 { Cursor { octets: self.value }.u32() } else { None }
    }
}

fn find<'p, 'a>(properties: &'p [Property<'a>], id: u16) -> Option<&'p Property<'a>> {
    properties.iter().find(|p| p.id == id)
}

/// A list of properties (MS-OXTNEF), as far as it can be read.
fn read_properties(octets: &[u8]) -> Vec<Property<'_>> {
    let mut cursor = Cursor { octets };
    let count = cursor.length().unwrap_or_default().min(MAX_LIST);
    let mut properties = Vec::new();
    while properties.len() < count
        && let Some(property) = read_property(&mut cursor)
    {
        properties.push(property);
    }
    properties
}

fn read_property<'a>(cursor: &mut Cursor<'a>) -> Option<Property<'a>> {
    let kind = cursor.u16()?;
    let id = cursor.u16()?;
    if id >= 0x8000 {
        skip_name(cursor)?;
    }
    let width = match kind & !MULTIPLE {
        0x0002 | INTEGER_32 | 0x0004 | 0x000A | 0x000B => Some(4),
        0x0005..=0x0007 | 0x0014 | 0x0040 => Some(8),
        0x0048 => Some(16),
        STRING_8 | STRING | BINARY | OBJECT => None,
        _ => return None,
    };
    let count = if width.is_none() || kind & MULTIPLE != 0 { cursor.u32()? } else { 1 };
    let mut value: &[u8] = &[];
    for n in 0..count {
        let length = match width {
            Some(width) => width,
            None => cursor.length()?,
        };
        let one = cursor.take(length)?;
        cursor.padding(length);
        if n == 0 {
            value = one;
        }
    }
    Some(Property { id, kind, value })
}

/// The name of a property that has no number of its own.
fn skip_name(cursor: &mut Cursor<'_>) -> Option<()> {
    cursor.take(16)?;
    if cursor.u32()? == 0 {
        cursor.take(4)?;
    } else {
        let length = cursor.length()?;
        cursor.take(length)?;
        cursor.padding(length);
    }
    Some(())
}

/// What the attributes hold, not yet decoded: the code page may come last.
#[derive(Default)]
struct Seen<'a> {
    code_page: u32,
    body: &'a [u8],
    properties: Vec<Property<'a>>,
    attachments: Vec<Attachment<'a>>,
}

#[derive(Default)]
struct Attachment<'a> {
    title: &'a [u8],
    data: &'a [u8],
    properties: Vec<Property<'a>>,
}

impl<'a> Seen<'a> {
    /// The attachment that attributes now belong to.
    fn attachment(&mut self) -> &mut Attachment<'a> {
        if self.attachments.is_empty() {
            self.attachments.push(Attachment::default());
        }
        let last = self.attachments.len() - 1;
        &mut self.attachments[last]
    }

    fn decode(&self) -> Tnef {
        let text = find(&self.properties, PR_BODY).and_then(|p| p.text(self.code_page)).and_then(|t| written(&t));
        let mut tnef = Tnef {
            text: text.or_else(|| written(&decode_code_page(self.body, self.code_page))),
            html: find(&self.properties, PR_BODY_HTML).and_then(|p| self.html(p)).and_then(|h| written(&h)),
            files: self.attachments.iter().filter_map(|a| a.decode(self.code_page)).collect(),
        };
        if tnef.text.is_none() && tnef.html.is_none() {
            let compressed = find(&self.properties, PR_RTF_COMPRESSED).filter(|p| p.kind == BINARY);
            match compressed.and_then(|p| rtf::decompress(p.value)).and_then(|source| rtf::render(&source)) {
                Some(Rendering::Text(text)) => tnef.text = written(&text),
                Some(Rendering::Html(html)) => tnef.html = written(&html),
                None => {}
            }
        }
        tnef
    }

    fn html(&self, property: &Property<'_>) -> Option<String> {
        if !matches!(property.kind, BINARY | STRING_8) {
            return property.text(self.code_page);
        }
        let code_page = match find(&self.properties, PR_INTERNET_CPID).and_then(Property::integer) {
            Some(code_page) if code_page != 0 => code_page,
            _ if std::str::from_utf8(property.value).is_ok() => UTF_8,
            _ => self.code_page,
        };
        Some(decode_code_page(property.value, code_page))
    }
}

impl Attachment<'_> {
    fn decode(&self, code_page: u32) -> Option<TnefFile> {
        let text = |id: u16| find(&self.properties, id).and_then(|p| p.text(code_page)).and_then(|t| one_line(&t));
        let data = find(&self.properties, PR_ATTACH_DATA);
        let object = data.filter(|p| p.kind == OBJECT).and_then(|p| p.value.get(INTERFACE..));
        let is_message = find(&self.properties, PR_ATTACH_METHOD).and_then(Property::integer) == Some(EMBEDDED_MESSAGE)
            || object.is_some_and(|o| o.starts_with(&SIGNATURE.to_le_bytes()));
        let octets: &[u8] = if is_message {
            &[]
        } else if !self.data.is_empty() {
            self.data
        } else {
            data.filter(|p| p.kind == BINARY).map(|p| p.value).or(object).unwrap_or_default()
        };
        let name = text(PR_ATTACH_LONG_FILENAME)
            .or_else(|| one_line(&decode_code_page(self.title, code_page)))
            .or_else(|| text(PR_ATTACH_FILENAME))
            .or_else(|| text(PR_DISPLAY_NAME))
            .unwrap_or_default();
        if name.is_empty() && octets.is_empty() && !is_message {
            return None;
        }
        let media_type = text(PR_ATTACH_MIME_TAG).map(|t| t.to_ascii_lowercase()).filter(|t| is_media_type(t));
        Some(TnefFile {
            name,
            media_type: if is_message { Some("message/rfc822".to_owned()) } else { media_type },
            content_id: text(PR_ATTACH_CONTENT_ID).map(|id| id.trim_matches(['<', '>']).to_owned()),
            octets: octets.to_vec(),
        })
    }
}

fn is_media_type(text: &str) -> bool {
    let is_token = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_alphanumeric() || b"-+._".contains(&b));
    text.split_once('/').is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype))
}

/// With `\n` line ends and without controls; none when nothing is written there.
fn written(text: &str) -> Option<String> {
    let keep = |c: &char| !c.is_control() || matches!(c, '\n' | '\t');
    let text: String = text.replace("\r\n", "\n").replace('\r', "\n").chars().filter(keep).collect();
    (!text.trim().is_empty()).then_some(text)
}

fn one_line(text: &str) -> Option<String> {
    let line: String = text.chars().filter(|c| !c.is_control()).collect();
    let line = line.trim();
    (!line.is_empty()).then(|| line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn attribute(level: u8, id: u32, value: &[u8]) -> Vec<u8> {
        let checksum = value.iter().fold(0_u16, |sum, b| sum.wrapping_add(u16::from(*b)));
        let length = u32::try_from(value.len()).unwrap();
        [&[level][..], &id.to_le_bytes()[..], &length.to_le_bytes()[..], value, &checksum.to_le_bytes()[..]].concat()
    }

    fn stream(attributes: &[Vec<u8>]) -> Vec<u8> {
        [&SIGNATURE.to_le_bytes()[..], &[1, 0][..], &attributes.concat()[..]].concat()
    }

    fn list(properties: &[Vec<u8>]) -> Vec<u8> {
        let count = u32::try_from(properties.len()).unwrap();
        [&count.to_le_bytes()[..], &properties.concat()[..]].concat()
    }

    fn tag(kind: u16, id: u16) -> Vec<u8> {
        [kind.to_le_bytes(), id.to_le_bytes()].concat()
    }

    fn integer(id: u16, value: u32) -> Vec<u8> {
        [&tag(INTEGER_32, id)[..], &value.to_le_bytes()[..]].concat()
    }

    fn variable(kind: u16, id: u16, value: &[u8]) -> Vec<u8> {
        let length = u32::try_from(value.len()).unwrap();
        let padding = vec![0_u8; (4 - value.len() % 4) % 4];
        [&tag(kind, id)[..], &1_u32.to_le_bytes()[..], &length.to_le_bytes()[..], value, &padding[..]].concat()
    }

    fn utf16(text: &str) -> Vec<u8> {
        text.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect()
    }

    fn code_page(number: u32) -> Vec<u8> {
        attribute(1, 0x0006_9007, &[number.to_le_bytes(), [0; 4]].concat())
    }

    fn message(properties: &[Vec<u8>]) -> Vec<u8> {
        attribute(1, 0x0006_9003, &list(properties))
    }

    fn rendering_data() -> Vec<u8> {
        attribute(2, 0x0006_9002, &[0; 14])
    }

    /// Compressed without references.
    fn compress(rtf: &[u8]) -> Vec<u8> {
        let mut out = vec![0_u8; 4];
        out.extend(u32::try_from(rtf.len()).unwrap().to_le_bytes());
        out.extend(b"LZFu\0\0\0\0");
        for eight in rtf.chunks(8) {
            out.push(0);
            out.extend(eight);
        }
        out
    }

    fn example() -> Vec<u8> {
        let name = [&[7; 16][..], &1_u32.to_le_bytes()[..], &6_u32.to_le_bytes()[..], &b"a\0b\0\0\0\0\0"[..]].concat();
        stream(&[
            attribute(1, 0x0008_9006, &0x0001_0000_u32.to_le_bytes()),
            code_page(1251),
            attribute(1, 0x0000_8000, b"canary@secret.example"),
            attribute(1, 0x0001_8004, b"canary subject\0"),
            message(&[
                variable(STRING, 0x0C1A, &utf16("Canary Sender")),
                variable(STRING_8, 0x0C1F, b"canary@secret.example\0"),
                [&tag(STRING, 0x8001)[..], &name[..], &variable(STRING, 0, &utf16("canary"))[4..]].concat(),
                [&tag(MULTIPLE | INTEGER_32, 0x6000)[..], &2_u32.to_le_bytes()[..], &[0; 8][..]].concat(),
                variable(STRING, PR_BODY, &utf16("Hola, Ana\r\n¿Cuánto?")),
            ]),
            rendering_data(),
            attribute(2, 0x0001_8010, b"\xf1\xf7\xb8\xf2.pdf\0"),
            attribute(2, 0x0006_800F, b"%PDF-1"),
            rendering_data(),
            attribute(2, 0x0001_8010, b"LONGNA~1.PNG\0"),
            attribute(2, 0x0006_800F, b"\x89PNG"),
            attribute(
                2,
                0x0006_9005,
                &list(&[
                    variable(STRING, PR_ATTACH_LONG_FILENAME, &utf16("Long naïve.png")),
                    variable(STRING_8, PR_ATTACH_MIME_TAG, b"Image/PNG\0"),
                    variable(STRING, PR_ATTACH_CONTENT_ID, &utf16("<image001@x>")),
                    variable(STRING, 0x370D, &utf16("C:\\Users\\canary\\Long.png")),
                ]),
            ),
        ])
    }

    #[test]
    fn text_and_files_come_out_and_the_sender_does_not() {
        let tnef = read(&example()).unwrap();
        assert_eq!(tnef.text.as_deref(), Some("Hola, Ana\n¿Cuánto?"));
        assert_eq!(tnef.html, None);
        let names: Vec<_> = tnef.files.iter().map(|f| (f.name.as_str(), f.media_type.as_deref(), &f.octets[..])).collect();
        assert_eq!(names, [("счёт.pdf", None, &b"%PDF-1"[..]), ("Long naïve.png", Some("image/png"), &b"\x89PNG"[..])]);
        assert_eq!(tnef.files[1].content_id.as_deref(), Some("image001@x"));
        assert!(!format!("{tnef:?}").to_lowercase().contains("canary"));
    }

    #[test]
    fn a_message_within_is_not_opened() {
        let object = [&[9; 16][..], &example()[..]].concat();
        let by_method = list(&[integer(PR_ATTACH_METHOD, 5), variable(STRING_8, PR_DISPLAY_NAME, b"Re: x\0")]);
        let by_content = list(&[variable(OBJECT, PR_ATTACH_DATA, &object)]);
        let octets =
            stream(&[rendering_data(), attribute(2, 0x0006_9005, &by_method), rendering_data(), attribute(2, 0x0006_9005, &by_content)]);
        let tnef = read(&octets).unwrap();
        assert_eq!(tnef.files.len(), 2);
        assert!(tnef.files.iter().all(|f| f.media_type.as_deref() == Some("message/rfc822") && f.octets.is_empty()));
        assert_eq!(tnef.files[0].name, "Re: x");
    }

    #[test]
    fn content_in_a_property_counts_where_there_is_no_other() {
        let binary = list(&[variable(BINARY, PR_ATTACH_DATA, b"one"), variable(STRING_8, PR_ATTACH_FILENAME, b"A.TXT\0")]);
        let object = list(&[variable(OBJECT, PR_ATTACH_DATA, &[&[9; 16][..], b"two"].concat())]);
        let octets = stream(&[attribute(2, 0x0006_9005, &binary), rendering_data(), attribute(2, 0x0006_9005, &object), rendering_data()]);
        let tnef = read(&octets).unwrap();
        let seen: Vec<_> = tnef.files.iter().map(|f| (f.name.as_str(), &f.octets[..])).collect();
        assert_eq!(seen, [("A.TXT", &b"one"[..]), ("", &b"two"[..])]);
    }

    #[test]
    fn html_is_read_in_its_own_code_page() {
        let html = |properties: &[Vec<u8>]| read(&stream(&[message(properties), code_page(1252)])).unwrap().html;
        assert_eq!(html(&[variable(BINARY, PR_BODY_HTML, "<p>é</p>".as_bytes())]).as_deref(), Some("<p>é</p>"));
        assert_eq!(html(&[variable(BINARY, PR_BODY_HTML, b"<p>\xe9</p>")]).as_deref(), Some("<p>é</p>"));
        let cyrillic = [integer(PR_INTERNET_CPID, 1251), variable(BINARY, PR_BODY_HTML, b"<p>\xcf</p>")];
        assert_eq!(html(&cyrillic).as_deref(), Some("<p>П</p>"));
        assert_eq!(html(&[variable(STRING, PR_BODY_HTML, &utf16("<b>x</b>"))]).as_deref(), Some("<b>x</b>"));
    }

    #[test]
    fn rich_text_stands_in_for_a_missing_text() {
        let plain = variable(BINARY, PR_RTF_COMPRESSED, &compress(br"{\rtf1\ansi{\info{\author Canary}}Hola\par Ana}"));
        let html = variable(BINARY, PR_RTF_COMPRESSED, &compress(br"{\rtf1\fromhtml1{\*\htmltag64 <p>}Hola}"));
        assert_eq!(read(&stream(&[message(std::slice::from_ref(&plain))])).unwrap().text.as_deref(), Some("Hola\nAna"));
        assert_eq!(read(&stream(&[message(&[html])])).unwrap().html.as_deref(), Some("<p>Hola"));
        let both = stream(&[message(&[plain]), attribute(1, 0x0002_800C, b"Text\r\n\0")]);
        assert_eq!(read(&both).unwrap().text.as_deref(), Some("Text\n"));
    }

    #[test]
    fn a_cut_at_any_octet_only_ends_the_reading() {
        let whole = example();
        for cut in 0..whole.len() {
            if let Some(tnef) = read(&whole[..cut]) {
                assert!(tnef.files.len() <= 2 && !format!("{tnef:?}").to_lowercase().contains("canary"));
            }
        }
    }

    #[test]
    fn wrong_checksums_are_tolerated_and_endless_lists_are_not() {
        let mut octets = stream(&[attribute(1, 0x0002_800C, b"Text")]);
        *octets.last_mut().unwrap() ^= 0xff;
        assert_eq!(read(&octets).unwrap().text.as_deref(), Some("Text"));
        assert!(read(&stream(&[rendering_data().repeat(MAX_LIST + 1)])).is_none());
        assert!(read(b"PK\x03\x04").is_none());
        let endless = [&u32::MAX.to_le_bytes()[..], &variable(STRING_8, PR_BODY, b"x")[..]].concat();
        assert_eq!(read(&stream(&[attribute(1, 0x0006_9003, &endless)])).unwrap().text.as_deref(), Some("x"));
    }

    proptest! {
        #[test]
        fn no_octets_make_it_panic(octets in proptest::collection::vec(any::<u8>(), 0..400), at in 0_usize..900) {
            read(&octets);
            read(&stream(std::slice::from_ref(&octets)));
            read(&stream(&[attribute(1, 0x0006_9003, &octets), attribute(2, 0x0006_9005, &octets)]));
            let mut broken = example();
            let end = broken.len().min(at + octets.len().min(8));
            for (to, from) in broken[at.min(end)..end].iter_mut().zip(&octets) {
                *to = *from;
            }
            read(&broken);
        }
    }
}

//! Header fields of a message or a part (RFC 5322, section 2.2), read leniently, kept in order.
//!
//! The header ends only at an empty line (privacy H36): a line without a colon is kept as no field at all
//! and never becomes body. Names are compared without case and without the space that some put before
//! the colon (RFC 5322, section 4.5).

use mail_parser::parsers::MessageStream;
use mail_parser::{Address, HeaderValue};

use crate::address::Mailbox;
use crate::mime::decode::decode_words;

/// Most header fields read from one entity; 10,000 lines of rubbish cost no more than this many.
pub(super) const MAX_FIELDS: usize = 1_000;

/// One field: its name as written and its value with folding intact.
#[derive(Debug, Clone, Copy)]
pub struct Field<'a> {
    /// The name without trailing white space.
    pub name: &'a str,
    /// The raw value after the colon, up to and without the last line end.
    pub value: &'a [u8],
}

/// The fields of one entity in order.
#[derive(Debug, Clone, Default)]
pub struct Fields<'a> {
    fields: Vec<Field<'a>>,
}

/// Why a message names no single author.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OriginatorError {
    /// RFC 5322, section 3.6: exactly one From field.
    #[error("the message has no From field")]
    Missing,
    /// More than one From field, or more than one mailbox in it.
    #[error("the message has more than one From")]
    Several,
    /// A group, or something that is no address.
    #[error("the From field names no mailbox")]
    NoMailbox,
}

/// RFC5322.From when it names exactly one mailbox.
#[derive(Debug, Clone)]
pub struct Originator {
    /// The author's mailbox.
    pub mailbox: Mailbox,
    /// The display name, decoded; empty where there is none.
    pub display_name: String,
}

impl<'a> Fields<'a> {
    /// Reads the fields at the start of `bytes`; gives them and the offset of the body.
    #[must_use]
    pub fn read(bytes: &'a [u8]) -> (Self, usize) {
        let mut fields = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let line_end = next_line(bytes, at);
            if is_blank(&bytes[at..line_end]) {
                return (Self { fields }, line_end);
            }
            let mut end = line_end;
            while end < bytes.len() && matches!(bytes[end], b' ' | b'\t') && !is_blank(&bytes[end..next_line(bytes, end)]) {
                end = next_line(bytes, end);
            }
            if fields.len() < MAX_FIELDS
                && let Some(field) = read_field(&bytes[at..end])
            {
                fields.push(field);
            }
            at = end;
        }
        (Self { fields }, bytes.len())
    }

    /// Every field in order.
    pub fn iter(&self) -> impl Iterator<Item = &Field<'a>> {
        self.fields.iter()
    }

    /// The first field of that name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Field<'a>> {
        self.fields.iter().find(|f| f.name.eq_ignore_ascii_case(name))
    }

    /// The first field's value, unfolded and with its encoded words decoded.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<String> {
        self.find(name).map(|f| decode_words(f.value))
    }

    /// The first field's value as written, unfolded, without decoding.
    #[must_use]
    pub fn raw(&self, name: &str) -> Option<String> {
        self.find(name).map(|f| String::from_utf8_lossy(f.value).replace(['\r', '\n'], "").trim().to_owned())
    }

    /// The one mailbox of RFC5322.From.
    ///
    /// # Errors
    /// `OriginatorError` when there is none, more than one, or something that is no mailbox.
    pub fn originator(&self) -> Result<Originator, OriginatorError> {
        let mut from = self.fields.iter().filter(|f| f.name.eq_ignore_ascii_case("From"));
        let field = from.next().ok_or(OriginatorError::Missing)?;
        if from.next().is_some() {
            return Err(OriginatorError::Several);
        }
        let list = match parse_addresses(field.value) {
            Some(Address::List(list)) => list,
            Some(Address::Group(_)) | None => return Err(OriginatorError::NoMailbox),
        };
        let mut addresses = list.iter().filter_map(|a| Some((a.address.as_deref()?, a.name.as_deref().unwrap_or_default())));
        let (address, name) = addresses.next().ok_or(OriginatorError::NoMailbox)?;
        if addresses.next().is_some() {
            return Err(OriginatorError::Several);
        }
        let mailbox = Mailbox::parse(address.trim()).map_err(|_| OriginatorError::NoMailbox)?;
        Ok(Originator { mailbox, display_name: name.trim().to_owned() })
    }

    /// Every mailbox of the address fields of that name, groups opened; what is no mailbox is left out.
    #[must_use]
    pub fn mailboxes(&self, name: &str) -> Vec<Mailbox> {
        let fields = self.fields.iter().filter(|f| f.name.eq_ignore_ascii_case(name));
        let addresses = fields.filter_map(|f| parse_addresses(f.value));
        addresses
            .flat_map(|address| {
                address.iter().filter_map(|a| a.address.as_deref()).filter_map(|a| Mailbox::parse(a.trim()).ok()).collect::<Vec<_>>()
            })
            .collect()
    }
}

fn read_field(bytes: &[u8]) -> Option<Field<'_>> {
    let colon = memchr::memchr(b':', bytes)?;
    let name = std::str::from_utf8(&bytes[..colon]).ok()?.trim_end_matches([' ', '\t']);
    // RFC 5322, section 2.2: a field name is printable ASCII without the colon.
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_graphic()) {
        return None;
    }
    Some(Field { name, value: trim_line_end(&bytes[colon + 1..]) })
}

fn parse_addresses(value: &[u8]) -> Option<Address<'static>> {
    let terminated = [value, b"\r\n"].concat();
    match MessageStream::new(&terminated).parse_address() {
        HeaderValue::Address(address) => Some(address.into_owned()),
        _ => None,
    }
}

fn next_line(bytes: &[u8], at: usize) -> usize {
    memchr::memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |n| at + n + 1)
}

fn is_blank(line: &[u8]) -> bool {
    matches!(line, b"\r\n" | b"\n")
}

fn trim_line_end(mut bytes: &[u8]) -> &[u8] {
    while let [rest @ .., b'\r' | b'\n'] = bytes {
        bytes = rest;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_ends_only_at_the_empty_line() {
        let raw = b"From: a@x.example\r\nnonsense without colon\r\nSubject : hi\r\n there\r\n\r\nbody";
        let (fields, body) = Fields::read(raw);
        assert_eq!(&raw[body..], b"body");
        assert_eq!(fields.text("subject").unwrap(), "hi there");
    }

    #[test]
    fn from_must_name_one_mailbox() {
        let originator = |h: &str| Fields::read(h.as_bytes()).0.originator().map(|o| o.mailbox.canonical());
        assert_eq!(originator("From: Ana <Ana@X.example>\r\n\r\n").unwrap(), "ana@x.example");
        assert_eq!(originator("To: b@x.example\r\n\r\n"), Err(OriginatorError::Missing));
        assert_eq!(originator("From: a@x.example\r\nFrom: b@x.example\r\n\r\n"), Err(OriginatorError::Several));
        assert_eq!(originator("From: a@x.example, b@x.example\r\n\r\n"), Err(OriginatorError::Several));
        assert_eq!(originator("From: friends: a@x.example;\r\n\r\n"), Err(OriginatorError::NoMailbox));
        assert_eq!(originator("From: nobody\r\n\r\n"), Err(OriginatorError::NoMailbox));
    }

    #[test]
    fn ten_thousand_fields_cost_no_more_than_the_limit() {
        let raw = "X-A: b\r\n".repeat(10_000) + "\r\nbody";
        let (fields, body) = Fields::read(raw.as_bytes());
        assert_eq!(fields.iter().count(), MAX_FIELDS);
        assert_eq!(&raw[body..], "body");
    }
}

//! The tree of parts (RFC 2046, section 5), walked without recursion and with limits.
//!
//! Entities come out as a flat list in document order, each with its depth. What a hostile message can cost
//! is bounded before anything is decoded: depth, number of parts, number of fields.

use mail_parser::parsers::MessageStream;
use mail_parser::{ContentType, HeaderValue};

use crate::mime::header::Fields;

/// Deepest nesting of multiparts and messages. Real mail stays below ten; a bomb has thousands.
pub const MAX_DEPTH: usize = 64;
/// Most entities in one message.
pub const MAX_PARTS: usize = 2_000;

/// Why the structure of a message is refused outright.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// More than `MAX_DEPTH` levels.
    #[error("the message nests more than 64 parts in one another")]
    TooDeep,
    /// More than `MAX_PARTS` parts.
    #[error("the message has more than 2000 parts")]
    TooManyParts,
}

/// One entity: its fields, its type and where its body lies.
#[derive(Debug, Clone)]
pub struct Entity<'a> {
    /// The fields of this entity.
    pub fields: Fields<'a>,
    /// The body, still transfer-encoded.
    pub body: &'a [u8],
    /// `type/subtype` in lower case; `text/plain` where absent or unreadable (RFC 2045, section 5.2).
    pub media_type: String,
    /// The charset parameter in lower case.
    pub charset: Option<String>,
    /// The file name, from Content-Disposition or the `name` parameter, decoded.
    pub file_name: Option<String>,
    /// Whether Content-Disposition says `attachment`.
    pub is_attachment: bool,
    /// Depth: 0 for the message itself.
    pub depth: usize,
    /// Index in the list of the entity that holds this one.
    pub parent: Option<usize>,
}

impl Entity<'_> {
    /// Whether the body is a list of further entities rather than content.
    #[must_use]
    pub fn is_multipart(&self) -> bool {
        self.media_type.starts_with("multipart/")
    }
}

/// A message as a flat list of entities, the first being the message itself.
#[derive(Debug, Clone)]
pub struct Message<'a> {
    /// Entities in document order.
    pub entities: Vec<Entity<'a>>,
}

impl<'a> Message<'a> {
    /// The fields of the message itself.
    #[must_use]
    pub fn fields(&self) -> &Fields<'a> {
        &self.entities[0].fields
    }
}

/// Reads the structure of `raw`. Nested `message/*` entities are opened only to count their depth; their
/// parts are not listed, because nothing inside them is ever passed on (privacy M01, M02, M21).
///
/// # Errors
/// `Malformed` when a limit is passed.
pub fn parse(raw: &[u8]) -> Result<Message<'_>, Malformed> {
    let mut entities: Vec<Entity<'_>> = Vec::new();
    let mut parts = 0;
    // Work still to do: (bytes, depth, parent, listed). Last in, first out, so document order needs reversal.
    let mut waiting: Vec<(&[u8], usize, Option<usize>, bool)> = vec![(raw, 0, None, true)];
    while let Some((bytes, depth, parent, listed)) = waiting.pop() {
        parts += 1;
        if depth > MAX_DEPTH {
            return Err(Malformed::TooDeep);
        }
        if parts > MAX_PARTS {
            return Err(Malformed::TooManyParts);
        }
        let in_digest = parent.is_some_and(|p| listed && entities[p].media_type == "multipart/digest");
        let (entity, boundary) = read_entity(bytes, depth, parent, in_digest);
        let body = entity.body;
        let is_message = entity.media_type.starts_with("message/");
        let is_multipart = entity.is_multipart();
        if listed {
            entities.push(entity);
        }
        let index = listed.then(|| entities.len() - 1).or(parent);
        if is_message {
            waiting.push((body, depth + 1, index, false));
        } else if is_multipart {
            let children = boundary.map_or_else(|| Ok(Vec::new()), |boundary| split(body, &boundary, MAX_PARTS))?;
            // Without a part, and without a line that could begin one, there is only the body, which somebody wrote.
            let is_text = || !body.starts_with(b"--") && memchr::memmem::find(body, b"\n--").is_none();
            if children.is_empty()
                && listed
                && is_text()
                && let Some(last) = entities.last_mut()
            {
                last.media_type = "text/plain".to_owned();
            }
            waiting.extend(children.into_iter().rev().map(|child| (child, depth + 1, index, listed)));
        }
    }
    Ok(Message { entities })
}

fn read_entity(bytes: &[u8], depth: usize, parent: Option<usize>, in_digest: bool) -> (Entity<'_>, Option<String>) {
    let (fields, body_at) = Fields::read(bytes);
    let content_type = fields.find("Content-Type").and_then(|f| content_type(f.value));
    let disposition = fields.find("Content-Disposition").and_then(|f| content_type_or_disposition(f.value));
    let media_type = content_type.as_ref().map_or_else(
        // RFC 2046, section 5.1.5: inside a digest the default is message/rfc822.
        || if in_digest { "message/rfc822".to_owned() } else { "text/plain".to_owned() },
        |ct| match ct.subtype() {
            Some(subtype) => format!("{}/{}", ct.ctype(), subtype).to_ascii_lowercase(),
            None if ct.ctype().eq_ignore_ascii_case("text") => "text/plain".to_owned(),
            None => "application/octet-stream".to_owned(),
        },
    );
    let attribute = |name: &str| content_type.as_ref().and_then(|ct| ct.attribute(name)).map(str::to_owned);
    let file_name = disposition
        .as_ref()
        .and_then(|d| d.attribute("filename"))
        .map(str::to_owned)
        .or_else(|| attribute("name"))
        .map(|name| crate::mime::decode::decode_words(name.as_bytes()));
    let entity = Entity {
        body: &bytes[body_at..],
        media_type,
        charset: attribute("charset").map(|c| c.to_ascii_lowercase()),
        file_name,
        is_attachment: disposition.as_ref().is_some_and(|d| d.ctype().eq_ignore_ascii_case("attachment")),
        depth,
        parent,
        fields,
    };
    (entity, attribute("boundary"))
}

fn content_type(value: &[u8]) -> Option<ContentType<'static>> {
    let parsed = content_type_or_disposition(value)?;
    // A type that is no token would end up in our own output or match no rule: treat it as unknown bytes.
    let token = |t: &str| !t.is_empty() && t.bytes().all(|b| b.is_ascii_alphanumeric() || b"-+._".contains(&b));
    (token(parsed.ctype()) && parsed.subtype().is_none_or(token)).then_some(parsed)
}

fn content_type_or_disposition(value: &[u8]) -> Option<ContentType<'static>> {
    let terminated = [value, b"\r\n"].concat();
    match MessageStream::new(&terminated).parse_content_type().into_owned() {
        HeaderValue::ContentType(parsed) => Some(parsed),
        _ => None,
    }
}

/// The bodies between the delimiters of `boundary` (RFC 2046, section 5.1.1), preamble and epilogue left out.
fn split<'a>(body: &'a [u8], boundary: &str, limit: usize) -> Result<Vec<&'a [u8]>, Malformed> {
    let mut parts = Vec::new();
    let mut start = None;
    let mut at = 0;
    while at < body.len() {
        let end = memchr::memchr(b'\n', &body[at..]).map_or(body.len(), |n| at + n + 1);
        if let Some(closes) = delimiter(&body[at..end], boundary.as_bytes()) {
            if let Some(start) = start {
                parts.push(&body[start..without_line_end(body, start, at)]);
                if parts.len() > limit {
                    return Err(Malformed::TooManyParts);
                }
            }
            if closes {
                return Ok(parts);
            }
            start = Some(end);
        }
        at = end;
    }
    // A missing close delimiter is common when mail is cut; the last part is what is left.
    if let Some(start) = start {
        parts.push(&body[start..]);
    }
    Ok(parts)
}

/// Whether the line is a delimiter of the boundary, and if so whether it closes.
fn delimiter(line: &[u8], boundary: &[u8]) -> Option<bool> {
    let rest = line.strip_prefix(b"--")?.strip_prefix(boundary)?;
    let (closes, rest) = match rest.strip_prefix(b"--") {
        Some(rest) => (true, rest),
        None => (false, rest),
    };
    rest.iter().all(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n')).then_some(closes)
}

/// The line end before a delimiter belongs to the delimiter.
fn without_line_end(body: &[u8], start: usize, at: usize) -> usize {
    let mut end = at;
    if end > start && body[end - 1] == b'\n' {
        end -= 1;
        if end > start && body[end - 1] == b'\r' {
            end -= 1;
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_in_document_order_without_preamble() {
        let raw = b"Content-Type: multipart/mixed; boundary=b\r\n\r\npreamble\r\n--b\r\n\r\none\r\n--b\r\nContent-Type: text/html\r\n\r\ntwo\r\n--b--\r\nepilogue";
        let message = parse(raw).unwrap();
        let seen: Vec<_> = message.entities.iter().map(|e| (e.media_type.as_str(), e.body, e.depth)).collect();
        assert_eq!(seen[1], ("text/plain", &b"one"[..], 1));
        assert_eq!(seen[2], ("text/html", &b"two"[..], 1));
        assert_eq!(seen.len(), 3);
    }

    #[test]
    fn forty_thousand_nested_messages_are_refused_not_parsed() {
        let raw = "Content-Type: message/rfc822\r\n\r\n".repeat(40_000) + "end";
        assert_eq!(parse(raw.as_bytes()).unwrap_err(), Malformed::TooDeep);
    }

    #[test]
    fn a_hundred_thousand_parts_are_refused() {
        let raw = "Content-Type: multipart/mixed; boundary=b\r\n\r\n".to_owned() + &"--b\r\n\r\nx\r\n".repeat(100_000);
        assert_eq!(parse(raw.as_bytes()).unwrap_err(), Malformed::TooManyParts);
    }

    #[test]
    fn nested_multiparts_with_one_boundary_end() {
        let raw = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n".repeat(20_000);
        assert!(parse(raw.as_bytes()).is_err() || parse(raw.as_bytes()).unwrap().entities.len() <= MAX_PARTS);
    }

    #[test]
    fn a_multipart_without_any_part_is_text_unless_it_could_have_one() {
        for (raw, expected) in [
            (&b"Content-Type: multipart/mixed\r\n\r\nhola\r\n"[..], "text/plain"),
            (b"Content-Type: multipart/mixed; boundary=b\r\n\r\nhola\r\n", "text/plain"),
            (b"Content-Type: multipart/report; boundary=b\r\n\r\n--c\r\n\r\nReceived: x\r\n--c--\r\n", "multipart/report"),
        ] {
            assert_eq!(parse(raw).unwrap().entities[0].media_type, expected);
        }
    }

    #[test]
    fn a_digest_without_types_holds_messages() {
        let raw = b"Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nFrom: x@y.example\r\n\r\nhi\r\n--b--\r\n";
        assert_eq!(parse(raw).unwrap().entities[1].media_type, "message/rfc822");
    }
}

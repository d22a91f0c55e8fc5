//! Tags and text of HTML that the sanitiser wrote: every `<` starts a tag, attributes are double-quoted, elements
//! are closed in order, and the only entities are those of its serialiser.

/// A piece of clean HTML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// `<p>`, `</p>`.
    Tag(&'a str),
    /// Text between tags, entities decoded.
    Text(String),
}

/// Splits clean HTML.
pub(super) fn tokenise(clean: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = clean;
    while !rest.is_empty() {
        if rest.starts_with('<') {
            let end = tag_end(rest);
            tokens.push(Token::Tag(&rest[..end]));
            rest = &rest[end..];
        } else {
            let end = rest.find('<').unwrap_or(rest.len());
            tokens.push(Token::Text(unescape(&rest[..end])));
            rest = &rest[end..];
        }
    }
    tokens
}

fn tag_end(tag: &str) -> usize {
    let mut quoted = false;
    for (at, byte) in tag.bytes().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b'>' if !quoted => return at + 1,
            _ => {}
        }
    }
    tag.len()
}

/// Text of the serialiser's few entities.
pub(super) fn unescape(text: &str) -> String {
    if !text.contains('&') {
        return text.to_owned();
    }
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&nbsp;", "\u{a0}").replace("&amp;", "&")
}

/// The element's name of a tag.
pub(super) fn name(tag: &str) -> &str {
    tag.trim_start_matches(['<', '/']).split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default()
}

/// Whether a tag closes its element.
pub(super) fn is_end(tag: &str) -> bool {
    tag.starts_with("</")
}

/// Whether an element has no content and no end tag.
pub(super) fn is_void(tag: &str) -> bool {
    matches!(name(tag), "br" | "hr" | "img")
}

/// An attribute's value, entities decoded.
pub(super) fn attribute(tag: &str, wanted: &str) -> Option<String> {
    let mut rest = tag.split_once(' ')?.1;
    loop {
        let (key, after) = rest.split_once("=\"")?;
        let (value, after) = after.split_once('"')?;
        if key.trim() == wanted {
            return Some(unescape(value));
        }
        rest = after;
    }
}

/// Whether a reader sees a line end where a tag stands.
pub(super) fn is_block(tag: &str) -> bool {
    !matches!(
        name(tag),
        "a" | "abbr"
            | "b"
            | "bdi"
            | "cite"
            | "code"
            | "del"
            | "em"
            | "font"
            | "i"
            | "img"
            | "ins"
            | "label"
            | "mark"
            | "q"
            | "s"
            | "small"
            | "span"
            | "strike"
            | "strong"
            | "sub"
            | "sup"
            | "u"
    )
}

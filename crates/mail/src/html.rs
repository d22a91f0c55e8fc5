//! HTML from strangers: cleaned by an allow-list, turned into text, masked on what a reader sees.
//!
//! Invariant: what comes out loads nothing from anywhere, holds no comment, style, class or hidden data,
//! and its only attributes are `href` (http and https), `dir`, `lang` and table spans.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use ammonia::Builder;
use mail_parser::decoders::html::html_to_text;

use crate::mask::{Masking, find_spans};

/// Tags that ordinary mail is made of. `img` is missing on purpose: a remote picture is a read receipt.
const TAGS: [&str; 42] = [
    "a",
    "abbr",
    "b",
    "blockquote",
    "br",
    "center",
    "cite",
    "code",
    "dd",
    "del",
    "div",
    "dl",
    "dt",
    "em",
    "font",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "i",
    "ins",
    "li",
    "ol",
    "p",
    "pre",
    "q",
    "s",
    "small",
    "span",
    "strong",
    "sub",
    "sup",
    "table",
    "tbody",
    "td",
    "th",
    "thead",
    "tr",
    "u",
];

static CLEANER: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let mut tags: HashSet<&str> = TAGS.into_iter().collect();
    tags.insert("ul");
    let attributes = HashMap::from([
        ("a", HashSet::from(["href"])),
        ("td", HashSet::from(["colspan", "rowspan"])),
        ("th", HashSet::from(["colspan", "rowspan"])),
    ]);
    let mut builder = Builder::empty();
    builder
        .tags(tags)
        .tag_attributes(attributes)
        .generic_attributes(HashSet::from(["dir"]))
        .clean_content_tags(HashSet::from(["script", "style", "title", "noscript", "template", "svg", "math"]))
        .url_schemes(HashSet::from(["http", "https"]))
        .url_relative(ammonia::UrlRelative::Deny)
        .link_rel(Some("noopener noreferrer nofollow"))
        .attribute_filter(|_, attribute, value| match attribute {
            "dir" => ["ltr", "rtl", "auto"].contains(&value).then(|| value.into()),
            "colspan" | "rowspan" => (value.len() <= 3 && value.bytes().all(|b| b.is_ascii_digit())).then(|| value.into()),
            _ => Some(value.into()),
        })
        .strip_comments(true);
    builder
});

/// Clean HTML and what was taken out of it.
#[derive(Debug, Clone)]
pub struct Sanitised {
    /// Well-formed HTML of allowed tags only.
    pub html: String,
    /// How many pictures stood in it.
    pub pictures_removed: usize,
}

/// Deepest nesting that is opened. Tree building is quadratic in it: 100,000 levels took a minute.
const MAX_NESTING: usize = 400;
/// Most tags that are opened; a long newsletter has a few thousand.
const MAX_TAGS: usize = 50_000;

/// Cleans HTML by the allow-list; `None` for a bomb, which is a part like any other that we do not pass.
#[must_use]
pub fn sanitise(html: &str) -> Option<Sanitised> {
    if !is_reasonable(html) {
        return None;
    }
    let pictures_removed = html.as_bytes().windows(4).filter(|w| w.eq_ignore_ascii_case(b"<img")).count();
    Some(Sanitised { html: CLEANER.clean(html).to_string(), pictures_removed })
}

/// Whether nesting and number of tags stay within the limits, estimated from the tags alone.
fn is_reasonable(html: &str) -> bool {
    // Elements that are never closed or close one another do not nest.
    const FLAT: [&str; 20] = [
        "area", "base", "br", "col", "dd", "dt", "embed", "hr", "img", "input", "li", "link", "meta", "option", "p", "param", "source",
        "tr", "wbr", "body",
    ];
    // An end tag closes an element only if it is open, and never reaches out of a table or button.
    const WALLS: [&str; 6] = ["table", "td", "th", "caption", "button", "object"];
    let bytes = html.as_bytes();
    let (mut open, mut tags): (Vec<String>, usize) = (Vec::new(), 0);
    for at in memchr::memchr_iter(b'<', bytes) {
        tags += 1;
        let (name_at, is_end) = if bytes.get(at + 1) == Some(&b'/') { (at + 2, true) } else { (at + 1, false) };
        let name: String = bytes[name_at.min(bytes.len())..]
            .iter()
            .take(12)
            .take_while(|b| b.is_ascii_alphanumeric())
            .map(|b| char::from(b.to_ascii_lowercase()))
            .collect();
        if name.is_empty() || FLAT.contains(&name.as_str()) {
            continue;
        }
        if is_end {
            let reachable = open.iter().rev().position(|o| *o == name || WALLS.contains(&o.as_str()));
            if let Some(above) = reachable.filter(|above| open[open.len() - 1 - above] == name) {
                open.truncate(open.len() - 1 - above);
            }
        } else {
            if name == "td" || name == "th" {
                // A cell closes the one before it in its table.
                let cell = open.iter().rev().take_while(|o| *o != "table").position(|o| o == "td" || o == "th");
                if let Some(above) = cell {
                    open.truncate(open.len() - 1 - above);
                }
            }
            open.push(name);
        }
        if open.len() > MAX_NESTING || tags > MAX_TAGS {
            return false;
        }
    }
    tags <= MAX_TAGS
}

/// The text a reader sees, for the text alternative (C9).
#[must_use]
pub fn to_text(html: &str) -> String {
    html_to_text(html).replace("\r\n", "\n").trim().to_owned()
}

/// Plain text as HTML: escaped, line ends kept.
#[must_use]
pub fn from_text(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 32);
    out.push_str("<div>");
    for (n, line) in text.trim_end_matches('\n').split('\n').enumerate() {
        if n > 0 {
            out.push_str("<br>\n");
        }
        escape_into(&mut out, line);
    }
    out.push_str("</div>\n");
    out
}

/// Escapes text for an element or a quoted attribute.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    escape_into(&mut out, text);
    out
}

fn escape_into(out: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
}

/// Masks every address in sanitised HTML, matched on the visible text so that tags cannot split one
/// (privacy B28), and takes away links that carry one (B22, B29). Gives the HTML and how many were masked.
#[must_use]
pub fn mask(clean: &str, masking: &Masking<'_>) -> (String, usize) {
    let tokens = tokenise(clean);
    // The visible text as one run of characters; block tags end a run so that unrelated words do not join.
    let mut visible: Vec<char> = Vec::new();
    let mut origin: Vec<usize> = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        match token {
            Token::Tag(tag) if is_block(tag) => {
                visible.push('\n');
                origin.push(index);
            }
            Token::Tag(_) => {}
            Token::Text(text) => {
                visible.extend(text);
                origin.extend(std::iter::repeat_n(index, text.len()));
            }
        }
    }
    let found = find_spans(&visible);
    let mut texts: HashMap<usize, Vec<char>> = HashMap::new();
    let mut at = 0;
    let mut spans = found.iter().peekable();
    while at < visible.len() {
        if let Some(span) = spans.peek()
            && span.range.start == at
        {
            texts.entry(origin[at]).or_default().extend(masking.in_place_of(span).chars());
            at = span.range.end;
            spans.next();
            continue;
        }
        texts.entry(origin[at]).or_default().push(visible[at]);
        at += 1;
    }
    let mut masked = found.len();
    let mut out = String::with_capacity(clean.len());
    for (index, token) in tokens.iter().enumerate() {
        match token {
            Token::Tag(tag) if carries_secret(tag) => {
                out.push_str("<a>");
                masked += 1;
            }
            Token::Tag(tag) => out.push_str(tag),
            Token::Text(_) => escape_into(&mut out, &texts.remove(&index).unwrap_or_default().into_iter().collect::<String>()),
        }
    }
    (out, masked)
}

enum Token<'a> {
    Tag(&'a str),
    Text(Vec<char>),
}

/// Splits HTML that the sanitiser wrote: every `<` starts a tag, attributes are double-quoted, and the only
/// entities are those that its serialiser writes.
fn tokenise(clean: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = clean;
    while !rest.is_empty() {
        if rest.starts_with('<') {
            let end = tag_end(rest);
            tokens.push(Token::Tag(&rest[..end]));
            rest = &rest[end..];
        } else {
            let end = rest.find('<').unwrap_or(rest.len());
            tokens.push(Token::Text(unescape(&rest[..end]).chars().collect()));
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

fn unescape(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&nbsp;", "\u{a0}").replace("&amp;", "&")
}

fn is_block(tag: &str) -> bool {
    let name = tag.trim_start_matches(['<', '/']).split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default();
    !matches!(
        name,
        "a" | "abbr"
            | "b"
            | "cite"
            | "code"
            | "del"
            | "em"
            | "font"
            | "i"
            | "ins"
            | "q"
            | "s"
            | "small"
            | "span"
            | "strong"
            | "sub"
            | "sup"
            | "u"
    )
}

/// Whether a link carries an address, or is one of ours.
fn carries_secret(tag: &str) -> bool {
    let Some((_, rest)) = tag.split_once("href=\"") else { return false };
    let url = unescape(rest.split('"').next().unwrap_or_default());
    // Twice: an address inside a redirect target is encoded twice.
    let once = percent_decode(&url);
    let twice = percent_decode(&once);
    [url, once, twice].iter().any(|u| !find_spans(&u.chars().collect::<Vec<_>>()).is_empty())
}

fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = bytes.get(at + 1..at + 3).and_then(|h| std::str::from_utf8(h).ok()).and_then(|h| u8::from_str_radix(h, 16).ok());
        match (bytes[at], hex) {
            (b'%', Some(value)) => {
                out.push(value);
                at += 3;
            }
            (byte, _) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MASKING: Masking<'static> = Masking { mask: "[address removed]", link: "[link]" };

    fn masked(html: &str) -> String {
        mask(&sanitise(html).unwrap().html, &MASKING).0
    }

    #[test]
    fn an_address_split_by_tags_entities_and_zero_width_is_masked() {
        for html in [
            "<p>write to ana<wbr>@<span>shop</span>.example now</p>",
            "<p>write to ana&#64;shop.example now</p>",
            "<p>write to ana@sh\u{200b}op.example now</p>",
            "<p>write to <b>an</b>a@<i>shop.ex</i>ample now</p>",
        ] {
            let out = to_text(&masked(html));
            assert_eq!(out, "write to [address removed] now", "{html}");
        }
    }

    #[test]
    fn links_that_carry_an_address_lose_it() {
        for html in [
            "<a href=\"mailto:ana@shop.example\">mail</a>",
            "<a href=\"https://x.example/?to=ana%40shop.example\">mail</a>",
            "<a href=\"https://x.example/?u=https%3A%2F%2Fy.example%2F%3Fm%3Dana%2540shop.example\">mail</a>",
        ] {
            let out = masked(html);
            assert!(!out.contains("ana") && out.contains("mail"), "{out}");
        }
    }

    #[test]
    fn nothing_is_loaded_from_anywhere() {
        let out = masked(
            "<img src=http://x/><div style=\"background:url(http://x/)\">a</div><link href=//x><svg><image href=//x></svg><video poster=//x></video><form action=//x><input></form><!-- ana@x -->",
        );
        assert_eq!(out.trim(), "<div>a</div>");
    }

    #[test]
    fn bombs_are_not_opened() {
        for bomb in [
            "<div>".repeat(100_000),
            "<b><p>".repeat(100_000),
            "<table><td>".repeat(1_000),
            "<br>".repeat(60_000),
            "<div></x>".repeat(25_000),
            "<div><table><td></div>".repeat(5_000),
        ] {
            assert!(sanitise(&bomb).is_none());
        }
        let deep = "<div>".repeat(300) + "x";
        assert!(masked(&deep).contains('x'));
    }
}

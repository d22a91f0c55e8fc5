//! HTML from strangers: cleaned by an allow-list, turned into text, scrubbed on what a reader sees.
//!
//! Invariant: what comes out loads nothing from anywhere but the message itself (`cid:`), holds no comment, class,
//! hidden element or data, and its styles follow a strict grammar.

mod scrub;
mod style;
mod text;
mod tokens;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use ammonia::Builder;
use mail_parser::decoders::html::html_to_text;

use crate::scrub::{Counts, Scrubber};
use tokens::{Token, attribute, is_end, is_void, name, tokenise};

/// Tags that ordinary mail is made of. Of pictures only those that the message brings along: a remote one is a read
/// receipt.
const TAGS: [&str; 64] = [
    "a",
    "abbr",
    "address",
    "article",
    "aside",
    "b",
    "bdi",
    "blockquote",
    "br",
    "caption",
    "center",
    "cite",
    "code",
    "dd",
    "del",
    "details",
    "div",
    "dl",
    "dt",
    "em",
    "fieldset",
    "figcaption",
    "figure",
    "font",
    "footer",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "header",
    "hr",
    "i",
    "img",
    "ins",
    "label",
    "legend",
    "li",
    "main",
    "mark",
    "nav",
    "ol",
    "p",
    "pre",
    "q",
    "s",
    "section",
    "small",
    "span",
    "strike",
    "strong",
    "sub",
    "summary",
    "sup",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "tr",
    "u",
    "ul",
];

static CLEANER: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let attributes = HashMap::from([
        ("a", HashSet::from(["href"])),
        ("img", HashSet::from(["src", "alt", "width", "height"])),
        ("font", HashSet::from(["color", "size"])),
        ("table", HashSet::from(["width", "border", "cellpadding", "cellspacing", "bgcolor"])),
        ("tr", HashSet::from(["bgcolor", "valign"])),
        ("td", HashSet::from(["colspan", "rowspan", "width", "bgcolor", "valign"])),
        ("th", HashSet::from(["colspan", "rowspan", "width", "bgcolor", "valign"])),
        ("ol", HashSet::from(["start"])),
    ]);
    let mut builder = Builder::empty();
    builder
        .tags(TAGS.into_iter().collect())
        .tag_attributes(attributes)
        .generic_attributes(HashSet::from(["dir", "align", "style", "hidden"]))
        .clean_content_tags(HashSet::from(["script", "style", "title", "noscript", "template", "svg", "math", "textarea", "select"]))
        .url_schemes(HashSet::from(["http", "https", "mailto", "tel", "cid"]))
        .url_relative(ammonia::UrlRelative::Deny)
        .link_rel(Some("noopener noreferrer nofollow"))
        .attribute_filter(allowed_value)
        .strip_comments(true);
    builder
});

/// The value of an attribute as it may stand.
fn allowed_value<'a>(element: &str, attribute: &str, value: &'a str) -> Option<Cow<'a, str>> {
    let is_number = |most: usize| value.len() <= most && !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
    let is_measure = value.len() <= 5 && value.trim_end_matches('%').bytes().all(|b| b.is_ascii_digit()) && !value.is_empty();
    let passes = match attribute {
        "href" => !value.to_ascii_lowercase().starts_with("cid:"),
        "src" => element == "img" && value.starts_with("cid:"),
        "dir" => ["ltr", "rtl", "auto"].contains(&value),
        "align" | "valign" => ["left", "right", "center", "justify", "top", "middle", "bottom", "baseline"].contains(&value),
        "colspan" | "rowspan" | "start" => is_number(3),
        "border" | "cellpadding" | "cellspacing" => is_number(2),
        "width" | "height" => is_measure,
        "color" | "bgcolor" => style::is_colour(value),
        "size" => {
            value.len() == 1 && is_number(1)
                || value.len() == 2 && value.starts_with(['+', '-']) && value.ends_with(|c: char| c.is_ascii_digit())
        }
        "style" => return style::clean(value).map(Cow::Owned),
        "alt" => true,
        "hidden" => return Some(Cow::Borrowed("hidden")),
        _ => false,
    };
    passes.then_some(Cow::Borrowed(value))
}

/// Clean HTML and what was taken out of it.
#[derive(Debug, Clone)]
pub struct Sanitised {
    /// Well-formed HTML of allowed tags only.
    pub html: String,
    /// How many pictures were taken out: remote ones, and those that stand in the link itself.
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
    let pictures = |text: &str| text.as_bytes().windows(4).filter(|w| w.eq_ignore_ascii_case(b"<img")).count();
    let clean = as_shown(&CLEANER.clean(html).to_string());
    let pictures_removed = pictures(html).saturating_sub(pictures(&clean));
    Some(Sanitised { html: clean, pictures_removed })
}

/// Clean HTML as its reader sees it: without hidden elements, which nobody wrote to be read (privacy B23), and with the line
/// ends that a style makes of white space as `<br>`.
fn as_shown(clean: &str) -> String {
    if !["<img", "hidden=", style::HIDDEN, style::LINES].iter().any(|mark| clean.contains(mark)) {
        return clean.to_owned();
    }
    let mut out = String::with_capacity(clean.len());
    // Elements open within the hidden one, and within the one whose line ends count, itself among them.
    let (mut hidden, mut lines) = (0_usize, 0_usize);
    for token in tokenise(clean) {
        match token {
            Token::Tag(tag) if hidden > 0 => match (is_void(tag), is_end(tag)) {
                (true, _) => {}
                (_, true) => hidden -= 1,
                (_, false) => hidden += 1,
            },
            Token::Tag(tag) if !is_end(tag) && is_hidden(tag) => hidden = usize::from(!is_void(tag)),
            Token::Tag(tag) => {
                match (is_void(tag), is_end(tag)) {
                    (true, _) => {}
                    (_, true) => lines = lines.saturating_sub(1),
                    (_, false) if lines > 0 || tag.contains(style::LINES) => lines += 1,
                    _ => {}
                }
                out.push_str(tag);
            }
            Token::Text(_) if hidden > 0 => {}
            Token::Text(text) => {
                for (n, line) in text.split('\n').enumerate() {
                    if n > 0 {
                        out.push_str(if lines > 0 { "<br>" } else { "\n" });
                    }
                    escape_into(&mut out, line);
                }
            }
        }
    }
    out
}

/// Whether an element is not shown; a picture without a source shows nothing.
fn is_hidden(tag: &str) -> bool {
    let is_styled_away = attribute(tag, "style").as_deref() == Some(style::HIDDEN) || attribute(tag, "hidden").is_some();
    is_styled_away || (name(tag) == "img" && attribute(tag, "src").is_none())
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
pub fn to_text(clean: &str) -> String {
    text::of_clean(clean)
}

/// The same of HTML that is beyond the limits of the sanitiser: words and lines without further structure, in one pass.
#[must_use]
pub fn to_text_unread(html: &str) -> String {
    const ENDS: [&str; 8] = ["div", "td", "tr", "li", "h1", "h2", "h3", "section"];
    let mut lines = String::with_capacity(html.len() + html.len() / 8);
    for (n, piece) in html.split('<').enumerate() {
        if n > 0 {
            let name = piece.trim_start_matches('/').get(..7).unwrap_or(piece.trim_start_matches('/')).to_ascii_lowercase();
            lines.push_str(if ENDS.iter().any(|e| name.starts_with(e)) { "<br><" } else { "<" });
        }
        lines.push_str(piece);
    }
    html_to_text(&lines).replace("\r\n", "\n").trim().to_owned()
}

/// HTML without pictures that stand in the link itself: they are most of what makes mail long, and never pass.
#[must_use]
pub fn without_data_links(html: &str) -> String {
    let mut out = String::with_capacity(html.len().min(1 << 20));
    let mut rest = html;
    while let Some(at) = rest.find("data:image/") {
        out.push_str(&rest[..at]);
        let end = rest[at..].find(|c: char| matches!(c, '"' | '\'' | '>' | ')') || c.is_whitespace()).unwrap_or(rest.len() - at);
        rest = &rest[at + end..];
    }
    out.push_str(rest);
    out
}

/// Content-IDs of the pictures that clean HTML shows.
#[must_use]
pub fn pictures(clean: &str) -> HashSet<String> {
    let tags = tokenise(clean).into_iter().filter_map(|t| if let Token::Tag(tag) = t { Some(tag) } else { None });
    let sources = tags.filter(|tag| name(tag) == "img").filter_map(|tag| attribute(tag, "src"));
    sources.filter_map(|src| src.strip_prefix("cid:").map(str::to_owned)).collect()
}

/// Scrubs sanitised HTML, matched on the visible text so that tags cannot split anything (privacy B28); links that
/// may not stand lose their target, visibly (B22, B29). `pictures` gives the new Content-ID of a picture that
/// travels along; every other one is left out.
#[must_use]
pub fn scrub(clean: &str, scrubber: &Scrubber, pictures: &HashMap<String, String>) -> (String, Counts) {
    scrub::scrub(clean, scrubber, pictures)
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

#[cfg(test)]
mod tests;

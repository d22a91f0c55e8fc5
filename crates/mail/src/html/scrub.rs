//! The scrubber over clean HTML: matched on the visible text, so that tags cannot split anything (privacy B28),
//! with links, captions and pictures by rules of their own.

use std::collections::{HashMap, HashSet};

use crate::html::escape;
use crate::html::tokens::{Token, attribute, is_block, is_end, is_void, name, tokenise};
use crate::scrub::{Counts, Kind, Scrubber, Span};

/// What a link is replaced with once its words were written.
struct Pending {
    kind: Kind,
    /// Tokens from here on are its words.
    from: usize,
}

/// Scrubs clean HTML. `pictures` gives the new Content-ID of a picture that travels along.
pub(super) fn scrub(clean: &str, scrubber: &Scrubber, pictures: &HashMap<String, String>) -> (String, Counts) {
    let tokens = tokenise(clean);
    let visible = Visible::of(&tokens);
    let spans = scrubber.find(&visible.chars, &visible.depths);
    let mut counts = Counts::default();
    spans.iter().for_each(|s| counts.count(s.kind));
    let (mut texts, touched) = visible.texts(&spans, scrubber);
    let mut out = String::with_capacity(clean.len());
    let mut links: Vec<Option<Pending>> = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        let tag = match token {
            Token::Text(_) => {
                out.push_str(&escape(&texts.remove(&index).unwrap_or_default()));
                continue;
            }
            Token::Tag(tag) => *tag,
        };
        match (name(tag), is_end(tag)) {
            ("a", false) => {
                let refused = attribute(tag, "href").and_then(|href| refused_kind(&href, scrubber));
                out.push_str(if refused.is_some() || attribute(tag, "href").is_none() { "<a>" } else { tag });
                links.push(refused.map(|kind| Pending { kind, from: index }));
            }
            ("a", true) => {
                out.push_str("</a>");
                if let Some(Some(link)) = links.pop() {
                    // Words that show the address or link themselves are masked already.
                    if !(link.from..index).any(|n| touched.contains(&n)) {
                        counts.count(link.kind);
                        let span = Span { range: 0..1, kind: link.kind, is_masked: true };
                        out.push(' ');
                        out.push_str(&escape(scrubber.in_place_of(&span)));
                    }
                }
            }
            ("img", _) => {
                let id = attribute(tag, "src").and_then(|src| src.strip_prefix("cid:").map(str::to_owned));
                if let Some(new) = id.and_then(|id| pictures.get(&id)) {
                    out.push_str(&picture(tag, new, scrubber, &mut counts));
                }
            }
            _ => out.push_str(tag),
        }
    }
    (out, counts)
}

/// What a link is, if it may not stand.
fn refused_kind(href: &str, scrubber: &Scrubber) -> Option<Kind> {
    let lower = href.to_ascii_lowercase();
    if lower.contains(crate::scrub::LINK_MARK) {
        return Some(Kind::OwnLink);
    }
    if lower.starts_with("tel:") {
        // A number that passes stands in the words; the link would dial another one.
        return scrubber.phones.is_some().then_some(Kind::Phone);
    }
    if lower.starts_with("mailto:") {
        return Some(Kind::Address);
    }
    (!scrubber.allows_link(href)).then_some(Kind::Link)
}

/// A picture that travels along, under its new name.
fn picture(tag: &str, id: &str, scrubber: &Scrubber, counts: &mut Counts) -> String {
    let mut out = format!("<img src=\"cid:{}\"", escape(id));
    for size in ["width", "height"] {
        if let Some(value) = attribute(tag, size) {
            out.push_str(&format!(" {size}=\"{}\"", escape(&value)));
        }
    }
    if let Some(alt) = attribute(tag, "alt") {
        let (alt, masked) = scrubber.file_name(&alt);
        *counts += masked;
        out.push_str(&format!(" alt=\"{}\"", escape(&alt)));
    }
    out.push('>');
    out
}

/// The visible text as one run of characters: block tags end a line, so that unrelated words do not join.
struct Visible {
    chars: Vec<char>,
    /// The token from which each character comes.
    origin: Vec<u32>,
    /// How deep each line stands in quotations.
    depths: Vec<u8>,
}

impl Visible {
    fn of(tokens: &[Token<'_>]) -> Self {
        let mut out = Self { chars: Vec::new(), origin: Vec::new(), depths: Vec::new() };
        let (mut depth, mut pre) = (0_u8, 0_usize);
        for (index, token) in tokens.iter().enumerate() {
            match token {
                Token::Tag(tag) => {
                    let tag_name = name(tag);
                    if tag_name == "br" || (is_block(tag) && !is_void(tag) && out.chars.last() != Some(&'\n')) || tag_name == "hr" {
                        out.end_line(index, depth);
                    }
                    match (tag_name, is_end(tag)) {
                        ("blockquote", false) => depth = depth.saturating_add(1),
                        ("blockquote", true) => depth = depth.saturating_sub(1),
                        ("pre", false) => pre += 1,
                        ("pre", true) => pre = pre.saturating_sub(1),
                        _ => {}
                    }
                }
                Token::Text(text) => {
                    for c in text.chars() {
                        if c == '\n' && pre > 0 {
                            out.end_line(index, depth);
                        } else {
                            out.chars.push(if c == '\n' { ' ' } else { c });
                            out.origin.push(u32::try_from(index).unwrap_or(u32::MAX));
                        }
                    }
                }
            }
        }
        out.depths.push(depth);
        out
    }

    fn end_line(&mut self, index: usize, depth: u8) {
        self.chars.push('\n');
        self.origin.push(u32::try_from(index).unwrap_or(u32::MAX));
        self.depths.push(depth);
    }

    /// The text of each token after masking, and which tokens were touched.
    fn texts(&self, spans: &[Span], scrubber: &Scrubber) -> (HashMap<usize, String>, HashSet<usize>) {
        let mut texts: HashMap<usize, String> = HashMap::new();
        let mut touched = HashSet::new();
        let mut at = 0;
        for span in spans {
            for n in at..span.range.start {
                texts.entry(self.origin[n] as usize).or_default().push(self.chars[n]);
            }
            touched.extend(self.origin[span.range.clone()].iter().map(|n| *n as usize));
            // A mask stands in the first text of its span, never where only a tag is.
            let first = span.range.clone().find(|n| self.chars[*n] != '\n');
            if let Some(n) = first {
                texts.entry(self.origin[n] as usize).or_default().push_str(scrubber.in_place_of(span));
            }
            at = span.range.end;
        }
        for n in at..self.chars.len() {
            texts.entry(self.origin[n] as usize).or_default().push(self.chars[n]);
        }
        (texts, touched)
    }
}

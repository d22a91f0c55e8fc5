//! The text a reader of HTML sees, for the text alternative (C9).

use crate::html::tokens::{Token, attribute, is_end, name, tokenise};

/// Text of clean HTML: paragraphs on lines of their own, links behind their words, lists with dashes, quotations
/// with their mark.
pub(super) fn of_clean(clean: &str) -> String {
    let mut out = Text::default();
    let mut links: Vec<Option<(String, usize)>> = Vec::new();
    for token in tokenise(clean) {
        match token {
            Token::Text(text) if out.pre > 0 => out.verbatim(&text),
            Token::Text(text) => out.words(&text),
            Token::Tag(tag) => match (name(tag), is_end(tag)) {
                ("br", _) => out.line(),
                ("hr", _) => {
                    out.block(1);
                    out.words("----");
                    out.block(1);
                }
                ("a", false) => links.push(attribute(tag, "href").map(|href| (href, out.text.len()))),
                ("a", true) => {
                    if let Some(Some((href, from))) = links.pop() {
                        out.link(&href, from);
                    }
                }
                ("blockquote", end) => {
                    out.block(2);
                    out.depth = if end { out.depth.saturating_sub(1) } else { out.depth + 1 };
                }
                ("pre", end) => {
                    out.block(1);
                    out.pre = if end { out.pre.saturating_sub(1) } else { out.pre + 1 };
                }
                ("li", false) => {
                    out.block(1);
                    out.words("- ");
                }
                ("td" | "th", false) => out.cell(),
                ("p" | "figure" | "fieldset" | "details" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "ul" | "ol" | "dl" | "table", _) => {
                    out.block(2)
                }
                (
                    "div" | "tr" | "section" | "article" | "aside" | "header" | "footer" | "main" | "nav" | "address" | "caption"
                    | "figcaption" | "legend" | "summary" | "center" | "dt" | "dd" | "li",
                    _,
                ) => out.block(1),
                _ => {}
            },
        }
    }
    out.text.trim().to_owned()
}

#[derive(Default)]
struct Text {
    text: String,
    /// Line ends that are due before the next word.
    due: usize,
    space: bool,
    depth: usize,
    /// Depth of the line above.
    above: usize,
    pre: usize,
}

impl Text {
    fn words(&mut self, text: &str) {
        for c in text.chars() {
            if matches!(c, ' ' | '\n' | '\t' | '\r') {
                self.space = true;
            } else {
                self.push(c);
            }
        }
    }

    fn verbatim(&mut self, text: &str) {
        for c in text.chars() {
            if c == '\n' { self.line() } else { self.push(c) }
        }
    }

    fn push(&mut self, c: char) {
        self.begin();
        if self.space && !self.text.is_empty() && !self.text.ends_with(['\n', ' ']) {
            self.text.push(' ');
        }
        self.space = false;
        self.text.push(c);
    }

    /// Writes the line ends that are due, with the mark of a quotation.
    fn begin(&mut self) {
        if self.due > 0 || self.text.is_empty() {
            let mark = |depth: usize| ">".repeat(depth.min(8));
            for n in 0..self.due {
                if n > 0 {
                    self.text.push_str(&mark(self.depth.min(self.above)));
                }
                self.text.push('\n');
            }
            if self.depth > 0 {
                self.text.push_str(&mark(self.depth));
                self.text.push(' ');
            }
            self.above = self.depth;
            self.due = 0;
            self.space = false;
        }
    }

    fn line(&mut self) {
        self.due = (self.due + 1).min(3);
        self.space = false;
    }

    /// At least `ends` line ends, unless nothing stands above.
    fn block(&mut self, ends: usize) {
        if !self.text.is_empty() {
            self.due = self.due.max(ends);
        }
        self.space = false;
    }

    fn cell(&mut self) {
        if self.due == 0 && !self.text.is_empty() && !self.text.ends_with('\n') {
            self.space = true;
        }
    }

    /// The target of a link behind its words, unless they say it.
    fn link(&mut self, href: &str, from: usize) {
        let from = (0..=from.min(self.text.len())).rev().find(|n| self.text.is_char_boundary(*n)).unwrap_or(0);
        let words = self.text[from..].trim();
        let bare = |link: &str| link.split_once("://").map_or(link, |(_, rest)| rest).trim_end_matches('/').to_owned();
        if href.starts_with("http") && bare(words) != bare(href) && !words.is_empty() {
            self.space = true;
            self.push('<');
            self.text.push_str(href);
            self.text.push('>');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structure_becomes_lines() {
        let html = "<div>Hola <b>Ana</b>,</div><p>uno\n  dos</p><ul><li>a</li><li>b</li></ul><table><tr><td>x</td><td>y</td></tr></table><blockquote>Antes<br>y<blockquote>mucho</blockquote></blockquote><pre>a\n  b</pre><a href=\"https://x.example/t?a=1&amp;b\">aquí</a> <a href=\"https://y.example/\">y.example</a>";
        let expected =
            "Hola Ana,\n\nuno dos\n\n- a\n- b\n\nx y\n\n> Antes\n> y\n>\n>> mucho\n\na\n  b\naquí <https://x.example/t?a=1&b> y.example";
        assert_eq!(of_clean(html), expected);
    }
}

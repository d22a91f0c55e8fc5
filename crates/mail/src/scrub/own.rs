//! What we wrote ourselves and get back in a quotation: banner, footer, links. It was one reader's, and says
//! nothing to the other (W15).

use std::ops::Range;

use crate::scrub::occurrences;

/// Begins the secret of every link of ours, so that one is recognised wherever it comes back. Letters and digits
/// only: programs that rewrite links leave them as they are.
pub const LINK_MARK: &str = "tpl1k";

/// Characters of a conversation's tag in a reference line.
const TAG_LENGTH: usize = 10;
/// How far a link is followed to the left, in characters.
const MAX_LEFT: usize = 1_000;

/// Our own sentences, as they may come back.
#[derive(Debug, Clone, Default)]
pub struct OwnWords {
    /// Sentences that nobody else writes; taken out wherever they stand.
    anchors: Vec<Vec<char>>,
    /// Words that others write too; taken out beside an anchor only.
    satellites: Vec<Vec<char>>,
}

impl OwnWords {
    /// From the sentences as they leave.
    #[must_use]
    pub fn new(anchors: impl IntoIterator<Item = String>, satellites: impl IntoIterator<Item = String>) -> Self {
        let pressed = |text: String| text.chars().filter(|c| !is_air(*c)).collect::<Vec<char>>();
        let mut out = Self {
            anchors: anchors.into_iter().map(pressed).filter(|a| a.len() >= 8).collect(),
            satellites: satellites.into_iter().map(pressed).filter(|s| s.len() >= 3).collect(),
        };
        out.anchors.sort_by_key(|a| std::cmp::Reverse(a.len()));
        out.satellites.sort_by_key(|s| std::cmp::Reverse(s.len()));
        out
    }
}

/// What mail programs add, change or fold around words: white space and marks of quotation and emphasis.
fn is_air(c: char) -> bool {
    c.is_whitespace() || matches!(c, '>' | '<' | '|' | '*' | '_')
}

/// Links of ours: from the mark to both sides up to what no link holds, so that a wrapped one goes whole.
pub(super) fn find_links(chars: &[char]) -> Vec<Range<usize>> {
    let ends = |c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"' | '\'' | '(' | ')' | '[' | ']');
    let mark: Vec<char> = LINK_MARK.chars().collect();
    let mut links: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    while at + mark.len() <= chars.len() {
        if chars[at..at + mark.len()] != mark[..] {
            at += 1;
            continue;
        }
        let floor = links.last().map_or(0, |l| l.end).max(at.saturating_sub(MAX_LEFT));
        let start = (floor..at).rev().find(|&n| ends(chars[n])).map_or(floor, |n| n + 1);
        let end = (at..chars.len()).find(|&n| ends(chars[n])).unwrap_or(chars.len());
        links.push(start..end);
        at = end;
    }
    links
}

/// Our own sentences in a text, whole lines where nothing else stands in them, with the links beside them.
pub(super) fn find_sentences(chars: &[char], own: &OwnWords, links: &[Range<usize>]) -> Vec<Range<usize>> {
    let (mut pressed, mut at): (Vec<char>, Vec<usize>) = (Vec::new(), Vec::new());
    for (n, c) in chars.iter().enumerate().filter(|(_, c)| !is_air(**c)) {
        pressed.push(*c);
        at.push(n);
    }
    let mut taken = references(&pressed);
    for anchor in &own.anchors {
        taken.extend(occurrences(&pressed, anchor));
    }
    if taken.is_empty() {
        return Vec::new();
    }
    taken.sort_by_key(|r| r.start);
    let links: Vec<Range<usize>> = links.iter().map(|l| at.partition_point(|n| *n < l.start)..at.partition_point(|n| *n < l.end)).collect();
    // Outwards from what is surely ours.
    let mut grown: Vec<Range<usize>> = Vec::new();
    for mut range in taken {
        if let Some(last) = grown.last_mut()
            && range.start <= last.end
        {
            last.end = last.end.max(range.end);
            continue;
        }
        while let Some(longer) = extended(&pressed, &range, own, &links) {
            range = longer;
        }
        match grown.last_mut().filter(|last| range.start <= last.end) {
            Some(last) => *last = last.start.min(range.start)..last.end.max(range.end),
            None => grown.push(range),
        }
    }
    grown.into_iter().filter(|r| !r.is_empty()).map(|r| whole_lines(chars, at[r.start]..at[r.end - 1] + 1)).collect()
}

/// One more of our own words or links at either end.
fn extended(pressed: &[char], range: &Range<usize>, own: &OwnWords, links: &[Range<usize>]) -> Option<Range<usize>> {
    for word in own.satellites.iter().chain(&own.anchors) {
        if pressed[..range.start].ends_with(word) {
            return Some(range.start - word.len()..range.end);
        }
        if pressed[range.end..].starts_with(word) {
            return Some(range.start..range.end + word.len());
        }
    }
    let before = links.get(links.partition_point(|l| l.end < range.start)).filter(|l| l.end == range.start && !l.is_empty());
    let after = links.get(links.partition_point(|l| l.start < range.end)).filter(|l| l.start == range.end && !l.is_empty());
    match (before, after) {
        (Some(link), _) => Some(link.start..range.end),
        (_, Some(link)) => Some(range.start..link.end),
        _ if pressed[..range.start].ends_with(&['-', '-']) && !pressed[..range.start].ends_with(&['-', '-', '-']) => {
            Some(range.start - 2..range.end)
        }
        _ => None,
    }
}

/// Reference lines: `[ref:7h2k9qx3mn]`.
fn references(pressed: &[char]) -> Vec<Range<usize>> {
    let open: Vec<char> = "[ref:".chars().collect();
    let found = occurrences(pressed, &open).into_iter().filter_map(|r| {
        let length = pressed[r.end..].iter().take(TAG_LENGTH + 1).position(|c| *c == ']')?;
        let is_tag = length == TAG_LENGTH && pressed[r.end..r.end + length].iter().all(char::is_ascii_alphanumeric);
        is_tag.then_some(r.start..r.end + length + 1)
    });
    found.collect()
}

/// The range with the rest of its lines, where that is air.
fn whole_lines(chars: &[char], range: Range<usize>) -> Range<usize> {
    let start = chars[..range.start].iter().rposition(|c| *c == '\n').map_or(0, |n| n + 1);
    let end = chars[range.end..].iter().position(|c| *c == '\n').map_or(chars.len(), |n| range.end + n + 1);
    let before = chars[start..range.start].iter().all(|c| is_air(*c));
    let after = chars[range.end..end].iter().all(|c| is_air(*c));
    if before && after { start..end } else { range }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(text: &str) -> String {
        let own = OwnWords::new(
            ["Sur, a seller on Market, wrote to you:".to_owned(), "Market passes this message on. Please keep the next line.".to_owned()],
            ["Order 302-1".to_owned(), "Report this message:".to_owned(), "Report this message".to_owned()],
        );
        let chars: Vec<char> = text.chars().collect();
        let links = find_links(&chars);
        let mut out = String::new();
        let mut at = 0;
        for range in find_sentences(&chars, &own, &links) {
            out.extend(&chars[at..range.start]);
            at = range.end;
        }
        out.extend(&chars[at..]);
        out
    }

    #[test]
    fn banner_and_footer_go_from_what_comes_back() {
        let back = "Thanks!\n\n> Sur, a seller on Market, wrote to\n> you:\n> Order 302-1\n>\n> It is sent.\n>\n> --\n> Report this message: <https://m.example/l/tpl1kAbC>\n> Market passes this message on.\n> Please keep the next line.\n> [ref:7h2k9qx3mn]\n";
        assert_eq!(left(back), "Thanks!\n\n>\n> It is sent.\n>\n");
    }

    #[test]
    fn the_same_words_of_a_person_stay() {
        let said = "Report this message: no. About Order 302-1 [ref: x] [ref:INV2025] -- yes";
        assert_eq!(left(said), said);
    }
}

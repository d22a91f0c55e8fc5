//! Fields (ISO/IEC 29500-1, 17.16): those that compute from the document stay; the others are turned into what they
//! last showed; those that show who wrote it or where it lies, and those that hold a text that nobody sees, show nothing.

use super::{Closing, Rewriter};
use crate::docx::relationships::is_public;
use crate::fields::{Kind, names_a_person, read};
use crate::kind::Fault;

/// Fields that are open at one place.
const MAX_OPEN: usize = 1_024;

/// What becomes of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Keep,
    /// Its result stays as text.
    Unlink,
    /// Nothing stays.
    Blank,
}

/// A piece of what is written, and how much had been written when it was noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    start: usize,
    end: usize,
    noted: usize,
}

/// A field that is open.
pub(super) struct Field {
    /// Its marks and its instruction, as written.
    code: Vec<Span>,
    /// Texts of its result, if they may have to go.
    result: Vec<Span>,
    instruction: String,
    /// Known from the result on.
    verdict: Option<Verdict>,
    is_in_result: bool,
    is_simple: bool,
    /// The paragraph in which its result begins, and how many texts of the result stand in it: all that goes if the
    /// field never ends.
    paragraph: Option<usize>,
    within: Option<usize>,
}

impl Span {
    pub(super) fn new(start: usize, end: usize, noted: usize) -> Self {
        Self { start, end, noted }
    }
}

impl Field {
    /// One whose element is its extent.
    pub(super) fn simple(verdict: Verdict, paragraph: Option<usize>) -> Self {
        Self { verdict: Some(verdict), is_in_result: true, is_simple: true, paragraph, ..Self::complex() }
    }

    fn complex() -> Self {
        Self {
            code: Vec::new(),
            result: Vec::new(),
            instruction: String::new(),
            verdict: None,
            is_in_result: false,
            is_simple: false,
            paragraph: None,
            within: None,
        }
    }

    fn is_blanked(&self) -> bool {
        self.is_in_result && self.verdict == Some(Verdict::Blank)
    }

    /// Takes back what was noted from a place on; without a piece of its code nobody knows what it was.
    pub(super) fn forget(&mut self, at: usize) {
        let pieces = self.code.len();
        forget(&mut self.code, at);
        forget(&mut self.result, at);
        self.within = self.within.map(|within| within.min(self.result.len()));
        if self.code.len() < pieces && self.verdict != Some(Verdict::Blank) {
            self.verdict = Some(Verdict::Unlink);
        }
    }
}

impl Rewriter<'_> {
    /// The paragraph that is open.
    pub(super) fn paragraph(&self) -> Option<usize> {
        self.frames.iter().rposition(|frame| frame.closing == Closing::Paragraph)
    }

    pub(super) fn read_text(&mut self, text: &str) {
        if !self.fields.iter().any(Field::is_blanked)
            && let Some(field) = self.fields.iter_mut().rev().find(|field| !field.is_in_result)
        {
            field.instruction.push_str(text);
        }
    }

    pub(super) fn read_instruction(&mut self, text: &str) {
        if let Some(field) = self.fields.last_mut()
            && !field.is_in_result
        {
            field.instruction.push_str(text);
        }
    }

    pub(super) fn end_text(&mut self, start: usize) {
        let span = self.span(start);
        if let Some(field) = self.fields.iter_mut().rev().find(|field| field.is_blanked()) {
            field.result.push(span);
        } else if let Some(field) = self.fields.iter_mut().rev().find(|field| !field.is_in_result) {
            field.code.push(span);
        }
    }

    /// An instruction outside of a field says nothing.
    pub(super) fn end_instruction(&mut self, start: usize) {
        let span = self.span(start);
        if let Some(field) = self.fields.last_mut()
            && !field.is_in_result
        {
            field.code.push(span);
            return;
        }
        self.truncate(start);
    }

    pub(super) fn begin_field(&mut self, start: usize) -> Result<(), Fault> {
        if self.fields.len() >= MAX_OPEN {
            return Err(Fault::Unreadable);
        }
        let code = vec![self.span(start)];
        self.fields.push(Field { code, ..Field::complex() });
        Ok(())
    }

    pub(super) fn begin_simple_field(&mut self, verdict: Verdict) -> Result<(), Fault> {
        if self.fields.len() >= MAX_OPEN {
            return Err(Fault::Unreadable);
        }
        let paragraph = self.paragraph();
        self.fields.push(Field::simple(verdict, paragraph));
        Ok(())
    }

    pub(super) fn separate_field(&mut self, start: usize) {
        let (span, paragraph) = (self.span(start), self.paragraph());
        if let Some(field) = self.fields.last_mut()
            && !field.is_in_result
        {
            field.code.push(span);
            field.is_in_result = true;
            let verdict = field.verdict.unwrap_or_else(|| judge(&field.instruction));
            field.verdict = Some(verdict);
            field.paragraph = paragraph;
            return;
        }
        self.truncate(start);
    }

    pub(super) fn end_field(&mut self, start: usize) {
        let span = self.span(start);
        if let Some(mut field) = self.fields.pop_if(|field| !field.is_simple) {
            field.code.push(span);
            self.settle(field, true);
            return;
        }
        self.truncate(start);
    }

    /// Also ends those that were begun within it and never ended.
    pub(super) fn end_simple_field(&mut self) {
        while let Some(field) = self.fields.pop() {
            let is_simple = field.is_simple;
            self.settle(field, is_simple);
            if is_simple {
                break;
            }
        }
    }

    pub(super) fn end_paragraph(&mut self) {
        let ended = Some(self.frames.len());
        for field in self.fields.iter_mut().filter(|field| field.within.is_none() && field.paragraph == ended) {
            field.within = Some(field.result.len());
        }
    }

    /// At the end of a part, those that never ended.
    pub(super) fn end_open_fields(&mut self) {
        while let Some(field) = self.fields.pop() {
            self.settle(field, false);
        }
    }

    /// Where the end of a field that was to be kept is taken back, so is its begin.
    pub(super) fn reopen_fields(&mut self, at: usize) {
        while let Some((_, code)) = self.ended.pop_if(|(ended, _)| *ended > at) {
            self.cuts.extend(code.iter().filter(|span| span.end <= at).map(|span| Span { noted: at, ..*span }));
        }
    }

    fn settle(&mut self, field: Field, is_whole: bool) {
        let judged = field.verdict.unwrap_or_else(|| judge(&field.instruction));
        let verdict = if is_whole || judged == Verdict::Blank { judged } else { Verdict::Unlink };
        let noted = self.out.len();
        let again = |span: &Span| Span { noted, ..*span };
        if verdict != Verdict::Keep {
            self.cuts.extend(field.code.iter().map(again));
        }
        if verdict == Verdict::Blank {
            let within = if is_whole { None } else { field.within };
            self.cuts.extend(field.result.iter().take(within.unwrap_or(usize::MAX)).map(again));
        }
        // Within the instruction of another field it goes with that one.
        if let Some(outer) = self.fields.last_mut()
            && !outer.is_in_result
        {
            outer.code.extend(field.code.iter().map(again));
        }
        if verdict == Verdict::Keep {
            self.ended.push((noted, field.code));
        }
    }

    fn span(&self, start: usize) -> Span {
        Span::new(start, self.out.len(), self.out.len())
    }
}

/// Takes back the pieces from a place on. They stand in the order in which they were noted.
pub(super) fn forget(spans: &mut Vec<Span>, at: usize) {
    let from = spans.partition_point(|span| span.noted <= at);
    let tail = spans.split_off(from);
    spans.extend(tail.into_iter().filter(|span| span.end <= at).map(|span| Span { noted: at, ..span }));
}

/// Pieces in order, none within another.
pub(super) fn merge(mut spans: Vec<Span>) -> Vec<(usize, usize)> {
    spans.sort_unstable_by_key(|span| (span.start, span.end));
    let mut merged: Vec<(usize, usize)> = Vec::new();
    for span in spans {
        match merged.last_mut() {
            Some((_, end)) if span.start <= *end => *end = span.end.max(*end),
            _ => merged.push((span.start, span.end)),
        }
    }
    merged
}

/// What becomes of a field, from its instruction.
pub(super) fn judge(instruction: &str) -> Verdict {
    let (kind, arguments) = read(instruction);
    match kind {
        Some(Kind::Computed) => Verdict::Keep,
        Some(Kind::Link) if is_kept_link(arguments) => Verdict::Keep,
        Some(Kind::Identity | Kind::Hidden) => Verdict::Blank,
        Some(Kind::Property) if names_a_person(arguments) => Verdict::Blank,
        _ => Verdict::Unlink,
    }
}

/// A link to a public page, or to a place in the document.
fn is_kept_link(arguments: &str) -> bool {
    let arguments = arguments.trim_start();
    let is_local = arguments.get(..2).is_some_and(|switch| switch.eq_ignore_ascii_case("\\l"));
    if is_local {
        return !arguments.contains([':', '@', '/']);
    }
    is_public(arguments.trim_start_matches('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_are_judged() {
        for kept in [" PAGE ", "page\\* MERGEFORMAT", "=SUM(ABOVE)", " HYPERLINK \\l \"_Toc1\" ", "HYPERLINK \"https://shop.example/\""] {
            assert_eq!(judge(kept), Verdict::Keep, "{kept}");
        }
        for unlinked in [
            "",
            "HYPERLINK \"mailto:ana@x.example\"",
            "HYPERLINK \"\\\\\\\\server\\\\ana\"",
            "HYPERLINK \"C:\\\\ana.docx\"",
            "INCLUDEPICTURE \"https://x.example/1.png\"",
            "DOCPROPERTY Order",
            "ADDIN EN.CITE",
            "TITLE",
        ] {
            assert_eq!(judge(unlinked), Verdict::Unlink, "{unlinked}");
        }
        for blanked in [
            " AUTHOR  \\* MERGEFORMAT ",
            "filename \\p",
            "DOCPROPERTY \"Company\"",
            "INFO LastSavedBy",
            "XE \"Ana\"",
            " set who \"Ana\" ",
            "RD \"C:\\\\ana.docx\"",
        ] {
            assert_eq!(judge(blanked), Verdict::Blank, "{blanked}");
        }
    }

    #[test]
    fn pieces_are_merged_and_taken_back() {
        let mut spans = vec![Span::new(0, 2, 4), Span::new(6, 8, 8), Span::new(2, 4, 9), Span::new(8, 9, 9)];
        assert_eq!(merge(spans.clone()), [(0, 4), (6, 9)]);
        forget(&mut spans, 6);
        assert_eq!(merge(spans), [(0, 4)]);
    }
}

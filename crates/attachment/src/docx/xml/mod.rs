//! The XML of a part written anew, event by event: names get the prefixes of our table, entities and document types
//! do not exist, and what no rule understands is left out.
//!
//! Nothing is held but the text that is written. What turns out later to be unwanted is cut off again, or noted as a
//! cut that is made at the end.

mod fields;
mod references;
mod rules;

use std::collections::BTreeSet;

use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use self::fields::{Field, Span};
use super::namespaces::{Ns, TABLE};
use super::relationships::Links;
use crate::kind::Fault;

/// What every part of XML begins with.
pub(super) const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n";
/// Elements within elements.
const MAX_DEPTH: usize = 256;
/// Attributes of one element, and declarations of namespaces in force at one place.
const MAX_ATTRIBUTES: usize = 256;
const MAX_BINDINGS: usize = 512;
/// Octets of a part that is written: escapes may make it longer than it was, but not without bounds.
const MAX_WRITTEN: usize = 48 << 20;

/// What the text of a document refers to in another part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Story {
    Footnote,
    Endnote,
    Comment,
}

/// A story of this kind with this identifier.
pub(super) type Anchor = (Story, String);

/// What is known from parts that were written before.
pub(super) struct Context<'a> {
    /// Notes and comments that a text refers to.
    pub(super) anchors: &'a BTreeSet<Anchor>,
    /// Relationships to drawings of diagrams that the referring part has: identifiers before and after.
    pub(super) drawings: &'a [(String, String)],
}

/// A part that was written.
pub(super) struct Rewritten {
    pub(super) octets: Vec<u8>,
    /// The name of its root element.
    pub(super) root: String,
    /// Places of the relationships that it refers to.
    pub(super) links: Vec<usize>,
    pub(super) anchors: Vec<Anchor>,
    /// Drawings of diagrams that it refers to, by the identifier before.
    pub(super) drawings: Vec<String>,
}

/// Writes a part anew.
pub(super) fn rewrite(xml: &str, links: &mut Links, context: &Context<'_>) -> Result<Rewritten, Fault> {
    let mut reader = Reader::from_str(xml);
    let mut rewriter = Rewriter {
        links,
        context,
        out: String::new(),
        root: None,
        frames: Vec::new(),
        skipped: 0,
        scope: Vec::new(),
        text: String::new(),
        used: Vec::new(),
        ignorable: Vec::new(),
        marks: Vec::new(),
        cuts: Vec::new(),
        fields: Vec::new(),
        ended: Vec::new(),
    };
    loop {
        match reader.read_event().map_err(|_| Fault::Unreadable)? {
            Event::Start(tag) => rewriter.open(&tag, false)?,
            Event::Empty(tag) => {
                rewriter.open(&tag, true)?;
                rewriter.close(true)?;
            }
            Event::End(_) => rewriter.close(false)?,
            Event::Text(text) => rewriter.add(&text.xml10_content()),
            Event::CData(text) => rewriter.add(&text.xml10_content()),
            Event::GeneralRef(reference) => rewriter.resolve_reference(&reference)?,
            Event::DocType(_) => return Err(Fault::Unreadable),
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            Event::Eof => return rewriter.finish(),
        }
        if rewriter.out.len() > MAX_WRITTEN {
            return Err(Fault::Unreadable);
        }
    }
}

/// Appends a text as XML: in an attribute also white space survives.
pub(super) fn escape(out: &mut String, text: &str, is_attribute: bool) {
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\r' => out.push_str("&#13;"),
            '"' if is_attribute => out.push_str("&quot;"),
            '\n' if is_attribute => out.push_str("&#10;"),
            '\t' if is_attribute => out.push_str("&#9;"),
            // Others no XML may hold (XML 1.0, 2.2).
            '\t' | '\n' | ' '..='\u{fffd}' | '\u{10000}'.. => out.push(letter),
            _ => {}
        }
    }
}

/// What a rule says about an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Keep,
    /// Its content stays without it.
    Unwrap,
    /// It goes with its content.
    Drop,
}

/// What is to be done at the end of an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Closing {
    Nothing,
    /// Alternatives of which so many were kept, and whether the fallback, which comes last, was there.
    Alternate {
        choices: usize,
        has_fallback: bool,
    },
    /// Goes if nothing is left in it.
    Extension,
    Drawing,
    Row,
    Table {
        rows: usize,
        removed: usize,
    },
    Paragraph,
    Text,
    Instruction,
    FieldBegin,
    FieldSeparate,
    FieldEnd,
    /// A field whose element is its extent, and what becomes of it.
    SimpleField(fields::Verdict),
    /// A content control, and whether it shows a property that names a person.
    Control {
        is_personal: bool,
    },
}

/// An element that is open.
struct Frame {
    ns: Ns,
    local: String,
    /// Where it and its content begin in what is written.
    start: usize,
    content: usize,
    /// Declarations of namespaces that were in force before it.
    bindings: usize,
    is_written: bool,
    is_doomed: bool,
    closing: Closing,
}

struct Binding {
    prefix: String,
    known: Option<(Ns, bool)>,
}

struct Attribute {
    ns: Ns,
    local: String,
    value: String,
    is_strict: bool,
}

struct Root {
    name: String,
    attributes: String,
    is_empty: bool,
}

/// A namespace in use, since this place.
struct Use {
    ns: Ns,
    is_strict: bool,
    at: usize,
}

/// Something that counts only if the place where it stood is still there at the end.
enum Mark {
    Link(usize),
    Anchor(Anchor),
    Drawing(String),
}

struct Rewriter<'a> {
    links: &'a mut Links,
    context: &'a Context<'a>,
    /// What stands within the root element.
    out: String,
    root: Option<Root>,
    frames: Vec<Frame>,
    /// How deep we are in something that is left out.
    skipped: usize,
    scope: Vec<Binding>,
    /// Text that was read and not written yet: it may come in pieces.
    text: String,
    used: Vec<Use>,
    ignorable: Vec<Ns>,
    marks: Vec<(usize, Mark)>,
    cuts: Vec<Span>,
    fields: Vec<Field>,
    /// Fields that are kept: where they ended, and their marks.
    ended: Vec<(usize, Vec<Span>)>,
}

impl Rewriter<'_> {
    fn add(&mut self, text: &str) {
        if self.skipped == 0 {
            self.text.push_str(text);
        }
    }

    fn resolve_reference(&mut self, reference: &BytesRef<'_>) -> Result<(), Fault> {
        match reference.resolve_char_ref().map_err(|_| Fault::Unreadable)? {
            Some(letter) => self.add(letter.encode_utf8(&mut [0; 4])),
            None => self.add(resolve_xml_entity(reference).ok_or(Fault::Unreadable)?),
        }
        Ok(())
    }

    fn open(&mut self, tag: &BytesStart<'_>, is_empty: bool) -> Result<(), Fault> {
        self.flush()?;
        if self.skipped > 0 {
            self.skipped += 1;
            return if self.skipped > MAX_DEPTH { Err(Fault::Unreadable) } else { Ok(()) };
        }
        let is_root = self.frames.is_empty();
        if self.frames.len() >= MAX_DEPTH || (is_root && self.root.is_some()) {
            return Err(Fault::Unreadable);
        }
        let bindings = self.scope.len();
        let mut attributes = self.attributes(tag)?;
        let (prefix, local) = split(tag.name().into_inner());
        if !is_name(local) {
            return Err(Fault::Unreadable);
        }
        let known = self.resolve(prefix);
        // An embedded object leaves the picture that was shown for it.
        let local = if known.is_some_and(|(ns, _)| ns == Ns::W) && local == "object" { "pict" } else { local };
        let start = self.out.len();
        let (ns, is_strict) = known.unwrap_or((Ns::Plain, false));
        let (verdict, closing) = self.judge(ns, local, &mut attributes);
        if is_root && verdict != Verdict::Keep {
            return Err(Fault::Unreadable);
        }
        if verdict == Verdict::Drop {
            self.scope.truncate(bindings);
            self.forget_marks(start);
            self.skipped = 1;
            return Ok(());
        }
        if let Closing::SimpleField(judged) = closing {
            self.begin_simple_field(judged)?;
        }
        let is_written = verdict == Verdict::Keep;
        if is_written {
            // Of the markup for compatibility only a choice makes its namespace one in use: the others go without it.
            if ns != Ns::Mc || local == "Choice" {
                self.note_use(ns, is_strict);
            }
            self.write_tag(ns, local, &attributes, is_empty);
        }
        let content = self.out.len();
        self.frames.push(Frame { ns, local: local.to_owned(), start, content, bindings, is_written, is_doomed: false, closing });
        Ok(())
    }

    /// The attributes of an element, by namespace; declarations come into force, and what is not understood goes.
    fn attributes(&mut self, tag: &BytesStart<'_>) -> Result<Vec<Attribute>, Fault> {
        let mut named = Vec::new();
        for attribute in tag.attributes() {
            let attribute = attribute.map_err(|_| Fault::Unreadable)?;
            let value = attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|_| Fault::Unreadable)?.into_owned();
            let name = attribute.key.into_inner();
            if name == "xmlns" || name.starts_with("xmlns:") {
                let prefix = name.strip_prefix("xmlns:").unwrap_or_default().to_owned();
                self.scope.push(Binding { prefix, known: Ns::of(&value) });
            } else {
                named.push((name, value));
            }
            if named.len() > MAX_ATTRIBUTES || self.scope.len() > MAX_BINDINGS {
                return Err(Fault::Unreadable);
            }
        }
        let mut found: Vec<Attribute> = Vec::with_capacity(named.len());
        for (name, value) in named {
            let (prefix, local) = split(name);
            if !is_name(local) {
                return Err(Fault::Unreadable);
            }
            let known = if prefix.is_empty() { Some((Ns::Plain, false)) } else { self.resolve(prefix) };
            match known {
                Some((Ns::Mc, _)) if local == "Ignorable" => self.note_ignorable(&value),
                Some((Ns::Mc, _)) | None => {}
                Some((ns, is_strict)) => {
                    if !found.iter().any(|other| other.ns == ns && other.local == local) {
                        found.push(Attribute { ns, local: local.to_owned(), value, is_strict });
                    }
                }
            }
        }
        Ok(found)
    }

    fn resolve(&self, prefix: &str) -> Option<(Ns, bool)> {
        if prefix == "xml" {
            return Some((Ns::Xml, false));
        }
        self.scope.iter().rev().find(|binding| binding.prefix == prefix)?.known
    }

    fn note_ignorable(&mut self, prefixes: &str) {
        for prefix in prefixes.split_whitespace() {
            if let Some((ns, _)) = self.resolve(prefix)
                && !self.ignorable.contains(&ns)
            {
                self.ignorable.push(ns);
            }
        }
    }

    fn note_use(&mut self, ns: Ns, is_strict: bool) {
        if !matches!(ns, Ns::Xml | Ns::Plain) && !self.used.iter().any(|other| other.ns == ns) {
            let at = if self.frames.is_empty() { 0 } else { self.out.len() + 1 };
            self.used.push(Use { ns, is_strict, at });
        }
    }

    fn write_tag(&mut self, ns: Ns, local: &str, attributes: &[Attribute], is_empty: bool) {
        let name = qualified(ns, local);
        let mut written = String::new();
        for attribute in attributes {
            self.note_use(attribute.ns, attribute.is_strict);
            written.push(' ');
            written.push_str(&qualified(attribute.ns, &attribute.local));
            written.push_str("=\"");
            escape(&mut written, &attribute.value, true);
            written.push('"');
        }
        if self.frames.is_empty() {
            self.root = Some(Root { name, attributes: written, is_empty });
        } else {
            self.out.push('<');
            self.out.push_str(&name);
            self.out.push_str(&written);
            self.out.push_str(if is_empty { "/>" } else { ">" });
        }
    }

    fn close(&mut self, is_empty: bool) -> Result<(), Fault> {
        self.flush()?;
        if self.skipped > 0 {
            self.skipped -= 1;
            return Ok(());
        }
        let frame = self.frames.pop().ok_or(Fault::Unreadable)?;
        self.scope.truncate(frame.bindings);
        if self.frames.is_empty() {
            return Ok(());
        }
        match frame.closing {
            Closing::Extension if !is_empty && self.out.get(frame.content..).is_none_or(|content| content.trim().is_empty()) => {
                self.truncate(frame.start);
                return Ok(());
            }
            Closing::Alternate { choices: 0, .. } => {
                self.cuts.push(Span::new(frame.start, frame.content, self.out.len()));
                return Ok(());
            }
            _ => {}
        }
        if frame.is_doomed {
            self.truncate(frame.start);
            if frame.closing == Closing::Row {
                self.count_row(false);
            }
            return Ok(());
        }
        if frame.is_written && !is_empty {
            self.out.push_str("</");
            self.out.push_str(&qualified(frame.ns, &frame.local));
            self.out.push('>');
        }
        match frame.closing {
            Closing::Row => self.count_row(true),
            // A table without rows is none.
            Closing::Table { rows: 0, removed } if removed > 0 => self.truncate(frame.start),
            Closing::Paragraph => self.end_paragraph(),
            Closing::Text => self.end_text(frame.start),
            Closing::Instruction => self.end_instruction(frame.start),
            Closing::FieldBegin => self.begin_field(frame.start)?,
            Closing::FieldSeparate => self.separate_field(frame.start),
            Closing::FieldEnd => self.end_field(frame.start),
            Closing::SimpleField(_) | Closing::Control { is_personal: true } => self.end_simple_field(),
            _ => {}
        }
        Ok(())
    }

    fn count_row(&mut self, is_kept: bool) {
        if let Some(frame) = self.nearest(|closing| matches!(closing, Closing::Table { .. }))
            && let Closing::Table { rows, removed } = &mut frame.closing
        {
            *(if is_kept { rows } else { removed }) += 1;
        }
    }

    fn nearest(&mut self, is_sought: impl Fn(Closing) -> bool) -> Option<&mut Frame> {
        self.frames.iter_mut().rev().find(|frame| is_sought(frame.closing))
    }

    fn is_within(&self, ns: Ns, local: &str) -> bool {
        self.frames.last().is_some_and(|parent| parent.ns == ns && parent.local == local)
    }

    /// Writes the text that was read until here.
    fn flush(&mut self) -> Result<(), Fault> {
        if self.text.is_empty() {
            return Ok(());
        }
        let text = std::mem::take(&mut self.text);
        let Some(parent) = self.frames.last() else {
            return if text.trim().is_empty() { Ok(()) } else { Err(Fault::Unreadable) };
        };
        let (closing, is_formula) = (parent.closing, rules::is_formula(parent.ns, &parent.local));
        match closing {
            Closing::Instruction => self.read_instruction(&text),
            Closing::Text => self.read_text(&text),
            _ => {}
        }
        if is_formula {
            escape(&mut self.out, &rules::without_file(&text), false);
        } else {
            escape(&mut self.out, &text, false);
        }
        Ok(())
    }

    /// Takes back everything from a place on.
    fn truncate(&mut self, at: usize) {
        self.out.truncate(at);
        self.used.retain(|used| used.at <= at);
        self.forget_marks(at);
        fields::forget(&mut self.cuts, at);
        self.reopen_fields(at);
        for field in &mut self.fields {
            field.forget(at);
        }
    }

    fn forget_marks(&mut self, at: usize) {
        while self.marks.last().is_some_and(|(place, _)| *place >= at) {
            self.marks.pop();
        }
    }

    fn finish(mut self) -> Result<Rewritten, Fault> {
        self.flush()?;
        self.end_open_fields();
        let root = self.root.take().ok_or(Fault::Unreadable)?;
        if !self.frames.is_empty() || self.skipped > 0 {
            return Err(Fault::Unreadable);
        }
        let cuts = fields::merge(std::mem::take(&mut self.cuts));
        let mut xml = self.head(&root);
        if root.is_empty {
            xml.push_str("/>");
        } else {
            xml.push('>');
            let mut at = 0;
            for (start, end) in &cuts {
                xml.push_str(self.out.get(at..*start).unwrap_or_default());
                at = *end;
            }
            xml.push_str(self.out.get(at..).unwrap_or_default());
            xml.push_str("</");
            xml.push_str(&root.name);
            xml.push('>');
        }
        let mut rewritten =
            Rewritten { octets: xml.into_bytes(), root: root.name, links: Vec::new(), anchors: Vec::new(), drawings: Vec::new() };
        for (place, mark) in self.marks {
            let next = cuts.partition_point(|(start, _)| *start <= place);
            if next.checked_sub(1).and_then(|before| cuts.get(before)).is_some_and(|(_, end)| place < *end) {
                continue;
            }
            match mark {
                Mark::Link(at) => rewritten.links.push(at),
                Mark::Anchor(anchor) => rewritten.anchors.push(anchor),
                Mark::Drawing(id) => rewritten.drawings.push(id),
            }
        }
        Ok(rewritten)
    }

    /// The declaration and the tag of the root without its end: all namespaces in use are declared here.
    fn head(&self, root: &Root) -> String {
        let in_use = |ns: Ns| self.used.iter().find(|used| used.ns == ns);
        let is_ignorable = |ns: Ns| ns.is_extension() || (!matches!(ns, Ns::W | Ns::R | Ns::Mc) && self.ignorable.contains(&ns));
        let ignorable: Vec<&str> =
            TABLE.iter().filter(|row| in_use(row.ns).is_some() && is_ignorable(row.ns)).map(|row| row.prefix).collect();
        let mut head = format!("{DECLARATION}<{}", root.name);
        for row in TABLE {
            let uri = match in_use(row.ns) {
                Some(used) => row.strict.filter(|_| used.is_strict).unwrap_or(row.uri),
                None if row.ns == Ns::Mc && !ignorable.is_empty() => row.uri,
                None => continue,
            };
            for piece in [" xmlns:", row.prefix, "=\"", uri, "\""] {
                head.push_str(piece);
            }
        }
        head.push_str(&root.attributes);
        if !ignorable.is_empty() {
            for piece in [" mc:Ignorable=\"", &ignorable.join(" "), "\""] {
                head.push_str(piece);
            }
        }
        head
    }
}

/// Prefix and local name.
fn split(name: &str) -> (&str, &str) {
    name.split_once(':').unwrap_or(("", name))
}

/// All names of these languages are of these letters.
fn is_name(local: &str) -> bool {
    !local.is_empty() && local.bytes().all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, b'_' | b'-' | b'.'))
}

fn qualified(ns: Ns, local: &str) -> String {
    match ns {
        Ns::Plain => local.to_owned(),
        _ => format!("{}:{local}", ns.prefix()),
    }
}

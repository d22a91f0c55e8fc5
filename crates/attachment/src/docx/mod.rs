//! DOCX (ISO/IEC 29500, WordprocessingML): a package built anew from the parts that relationships lead to and that are
//! understood. Properties, people, revisions, data of other programs, embedded files and macros' companions are no such
//! parts; names of parts and what stands around the zip are not taken over either. In the text, runs that are hidden by
//! themselves go, and fields that show nothing, as do names of themes, descriptions of tables and controls, and tips.

mod namespaces;
mod package;
mod pictures;
mod relationships;
#[cfg(test)]
mod tests;
mod xml;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{Cursor, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, System, ZipWriter};

use self::package::Package;
use self::pictures::Picture;
use self::relationships::{Goal, Links, Relation, Spec};
use self::xml::{Anchor, Context, DECLARATION, escape, rewrite};
use crate::kind::Fault;

/// Octets that are written, before they are packed.
const MAX_WRITTEN: usize = 96 << 20;

/// Rewrites a DOCX; gives the new file.
///
/// # Errors
/// `Encrypted`, `Macros`, or `Unreadable` for what is no document within bounds.
pub(crate) fn clean_docx(octets: &[u8]) -> Result<Vec<u8>, Fault> {
    let mut package = Package::open(octets)?;
    let root = Links::load(&mut package, "")?;
    let main = root.items.into_iter().find(|link| link.spec.relation == Relation::Document).ok_or(Fault::Unreadable)?;
    let is_strict = main.is_strict;
    let mut builder = Builder {
        package,
        parts: Vec::new(),
        places: BTreeMap::new(),
        numbers: BTreeMap::new(),
        todo: VecDeque::new(),
        comments: VecDeque::new(),
    };
    builder.enqueue(main.goal, main.spec, None);
    let parts = builder.build()?;
    write(&parts, is_strict)
}

/// A part that is to be written.
struct Part {
    spec: &'static Spec,
    source: Goal,
    /// How many of its kind there were before it, and itself.
    number: usize,
    /// The part that led to it first.
    parent: Option<usize>,
    written: Written,
}

/// What is known of a part once it is written.
#[derive(Default)]
struct Written {
    name: String,
    extension: &'static str,
    content_type: &'static str,
    octets: Vec<u8>,
    links: Links,
}

/// Follows relationships from the main part on.
struct Builder<'a> {
    package: Package<'a>,
    parts: Vec<Part>,
    /// Where a part stands, by what it is read from and as what.
    places: BTreeMap<(Goal, Relation), usize>,
    numbers: BTreeMap<Relation, usize>,
    todo: VecDeque<usize>,
    /// They come last: what refers to them is known by then.
    comments: VecDeque<usize>,
}

impl Builder<'_> {
    fn enqueue(&mut self, source: Goal, spec: &'static Spec, parent: Option<usize>) -> usize {
        let key = (source.clone(), spec.relation);
        if let Some(place) = self.places.get(&key) {
            return *place;
        }
        let place = self.parts.len();
        let number = self.numbers.entry(spec.relation).or_default();
        *number += 1;
        let number = *number;
        self.parts.push(Part { spec, source, number, parent, written: Written::default() });
        self.places.insert(key, place);
        let queue = if spec.relation == Relation::Comments { &mut self.comments } else { &mut self.todo };
        queue.push_back(place);
        place
    }

    fn build(mut self) -> Result<Vec<Part>, Fault> {
        let mut anchors: BTreeSet<Anchor> = BTreeSet::new();
        let mut length = 0_usize;
        while let Some(place) = self.todo.pop_front().or_else(|| self.comments.pop_front()) {
            let (spec, source, number) = (self.parts[place].spec, self.parts[place].source.clone(), self.parts[place].number);
            let written = if spec.relation == Relation::Image {
                self.picture(&source, number)?
            } else {
                self.document(place, &source, number, &mut anchors)?
            };
            length = length.saturating_add(written.octets.len());
            if length > MAX_WRITTEN {
                return Err(Fault::Unreadable);
            }
            self.parts[place].written = written;
            self.follow(place);
        }
        Ok(self.parts)
    }

    fn picture(&mut self, source: &Goal, number: usize) -> Result<Written, Fault> {
        let picture = match source {
            Goal::Part(name) => Picture::clean(&self.package.picture(name)?.ok_or(Fault::Unreadable)?),
            Goal::Web(_) | Goal::Blank => Picture::blank(),
        };
        let Picture { octets, extension, content_type } = picture;
        Ok(Written { name: format!("word/media/image{number}.{extension}"), extension, content_type, octets, links: Links::default() })
    }

    fn document(&mut self, place: usize, source: &Goal, number: usize, anchors: &mut BTreeSet<Anchor>) -> Result<Written, Fault> {
        let Goal::Part(source) = source else {
            return Err(Fault::Unreadable);
        };
        let (spec, parent) = (self.parts[place].spec, self.parts[place].parent);
        let octets = self.package.xml(source)?.ok_or(Fault::Unreadable)?;
        let text = package::text(octets)?;
        let mut links = Links::load(&mut self.package, source)?;
        let parent = parent.filter(|_| spec.relation == Relation::DiagramData);
        let drawings = parent.map(|parent| self.parts[parent].written.links.drawings()).unwrap_or_default();
        let rewritten = rewrite(&text, &mut links, &Context { anchors, drawings: &drawings })?;
        if spec.relation == Relation::Document && rewritten.root != "w:document" {
            return Err(Fault::Unreadable);
        }
        anchors.extend(rewritten.anchors);
        for link in &mut links.items {
            link.is_used = link.spec.is_implicit;
        }
        for at in rewritten.links {
            links.items[at].is_used = true;
        }
        if let Some(parent) = parent {
            self.claim(parent, &rewritten.drawings);
        }
        // Parts of which there is only one have no number.
        let is_only = number == 1 && !spec.stem.contains('/') && !matches!(spec.relation, Relation::Header | Relation::Footer);
        let name = if is_only { format!("word/{}.xml", spec.stem) } else { format!("word/{}{number}.xml", spec.stem) };
        Ok(Written { name, extension: "xml", content_type: spec.content_type, octets: rewritten.octets, links })
    }

    /// Keeps the drawings of a diagram among the relationships of the part that shows it.
    fn claim(&mut self, parent: usize, drawings: &[String]) {
        for drawing in drawings {
            let links = &mut self.parts[parent].written.links;
            if let Some(at) = links.find(drawing, Some(Relation::DiagramDrawing)) {
                links.items[at].is_used = true;
            }
        }
        self.follow(parent);
    }

    /// Takes up the parts that a part refers to.
    fn follow(&mut self, place: usize) {
        let links = &self.parts[place].written.links.items;
        let wanted: Vec<(usize, Goal, &'static Spec)> = (0..)
            .zip(links)
            .filter(|(_, link)| link.is_used && link.part.is_none() && !matches!(link.goal, Goal::Web(_)))
            .map(|(at, link)| (at, link.goal.clone(), link.spec))
            .collect();
        for (at, goal, spec) in wanted {
            let part = self.enqueue(goal, spec, Some(place));
            self.parts[place].written.links.items[at].part = Some(part);
        }
    }
}

/// Packs the parts: nothing but names and octets, the same for the same parts.
fn write(parts: &[Part], is_strict: bool) -> Result<Vec<u8>, Fault> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .last_modified_time(DateTime::default())
        .system(System::Dos)
        .external_attributes(0);
    let mut add = |name: &str, octets: &[u8]| {
        zip.start_file(name, options).map_err(|_| Fault::Unreadable)?;
        zip.write_all(octets).map_err(|_| Fault::Unreadable)
    };
    add("[Content_Types].xml", content_types(parts).as_bytes())?;
    let main = parts.first().ok_or(Fault::Unreadable)?;
    let to_main = relationship("rId1", &main.spec.uri(is_strict), &main.written.name, false);
    add("_rels/.rels", relationships(&to_main).as_bytes())?;
    for part in parts {
        let written = &part.written;
        add(&written.name, &written.octets)?;
        let links: String = written.links.items.iter().filter(|link| link.is_used).map(|link| link_of(link, written, parts)).collect();
        if !links.is_empty() {
            add(&package::relationships_of(&written.name), relationships(&links).as_bytes())?;
        }
    }
    Ok(zip.finish().map_err(|_| Fault::Unreadable)?.into_inner())
}

fn content_types(parts: &[Part]) -> String {
    let mut xml = String::from(DECLARATION);
    xml.push_str("<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\">");
    let mut extensions = BTreeMap::from([("rels", "application/vnd.openxmlformats-package.relationships+xml"), ("xml", "application/xml")]);
    let pictures = parts.iter().map(|part| &part.written).filter(|written| written.extension != "xml");
    extensions.extend(pictures.map(|written| (written.extension, written.content_type)));
    for (extension, content_type) in extensions {
        xml.push_str(&format!("<Default Extension=\"{extension}\" ContentType=\"{content_type}\"/>"));
    }
    for written in parts.iter().map(|part| &part.written).filter(|written| written.extension == "xml") {
        xml.push_str(&format!("<Override PartName=\"/{}\" ContentType=\"{}\"/>", written.name, written.content_type));
    }
    xml.push_str("</Types>");
    xml
}

fn link_of(link: &relationships::Link, from: &Written, parts: &[Part]) -> String {
    let uri = link.spec.uri(link.is_strict);
    if let Goal::Web(url) = &link.goal {
        return relationship(&link.id, &uri, url, true);
    }
    // All parts stand in one folder or in folders within it.
    let target = link.part.and_then(|part| parts.get(part)).map(|part| part.written.name.as_str()).unwrap_or_default();
    let target = target.strip_prefix("word/").unwrap_or(target);
    let up = if from.name.matches('/').count() > 1 { "../" } else { "" };
    relationship(&link.id, &uri, &format!("{up}{target}"), false)
}

fn relationship(id: &str, uri: &str, target: &str, is_external: bool) -> String {
    let mut xml = format!("<Relationship Id=\"{id}\" Type=\"{uri}\" Target=\"");
    escape(&mut xml, target, true);
    xml.push_str(if is_external { "\" TargetMode=\"External\"/>" } else { "\"/>" });
    xml
}

fn relationships(links: &str) -> String {
    format!("{DECLARATION}<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\">{links}</Relationships>")
}

//! Relationships between parts (ISO/IEC 29500-2, 6.5): the ones that are followed, by what they lead to. All others are
//! left behind with their parts.

use std::collections::{BTreeMap, BTreeSet};

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use super::package::{self, Package};
use crate::kind::Fault;

const TRANSITIONAL: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/";
const STRICT: &str = "http://purl.oclc.org/ooxml/officeDocument/relationships/";

/// What a relationship leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Relation {
    Document,
    Styles,
    StylesWithEffects,
    Numbering,
    Settings,
    WebSettings,
    FontTable,
    Theme,
    ThemeOverride,
    Footnotes,
    Endnotes,
    Comments,
    Header,
    Footer,
    Image,
    Hyperlink,
    Chart,
    ChartEx,
    ChartStyle,
    ChartColors,
    ChartShapes,
    DiagramData,
    DiagramLayout,
    DiagramStyle,
    DiagramColors,
    DiagramDrawing,
}

/// How a relationship is written, and the part that it leads to.
pub(super) struct Spec {
    pub(super) relation: Relation,
    /// Behind the prefix that the standard gives, or whole.
    kind: &'static str,
    /// The part's name without number and extension.
    pub(super) stem: &'static str,
    pub(super) content_type: &'static str,
    /// Whether no element has to refer to it.
    pub(super) is_implicit: bool,
}

macro_rules! office {
    ($tail:literal) => {
        concat!("application/vnd.openxmlformats-officedocument.", $tail, "+xml")
    };
}

const SPECS: &[Spec] = &[
    explicit(Relation::Document, "officeDocument", "document", office!("wordprocessingml.document.main")),
    implicit(Relation::Styles, "styles", "styles", office!("wordprocessingml.styles")),
    implicit(
        Relation::StylesWithEffects,
        "http://schemas.microsoft.com/office/2007/relationships/stylesWithEffects",
        "stylesWithEffects",
        "application/vnd.ms-word.stylesWithEffects+xml",
    ),
    implicit(Relation::Numbering, "numbering", "numbering", office!("wordprocessingml.numbering")),
    implicit(Relation::Settings, "settings", "settings", office!("wordprocessingml.settings")),
    implicit(Relation::WebSettings, "webSettings", "webSettings", office!("wordprocessingml.webSettings")),
    implicit(Relation::FontTable, "fontTable", "fontTable", office!("wordprocessingml.fontTable")),
    implicit(Relation::Theme, "theme", "theme/theme", office!("theme")),
    implicit(Relation::ThemeOverride, "themeOverride", "theme/themeOverride", office!("themeOverride")),
    implicit(Relation::Footnotes, "footnotes", "footnotes", office!("wordprocessingml.footnotes")),
    implicit(Relation::Endnotes, "endnotes", "endnotes", office!("wordprocessingml.endnotes")),
    implicit(Relation::Comments, "comments", "comments", office!("wordprocessingml.comments")),
    explicit(Relation::Header, "header", "header", office!("wordprocessingml.header")),
    explicit(Relation::Footer, "footer", "footer", office!("wordprocessingml.footer")),
    explicit(Relation::Image, "image", "media/image", ""),
    explicit(Relation::Hyperlink, "hyperlink", "", ""),
    explicit(Relation::Chart, "chart", "charts/chart", office!("drawingml.chart")),
    explicit(
        Relation::ChartEx,
        "http://schemas.microsoft.com/office/2014/relationships/chartEx",
        "charts/chartex",
        "application/vnd.ms-office.chartex+xml",
    ),
    implicit(
        Relation::ChartStyle,
        "http://schemas.microsoft.com/office/2011/relationships/chartStyle",
        "charts/style",
        "application/vnd.ms-office.chartstyle+xml",
    ),
    implicit(
        Relation::ChartColors,
        "http://schemas.microsoft.com/office/2011/relationships/chartColorStyle",
        "charts/colors",
        "application/vnd.ms-office.chartcolorstyle+xml",
    ),
    explicit(Relation::ChartShapes, "chartUserShapes", "drawings/drawing", office!("drawingml.chartshapes")),
    explicit(Relation::DiagramData, "diagramData", "diagrams/data", office!("drawingml.diagramData")),
    explicit(Relation::DiagramLayout, "diagramLayout", "diagrams/layout", office!("drawingml.diagramLayout")),
    explicit(Relation::DiagramStyle, "diagramQuickStyle", "diagrams/quickStyle", office!("drawingml.diagramStyle")),
    explicit(Relation::DiagramColors, "diagramColors", "diagrams/colors", office!("drawingml.diagramColors")),
    explicit(
        Relation::DiagramDrawing,
        "http://schemas.microsoft.com/office/2007/relationships/diagramDrawing",
        "diagrams/drawing",
        "application/vnd.ms-office.drawingml.diagramDrawing+xml",
    ),
];

/// That of pictures, for the one that stands in for those that are gone.
const IMAGE: Spec = explicit(Relation::Image, "image", "media/image", "");

const fn implicit(relation: Relation, kind: &'static str, stem: &'static str, content_type: &'static str) -> Spec {
    Spec { relation, kind, stem, content_type, is_implicit: true }
}

const fn explicit(relation: Relation, kind: &'static str, stem: &'static str, content_type: &'static str) -> Spec {
    Spec { relation, kind, stem, content_type, is_implicit: false }
}

impl Spec {
    /// The type of such a relationship.
    pub(super) fn uri(&self, is_strict: bool) -> String {
        let prefix = match (self.kind.contains("://"), is_strict) {
            (true, _) => "",
            (false, true) => STRICT,
            (false, false) => TRANSITIONAL,
        };
        format!("{prefix}{}", self.kind)
    }

    fn of(uri: &str) -> Option<(&'static Self, bool)> {
        let (kind, is_strict) = match (uri.strip_prefix(TRANSITIONAL), uri.strip_prefix(STRICT)) {
            (Some(kind), _) => (kind, false),
            (_, Some(kind)) => (kind, true),
            _ => (uri, false),
        };
        SPECS.iter().find(|spec| spec.kind == kind).map(|spec| (spec, is_strict))
    }
}

/// Where a relationship leads.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Goal {
    /// To an entry of the package that is read.
    Part(String),
    Web(String),
    /// To the empty picture.
    Blank,
}

/// One relationship of a part.
pub(super) struct Link {
    /// Its identifier in the part that was read.
    old: String,
    /// And in the one that is written.
    pub(super) id: String,
    pub(super) spec: &'static Spec,
    pub(super) is_strict: bool,
    pub(super) goal: Goal,
    pub(super) is_used: bool,
    /// The part that it leads to in the package that is written.
    pub(super) part: Option<usize>,
}

/// The relationships of a part that may be kept.
#[derive(Default)]
pub(super) struct Links {
    pub(super) items: Vec<Link>,
    by_old: BTreeMap<String, usize>,
    taken: BTreeSet<String>,
    last: u32,
    blank: Option<usize>,
}

impl Links {
    /// Reads those of a part; of the package itself for an empty name.
    pub(super) fn load(package: &mut Package<'_>, part: &str) -> Result<Self, Fault> {
        let mut links = Self::default();
        let Some(octets) = package.xml(&package::relationships_of(part))? else {
            return Ok(links);
        };
        let xml = package::text(octets)?;
        let mut reader = Reader::from_str(&xml);
        loop {
            match reader.read_event().map_err(|_| Fault::Unreadable)? {
                Event::Start(tag) | Event::Empty(tag) if tag.local_name().into_inner() == "Relationship" => {
                    links.add(package, part, &tag)?;
                }
                Event::DocType(_) => return Err(Fault::Unreadable),
                Event::Eof => break,
                _ => {}
            }
        }
        let mut items = std::mem::take(&mut links.items);
        for link in items.iter_mut().filter(|link| link.id.is_empty()) {
            link.id = links.fresh();
        }
        links.items = items;
        Ok(links)
    }

    fn add(&mut self, package: &Package<'_>, part: &str, tag: &BytesStart<'_>) -> Result<(), Fault> {
        let uri = attribute(tag, "Type")?;
        let kind = uri.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
        if kind == "vbaproject" || kind == "wordvbadata" {
            return Err(Fault::Macros);
        }
        let (old, target, mode) = (attribute(tag, "Id")?, attribute(tag, "Target")?, attribute(tag, "TargetMode")?);
        let Some((spec, is_strict)) = Spec::of(&uri) else {
            return Ok(());
        };
        let goal = match (spec.relation, mode.eq_ignore_ascii_case("External")) {
            (Relation::Hyperlink, true) if is_public(&target) => Goal::Web(target.trim().to_owned()),
            (Relation::Hyperlink, _) | (_, true) => return Ok(()),
            (_, false) => match package.find(part, &target) {
                Some(name) => Goal::Part(name),
                None => return Ok(()),
            },
        };
        if self.by_old.contains_key(&old) {
            return Ok(());
        }
        // An identifier may be any name, also a person's; a number says nothing.
        let digits = old.strip_prefix("rId").unwrap_or_default();
        let is_number = (1..=9).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit());
        let id = if is_number && self.taken.insert(old.clone()) { old.clone() } else { String::new() };
        self.by_old.insert(old.clone(), self.items.len());
        self.items.push(Link { old, id, spec, is_strict, goal, is_used: false, part: None });
        Ok(())
    }

    /// An identifier that none has.
    fn fresh(&mut self) -> String {
        loop {
            self.last = self.last.saturating_add(1);
            let id = format!("rId{}", self.last);
            if self.taken.insert(id.clone()) {
                return id;
            }
        }
    }

    /// The place of the one with this identifier, if it leads to what is asked for.
    pub(super) fn find(&self, old: &str, relation: Option<Relation>) -> Option<usize> {
        let at = self.by_old.get(old).copied()?;
        let link = self.items.get(at)?;
        relation.is_none_or(|relation| relation == link.spec.relation).then_some(at)
    }

    /// The identifier that the one at a place has from now on.
    pub(super) fn id(&self, at: usize) -> String {
        self.items.get(at).map(|link| link.id.clone()).unwrap_or_default()
    }

    /// The place of the one to the empty picture.
    pub(super) fn blank(&mut self) -> usize {
        if let Some(at) = self.blank {
            return at;
        }
        let (at, id) = (self.items.len(), self.fresh());
        let is_strict = self.items.first().is_some_and(|link| link.is_strict);
        self.items.push(Link { old: String::new(), id, spec: &IMAGE, is_strict, goal: Goal::Blank, is_used: false, part: None });
        self.blank = Some(at);
        at
    }

    /// Identifiers of those to drawings of diagrams, before and after.
    pub(super) fn drawings(&self) -> Vec<(String, String)> {
        let drawings = self.items.iter().filter(|link| link.spec.relation == Relation::DiagramDrawing);
        drawings.map(|link| (link.old.clone(), link.id.clone())).collect()
    }
}

/// Whether a link leads to a public web page and carries no address.
pub(super) fn is_public(url: &str) -> bool {
    let url = url.trim().to_ascii_lowercase();
    (url.starts_with("http://") || url.starts_with("https://")) && !["@", "%40", "mailto:"].iter().any(|mark| url.contains(mark))
}

fn attribute(tag: &BytesStart<'_>, name: &str) -> Result<String, Fault> {
    let Some(found) = tag.try_get_attribute(name).map_err(|_| Fault::Unreadable)? else {
        return Ok(String::new());
    };
    Ok(found.normalized_value(XmlVersion::Implicit1_0).map_err(|_| Fault::Unreadable)?.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_known_in_both_variants() {
        for spec in SPECS {
            assert!(Spec::of(&spec.uri(false)).is_some_and(|(found, _)| found.relation == spec.relation));
            assert!(Spec::of(&spec.uri(true)).is_some_and(|(found, _)| found.relation == spec.relation));
        }
        assert!(Spec::of("http://schemas.openxmlformats.org/officeDocument/2006/relationships/attachedTemplate").is_none());
    }

    #[test]
    fn links_with_an_address_are_not_public() {
        assert!(is_public(" https://shop.example/order?id=1"));
        for url in ["mailto:ana@x.example", "https://x.example/?to=ana%40x.example", "file:///C:/ana", "https://ana@x.example", "x"] {
            assert!(!is_public(url), "{url}");
        }
    }
}

//! Namespaces that are understood (ISO/IEC 29500, [MS-DOCX] and [MS-ODRAWXML]), each with the one prefix that it is
//! written with.

/// A namespace that is understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ns {
    W,
    R,
    M,
    Mc,
    A,
    Pic,
    Wp,
    C,
    Cdr,
    Dgm,
    Lc,
    V,
    O,
    W10,
    W14,
    W15,
    W16se,
    Wp14,
    Wps,
    Wpg,
    Wpc,
    A14,
    C14,
    C15,
    Cs,
    Dsp,
    Cx,
    Cx1,
    Cx2,
    Cx3,
    Cx4,
    Cx5,
    Cx6,
    Cx7,
    Cx8,
    /// That of `xml:space`.
    Xml,
    /// Of an attribute without prefix.
    Plain,
}

/// A namespace and how it is declared.
pub(super) struct Row {
    pub(super) ns: Ns,
    pub(super) prefix: &'static str,
    pub(super) uri: &'static str,
    /// The name that the strict variant of the standard gives it.
    pub(super) strict: Option<&'static str>,
}

/// In the order in which they are declared.
pub(super) const TABLE: &[Row] = &[
    both(Ns::W, "w", "http://schemas.openxmlformats.org/wordprocessingml/2006/main", "http://purl.oclc.org/ooxml/wordprocessingml/main"),
    both(
        Ns::R,
        "r",
        "http://schemas.openxmlformats.org/officeDocument/2006/relationships",
        "http://purl.oclc.org/ooxml/officeDocument/relationships",
    ),
    both(Ns::M, "m", "http://schemas.openxmlformats.org/officeDocument/2006/math", "http://purl.oclc.org/ooxml/officeDocument/math"),
    one(Ns::Mc, "mc", "http://schemas.openxmlformats.org/markup-compatibility/2006"),
    both(Ns::A, "a", "http://schemas.openxmlformats.org/drawingml/2006/main", "http://purl.oclc.org/ooxml/drawingml/main"),
    both(Ns::Pic, "pic", "http://schemas.openxmlformats.org/drawingml/2006/picture", "http://purl.oclc.org/ooxml/drawingml/picture"),
    both(
        Ns::Wp,
        "wp",
        "http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing",
        "http://purl.oclc.org/ooxml/drawingml/wordprocessingDrawing",
    ),
    both(Ns::C, "c", "http://schemas.openxmlformats.org/drawingml/2006/chart", "http://purl.oclc.org/ooxml/drawingml/chart"),
    both(
        Ns::Cdr,
        "cdr",
        "http://schemas.openxmlformats.org/drawingml/2006/chartDrawing",
        "http://purl.oclc.org/ooxml/drawingml/chartDrawing",
    ),
    both(Ns::Dgm, "dgm", "http://schemas.openxmlformats.org/drawingml/2006/diagram", "http://purl.oclc.org/ooxml/drawingml/diagram"),
    both(
        Ns::Lc,
        "lc",
        "http://schemas.openxmlformats.org/drawingml/2006/lockedCanvas",
        "http://purl.oclc.org/ooxml/drawingml/lockedCanvas",
    ),
    one(Ns::V, "v", "urn:schemas-microsoft-com:vml"),
    one(Ns::O, "o", "urn:schemas-microsoft-com:office:office"),
    one(Ns::W10, "w10", "urn:schemas-microsoft-com:office:word"),
    one(Ns::W14, "w14", "http://schemas.microsoft.com/office/word/2010/wordml"),
    one(Ns::W15, "w15", "http://schemas.microsoft.com/office/word/2012/wordml"),
    one(Ns::W16se, "w16se", "http://schemas.microsoft.com/office/word/2015/wordml/symex"),
    one(Ns::Wp14, "wp14", "http://schemas.microsoft.com/office/word/2010/wordprocessingDrawing"),
    one(Ns::Wps, "wps", "http://schemas.microsoft.com/office/word/2010/wordprocessingShape"),
    one(Ns::Wpg, "wpg", "http://schemas.microsoft.com/office/word/2010/wordprocessingGroup"),
    one(Ns::Wpc, "wpc", "http://schemas.microsoft.com/office/word/2010/wordprocessingCanvas"),
    one(Ns::A14, "a14", "http://schemas.microsoft.com/office/drawing/2010/main"),
    one(Ns::C14, "c14", "http://schemas.microsoft.com/office/drawing/2007/8/2/chart"),
    one(Ns::C15, "c15", "http://schemas.microsoft.com/office/drawing/2012/chart"),
    one(Ns::Cs, "cs", "http://schemas.microsoft.com/office/drawing/2012/chartStyle"),
    one(Ns::Dsp, "dsp", "http://schemas.microsoft.com/office/drawing/2008/diagram"),
    one(Ns::Cx, "cx", "http://schemas.microsoft.com/office/drawing/2014/chartex"),
    one(Ns::Cx1, "cx1", "http://schemas.microsoft.com/office/drawing/2015/9/8/chartex"),
    one(Ns::Cx2, "cx2", "http://schemas.microsoft.com/office/drawing/2015/10/21/chartex"),
    one(Ns::Cx3, "cx3", "http://schemas.microsoft.com/office/drawing/2016/5/9/chartex"),
    one(Ns::Cx4, "cx4", "http://schemas.microsoft.com/office/drawing/2016/5/10/chartex"),
    one(Ns::Cx5, "cx5", "http://schemas.microsoft.com/office/drawing/2016/5/11/chartex"),
    one(Ns::Cx6, "cx6", "http://schemas.microsoft.com/office/drawing/2016/5/12/chartex"),
    one(Ns::Cx7, "cx7", "http://schemas.microsoft.com/office/drawing/2016/5/13/chartex"),
    one(Ns::Cx8, "cx8", "http://schemas.microsoft.com/office/drawing/2016/5/14/chartex"),
];

const fn one(ns: Ns, prefix: &'static str, uri: &'static str) -> Row {
    Row { ns, prefix, uri, strict: None }
}

const fn both(ns: Ns, prefix: &'static str, uri: &'static str, strict: &'static str) -> Row {
    Row { ns, prefix, uri, strict: Some(strict) }
}

impl Ns {
    /// The namespace of a name, and whether it is the strict one.
    pub(super) fn of(uri: &str) -> Option<(Self, bool)> {
        TABLE.iter().find(|row| row.uri == uri || row.strict == Some(uri)).map(|row| (row.ns, row.uri != uri))
    }

    /// What it is written with.
    pub(super) fn prefix(self) -> &'static str {
        if self == Self::Xml {
            return "xml";
        }
        TABLE.iter().find(|row| row.ns == self).map_or("", |row| row.prefix)
    }

    /// Whether older readers are told that they may ignore it.
    pub(super) fn is_extension(self) -> bool {
        matches!(self, Self::W14 | Self::W15 | Self::W16se | Self::Wp14)
    }
}

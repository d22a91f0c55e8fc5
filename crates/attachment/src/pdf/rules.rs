//! What a dictionary is, and which of its keys show something (ISO 32000-1).

use lopdf::{Dictionary, Object};

/// A nesting beyond this is nobody's document.
pub(super) const MAX_DEPTH: usize = 64;

/// What a dictionary or stream is, by who refers to it and by what it says itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Nothing that has a list of keys.
    Plain,
    /// Names of resources, places or characters: any key may be used.
    Map,
    /// Procedures of the characters of a font (9.6.5).
    Glyphs,
    /// Contents of a page or a character.
    Contents,
    /// A colour profile (8.6.5.5).
    Profile,
    /// Any stream.
    Stream,
    Catalog,
    Pages,
    Page,
    /// An annotation, a field, or both at once.
    Annotation,
    Appearance,
    Action,
    Outline,
    Names,
    Layers,
    LayerConfiguration,
    Layer,
    LayerUsage,
    Form,
    Structure,
    StructureElement,
}

/// 7.7.2, table 28.
const OF_CATALOG: &str = "Type Version Extensions Pages PageLabels Names Dests ViewerPreferences PageLayout PageMode Outlines \
                          StructTreeRoot MarkInfo Lang OCProperties AcroForm";
/// 7.7.3.2, table 29, and what pages inherit.
const OF_PAGES: &str = "Type Parent Kids Count Resources MediaBox CropBox BleedBox TrimBox ArtBox Rotate UserUnit";
/// 7.7.3.3, table 30.
const OF_PAGE: &str = "Type Parent Resources MediaBox CropBox BleedBox TrimBox ArtBox BoxColorInfo Contents Rotate Group Dur \
                       Annots StructParents SeparationInfo Tabs UserUnit";
/// 12.5.2, table 164, and of each kind of annotation what is drawn or followed; 12.7.3, tables 220 to 232.
const OF_ANNOTATION: &str = "Type Subtype Rect Contents P F AP AS Border C StructParent OC BS BE BM ca CA Lang \
                             A Dest H QuadPoints Open Name State StateModel Parent Popup IRT RT IT DA Q DS CL LE RD \
                             L IC LL LLE LLO Cap CP CO Vertices Path InkList Sy RO OverlayText Repeat MK FixedPrint \
                             FT Kids T TU Ff V DV MaxLen Opt TI I";
const OF_APPEARANCE: &str = "N R D";
/// 12.6.4, of the three actions that pass.
const OF_ACTION: &str = "Type S D SD URI IsMap N";
/// 12.3.3, tables 152 and 153.
const OF_OUTLINE: &str = "Type First Last Next Prev Parent Count Title Dest A SE C F";
/// 7.7.4, table 31.
const OF_NAMES: &str = "Dests";
/// 8.11, tables 98 to 102.
const OF_LAYERS: &str = "OCGs D Configs";
const OF_LAYER_CONFIGURATION: &str = "BaseState ON OFF Intent AS Order ListMode RBGroups Locked";
const OF_LAYER: &str = "Type Name Intent Usage";
const OF_LAYER_USAGE: &str = "Language Export Zoom Print View PageElement";
/// 12.7.2, table 218.
const OF_FORM: &str = "Fields NeedAppearances CO DR DA Q";
/// 14.7.2, tables 322 and 323; references to contents and objects, tables 324 and 325.
const OF_STRUCTURE: &str = "Type K IDTree ParentTree ParentTreeNextKey RoleMap ClassMap Namespaces";
const OF_STRUCTURE_ELEMENT: &str = "Type S P ID Ref Pg K A C R Lang Alt E ActualText NS PhoneticAlphabet Phoneme MCID Stm StmOwn Obj";
/// Of every stream: its coding (7.3.8), form and image (8.10, 8.9.5), pattern and shading (8.7), function (7.10), font and
/// its tables (9.7, 9.9), colour profile (8.6.5.5), halftone (10.5.5). No other file, and no key of a program.
const OF_STREAM: &str = "Length Filter DecodeParms Type Subtype Length1 Length2 Length3 \
                         FormType BBox Matrix Resources Group StructParent StructParents OC Name \
                         Width Height ColorSpace BitsPerComponent Intent ImageMask Mask Decode Interpolate Alternates SMask \
                         SMaskInData Matte PatternType PaintType TilingType XStep YStep ShadingType Background AntiAlias \
                         BitsPerCoordinate BitsPerFlag VerticesPerRow Function FunctionType Domain Range Size BitsPerSample \
                         Order Encode CMapName CIDSystemInfo WMode UseCMap N Alternate HalftoneType HalftoneName Xsquare \
                         Ysquare Width2 Height2 TransferFunction";
/// Of dictionaries without a list: who made something and when, programs, other files, places on earth.
const REMOVED: &str = "Metadata PieceInfo LastModified OpenAction AA JavaScript JS EmbeddedFiles EF RF UF FS AF Collection \
                       SpiderInfo Legal XFA Perms DSS RichMediaContent PresSteps Author Creator Producer CreationDate ModDate \
                       Keywords Company SourceModified OPI Threads Thread Subj RC RV CreatorInfo User Measure PtData LGIDict VP \
                       SourceInfo UserProperties IDS URLS Templates";
/// Keys below which any name is a key.
const MAPS: &str = "Font XObject ExtGState ColorSpace Pattern Shading Properties Dests RoleMap ClassMap Colorants";

/// Whether a list holds a key.
pub(super) fn is_in(list: &str, key: &[u8]) -> bool {
    list.split(' ').any(|word| word.as_bytes() == key)
}

/// A version that a file may say: one that there is.
pub(super) fn is_version(version: &[u8]) -> bool {
    matches!(version, [b'1', b'.', b'0'..=b'7'] | b"2.0")
}

/// The name at a key.
pub(super) fn name<'a>(dictionary: &'a Dictionary, key: &[u8]) -> Option<&'a [u8]> {
    dictionary.get(key).and_then(Object::as_name).ok()
}

/// Whether the name at a key is a certain one.
pub(super) fn says(dictionary: &Dictionary, key: &[u8], value: &[u8]) -> bool {
    name(dictionary, key).is_some_and(|name| name == value)
}

impl Role {
    /// What is known of a dictionary beyond who refers to it: its own word counts where nobody gave it a part.
    pub(super) fn refined(self, dictionary: &Dictionary) -> Self {
        let has = |key: &str| dictionary.has(key.as_bytes());
        match self {
            Self::Plain | Self::Map | Self::Glyphs | Self::Contents | Self::Profile => {}
            Self::Pages if !has("Kids") => return Self::Page,
            given => return given,
        }
        match name(dictionary, b"Type") {
            Some(b"Catalog") => Self::Catalog,
            Some(b"Pages") => Self::Pages,
            Some(b"Page" | b"Template") => Self::Page,
            Some(b"Annot") => Self::Annotation,
            Some(b"Action") => Self::Action,
            Some(b"Outlines") => Self::Outline,
            Some(b"OCG") => Self::Layer,
            Some(b"StructTreeRoot") => Self::Structure,
            Some(b"StructElem") => Self::StructureElement,
            _ if has("Subtype") && has("Rect") => Self::Annotation,
            Some(_) => Self::Plain,
            None if self.is_map() => self,
            None if has("FT") || (has("T") && (has("Kids") || has("Parent"))) => Self::Annotation,
            None if has("Title") && has("Parent") => Self::Outline,
            None if has("K") && name(dictionary, b"S").is_some() && dictionary.get(b"P").is_ok_and(|p| p.as_reference().is_ok()) => {
                Self::StructureElement
            }
            None => Self::Plain,
        }
    }

    /// Of what stands at a key of it.
    pub(super) fn below(self, key: &[u8]) -> Self {
        match (self, key) {
            (Self::Glyphs, _) => Self::Contents,
            (Self::Map, _) => Self::Plain,
            (Self::Appearance, _) => Self::Map,
            (Self::Catalog, b"Pages") | (Self::Pages, b"Kids") => Self::Pages,
            (Self::Catalog, b"Names") => Self::Names,
            (Self::Catalog, b"Outlines") => Self::Outline,
            (Self::Catalog, b"OCProperties") => Self::Layers,
            (Self::Catalog, b"AcroForm") => Self::Form,
            (Self::Catalog, b"StructTreeRoot") => Self::Structure,
            (Self::Page, b"Contents") => Self::Contents,
            (Self::Page, b"Annots") | (Self::Form, b"Fields") => Self::Annotation,
            (Self::Annotation, b"Kids" | b"Parent" | b"Popup" | b"IRT") => Self::Annotation,
            (Self::Annotation, b"AP") => Self::Appearance,
            (Self::Annotation | Self::Outline, b"A") => Self::Action,
            (Self::Outline, b"First" | b"Last" | b"Next" | b"Prev" | b"Parent") => Self::Outline,
            (Self::Layers, b"OCGs") => Self::Layer,
            (Self::Layers, b"D" | b"Configs") => Self::LayerConfiguration,
            (Self::Layer, b"Usage") => Self::LayerUsage,
            (Self::Structure | Self::StructureElement, b"K") => Self::StructureElement,
            (_, b"CharProcs") => Self::Glyphs,
            (_, key) if is_in(MAPS, key) => Self::Map,
            _ => Self::Plain,
        }
    }

    /// Whether its keys are names that the document chose.
    pub(super) fn is_map(self) -> bool {
        matches!(self, Self::Map | Self::Glyphs)
    }

    /// Whether a key passes.
    pub(super) fn keeps(self, key: &[u8]) -> bool {
        let list = match self {
            Self::Map | Self::Glyphs => return true,
            // A dot or a colon stands between the name of a program and its key (annex E).
            Self::Plain | Self::Contents | Self::Profile => return !is_in(REMOVED, key) && !key.contains(&b'.') && !key.contains(&b':'),
            Self::Stream => OF_STREAM,
            Self::Catalog => OF_CATALOG,
            Self::Pages => OF_PAGES,
            Self::Page => OF_PAGE,
            Self::Annotation => OF_ANNOTATION,
            Self::Appearance => OF_APPEARANCE,
            Self::Action => OF_ACTION,
            Self::Outline => OF_OUTLINE,
            Self::Names => OF_NAMES,
            Self::Layers => OF_LAYERS,
            Self::LayerConfiguration => OF_LAYER_CONFIGURATION,
            Self::Layer => OF_LAYER,
            Self::LayerUsage => OF_LAYER_USAGE,
            Self::Form => OF_FORM,
            Self::Structure => OF_STRUCTURE,
            Self::StructureElement => OF_STRUCTURE_ELEMENT,
        };
        is_in(list, key)
    }
}

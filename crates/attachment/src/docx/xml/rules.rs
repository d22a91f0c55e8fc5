//! What is done with elements and attributes: tracked changes are resolved as if they were accepted, people become
//! "Author", and what names a machine, a path or another file goes (ISO/IEC 29500-1, 17; [MS-DOCX]).

use std::borrow::Cow;

use super::fields::{self, Field};
use super::{Attribute, Closing, Frame, Mark, Rewriter, Story, Verdict};
use crate::docx::namespaces::Ns;
use crate::docx::relationships::is_public;

/// Properties that name a person or a company, by the last step of the path that binds a control to them.
const PERSONAL_PROPERTIES: [&str; 4] = ["creator", "lastmodifiedby", "manager", "company"];

impl Rewriter<'_> {
    /// What becomes of an element; its attributes are changed on the way.
    pub(super) fn judge(&mut self, ns: Ns, local: &str, attributes: &mut Vec<Attribute>) -> (Verdict, Closing) {
        match (ns, local) {
            (Ns::Plain | Ns::Xml, _) => return (Verdict::Drop, Closing::Nothing),
            _ if self.is_misplaced(ns, local) => return (Verdict::Drop, Closing::Nothing),
            (Ns::Mc, _) => return self.judge_alternate(local, attributes),
            (Ns::W, "del") if self.is_within(Ns::W, "trPr") => {
                if let Some(row) = self.nearest(|closing| closing == Closing::Row) {
                    row.is_doomed = true;
                }
            }
            (Ns::W, "dataBinding") => self.judge_binding(attributes),
            (Ns::W, "vanish") => self.judge_hidden(attributes),
            _ => {}
        }
        if is_dropped(ns, local) {
            return (Verdict::Drop, Closing::Nothing);
        }
        if is_unwrapped(ns, local) {
            return (Verdict::Unwrap, Closing::Nothing);
        }
        let (verdict, mut closing) = if ns == Ns::W { self.judge_word(local, attributes) } else { (Verdict::Keep, Closing::Nothing) };
        if verdict != Verdict::Keep {
            return (verdict, closing);
        }
        if local == "ext" && value(attributes, Ns::Plain, "uri").is_some() {
            closing = Closing::Extension;
        }
        if !self.relink(ns, local, attributes) {
            return (Verdict::Drop, Closing::Nothing);
        }
        attributes.retain_mut(|attribute| keep(ns, local, attribute));
        (Verdict::Keep, closing)
    }

    /// Texts hold no elements, marks of fields only what describes a field of a form, alternatives nothing else.
    fn is_misplaced(&self, ns: Ns, local: &str) -> bool {
        self.frames.last().is_some_and(|parent| match parent.closing {
            Closing::Text | Closing::Instruction => true,
            Closing::FieldBegin | Closing::FieldSeparate | Closing::FieldEnd => local != "ffData",
            Closing::Alternate { .. } => ns != Ns::Mc,
            _ => false,
        })
    }

    fn judge_word(&mut self, local: &str, attributes: &[Attribute]) -> (Verdict, Closing) {
        let attribute = |local| value(attributes, Ns::W, local);
        let mut verdict = Verdict::Keep;
        let closing = match local {
            "footnote" | "endnote" | "comment" => {
                let (story, stories) = match local {
                    "footnote" => (Story::Footnote, "footnotes"),
                    "endnote" => (Story::Endnote, "endnotes"),
                    _ => (Story::Comment, "comments"),
                };
                let is_normal = attribute("type").is_none_or(|kind| kind == "normal");
                let anchor = (story, attribute("id").unwrap_or_default().to_owned());
                // One that only deleted text refers to is deleted too.
                if self.is_within(Ns::W, stories) && is_normal && !self.context.anchors.contains(&anchor) {
                    verdict = Verdict::Drop;
                }
                Closing::Nothing
            }
            "footnoteReference" | "endnoteReference" | "commentReference" => {
                let story = match local {
                    "footnoteReference" => Story::Footnote,
                    "endnoteReference" => Story::Endnote,
                    _ => Story::Comment,
                };
                let anchor = (story, attribute("id").unwrap_or_default().to_owned());
                self.marks.push((self.out.len(), Mark::Anchor(anchor)));
                Closing::Nothing
            }
            "p" => Closing::Paragraph,
            "t" => Closing::Text,
            "tr" => Closing::Row,
            "tbl" => Closing::Table { rows: 0, removed: 0 },
            "drawing" => Closing::Drawing,
            "sdt" => Closing::Control { is_personal: false },
            "instrText" => Closing::Instruction,
            "fldChar" => match attribute("fldCharType") {
                Some("begin") => Closing::FieldBegin,
                Some("separate") => Closing::FieldSeparate,
                Some("end") => Closing::FieldEnd,
                _ => Closing::Nothing,
            },
            "fldSimple" => {
                let judged = fields::judge(attribute("instr").unwrap_or_default());
                if judged != fields::Verdict::Keep {
                    verdict = Verdict::Unwrap;
                }
                Closing::SimpleField(judged)
            }
            _ => Closing::Nothing,
        };
        (verdict, closing)
    }

    /// Choices that need something unknown go; if none is left, the fallback takes the place of them all
    /// (ISO/IEC 29500-3, 10.2).
    fn judge_alternate(&mut self, local: &str, attributes: &mut Vec<Attribute>) -> (Verdict, Closing) {
        let given = std::mem::take(attributes);
        if local == "AlternateContent" {
            return (Verdict::Keep, Closing::Alternate { choices: 0, has_fallback: false });
        }
        let Some(Frame { closing: Closing::Alternate { choices, has_fallback }, .. }) = self.frames.last_mut() else {
            return (Verdict::Drop, Closing::Nothing);
        };
        let has_choice = *choices > 0;
        if *has_fallback {
            return (Verdict::Drop, Closing::Nothing);
        }
        *has_fallback = local == "Fallback";
        let verdict = match local {
            "Fallback" if has_choice => Verdict::Keep,
            "Fallback" => Verdict::Unwrap,
            "Choice" => {
                let required = value(&given, Ns::Plain, "Requires").unwrap_or_default();
                let known: Option<Vec<(Ns, bool)>> = required.split_whitespace().map(|prefix| self.resolve(prefix)).collect();
                match known {
                    Some(known) if !known.is_empty() => {
                        self.keep_choice(&known, attributes);
                        Verdict::Keep
                    }
                    _ => Verdict::Drop,
                }
            }
            _ => Verdict::Drop,
        };
        (verdict, Closing::Nothing)
    }

    fn keep_choice(&mut self, required: &[(Ns, bool)], attributes: &mut Vec<Attribute>) {
        for (ns, is_strict) in required {
            self.note_use(*ns, *is_strict);
        }
        if let Some(Frame { closing: Closing::Alternate { choices, .. }, .. }) = self.frames.last_mut() {
            *choices += 1;
        }
        let prefixes: Vec<&str> = required.iter().map(|(ns, _)| ns.prefix()).collect();
        attributes.push(Attribute { ns: Ns::Plain, local: "Requires".to_owned(), value: prefixes.join(" "), is_strict: false });
    }

    /// A run that is hidden by itself goes: who reads the document does not see it, and who wrote it may not know of it. What
    /// a style hides stays.
    fn judge_hidden(&mut self, attributes: &[Attribute]) {
        let is_shown = value(attributes, Ns::W, "val").is_some_and(|value| matches!(value, "0" | "false" | "off"));
        // What was unwrapped stands between them no more in what is written.
        let mut written = self.frames.iter_mut().rev().filter(|frame| frame.is_written);
        let is_of_run = written.next().is_some_and(|parent| parent.ns == Ns::W && parent.local == "rPr");
        if let Some(run) = written.next()
            && matches!(run.ns, Ns::W | Ns::M)
            && run.local == "r"
            && is_of_run
            && !is_shown
        {
            run.is_doomed = true;
        }
    }

    /// A control that shows the author or the company of the file's properties is emptied.
    fn judge_binding(&mut self, attributes: &[Attribute]) {
        let path = value(attributes, Ns::W, "xpath").unwrap_or_default();
        let step = path.rsplit(['/', ':']).next().unwrap_or_default();
        let name = step.split('[').next().unwrap_or_default().to_ascii_lowercase();
        if !PERSONAL_PROPERTIES.contains(&name.as_str()) {
            return;
        }
        if let Some(control) = self.nearest(|closing| matches!(closing, Closing::Control { .. }))
            && control.closing == (Closing::Control { is_personal: false })
        {
            control.closing = Closing::Control { is_personal: true };
            self.fields.push(Field::simple(fields::Verdict::Blank, None));
        }
    }
}

/// The value of an attribute.
pub(super) fn value<'a>(attributes: &'a [Attribute], ns: Ns, local: &str) -> Option<&'a str> {
    attributes.iter().find(|attribute| attribute.ns == ns && attribute.local == local).map(|attribute| attribute.value.as_str())
}

fn is_unwrapped(ns: Ns, local: &str) -> bool {
    match ns {
        Ns::W => matches!(local, "ins" | "moveTo" | "smartTag" | "customXml"),
        Ns::W14 => local == "conflictIns",
        _ => false,
    }
}

/// What goes with its content.
fn is_dropped(ns: Ns, local: &str) -> bool {
    match ns {
        Ns::W => is_tracked(local) || is_foreign(local),
        Ns::W14 => {
            matches!(
                local,
                "docId"
                    | "contentPart"
                    | "conflictDel"
                    | "customXmlConflictInsRangeStart"
                    | "customXmlConflictInsRangeEnd"
                    | "customXmlConflictDelRangeStart"
                    | "customXmlConflictDelRangeEnd"
            )
        }
        Ns::W15 => matches!(local, "docId" | "dataBinding" | "webExtensionLinked" | "webExtensionCreated" | "presenceInfo"),
        Ns::A => matches!(local, "audioFile" | "videoFile" | "wavAudioFile" | "quickTimeFile" | "audioCd" | "snd"),
        // The picture before effects, in a format of its own.
        Ns::A14 => matches!(local, "imgProps" | "compatExt"),
        Ns::C => matches!(local, "externalData" | "printSettings" | "pivotSource"),
        Ns::Cx => matches!(local, "externalData" | "geoCache"),
        Ns::O => matches!(local, "OLEObject" | "signatureline" | "ink"),
        _ => false,
    }
}

/// Deletions, and marks of changes that are accepted (17.13.5).
fn is_tracked(local: &str) -> bool {
    matches!(
        local,
        "del"
            | "moveFrom"
            | "delText"
            | "delInstrText"
            | "rPrChange"
            | "pPrChange"
            | "sectPrChange"
            | "tblPrChange"
            | "trPrChange"
            | "tcPrChange"
            | "tblGridChange"
            | "tblPrExChange"
            | "numberingChange"
            | "cellIns"
            | "cellDel"
            | "cellMerge"
            | "moveFromRangeStart"
            | "moveFromRangeEnd"
            | "moveToRangeStart"
            | "moveToRangeEnd"
            | "customXmlInsRangeStart"
            | "customXmlInsRangeEnd"
            | "customXmlDelRangeStart"
            | "customXmlDelRangeEnd"
            | "customXmlMoveFromRangeStart"
            | "customXmlMoveFromRangeEnd"
            | "customXmlMoveToRangeStart"
            | "customXmlMoveToRangeEnd"
    )
}

/// Other files, sessions of editing, stores of data, people with permissions, texts that nobody sees.
fn is_foreign(local: &str) -> bool {
    matches!(
        local,
        "permStart"
            | "permEnd"
            | "dataBinding"
            | "alias"
            | "tag"
            | "placeholder"
            | "docVars"
            | "rsids"
            | "rsid"
            | "rsidRoot"
            | "writeProtection"
            | "documentProtection"
            | "attachedTemplate"
            | "attachedSchema"
            | "linkStyles"
            | "mailMerge"
            | "saveThroughXslt"
            | "savePreviewPicture"
            | "proofState"
            | "activeWritingStyle"
            | "smartTagType"
            | "smartTagPr"
            | "customXmlPr"
            | "altChunk"
            | "subDoc"
            | "control"
            | "movie"
            | "objectEmbed"
            | "objectLink"
            | "embedRegular"
            | "embedBold"
            | "embedItalic"
            | "embedBoldItalic"
            | "embedTrueTypeFonts"
            | "embedSystemFonts"
            | "saveSubsetFonts"
            | "printerSettings"
            | "frameset"
            | "fldData"
            | "entryMacro"
            | "exitMacro"
            | "helpText"
            | "statusText"
            | "tblCaption"
            | "tblDescription"
            | "nsid"
            | "tmpl"
    )
}

/// Whether an attribute stays; names become constants.
fn keep(ns: Ns, local: &str, attribute: &mut Attribute) -> bool {
    let name = attribute.local.as_str();
    let constant = match (attribute.ns, name) {
        (Ns::W, "author") => Some("Author"),
        (Ns::W, "initials") => Some("A"),
        (Ns::Plain, "name") if is_shape(local) => Some("Picture"),
        (Ns::Plain, "name") if ns == Ns::A && is_theme(local) => Some("Theme"),
        _ => None,
    };
    if let Some(constant) = constant {
        constant.clone_into(&mut attribute.value);
        return true;
    }
    match attribute.ns {
        Ns::W => match name {
            "date" | "docLocation" | "tooltip" => false,
            // Of the object that an embedded one was.
            "dxaOrig" | "dyaOrig" => local != "pict",
            _ => !name.starts_with("rsid"),
        },
        Ns::W14 => !matches!(name, "paraId" | "textId"),
        Ns::Wp14 => !matches!(name, "anchorId" | "editId"),
        // Among them a whole drawing, packed and coded: with its names and descriptions.
        Ns::O => !matches!(name, "gfxdata" | "title" | "href" | "althref" | "spid" | "relid"),
        Ns::Xml => matches!(name, "space" | "lang"),
        Ns::Plain if is_shape(local) => !matches!(name, "descr" | "title"),
        Ns::Plain if ns == Ns::V => match name {
            "alt" | "title" | "src" | "equationxml" => false,
            "href" => is_public(&attribute.value),
            // Given by a program; others may be names.
            "id" => attribute.value.starts_with("_x0000_") || attribute.value.starts_with("shape"),
            _ => true,
        },
        Ns::Plain if local.starts_with("hlink") => !matches!(name, "tooltip" | "invalidUrl" | "action"),
        _ => true,
    }
}

/// Elements that name and describe a drawing: often with the path that it was taken from.
fn is_shape(local: &str) -> bool {
    matches!(local, "docPr" | "cNvPr")
}

/// Elements that name a theme, often after a company.
fn is_theme(local: &str) -> bool {
    matches!(local, "theme" | "clrScheme" | "fontScheme" | "fmtScheme" | "custClr")
}

/// Whether the text of an element is a formula over a workbook.
pub(super) fn is_formula(ns: Ns, local: &str) -> bool {
    matches!((ns, local), (Ns::C | Ns::Cx | Ns::C15, "f") | (Ns::Cx, "nf") | (Ns::C15, "sqref"))
}

/// A formula without the path of the workbook that it leads to.
pub(super) fn without_file(formula: &str) -> Cow<'_, str> {
    if !formula.contains(['[', '\\']) && !formula.contains("://") {
        return Cow::Borrowed(formula);
    }
    match formula.rsplit_once(']') {
        Some((_, rest)) if rest.contains("'!") && !rest.starts_with('\'') => Cow::Owned(format!("'{rest}")),
        Some((_, rest)) => Cow::Borrowed(rest),
        None => Cow::Borrowed(""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_lose_their_file() {
        assert_eq!(without_file("Sheet1!$A$1:$A$3"), "Sheet1!$A$1:$A$3");
        assert_eq!(without_file("[book.xlsx]Sheet1!$A$1"), "Sheet1!$A$1");
        assert_eq!(without_file("'C:\\Users\\ana\\[book.xlsx]Sheet 1'!$A$1"), "'Sheet 1'!$A$1");
        assert_eq!(without_file("file:///C:/ana/book"), "");
    }
}

//! Attributes that refer to a relationship: they get its new identifier, and where it is gone, so goes what cannot
//! stand without it. Pictures that are gone become the empty one, so that what stands around them stays in its place.

use super::rules::value;
use super::{Attribute, Closing, Mark, Rewriter};
use crate::docx::namespaces::Ns;
use crate::docx::relationships::Relation;

impl Rewriter<'_> {
    /// `false` where the element goes.
    pub(super) fn relink(&mut self, ns: Ns, local: &str, attributes: &mut Vec<Attribute>) -> bool {
        match (ns, local) {
            (Ns::Dsp, "dataModelExt") => self.relink_diagram(attributes),
            (Ns::A, "blip") => {
                let references = take_references(attributes);
                // A linked picture is not in the file: only an embedded one is shown.
                let embedded = references.iter().find(|reference| reference.local == "embed");
                let id = embedded.and_then(|reference| self.link(&reference.value, Some(Relation::Image)));
                if !references.is_empty() {
                    let id = id.unwrap_or_else(|| self.blank());
                    attributes.insert(0, self.reference("embed", id));
                }
                true
            }
            (Ns::V, _) => {
                self.relink_vml(local, attributes);
                true
            }
            (Ns::W, "hyperlink") => {
                let references = take_references(attributes);
                let target = references.iter().find(|reference| reference.local == "id");
                // Where it leads nowhere, the words of the link stay.
                if let Some(id) = target.and_then(|reference| self.link(&reference.value, Some(Relation::Hyperlink))) {
                    attributes.insert(0, self.reference("id", id));
                }
                true
            }
            _ => self.relink_all(ns, local, attributes),
        }
    }

    /// An element that stands only with all that it refers to.
    fn relink_all(&mut self, ns: Ns, local: &str, attributes: &mut [Attribute]) -> bool {
        let relation = local.starts_with("hlink").then_some(Relation::Hyperlink);
        for attribute in attributes.iter_mut().filter(|attribute| attribute.ns == Ns::R) {
            if let Some(id) = self.link(&attribute.value, relation) {
                attribute.value = id;
                continue;
            }
            // The frame of a chart or a diagram shows nothing else.
            if matches!(ns, Ns::C | Ns::Cx | Ns::Dgm)
                && local != "userShapes"
                && let Some(drawing) = self.nearest(|closing| closing == Closing::Drawing)
            {
                drawing.is_doomed = true;
            }
            return false;
        }
        true
    }

    fn relink_vml(&mut self, local: &str, attributes: &mut Vec<Attribute>) {
        let is_linked = value(attributes, Ns::O, "relid").is_some() || value(attributes, Ns::Plain, "src").is_some();
        let mut references = take_references(attributes);
        let is_linked = is_linked || !references.is_empty();
        if let Some(at) = attributes.iter().position(|attribute| attribute.ns == Ns::O && attribute.local == "relid") {
            references.push(attributes.remove(at));
        }
        let shown = references.iter().filter(|reference| matches!(reference.local.as_str(), "id" | "pict" | "relid"));
        let ids: Vec<String> = shown.map(|reference| reference.value.clone()).collect();
        let mut id = ids.iter().find_map(|id| self.link(id, Some(Relation::Image)));
        if id.is_none() && is_linked && local == "imagedata" {
            id = Some(self.blank());
        }
        if let Some(id) = id {
            attributes.insert(0, self.reference("id", id));
        }
    }

    /// The drawing of a diagram is a relationship of the part that shows the diagram, not of the one with its data
    /// ([MS-ODRAWXML], 2.8.2).
    fn relink_diagram(&mut self, attributes: &mut [Attribute]) -> bool {
        let Some(attribute) = attributes.iter_mut().find(|attribute| attribute.ns == Ns::Plain && attribute.local == "relId") else {
            return false;
        };
        let Some((old, id)) = self.context.drawings.iter().find(|(old, _)| *old == attribute.value) else {
            return false;
        };
        attribute.value.clone_from(id);
        self.marks.push((self.out.len(), Mark::Drawing(old.clone())));
        true
    }

    fn link(&mut self, old: &str, relation: Option<Relation>) -> Option<String> {
        let at = self.links.find(old, relation)?;
        self.marks.push((self.out.len(), Mark::Link(at)));
        Some(self.links.id(at))
    }

    fn blank(&mut self) -> String {
        let at = self.links.blank();
        self.marks.push((self.out.len(), Mark::Link(at)));
        self.links.id(at)
    }

    fn reference(&self, local: &str, id: String) -> Attribute {
        let is_strict = self.used.first().is_some_and(|used| used.is_strict);
        Attribute { ns: Ns::R, local: local.to_owned(), value: id, is_strict }
    }
}

fn take_references(attributes: &mut Vec<Attribute>) -> Vec<Attribute> {
    let (references, others): (Vec<Attribute>, Vec<Attribute>) =
        std::mem::take(attributes).into_iter().partition(|attribute| attribute.ns == Ns::R);
    *attributes = others;
    references
}

//! Which objects a document reaches, and what each is for who refers to it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use lopdf::{Dictionary, Document, Object, ObjectId};

use crate::pdf::rules::{MAX_DEPTH, Role, says};

#[derive(Default)]
pub(super) struct Survey {
    /// Of every object that is reached.
    pub(super) roles: BTreeMap<ObjectId, Role>,
    /// Streams that are colour profiles.
    pub(super) profiles: BTreeSet<ObjectId>,
    /// Streams of operators: of pages, forms, patterns and characters.
    pub(super) contents: BTreeSet<ObjectId>,
    queue: VecDeque<ObjectId>,
}

impl Survey {
    pub(super) fn of(document: &Document, root: ObjectId) -> Self {
        let mut survey = Self::default();
        survey.meet(root, Role::Catalog);
        while let Some(id) = survey.queue.pop_front() {
            if let (Some(object), Some(role)) = (document.objects.get(&id), survey.roles.get(&id).copied()) {
                survey.visit(object, role, id, 0);
            }
        }
        survey
    }

    /// The first part that an object is given stays; a part counts more than none.
    fn meet(&mut self, id: ObjectId, role: Role) {
        let is_better = match self.roles.get(&id) {
            None => true,
            Some(Role::Plain) => role != Role::Plain,
            Some(Role::Map) => !matches!(role, Role::Plain | Role::Map),
            Some(_) => false,
        };
        if is_better {
            self.roles.insert(id, role);
            self.queue.push_back(id);
        }
    }

    fn visit(&mut self, object: &Object, role: Role, id: ObjectId, depth: usize) {
        if depth > MAX_DEPTH {
            return;
        }
        match object {
            Object::Reference(other) => self.meet(*other, role),
            Object::Array(items) => {
                let is_profile = matches!(items.first(), Some(Object::Name(name)) if name == b"ICCBased");
                let role = if is_profile { Role::Profile } else { role };
                items.iter().for_each(|item| self.visit(item, role, id, depth + 1));
            }
            Object::Dictionary(dictionary) => self.visit_entries(dictionary, role.refined(dictionary), id, depth),
            Object::Stream(stream) => {
                if role == Role::Profile {
                    self.profiles.insert(id);
                } else if role == Role::Contents || is_drawing(&stream.dict) {
                    self.contents.insert(id);
                }
                self.visit_entries(&stream.dict, Role::Stream, id, depth);
            }
            _ => {}
        }
    }

    fn visit_entries(&mut self, dictionary: &Dictionary, role: Role, id: ObjectId, depth: usize) {
        for (key, value) in dictionary {
            self.visit(value, role.below(key), id, depth + 1);
        }
    }
}

/// A form or a pattern of tiles (8.10, 8.7.3).
fn is_drawing(dictionary: &Dictionary) -> bool {
    says(dictionary, b"Subtype", b"Form") || (dictionary.has(b"PatternType") && dictionary.has(b"BBox"))
}

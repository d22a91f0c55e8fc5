//! Values instead of references to them, where a rule looks at the value: a document may name everything indirectly
//! (7.3.10).

use lopdf::{Document, Object, ObjectId, Stream};

use crate::pdf::rules::{MAX_DEPTH, is_in};

/// Keys whose strings, numbers and short arrays are looked at. Names are always put in place.
const CHECKED: &str = "Type Subtype S F FT URI N O E Alt ActualText TU Filter DecodeParms DP Predictor Columns Colors \
                       BitsPerComponent EarlyChange ColorTransform Version";
/// Keys whose dictionaries are looked at.
const PARAMETERS: &str = "DecodeParms DP";
/// Most elements of an array, or entries of a dictionary, that is put in place.
const MAX_ELEMENTS: usize = 32;
/// Octets that all copies may have together: many may refer to one value.
const MAX_COPIED: usize = 16 << 20;

pub(super) fn inline_values(document: &mut Document) {
    let ids: Vec<ObjectId> = document.objects.keys().copied().collect();
    let mut budget = MAX_COPIED;
    for id in ids {
        // The object is taken out meanwhile: what refers to itself refers to nothing.
        let Some(place) = document.objects.get_mut(&id) else { continue };
        let mut object = std::mem::replace(place, Object::Null);
        inline(&mut object, b"", document, &mut budget, 0);
        if let Object::Stream(stream) = &mut object {
            spell_out(stream);
        }
        document.objects.insert(id, object);
    }
}

fn inline(object: &mut Object, key: &[u8], document: &Document, budget: &mut usize, depth: usize) {
    if depth > MAX_DEPTH {
        return;
    }
    let dictionary = match object {
        Object::Dictionary(dictionary) => dictionary,
        Object::Stream(stream) => &mut stream.dict,
        Object::Array(items) => {
            for item in items.iter_mut() {
                settle(item, key, false, document, budget);
                inline(item, key, document, budget, depth + 1);
            }
            return;
        }
        _ => return,
    };
    for (key, value) in dictionary.iter_mut() {
        settle(value, key, true, document, budget);
        inline(value, key, document, budget, depth + 1);
    }
}

/// Puts a value in place of a reference to it; one too many is null, which is as good as absent (7.3.7).
fn settle(value: &mut Object, key: &[u8], is_entry: bool, document: &Document, budget: &mut usize) {
    if !matches!(value, Object::Reference(_)) {
        return;
    }
    let copy = match document.dereference(value) {
        Ok((_, found)) if is_value(found, key, is_entry) => found.clone(),
        _ => return,
    };
    let weight = weight(&copy, 0);
    *value = if weight > *budget { Object::Null } else { copy };
    *budget = budget.saturating_sub(weight);
}

fn is_value(found: &Object, key: &[u8], is_entry: bool) -> bool {
    match found {
        Object::Name(_) => true,
        Object::String(..) | Object::Integer(_) | Object::Real(_) | Object::Boolean(_) => is_in(CHECKED, key),
        Object::Array(items) => is_entry && items.len() <= MAX_ELEMENTS && is_in(CHECKED, key),
        Object::Dictionary(dictionary) => dictionary.len() <= MAX_ELEMENTS && is_in(PARAMETERS, key),
        _ => false,
    }
}

fn weight(object: &Object, depth: usize) -> usize {
    if depth > MAX_DEPTH {
        return MAX_COPIED;
    }
    let below = match object {
        Object::Name(octets) | Object::String(octets, _) => octets.len(),
        Object::Array(items) => items.iter().map(|item| weight(item, depth + 1)).sum(),
        Object::Dictionary(dictionary) => dictionary.iter().map(|(key, value)| key.len() + weight(value, depth + 1)).sum(),
        _ => 0,
    };
    below + 16
}

/// Abbreviations that readers accept outside of contents as well (8.9.7, table 93); there, `F` names another file.
fn spell_out(stream: &mut Stream) {
    for (short, long) in [("F", "Filter"), ("DP", "DecodeParms")] {
        let is_meant = match stream.dict.get(short.as_bytes()) {
            Ok(Object::Name(_)) => true,
            Ok(Object::Array(items)) => items.iter().all(|item| !matches!(item, Object::String(..))),
            Ok(Object::Dictionary(_)) => short == "DP",
            _ => false,
        };
        if is_meant
            && !stream.dict.has(long.as_bytes())
            && let Some(value) = stream.dict.remove(short.as_bytes())
        {
            stream.dict.set(long, value);
        }
    }
}

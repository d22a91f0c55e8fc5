//! What an operation for a caller who can mend the input says.

use store::StoreError;

/// An input that cannot be taken, with the field and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputError {
    /// Path of the field, such as `items[0].title`.
    pub field: String,
    /// Stable code, such as `invalid_email`.
    pub code: &'static str,
    /// What is wrong and what would be right, without the value.
    pub detail: String,
}

impl InputError {
    /// An error of one field.
    #[must_use]
    pub fn new(field: &str, code: &'static str, detail: impl Into<String>) -> Self {
        Self { field: field.to_owned(), code, detail: detail.into() }
    }
}

/// Why an operation was not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OperationError {
    /// The input is wrong; every fault is named.
    Invalid(Vec<InputError>),
    /// What the input names does not exist.
    Missing {
        /// The field or path element that names it.
        what: &'static str,
        /// What to do.
        detail: String,
    },
    /// The state does not allow it.
    Forbidden {
        /// Stable code.
        code: &'static str,
        /// What to do.
        detail: String,
    },
    /// It was changed since the caller saw it.
    Changed,
    /// Somebody else changed the same thing at the same time, again and again.
    Busy,
    /// The store.
    Store(StoreError),
}

impl From<StoreError> for OperationError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<InputError> for OperationError {
    fn from(error: InputError) -> Self {
        Self::Invalid(vec![error])
    }
}

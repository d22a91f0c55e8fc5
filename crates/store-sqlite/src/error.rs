//! From SQLite's error codes to the store's.

use rusqlite::ErrorCode;
use store::StoreError;

/// A failure inside a batch.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A constraint: one member contradicts what is stored, the others may be fine.
    Constraint,
    /// Anything else.
    Store(StoreError),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::ConstraintViolation) => Self::Constraint,
            _ => Self::Store(store_error(&error)),
        }
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Failure {
    pub(crate) fn into_store(self) -> StoreError {
        match self {
            Self::Constraint => StoreError::Corrupt("a constraint does not hold".to_owned()),
            Self::Store(error) => error,
        }
    }
}

/// What SQLite says in words never holds a value of a row, so it may be logged.
pub(crate) fn store_error(error: &rusqlite::Error) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::TypeMismatch) | None => {
            StoreError::Corrupt(error.to_string())
        }
        Some(_) => StoreError::Unavailable(error.to_string()),
    }
}

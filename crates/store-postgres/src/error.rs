//! From PostgreSQL's SQLSTATEs to the store's errors.

use store::StoreError;
use tokio_postgres::error::SqlState;

/// A failure inside a batch.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A constraint: one member contradicts what is stored, the others may be fine.
    Constraint,
    /// The server asks to run the same again (40001, 40P01).
    Again,
    /// Anything else.
    Store(StoreError),
}

impl From<tokio_postgres::Error> for Failure {
    fn from(error: tokio_postgres::Error) -> Self {
        match error.code() {
            Some(code) if code.code().starts_with("23") => Self::Constraint,
            // Two processes that make the same table at once.
            Some(code) if *code == SqlState::DUPLICATE_TABLE || *code == SqlState::DUPLICATE_OBJECT => Self::Again,
            Some(code) if *code == SqlState::T_R_SERIALIZATION_FAILURE || *code == SqlState::T_R_DEADLOCK_DETECTED => Self::Again,
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
            Self::Again => StoreError::Unavailable("the server asks to try again".to_owned()),
            Self::Store(error) => error,
        }
    }
}

/// Says what happened without the server's DETAIL line, which can hold values of rows.
pub(crate) fn store_error(error: &tokio_postgres::Error) -> StoreError {
    match error.as_db_error() {
        Some(db) if matches!(db.code().code().get(..2), Some("22" | "42" | "XX")) => {
            StoreError::Corrupt(format!("SQLSTATE {}", db.code().code()))
        }
        Some(db) => StoreError::Unavailable(format!("SQLSTATE {} ({})", db.code().code(), db.message())),
        None => StoreError::Unavailable(error.to_string()),
    }
}

//! What can go wrong with storage. Absence is `None`, not an error.

/// Why a read failed, or a commit for reasons other than a guard.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Locked, gone, full, overloaded: nothing was changed, the same call may succeed later.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// What is stored contradicts what can be stored.
    #[error("the database holds something that it should not: {0}")]
    Corrupt(String),
    /// The database was made by a newer program.
    #[error("the database has schema {found}, this program knows {known}; use the newer program")]
    OutdatedProgram {
        /// Schema number found.
        found: i64,
        /// Newest schema that this program knows.
        known: i64,
    },
}

/// Why a commit changed nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// A guard did not hold: read the facts again and decide anew.
    #[error("the facts changed meanwhile")]
    Conflict,
    /// The store failed; nothing was changed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

//! The embedded store: SQLite in WAL mode with full synchronisation, one writer thread, group commit.
//!
//! Invariant: `commit` answers only after the COMMIT that covers it has returned, and in WAL mode with
//! `synchronous = FULL` that is after the fdatasync of the log (sqlite.org/wal.html).

mod connection;
mod conversations;
mod deliveries;
mod error;
mod ledger;
mod load;
mod messages;
mod pairs;
mod parties;
mod read;
mod store;
mod write;
mod writer;

pub use store::SqliteStore;

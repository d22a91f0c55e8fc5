//! The store on PostgreSQL, for one or several machines: the same batches as the embedded store, as
//! multi-row statements in one transaction.
//!
//! Invariant: `commit` answers only after COMMIT returned on a server with `fsync` and
//! `synchronous_commit` on; `open` refuses any other server. No session state is relied on.

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
mod tls;
mod write;
mod writer;

pub use store::PostgresStore;

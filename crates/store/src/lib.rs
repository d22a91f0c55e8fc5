//! The port to storage: what operations may ask and the one way to change anything, `commit`.
//!
//! A change is a value, `Changes`: rows, deltas and guards. Sequence numbers, positions and chain links are
//! assigned while it is applied (architecture decisions 1, 2, 9). Both adapters apply batches through the
//! same pure `plan`, so that they cannot differ in what they decide; they differ in how they read and write.

mod changes;
mod error;
mod objects;
mod plan;
mod query;
pub mod rows;
pub mod seal;

pub use changes::{
    Body, BodyKind, BodyPlace, Changes, ConversationTouch, CounterAdd, DeliveryUpdate, Entity, Guard, KnownId, LedgerEntry, NewEntry,
    SealedKey, Settle, Token, TokenScope,
};
pub use error::{CommitError, StoreError};
pub use objects::{ObjectName, Objects};
pub use plan::{Current, MergedTouch, Needs, Planned, Writes, needs, plan};
pub use query::{AliasTarget, Committed, ConversationPage, Due, FactsQuery, PairFacts, ScanPlace, SealedMessage, Store, StoreFuture};

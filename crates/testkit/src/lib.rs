//! Development only: a clock in the hand, seeded randomness, a throw-away PostgreSQL, the conformance suite
//! of the store, and a context for tests of operations.

#![allow(clippy::missing_panics_doc, clippy::unwrap_used)] // A test that cannot set up may panic.

pub mod conformance;
mod fixtures;
mod postgres;
mod world;

pub use fixtures::{Fixture, TestContext};
pub use postgres::Postgres;
pub use world::{HandClock, SeededRandom};

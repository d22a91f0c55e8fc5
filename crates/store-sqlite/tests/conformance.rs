//! The conformance suite on SQLite, and what only an embedded database can suffer.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods)] // Helpers of tests may panic and speak.

use std::sync::Arc;

use store::{Changes, CommitError, Store, StoreError};
use store_sqlite::SqliteStore;
use testkit::{Fixture, conformance};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conforms() {
    let folder = tempfile::tempdir().unwrap();
    conformance::run(Arc::new(SqliteStore::open(&folder.path().join("t.db")).unwrap())).await;
}

#[tokio::test]
async fn a_database_locked_by_another_is_unavailable_and_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let store = SqliteStore::open(&path).unwrap();
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let f = Fixture::new(1);
    assert!(matches!(store.commit(f.put()).await, Err(CommitError::Store(StoreError::Unavailable(_)))));
    other.execute_batch("ROLLBACK").unwrap();
    store.commit(f.put()).await.unwrap();
}

#[tokio::test]
async fn a_full_disk_is_unavailable_and_recovers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let store = SqliteStore::open(&path).unwrap();
    let f = Fixture::new(1);
    store.commit(f.put()).await.unwrap();
    store.limit_pages_for_tests(Some(1)).await.unwrap();
    let mut large = f.message(None, domain::Timestamp(1), domain::id::NodeId::from_bytes([0; 16])).1;
    large.bodies[0].place = store::BodyPlace::Inline(vec![7; 1 << 20]);
    assert!(matches!(store.commit(large.clone()).await, Err(CommitError::Store(StoreError::Unavailable(_)))));
    store.limit_pages_for_tests(None).await.unwrap();
    store.commit(large).await.unwrap();
}

#[test]
fn what_is_no_database_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    std::fs::write(&path, "this is a letter, not a database; it is long enough to be read as a header of one").unwrap();
    assert!(matches!(SqliteStore::open(&path), Err(StoreError::Corrupt(_))));
    assert!(matches!(SqliteStore::open(&folder.path().join("no/such/folder/t.db")), Err(StoreError::Unavailable(_))));
    let newer = folder.path().join("newer.db");
    rusqlite::Connection::open(&newer).unwrap().pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(SqliteStore::open(&newer), Err(StoreError::OutdatedProgram { found: 99, .. })));
}

#[tokio::test]
async fn dropping_the_store_finishes_what_was_sent() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.db");
    let f = Fixture::new(1);
    let store = SqliteStore::open(&path).unwrap();
    store.commit(f.put()).await.unwrap();
    store.commit(Changes::default()).await.unwrap();
    drop(store);
    let again = SqliteStore::open(&path).unwrap();
    assert!(again.find_pair(f.pair.id).await.unwrap().is_some());
}

//! The conformance suite on a real PostgreSQL server, and what only a server can suffer.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods)] // Helpers of tests may panic and speak.

use std::sync::Arc;
use std::time::Instant;

use store::{CommitError, Store, StoreError};
use store_postgres::PostgresStore;
use testkit::{Fixture, Postgres, conformance};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conforms() {
    let server = Postgres::start();
    conformance::run(Arc::new(PostgresStore::open(&server.url()).await.unwrap())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_processes_share_one_database_without_gaps() {
    let server = Postgres::start();
    let stores = [PostgresStore::open(&server.url()).await.unwrap(), PostgresStore::open(&server.url()).await.unwrap()];
    let f = Arc::new(Fixture::new(1));
    stores[0].commit(f.put()).await.unwrap();
    let stores = stores.map(Arc::new);
    let tasks: Vec<_> = (0..100usize)
        .map(|n| {
            let (store, f) = (Arc::clone(&stores[n % 2]), Arc::clone(&f));
            tokio::spawn(async move {
                let at = domain::Timestamp(1_795_316_400_000_000 + i64::try_from(n).unwrap());
                let changes = f.message(None, at, domain::id::NodeId::from_bytes([0; 16])).1;
                // On a slow disk a lock can be waited for too long: nothing was promised, and a sender comes again.
                while let Err(error) = store.commit(changes.clone()).await {
                    assert!(matches!(error, CommitError::Store(StoreError::Unavailable(_))), "{error:?}");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let entries = stores[0].list_ledger(f.pair.id, 1, 1_000).await.unwrap();
    assert_eq!(entries.iter().map(|e| e.number).collect::<Vec<_>>(), (1..=200).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_gone_is_unavailable_within_a_second_and_recovers() {
    let mut server = Postgres::start();
    let store = PostgresStore::open(&server.url()).await.unwrap();
    let f = Fixture::new(1);
    store.commit(f.put()).await.unwrap();
    server.kill();
    let started = Instant::now();
    let late = f.message(None, domain::Timestamp(1_795_316_400_000_000), domain::id::NodeId::from_bytes([0; 16])).1;
    assert!(matches!(store.commit(late.clone()).await, Err(CommitError::Store(StoreError::Unavailable(_)))));
    assert!(matches!(store.find_pair(f.pair.id).await, Err(StoreError::Unavailable(_))));
    assert!(started.elapsed().as_secs() < 2, "a client is told 451 within a second");
    server.crash_and_restart();
    for _ in 0..50 {
        if store.find_pair(f.pair.id).await.is_ok_and(|p| p.is_some()) {
            break;
        }
    }
    store.commit(late).await.unwrap();
}

#[tokio::test]
async fn a_server_that_trades_durability_for_speed_is_refused() {
    let server = Postgres::start();
    let url = format!("{}?options=-c%20synchronous_commit%3Doff", server.url());
    let Err(error) = PostgresStore::open(&url).await else { panic!("was taken") };
    assert!(error.to_string().contains("synchronous_commit"), "{error}");
}

#[tokio::test]
async fn a_server_with_a_certificate_of_its_own_making_is_taken_unless_more_is_required() {
    let server = Postgres::start_with_tls();
    let store = PostgresStore::open(&server.url()).await.unwrap();
    store.commit(Fixture::new(1).put()).await.unwrap();
    let refused = PostgresStore::open(&format!("{}?sslmode=require", server.url())).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))));
}

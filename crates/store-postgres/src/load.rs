//! What the plan of a batch needs to know, locked in key order, all statements pipelined.

use std::collections::BTreeMap;

use domain::id::{BuyerId, MessageId, OrderId, PairId, SellerId};
use store::rows::octets as read_octets;
use store::{Current, Entity, Needs};
use tokio_postgres::Row;

use crate::connection::Session;
use crate::error::Failure;

/// Rows of one table named by bucket and id, as parallel arrays.
struct Keys {
    buckets: Vec<i16>,
    ids: Vec<Vec<u8>>,
}

impl Keys {
    fn of<'a>(keys: impl Iterator<Item = (i16, &'a [u8; 16])>) -> Self {
        let (buckets, ids) = keys.map(|(bucket, id)| (bucket, id.to_vec())).unzip();
        Self { buckets, ids }
    }

    async fn query(&self, s: &Session, sql: &str) -> Result<Vec<Row>, Failure> {
        if self.ids.is_empty() {
            return Ok(Vec::new());
        }
        s.query(sql, &[&self.buckets, &self.ids]).await
    }
}

/// Picks the key of one kind of row.
type Pick = fn(&Entity) -> Option<(i16, &[u8; 16])>;

pub(crate) async fn current(s: &Session, needs: &Needs) -> Result<Current, Failure> {
    let versions = |pick: Pick| Keys::of(needs.versions.iter().filter_map(pick));
    let sellers = versions(|e| if let Entity::Seller(id) = e { Some((id.bucket().number(), id.as_bytes())) } else { None });
    let buyers = versions(|e| if let Entity::Buyer(id) = e { Some((0, id.as_bytes())) } else { None });
    let orders = versions(|e| if let Entity::Order(id) = e { Some((id.bucket().number(), id.as_bytes())) } else { None });
    let pairs = versions(|e| if let Entity::Pair(id) = e { Some((id.bucket().number(), id.as_bytes())) } else { None });
    let fences = Keys::of(needs.fences.iter().map(|id| (id.bucket().number(), id.as_bytes())));
    let chains = Keys::of(needs.chains.iter().map(|id| (id.bucket().number(), id.as_bytes())));
    let feeds = Keys::of(needs.feeds.iter().map(|id| (id.bucket().number(), id.as_bytes())));
    ensure_heads(s, &chains, &feeds).await?;
    // Locks in one fixed order of tables and, within each, of keys: two processes can wait but never in a circle.
    let (feed_rows, chain_rows, seller_rows, buyer_rows, order_rows, pair_rows, fence_rows, counters) = tokio::try_join!(
        feeds.query(s, "SELECT t.seller, t.position FROM feed t JOIN unnest($1::smallint[], $2::bytea[]) k(b, i) ON t.bucket = k.b AND t.seller = k.i ORDER BY t.bucket, t.seller FOR UPDATE OF t"),
        chains.query(s, "SELECT t.pair, t.length, t.head FROM chain t JOIN unnest($1::smallint[], $2::bytea[]) k(b, i) ON t.bucket = k.b AND t.pair = k.i ORDER BY t.bucket, t.pair FOR UPDATE OF t"),
        sellers.query(s, "SELECT t.id, t.version FROM seller t JOIN unnest($1::smallint[], $2::bytea[]) k(b, i) ON t.bucket = k.b AND t.id = k.i ORDER BY t.bucket, t.id FOR UPDATE OF t"),
        buyers.query(s, "SELECT t.id, t.version FROM buyer t JOIN unnest($1::smallint[], $2::bytea[]) k(b, i) ON t.id = k.i ORDER BY t.id FOR UPDATE OF t"),
        orders.query(s, "SELECT t.id, t.version FROM \"order\" t JOIN unnest($1::smallint[], $2::bytea[]) k(b, i) ON t.bucket = k.b AND t.id = k.i ORDER BY t.bucket, t.id FOR UPDATE OF t"),
        pairs.query(s, "SELECT t.id, t.version FROM pair t JOIN unnest($1::smallint[], $2::bytea[]) k(b, i) ON t.bucket = k.b AND t.id = k.i ORDER BY t.bucket, t.id FOR SHARE OF t"),
        fences.query(s, "SELECT t.message, CASE WHEN t.lease_owner IS NULL THEN -1 ELSE t.fence END FROM delivery t JOIN unnest($1::smallint[], $2::bytea[]) k(b, i) ON t.bucket = k.b AND t.message = k.i ORDER BY t.bucket, t.message FOR UPDATE OF t"),
        counter_rows(s, needs),
    )?;
    let mut current = Current::default();
    for row in &feed_rows {
        current.feeds.insert(SellerId::from_bytes(id(row)?), row.try_get(1)?);
    }
    for row in &chain_rows {
        current.chains.insert(PairId::from_bytes(id(row)?), (row.try_get(1)?, read_octets(row.try_get(2)?)?));
    }
    let mut version = |rows: &[Row], make: fn([u8; 16]) -> Entity| -> Result<(), Failure> {
        for row in rows {
            current.versions.insert(make(id(row)?), row.try_get(1)?);
        }
        Ok(())
    };
    version(&seller_rows, |b| Entity::Seller(SellerId::from_bytes(b)))?;
    version(&buyer_rows, |b| Entity::Buyer(BuyerId::from_bytes(b)))?;
    version(&order_rows, |b| Entity::Order(OrderId::from_bytes(b)))?;
    version(&pair_rows, |b| Entity::Pair(PairId::from_bytes(b)))?;
    for row in &fence_rows {
        current.fences.insert(MessageId::from_bytes(id(row)?), row.try_get(1)?);
    }
    current.counters = counters;
    Ok(current)
}

/// A chain or feed that is about to get its first entry gets its row first, so that it can be locked: two
/// processes that begin the same chain then wait for one another instead of both numbering from 1.
async fn ensure_heads(s: &Session, chains: &Keys, feeds: &Keys) -> Result<(), Failure> {
    tokio::try_join!(
        feeds.query(s, "INSERT INTO feed (bucket, seller, position) SELECT b, i, 0 FROM unnest($1::smallint[], $2::bytea[]) k(b, i) WHERE NOT EXISTS (SELECT 1 FROM feed t WHERE t.bucket = k.b AND t.seller = k.i) ORDER BY b, i ON CONFLICT DO NOTHING"),
        chains.query(s, "INSERT INTO chain (bucket, pair, length, head) SELECT b, i, 0, decode(repeat('00', 32), 'hex') FROM unnest($1::smallint[], $2::bytea[]) k(b, i) WHERE NOT EXISTS (SELECT 1 FROM chain t WHERE t.bucket = k.b AND t.pair = k.i) ORDER BY b, i ON CONFLICT DO NOTHING"),
    )?;
    Ok(())
}

async fn counter_rows(s: &Session, needs: &Needs) -> Result<BTreeMap<(PairId, String), i64>, Failure> {
    if needs.counters.is_empty() {
        return Ok(BTreeMap::new());
    }
    let keys = Keys::of(needs.counters.iter().map(|(pair, _)| (pair.bucket().number(), pair.as_bytes())));
    let names: Vec<&str> = needs.counters.iter().map(|(_, name)| name.as_str()).collect();
    s.execute("INSERT INTO counter (bucket, pair, name, value) SELECT b, i, n, 0 FROM unnest($1::smallint[], $2::bytea[], $3::text[]) k(b, i, n) ORDER BY b, i, n ON CONFLICT DO NOTHING", &[&keys.buckets, &keys.ids, &names]).await?;
    let sql = "SELECT t.pair, t.value, t.name FROM counter t JOIN unnest($1::smallint[], $2::bytea[], $3::text[]) k(b, i, n) ON t.bucket = k.b AND t.pair = k.i AND t.name = k.n ORDER BY t.bucket, t.pair, t.name FOR UPDATE OF t";
    let rows = s.query(sql, &[&keys.buckets, &keys.ids, &names]).await?;
    rows.iter().map(|row| Ok(((PairId::from_bytes(id(row)?), row.try_get(2)?), row.try_get(1)?))).collect()
}

fn id(row: &Row) -> Result<[u8; 16], Failure> {
    Ok(read_octets(row.try_get(0)?)?)
}

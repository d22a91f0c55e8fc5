//! Aliases and pairs.

use domain::id::{BuyerId, PairId, SellerId};
use domain::{AliasName, Pair};
use store::{AliasTarget, rows};

use crate::connection::Session;
use crate::error::Failure;
use crate::read::{all, octets, one};

pub(crate) async fn find_alias(s: &Session, marketplace: &str, alias: &AliasName) -> Result<Option<AliasTarget>, Failure> {
    let sql = format!("SELECT {} FROM alias WHERE marketplace = $1 AND name = $2", rows::ALIAS);
    one(s, &sql, &[&marketplace, &alias.as_str()], rows::alias).await
}

pub(crate) async fn pair(s: &Session, id: PairId) -> Result<Option<Pair>, Failure> {
    let sql = format!("SELECT {} FROM pair WHERE bucket = $1 AND id = $2", rows::PAIR);
    one(s, &sql, &[&id.bucket().number(), &octets(id.as_bytes())], rows::pair).await
}

pub(crate) async fn of_seller(s: &Session, seller: SellerId, after: Option<PairId>, limit: usize) -> Result<Vec<Pair>, Failure> {
    let sql = format!("SELECT {} FROM pair WHERE bucket = $1 AND seller = $2 AND id > $3 ORDER BY id LIMIT $4", rows::PAIR);
    all(s, &sql, &[&seller.bucket().number(), &octets(seller.as_bytes()), &after_bytes(after), &limit_number(limit)], rows::pair).await
}

pub(crate) async fn of_buyer(s: &Session, buyer: BuyerId, after: Option<PairId>, limit: usize) -> Result<Vec<Pair>, Failure> {
    let sql = format!("SELECT {} FROM pair WHERE buyer = $1 AND id > $2 ORDER BY id LIMIT $3", rows::PAIR);
    all(s, &sql, &[&octets(buyer.as_bytes()), &after_bytes(after), &limit_number(limit)], rows::pair).await
}

pub(crate) async fn counter(s: &Session, pair: PairId, name: &str) -> Result<i64, Failure> {
    let sql = "SELECT value FROM counter WHERE bucket = $1 AND pair = $2 AND name = $3";
    Ok(one(s, sql, &[&pair.bucket().number(), &octets(pair.as_bytes()), &name], |c| c.integer()).await?.unwrap_or(0))
}

/// Counters of one name, whose index says again which names it holds.
pub(crate) async fn counters_named(s: &Session, key: &str, after: Option<PairId>, limit: usize) -> Result<Vec<(PairId, i64)>, Failure> {
    let sql = "SELECT pair, value FROM counter WHERE name LIKE 'refused/%' AND name = $1 AND pair > $2 ORDER BY pair LIMIT $3";
    let after = after.map_or([0; 16], |p| *p.as_bytes());
    all(s, sql, &[&key, &after.as_slice(), &limit_number(limit)], rows::counter).await
}

/// Several counters, in the order of their names.
pub(crate) async fn counters(s: &Session, pair: PairId, names: &[String]) -> Result<Vec<i64>, Failure> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let sql = "SELECT coalesce(c.value, 0) FROM unnest($3::text[]) WITH ORDINALITY n(name, place)
        LEFT JOIN counter c ON c.bucket = $1 AND c.pair = $2 AND c.name = n.name ORDER BY n.place";
    all(s, sql, &[&pair.bucket().number(), &octets(pair.as_bytes()), &names], |c| c.integer()).await
}

fn after_bytes(after: Option<PairId>) -> Vec<u8> {
    after.map(|id| id.as_bytes().to_vec()).unwrap_or_default()
}

pub(crate) fn limit_number(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

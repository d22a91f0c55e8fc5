//! Aliases and pairs.

use domain::id::{BuyerId, PairId, SellerId};
use domain::{AliasName, Pair};
use rusqlite::{Connection, params};
use store::{AliasTarget, rows};

use crate::error::Failure;
use crate::read::{all, one};

pub(crate) fn find_alias(connection: &Connection, marketplace: &str, alias: &AliasName) -> Result<Option<AliasTarget>, Failure> {
    let sql = format!("SELECT {} FROM alias WHERE marketplace = ?1 AND name = ?2", rows::ALIAS);
    one(connection, &sql, params![marketplace, alias.as_str()], rows::alias)
}

pub(crate) fn pair(connection: &Connection, id: PairId) -> Result<Option<Pair>, Failure> {
    let sql = format!("SELECT {} FROM pair WHERE bucket = ?1 AND id = ?2", rows::PAIR);
    one(connection, &sql, params![id.bucket().number(), id.as_bytes()], rows::pair)
}

pub(crate) fn of_seller(connection: &Connection, seller: SellerId, after: Option<PairId>, limit: usize) -> Result<Vec<Pair>, Failure> {
    let sql = format!("SELECT {} FROM pair WHERE bucket = ?1 AND seller = ?2 AND id > ?3 ORDER BY id LIMIT ?4", rows::PAIR);
    all(connection, &sql, params![seller.bucket().number(), seller.as_bytes(), after_bytes(after), limit_number(limit)], rows::pair)
}

pub(crate) fn of_buyer(connection: &Connection, buyer: BuyerId, after: Option<PairId>, limit: usize) -> Result<Vec<Pair>, Failure> {
    let sql = format!("SELECT {} FROM pair WHERE buyer = ?1 AND id > ?2 ORDER BY id LIMIT ?3", rows::PAIR);
    all(connection, &sql, params![buyer.as_bytes(), after_bytes(after), limit_number(limit)], rows::pair)
}

pub(crate) fn counters_named(
    connection: &Connection,
    key: &str,
    after: Option<PairId>,
    limit: usize,
) -> Result<Vec<(PairId, i64)>, Failure> {
    // The condition on the name again as the index has it, so that the index is used.
    let sql =
        "SELECT pair, value FROM counter WHERE name >= 'refused/' AND name < 'refused0' AND name = ?1 AND pair > ?2 ORDER BY pair LIMIT ?3";
    let after = after.map_or([0; 16], |p| *p.as_bytes());
    all(connection, sql, params![key, after, limit_number(limit)], rows::counter)
}

pub(crate) fn counter(connection: &Connection, pair: PairId, name: &str) -> Result<i64, Failure> {
    let sql = "SELECT value FROM counter WHERE bucket = ?1 AND pair = ?2 AND name = ?3";
    Ok(one(connection, sql, params![pair.bucket().number(), pair.as_bytes(), name], |c| c.integer())?.unwrap_or(0))
}

fn after_bytes(after: Option<PairId>) -> Vec<u8> {
    after.map(|id| id.as_bytes().to_vec()).unwrap_or_default()
}

pub(crate) fn limit_number(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

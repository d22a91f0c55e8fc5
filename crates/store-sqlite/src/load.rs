//! What the plan of a batch needs to know, read inside its transaction.

use rusqlite::{Connection, OptionalExtension, params};
use store::rows::octets;
use store::{Current, Entity, Needs};

use crate::error::Failure;

pub(crate) fn current(connection: &Connection, needs: &Needs) -> Result<Current, Failure> {
    let mut current = Current::default();
    for entity in &needs.versions {
        let (sql, bucket, id) = match entity {
            Entity::Seller(id) => ("SELECT version FROM seller WHERE bucket = ?1 AND id = ?2", id.bucket().number(), id.as_bytes()),
            Entity::Buyer(id) => ("SELECT version FROM buyer WHERE ?1 = 0 AND id = ?2", 0, id.as_bytes()),
            Entity::Order(id) => ("SELECT version FROM \"order\" WHERE bucket = ?1 AND id = ?2", id.bucket().number(), id.as_bytes()),
            Entity::Pair(id) => ("SELECT version FROM pair WHERE bucket = ?1 AND id = ?2", id.bucket().number(), id.as_bytes()),
        };
        let version = connection.prepare_cached(sql)?.query_row(params![bucket, id], |r| r.get(0)).optional()?;
        current.versions.insert(*entity, version.unwrap_or(0));
    }
    for message in &needs.fences {
        let mut statement = connection.prepare_cached(
            "SELECT CASE WHEN lease_owner IS NULL THEN -1 ELSE fence END FROM delivery WHERE bucket = ?1 AND message = ?2",
        )?;
        if let Some(fence) = statement.query_row(params![message.bucket().number(), message.as_bytes()], |r| r.get(0)).optional()? {
            current.fences.insert(*message, fence);
        }
    }
    for pair in &needs.chains {
        let mut statement = connection.prepare_cached("SELECT length, head FROM chain WHERE bucket = ?1 AND pair = ?2")?;
        let row: Option<(i64, Vec<u8>)> =
            statement.query_row(params![pair.bucket().number(), pair.as_bytes()], |r| Ok((r.get(0)?, r.get(1)?))).optional()?;
        if let Some((length, head)) = row {
            current.chains.insert(*pair, (length, octets(&head)?));
        }
    }
    for seller in &needs.feeds {
        let mut statement = connection.prepare_cached("SELECT position FROM feed WHERE bucket = ?1 AND seller = ?2")?;
        if let Some(position) = statement.query_row(params![seller.bucket().number(), seller.as_bytes()], |r| r.get(0)).optional()? {
            current.feeds.insert(*seller, position);
        }
    }
    for (pair, name) in &needs.counters {
        let mut statement = connection.prepare_cached("SELECT value FROM counter WHERE bucket = ?1 AND pair = ?2 AND name = ?3")?;
        if let Some(value) = statement.query_row(params![pair.bucket().number(), pair.as_bytes(), name], |r| r.get(0)).optional()? {
            current.counters.insert((*pair, name.clone()), value);
        }
    }
    Ok(current)
}

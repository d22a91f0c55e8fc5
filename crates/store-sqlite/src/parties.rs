//! Sellers, buyers, orders, tokens, settings.

use domain::id::{BuyerId, PairId, SellerId};
use domain::{Buyer, Order, Seller, Timestamp};
use rusqlite::{Connection, params};
use store::{Token, rows};

use crate::error::Failure;
use crate::read::{all, one};

pub(crate) fn seller(connection: &Connection, id: SellerId) -> Result<Option<Seller>, Failure> {
    let sql = format!("SELECT {} FROM seller WHERE bucket = ?1 AND id = ?2", rows::SELLER);
    one(connection, &sql, params![id.bucket().number(), id.as_bytes()], rows::seller)
}

pub(crate) fn buyer(connection: &Connection, id: BuyerId) -> Result<Option<Buyer>, Failure> {
    one(connection, &format!("SELECT {} FROM buyer WHERE id = ?1", rows::BUYER), params![id.as_bytes()], rows::buyer)
}

pub(crate) fn order_by_shop_id(connection: &Connection, marketplace: &str, shop_id: &str) -> Result<Option<Order>, Failure> {
    let id =
        one(connection, "SELECT id FROM order_key WHERE marketplace = ?1 AND shop_id = ?2", params![marketplace, shop_id], rows::order_id)?;
    let Some(id) = id else { return Ok(None) };
    let sql = format!("SELECT {} FROM \"order\" WHERE bucket = ?1 AND id = ?2", rows::ORDER);
    one(connection, &sql, params![id.bucket().number(), id.as_bytes()], rows::order)
}

pub(crate) fn orders_of_pair(connection: &Connection, pair: PairId) -> Result<Vec<Order>, Failure> {
    let sql = format!("SELECT {} FROM \"order\" WHERE bucket = ?1 AND pair = ?2 ORDER BY placed_at DESC LIMIT 100", rows::ORDER);
    all(connection, &sql, params![pair.bucket().number(), pair.as_bytes()], rows::order)
}

pub(crate) fn count_orders(connection: &Connection, seller: SellerId, from: Timestamp, to: Timestamp) -> Result<i64, Failure> {
    let sql =
        "SELECT count(*) FROM \"order\" WHERE bucket = ?1 AND seller = ?2 AND placed_at >= ?3 AND placed_at < ?4 AND status <> 'cancelled'";
    Ok(one(connection, sql, params![seller.bucket().number(), seller.as_bytes(), from.0, to.0], |c| c.integer())?.unwrap_or(0))
}

pub(crate) fn is_seller_address(connection: &Connection, marketplace: &str, address: &str) -> Result<bool, Failure> {
    let sql = "SELECT 1 FROM seller_address WHERE marketplace = ?1 AND address = ?2 LIMIT 1";
    Ok(one(connection, sql, params![marketplace, address], |c| c.integer())?.is_some())
}

pub(crate) fn setting(connection: &Connection, name: &str) -> Result<Option<String>, Failure> {
    one(connection, "SELECT value FROM setting WHERE name = ?1", params![name], |c| c.text())
}

pub(crate) fn put_setting_once(connection: &Connection, name: &str, value: &str) -> Result<String, Failure> {
    connection.execute("INSERT INTO setting (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING", params![name, value])?;
    Ok(setting(connection, name)?.unwrap_or_default())
}

pub(crate) fn token(connection: &Connection, hash: &[u8; 32]) -> Result<Option<Token>, Failure> {
    one(connection, &format!("SELECT {} FROM token WHERE hash = ?1", rows::TOKEN), params![hash], rows::token)
}

pub(crate) fn tokens(connection: &Connection) -> Result<Vec<Token>, Failure> {
    all(connection, &format!("SELECT {} FROM token ORDER BY name", rows::TOKEN), params![], rows::token)
}

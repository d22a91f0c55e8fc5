//! Sellers, buyers, orders, tokens, settings.

use domain::id::{BuyerId, PairId, SellerId};
use domain::{Buyer, Order, Seller, Timestamp};
use store::{Token, rows};

use crate::connection::Session;
use crate::error::Failure;
use crate::read::{all, octets, one};

pub(crate) async fn seller(s: &Session, id: SellerId) -> Result<Option<Seller>, Failure> {
    let sql = format!("SELECT {} FROM seller WHERE bucket = $1 AND id = $2", rows::SELLER);
    one(s, &sql, &[&id.bucket().number(), &octets(id.as_bytes())], rows::seller).await
}

pub(crate) async fn buyer(s: &Session, id: BuyerId) -> Result<Option<Buyer>, Failure> {
    one(s, &format!("SELECT {} FROM buyer WHERE id = $1", rows::BUYER), &[&octets(id.as_bytes())], rows::buyer).await
}

pub(crate) async fn order_by_shop_id(s: &Session, marketplace: &str, shop_id: &str) -> Result<Option<Order>, Failure> {
    let id = one(s, "SELECT id FROM order_key WHERE marketplace = $1 AND shop_id = $2", &[&marketplace, &shop_id], rows::order_id).await?;
    let Some(id) = id else { return Ok(None) };
    let sql = format!("SELECT {} FROM \"order\" WHERE bucket = $1 AND id = $2", rows::ORDER);
    one(s, &sql, &[&id.bucket().number(), &octets(id.as_bytes())], rows::order).await
}

pub(crate) async fn orders_of_pair(s: &Session, pair: PairId) -> Result<Vec<Order>, Failure> {
    let sql = format!("SELECT {} FROM \"order\" WHERE bucket = $1 AND pair = $2 ORDER BY placed_at DESC LIMIT 100", rows::ORDER);
    all(s, &sql, &[&pair.bucket().number(), &octets(pair.as_bytes())], rows::order).await
}

pub(crate) async fn count_orders(s: &Session, seller: SellerId, from: Timestamp, to: Timestamp) -> Result<i64, Failure> {
    let sql =
        "SELECT count(*) FROM \"order\" WHERE bucket = $1 AND seller = $2 AND placed_at >= $3 AND placed_at < $4 AND status <> 'cancelled'";
    Ok(one(s, sql, &[&seller.bucket().number(), &octets(seller.as_bytes()), &from.0, &to.0], |c| c.integer()).await?.unwrap_or(0))
}

pub(crate) async fn is_seller_address(s: &Session, marketplace: &str, address: &str) -> Result<bool, Failure> {
    let sql = "SELECT 1::bigint FROM seller_address WHERE marketplace = $1 AND address = $2 LIMIT 1";
    Ok(one(s, sql, &[&marketplace, &address], |c| c.integer()).await?.is_some())
}

pub(crate) async fn setting(s: &Session, name: &str) -> Result<Option<String>, Failure> {
    one(s, "SELECT value FROM setting WHERE name = $1", &[&name], |c| c.text()).await
}

pub(crate) async fn put_setting_once(s: &Session, name: &str, value: &str) -> Result<String, Failure> {
    s.execute("INSERT INTO setting (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING", &[&name, &value]).await?;
    Ok(setting(s, name).await?.unwrap_or_default())
}

pub(crate) async fn token(s: &Session, hash: &[u8; 32]) -> Result<Option<Token>, Failure> {
    one(s, &format!("SELECT {} FROM token WHERE hash = $1", rows::TOKEN), &[&hash.as_slice()], rows::token).await
}

pub(crate) async fn tokens(s: &Session) -> Result<Vec<Token>, Failure> {
    all(s, &format!("SELECT {} FROM token ORDER BY name COLLATE \"C\"", rows::TOKEN), &[], rows::token).await
}

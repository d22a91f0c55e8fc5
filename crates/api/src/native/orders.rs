//! `PUT` orders.

use axum::extract::{Path, State};
use domain::{Order, Timestamp};
use operations::{ItemInput, OrderInput, PairAliases};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ApiState;
use crate::native::Json;
use crate::native::parties::marketplace_id;
use crate::native::shapes::{instant, read_instant, read_range};
use crate::problem::Problem;
use crate::token::Caller;

/// One line of an order.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ItemShape {
    /// What it is called.
    title: String,
    /// Category of the shop.
    #[serde(default)]
    category: String,
    /// Whether it is made to the buyer's wishes.
    #[serde(default)]
    customizable: bool,
    /// How many.
    #[serde(default = "one")]
    quantity: i64,
}

fn one() -> i64 {
    1
}

/// An order; absent fields stay as they are. Partly shipped is `shipped`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PutOrder {
    /// The shop's id of the seller. Required the first time.
    seller: Option<String>,
    /// The shop's id of the buyer. Required the first time.
    buyer: Option<String>,
    /// `pending`, `unshipped`, `shipped`, `delivered`, `cancelled` or `returned`.
    status: Option<String>,
    /// When it was placed (RFC 3339). Required the first time.
    #[serde(default, deserialize_with = "read_instant")]
    #[schema(value_type = Option<String>)]
    placed_at: Option<Timestamp>,
    /// Lines; they replace those given before.
    items: Option<Vec<ItemShape>>,
    /// Promised delivery: two instants.
    #[serde(default, deserialize_with = "read_range")]
    #[schema(value_type = Option<Vec<String>>)]
    deliver_between: Option<(Timestamp, Timestamp)>,
    /// When it was shipped.
    #[serde(default, deserialize_with = "read_instant")]
    #[schema(value_type = Option<String>)]
    shipped_at: Option<Timestamp>,
    /// When it was delivered.
    #[serde(default, deserialize_with = "read_instant")]
    #[schema(value_type = Option<String>)]
    delivered_at: Option<Timestamp>,
    /// When it was cancelled.
    #[serde(default, deserialize_with = "read_instant")]
    #[schema(value_type = Option<String>)]
    cancelled_at: Option<Timestamp>,
    /// The shop's time stamp; an older one changes nothing.
    #[serde(default, deserialize_with = "read_instant")]
    #[schema(value_type = Option<String>)]
    updated_at: Option<Timestamp>,
}

/// An order as stored, with the aliases of its pair.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OrderShape {
    id: String,
    pair: String,
    status: &'static str,
    placed_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    shipped_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivered_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cancelled_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deliver_between: Option<[String; 2]>,
    items: Vec<ItemShape>,
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<String>,
    /// Reaches the buyer; give it to the seller.
    buyer_alias: String,
    /// Reaches the seller; show it to the buyer.
    seller_alias: String,
}

impl OrderShape {
    fn of(o: Order, aliases: PairAliases) -> Self {
        Self {
            id: o.shop_id,
            pair: o.pair.to_string(),
            status: o.status.as_str(),
            placed_at: instant(o.placed_at),
            shipped_at: o.shipped_at.map(instant),
            delivered_at: o.delivered_at.map(instant),
            cancelled_at: o.cancelled_at.map(instant),
            deliver_between: o.deliver_between.map(|(from, to)| [instant(from), instant(to)]),
            items: o
                .items
                .into_iter()
                .map(|i| ItemShape { title: i.title, category: i.category, customizable: i.customizable, quantity: i.quantity })
                .collect(),
            updated_at: o.updated_at.map(instant),
            buyer_alias: aliases.buyer_alias,
            seller_alias: aliases.seller_alias,
        }
    }
}

/// Put an order
///
/// Idempotent. The first order of a buyer with a seller makes their two aliases, which stay the same for ever.
#[utoipa::path(put, path = "/api/v1/marketplaces/{marketplace}/orders/{id}", request_body = PutOrder,
    params(("marketplace" = String, Path, description = "Id of the marketplace in the configuration"), ("id" = String, Path, description = "The shop's id of the order")),
    responses((status = 200, body = OrderShape), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn put_order(
    State(state): State<ApiState>,
    caller: Caller,
    Path((marketplace, id)): Path<(String, String)>,
    Json(input): Json<PutOrder>,
) -> Result<axum::Json<OrderShape>, Problem> {
    caller.require_operator()?;
    let items = |items: Vec<ItemShape>| {
        items
            .into_iter()
            .map(|i| ItemInput { title: i.title, category: i.category, customizable: i.customizable, quantity: i.quantity })
            .collect()
    };
    let input = OrderInput {
        seller: input.seller,
        buyer: input.buyer,
        status: input.status,
        placed_at: input.placed_at,
        items: input.items.map(items),
        deliver_between: input.deliver_between,
        shipped_at: input.shipped_at,
        delivered_at: input.delivered_at,
        cancelled_at: input.cancelled_at,
        updated_at: input.updated_at,
    };
    let (order, aliases) = operations::put_order(&state.ctx, &marketplace_id(&marketplace)?, &id, input).await?;
    Ok(axum::Json(OrderShape::of(order, aliases)))
}

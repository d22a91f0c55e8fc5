//! `PUT` sellers and buyers.

use axum::extract::{Path, State};
use domain::{Buyer, MarketplaceId, OptOutSource, Seller, Timestamp};
use operations::{BuyerInput, SellerInput};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ApiState;
use crate::native::Json;
use crate::native::shapes::{instant, read_instant};
use crate::problem::Problem;
use crate::token::Caller;

/// A seller; absent fields stay as they are.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PutSeller {
    /// What buyers see in From. Required the first time.
    business_name: Option<String>,
    /// Registered address. Required the first time.
    email: Option<String>,
    /// Where buyers' mail goes; the registered address if never given.
    customer_service_email: Option<String>,
    /// Further addresses from which the seller may write.
    approved_senders: Option<Vec<String>>,
    /// Domains of carriers that may notify this seller's buyers.
    approved_carriers: Option<Vec<String>>,
    /// Language tag such as `es` or `pt-BR`.
    locale: Option<String>,
    /// Whether the bracketed word in subjects is withdrawn from this seller.
    important_withdrawn: Option<bool>,
    /// `false` tries an address anew that refused again and again; a changed address is tried anew by itself.
    undeliverable: Option<bool>,
    /// The shop's time stamp (RFC 3339); an older one changes nothing.
    #[serde(default, deserialize_with = "read_instant")]
    #[schema(value_type = Option<String>)]
    updated_at: Option<Timestamp>,
}

/// A seller as stored.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SellerShape {
    id: String,
    business_name: String,
    email: String,
    customer_service_email: String,
    approved_senders: Vec<String>,
    approved_carriers: Vec<String>,
    locale: String,
    /// Whether the bracketed word in subjects is withdrawn from this seller.
    important_withdrawn: bool,
    /// Since when the address is given up, because it refused again and again: mail stands on the page only.
    #[serde(skip_serializing_if = "Option::is_none")]
    undeliverable_since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<String>,
}

impl From<Seller> for SellerShape {
    fn from(s: Seller) -> Self {
        Self {
            id: s.shop_id,
            business_name: s.business_name,
            email: s.email.to_wire(),
            customer_service_email: s.customer_service_email.to_wire(),
            approved_senders: s.approved_senders.iter().map(mail::Mailbox::to_wire).collect(),
            approved_carriers: s.approved_carriers.iter().map(|d| d.as_str().to_owned()).collect(),
            locale: s.locale,
            important_withdrawn: s.important_withdrawn,
            undeliverable_since: s.undeliverable_at.map(instant),
            updated_at: s.updated_at.map(instant),
        }
    }
}

/// Put a seller
///
/// Idempotent. The id is the shop's own.
#[utoipa::path(put, path = "/api/v1/marketplaces/{marketplace}/sellers/{id}", request_body = PutSeller,
    params(("marketplace" = String, Path, description = "Id of the marketplace in the configuration"), ("id" = String, Path, description = "The shop's id of the seller")),
    responses((status = 200, body = SellerShape), (status = 422, body = Problem)))]
pub(crate) async fn put_seller(
    State(state): State<ApiState>,
    caller: Caller,
    Path((marketplace, id)): Path<(String, String)>,
    Json(input): Json<PutSeller>,
) -> Result<axum::Json<SellerShape>, Problem> {
    caller.require_operator()?;
    let input = SellerInput {
        business_name: input.business_name,
        email: input.email,
        customer_service_email: input.customer_service_email,
        approved_senders: input.approved_senders,
        approved_carriers: input.approved_carriers,
        locale: input.locale,
        important_withdrawn: input.important_withdrawn,
        undeliverable: input.undeliverable,
        updated_at: input.updated_at,
    };
    let seller = operations::put_seller(&state.ctx, &marketplace_id(&marketplace)?, &id, input).await?;
    Ok(axum::Json(seller.into()))
}

/// A buyer; absent fields stay as they are.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PutBuyer {
    /// The real address. Required the first time.
    email: Option<String>,
    /// What sellers see in From. Required the first time.
    first_name: Option<String>,
    /// Language tag.
    locale: Option<String>,
    /// Whether the buyer wants no unsolicited mail. What the buyer chose cannot be undone here.
    opted_out: Option<bool>,
    /// `false` tries an address anew that refused again and again; a changed address is tried anew by itself.
    undeliverable: Option<bool>,
    /// The shop's time stamp (RFC 3339); an older one changes nothing.
    #[serde(default, deserialize_with = "read_instant")]
    #[schema(value_type = Option<String>)]
    updated_at: Option<Timestamp>,
}

/// A buyer as stored.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BuyerShape {
    id: String,
    email: String,
    first_name: String,
    locale: String,
    opted_out: bool,
    /// `buyer` or `shop`; absent without an opt-out.
    #[serde(skip_serializing_if = "Option::is_none")]
    opted_out_by: Option<&'static str>,
    /// Since when the address is given up, because it refused again and again: mail stands on the page only.
    #[serde(skip_serializing_if = "Option::is_none")]
    undeliverable_since: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    updated_at: Option<String>,
}

impl From<Buyer> for BuyerShape {
    fn from(b: Buyer) -> Self {
        Self {
            id: b.shop_id,
            email: b.email.to_wire(),
            first_name: b.first_name,
            locale: b.locale,
            opted_out: b.opt_out.is_some(),
            opted_out_by: b.opt_out.map(|o| if o.source == OptOutSource::Buyer { "buyer" } else { "shop" }),
            undeliverable_since: b.undeliverable_at.map(instant),
            updated_at: b.updated_at.map(instant),
        }
    }
}

/// Put a buyer
///
/// Idempotent. The id is the shop's own.
#[utoipa::path(put, path = "/api/v1/marketplaces/{marketplace}/buyers/{id}", request_body = PutBuyer,
    params(("marketplace" = String, Path, description = "Id of the marketplace in the configuration"), ("id" = String, Path, description = "The shop's id of the buyer")),
    responses((status = 200, body = BuyerShape), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn put_buyer(
    State(state): State<ApiState>,
    caller: Caller,
    Path((marketplace, id)): Path<(String, String)>,
    Json(input): Json<PutBuyer>,
) -> Result<axum::Json<BuyerShape>, Problem> {
    caller.require_operator()?;
    let input = BuyerInput {
        email: input.email,
        first_name: input.first_name,
        locale: input.locale,
        opted_out: input.opted_out,
        undeliverable: input.undeliverable,
        updated_at: input.updated_at,
    };
    let buyer = operations::put_buyer(&state.ctx, &marketplace_id(&marketplace)?, &id, input).await?;
    Ok(axum::Json(buyer.into()))
}

/// The marketplace of a path.
pub(crate) fn marketplace_id(text: &str) -> Result<MarketplaceId, Problem> {
    MarketplaceId::new(text)
        .ok_or_else(|| Problem::new(axum::http::StatusCode::NOT_FOUND, "unknown_marketplace", "no marketplace with this id is configured"))
}

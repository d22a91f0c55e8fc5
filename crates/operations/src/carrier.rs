//! The carrier lane (B): whether a stranger is a carrier with a parcel of this pair on its way.
//!
//! Whoever is none of that is answered like any stranger, in the same words.

use std::time::Duration;

use domain::carriers::{is_below, same_organisation};
use domain::order::mentioned;
use domain::{Order, OrderId, OrderStatus, Role, Seller, Timestamp};
use mail::Domain;
use store::{PairFacts, StoreError};

use crate::context::Context;
use crate::metrics::Metrics;
use crate::weigh::{Incoming, Sender};

/// Notices of carriers that one order may have.
pub(crate) const CARRIER_PER_ORDER: i64 = 10;
/// How long after the delivery a carrier may still write: a parcel that was left with a neighbour, a survey of damage.
const AFTER_DELIVERY: Duration = Duration::from_secs(14 * 24 * 3600);

/// What a carrier writes about.
pub(crate) struct Parcel {
    /// Whose mail it is.
    pub(crate) carrier: String,
    /// The order that is on its way.
    pub(crate) order: OrderId,
}

/// The parcel that a message from a carrier's domain is about; none for anybody else.
pub(crate) async fn parcel(ctx: &Context, m: &Incoming<'_>, pair: &PairFacts, now: Timestamp) -> Result<Option<Parcel>, StoreError> {
    let Sender::Mail { from: Some(from), aligned: true, is_null: false } = m.sender else { return Ok(None) };
    if m.target.reaches != Role::Buyer {
        return Ok(None);
    }
    let Some(carrier) = name_of(ctx, &pair.seller, from.domain()) else { return Ok(None) };
    let Some(order) = on_its_way(pair, m, now) else {
        Metrics::count(&ctx.metrics.carriers, "refused");
        return Ok(None);
    };
    if ctx.store.find_counter(pair.pair.id, &carrier_key(order)).await? >= CARRIER_PER_ORDER {
        Metrics::count(&ctx.metrics.carriers, "refused");
        return Ok(None);
    }
    Ok(Some(Parcel { carrier, order }))
}

/// The carrier that a domain belongs to: of the list, or approved for this seller. Never one in which anybody can have
/// an address, nor one of the seller's own: it would be a second way in for the seller.
fn name_of(ctx: &Context, seller: &Seller, domain: &Domain) -> Option<String> {
    let carriers = &ctx.settings.carriers;
    let is_sellers = seller.writers().iter().any(|w| same_organisation(w.domain(), domain));
    if is_sellers || carriers.is_freemail(domain) {
        return None;
    }
    let approved = || seller.approved_carriers.iter().find(|listed| is_below(domain, listed)).map(|d| d.as_str().to_owned());
    carriers.find(domain).map(str::to_owned).or_else(approved)
}

/// The order on its way that the text names, else the newest.
fn on_its_way(pair: &PairFacts, m: &Incoming<'_>, now: Timestamp) -> Option<OrderId> {
    let is_open = |order: &&Order| match (order.status, order.delivered_at) {
        (OrderStatus::Shipped, None) => true,
        (OrderStatus::Shipped | OrderStatus::Delivered, Some(at)) => now.since(at) <= AFTER_DELIVERY,
        _ => false,
    };
    let open: Vec<Order> = pair.orders.iter().filter(is_open).cloned().collect();
    let text = [m.content.subject.as_str(), m.content.text.as_str()];
    text.iter().find_map(|text| mentioned(&open, text)).or(open.first()).map(|order| order.id)
}

/// The counter of an order's notices.
pub(crate) fn carrier_key(order: OrderId) -> String {
    format!("carrier/{order}")
}

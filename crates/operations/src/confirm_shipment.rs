//! Confirming a shipment sends the buyer the shipping notice with tracking, in the buyer's language (C12).

use std::collections::BTreeMap;

use domain::ledger;
use domain::policy::Outcome;
use domain::{AliasState, Buyer, MarketplaceId, MessageId as Id, Order, OrderStatus, Pair, Role, Seller, Timestamp};
use mail::Mailbox;
use store::{CommitError, CounterAdd, Entity, Guard, NewEntry, StoreError};

use crate::compose_template::{built_in_fields, items_of};
use crate::context::{Context, Marketplace, TRIES};
use crate::error::{InputError, OperationError};
use crate::links::{LinkAction, mint};
use crate::notices::{OwnMessage, hash_and_size, queue_own};
use crate::record::{Batch, commit};
use crate::verp;

/// Most parcels of one order of which the buyer is told.
const MAX_NOTICES: i64 = 10;

/// What is known of a shipment.
#[derive(Debug, Clone, Default)]
pub struct ShipmentInput {
    /// Who carries it.
    pub carrier: String,
    /// Number by which it is followed.
    pub tracking_number: String,
    /// Page on which it is followed.
    pub tracking_url: Option<String>,
    /// When it was handed over; now when absent.
    pub shipped_at: Option<Timestamp>,
}

/// Confirms a shipment: the order is shipped and the buyer is told, once for each tracking number.
///
/// # Errors
/// `Invalid` names every fault, `Missing` an unknown order, `Forbidden` an order that is cancelled or returned.
pub async fn confirm_shipment(
    ctx: &Context,
    marketplace: &MarketplaceId,
    shop_id: &str,
    input: &ShipmentInput,
) -> Result<Order, OperationError> {
    let missing = |what| OperationError::Missing { what, detail: "there is none with this id".to_owned() };
    let settings = ctx.settings.by_id(marketplace).ok_or_else(|| missing("marketplace"))?;
    check(input)?;
    for _ in 0..TRIES {
        let old = ctx.store.find_order(marketplace, shop_id).await?.ok_or_else(|| missing("order"))?;
        if matches!(old.status, OrderStatus::Cancelled | OrderStatus::Returned) {
            let detail = format!("the order is {}; nothing of it is shipped any more", old.status.as_str());
            return Err(OperationError::Forbidden { code: "order_is_over", detail });
        }
        let now = ctx.clock.now();
        let mut order = old.clone();
        if matches!(order.status, OrderStatus::Pending | OrderStatus::Unshipped) {
            order.status = OrderStatus::Shipped;
        }
        order.shipped_at = order.shipped_at.or(input.shipped_at).or(Some(now));
        let mut batch = Batch::default();
        batch.changes.guards.push(Guard::Version(Entity::Order(old.id), old.version));
        if order != old {
            order.version += 1;
            batch.changes.orders.push(order.clone());
        }
        let tracking = ledger::hash(&[input.tracking_number.trim().as_bytes()]);
        let key = tracking[..8].iter().fold(format!("shipment/{}/", order.id), |text, b| format!("{text}{b:02x}"));
        let pair = ctx.store.find_pair(order.pair).await?.ok_or_else(|| missing("pair"))?;
        if pair.state == AliasState::Retired {
            let detail = "the aliases of this pair are retired; nothing is sent through them any more";
            return Err(OperationError::Forbidden { code: "alias_is_retired", detail: detail.to_owned() });
        }
        let is_told = ctx.store.find_counter(order.pair, &key).await? > 0;
        let told = format!("shipments/{}", order.id);
        if !is_told && ctx.store.find_counter(order.pair, &told).await? >= MAX_NOTICES {
            let detail = format!("the buyer was told of {MAX_NOTICES} shipments of this order already");
            return Err(OperationError::Forbidden { code: "too_many_shipments", detail });
        }
        if !is_told {
            batch.changes.counters.push(CounterAdd { pair: order.pair, key, amount: 1, below: Some(1) });
            batch.changes.counters.push(CounterAdd { pair: order.pair, key: told, amount: 1, below: Some(MAX_NOTICES) });
        }
        let (seller, buyer) = (ctx.store.find_seller(order.seller).await?, ctx.store.find_buyer(order.buyer).await?);
        let (Some(seller), Some(buyer)) = (seller, buyer) else {
            return Err(StoreError::Corrupt(format!("order {} without its parties", order.id)).into());
        };
        if !is_told {
            notice(ctx, settings, Parties { pair: &pair, seller: &seller, buyer: &buyer, order: &order }, input, now, &mut batch).await?;
        } else if batch.changes.orders.is_empty() {
            return Ok(order);
        }
        match commit(ctx, batch).await {
            Ok(_) => return Ok(order),
            Err(CommitError::Conflict) => {}
            Err(CommitError::Store(error)) => return Err(error.into()),
        }
    }
    Err(OperationError::Busy)
}

fn check(input: &ShipmentInput) -> Result<(), OperationError> {
    let mut faults = Vec::new();
    // No room for anything but a name and a number: what a seller has to say goes through the rules.
    let is_carrier = |c: char| c.is_alphanumeric() || " &.-'".contains(c);
    if !(1..=40).contains(&input.carrier.trim().chars().count()) || !input.carrier.chars().all(is_carrier) {
        faults.push(InputError::new("carrier", "invalid_text", "a name of 1 to 40 letters and digits"));
    }
    let is_number = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b' ';
    if !(1..=50).contains(&input.tracking_number.trim().len()) || !input.tracking_number.bytes().all(is_number) {
        faults.push(InputError::new("tracking_number", "invalid_text", "1 to 50 of A-Z, a-z, 0-9, - and space"));
    }
    let is_address =
        |url: &str| url.len() <= 500 && url.starts_with("https://") && url.bytes().all(|b| b.is_ascii_graphic() && !b"<>\"@".contains(&b));
    if input.tracking_url.as_deref().is_some_and(|url| !is_address(url)) {
        faults.push(InputError::new("tracking_url", "invalid_url", "an https:// address of at most 500 characters, without @"));
    }
    if faults.is_empty() { Ok(()) } else { Err(OperationError::Invalid(faults)) }
}

struct Parties<'a> {
    pair: &'a Pair,
    seller: &'a Seller,
    buyer: &'a Buyer,
    order: &'a Order,
}

async fn notice(
    ctx: &Context,
    marketplace: &Marketplace,
    p: Parties<'_>,
    input: &ShipmentInput,
    now: Timestamp,
    batch: &mut Batch,
) -> Result<(), OperationError> {
    let texts = &ctx.settings.texts;
    let Some((language, template)) = texts.template("shipping_notice", &p.buyer.locale, &marketplace.locale) else {
        return Err(StoreError::Corrupt("there is no template shipping_notice".to_owned()).into());
    };
    let items = items_of(p.order);
    let built_in = built_in_fields(marketplace, p.seller, p.buyer, Some(p.order), &items);
    let given = BTreeMap::from([("carrier".to_owned(), input.carrier.clone()), ("tracking".to_owned(), input.tracking_number.clone())]);
    let rendered = template.render(&built_in, &given);
    let (subject, mut text) = rendered.map_err(|_| StoreError::Corrupt("the template shipping_notice has other fields".to_owned()))?;
    if let Some(url) = &input.tracking_url {
        text = format!("{text}\n\n{url}");
    }
    let id = Id::fresh(now, ctx.random.as_ref(), p.pair.id.bucket());
    let alias = Mailbox::new(p.pair.alias_of(Role::Seller).as_str(), marketplace.domain.clone()).expect("aliases are local-parts");
    let link = mint(ctx, LinkAction::BuyerPreferences, id).map(|link| ctx.text(language, "link_preferences_buyer", &[("link", &link)]));
    let footer = ctx.text(language, "page_footer", &[("marketplace", &marketplace.name)]);
    let chain = (p.pair.id, p.seller.id);
    let own = OwnMessage {
        id,
        marketplace,
        chain,
        conversation: None,
        order: Some(p.order.id),
        reason: Some("shipment"),
        from: (p.seller.business_name.clone(), alias),
        to: p.buyer.email.clone(),
        reverse_path: Some(verp::reverse_path(ctx, id, &marketplace.domain)),
        language,
        subject,
        text: format!("{text}\n\n-- \n{footer}\n{}\n", link.unwrap_or_default()),
        shown: text,
        in_reply_to: None,
        // Nobody's vacation note answers it.
        auto_submitted: "auto-generated",
        report: None,
    };
    let ready = queue_own(ctx, &mut batch.changes, own, now).await?;
    batch.changes.entries.push(NewEntry::new(
        chain,
        Some(id),
        "shipment.confirmed",
        now,
        ctx.salt(),
        [("order", Some(p.order.id.to_string().into())), ("outgoing", Some(hash_and_size(&ready.content)))],
    ));
    batch.outcomes.push(Outcome::Notify.as_str());
    batch.ready.push(ready);
    Ok(())
}

//! Confirming a shipment sends the buyer the shipping notice with tracking, in the buyer's language (C12).

use std::collections::BTreeMap;

use domain::ledger;
use domain::message::{Author, Message};
use domain::policy::Outcome;
use domain::{AliasState, Buyer, MarketplaceId, MessageId as Id, Order, OrderStatus, Pair, Role, Seller, Timestamp};
use mail::Mailbox;
use mail::compose::{Outgoing, compose};
use store::{BodyKind, CommitError, CounterAdd, Entity, Guard, NewEntry, StoreError};

use crate::bodies;
use crate::context::{Context, Marketplace, ReadyDelivery, TRIES};
use crate::error::{InputError, OperationError};
use crate::links::{LinkAction, mint};
use crate::notices::{hash_and_size, queued};
use crate::record::{Batch, commit};
use crate::{dates, relay, verp};

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
    let items = p.order.items.iter().map(|i| i.title.as_str()).collect::<Vec<_>>().join(", ");
    let built_in = [
        ("business", p.seller.business_name.as_str()),
        ("buyer", p.buyer.first_name.as_str()),
        ("items", items.as_str()),
        ("marketplace", marketplace.name.as_str()),
        ("order", p.order.shop_id.as_str()),
    ];
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
    let outgoing = Outgoing {
        from: (p.seller.business_name.clone(), alias),
        to: p.buyer.email.clone(),
        reply_to: None,
        subject: subject.clone(),
        date: dates::rfc5322(now),
        message_id: relay::fresh_id(ctx, marketplace),
        in_reply_to: None,
        references: Vec::new(),
        // RFC 3834, section 5: nobody's vacation note answers it.
        auto_submitted: Some("auto-generated"),
        hostname: ctx.settings.hostname.clone(),
        hops: 1,
        text: format!("{text}\n\n-- \n{footer}\n{}\n", link.unwrap_or_default()),
        html: None,
        files: Vec::new(),
        boundary_seed: relay::seed(ctx),
        language: language.to_owned(),
    };
    let composed = compose(&outgoing);
    let content = marketplace.signer.as_ref().map_or(composed.clone(), |s| s.sign(&composed, now.unix_seconds()));
    let reverse_path = Some(verp::reverse_path(ctx, id, &marketplace.domain));
    let stored = bodies::with_envelope(&reverse_path, &p.buyer.email, &content);
    let view = format!("{subject}\n\n{text}");
    let changes = &mut batch.changes;
    bodies::seal(ctx, changes, id, now, &[(BodyKind::Outgoing, &stored), (BodyKind::View, view.as_bytes())]).await?;
    changes.messages.push(Message {
        id,
        pair: p.pair.id,
        seller: p.seller.id,
        conversation: None,
        author: Author::Tradepost,
        rung: None,
        order: Some(p.order.id),
        reason: Some("shipment".to_owned()),
        automatic: true,
        fingerprint: None,
        accepted_at: now,
        outcome: Outcome::Notify,
        original_id: None,
        outgoing_id: Some(outgoing.message_id.clone()),
        size_bytes: i64::try_from(content.len()).unwrap_or(i64::MAX),
    });
    changes.entries.push(NewEntry::new(
        (p.pair.id, p.seller.id),
        Some(id),
        "shipment.confirmed",
        now,
        ctx.salt(),
        [("order", Some(p.order.id.to_string().into())), ("outgoing", Some(hash_and_size(&content)))],
    ));
    let delivery = queued(ctx, id, now);
    changes.deliveries.push(delivery.clone());
    batch.outcomes.push(Outcome::Notify.as_str());
    batch.ready.push(ReadyDelivery { delivery, reverse_path, recipient: p.buyer.email.clone(), content: content.into() });
    Ok(())
}

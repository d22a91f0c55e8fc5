//! Creating and changing an order, idempotently; the first order of a buyer with a seller makes their pair.

use domain::order::Item;
use domain::{AliasName, AliasState, BuyerId, MarketplaceId, Order, OrderId, OrderStatus, Pair, PairId, SellerId, Timestamp};
use store::{Changes, CommitError, Entity, Guard};

use crate::context::{Context, Marketplace, TRIES};
use crate::error::{InputError, OperationError};
use crate::put_seller::{check_shop_id, is_older, require_marketplace};

/// Most lines of an order.
const MAX_ITEMS: usize = 500;

/// One line.
#[derive(Debug, Clone)]
pub struct ItemInput {
    /// What it is called.
    pub title: String,
    /// Category of the shop.
    pub category: String,
    /// Whether it is made to the buyer's wishes.
    pub customizable: bool,
    /// How many.
    pub quantity: i64,
}

/// What the shop says; what is absent stays as it is.
#[derive(Debug, Clone, Default)]
pub struct OrderInput {
    /// The shop's id of the seller.
    pub seller: Option<String>,
    /// The shop's id of the buyer.
    pub buyer: Option<String>,
    /// Status word.
    pub status: Option<String>,
    /// When it was placed.
    pub placed_at: Option<Timestamp>,
    /// Lines.
    pub items: Option<Vec<ItemInput>>,
    /// Promised delivery.
    pub deliver_between: Option<(Timestamp, Timestamp)>,
    /// When it was shipped.
    pub shipped_at: Option<Timestamp>,
    /// When it was delivered.
    pub delivered_at: Option<Timestamp>,
    /// When it was cancelled.
    pub cancelled_at: Option<Timestamp>,
    /// The shop's time stamp: an older one changes nothing.
    pub updated_at: Option<Timestamp>,
}

/// The two addresses of a pair as people write them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairAliases {
    /// Reaches the buyer.
    pub buyer_alias: String,
    /// Reaches the seller.
    pub seller_alias: String,
}

/// Puts an order; gives it with the pair's aliases.
///
/// # Errors
/// `Invalid` names every fault; `Missing` an unknown seller, buyer or marketplace; `Forbidden` when the
/// order would move to another seller or buyer.
pub async fn put_order(
    ctx: &Context,
    marketplace: &MarketplaceId,
    shop_id: &str,
    input: OrderInput,
) -> Result<(Order, PairAliases), OperationError> {
    require_marketplace(ctx, marketplace)?;
    check_shop_id(shop_id)?;
    for _ in 0..TRIES {
        let old = ctx.store.find_order(marketplace, shop_id).await?;
        let (seller, buyer) = parties(marketplace, old.as_ref(), &input)?;
        if old.is_none() {
            require_parties(ctx, seller, buyer).await?;
        }
        let pair = ctx.store.find_pair(PairId::of(seller, buyer)).await?;
        if let (Some(old), Some(pair)) = (old.as_ref().filter(|old| is_older(input.updated_at, old.updated_at)), &pair) {
            return Ok((old.clone(), aliases(ctx, pair)));
        }
        let order = merge(marketplace, shop_id, (seller, buyer), old.as_ref(), &input)?;
        let mut changes = Changes::default();
        changes.guards.push(Guard::Version(Entity::Order(order.id), old.as_ref().map_or(0, |o| o.version)));
        let pair = match pair {
            Some(pair) => pair,
            None => {
                let pair = draw_pair(ctx, marketplace, seller, buyer)?;
                changes.guards.push(Guard::Version(Entity::Pair(pair.id), 0));
                changes.pairs.push(pair.clone());
                pair
            }
        };
        if changes.pairs.is_empty() && old.is_some_and(|old| Order { version: order.version, ..old } == order) {
            return Ok((order, aliases(ctx, &pair)));
        }
        changes.orders.push(order.clone());
        match ctx.store.commit(changes).await {
            Ok(_) => return Ok((order, aliases(ctx, &pair))),
            Err(CommitError::Conflict) => {}
            Err(CommitError::Store(error)) => return Err(error.into()),
        }
    }
    Err(OperationError::Busy)
}

/// The aliases of a pair with their domain.
pub(crate) fn aliases(ctx: &Context, pair: &Pair) -> PairAliases {
    let domain = ctx.settings.by_id(&pair.marketplace).map_or("", |m| m.domain.as_str());
    PairAliases {
        buyer_alias: format!("{}@{domain}", pair.buyer_alias.as_str()),
        seller_alias: format!("{}@{domain}", pair.seller_alias.as_str()),
    }
}

fn parties(marketplace: &MarketplaceId, old: Option<&Order>, input: &OrderInput) -> Result<(SellerId, BuyerId), OperationError> {
    let seller = input.seller.as_deref().map(|id| SellerId::of(marketplace, id));
    let buyer = input.buyer.as_deref().map(|id| BuyerId::of(marketplace, id));
    match (old, seller, buyer) {
        (Some(old), seller, buyer) if seller.is_none_or(|s| s == old.seller) && buyer.is_none_or(|b| b == old.buyer) => {
            Ok((old.seller, old.buyer))
        }
        (Some(_), ..) => Err(OperationError::Forbidden {
            code: "order_keeps_its_parties",
            detail: "an order stays with its seller and buyer; use another order id".to_owned(),
        }),
        (None, Some(seller), Some(buyer)) => Ok((seller, buyer)),
        (None, seller, buyer) => {
            let fault = |field: &str| InputError::new(field, "required", "must be given when it is put for the first time");
            Err(OperationError::Invalid(
                [("seller", seller.is_none()), ("buyer", buyer.is_none())]
                    .iter()
                    .filter(|(_, absent)| *absent)
                    .map(|(f, _)| fault(f))
                    .collect(),
            ))
        }
    }
}

async fn require_parties(ctx: &Context, seller: SellerId, buyer: BuyerId) -> Result<(), OperationError> {
    if ctx.store.find_seller(seller).await?.is_none() {
        return Err(OperationError::Missing { what: "seller", detail: "put the seller first".to_owned() });
    }
    if ctx.store.find_buyer(buyer).await?.is_none() {
        return Err(OperationError::Missing { what: "buyer", detail: "put the buyer first".to_owned() });
    }
    Ok(())
}

fn draw_pair(ctx: &Context, marketplace: &MarketplaceId, seller: SellerId, buyer: BuyerId) -> Result<Pair, OperationError> {
    let settings: &Marketplace = ctx.settings.by_id(marketplace).ok_or(OperationError::Busy)?;
    let draw = || AliasName::draw(ctx.random.as_ref(), settings.alias_length);
    Ok(Pair {
        id: PairId::of(seller, buyer),
        marketplace: marketplace.clone(),
        seller,
        buyer,
        buyer_alias: draw(),
        seller_alias: draw(),
        state: AliasState::Open,
        version: 1,
    })
}

fn merge(
    marketplace: &MarketplaceId,
    shop_id: &str,
    (seller, buyer): (SellerId, BuyerId),
    old: Option<&Order>,
    input: &OrderInput,
) -> Result<Order, OperationError> {
    let mut faults = Vec::new();
    let status = match input.status.as_deref() {
        Some(word) => OrderStatus::parse(word).or_else(|| {
            let words = OrderStatus::ALL.map(OrderStatus::as_str).join(", ");
            faults.push(InputError::new("status", "invalid_status", format!("one of {words}")));
            None
        }),
        None => Some(old.map_or(OrderStatus::Pending, |o| o.status)),
    };
    let placed_at = input.placed_at.or(old.map(|o| o.placed_at));
    if placed_at.is_none() {
        faults.push(InputError::new("placed_at", "required", "must be given when it is put for the first time"));
    }
    let items = match &input.items {
        Some(items) => read_items(items, &mut faults),
        None => old.map(|o| o.items.clone()).unwrap_or_default(),
    };
    if input.deliver_between.is_some_and(|(from, to)| from > to) {
        faults.push(InputError::new("deliver_between", "invalid_range", "the first instant comes before the second"));
    }
    let (Some(status), Some(placed_at), true) = (status, placed_at, faults.is_empty()) else {
        return Err(OperationError::Invalid(faults));
    };
    Ok(Order {
        id: OrderId::of(marketplace, shop_id, seller),
        marketplace: marketplace.clone(),
        shop_id: shop_id.to_owned(),
        pair: PairId::of(seller, buyer),
        seller,
        buyer,
        status,
        placed_at,
        shipped_at: input.shipped_at.or(old.and_then(|o| o.shipped_at)),
        delivered_at: input.delivered_at.or(old.and_then(|o| o.delivered_at)),
        cancelled_at: input.cancelled_at.or(old.and_then(|o| o.cancelled_at)),
        deliver_between: input.deliver_between.or(old.and_then(|o| o.deliver_between)),
        items,
        updated_at: input.updated_at.or(old.and_then(|o| o.updated_at)),
        version: old.map_or(1, |o| o.version + 1),
    })
}

fn read_items(items: &[ItemInput], faults: &mut Vec<InputError>) -> Vec<Item> {
    if items.len() > MAX_ITEMS {
        faults.push(InputError::new("items", "too_many", format!("at most {MAX_ITEMS} entries")));
    }
    for (n, item) in items.iter().enumerate() {
        if item.title.trim().is_empty() || item.title.len() > 1_000 {
            faults.push(InputError::new(&format!("items[{n}].title"), "invalid_title", "1 to 1000 octets"));
        }
        if !(1..=1_000_000).contains(&item.quantity) {
            faults.push(InputError::new(&format!("items[{n}].quantity"), "invalid_quantity", "1 to 1000000"));
        }
    }
    items
        .iter()
        .map(|i| Item { title: i.title.clone(), category: i.category.clone(), customizable: i.customizable, quantity: i.quantity })
        .collect()
}

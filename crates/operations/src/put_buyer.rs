//! Creating and changing a buyer, idempotently.

use domain::{Buyer, BuyerId, MarketplaceId, OptOut, OptOutSource, Timestamp};
use store::{Changes, CommitError, Entity, Guard};

use crate::context::{Context, TRIES};
use crate::error::OperationError;
use crate::put_seller::{address, check_shop_id, display_name, is_older, locale, require_marketplace, take};

/// What the shop says; what is absent stays as it is.
#[derive(Debug, Clone, Default)]
pub struct BuyerInput {
    /// The real address.
    pub email: Option<String>,
    /// What the seller sees in From.
    pub first_name: Option<String>,
    /// Language tag.
    pub locale: Option<String>,
    /// Opt-out as the shop knows it.
    pub opted_out: Option<bool>,
    /// `false` tries an address anew that was given up (H6); only the mail system says that one is.
    pub undeliverable: Option<bool>,
    /// The shop's time stamp: an older one changes nothing.
    pub updated_at: Option<Timestamp>,
}

/// Puts a buyer.
///
/// # Errors
/// `Invalid` names every fault; `Forbidden` with `opt_out_is_buyers_choice` when the shop would lift what
/// the buyer chose (C4); `Missing` an unknown marketplace.
pub async fn put_buyer(ctx: &Context, marketplace: &MarketplaceId, shop_id: &str, input: BuyerInput) -> Result<Buyer, OperationError> {
    require_marketplace(ctx, marketplace)?;
    check_shop_id(shop_id)?;
    let id = BuyerId::of(marketplace, shop_id);
    for _ in 0..TRIES {
        let old = ctx.store.find_buyer(id).await?;
        if let Some(old) = old.as_ref().filter(|old| is_older(input.updated_at, old.updated_at)) {
            return Ok(old.clone());
        }
        let buyer = merge(ctx, marketplace, shop_id, old.as_ref(), &input)?;
        if old.as_ref().is_some_and(|old| Buyer { version: buyer.version, ..old.clone() } == buyer) {
            return Ok(buyer);
        }
        let guard = Guard::Version(Entity::Buyer(id), old.map_or(0, |b| b.version));
        let changes = Changes { guards: vec![guard], buyers: vec![buyer.clone()], ..Changes::default() };
        match ctx.store.commit(changes).await {
            Ok(_) => return Ok(buyer),
            Err(CommitError::Conflict) => {}
            Err(CommitError::Store(error)) => return Err(error.into()),
        }
    }
    Err(OperationError::Busy)
}

fn merge(
    ctx: &Context,
    marketplace: &MarketplaceId,
    shop_id: &str,
    old: Option<&Buyer>,
    input: &BuyerInput,
) -> Result<Buyer, OperationError> {
    let mut faults = Vec::new();
    let email = take(&mut faults, "email", input.email.as_deref(), old.map(|b| &b.email), |t| address(ctx, "email", t));
    let first_name =
        take(&mut faults, "first_name", input.first_name.as_deref(), old.map(|b| &b.first_name), |t| display_name("first_name", t));
    let default_locale = ctx.settings.by_id(marketplace).map(|m| m.locale.clone());
    let locale =
        take(&mut faults, "locale", input.locale.as_deref(), old.map(|b| &b.locale).or(default_locale.as_ref()), |t| locale("locale", t));
    let (Some(email), Some(first_name), Some(locale), true) = (email, first_name, locale, faults.is_empty()) else {
        return Err(OperationError::Invalid(faults));
    };
    // Another address is another try (H6).
    let is_same = old.is_some_and(|old| old.email.canonical() == email.canonical());
    let given_up = old.and_then(|b| b.undeliverable_at).filter(|_| is_same && input.undeliverable != Some(false));
    Ok(Buyer {
        id: BuyerId::of(marketplace, shop_id),
        marketplace: marketplace.clone(),
        shop_id: shop_id.to_owned(),
        email,
        first_name,
        locale,
        opt_out: opt_out(old.and_then(|b| b.opt_out), input.opted_out, ctx.clock.now())?,
        undeliverable_at: given_up,
        updated_at: input.updated_at.or(old.and_then(|b| b.updated_at)),
        version: old.map_or(1, |b| b.version + 1),
    })
}

fn opt_out(old: Option<OptOut>, new: Option<bool>, now: Timestamp) -> Result<Option<OptOut>, OperationError> {
    match (old, new) {
        (old, None) | (old @ Some(_), Some(true)) => Ok(old),
        (None, Some(true)) => Ok(Some(OptOut { since_at: now, source: OptOutSource::Shop })),
        (Some(OptOut { source: OptOutSource::Buyer, .. }), Some(false)) => Err(OperationError::Forbidden {
            code: "opt_out_is_buyers_choice",
            detail: "the buyer opted out and only the buyer can lift it; leave opted_out out of the request".to_owned(),
        }),
        (_, Some(false)) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shop_lifts_its_own_opt_out_but_not_the_buyers() {
        let since_at = Timestamp(5);
        let by = |source| Some(OptOut { since_at, source });
        assert_eq!(opt_out(by(OptOutSource::Shop), Some(false), since_at), Ok(None));
        assert!(matches!(
            opt_out(by(OptOutSource::Buyer), Some(false), since_at),
            Err(OperationError::Forbidden { code: "opt_out_is_buyers_choice", .. })
        ));
        assert_eq!(opt_out(by(OptOutSource::Buyer), Some(true), Timestamp(9)), Ok(by(OptOutSource::Buyer)), "the first date stays");
    }
}

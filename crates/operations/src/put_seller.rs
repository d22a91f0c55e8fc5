//! Creating and changing a seller, idempotently.

use domain::{MarketplaceId, Seller, SellerId, Timestamp};
use mail::{Domain, Mailbox};
use store::{Changes, CommitError, Entity, Guard};

use crate::context::{Context, TRIES};
use crate::error::{InputError, OperationError};

/// What the shop says; what is absent stays as it is.
#[derive(Debug, Clone, Default)]
pub struct SellerInput {
    /// Name in From.
    pub business_name: Option<String>,
    /// Registered address.
    pub email: Option<String>,
    /// Where buyers' mail goes; the registered address if never given.
    pub customer_service_email: Option<String>,
    /// Further writers.
    pub approved_senders: Option<Vec<String>>,
    /// Carriers.
    pub approved_carriers: Option<Vec<String>>,
    /// Language tag.
    pub locale: Option<String>,
    /// Whether the bracketed word is withdrawn (C5).
    pub important_withdrawn: Option<bool>,
    /// `false` tries an address anew that was given up (H6); only the mail system says that one is.
    pub undeliverable: Option<bool>,
    /// The shop's time stamp: an older one changes nothing.
    pub updated_at: Option<Timestamp>,
}

/// Puts a seller.
///
/// # Errors
/// `Invalid` names every fault, `Missing` an unknown marketplace.
pub async fn put_seller(ctx: &Context, marketplace: &MarketplaceId, shop_id: &str, input: SellerInput) -> Result<Seller, OperationError> {
    require_marketplace(ctx, marketplace)?;
    check_shop_id(shop_id)?;
    let id = SellerId::of(marketplace, shop_id);
    for _ in 0..TRIES {
        let old = ctx.store.find_seller(id).await?;
        if let Some(old) = old.as_ref().filter(|old| is_older(input.updated_at, old.updated_at)) {
            return Ok(old.clone());
        }
        let seller = merge(ctx, marketplace, shop_id, old.as_ref(), &input)?;
        if old.as_ref().is_some_and(|old| Seller { version: seller.version, ..old.clone() } == seller) {
            return Ok(seller);
        }
        let guard = Guard::Version(Entity::Seller(id), old.map_or(0, |s| s.version));
        let changes = Changes { guards: vec![guard], sellers: vec![seller.clone()], ..Changes::default() };
        match ctx.store.commit(changes).await {
            Ok(_) => return Ok(seller),
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
    old: Option<&Seller>,
    input: &SellerInput,
) -> Result<Seller, OperationError> {
    let mut faults = Vec::new();
    let business_name = take(&mut faults, "business_name", input.business_name.as_deref(), old.map(|s| &s.business_name), |t| {
        display_name("business_name", t)
    });
    let email = take(&mut faults, "email", input.email.as_deref(), old.map(|s| &s.email), |t| address(ctx, "email", t));
    // A first seller without one is served at the registered address.
    let service_input = input.customer_service_email.as_deref().or(if old.is_none() { input.email.as_deref() } else { None });
    let service = take(&mut faults, "customer_service_email", service_input, old.map(|s| &s.customer_service_email), |t| {
        address(ctx, "customer_service_email", t)
    });
    let senders =
        list(&mut faults, "approved_senders", input.approved_senders.as_deref(), old.map(|s| s.approved_senders.as_slice()), |field, t| {
            address(ctx, field, t)
        });
    let carriers = list(
        &mut faults,
        "approved_carriers",
        input.approved_carriers.as_deref(),
        old.map(|s| s.approved_carriers.as_slice()),
        |field, t| carrier_domain(ctx, field, t),
    );
    let default_locale = ctx.settings.by_id(marketplace).map(|m| m.locale.clone());
    let locale =
        take(&mut faults, "locale", input.locale.as_deref(), old.map(|s| &s.locale).or(default_locale.as_ref()), |t| locale("locale", t));
    let (Some(business_name), Some(email), Some(customer_service_email), Some(locale), true) =
        (business_name, email, service, locale, faults.is_empty())
    else {
        return Err(OperationError::Invalid(faults));
    };
    // Another address is another try (H6).
    let is_same = old.is_some_and(|old| old.customer_service_email.canonical() == customer_service_email.canonical());
    let given_up = old.and_then(|s| s.undeliverable_at).filter(|_| is_same && input.undeliverable != Some(false));
    Ok(Seller {
        id: SellerId::of(marketplace, shop_id),
        marketplace: marketplace.clone(),
        shop_id: shop_id.to_owned(),
        business_name,
        email,
        customer_service_email,
        approved_senders: senders,
        approved_carriers: carriers,
        own_senders: old.map(|s| s.own_senders.clone()).unwrap_or_default(),
        notify_blocked: old.is_none_or(|s| s.notify_blocked),
        important_withdrawn: input.important_withdrawn.or(old.map(|s| s.important_withdrawn)).unwrap_or(false),
        locale,
        undeliverable_at: given_up,
        updated_at: input.updated_at.or(old.and_then(|s| s.updated_at)),
        version: old.map_or(1, |s| s.version + 1),
    })
}

/// The new value, or the old one where none is given, or a fault.
pub(crate) fn take<T: Clone>(
    faults: &mut Vec<InputError>,
    field: &str,
    new: Option<&str>,
    old: Option<&T>,
    read: impl Fn(&str) -> Result<T, InputError>,
) -> Option<T> {
    match (new, old) {
        (Some(text), _) => read(text).map_err(|fault| faults.push(fault)).ok(),
        (None, Some(old)) => Some(old.clone()),
        (None, None) => {
            faults.push(InputError::new(field, "required", "must be given when it is put for the first time"));
            None
        }
    }
}

fn list<T: Clone>(
    faults: &mut Vec<InputError>,
    field: &str,
    new: Option<&[String]>,
    old: Option<&[T]>,
    read: impl Fn(&str, &str) -> Result<T, InputError>,
) -> Vec<T> {
    /// More would be a mailing list.
    const MOST: usize = 100;
    let Some(new) = new else { return old.map(<[T]>::to_vec).unwrap_or_default() };
    if new.len() > MOST {
        faults.push(InputError::new(field, "too_many", format!("at most {MOST} entries")));
        return Vec::new();
    }
    new.iter().enumerate().filter_map(|(n, text)| read(&format!("{field}[{n}]"), text).map_err(|fault| faults.push(fault)).ok()).collect()
}

/// A domain that a carrier writes from: not one in which anybody can have an address (B).
fn carrier_domain(ctx: &Context, field: &str, text: &str) -> Result<Domain, InputError> {
    let domain = Domain::parse(text).map_err(|e| InputError::new(field, "invalid_domain", e.to_string()))?;
    if ctx.settings.carriers.is_freemail(&domain) {
        let detail = "anybody can have an address in this domain; give the carrier's own";
        return Err(InputError::new(field, "freemail_domain", detail));
    }
    Ok(domain)
}

/// An address of a party: valid, and in no alias domain (A8).
pub(crate) fn address(ctx: &Context, field: &str, text: &str) -> Result<Mailbox, InputError> {
    let mailbox = Mailbox::parse(text.trim()).map_err(|e| InputError::new(field, "invalid_email", e.to_string()))?;
    if ctx.settings.by_domain(mailbox.domain()).is_some() {
        return Err(InputError::new(
            field,
            "address_in_alias_domain",
            "an address in an alias domain is no party's own; give the real one",
        ));
    }
    Ok(mailbox)
}

/// A name that stands in From: one line, not empty, no address.
pub(crate) fn display_name(field: &str, text: &str) -> Result<String, InputError> {
    let name = text.trim();
    let valid = (1..=100).contains(&name.chars().count()) && !name.chars().any(char::is_control) && !name.contains('@');
    if valid { Ok(name.to_owned()) } else { Err(InputError::new(field, "invalid_name", "1 to 100 characters on one line, without @")) }
}

/// A language tag (RFC 5646), its form only.
pub(crate) fn locale(field: &str, text: &str) -> Result<String, InputError> {
    let valid = (2..=35).contains(&text.len())
        && text.split('-').all(|s| (1..=8).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_alphanumeric()));
    if valid { Ok(text.to_owned()) } else { Err(InputError::new(field, "invalid_locale", "a language tag such as es or pt-BR")) }
}

/// The shop's own id of anything.
pub(crate) fn check_shop_id(shop_id: &str) -> Result<(), OperationError> {
    let valid = (1..=64).contains(&shop_id.len()) && shop_id.bytes().all(|b| b.is_ascii_graphic() && !b"/\\\"<>[]@".contains(&b));
    if valid {
        Ok(())
    } else {
        Err(InputError::new("id", "invalid_id", "1 to 64 visible ASCII characters without / \\ \" < > [ ] @").into())
    }
}

pub(crate) fn require_marketplace(ctx: &Context, marketplace: &MarketplaceId) -> Result<(), OperationError> {
    match ctx.settings.by_id(marketplace) {
        Some(_) => Ok(()),
        None => Err(OperationError::Missing { what: "marketplace", detail: "no marketplace with this id is configured".to_owned() }),
    }
}

/// An older time stamp changes nothing.
pub(crate) fn is_older(new: Option<Timestamp>, old: Option<Timestamp>) -> bool {
    matches!((new, old), (Some(new), Some(old)) if new < old)
}

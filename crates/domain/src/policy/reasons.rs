//! Why a seller writes, and for which orders each reason is offered (C2, D1): a table, read from the rules.

use crate::order::{Order, OrderStatus};
use crate::policy::rules::RuleSet;
use crate::world::Timestamp;

const DAY_MICROS: i64 = 86_400_000_000;

/// A contact reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// Its id, such as `customization`.
    pub id: String,
    /// The action of the Selling Partner API that means it.
    pub action: Option<String>,
    /// Whether a message with it passes the opt-out.
    pub critical: bool,
    /// Statuses of an order for which it is offered; all, and no order at all, when empty.
    pub statuses: Vec<OrderStatus>,
    /// Whether an item must be, or must not be, made to wishes.
    pub customizable: Option<bool>,
    /// Categories of which an item must have one; any when empty. Lower case.
    pub categories: Vec<String>,
    /// First and last day after delivery.
    pub days_after_delivery: Option<(u32, u32)>,
    /// Whether it can be used once an order.
    pub once_per_order: bool,
    /// Whether the seller may write text of their own.
    pub free_text: bool,
    /// Whether telephone numbers pass.
    pub phones: bool,
    /// Hosts to which links pass beside those of every message; lower case.
    pub links: Vec<String>,
}

/// What a rule needs to know of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderFacts {
    /// How far it is.
    pub status: OrderStatus,
    /// Categories of its items, lower case, each once.
    pub categories: Vec<String>,
    /// Whether an item is made to wishes.
    pub customizable: bool,
    /// When it was delivered.
    pub delivered_at: Option<Timestamp>,
}

impl From<&Order> for OrderFacts {
    fn from(order: &Order) -> Self {
        let mut categories: Vec<String> = order.items.iter().map(|i| i.category.to_lowercase()).filter(|c| !c.is_empty()).collect();
        categories.sort_unstable();
        categories.dedup();
        Self {
            status: order.status,
            categories,
            customizable: order.items.iter().any(|i| i.customizable),
            delivered_at: order.delivered_at,
        }
    }
}

/// Why a reason is not offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unavailable {
    /// It is about an order, and the message is about none.
    NoOrder,
    /// Not in this status.
    Status,
    /// No item is, or some item is, made to wishes.
    Customizable,
    /// No item of such a category.
    Category,
    /// When the order was delivered is not known.
    NoDeliveryDate,
    /// Too soon after delivery.
    TooEarly,
    /// Too long after delivery.
    TooLate,
    /// Used already for this order.
    AlreadyUsed,
}

impl Unavailable {
    /// Every cause.
    pub const ALL: [Self; 8] = [
        Self::NoOrder,
        Self::Status,
        Self::Customizable,
        Self::Category,
        Self::NoDeliveryDate,
        Self::TooEarly,
        Self::TooLate,
        Self::AlreadyUsed,
    ];

    /// The word in records and the API; behind `unavailable_` also the text key.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoOrder => "no_order",
            Self::Status => "status",
            Self::Customizable => "customizable",
            Self::Category => "category",
            Self::NoDeliveryDate => "no_delivery_date",
            Self::TooEarly => "too_early",
            Self::TooLate => "too_late",
            Self::AlreadyUsed => "already_used",
        }
    }
}

impl Reason {
    /// Whether it is offered for that order now; `used` says that it was used for it before.
    ///
    /// # Errors
    /// Why it is not.
    pub fn offered(&self, order: Option<&OrderFacts>, used: bool, now: Timestamp) -> Result<(), Unavailable> {
        let needs_order = !self.statuses.is_empty()
            || self.customizable.is_some()
            || !self.categories.is_empty()
            || self.days_after_delivery.is_some()
            || self.once_per_order;
        let Some(order) = order else {
            return if needs_order { Err(Unavailable::NoOrder) } else { Ok(()) };
        };
        if !self.statuses.is_empty() && !self.statuses.contains(&order.status) {
            return Err(Unavailable::Status);
        }
        if self.customizable.is_some_and(|wanted| wanted != order.customizable) {
            return Err(Unavailable::Customizable);
        }
        if !self.categories.is_empty() && !self.categories.iter().any(|c| order.categories.contains(c)) {
            return Err(Unavailable::Category);
        }
        if let Some((from, to)) = self.days_after_delivery {
            let Some(delivered) = order.delivered_at else { return Err(Unavailable::NoDeliveryDate) };
            // Whole days: the last day counts until its end.
            let elapsed = now.0.saturating_sub(delivered.0);
            if elapsed < i64::from(from) * DAY_MICROS {
                return Err(Unavailable::TooEarly);
            }
            if elapsed >= (i64::from(to) + 1) * DAY_MICROS {
                return Err(Unavailable::TooLate);
            }
        }
        if self.once_per_order && used { Err(Unavailable::AlreadyUsed) } else { Ok(()) }
    }
}

/// A reason, and whether it is offered.
#[derive(Debug, Clone)]
pub struct Offer<'a> {
    /// The reason.
    pub reason: &'a Reason,
    /// Why it is not offered, if it is not.
    pub unavailable: Option<Unavailable>,
}

/// Every reason in order, offered or with the cause why not (D1). `used` tells which were used for the order.
pub fn offers<'a>(
    rules: &'a RuleSet,
    order: Option<&OrderFacts>,
    used: impl Fn(&str) -> bool,
    now: Timestamp,
) -> impl Iterator<Item = Offer<'a>> {
    rules.reasons.iter().map(move |reason| Offer { reason, unavailable: reason.offered(order, used(&reason.id), now).err() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered(id: &str, order: Option<&OrderFacts>) -> Result<(), Unavailable> {
        RuleSet::embedded().reason(id).unwrap().offered(order, false, Timestamp(0))
    }

    fn order(status: OrderStatus) -> OrderFacts {
        OrderFacts { status, categories: vec![], customizable: false, delivered_at: None }
    }

    #[test]
    fn problems_come_before_delivery_and_returns_after_it() {
        let (before, after) = (order(OrderStatus::Shipped), order(OrderStatus::Delivered));
        assert_eq!((offered("unexpected_problem", Some(&before)), offered("return", Some(&before))), (Ok(()), Err(Unavailable::Status)));
        assert_eq!((offered("unexpected_problem", Some(&after)), offered("return", Some(&after))), (Err(Unavailable::Status), Ok(())));
    }

    #[test]
    fn category_and_wishes_decide() {
        let mut o = order(OrderStatus::Unshipped);
        assert_eq!(offered("customization", Some(&o)), Err(Unavailable::Customizable));
        o.customizable = true;
        assert_eq!(offered("customization", Some(&o)), Ok(()));
        assert_eq!(offered("service_appointment", Some(&o)), Err(Unavailable::Category));
        o.categories = vec!["service".into()];
        assert_eq!(offered("service_appointment", Some(&o)), Ok(()));
        assert_eq!(offered("service_appointment", None), Err(Unavailable::NoOrder));
        assert_eq!(offered("other", None), Ok(()));
    }

    #[test]
    fn a_review_is_asked_for_once_between_the_fifth_and_the_thirtieth_day() {
        let rules = RuleSet::embedded();
        let review = rules.reason("review_request").unwrap();
        let mut o = order(OrderStatus::Delivered);
        assert_eq!(review.offered(Some(&o), false, Timestamp(0)), Err(Unavailable::NoDeliveryDate));
        o.delivered_at = Some(Timestamp(0));
        let on = |days: i64, used| review.offered(Some(&o), used, Timestamp(days * DAY_MICROS + 1));
        assert_eq!([on(4, false), on(5, false), on(30, false)], [Err(Unavailable::TooEarly), Ok(()), Ok(())]);
        assert_eq!([on(31, false), on(10, true)], [Err(Unavailable::TooLate), Err(Unavailable::AlreadyUsed)]);
        assert_eq!(review.offered(Some(&o), false, Timestamp(i64::MIN)), Err(Unavailable::TooEarly), "a clock that jumped back");
    }
}

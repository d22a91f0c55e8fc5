//! What a signed link shows whoever opens it: read only, and nothing that a stranger could use.

use domain::message::{Author, Mark, MarkKind, Message};
use domain::{AliasState, BuyerId, MessageId, PairId, Role, SellerId};
use store::{FactsQuery, StoreError};

use crate::context::{Context, Marketplace};
use crate::error::OperationError;
use crate::links::{LinkAction, read_link};
use crate::resend::{ResendOptions, resend_options};

/// Why a link shows nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkFault {
    /// It is none of ours, altered, or what it is about is gone.
    Invalid,
    /// Its time is over.
    Expired,
}

/// What a page behind a link needs.
#[derive(Debug, Clone)]
pub struct LinkPage {
    /// What it is for.
    pub action: LinkAction,
    /// The message.
    pub message: MessageId,
    /// Its pair.
    pub pair: PairId,
    /// The seller.
    pub seller: SellerId,
    /// The buyer.
    pub buyer: BuyerId,
    /// Language tag of the page.
    pub language: String,
    /// What people call the marketplace.
    pub marketplace: String,
    /// The seller's business name.
    pub business: String,
    /// The other side of the message, as its reader knows it: the seller's business name or the buyer's first name.
    pub other: String,
    /// The shop's id of the order that the message is about.
    pub order: Option<String>,
    /// When the message came, on the marketplace's clock.
    pub written: String,
    /// Since when the message has the mark that the link sets, on the same clock.
    pub marked: Option<String>,
    /// Reasons of a report with their names.
    pub report_reasons: Vec<(String, String)>,
    /// The buyer's opt-out.
    pub opted_out: bool,
    /// Whether the buyer closed the seller's way.
    pub is_closed: bool,
    /// Whether the aliases are out of use.
    pub is_retired: bool,
    /// The seller's choice of notices.
    pub notify_blocked: bool,
    /// What can be done about a refused message.
    pub resend: Option<ResendOptions>,
    /// Its reasons with their names.
    pub resend_reasons: Vec<(String, String)>,
}

impl LinkPage {
    /// A text in the page's language; `{marketplace}` fills itself.
    #[must_use]
    pub fn text(&self, ctx: &Context, key: &str, fields: &[(&str, &str)]) -> String {
        let own = [("marketplace", self.marketplace.as_str())];
        let fields: Vec<(&str, &str)> = own.iter().chain(fields).copied().collect();
        ctx.text(&self.language, key, &fields)
    }
}

/// Opens a link. Changes nothing (F3).
///
/// # Errors
/// `StoreError`.
pub async fn open_link(ctx: &Context, secret: &str) -> Result<Result<LinkPage, LinkFault>, StoreError> {
    let Some(link) = read_link(ctx, secret) else { return Ok(Err(LinkFault::Invalid)) };
    if link.is_expired {
        return Ok(Err(LinkFault::Expired));
    }
    let Some(message) = ctx.store.find_message(link.message, &[]).await? else { return Ok(Err(LinkFault::Invalid)) };
    let Some(pair) = ctx.store.find_pair(message.message.pair).await? else { return Ok(Err(LinkFault::Invalid)) };
    let (seller, buyer) = (ctx.store.find_seller(pair.seller).await?, ctx.store.find_buyer(pair.buyer).await?);
    let (Some(seller), Some(buyer), Some(marketplace)) = (seller, buyer, ctx.settings.by_id(&pair.marketplace)) else {
        return Ok(Err(LinkFault::Invalid));
    };
    let is_buyers = match link.action {
        LinkAction::BuyerReport | LinkAction::BuyerPreferences | LinkAction::Unsubscribe => true,
        LinkAction::NoResponse | LinkAction::SellerReport | LinkAction::SellerPreferences => false,
        // Of whoever wrote it.
        LinkAction::Resend => message.message.author == Author::Party(Role::Buyer),
    };
    let locale = marketplace.locale_of(&ctx.settings.texts, if is_buyers { &buyer.locale } else { &seller.locale });
    let resend = match link.action {
        LinkAction::Resend => match resend_options(ctx, link.message).await {
            Ok(options) => Some(options),
            Err(OperationError::Store(error)) => return Err(error),
            Err(_) => return Ok(Err(LinkFault::Invalid)),
        },
        _ => None,
    };
    let (mark, order) = (find_mark(ctx, link.action, link.message).await?, find_order(ctx, &message.message).await?);
    let named = |ids: &[String], kind: &str| ids.iter().map(|id| (id.clone(), name(ctx, marketplace, locale, kind, id))).collect();
    Ok(Ok(LinkPage {
        action: link.action,
        message: link.message,
        pair: pair.id,
        seller: pair.seller,
        buyer: pair.buyer,
        language: ctx.settings.texts.language_of(locale).to_owned(),
        marketplace: marketplace.name.clone(),
        business: seller.business_name.clone(),
        other: if is_buyers { seller.business_name.clone() } else { buyer.first_name.clone() },
        order,
        written: marketplace.calendar.minute(message.message.accepted_at),
        marked: mark.map(|mark| marketplace.calendar.minute(mark.at)),
        report_reasons: named(&marketplace.rules.report_reasons, "report"),
        opted_out: buyer.opt_out.is_some(),
        is_closed: pair.state == AliasState::ClosedByBuyer,
        is_retired: pair.state == AliasState::Retired,
        notify_blocked: seller.notify_blocked,
        resend_reasons: resend.as_ref().map(|r| named(&r.reasons, "reason")).unwrap_or_default(),
        resend,
    }))
}

/// The mark that the link sets, if the message has it.
async fn find_mark(ctx: &Context, action: LinkAction, message: MessageId) -> Result<Option<Mark>, StoreError> {
    let kind = match action {
        LinkAction::NoResponse => MarkKind::NoResponse,
        LinkAction::SellerReport | LinkAction::BuyerReport => MarkKind::Reported,
        LinkAction::SellerPreferences | LinkAction::BuyerPreferences | LinkAction::Resend | LinkAction::Unsubscribe => return Ok(None),
    };
    Ok(ctx.store.list_marks(message).await?.into_iter().find(|mark| mark.kind == kind))
}

/// The shop's id of the message's order, while it is among the newest of the pair.
async fn find_order(ctx: &Context, message: &Message) -> Result<Option<String>, StoreError> {
    let Some(id) = message.order else { return Ok(None) };
    let orders = ctx.store.load_facts(FactsQuery::of_pair(message.pair)).await?.map(|facts| facts.orders).unwrap_or_default();
    Ok(orders.into_iter().find(|order| order.id == id).map(|order| order.shop_id))
}

fn name(ctx: &Context, marketplace: &Marketplace, locale: &str, kind: &str, id: &str) -> String {
    let text = ctx.settings.texts.name_of(locale, kind, id);
    domain::texts::fill(&text, &[("marketplace", &marketplace.name)])
}

//! One click in a mail program ends unsolicited mail (RFC 8058); the buyer is told, with the way back.

use domain::{MessageId as Id, PairId, Role, SellerId};
use store::{CommitError, CounterAdd, NewEntry};

use crate::choose::set_opt_out;
use crate::context::Context;
use crate::error::OperationError;
use crate::links::{LinkAction, mint};
use crate::notices::{OwnMessage, hash_and_size, queue_own};
use crate::open_link::LinkPage;
use crate::record::{Batch, commit};

const DAY_MICROS: i64 = 86_400_000_000;

/// The buyer of a link opts out; the confirmation is mailed at most once a day.
///
/// # Errors
/// As [`set_opt_out`].
pub async fn unsubscribe(ctx: &Context, link: &LinkPage) -> Result<(), OperationError> {
    let missing = || OperationError::Missing { what: "buyer", detail: "there is no such buyer".to_owned() };
    let before = ctx.store.find_buyer(link.buyer).await?.ok_or_else(missing)?;
    let buyer = set_opt_out(ctx, link.buyer, true).await?;
    if before.version == buyer.version {
        return Ok(());
    }
    let pair = ctx.store.find_pair(link.pair).await?.ok_or_else(missing)?;
    let marketplace = ctx.settings.by_id(&pair.marketplace).ok_or_else(missing)?;
    let now = ctx.clock.now();
    let mut batch = Batch::default();
    // For all sellers, so none of them reads of it: the chain of the marketplace, as for the choice itself.
    let chain = (PairId::of_operator(&pair.marketplace), SellerId::of_operator(&pair.marketplace));
    let key = format!("opted_out_told/{}/{}", link.buyer, now.0.div_euclid(DAY_MICROS));
    if ctx.store.find_counter(chain.0, &key).await? > 0 {
        return Ok(());
    }
    batch.changes.counters.push(CounterAdd { pair: chain.0, key, amount: 1, below: Some(1) });
    let id = Id::fresh(now, ctx.random.as_ref(), chain.0.bucket());
    let locale = marketplace.locale_of(&ctx.settings.texts, &buyer.locale);
    let back = mint(ctx, LinkAction::BuyerPreferences, link.message).unwrap_or_default();
    let fields = [("marketplace", marketplace.name.as_str())];
    let shown = ctx.text(locale, "notice_opted_out", &[fields[0], ("link", "")]);
    let own = OwnMessage {
        subject: ctx.text(locale, "notice_opted_out_subject", &fields),
        text: format!("{}\n", ctx.text(locale, "notice_opted_out", &[fields[0], ("link", &back)])),
        shown: shown.trim_end().to_owned(),
        ..OwnMessage::of_marketplace(ctx, marketplace, locale, (id, chain), buyer.email.clone())
    };
    let ready = queue_own(ctx, &mut batch.changes, own, now).await?;
    batch.changes.entries.push(NewEntry::new(
        chain,
        Some(id),
        "notice.queued",
        now,
        ctx.salt(),
        [("to", Some(Role::Buyer.as_str().into())), ("outgoing", Some(hash_and_size(&ready.content)))],
    ));
    batch.ready.push(ready);
    match commit(ctx, batch).await {
        // Told by whoever was faster.
        Ok(_) | Err(CommitError::Conflict) => Ok(()),
        Err(CommitError::Store(error)) => Err(error.into()),
    }
}

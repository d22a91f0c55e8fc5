//! Once a day a seller is told how much mail to its buyers' aliases was refused (B).
//!
//! Told are numbers by kind of sender and never who wrote: an address, or a domain that only one person has, could be
//! a buyer's. So nothing of refused mail is kept but a count.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::calendar::Day;
use domain::carriers::same_organisation;
use domain::policy::Outcome;
use domain::{MessageId as Id, PairId, Role, SellerId, Timestamp};
use store::{Changes, CommitError, CounterAdd, NewEntry, StoreError};

use crate::context::{Context, Marketplace};
use crate::notices::{OwnMessage, hash_and_size, queue_own};
use crate::record::{Batch, commit};
use crate::weigh::{Incoming, Sender, Weighed};

/// What is counted of one seller, kind and day; what comes above is as good as that.
const MOST: i64 = 10_000;
/// Sellers that are asked for at once.
const PAGE: usize = 500;
/// Days back whose digest is still sent, should the service have been away.
const DAYS_BACK: u32 = 3;

/// What kind of sender was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    /// From the seller's own domain, but not as one of its writers.
    Own,
    /// From a carrier without a parcel on its way.
    Carrier,
    /// Anyone else.
    Other,
}

impl Class {
    const ALL: [Self; 3] = [Self::Own, Self::Carrier, Self::Other];

    fn as_str(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Carrier => "carrier",
            Self::Other => "other",
        }
    }
}

/// One refused mail to a buyer alias.
pub(crate) struct Refused {
    seller: SellerId,
    day: Day,
    class: Class,
}

/// What a stranger's mail counts as; nothing towards a seller alias.
pub(crate) fn refused(ctx: &Context, m: &Incoming<'_>, w: &Weighed) -> Option<Refused> {
    let Sender::Mail { from, aligned, .. } = m.sender else { return None };
    if m.target.reaches != Role::Buyer {
        return None;
    }
    let carriers = &ctx.settings.carriers;
    let class = match from.map(mail::Mailbox::domain) {
        // A domain that everybody shares says nothing of whose mail it was.
        Some(domain) if !carriers.is_freemail(domain) && w.pair.seller.writers().iter().any(|x| same_organisation(x.domain(), domain)) => {
            Class::Own
        }
        Some(domain) if aligned && carriers.find(domain).is_some() => Class::Carrier,
        _ => Class::Other,
    };
    Some(Refused { seller: w.pair.pair.seller, day: w.day, class })
}

/// Counts what was refused, behind the reply: how long a refusal takes must not tell what kind of alias it was (privacy
/// P06). A count that is lost harms nobody.
pub(crate) fn count(ctx: &Context, refused: Vec<Refused>) {
    let add = |r: &Refused| CounterAdd { pair: PairId::of_seller(r.seller), key: key(r.day, r.class), amount: 1, below: Some(MOST) };
    let counters: Vec<CounterAdd> = refused.iter().map(add).collect();
    let Ok(permit) = Arc::clone(&ctx.counting).try_acquire_owned() else { return };
    if counters.is_empty() {
        return;
    }
    let store = Arc::clone(&ctx.store);
    tokio::spawn(async move {
        let _permit = permit;
        if let Err(CommitError::Store(error)) = store.commit(Changes { counters, ..Changes::default() }).await {
            tracing::warn!(%error, "a refused mail was not counted");
        }
    });
}

/// Sends the digests of complete days that were not sent yet; gives how many. Two processes at once send each once.
///
/// # Errors
/// `StoreError`.
pub async fn send_digests(ctx: &Context) -> Result<usize, StoreError> {
    let now = ctx.clock.now();
    let mut sent = 0;
    for marketplace in &ctx.settings.marketplaces {
        for back in 1..=DAYS_BACK {
            let day = marketplace.calendar.day(marketplace.calendar.start_of_day(now, back));
            for (seller, counts) in counted(ctx, day).await? {
                match send(ctx, marketplace, seller, day, &counts, now).await {
                    Ok(is_sent) => sent += usize::from(is_sent),
                    // The others are told all the same; this one at the next look.
                    Err(error) => tracing::error!(seller = %seller, %error, "a digest was not sent"),
                }
            }
        }
    }
    Ok(sent)
}

/// What was refused on a day, by seller.
async fn counted(ctx: &Context, day: Day) -> Result<BTreeMap<SellerId, BTreeMap<Class, i64>>, StoreError> {
    let mut all: BTreeMap<SellerId, BTreeMap<Class, i64>> = BTreeMap::new();
    for class in Class::ALL {
        let mut after = None;
        loop {
            let page = ctx.store.list_counters(&key(day, class), after, PAGE).await?;
            after = page.last().map(|(pair, _)| *pair);
            let is_last = page.len() < PAGE;
            for (pair, count) in page {
                all.entry(SellerId::from_bytes(*pair.as_bytes())).or_default().insert(class, count);
            }
            if is_last {
                break;
            }
        }
    }
    Ok(all)
}

async fn send(
    ctx: &Context,
    marketplace: &Marketplace,
    seller: SellerId,
    day: Day,
    counts: &BTreeMap<Class, i64>,
    now: Timestamp,
) -> Result<bool, StoreError> {
    let chain = (PairId::of_seller(seller), seller);
    let told = format!("digest/{}", day.0);
    if ctx.store.find_counter(chain.0, &told).await? > 0 {
        return Ok(false);
    }
    let Some(seller) = ctx.store.find_seller(seller).await?.filter(|s| s.marketplace == marketplace.id) else { return Ok(false) };
    if seller.undeliverable_at.is_some() {
        return Ok(false);
    }
    let locale = marketplace.locale_of(&ctx.settings.texts, &seller.locale);
    let mut batch = Batch::default();
    batch.changes.counters.push(CounterAdd { pair: chain.0, key: told, amount: 1, below: Some(1) });
    let total: i64 = counts.values().sum();
    let date = day.to_string();
    let line = |key: &str, n: i64| ctx.text(locale, key, &[("count", &n.to_string()), ("date", &date)]);
    let lines = counts.iter().map(|(class, n)| format!("- {}", line(&format!("digest_{}", class.as_str()), *n)));
    let text = format!("{}\n\n{}\n", line("digest", total), lines.collect::<Vec<_>>().join("\n"));
    let id = Id::fresh(now, ctx.random.as_ref(), chain.0.bucket());
    let own = OwnMessage {
        subject: ctx.text(locale, "digest_subject", &[]),
        shown: text.trim_end().to_owned(),
        text,
        ..OwnMessage::of_marketplace(ctx, marketplace, locale, (id, chain), seller.customer_service_email.clone())
    };
    let ready = queue_own(ctx, &mut batch.changes, own, now).await?;
    batch.changes.entries.push(NewEntry::new(
        chain,
        Some(id),
        "digest.queued",
        now,
        ctx.salt(),
        [("refused", Some(total.into())), ("outgoing", Some(hash_and_size(&ready.content)))],
    ));
    batch.outcomes.push(Outcome::Notify.as_str());
    batch.ready.push(ready);
    match commit(ctx, batch).await {
        Ok(_) => Ok(true),
        // Another process was faster.
        Err(CommitError::Conflict) => Ok(false),
        Err(CommitError::Store(error)) => Err(error),
    }
}

fn key(day: Day, class: Class) -> String {
    format!("refused/{}/{}", day.0, class.as_str())
}

//! Past traffic under other rules (C13): every recorded decision made again from its recorded facts, with what
//! the content says read anew.

use std::sync::Arc;

use domain::message::Author;
use domain::policy::{Channel, ContentFacts, Decision, Facts, RuleSet, decide};
use domain::{MarketplaceId, MessageId, PairId, Role, Timestamp};
use mail::automatic::is_automatic;
use mail::mime::{Content, parse, read_content};
use serde_json::Value as Json;
use store::{BodyKind, LedgerEntry, ScanPlace, StoreError};

use crate::bodies;
use crate::context::{Context, Marketplace};
use crate::files::{Files, prepare};
use crate::weigh::content_facts;

/// Entries read at once.
const PAGE: usize = 500;

/// A past decision, and what it would be.
#[derive(Debug, Clone)]
pub struct Replayed {
    /// The message.
    pub message: MessageId,
    /// Its pair.
    pub pair: PairId,
    /// When it was decided.
    pub at: Timestamp,
    /// The outcome in the record.
    pub outcome: String,
    /// The remedy in the record.
    pub remedy: Option<String>,
    /// The decision now.
    pub decision: Decision,
    /// Whether the original is erased, so that content was taken from the record.
    pub is_erased: bool,
}

impl Replayed {
    /// Whether the outcome or the remedy differs.
    #[must_use]
    pub fn differs(&self) -> bool {
        self.outcome != self.decision.outcome.as_str() || self.remedy.as_deref() != self.decision.remedy.as_ref().map(|a| a.key)
    }
}

/// Replays the decisions of a marketplace since an instant; `seen` is given each, and `progress` the number of
/// entries read so far.
///
/// # Errors
/// `StoreError`.
pub async fn replay(
    ctx: &Context,
    marketplace: &MarketplaceId,
    rules: &Arc<RuleSet>,
    since: Timestamp,
    mut seen: impl FnMut(Replayed),
    mut progress: impl FnMut(u64),
) -> Result<(), StoreError> {
    let Some(settings) = ctx.settings.by_id(marketplace) else { return Ok(()) };
    let (mut after, mut read) = (None, 0);
    loop {
        let page = ctx.store.scan_ledger(after, PAGE).await?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(ScanPlace { pair: last.pair, number: last.number });
        for entry in page.iter().filter(|e| e.kind == "message.decided" && e.at >= since) {
            if let Some(replayed) = one(ctx, settings, rules, entry).await? {
                seen(replayed);
            }
        }
        read += page.len() as u64;
        progress(read);
    }
}

async fn one(ctx: &Context, marketplace: &Marketplace, rules: &Arc<RuleSet>, entry: &LedgerEntry) -> Result<Option<Replayed>, StoreError> {
    let Some(message) = entry.message else { return Ok(None) };
    let of_marketplace = ctx.store.find_pair(entry.pair).await?.is_some_and(|p| p.marketplace == marketplace.id);
    let recorded: Json =
        serde_json::from_str(&entry.entry).map_err(|_| StoreError::Corrupt(format!("entry {} of {}", entry.number, entry.pair)))?;
    let Some(mut facts) = Facts::read(&recorded["facts"]).filter(|_| of_marketplace) else { return Ok(None) };
    let content = reread(ctx, marketplace, rules, message, &facts).await?;
    let is_erased = content.is_none();
    if let Some(content) = content {
        facts.content = content;
    }
    if facts.orders_in_window.is_none() && facts.author == Author::Party(Role::Seller) && facts.sent_today >= rules.base {
        // Nobody had to count them then.
        let calendar = &marketplace.calendar;
        let (from, to) = (calendar.start_of_day(entry.at, rules.window_days), calendar.start_of_day(entry.at, 0));
        facts.orders_in_window = Some(ctx.store.count_orders(entry.seller, from, to).await?);
    }
    let decision = decide(&facts, rules, entry.at);
    let text = |value: &Json| value.as_str().map(str::to_owned);
    Ok(Some(Replayed {
        message,
        pair: entry.pair,
        at: entry.at,
        outcome: text(&recorded["decision"]["outcome"]).unwrap_or_default(),
        remedy: text(&recorded["decision"]["remedy"]),
        decision,
        is_erased,
    }))
}

/// What the content says under these rules; `None` when the original is erased.
async fn reread(
    ctx: &Context,
    marketplace: &Marketplace,
    rules: &Arc<RuleSet>,
    message: MessageId,
    facts: &Facts,
) -> Result<Option<ContentFacts>, StoreError> {
    let Some(sealed) = ctx.store.find_message(message, &[BodyKind::Original, BodyKind::View]).await? else { return Ok(None) };
    let Some(original) = bodies::open(ctx, &sealed, BodyKind::Original).await? else { return Ok(None) };
    let is_mail = facts.channel == Channel::Mail;
    // What was typed on a page is kept as JSON; a mail that was sent again from a page is a mail.
    if (is_mail || !original.starts_with(b"{"))
        && let Ok(mail) = parse(&original)
    {
        let content = read_content(&mail);
        let automatic = is_mail && is_automatic(mail.fields());
        let content = Arc::new(content);
        let files = match facts.author {
            Author::Party(_) => prepare(ctx, &content, rules, facts.channel).await?,
            _ => Files::default(),
        };
        // Sent again from a page, a mail went without the files that do not pass.
        let files = if is_mail { files } else { Files { refused: Vec::new(), ..files } };
        return Ok(Some(content_facts(rules, marketplace, &content, &files, (facts.channel, automatic, facts.content.other_recipients))));
    }
    // Written on a page: the rules looked at the buyer's copy.
    let view = bodies::open(ctx, &sealed, BodyKind::View).await?.unwrap_or_default();
    let view = String::from_utf8_lossy(&view).into_owned();
    let (subject, text) = view.split_once("\n\n").unwrap_or((&view, ""));
    let content = Content { subject: subject.to_owned(), text: text.to_owned(), ..Content::default() };
    Ok(Some(content_facts(rules, marketplace, &content, &Files::default(), (facts.channel, false, 0))))
}

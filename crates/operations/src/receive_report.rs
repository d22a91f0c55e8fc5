//! Mail of mail systems: delivery status notifications, complaints and automatic replies about a message of ours (B).
//!
//! A report counts only where it holds what a stranger cannot know: the MAC of a reverse-path of ours, or a Message-ID
//! that only the recipient was given. It is never passed on; an automatic reply is read, scrubbed and composed anew
//! like any other message, at most once in a conversation and week.

use domain::delivery::DeliveryState;
use domain::message::{Author, Mark, MarkKind, Message};
use domain::policy::Outcome;
use domain::{MessageId as Id, PairId, SellerId};
use mail::report::{Action, RecipientStatus, Report, ReportKind};
use store::{AliasTarget, CounterAdd, DeliveryUpdate, Guard, NewEntry, PairFacts, SealedMessage, StoreError};

use crate::bounce::{self, Against};
use crate::context::{Context, Marketplace};
use crate::mark_message::set_mark;
use crate::receive_message::{Reading, Received, incoming};
use crate::record::{Arrival, Batch, record};
use crate::verp;
use crate::weigh::{Incoming, Sender, weigh};

/// How many reports on one chain are noted a day; what comes above is accepted and forgotten.
const NOTES_PER_DAY: i64 = 50;
/// The reason of a report that a mail provider passes on (RFC 5965).
const COMPLAINT: &str = "complaint";

/// What a report is about.
pub(crate) struct About<'a> {
    pub(crate) marketplace: &'a Marketplace,
    /// The message of ours.
    pub(crate) message: Id,
    /// Whether it may change anything: the reverse-path is not expired.
    pub(crate) verified: bool,
}

/// The message that mail without a reverse-path, written to an alias, is verifiably about.
pub(crate) async fn evidence(
    ctx: &Context,
    reading: &Reading,
    marketplace: &Marketplace,
    target: AliasTarget,
    pair: &PairFacts,
) -> Result<Option<Id>, StoreError> {
    let now = ctx.clock.now();
    let reverse_paths = reading.report.iter().flat_map(|r| &r.reverse_paths).filter(|m| *m.domain() == marketplace.domain);
    for report in reverse_paths.filter_map(|m| verp::read(ctx, m.local_part(), now)).filter(|r| !r.expired) {
        let found = ctx.store.find_message(report.message, &[]).await?;
        if found.is_some_and(|m| m.message.pair == target.pair) {
            return Ok(Some(report.message));
        }
    }
    // Whoever answers to this alias answers what its owner wrote, and names it by the id that only the reader was given:
    // the owner itself knows its own id of the same message.
    let is_named = |m: &Message| m.outgoing_id.as_ref().is_some_and(|id| reading.references.contains(id));
    let of_owner = |m: &&Message| m.author == Author::Party(target.reaches) && is_named(m);
    Ok(pair.referenced.iter().rev().find(of_owner).map(|m| m.id))
}

/// Mail about a message of ours: an entry, and what follows from it.
pub(crate) async fn to_report(
    ctx: &Context,
    received: &Received,
    reading: &Reading,
    about: About<'_>,
    batch: &mut Batch,
) -> Result<(), StoreError> {
    let Some(sealed) = ctx.store.find_message(about.message, &bounce::BODIES).await? else {
        // Erased meanwhile.
        let chain = (PairId::of_operator(&about.marketplace.id), SellerId::of_operator(&about.marketplace.id));
        return note(ctx, chain, None, false, batch).await;
    };
    let chain = (sealed.message.pair, sealed.message.seller);
    // A reverse-path of another marketplace is none that we gave.
    let is_its_own = match ctx.store.find_pair(sealed.message.pair).await? {
        Some(pair) => pair.marketplace == about.marketplace.id,
        None => false,
    };
    if !about.verified || !is_its_own {
        return note(ctx, chain, Some(about.message), false, batch).await;
    }
    batch.reports.push(reading.report.as_ref().map_or("other", word));
    match &reading.report {
        Some(report) if report.kind == ReportKind::Dsn => dsn(ctx, report, &sealed, batch).await,
        Some(report) if report.kind == ReportKind::Complaint => complaint(ctx, report, &sealed, batch).await,
        Some(report) if report.kind == ReportKind::AutoReply => {
            automatic_reply(ctx, received, reading, &about, &sealed.message, batch).await
        }
        // What a person writes to a reverse-path reaches nobody: no client shows that address.
        _ => note(ctx, chain, Some(about.message), true, batch).await,
    }
}

/// The label of the metric.
fn word(report: &Report) -> &'static str {
    match report.kind {
        ReportKind::Dsn => decisive(report).map_or("other", |r| action_word(r.action)),
        ReportKind::Complaint => "complaint",
        ReportKind::AutoReply => "auto_reply",
        ReportKind::Disposition => "other",
    }
}

fn action_word(action: Action) -> &'static str {
    match action {
        Action::Failed => "failed",
        Action::Delayed => "delayed",
        Action::Delivered => "delivered",
        Action::Relayed => "relayed",
        Action::Expanded => "expanded",
    }
}

/// The recipient that decides: our messages have one, so a failure of any of those it was passed on to is the news.
fn decisive(report: &Report) -> Option<&RecipientStatus> {
    let failed = report.recipients.iter().find(|r| r.action == Action::Failed);
    failed.or_else(|| report.recipients.first())
}

/// A delivery status notification: a failure ends the delivery, whatever it was before; anything else is noted.
async fn dsn(ctx: &Context, report: &Report, sealed: &SealedMessage, batch: &mut Batch) -> Result<(), StoreError> {
    let message = &sealed.message;
    let chain = (message.pair, message.seller);
    let Some(decisive) = decisive(report) else { return note(ctx, chain, Some(message.id), true, batch).await };
    let status = decisive.status.clone().filter(|s| is_status(s));
    let delivery = sealed.delivery.as_ref().filter(|d| !matches!(d.state, DeliveryState::Bounced | DeliveryState::OnPage));
    let (Action::Failed, Some(delivery)) = (decisive.action, delivery) else {
        return received_entry(ctx, chain, message.id, "dsn", Some(decisive), status.as_deref(), batch).await;
    };
    let now = ctx.clock.now();
    let status = status.unwrap_or_else(|| "5.0.0".to_owned());
    // Whoever attempts it at this moment finds that it is over; whoever leased it since it was read makes us look again.
    batch.changes.guards.push(Guard::Fence(message.id, delivery.lease.map_or(-1, |lease| lease.fence)));
    batch.changes.delivery_updates.push(DeliveryUpdate {
        message: message.id,
        state: DeliveryState::Bounced,
        attempts: delivery.attempts,
        due_at: now,
        lease: None,
        last_status: Some(status.clone()),
    });
    received_entry(ctx, chain, message.id, "dsn", Some(decisive), Some(&status), batch).await?;
    batch.changes.entries.push(NewEntry::new(
        chain,
        Some(message.id),
        "delivery.reported",
        now,
        ctx.salt(),
        [("state", Some(DeliveryState::Bounced.as_str().into())), ("status", Some(status.as_str().into()))],
    ));
    let against = Against::Reported(decisive.final_recipient.as_deref());
    batch.ready.extend(bounce::given_up(ctx, &mut batch.changes, sealed, &status, against).await?);
    Ok(())
}

/// Three numbers with dots, the first of which is 2, 4 or 5 (RFC 3463, section 2).
fn is_status(text: &str) -> bool {
    let numbers: Vec<&str> = text.split('.').collect();
    let is_number = |n: &&str| (1..=3).contains(&n.len()) && n.bytes().all(|b| b.is_ascii_digit());
    numbers.len() == 3 && numbers.iter().all(is_number) && matches!(numbers[0], "2" | "4" | "5")
}

/// The provider's "this is spam" button is the reader's report of the message (H6, F1).
async fn complaint(ctx: &Context, report: &Report, sealed: &SealedMessage, batch: &mut Batch) -> Result<(), StoreError> {
    let message = &sealed.message;
    let chain = (message.pair, message.seller);
    let is_abuse = report.feedback_type.as_deref().is_none_or(|t| matches!(t, "abuse" | "fraud" | "virus" | "other"));
    let reader = match message.author {
        Author::Party(writer) => Some(writer.other()),
        _ => None,
    };
    received_entry(ctx, chain, message.id, "complaint", None, None, batch).await?;
    let (Some(by), true) = (reader.filter(|_| message.outcome.passes()), is_abuse) else { return Ok(()) };
    let is_reported = ctx.store.list_marks(message.id).await?.iter().any(|m| m.kind == MarkKind::Reported);
    if is_reported {
        return Ok(());
    }
    let reason = Some(COMPLAINT.to_owned());
    let mark = Mark { message: message.id, kind: MarkKind::Reported, by, at: ctx.clock.now(), reason };
    set_mark(ctx, &mut batch.changes, message, mark).await
}

/// A vacation note to a reverse-path of ours: to the writer, scrubbed, within the budget (C11).
async fn automatic_reply(
    ctx: &Context,
    received: &Received,
    reading: &Reading,
    about: &About<'_>,
    message: &Message,
    batch: &mut Batch,
) -> Result<(), StoreError> {
    let chain = (message.pair, message.seller);
    let Author::Party(writer) = message.author else { return note(ctx, chain, Some(message.id), true, batch).await };
    received_entry(ctx, chain, message.id, "auto_reply", None, None, batch).await?;
    let references: Vec<mail::MessageId> = message.outgoing_id.clone().into_iter().collect();
    let target = AliasTarget { pair: message.pair, reaches: writer };
    let incoming = Incoming {
        // The MAC says who was written to; a null reverse-path says nothing.
        sender: Sender::Party(writer.other()),
        references: &references,
        other_recipients: 0,
        automatic: true,
        ..incoming(received, reading, about.marketplace, target, None)
    };
    let now = ctx.clock.now();
    let weighed = weigh(ctx, &incoming, now, &batch.changes.counters).await?;
    if let Some(earlier) = weighed.repeats {
        batch.accepted.push(earlier);
        batch.outcomes.push("repeated");
        return Ok(());
    }
    if weighed.decision.outcome == Outcome::Note {
        // Beyond the budget: the entry above is all that is kept of it.
        batch.outcomes.push(Outcome::Note.as_str());
        return Ok(());
    }
    let arrival = Arrival { authentication: Some(received.authentication.value()), tls: received.tls, ..Arrival::default() };
    record(ctx, &incoming, weighed, arrival, now, batch).await.map(drop)
}

/// The entry of a report that was understood; at most so many a day and chain.
async fn received_entry(
    ctx: &Context,
    chain: (PairId, SellerId),
    about: Id,
    kind: &'static str,
    recipient: Option<&RecipientStatus>,
    status: Option<&str>,
    batch: &mut Batch,
) -> Result<(), StoreError> {
    batch.outcomes.push("report");
    if !has_room(ctx, chain.0, batch).await? {
        return Ok(());
    }
    batch.changes.entries.push(NewEntry::new(
        chain,
        Some(about),
        "report.received",
        ctx.clock.now(),
        ctx.salt(),
        [
            ("about", Some(about.to_string().into())),
            ("report", Some(kind.into())),
            ("action", recipient.map(|r| action_word(r.action).into())),
            ("status", status.map(Into::into)),
            ("verified", Some(true.into())),
        ],
    ));
    Ok(())
}

/// Mail of a mail system that changes nothing: an entry, at most so many a day (B).
pub(crate) async fn note(
    ctx: &Context,
    chain: (PairId, SellerId),
    about: Option<Id>,
    verified: bool,
    batch: &mut Batch,
) -> Result<(), StoreError> {
    if has_room(ctx, chain.0, batch).await? {
        batch.changes.entries.push(NewEntry::new(
            chain,
            None,
            "report.noted",
            ctx.clock.now(),
            ctx.salt(),
            [("about", about.map(|id| id.to_string().into())), ("verified", Some(verified.into()))],
        ));
    }
    batch.outcomes.push(Outcome::Note.as_str());
    Ok(())
}

/// Whether the day has room for another entry on this chain; counts it.
async fn has_room(ctx: &Context, pair: PairId, batch: &mut Batch) -> Result<bool, StoreError> {
    let day = ctx.clock.now().0.div_euclid(86_400_000_000);
    let key = format!("notes/{day}");
    let noted = ctx.store.find_counter(pair, &key).await?;
    if noted < NOTES_PER_DAY {
        batch.changes.counters.push(CounterAdd { pair, key, amount: 1, below: None });
    }
    Ok(noted < NOTES_PER_DAY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_status_codes_are_kept() {
        for yes in ["5.1.1", "4.2.2", "2.0.0", "5.7.509"] {
            assert!(is_status(yes), "{yes}");
        }
        for no in ["", "5", "5.1", "3.1.1", "5.1.1.1", "5.1.x", "5..1", "5.1.1234", "9.1.1"] {
            assert!(!is_status(no), "{no}");
        }
    }

    #[test]
    fn a_failure_among_several_recipients_decides() {
        let of = |action| RecipientStatus { action, status: None, final_recipient: None, diagnostic: None };
        let mut report = Report {
            kind: ReportKind::Dsn,
            recipients: vec![of(Action::Delivered), of(Action::Failed)],
            original_ids: Vec::new(),
            reverse_paths: Vec::new(),
            feedback_type: None,
        };
        assert_eq!(decisive(&report).map(|r| r.action), Some(Action::Failed));
        report.recipients.pop();
        assert_eq!(decisive(&report).map(|r| r.action), Some(Action::Delivered));
    }
}

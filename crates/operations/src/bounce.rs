//! What follows when a message is given up: its writer gets a delivery status notification of ours (RFC 3464), and an
//! address that refuses again and again is written to no more (H6).
//!
//! The notification names the alias, a status code and our own words: nothing of the other side (privacy P01).

use domain::delivery::GIVE_UP_AFTER;
use domain::message::{Author, Message};
use domain::{MessageId as Id, PairId, Role, Timestamp};
use mail::Mailbox;
use mail::compose_report::{DeliveryReport, ReportAction, ReturnedHeaders};
use store::{BodyKind, Changes, CounterAdd, Entity, FactsQuery, Guard, NewEntry, PairFacts, SealedMessage, StoreError};

use crate::bodies::{self, Envelope, Wishes};
use crate::context::{Context, Marketplace, ReadyDelivery};
use crate::dates;
use crate::notices::{OwnMessage, entry, queue_own};

/// Bodies that a notification is made of.
pub(crate) const BODIES: [BodyKind; 2] = [BodyKind::View, BodyKind::Outgoing];
/// Permanent failures after which an address is given up (H6).
const MOST_FAILURES: i64 = 3;
/// Failures are counted in this one and the period before: one a year is no dead address.
const PERIOD_MICROS: i64 = 30 * 86_400_000_000;

/// Who reads a message, as far as it went to a party.
fn reader_of(message: &Message) -> Option<Role> {
    match message.author {
        Author::Party(writer) => Some(writer.other()),
        Author::Carrier => Some(Role::Buyer),
        // Of what we write ourselves only this has a reverse-path that reports can name.
        Author::Tradepost if message.reason.as_deref() == Some("shipment") => Some(Role::Buyer),
        _ => None,
    }
}

/// Adds to a commit what follows when `sealed`, opened with [`BODIES`], is given up with this status; gives what is
/// ready to be delivered. `about` is whom the failure speaks against, if it speaks against an address at all.
pub(crate) async fn given_up(
    ctx: &Context,
    changes: &mut Changes,
    sealed: &SealedMessage,
    status: &str,
    about: Against<'_>,
) -> Result<Vec<ReadyDelivery>, StoreError> {
    let message = &sealed.message;
    let Some(reader) = reader_of(message) else { return Ok(Vec::new()) };
    let Some(facts) = ctx.store.load_facts(FactsQuery::of_pair(message.pair)).await? else { return Ok(Vec::new()) };
    let Some(marketplace) = ctx.settings.by_id(&facts.pair.marketplace) else { return Ok(Vec::new()) };
    let mut ready = Vec::new();
    let Some(outgoing) = bodies::open(ctx, sealed, BodyKind::Outgoing).await? else { return Ok(ready) };
    let Envelope { recipient, wishes, .. } = bodies::split_envelope(&outgoing)?;
    if !wishes.never {
        ready.extend(notify(ctx, changes, sealed, (marketplace, &facts), (ReportAction::Failed, status), wishes).await?);
    }
    // What went to an address of old says nothing of the one of today.
    let is_present = recipient.canonical() == address_of(&facts, reader).canonical();
    let speaks = match about {
        Against::Nobody => false,
        Against::Recipient => is_present,
        // A mailbox that the recipient's own provider forwards to is not the one that we wrote to.
        Against::Reported(address) => is_present && address.is_none_or(|a| is_mailbox(a, &recipient)),
    };
    if speaks && speaks_of_address(status) {
        ready.extend(count_failure(ctx, changes, (marketplace, &facts), reader, message).await?);
    }
    Ok(ready)
}

/// Whom a failure speaks against.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Against<'a> {
    /// Nobody: it was ours.
    Nobody,
    /// Whoever the message went to.
    Recipient,
    /// The address that a report names; without one, whoever the message went to.
    Reported(Option<&'a str>),
}

/// Whether a report's text names this mailbox.
fn is_mailbox(text: &str, mailbox: &Mailbox) -> bool {
    Mailbox::parse(text.trim()).is_ok_and(|named| named.canonical() == mailbox.canonical())
}

fn address_of(facts: &PairFacts, reader: Role) -> &Mailbox {
    match reader {
        Role::Buyer => &facts.buyer.email,
        Role::Seller => &facts.seller.customer_service_email,
    }
}

/// What a writer is told who asked for it (RFC 3461, section 5.2): that the next server took the message, which is
/// relayed, because what becomes of it there is not told to us; or that it is late.
pub(crate) async fn asked_for(
    ctx: &Context,
    changes: &mut Changes,
    sealed: &SealedMessage,
    wishes: Wishes,
    (action, status): (ReportAction, &str),
) -> Result<Option<ReadyDelivery>, StoreError> {
    let Some(facts) = ctx.store.load_facts(FactsQuery::of_pair(sealed.message.pair)).await? else { return Ok(None) };
    let Some(marketplace) = ctx.settings.by_id(&facts.pair.marketplace) else { return Ok(None) };
    notify(ctx, changes, sealed, (marketplace, &facts), (action, status), wishes).await
}

/// One notification to the writer; each message has one of a kind. A machine is never answered (C11), and an address
/// that is given up is written to no more.
async fn notify(
    ctx: &Context,
    changes: &mut Changes,
    sealed: &SealedMessage,
    (marketplace, facts): (&Marketplace, &PairFacts),
    (action, status): (ReportAction, &str),
    wishes: Wishes,
) -> Result<Option<ReadyDelivery>, StoreError> {
    let message = &sealed.message;
    let Author::Party(writer) = message.author else { return Ok(None) };
    if message.automatic || (writer == Role::Buyer && is_given_up(facts, writer)) {
        return Ok(None);
    }
    let key = format!("dsn/{}/{}", action.as_str(), message.id);
    if ctx.store.find_counter(message.pair, &key).await? > 0 {
        return Ok(None);
    }
    changes.counters.push(CounterAdd { pair: message.pair, key, amount: 1, below: Some(1) });
    let (to, locale) = match writer {
        Role::Buyer => (facts.buyer.email.clone(), facts.buyer.locale.as_str()),
        // The registered address, where buyers' mail reaches nobody any more.
        Role::Seller if is_given_up(facts, writer) => (facts.seller.email.clone(), facts.seller.locale.as_str()),
        Role::Seller => (facts.seller.customer_service_email.clone(), facts.seller.locale.as_str()),
    };
    let locale = marketplace.locale_of(&ctx.settings.texts, locale);
    let now = ctx.clock.now();
    let id = Id::fresh(now, ctx.random.as_ref(), message.pair.bucket());
    let subject = subject_of(ctx, sealed, locale).await?;
    let (subject_key, words_key) = match action {
        ReportAction::Relayed => ("notice_relayed_subject", "notice_relayed"),
        ReportAction::Delayed => ("notice_delayed_subject", "notice_delayed"),
        ReportAction::Failed => ("dsn_subject", words_of(status)),
    };
    let tried_until = sealed.delivery.as_ref().map_or(now, |d| d.queued_at).after(GIVE_UP_AFTER);
    let until = marketplace.calendar.minute(tried_until);
    let words = ctx.text(locale, words_key, &[("until", &until)]);
    let written = marketplace.calendar.minute(message.accepted_at);
    let about = ctx.text(locale, "notice_about", &[("subject", &subject), ("date", &written)]);
    let text = format!("{about}\n\n{words}\n");
    let alias = facts.pair.alias_of(writer.other()).as_str();
    let alias = Mailbox::new(alias, marketplace.domain.clone()).expect("aliases are local-parts");
    let report = DeliveryReport {
        reporting_mta: ctx.settings.hostname.clone(),
        envelope_id: wishes.envelope_id,
        arrival_date: dates::rfc5322(message.accepted_at),
        original_recipient: wishes.original_recipient,
        final_recipient: alias.clone(),
        action,
        status: status.to_owned(),
        // For programs, so in English whatever the writer reads.
        diagnostic: format!("{} {status} {}", reply_code(status), ctx.text("en", words_key, &[("until", &until)])),
        will_retry_until: (action == ReportAction::Delayed).then(|| dates::rfc5322(tried_until)),
        last_attempt_date: dates::rfc5322(now),
        returned: ReturnedHeaders {
            from: Some(to.clone()),
            to: alias,
            subject: subject.clone(),
            message_id: message.original_id.clone(),
            date: Some(dates::rfc5322(message.accepted_at)),
        },
    };
    let own = OwnMessage {
        conversation: message.conversation,
        subject: ctx.text(locale, subject_key, &[("subject", &subject)]),
        shown: text.trim_end().to_owned(),
        text,
        in_reply_to: message.original_id.clone(),
        auto_submitted: "auto-replied",
        report: Some(report),
        ..OwnMessage::of_marketplace(ctx, marketplace, locale, (id, (message.pair, message.seller)), to)
    };
    let ready = queue_own(ctx, changes, own, now).await?;
    changes.entries.push(entry(ctx, (message.pair, message.seller), (Some(message.id), cause_of(action)), &ready));
    Ok(Some(ready))
}

fn cause_of(action: ReportAction) -> &'static str {
    match action {
        ReportAction::Failed => "notice_bounced",
        ReportAction::Delayed => "notice_delayed",
        ReportAction::Relayed => "notice_relayed",
    }
}

/// The subject as the other side got it: the first line of the view.
async fn subject_of(ctx: &Context, sealed: &SealedMessage, locale: &str) -> Result<String, StoreError> {
    let view = bodies::open(ctx, sealed, BodyKind::View).await?.unwrap_or_default();
    let view = String::from_utf8_lossy(&view);
    let subject = view.lines().next().map(str::trim).filter(|line| !line.is_empty());
    Ok(subject.map_or_else(|| ctx.text(locale, "no_subject", &[]), str::to_owned))
}

/// Which of our sentences a status code is told in (RFC 3463, section 3; E2).
fn words_of(status: &str) -> &'static str {
    let mut numbers = status.split('.').skip(1);
    match (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default()) {
        ("1", "2" | "10") | ("4", "4") => "status_no_host",
        // A refusal that says no more than that.
        ("1", "0") => "status_other",
        ("1", _) => "status_bad_mailbox",
        ("2", "2") => "status_mailbox_full",
        ("2", "1") => "status_disabled",
        ("3" | "2", "4" | "3") => "status_too_large",
        // Of a permanent one nobody waited for days.
        ("4", _) if status.starts_with('4') => "status_not_reachable",
        // Of our own: dropped from the queue, or our way out was closed.
        ("3", "0") => "status_given_up",
        ("7", _) => "status_policy",
        _ => "status_other",
    }
}

/// A reply code that goes with a status code, for programs that expect one.
fn reply_code(status: &str) -> &'static str {
    match status.as_bytes().first() {
        Some(b'2') => "250",
        Some(b'4') => "450",
        _ => "550",
    }
}

/// Whether a permanent failure says that nobody has this address, rather than that this message was not wanted.
fn speaks_of_address(status: &str) -> bool {
    let mut numbers = status.split('.');
    let (class, subject, detail) =
        (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default());
    match subject {
        // X.1.7 and X.1.8 speak of the originator (RFC 3463, section 3.2).
        "1" => !matches!(detail, "7" | "8"),
        "2" => detail == "1",
        // Given up after days without a host that answers, or there is none at all. Not our own DNS that was silent.
        "4" => matches!(detail, "1" | "4" | "7") || (class == "4" && detail == "2"),
        _ => false,
    }
}

/// Counts a failure of the reader's address; the third gives the address up.
async fn count_failure(
    ctx: &Context,
    changes: &mut Changes,
    (marketplace, facts): (&Marketplace, &PairFacts),
    reader: Role,
    message: &Message,
) -> Result<Option<ReadyDelivery>, StoreError> {
    let now = ctx.clock.now();
    // Two reports of one message at once are one failure.
    changes.counters.push(CounterAdd { pair: message.pair, key: format!("failed/{}", message.id), amount: 1, below: Some(1) });
    let address = address_of(facts, reader);
    // By a MAC: the counter names nobody, and another address begins anew.
    let who = ctx.short_mac(b"tradepost/failures/v1", address.canonical().as_bytes());
    let who: String = who[..8].iter().map(|b| format!("{b:02x}")).collect();
    let chain = PairId::of_operator(&marketplace.id);
    let period = now.0.div_euclid(PERIOD_MICROS);
    let key = |period: i64| format!("failures/{who}/{period}");
    let (lately, before) = (ctx.store.find_counter(chain, &key(period)).await?, ctx.store.find_counter(chain, &key(period - 1)).await?);
    if lately + before + 1 < MOST_FAILURES || is_given_up(facts, reader) {
        changes.counters.push(CounterAdd { pair: chain, key: key(period), amount: 1, below: None });
        return Ok(None);
    }
    // Should the shop have it tried anew, it begins anew.
    for (period, count) in [(period, lately), (period - 1, before)] {
        changes.counters.push(CounterAdd { pair: chain, key: key(period), amount: -count, below: None });
    }
    give_address_up(changes, facts, reader, now);
    ctx.metrics.undeliverable.inc();
    changes.entries.push(NewEntry::new(
        (message.pair, message.seller),
        None,
        "party.undeliverable",
        now,
        ctx.salt(),
        // Which one is in the pair; a buyer's id would be the same in the chains of other sellers (privacy P13).
        [("role", Some(reader.as_str().into()))],
    ));
    match reader {
        // The seller is told with the next message, which then stands on the page.
        Role::Buyer => Ok(None),
        Role::Seller => tell_seller(ctx, changes, (marketplace, facts), message).await,
    }
}

/// Whether a party's address is written to no more (H6).
pub(crate) fn is_given_up(facts: &PairFacts, reader: Role) -> bool {
    match reader {
        Role::Buyer => facts.buyer.undeliverable_at.is_some(),
        Role::Seller => facts.seller.undeliverable_at.is_some(),
    }
}

/// Puts the party's row.
fn give_address_up(changes: &mut Changes, facts: &PairFacts, reader: Role, now: Timestamp) {
    match reader {
        Role::Buyer => {
            let mut buyer = facts.buyer.clone();
            changes.guards.push(Guard::Version(Entity::Buyer(buyer.id), buyer.version));
            buyer.undeliverable_at = Some(now);
            buyer.version += 1;
            changes.buyers.push(buyer);
        }
        Role::Seller => {
            let mut seller = facts.seller.clone();
            changes.guards.push(Guard::Version(Entity::Seller(seller.id), seller.version));
            seller.undeliverable_at = Some(now);
            seller.version += 1;
            changes.sellers.push(seller);
        }
    }
}

/// A seller whose customer-service address is given up is told at the registered one, if that is another.
async fn tell_seller(
    ctx: &Context,
    changes: &mut Changes,
    (marketplace, facts): (&Marketplace, &PairFacts),
    message: &Message,
) -> Result<Option<ReadyDelivery>, StoreError> {
    let seller = &facts.seller;
    if seller.email.canonical() == seller.customer_service_email.canonical() {
        return Ok(None);
    }
    let locale = marketplace.locale_of(&ctx.settings.texts, &seller.locale);
    let now = ctx.clock.now();
    let (id, chain) = (Id::fresh(now, ctx.random.as_ref(), message.pair.bucket()), (message.pair, message.seller));
    let words = ctx.text(locale, "notice_undeliverable_seller", &[]);
    let own = OwnMessage {
        subject: ctx.text(locale, "notice_subject_note", &[]),
        text: format!("{words}\n"),
        shown: words,
        ..OwnMessage::of_marketplace(ctx, marketplace, locale, (id, chain), seller.email.clone())
    };
    let ready = queue_own(ctx, changes, own, now).await?;
    changes.entries.push(entry(ctx, chain, (None, "notice_undeliverable_seller"), &ready));
    Ok(Some(ready))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_failures_of_the_address_count_against_it() {
        for yes in ["5.1.1", "5.1.10", "5.1.2", "5.2.1", "5.4.4", "4.4.1"] {
            assert!(speaks_of_address(yes), "{yes}");
        }
        for no in ["5.1.8", "5.2.2", "5.3.4", "5.6.7", "5.7.1", "5.7.26", "5.4.6", "4.4.3", "4.0.0", "5.0.0", ""] {
            assert!(!speaks_of_address(no), "{no}");
        }
    }

    #[test]
    fn each_status_has_its_sentence() {
        for (status, words) in [
            ("5.1.1", "status_bad_mailbox"),
            ("5.1.10", "status_no_host"),
            ("5.4.4", "status_no_host"),
            ("4.2.2", "status_mailbox_full"),
            ("5.2.3", "status_too_large"),
            ("5.3.4", "status_too_large"),
            ("4.4.1", "status_not_reachable"),
            ("5.4.1", "status_other"),
            ("5.1.0", "status_other"),
            ("4.3.0", "status_given_up"),
            ("5.7.1", "status_policy"),
            ("5.0.0", "status_other"),
            ("", "status_other"),
        ] {
            assert_eq!(words_of(status), words, "{status}");
        }
    }
}

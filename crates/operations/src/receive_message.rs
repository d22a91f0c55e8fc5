//! Taking responsibility for a message: parse, look up, decide, compose, one commit, then the reply.
//!
//! Invariant: `Receipt::Accepted` is given only after the commit that holds the original, the decision and
//! the outgoing copy (C1).

use std::sync::Arc;

use domain::message::Author;
use domain::policy::{Channel, Outcome};
use domain::{MessageId as Id, Tag};
use mail::automatic::is_automatic;
use mail::mime::{Content, parse, read_content};
use mail::report::{Report, read_report};
use mail::smtp::{DsnRequest, RecipientNotify};
use mail::{Mailbox, MessageId, ReversePath};
use store::{AliasTarget, CommitError, StoreError};

use crate::authentication::Authentication;
use crate::bodies::Wishes;
use crate::context::{Context, HEAVY_BYTES, Marketplace, TRIES};
use crate::dry_run::DryRun;
use crate::metrics::Metrics;
use crate::receive_report::{About, evidence, note, to_report};
use crate::receive_unpaired::to_operator;
use crate::record::{Arrival, Batch, commit, record};
use crate::resolve_recipient::Recipient;
use crate::tokens::Submitter;
use crate::weigh::{Incoming, Sender, weigh};
use crate::{digest, probe};

/// Most relays of ours that a message may have passed, and most trace fields of anyone's (RFC 5321, section 6.3).
const MAX_HOPS: u32 = 5;
const MAX_RECEIVED: usize = 50;
/// Octets of one message times its aliases: each alias keeps its own copy.
const MAX_COPIES_BYTES: usize = 256 << 20;

/// A message at the end of DATA.
#[derive(Debug, Clone)]
pub struct Received {
    /// RFC5321.MailFrom.
    pub reverse_path: ReversePath,
    /// Where the accepted recipients lead.
    pub recipients: Vec<Recipient>,
    /// The octets.
    pub octets: Arc<[u8]>,
    /// SPF, DKIM, DMARC; nothing of a submission.
    pub authentication: Authentication,
    /// Who signed in to send it.
    pub submitter: Option<Submitter>,
    /// Whether it came over TLS.
    pub tls: bool,
    /// What the client asked to be told (RFC 3461); its recipients are those of `recipients`.
    pub dsn: DsnRequest,
}

impl Received {
    /// A message from a stranger's connection, in clear, of which nobody asked to be told anything.
    #[must_use]
    pub fn new(reverse_path: ReversePath, recipients: Vec<Recipient>, octets: Arc<[u8]>, authentication: Authentication) -> Self {
        Self { reverse_path, recipients, octets, authentication, submitter: None, tls: false, dsn: DsnRequest::default() }
    }
}

/// Why a message is refused in the session (C0).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// No single author, or a structure beyond the limits.
    Malformed(String),
    /// It passed us too often.
    Loop,
    /// From or reverse-path in an alias domain, from outside (A8).
    OurDomain,
    /// Nobody who may write here. The text depends on the message's own authentication only (B).
    Stranger {
        /// Whether SPF or DKIM passed for From.
        aligned: bool,
    },
    /// The DNS did not answer, so that it cannot be said who wrote it.
    Unverifiable,
    /// Too large for so many recipients.
    TooManyCopies,
    /// The rules refuse what a seller submitted; nothing was kept (C0).
    Policy {
        /// Stable code of the remedy.
        code: &'static str,
        /// What happened and what can be done, in the seller's language.
        text: String,
    },
}

impl Refusal {
    /// What a person who tries a message is told.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Malformed(why) => format!("malformed: {why}"),
            Self::Loop => "it passed too many relays".to_owned(),
            Self::OurDomain => "From or the reverse-path is in an alias domain".to_owned(),
            Self::Stranger { aligned: true } => "its author is no party of the pair".to_owned(),
            Self::Stranger { aligned: false } => "neither SPF nor DKIM passes for the address in From".to_owned(),
            Self::Unverifiable => "the DNS does not answer".to_owned(),
            Self::TooManyCopies => "it is too large for so many recipients".to_owned(),
            Self::Policy { text, .. } => text.clone(),
        }
    }
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Receipt {
    /// Durable; the ids stand in the record.
    Accepted(Vec<Id>),
    /// Refused; nothing was kept.
    Refused(Refusal),
}

/// What was read out of the octets.
pub(crate) struct Reading {
    /// RFC5322.From, or why it names no single author; a report of a mail system needs none.
    pub(crate) from: Result<Mailbox, Refusal>,
    /// Its display name.
    pub(crate) display_name: String,
    pub(crate) content: Arc<Content>,
    pub(crate) message_id: Option<MessageId>,
    pub(crate) references: Vec<MessageId>,
    /// How many addresses beside ours and the writer's own stand in To and Cc (B3).
    other_recipients: usize,
    pub(crate) automatic: bool,
    pub(crate) hops: u32,
    /// What a mail system reports in it; looked for only where a mail system writes.
    pub(crate) report: Option<Report>,
}

#[derive(Default)]
struct ReceivedBatch {
    batch: Batch,
    strangers: usize,
    /// Why a submission is refused whole.
    refusal: Option<Refusal>,
    /// Of whose buyers the aliases were that strangers wrote to.
    refused: Vec<digest::Refused>,
}

/// Receives a message: refused, or accepted and durable.
///
/// # Errors
/// `StoreError` when the store does not take it: 451, nothing was promised (RFC 5321, section 4.2.5).
pub async fn receive_message(ctx: &Context, received: Received) -> Result<Receipt, StoreError> {
    let receipt = receive(ctx, received).await?;
    if let Receipt::Refused(_) = receipt {
        Metrics::count(&ctx.metrics.messages, "refused");
    }
    Ok(receipt)
}

async fn receive(ctx: &Context, mut received: Received) -> Result<Receipt, StoreError> {
    if let Some(key) = probe::only_probe(&received.recipients) {
        return probe::arrived(ctx, &key, &received).await;
    }
    (received.recipients, received.dsn.recipients) = merged(std::mem::take(&mut received.recipients), &received.dsn.recipients);
    let copies = received.recipients.len().saturating_mul(received.octets.len());
    if received.recipients.len() > 1 && copies > MAX_COPIES_BYTES {
        return Ok(Receipt::Refused(Refusal::TooManyCopies));
    }
    let reading = match read(ctx, &received).await? {
        Ok(reading) => reading,
        Err(refusal) => return Ok(Receipt::Refused(refusal)),
    };
    let needs_author = received.reverse_path.is_some() && received.recipients.iter().any(|r| matches!(r, Recipient::Alias { .. }));
    if let (Err(refusal), true) = (&reading.from, needs_author) {
        return Ok(Receipt::Refused(refusal.clone()));
    }
    // The facts may change between reading and committing; then everything is decided anew.
    for _ in 0..TRIES {
        let mut batch = ReceivedBatch::default();
        for (n, recipient) in received.recipients.iter().enumerate() {
            let wishes = wishes(&received, n);
            one_recipient(ctx, &received, &reading, (recipient, wishes), &mut batch).await?;
        }
        if let Some(refusal) = batch.refusal {
            return Ok(Receipt::Refused(refusal));
        }
        if batch.strangers == received.recipients.len() {
            let refusal = if received.authentication.is_unsettled() {
                Refusal::Unverifiable
            } else {
                Refusal::Stranger { aligned: received.authentication.aligned || received.submitter.is_some() }
            };
            if matches!(refusal, Refusal::Stranger { .. }) {
                digest::count(ctx, batch.refused);
            }
            return Ok(Receipt::Refused(refusal));
        }
        match commit(ctx, batch.batch).await {
            Ok(accepted) => return Ok(Receipt::Accepted(accepted)),
            Err(CommitError::Conflict) => {}
            Err(CommitError::Store(error)) => return Err(error),
        }
    }
    Err(StoreError::Unavailable("the facts changed again and again".to_owned()))
}

/// One recipient an alias: the bare alias and the one with a tag, as a reply to all names them, are one; the
/// tag is kept, and what was asked to be told of the first.
fn merged(recipients: Vec<Recipient>, asked: &[RecipientNotify]) -> (Vec<Recipient>, Vec<RecipientNotify>) {
    let mut merged: Vec<Recipient> = Vec::with_capacity(recipients.len());
    let mut kept = Vec::with_capacity(asked.len());
    for (n, recipient) in recipients.into_iter().enumerate() {
        let same = merged.iter_mut().find(|known| match (known, &recipient) {
            (Recipient::Alias { target: a, .. }, Recipient::Alias { target: b, .. }) => a == b,
            (Recipient::Operator(a), Recipient::Operator(b)) => a == b,
            (Recipient::Report { message: a, .. }, Recipient::Report { message: b, .. }) => a == b,
            _ => false,
        });
        match (same, recipient) {
            (Some(Recipient::Alias { tag: known, .. }), Recipient::Alias { tag, .. }) => *known = known.take().or(tag),
            (Some(_), _) => {}
            (None, recipient) => {
                merged.push(recipient);
                kept.push(asked.get(n).cloned().unwrap_or_default());
            }
        }
    }
    (merged, kept)
}

/// What the writer asked to be told of the nth recipient.
fn wishes(received: &Received, n: usize) -> Wishes {
    let Some(asked) = received.dsn.recipients.get(n) else { return Wishes::default() };
    Wishes {
        // RFC 3461, section 4.1: only what is named is asked for; nothing named means failures.
        never: asked.never || ((asked.success || asked.delay) && !asked.failure),
        success: asked.success,
        delay: asked.delay,
        envelope_id: received.dsn.envelope_id.clone(),
        original_recipient: asked.original_recipient.clone(),
    }
}

/// Reads what a decision needs; heavy messages on a thread of their own, few at a time.
async fn read(ctx: &Context, received: &Received) -> Result<Result<Reading, Refusal>, StoreError> {
    let (octets, our_domains) = (Arc::clone(&received.octets), our_domains(ctx));
    let from_us = received.reverse_path.as_ref().is_some_and(|m| our_domains.contains(m.domain()));
    if from_us {
        return Ok(Err(Refusal::OurDomain));
    }
    let may_report = received.reverse_path.is_none() || received.recipients.iter().any(|r| matches!(r, Recipient::Report { .. }));
    if octets.len() < HEAVY_BYTES {
        return Ok(read_octets(&octets, &our_domains, may_report));
    }
    let permit = Arc::clone(&ctx.heavy).acquire_owned().await.map_err(|_| StoreError::Unavailable("closing".to_owned()))?;
    let done = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        read_octets(&octets, &our_domains, may_report)
    })
    .await;
    done.map_err(|_| StoreError::Unavailable("reading a message was cut off".to_owned()))
}

fn our_domains(ctx: &Context) -> Vec<mail::Domain> {
    ctx.settings.marketplaces.iter().map(|m| m.domain.clone()).collect()
}

fn read_octets(octets: &[u8], our_domains: &[mail::Domain], may_report: bool) -> Result<Reading, Refusal> {
    let message = parse(octets).map_err(|e| Refusal::Malformed(e.to_string()))?;
    let fields = message.fields();
    let originator = fields.originator().map_err(|e| Refusal::Malformed(e.to_string()));
    let display_name = originator.as_ref().map(|o| o.display_name.clone()).unwrap_or_default();
    let from = originator.map(|o| o.mailbox);
    if from.as_ref().is_ok_and(|m| our_domains.contains(m.domain())) {
        return Err(Refusal::OurDomain);
    }
    let hops = fields.raw("X-Tradepost-Hops").and_then(|h| h.parse::<u32>().ok()).unwrap_or(0);
    let received = fields.iter().filter(|f| f.name.eq_ignore_ascii_case("Received")).count();
    if hops >= MAX_HOPS || received > MAX_RECEIVED {
        return Err(Refusal::Loop);
    }
    let ids = |name: &str| fields.raw(name).map(|v| MessageId::list(&v)).unwrap_or_default();
    let mut references = ids("References");
    // RFC 5322, section 3.6.4: what is answered stands last.
    for id in ids("In-Reply-To") {
        references.retain(|r| *r != id);
        references.push(id);
    }
    let report = if may_report { read_report(&message) } else { None };
    // What a mail system returns was known by these.
    references.extend(report.iter().flat_map(|r| r.original_ids.iter().cloned()));
    let mut other_recipients = [fields.mailboxes("To"), fields.mailboxes("Cc")].concat();
    // A copy to oneself tells nobody anything.
    let own = from.as_ref().map(Mailbox::canonical).unwrap_or_default();
    other_recipients.retain(|m| !our_domains.contains(m.domain()) && m.canonical() != own);
    Ok(Reading {
        from,
        display_name,
        content: Arc::new(read_content(&message)),
        message_id: ids("Message-ID").pop(),
        references,
        other_recipients: other_recipients.len(),
        automatic: is_automatic(fields),
        hops,
        report,
    })
}

async fn one_recipient(
    ctx: &Context,
    received: &Received,
    reading: &Reading,
    (recipient, wishes): (&Recipient, Wishes),
    batch: &mut ReceivedBatch,
) -> Result<(), StoreError> {
    match recipient {
        Recipient::Alias { marketplace, target, tag } => {
            let Some(marketplace) = ctx.settings.by_id(marketplace) else { return Ok(()) };
            to_alias(ctx, received, reading, (marketplace, *target, tag.clone(), wishes), batch).await
        }
        Recipient::Operator(marketplace) => to_operator(ctx, received, marketplace, &mut batch.batch).await,
        Recipient::Report { marketplace, message, expired } => {
            let Some(marketplace) = ctx.settings.by_id(marketplace) else { return Ok(()) };
            let about = About { marketplace, message: *message, verified: !*expired };
            to_report(ctx, received, reading, about, &mut batch.batch).await
        }
        // Never accepted at RCPT; a probe stands alone.
        Recipient::UnknownAlias | Recipient::ForeignDomain | Recipient::Probe { .. } => {
            batch.strangers += 1;
            Ok(())
        }
    }
}

/// One message to one alias: facts, decision, outgoing form.
async fn to_alias(
    ctx: &Context,
    received: &Received,
    reading: &Reading,
    (marketplace, target, tag, wishes): (&Marketplace, AliasTarget, Option<Tag>, Wishes),
    received_batch: &mut ReceivedBatch,
) -> Result<(), StoreError> {
    let now = ctx.clock.now();
    let incoming = incoming(received, reading, marketplace, target, tag);
    let weighed = weigh(ctx, &incoming, now, &received_batch.batch.changes.counters).await?;
    if weighed.author == Author::Stranger {
        received_batch.strangers += 1;
        received_batch.refused.extend(digest::refused(ctx, &incoming, &weighed));
        if received.recipients.len() == 1 {
            return Ok(());
        }
    }
    if let Some(earlier) = weighed.repeats {
        // C14: a client that did not hear our reply sends again; it is the same message.
        received_batch.batch.accepted.push(earlier);
        received_batch.batch.outcomes.push("repeated");
        return Ok(());
    }
    if received.submitter.is_some() && weighed.decision.outcome == Outcome::Refuse {
        // C0: the seller waits for the answer, and it is one for all recipients.
        let decided = DryRun::of(ctx, marketplace, &weighed);
        received_batch.refusal = decided.remedy.map(|told| Refusal::Policy { code: told.code, text: told.text });
        return Ok(());
    }
    let batch = &mut received_batch.batch;
    if weighed.author == Author::MailSystem {
        return match evidence(ctx, reading, marketplace, target, &weighed.pair).await? {
            Some(message) => to_report(ctx, received, reading, About { marketplace, message, verified: true }, batch).await,
            None => note(ctx, (target.pair, weighed.pair.pair.seller), None, false, batch).await,
        };
    }
    // Whoever signed in is told at the address that the marketplace knows.
    let registered = received.submitter.is_some().then(|| weighed.pair.seller.email.clone());
    let arrival = Arrival {
        authentication: Some(received.authentication.value()),
        writer: registered.as_ref().or(reading.from.as_ref().ok()),
        wishes,
        tls: received.tls,
        submitted: received.submitter.is_some(),
        ..Arrival::default()
    };
    record(ctx, &incoming, weighed, arrival, now, batch).await.map(drop)
}

/// The value that every door makes, of a mail to one alias.
pub(crate) fn incoming<'a>(
    received: &'a Received,
    reading: &'a Reading,
    marketplace: &'a Marketplace,
    target: AliasTarget,
    tag: Option<Tag>,
) -> Incoming<'a> {
    let sender = match &received.submitter {
        Some(submitter) => Sender::Submitter(submitter),
        None => Sender::Mail {
            from: reading.from.as_ref().ok(),
            aligned: received.authentication.aligned,
            is_null: received.reverse_path.is_none(),
        },
    };
    Incoming {
        marketplace,
        target,
        tag,
        channel: Channel::Mail,
        sender,
        from: (&reading.display_name, reading.from.as_ref().ok()),
        reason: "other",
        order: None,
        content: Arc::clone(&reading.content),
        original: &received.octets,
        message_id: reading.message_id.as_ref(),
        references: &reading.references,
        other_recipients: reading.other_recipients,
        automatic: reading.automatic,
        hops: reading.hops + 1,
    }
}

/// What would be decided of a message, alias by alias, without keeping anything (C13).
///
/// # Errors
/// `Refusal` as the session would answer; `StoreError`.
pub async fn dry_run_mail(ctx: &Context, received: &Received) -> Result<Result<Vec<DryRun>, Refusal>, StoreError> {
    let reading = match read(ctx, received).await? {
        Ok(reading) => reading,
        Err(refusal) => return Ok(Err(refusal)),
    };
    if let (Err(refusal), true) = (&reading.from, received.reverse_path.is_some()) {
        return Ok(Err(refusal.clone()));
    }
    let mut out = Vec::new();
    for recipient in merged(received.recipients.clone(), &[]).0 {
        let Recipient::Alias { marketplace, target, tag } = recipient else { continue };
        let Some(marketplace) = ctx.settings.by_id(&marketplace) else { continue };
        let weighed = weigh(ctx, &incoming(received, &reading, marketplace, target, tag), ctx.clock.now(), &[]).await?;
        out.push(DryRun::of(ctx, marketplace, &weighed));
    }
    let strangers = out.iter().all(|d| d.author == Author::Stranger);
    Ok(if strangers { Err(Refusal::Stranger { aligned: received.authentication.aligned }) } else { Ok(out) })
}

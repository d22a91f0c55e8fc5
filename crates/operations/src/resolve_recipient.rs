//! Where a forward-path leads, asked at RCPT.

use domain::{AliasName, MarketplaceId, MessageId, Tag};
use mail::Mailbox;
use store::{AliasTarget, StoreError};

use crate::context::Context;
use crate::{probe, verp};

/// Where a recipient address leads.
#[derive(Debug, Clone)]
pub enum Recipient {
    /// An alias that was issued, in whatever state: states look alike from outside (A5).
    Alias {
        /// The marketplace.
        marketplace: MarketplaceId,
        /// Pair and role.
        target: AliasTarget,
        /// Conversation tag, if the address carries one.
        tag: Option<Tag>,
    },
    /// postmaster@ or abuse@ of an alias domain (A8).
    Operator(MarketplaceId),
    /// A reverse-path of ours, for reports.
    Report {
        /// The marketplace.
        marketplace: MarketplaceId,
        /// The delivery.
        message: MessageId,
        /// Whether the address is expired.
        expired: bool,
    },
    /// A probe of our own, to see what the way out and back in does to a message.
    Probe {
        /// Which one.
        key: String,
    },
    /// A local-part that was never issued.
    UnknownAlias,
    /// A domain that is not ours.
    ForeignDomain,
}

/// Looks a recipient up.
///
/// # Errors
/// `StoreError` when the store does not answer: 451 and try again.
pub async fn resolve_recipient(ctx: &Context, mailbox: &Mailbox) -> Result<Recipient, StoreError> {
    let Some(marketplace) = ctx.settings.by_domain(mailbox.domain()) else {
        // RFC 5321, section 4.5.1: <postmaster> without a domain is taken at our own host name.
        let bare = mailbox.domain().as_str() == ctx.settings.hostname && mailbox.local_part().eq_ignore_ascii_case("postmaster");
        return Ok(match ctx.settings.marketplaces.first() {
            Some(first) if bare => Recipient::Operator(first.id.clone()),
            _ => Recipient::ForeignDomain,
        });
    };
    let (base, subaddress) = mailbox.split_subaddress();
    if ["postmaster", "abuse"].iter().any(|name| base.eq_ignore_ascii_case(name)) {
        return Ok(Recipient::Operator(marketplace.id.clone()));
    }
    if let Some(report) = verp::read(ctx, mailbox.local_part(), ctx.clock.now()) {
        return Ok(Recipient::Report { marketplace: marketplace.id.clone(), message: report.message, expired: report.expired });
    }
    if let Some(key) = probe::read(ctx, mailbox.local_part(), ctx.clock.now()) {
        return Ok(Recipient::Probe { key });
    }
    let Some(alias) = AliasName::parse(base) else { return Ok(Recipient::UnknownAlias) };
    Ok(match ctx.store.find_alias(&marketplace.id, &alias).await? {
        Some(target) => Recipient::Alias { marketplace: marketplace.id.clone(), target, tag: subaddress.and_then(Tag::parse) },
        None => Recipient::UnknownAlias,
    })
}

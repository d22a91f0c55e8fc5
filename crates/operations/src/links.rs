//! Signed links in mail (E3, F1, F3): what they do, for which message, until when.
//!
//! A link is a secret of whoever got the mail. It names a message, and through it the pair; it carries no
//! personal data, works for one purpose, and ends. Opening it changes nothing.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::{MessageId, Timestamp};
use mail::scrub::LINK_MARK;

use crate::context::Context;

/// Days for which a link in mail is valid.
pub const LINK_DAYS: i64 = 90;
const HOUR_MICROS: i64 = 3_600_000_000;
/// Octets of the MAC: 128 bits, because a link can be tried offline by nobody and online by everybody.
const MAC_OCTETS: usize = 16;
/// Octets before it: action, message, hour of expiry.
const PAYLOAD_OCTETS: usize = 1 + 16 + 4;

/// What a link is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkAction {
    /// The seller marks the buyer's message as needing no response.
    NoResponse,
    /// The seller reports the buyer's message.
    SellerReport,
    /// The buyer reports the seller's message.
    BuyerReport,
    /// The seller chooses notices.
    SellerPreferences,
    /// The buyer chooses what sellers may send.
    BuyerPreferences,
    /// The writer sends a refused message another way.
    Resend,
    /// The buyer ends unsolicited mail with one click (RFC 8058).
    Unsubscribe,
}

impl LinkAction {
    const ALL: [Self; 7] = [
        Self::NoResponse,
        Self::SellerReport,
        Self::BuyerReport,
        Self::SellerPreferences,
        Self::BuyerPreferences,
        Self::Resend,
        Self::Unsubscribe,
    ];

    fn number(self) -> u8 {
        match self {
            Self::NoResponse => 1,
            Self::SellerReport => 2,
            Self::BuyerReport => 3,
            Self::SellerPreferences => 4,
            Self::BuyerPreferences => 5,
            Self::Resend => 6,
            Self::Unsubscribe => 7,
        }
    }
}

/// A link that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// What it is for.
    pub action: LinkAction,
    /// The message that it came with or is about.
    pub message: MessageId,
    /// Whether its time is over.
    pub is_expired: bool,
}

/// The address of a fresh link; none where no public address is configured.
pub(crate) fn mint(ctx: &Context, action: LinkAction, message: MessageId) -> Option<String> {
    let base = ctx.settings.public_url.as_deref()?;
    let hour = ctx.clock.now().0 / HOUR_MICROS + LINK_DAYS * 24;
    let mut octets = Vec::with_capacity(PAYLOAD_OCTETS + MAC_OCTETS);
    octets.push(action.number());
    octets.extend_from_slice(message.as_bytes());
    octets.extend_from_slice(&u32::try_from(hour).unwrap_or(u32::MAX).to_be_bytes());
    octets.extend_from_slice(&mac(ctx, &octets));
    Some(format!("{base}/l/{LINK_MARK}{}", URL_SAFE_NO_PAD.encode(octets)))
}

/// Reads the secret part of a link; `None` for anything that is not one of ours, unaltered.
#[must_use]
pub fn read_link(ctx: &Context, secret: &str) -> Option<Link> {
    let octets = URL_SAFE_NO_PAD.decode(secret.strip_prefix(LINK_MARK)?).ok()?;
    if octets.len() != PAYLOAD_OCTETS + MAC_OCTETS {
        return None;
    }
    let (payload, given) = octets.split_at(PAYLOAD_OCTETS);
    // Every octet is looked at, whichever differs first.
    let differs = mac(ctx, payload).iter().zip(given).fold(0, |acc, (a, b)| acc | (a ^ b));
    if differs != 0 {
        return None;
    }
    let action = LinkAction::ALL.into_iter().find(|a| a.number() == payload[0])?;
    let message = MessageId::from_bytes(payload[1..17].try_into().ok()?);
    let until = Timestamp(i64::from(u32::from_be_bytes(payload[17..].try_into().ok()?)).saturating_mul(HOUR_MICROS));
    Some(Link { action, message, is_expired: ctx.clock.now() >= until })
}

fn mac(ctx: &Context, payload: &[u8]) -> [u8; MAC_OCTETS] {
    ctx.short_mac(b"tradepost/link/v1", payload)
}

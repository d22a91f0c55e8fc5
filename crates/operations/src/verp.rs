//! Reverse-paths of our own (VERP): which delivery a report is about, unforgeable (privacy P02).
//!
//! `b-<message id>-<mac>`. The hyphens keep this name space apart from aliases. The id holds the time, so
//! that an old one expires without being stored.

use std::time::Duration;

use domain::{MessageId, Timestamp};
use mail::{Domain, Mailbox};

use crate::context::Context;

/// Reports come within days; after this long a reverse-path is of no use.
const VALID_FOR: Duration = Duration::from_secs(30 * 24 * 3600);
/// Octets of the MAC in the address: 64 bits, never tested offline.
const MAC_OCTETS: usize = 8;

/// What a VERP local-part says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Report {
    /// The delivery that the reverse-path belonged to.
    pub(crate) message: MessageId,
    /// Whether it is expired: 250, note only.
    pub(crate) expired: bool,
}

/// The reverse-path for a delivery.
pub(crate) fn reverse_path(ctx: &Context, message: MessageId, domain: &Domain) -> Mailbox {
    Mailbox::new(format!("b-{message}-{}", mac(ctx, message)), domain.clone()).expect("hex and hyphens are a local-part")
}

/// Reads a local-part; `None` if it is none of ours or the MAC is wrong.
pub(crate) fn read(ctx: &Context, local_part: &str, now: Timestamp) -> Option<Report> {
    let local_part = local_part.to_ascii_lowercase();
    let (id, mac_given) = local_part.strip_prefix("b-")?.split_once('-')?;
    let message: MessageId = id.parse().ok()?;
    // Compared as tags by the HMAC library would be overkill: each guess costs a mail transaction and is rate-limited.
    if mac(ctx, message) != mac_given {
        return None;
    }
    Some(Report { message, expired: now.since(minted_at(message)) > VALID_FOR })
}

/// The first 48 bits of a fresh id are milliseconds.
fn minted_at(message: MessageId) -> Timestamp {
    let millis = message.as_bytes()[..6].iter().fold(0i64, |acc, b| (acc << 8) | i64::from(*b));
    Timestamp(millis.saturating_mul(1_000))
}

fn mac(ctx: &Context, message: MessageId) -> String {
    let tag = ctx.master_key.mac(b"tradepost/verp/v1", message.as_bytes());
    tag[..MAC_OCTETS].iter().map(|b| format!("{b:02x}")).collect()
}

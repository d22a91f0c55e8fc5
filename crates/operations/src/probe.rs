//! Probes of our own: a message that leaves through the configured route to an address of ours, to see what the way
//! does to its Message-ID and reverse-path (H2).

use std::time::Duration;

use domain::Timestamp;
use mail::mime::Fields;
use mail::{Domain, Mailbox, MessageId};
use serde_json::json;
use store::StoreError;

use crate::context::Context;
use crate::receive_message::{Receipt, Received};
use crate::resolve_recipient::Recipient;

/// After this long nobody waits for a probe any more.
const VALID_FOR: Duration = Duration::from_secs(3600);
/// Octets of a key: 48 bits of milliseconds, 80 random bits.
const KEY_OCTETS: usize = 16;
/// Octets of the MAC in the address.
const MAC_OCTETS: usize = 8;

/// The addresses of a probe.
#[derive(Debug, Clone)]
pub struct Probe {
    /// RFC5321.MailFrom to send it with.
    pub reverse_path: Mailbox,
    /// Where it is to arrive.
    pub recipient: Mailbox,
    /// Message-ID to send it with.
    pub message_id: MessageId,
    /// What it left behind stands in the setting of this name, as JSON with `message_id` and `reverse_path`.
    pub setting: String,
}

/// Fresh addresses for one probe of a domain of ours.
///
/// # Panics
/// Never: hex and hyphens are a local-part.
#[must_use]
pub fn probe_addresses(ctx: &Context, domain: &Domain) -> Probe {
    let mut key = [0; KEY_OCTETS];
    ctx.random.fill(&mut key);
    let millis = ctx.clock.now().0 / 1_000;
    key[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
    let key = hex(&key);
    let mailbox = |local_part: String| Mailbox::new(local_part, domain.clone()).expect("hex and hyphens are a local-part");
    Probe {
        reverse_path: mailbox(format!("probe-back-{key}")),
        recipient: mailbox(format!("probe-{key}-{}", mac(ctx, &key))),
        message_id: MessageId::new(&format!("probe.{key}@{}", domain.as_str())).expect("hex and a domain are an id"),
        setting: setting(&key),
    }
}

/// The key of a local-part that is a fresh probe of ours.
pub(crate) fn read(ctx: &Context, local_part: &str, now: Timestamp) -> Option<String> {
    let local_part = local_part.to_ascii_lowercase();
    let (key, given) = local_part.strip_prefix("probe-")?.split_once('-')?;
    let is_key = key.len() == 2 * KEY_OCTETS && key.bytes().all(|b| b.is_ascii_hexdigit());
    if !is_key || mac(ctx, key) != given {
        return None;
    }
    let millis = i64::from_str_radix(&key[..12], 16).ok()?;
    (now.since(Timestamp(millis.saturating_mul(1_000))) <= VALID_FOR).then(|| key.to_owned())
}

/// The key, where a message goes to one probe and to nobody else.
pub(crate) fn only_probe(recipients: &[Recipient]) -> Option<String> {
    match recipients {
        [Recipient::Probe { key }] => Some(key.clone()),
        _ => None,
    }
}

/// Keeps what arrived of a probe; the first one counts.
pub(crate) async fn arrived(ctx: &Context, key: &str, received: &Received) -> Result<Receipt, StoreError> {
    let (fields, _) = Fields::read(&received.octets);
    let ids = fields.raw("Message-ID").map(|v| MessageId::list(&v)).unwrap_or_default();
    let seen = json!({
        "message_id": ids.last().map(MessageId::as_str),
        "reverse_path": received.reverse_path.as_ref().map(Mailbox::to_wire),
    });
    ctx.store.put_setting_once(&setting(key), &seen.to_string()).await?;
    Ok(Receipt::Accepted(Vec::new()))
}

fn setting(key: &str) -> String {
    format!("probe/{key}")
}

fn mac(ctx: &Context, key: &str) -> String {
    hex(&ctx.short_mac(b"tradepost/probe/v1", key.as_bytes())[..MAC_OCTETS])
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|b| format!("{b:02x}")).collect()
}

//! The life cycle of a delivery (E2) and when it is tried again.

use std::time::Duration;

use crate::id::{MessageId, NodeId};
use crate::world::{Random, Timestamp};

/// How long a delivery is tried before it is given up (RFC 5321, section 4.5.4.1: at least 4–5 days).
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(5 * 24 * 3600);
/// Waits between attempts; the last one repeats (RFC 5321, section 4.5.4.1: two tries in the first hour).
const WAITS: [Duration; 8] = [
    Duration::from_secs(60),
    Duration::from_secs(5 * 60),
    Duration::from_secs(15 * 60),
    Duration::from_secs(30 * 60),
    Duration::from_secs(3600),
    Duration::from_secs(2 * 3600),
    Duration::from_secs(4 * 3600),
    Duration::from_secs(6 * 3600),
];

/// The latest instant at which anything can be due: what is due later was deferred by a clock that was ahead.
#[must_use]
pub fn latest_due(now: Timestamp) -> Timestamp {
    now.after(WAITS[WAITS.len() - 1] * 2)
}

/// Where a delivery is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliveryState {
    /// Waits for its first attempt.
    Queued,
    /// A transient failure; tried again when due.
    Deferred,
    /// The next server took it.
    Delivered,
    /// A permanent failure, or tried for too long.
    Bounced,
    /// Stands on the buyer's page and is mailed to nobody (A6).
    OnPage,
}

impl DeliveryState {
    /// The word in records and the API.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Deferred => "deferred",
            Self::Delivered => "delivered",
            Self::Bounced => "bounced",
            Self::OnPage => "on_page",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Queued, Self::Deferred, Self::Delivered, Self::Bounced, Self::OnPage].into_iter().find(|s| s.as_str() == word)
    }

    /// Whether nothing more will happen.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Delivered | Self::Bounced | Self::OnPage)
    }
}

/// The right to attempt a delivery until an instant. The fence grows with every lease, so that a late
/// holder is told apart from the present one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// Who holds it.
    pub owner: NodeId,
    /// Until when.
    pub until_at: Timestamp,
    /// Fencing token.
    pub fence: i64,
}

/// The one delivery of a message.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The message.
    pub message: MessageId,
    /// Where it is.
    pub state: DeliveryState,
    /// Attempts so far.
    pub attempts: i64,
    /// When the first attempt was due.
    pub queued_at: Timestamp,
    /// When the next attempt is due; meaningless in a final state.
    pub due_at: Timestamp,
    /// Who may attempt it now.
    pub lease: Option<Lease>,
    /// Enhanced status code of the last attempt (RFC 3463).
    pub last_status: Option<String>,
}

/// How the connection was protected on which a message left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsState {
    /// Not at all.
    Clear,
    /// Encrypted, whoever answered (RFC 7435).
    Encrypted,
    /// Encrypted, with a certificate that the settings ask for.
    Verified,
    /// Encrypted as the recipient's MTA-STS policy says (RFC 8461).
    MtaSts,
    /// Encrypted as the recipient's TLSA records say (RFC 7672).
    Dane,
}

impl TlsState {
    /// The word in records and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Clear => "clear",
            Self::Encrypted => "encrypted",
            Self::Verified => "verified",
            Self::MtaSts => "mta_sts",
            Self::Dane => "dane",
        }
    }
}

/// How one attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// The next server took it.
    Delivered,
    /// Worth another try.
    Transient,
    /// Not worth another try.
    Permanent,
}

/// The state after an attempt, and when the next is due.
#[must_use]
pub fn after_attempt(delivery: &Delivery, outcome: &AttemptOutcome, now: Timestamp, random: &dyn Random) -> (DeliveryState, Timestamp) {
    match outcome {
        AttemptOutcome::Delivered => (DeliveryState::Delivered, now),
        AttemptOutcome::Permanent => (DeliveryState::Bounced, now),
        AttemptOutcome::Transient if now.since(delivery.queued_at) >= GIVE_UP_AFTER => (DeliveryState::Bounced, now),
        AttemptOutcome::Transient => {
            let nth = usize::try_from(delivery.attempts).unwrap_or(0).min(WAITS.len() - 1);
            (DeliveryState::Deferred, now.after(jittered(WAITS[nth], random)))
        }
    }
}

/// Between 80 and 120 per cent, so that what failed together does not return together.
fn jittered(wait: Duration, random: &dyn Random) -> Duration {
    let mut octet = [0];
    random.fill(&mut octet);
    wait.mul_f64(0.8 + 0.4 * f64::from(octet[0]) / 255.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Middle;
    impl Random for Middle {
        fn fill(&self, octets: &mut [u8]) {
            octets.fill(127);
        }
    }

    #[test]
    fn a_week_of_refusals_is_given_up_after_five_days() {
        let mut now = Timestamp(0);
        let mut d = Delivery {
            message: MessageId::from_bytes([0; 16]),
            state: DeliveryState::Queued,
            attempts: 0,
            queued_at: now,
            due_at: now,
            lease: None,
            last_status: None,
        };
        while !d.state.is_final() {
            let (state, due) = after_attempt(&d, &AttemptOutcome::Transient, now, &Middle);
            d.state = state;
            d.attempts += 1;
            now = due;
        }
        assert_eq!(d.state, DeliveryState::Bounced);
        assert!(now.since(Timestamp(0)) >= GIVE_UP_AFTER);
        assert!((20..40).contains(&d.attempts), "{}", d.attempts);
    }
}

//! Counters of the service, without any label that could name a person.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Label of a counter with a few fixed values.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Kind {
    /// The value.
    pub kind: &'static str,
}

/// Every metric.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    /// Messages by outcome of the decision, or `refused` in the session.
    pub messages: Family<Kind, Counter>,
    /// Delivery attempts by resulting state.
    pub attempts: Family<Kind, Counter>,
    /// Sessions by `opened`, `turned_away`.
    pub sessions: Family<Kind, Counter>,
    /// Messages that passed the opt-out by the bracketed word (C5).
    pub overrides: Counter,
    /// Critical messages that passed with a warning of the content checks (C14).
    pub content_warnings: Counter,
    /// What was masked in what was passed on, by kind.
    pub masked: Family<Kind, Counter>,
    /// Seconds from the end of DATA to the reply.
    pub acceptance: Option<Histogram>,
}

impl Metrics {
    /// Registers every metric.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let buckets = [0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];
        let acceptance = Histogram::new(buckets);
        let metrics = Self { acceptance: Some(acceptance.clone()), ..Self::default() };
        registry.register("tradepost_messages", "Messages by outcome", metrics.messages.clone());
        registry.register("tradepost_delivery_attempts", "Delivery attempts by resulting state", metrics.attempts.clone());
        registry.register("tradepost_smtp_sessions", "SMTP sessions", metrics.sessions.clone());
        registry.register("tradepost_overrides", "Messages that passed the opt-out by the bracketed word", metrics.overrides.clone());
        let warnings = metrics.content_warnings.clone();
        registry.register("tradepost_content_warnings", "Critical messages that read like one that is never critical", warnings);
        registry.register(
            "tradepost_masked",
            "Addresses, links, telephone numbers and names masked in relayed messages",
            metrics.masked.clone(),
        );
        registry.register("tradepost_acceptance_seconds", "Time from end of DATA to the reply", acceptance);
        metrics
    }

    /// Counts one.
    pub fn count(family: &Family<Kind, Counter>, kind: &'static str) {
        Self::count_by(family, kind, 1);
    }

    /// Counts several.
    pub fn count_by(family: &Family<Kind, Counter>, kind: &'static str, n: u64) {
        if n > 0 {
            family.get_or_create(&Kind { kind }).inc_by(n);
        }
    }
}

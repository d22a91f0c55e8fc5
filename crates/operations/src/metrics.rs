//! Counters of the service, without any label that could name a person.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
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
    /// Attempts to sign in for submission, by `ok`, `failed`.
    pub sign_ins: Family<Kind, Counter>,
    /// Reports of other mail systems by what they say.
    pub reports: Family<Kind, Counter>,
    /// Attempts that reached a server, by how the connection was protected.
    pub delivery_tls: Family<Kind, Counter>,
    /// Addresses that were given up (H6).
    pub undeliverable: Counter,
    /// Mail from domains of carriers, by `relayed`, `refused`.
    pub carriers: Family<Kind, Counter>,
    /// When the certificate in use ends, in seconds of Unix time; 0 without one.
    pub certificate_ends: Gauge,
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
        registry.register("tradepost_sign_ins", "Attempts to sign in for submission", metrics.sign_ins.clone());
        registry.register("tradepost_reports", "Reports of other mail systems by what they say", metrics.reports.clone());
        registry.register("tradepost_delivery_tls", "Attempts by how the connection was protected", metrics.delivery_tls.clone());
        registry.register(
            "tradepost_undeliverable",
            "Addresses that were given up after refusing again and again",
            metrics.undeliverable.clone(),
        );
        registry.register("tradepost_carrier", "Mail from domains of carriers", metrics.carriers.clone());
        let ends = metrics.certificate_ends.clone();
        registry.register("tradepost_certificate_expiry_seconds", "When the certificate in use ends, Unix time", ends);
        registry.register("tradepost_acceptance_seconds", "Time from end of DATA to the reply", acceptance);
        metrics.prepare();
        metrics
    }

    /// A family without a sample is left out of `/metrics`, and a rate misses the event that brings a counter to life.
    fn prepare(&self) {
        let families: [(&Family<Kind, Counter>, &[&'static str]); 8] = [
            (&self.messages, &["relay", "on_page", "refuse", "note", "forward", "notify", "repeated", "refused", "report"]),
            (&self.attempts, &["delivered", "deferred", "bounced"]),
            (&self.sessions, &["opened", "turned_away"]),
            (&self.masked, &["address", "link", "phone", "name"]),
            (&self.sign_ins, &["ok", "failed"]),
            (&self.reports, &["failed", "delayed", "delivered", "relayed", "expanded", "complaint", "auto_reply", "other"]),
            (&self.delivery_tls, &["clear", "encrypted", "verified", "mta_sts", "dane"]),
            (&self.carriers, &["relayed", "refused"]),
        ];
        for (family, kinds) in families {
            kinds.iter().for_each(|kind| drop(family.get_or_create(&Kind { kind })));
        }
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

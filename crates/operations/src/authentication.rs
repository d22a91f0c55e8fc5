//! What SPF, DKIM and DMARC said of a message, as the operations see it.

use domain::ledger::Value;

/// One result (RFC 8601, section 2.7), coarse enough for a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Verdict {
    /// Passed.
    Pass,
    /// Failed.
    Fail,
    /// Nothing to check.
    #[default]
    None,
    /// The DNS did not answer; the same message may pass later.
    TempError,
}

impl Verdict {
    /// The word of RFC 8601.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::None => "none",
            Self::TempError => "temperror",
        }
    }
}

/// What is known of where a message comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Authentication {
    /// SPF of RFC5321.MailFrom (RFC 7208).
    pub spf: Verdict,
    /// The best DKIM signature (RFC 6376).
    pub dkim: Verdict,
    /// DMARC of RFC5322.From (RFC 9989).
    pub dmarc: Verdict,
    /// Whether SPF or DKIM passes for the domain of RFC5322.From.
    pub aligned: bool,
}

impl Authentication {
    /// Whether asking again later could change the answer.
    #[must_use]
    pub fn is_unsettled(&self) -> bool {
        !self.aligned && [self.spf, self.dkim, self.dmarc].contains(&Verdict::TempError)
    }

    pub(crate) fn value(&self) -> Value {
        Value::object([
            ("spf", self.spf.as_str().into()),
            ("dkim", self.dkim.as_str().into()),
            ("dmarc", self.dmarc.as_str().into()),
            ("aligned", self.aligned.into()),
        ])
    }
}

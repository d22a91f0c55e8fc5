//! What becomes of a message: a pure function of facts, rules and the time, with every rule that ran (C13).
//!
//! A decision can be repeated: it names its rule set, and each rule its inputs. The words that people read
//! are made elsewhere from the rule id and the remedy.

mod checks;
mod decide;
mod facts;
mod important;
mod reasons;
mod rules;
#[cfg(test)]
mod table_tests;

pub use checks::{Phrases, Suspicion};
pub use decide::{decide, is_unsolicited};
pub use facts::{ContentFacts, Facts, RefusedFile, RefusedFileCause};
pub use important::has_bracketed_word;
pub use reasons::{Offer, OrderFacts, Reason, Unavailable, offers};
pub use rules::{CheckMode, ContactMode, ImportantMode, RuleSet, RulesError};

/// What happens to a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is mailed to the other side.
    Relay,
    /// It stands on the buyer's page and is not mailed (A6).
    OnPage,
    /// It is not passed on; the writer is told why.
    Refuse,
    /// It is noted in the record and passed to nobody (B, the mail system).
    Note,
    /// It is passed as it is to the marketplace's postmaster (A8).
    Forward,
    /// It is a notice of ours.
    Notify,
}

impl Outcome {
    /// The word in records and the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Relay => "relay",
            Self::OnPage => "on_page",
            Self::Refuse => "refuse",
            Self::Note => "note",
            Self::Forward => "forward",
            Self::Notify => "notify",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Relay, Self::OnPage, Self::Refuse, Self::Note, Self::Forward, Self::Notify].into_iter().find(|o| o.as_str() == word)
    }

    /// Whether the other side gets it, by mail or on the page.
    #[must_use]
    pub fn passes(self) -> bool {
        matches!(self, Self::Relay | Self::OnPage)
    }
}

/// Where a message came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    /// From a mail client; a refusal is told in a notice (C0).
    Mail,
    /// API or page; a refusal is the answer.
    Web,
}

impl Channel {
    /// The word in records and the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::Web => "web",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Mail, Self::Web].into_iter().find(|c| c.as_str() == word)
    }
}

/// One rule that ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleRun {
    /// The rule's id as in the product's rules.
    pub rule: &'static str,
    /// Its inputs, in a fixed order.
    pub inputs: Vec<(&'static str, String)>,
    /// What it said.
    pub result: &'static str,
}

/// What the writer can do about a refusal, or is told beside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    /// Text key, also the stable code in records and API.
    pub key: &'static str,
    /// Fields of the text that the rules know.
    pub fields: Vec<(&'static str, String)>,
}

impl Advice {
    pub(crate) fn new(key: &'static str) -> Self {
        Self { key, fields: Vec::new() }
    }
}

/// What a message that passes adds up to, and the bound that must still hold when it is committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Count {
    /// One of the seller's messages of the day; none passes beyond `below`, if any.
    Sent {
        /// The limit.
        below: Option<i64>,
    },
    /// One override of the opt-out by the seller.
    Important {
        /// The limit.
        below: i64,
    },
    /// One of the buyer's messages of the day.
    BuyerSent {
        /// The limit.
        below: i64,
    },
    /// The one automatic message of this side.
    Automatic,
    /// The one use of a reason for its order.
    Once,
}

/// The decision on one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What happens.
    pub outcome: Outcome,
    /// Every rule that ran, in order.
    pub rules: Vec<RuleRun>,
    /// What the writer can do; none if nothing is wrong.
    pub remedy: Option<Advice>,
    /// What else the writer is told.
    pub tell: Vec<Advice>,
    /// What it is counted as.
    pub counts: Vec<Count>,
    /// SHA-256 of the rule set.
    pub rule_set: [u8; 32],
}

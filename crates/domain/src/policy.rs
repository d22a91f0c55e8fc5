//! What becomes of a message: a pure function of facts, with every rule that ran (C13).
//!
//! A decision can be repeated: it names its rule set, and each rule its inputs. The words that people read
//! are made elsewhere from the rule id and the remedy.

use aws_lc_rs::digest::{SHA256, digest};

use crate::alias::{AliasState, Role};
use crate::conversation::Rung;
use crate::message::Author;

/// Name of the rules below; the hash of it stands in every decision (architecture decision 11).
const RULE_SET: &str = "tradepost rules 1: alias state, writer class, other recipients, parts";

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
}

/// What the rules look at.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Who wrote.
    pub author: Author,
    /// Whom the alias reaches.
    pub reaches: Role,
    /// Whether the aliases are open.
    pub alias_state: AliasState,
    /// By which evidence it joined a conversation.
    pub rung: Option<Rung>,
    /// How many addresses other than aliases stand in To and Cc (B3).
    pub other_recipients: usize,
    /// How many parts are taken out because their kind does not pass (C8).
    pub parts_removed: usize,
    /// Whether text and files are all empty.
    pub is_empty: bool,
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

/// The decision on one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// What happens.
    pub outcome: Outcome,
    /// Every rule that ran, in order.
    pub rules: Vec<RuleRun>,
    /// What the writer can do, as a text key; none if nothing is wrong.
    pub remedy: Option<&'static str>,
    /// What else the writer is told, as text keys.
    pub tell: Vec<&'static str>,
    /// SHA-256 of the rule set.
    pub rule_set: [u8; 32],
}

/// Decides one message to one alias.
#[must_use]
pub fn decide(facts: &Facts) -> Decision {
    let mut rules = Vec::new();
    let mut tell = Vec::new();
    let (mut outcome, mut remedy) = writer_class(facts, &mut rules);
    if outcome == Outcome::Relay {
        (outcome, remedy) = alias_state(facts, &mut rules, &mut tell);
    }
    if matches!(outcome, Outcome::Relay | Outcome::OnPage) {
        if facts.other_recipients > 0 {
            tell.push("notice_other_recipients");
        }
        let result = if facts.other_recipients > 0 { "not mailed, writer told" } else { "none" };
        rules.push(RuleRun { rule: "B3", inputs: vec![("other_recipients", facts.other_recipients.to_string())], result });
        let rung = facts.rung.map_or("none", Rung::as_str);
        rules.push(RuleRun {
            rule: "C3",
            inputs: vec![("rung", rung.to_owned())],
            result: if facts.rung.is_some() { "joins" } else { "begins" },
        });
        let result = if facts.parts_removed > 0 { "removed, reader told" } else { "none" };
        rules.push(RuleRun { rule: "C8", inputs: vec![("parts_not_passed", facts.parts_removed.to_string())], result });
        if facts.is_empty {
            rules.push(RuleRun { rule: "C1", inputs: vec![("empty", "true".to_owned())], result: "passes empty" });
        }
    }
    Decision { outcome, rules, remedy, tell, rule_set: rule_set() }
}

/// SHA-256 of the rules in force.
#[must_use]
pub fn rule_set() -> [u8; 32] {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, RULE_SET.as_bytes()).as_ref());
    hash
}

fn writer_class(facts: &Facts, rules: &mut Vec<RuleRun>) -> (Outcome, Option<&'static str>) {
    let inputs = vec![("author", facts.author.as_str().to_owned()), ("alias_reaches", facts.reaches.as_str().to_owned())];
    let (rule, result, outcome, remedy) = match facts.author {
        Author::Party(role) if role == facts.reaches.other() => ("B", "a party writes to the other", Outcome::Relay, None),
        // A party that writes to its own alias would be mailed its own words.
        Author::Party(_) => ("B", "a party writes to its own alias", Outcome::Refuse, Some("remedy_own_alias")),
        Author::ForeignSeller => ("B1", "a seller of no such pair", Outcome::Refuse, Some("remedy_report_violation")),
        Author::MailSystem => ("B", "the mail system", Outcome::Note, None),
        Author::Stranger | Author::Tradepost => ("B", "no party", Outcome::Refuse, Some("remedy_stranger")),
    };
    rules.push(RuleRun { rule, inputs, result });
    (outcome, remedy)
}

fn alias_state(facts: &Facts, rules: &mut Vec<RuleRun>, tell: &mut Vec<&'static str>) -> (Outcome, Option<&'static str>) {
    let inputs = vec![("alias", facts.alias_state.as_str().to_owned()), ("author", facts.author.as_str().to_owned())];
    let (result, outcome, remedy) = match (facts.alias_state, facts.reaches) {
        (AliasState::Open, _) => ("open", Outcome::Relay, None),
        (AliasState::ClosedByBuyer, Role::Buyer) => {
            tell.push("notice_alias_closed");
            ("closed by the buyer: on the page only", Outcome::OnPage, None)
        }
        // The buyer who closed it may still write.
        (AliasState::ClosedByBuyer, Role::Seller) => ("open for the buyer", Outcome::Relay, None),
        (AliasState::Retired, _) => ("retired", Outcome::Refuse, Some("remedy_retired")),
    };
    rules.push(RuleRun { rule: "A6", inputs, result });
    (outcome, remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            author: Author::Party(Role::Seller),
            reaches: Role::Buyer,
            alias_state: AliasState::Open,
            rung: None,
            other_recipients: 0,
            parts_removed: 0,
            is_empty: false,
        }
    }

    #[test]
    fn only_a_party_writing_to_the_other_through_an_open_alias_is_relayed() {
        let authors =
            [Author::Party(Role::Buyer), Author::Party(Role::Seller), Author::ForeignSeller, Author::Stranger, Author::MailSystem];
        for author in authors {
            for reaches in [Role::Buyer, Role::Seller] {
                for alias_state in [AliasState::Open, AliasState::ClosedByBuyer, AliasState::Retired] {
                    let decision = decide(&Facts { author, reaches, alias_state, ..facts() });
                    let party = author == Author::Party(reaches.other());
                    let expected = match (party, alias_state, reaches) {
                        (true, AliasState::Open, _) | (true, AliasState::ClosedByBuyer, Role::Seller) => Outcome::Relay,
                        (true, AliasState::ClosedByBuyer, Role::Buyer) => Outcome::OnPage,
                        _ if author == Author::MailSystem => Outcome::Note,
                        _ => Outcome::Refuse,
                    };
                    assert_eq!(decision.outcome, expected);
                    assert_eq!(decision.remedy.is_some(), expected == Outcome::Refuse, "a refusal names its remedy");
                    assert!(!decision.rules.is_empty());
                }
            }
        }
    }

    #[test]
    fn the_writer_is_told_of_other_recipients() {
        let decision = decide(&Facts { other_recipients: 2, ..facts() });
        assert_eq!(decision.tell, ["notice_other_recipients"]);
    }
}

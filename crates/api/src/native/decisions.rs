//! Decisions as the API shows them: the same object in an answer, a dry run and a problem (C13).

use std::collections::BTreeMap;

use operations::{DryRun, Told};
use serde::Serialize;
use utoipa::ToSchema;

/// A decision: what happens to a message, every rule that ran, what can be done.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DecisionShape {
    /// `relay`, `on_page`, `refuse` or `note`.
    pub(crate) outcome: &'static str,
    /// Who is taken for the author.
    author: &'static str,
    /// By which evidence it joins a conversation: `tag`, `references`, `quotation`, `order_id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    rung: Option<&'static str>,
    /// The shop's id of the order that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<String>,
    /// Every rule that ran, in order.
    pub(crate) rules: Vec<RuleShape>,
    /// What the writer can do about a refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) remedy: Option<ToldShape>,
    /// What the writer is told beside.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<ToldShape>,
    /// SHA-256 of the rule set, in hex.
    rule_set: String,
}

/// A rule that ran.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RuleShape {
    /// Its id in the product's rules, such as `C4`.
    pub(crate) rule: &'static str,
    /// What it looked at.
    inputs: BTreeMap<&'static str, String>,
    /// What it said.
    pub(crate) result: &'static str,
}

/// Advice in the writer's language.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct ToldShape {
    /// Stable code.
    pub(crate) code: &'static str,
    /// In words.
    pub(crate) text: String,
}

impl From<Told> for ToldShape {
    fn from(told: Told) -> Self {
        Self { code: told.code, text: told.text }
    }
}

impl From<DryRun> for DecisionShape {
    fn from(d: DryRun) -> Self {
        let rules = d.decision.rules.into_iter();
        Self {
            outcome: d.decision.outcome.as_str(),
            author: d.author.as_str(),
            rung: d.rung.map(domain::Rung::as_str),
            order: d.order,
            rules: rules.map(|r| RuleShape { rule: r.rule, inputs: r.inputs.into_iter().collect(), result: r.result }).collect(),
            remedy: d.remedy.map(ToldShape::from),
            notes: d.notes.into_iter().map(ToldShape::from).collect(),
            rule_set: d.decision.rule_set.iter().map(|b| format!("{b:02x}")).collect(),
        }
    }
}

//! What the rules look at. The same value decides, is recorded, and is decided again under other rules.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::alias::{AliasState, Role};
use crate::conversation::Rung;
use crate::ledger::Value;
use crate::message::Author;
use crate::order::OrderStatus;
use crate::party::OptOutSource;
use crate::policy::Channel;
use crate::policy::checks::Suspicion;
use crate::policy::reasons::OrderFacts;
use crate::world::Timestamp;

/// Why a file is refused (C8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RefusedFileCause {
    /// Its kind is not in the list.
    Kind,
    /// Name, declared type and content do not agree.
    Disagreement,
    /// It can hold programs.
    Macros,
    /// Locked or encrypted, so that nobody can look into it.
    Encrypted,
    /// Too large, alone or together with the others.
    Size,
    /// Too many.
    Count,
    /// Broken, or made to overwhelm whoever opens it.
    Unreadable,
}

impl RefusedFileCause {
    /// Every cause.
    pub const ALL: [Self; 7] = [Self::Kind, Self::Disagreement, Self::Macros, Self::Encrypted, Self::Size, Self::Count, Self::Unreadable];

    /// The word in records and the API; behind `file_` also the text key.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kind => "kind",
            Self::Disagreement => "disagreement",
            Self::Macros => "macros",
            Self::Encrypted => "encrypted",
            Self::Size => "size",
            Self::Count => "count",
            Self::Unreadable => "unreadable",
        }
    }
}

/// A file that does not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedFile {
    /// Its name as the writer gave it; told to the writer only.
    pub name: String,
    /// Why.
    pub cause: RefusedFileCause,
}

/// What the content says, read under a rule set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ContentFacts {
    /// Whether the subject holds the bracketed word (C5).
    pub important: bool,
    /// Whether a machine wrote it (RFC 3834).
    pub automatic: bool,
    /// How many addresses other than aliases stand in To and Cc (B3).
    pub other_recipients: usize,
    /// How many parts that a mail client adds by itself are taken out (C8).
    pub parts_removed: usize,
    /// Files that do not pass (C8).
    pub refused_files: Vec<RefusedFile>,
    /// Whether the whole text is encrypted (C8).
    pub encrypted: bool,
    /// What a critical message should not be (C14).
    pub suspicions: Vec<Suspicion>,
    /// Whether text and files are all empty.
    pub is_empty: bool,
}

/// What the rules look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Where it came in.
    pub channel: Channel,
    /// Who wrote.
    pub author: Author,
    /// Whom the alias reaches.
    pub reaches: Role,
    /// Whether the aliases are open.
    pub alias_state: AliasState,
    /// Whether the address that it goes to is given up (H6).
    pub undeliverable: bool,
    /// By which evidence it joined a conversation.
    pub rung: Option<Rung>,
    /// Whether a message of the buyer in that conversation is unanswered.
    pub buyer_waits: bool,
    /// The buyer's last message in it.
    pub buyer_wrote_at: Option<Timestamp>,
    /// The buyer's opt-out.
    pub opt_out: Option<OptOutSource>,
    /// The order that it is about (C3b).
    pub order: Option<OrderFacts>,
    /// Its contact reason; `other` by mail (C2).
    pub reason: String,
    /// Whether the reason was used for the order before.
    pub reason_used: bool,
    /// Whether the operator has withdrawn the bracketed word from the seller (C5).
    pub important_withdrawn: bool,
    /// Overrides of the seller today.
    pub important_today: i64,
    /// Messages of the seller today.
    pub sent_today: i64,
    /// Orders of the seller in the window; none where the limit is not in question, so that nobody counted.
    pub orders_in_window: Option<i64>,
    /// When the limits begin anew.
    pub resets_at: Timestamp,
    /// Messages of the buyer in this pair today.
    pub buyer_sent_today: i64,
    /// The last automatic message of this side in the conversation.
    pub automatic_at: Option<Timestamp>,
    /// What the content says.
    pub content: ContentFacts,
}

impl Facts {
    /// As it stands in the record. Names no person and quotes no text: files are counted by cause only.
    #[must_use]
    pub fn value(&self) -> Value {
        let mut o: BTreeMap<&'static str, Value> = BTreeMap::from([
            ("alias", self.alias_state.as_str().into()),
            ("author", self.author.as_str().into()),
            ("channel", self.channel.as_str().into()),
            ("reaches", self.reaches.as_str().into()),
            ("reason", self.reason.as_str().into()),
            ("resets_at", self.resets_at.0.into()),
            ("sent_today", self.sent_today.into()),
        ]);
        let flags = [
            ("buyer_waits", self.buyer_waits),
            ("undeliverable", self.undeliverable),
            ("important", self.content.important),
            ("important_withdrawn", self.important_withdrawn),
            ("reason_used", self.reason_used),
            ("automatic", self.content.automatic),
            ("encrypted", self.content.encrypted),
            ("empty", self.content.is_empty),
        ];
        o.extend(flags.into_iter().filter(|(_, set)| *set).map(|(name, _)| (name, true.into())));
        let counts = [
            ("important_today", self.important_today),
            ("buyer_sent_today", self.buyer_sent_today),
            ("other_recipients", number(self.content.other_recipients)),
            ("parts_removed", number(self.content.parts_removed)),
        ];
        o.extend(counts.into_iter().filter(|(_, n)| *n != 0).map(|(name, n)| (name, n.into())));
        let at = |t: Option<Timestamp>| t.map(|t| Value::from(t.0));
        let order = self.order.as_ref().map(|order| {
            let mut value = BTreeMap::from([
                ("categories", Value::List(order.categories.iter().map(|c| c.as_str().into()).collect())),
                ("customizable", order.customizable.into()),
                ("status", order.status.as_str().into()),
            ]);
            value.extend(at(order.delivered_at).map(|t| ("delivered_at", t)));
            Value::Object(value)
        });
        let optional = [
            ("rung", self.rung.map(|r| r.as_str().into())),
            ("buyer_wrote_at", at(self.buyer_wrote_at)),
            ("opt_out", self.opt_out.map(|s| s.as_str().into())),
            ("orders_in_window", self.orders_in_window.map(Value::from)),
            ("automatic_at", at(self.automatic_at)),
            ("order", order),
            ("refused_files", list(self.content.refused_files.iter().map(|f| f.cause.as_str()))),
            ("suspicions", list(self.content.suspicions.iter().map(|s| s.as_str()))),
        ];
        o.extend(optional.into_iter().filter_map(|(name, value)| value.map(|v| (name, v))));
        Value::Object(o)
    }

    /// Reads what [`Facts::value`] wrote; `None` if it is none of it. File names are gone.
    #[must_use]
    pub fn read(value: &Json) -> Option<Self> {
        let text = |name: &str| value[name].as_str();
        let number = |name: &str| value[name].as_i64().unwrap_or(0);
        let size = |name: &str| usize::try_from(number(name)).unwrap_or(0);
        let at = |name: &str| value[name].as_i64().map(Timestamp);
        let flag = |name: &str| value[name].as_bool().unwrap_or(false);
        let files = words(&value["refused_files"]).filter_map(|word| {
            let cause = RefusedFileCause::ALL.into_iter().find(|c| c.as_str() == word)?;
            Some(RefusedFile { name: String::new(), cause })
        });
        Some(Self {
            channel: Channel::parse(text("channel")?)?,
            author: Author::parse(text("author")?)?,
            reaches: Role::parse(text("reaches")?)?,
            alias_state: AliasState::parse(text("alias")?)?,
            undeliverable: flag("undeliverable"),
            rung: text("rung").and_then(Rung::parse),
            buyer_waits: flag("buyer_waits"),
            buyer_wrote_at: at("buyer_wrote_at"),
            opt_out: text("opt_out").and_then(OptOutSource::parse),
            order: match &value["order"] {
                Json::Null => None,
                order => Some(OrderFacts {
                    status: OrderStatus::parse(order["status"].as_str()?)?,
                    categories: words(&order["categories"]).map(str::to_owned).collect(),
                    customizable: order["customizable"].as_bool()?,
                    delivered_at: order["delivered_at"].as_i64().map(Timestamp),
                }),
            },
            reason: text("reason")?.to_owned(),
            reason_used: flag("reason_used"),
            important_withdrawn: flag("important_withdrawn"),
            important_today: number("important_today"),
            sent_today: number("sent_today"),
            orders_in_window: value["orders_in_window"].as_i64(),
            resets_at: at("resets_at").unwrap_or_default(),
            buyer_sent_today: number("buyer_sent_today"),
            automatic_at: at("automatic_at"),
            content: ContentFacts {
                important: flag("important"),
                automatic: flag("automatic"),
                other_recipients: size("other_recipients"),
                parts_removed: size("parts_removed"),
                refused_files: files.collect(),
                encrypted: flag("encrypted"),
                suspicions: words(&value["suspicions"]).filter_map(Suspicion::parse).collect(),
                is_empty: flag("empty"),
            },
        })
    }
}

fn words(value: &Json) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().filter_map(Json::as_str)
}

fn number(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn list<'a>(words: impl Iterator<Item = &'a str>) -> Option<Value> {
    let words: Vec<Value> = words.map(Value::from).collect();
    (!words.is_empty()).then_some(Value::List(words))
}

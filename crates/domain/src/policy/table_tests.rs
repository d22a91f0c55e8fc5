//! The interplay of the rules: every combination against the product's sentences, and the table in the docs.

use crate::alias::{AliasState, Role};
use crate::conversation::Rung;
use crate::message::Author;
use crate::order::OrderStatus;
use crate::party::OptOutSource;
use crate::policy::*;
use crate::world::Timestamp;

const DAY: i64 = 86_400_000_000;
const NOW: Timestamp = Timestamp(1_000 * DAY);

/// What evidence there is that a seller's message answers the buyer.
#[derive(Clone, Copy, PartialEq)]
struct Evidence {
    name: &'static str,
    rung: Option<Rung>,
    buyer_waits: bool,
    buyer_wrote_days_ago: Option<i64>,
    is_reply: bool,
}

const EVIDENCE: [Evidence; 8] = [
    Evidence { name: "none", rung: None, buyer_waits: false, buyer_wrote_days_ago: None, is_reply: false },
    Evidence { name: "order id, buyer waits", rung: Some(Rung::OrderId), buyer_waits: true, buyer_wrote_days_ago: Some(1), is_reply: true },
    Evidence {
        name: "order id, buyer was answered",
        rung: Some(Rung::OrderId),
        buyer_waits: false,
        buyer_wrote_days_ago: Some(1),
        is_reply: false,
    },
    Evidence {
        name: "tag, buyer waits for 200 days",
        rung: Some(Rung::Tag),
        buyer_waits: true,
        buyer_wrote_days_ago: Some(200),
        is_reply: true,
    },
    Evidence {
        name: "tag, answered, within 90 days",
        rung: Some(Rung::Tag),
        buyer_waits: false,
        buyer_wrote_days_ago: Some(90),
        is_reply: true,
    },
    Evidence {
        name: "References, answered, within 90 days",
        rung: Some(Rung::References),
        buyer_waits: false,
        buyer_wrote_days_ago: Some(30),
        is_reply: true,
    },
    Evidence {
        name: "tag, answered, on day 91",
        rung: Some(Rung::Tag),
        buyer_waits: false,
        buyer_wrote_days_ago: Some(91),
        is_reply: false,
    },
    Evidence { name: "tag, buyer never wrote", rung: Some(Rung::Tag), buyer_waits: false, buyer_wrote_days_ago: None, is_reply: false },
];

/// How a seller writes.
const WAYS: [(&str, Channel, &str, bool); 4] = [
    ("mail", Channel::Mail, "other", false),
    ("mail with the bracketed word", Channel::Mail, "other", true),
    ("web, reason other", Channel::Web, "other", false),
    ("web, critical reason", Channel::Web, "unexpected_problem", false),
];

fn facts() -> Facts {
    Facts {
        channel: Channel::Mail,
        author: Author::Party(Role::Seller),
        reaches: Role::Buyer,
        alias_state: AliasState::Open,
        undeliverable: false,
        rung: None,
        buyer_waits: false,
        buyer_wrote_at: None,
        opt_out: None,
        order: Some(OrderFacts { status: OrderStatus::Shipped, categories: vec![], customizable: false, delivered_at: None }),
        reason: "other".into(),
        reason_used: false,
        important_withdrawn: false,
        important_today: 0,
        sent_today: 0,
        orders_in_window: Some(1_200),
        resets_at: Timestamp(NOW.0 + DAY),
        buyer_sent_today: 0,
        automatic_at: None,
        content: ContentFacts::default(),
    }
}

fn seller(evidence: Evidence, way: usize, exempt: bool, opted_out: bool, over_quota: bool) -> Facts {
    let (_, channel, reason, important) = WAYS[way];
    let mut f = facts();
    (f.channel, f.reason, f.content.important) = (channel, reason.to_owned(), important);
    f.rung = evidence.rung;
    f.buyer_waits = evidence.buyer_waits;
    f.buyer_wrote_at = evidence.buyer_wrote_days_ago.map(|days| Timestamp(NOW.0 - days * DAY));
    f.opt_out = opted_out.then_some(OptOutSource::Buyer);
    f.sent_today = if over_quota { 800 } else { 799 };
    if exempt {
        f.order.as_mut().unwrap().categories = vec!["custom".into()];
    }
    f
}

fn combinations() -> impl Iterator<Item = (Evidence, usize, bool, bool, bool)> {
    let flags = [false, true];
    EVIDENCE.into_iter().flat_map(move |e| {
        (0..WAYS.len()).flat_map(move |w| {
            flags
                .into_iter()
                .flat_map(move |exempt| flags.into_iter().flat_map(move |out| flags.into_iter().map(move |over| (e, w, exempt, out, over))))
        })
    })
}

#[test]
fn every_combination_is_what_the_product_says() {
    let rules = RuleSet::embedded();
    let mut seen = 0;
    for (evidence, way, exempt, opted_out, over_quota) in combinations() {
        let decision = decide(&seller(evidence, way, exempt, opted_out, over_quota), &rules, NOW);
        let (_, _, reason, important) = WAYS[way];
        let critical = reason != "other";
        // C4: the opt-out stops what is unsolicited, and C5 lets it pass; C7: neither replies nor critical
        // reasons are stopped by the limit, the bracketed word is.
        let solicited = evidence.is_reply || critical || exempt;
        let expected = if opted_out && !solicited && !important {
            Some("remedy_opt_out")
        } else if over_quota && !evidence.is_reply && !critical {
            Some("remedy_daily_limit")
        } else {
            None
        };
        assert_eq!(
            decision.remedy.as_ref().map(|a| a.key),
            expected,
            "{} {} {exempt} {opted_out} {over_quota}",
            evidence.name,
            WAYS[way].0
        );
        assert_eq!(decision.outcome == Outcome::Relay, expected.is_none());
        assert_eq!(decision.counts.is_empty(), expected.is_some(), "blocked ones do not count");
        let overridden = decision.counts.iter().any(|c| matches!(c, Count::Important { .. }));
        assert_eq!(overridden, opted_out && !solicited && important && expected.is_none(), "only a needed override is one");
        seen += 1;
    }
    assert_eq!(seen, 256);
}

#[test]
fn only_a_party_writing_to_the_other_through_an_open_alias_is_relayed() {
    let authors = [Author::Party(Role::Buyer), Author::Party(Role::Seller), Author::ForeignSeller, Author::Stranger, Author::MailSystem];
    for author in authors {
        for reaches in [Role::Buyer, Role::Seller] {
            for alias_state in [AliasState::Open, AliasState::ClosedByBuyer, AliasState::Retired] {
                let decision = decide(&Facts { author, reaches, alias_state, ..facts() }, &RuleSet::embedded(), NOW);
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
fn the_arithmetic_of_the_daily_limit_is_told() {
    let over = Facts { sent_today: 800, ..facts() };
    let remedy = decide(&over, &RuleSet::embedded(), NOW).remedy.unwrap();
    let field = |name: &str| remedy.fields.iter().find(|(n, _)| *n == name).unwrap().1.clone();
    assert_eq!([field("factor"), field("average"), field("base"), field("limit")], ["5", "40", "600", "800"]);
    // Rounded up: 5 × 7 ÷ 30 = 1.17.
    let few = Facts { sent_today: 602, orders_in_window: Some(7), ..facts() };
    assert_eq!(decide(&few, &RuleSet::embedded(), NOW).remedy.unwrap().fields[1].1, "0.23");
    assert!(decide(&Facts { sent_today: 601, ..few }, &RuleSet::embedded(), NOW).remedy.is_none());
    let huge = Facts { sent_today: i64::MAX, orders_in_window: Some(i64::MAX), ..facts() };
    assert!(decide(&huge, &RuleSet::embedded(), NOW).remedy.is_some());
}

#[test]
fn the_bracketed_word_has_a_daily_number_and_can_be_withdrawn() {
    let rules = RuleSet::embedded();
    let f =
        |today, withdrawn| Facts { important_today: today, important_withdrawn: withdrawn, ..seller(EVIDENCE[0], 1, false, true, false) };
    let key = |f: &Facts, rules: &RuleSet| decide(f, rules, NOW).remedy.map(|a| a.key);
    // 5 % of 800.
    assert_eq!(key(&f(39, false), &rules), None);
    assert_eq!(key(&f(40, false), &rules), Some("remedy_important_limit"));
    assert_eq!(key(&f(0, true), &rules), Some("remedy_important_withdrawn"));
    let ignore = RuleSet::parse("[important]\nmode = \"ignore\"\n").unwrap();
    assert_eq!(key(&f(0, false), &ignore), Some("remedy_opt_out_plain"), "a way out that is none is not named");
}

#[test]
fn machines_are_never_answered_and_pass_once() {
    let rules = RuleSet::embedded();
    let mut f = facts();
    f.content.automatic = true;
    f.content.other_recipients = 1;
    let first = decide(&f, &rules, NOW);
    assert_eq!((first.outcome, first.counts, first.tell.len()), (Outcome::Relay, vec![Count::Automatic], 0));
    f.automatic_at = Some(Timestamp(NOW.0 - 7 * DAY + 1));
    assert_eq!(decide(&f, &rules, NOW).outcome, Outcome::Note);
    f.automatic_at = Some(Timestamp(NOW.0 - 7 * DAY));
    assert_eq!(decide(&f, &rules, NOW).outcome, Outcome::Relay);
    f.opt_out = Some(OptOutSource::Buyer);
    let stopped = decide(&f, &rules, NOW);
    assert_eq!((stopped.outcome, stopped.remedy), (Outcome::Note, None), "a refusal is not told to a machine");
}

#[test]
fn suspicious_critical_messages_are_warned_of_or_blocked() {
    let mut f = seller(EVIDENCE[0], 3, false, true, false);
    f.content.suspicions = vec![Suspicion::Review, Suspicion::Unavailable];
    let warned = decide(&f, &RuleSet::embedded(), NOW);
    assert_eq!((warned.outcome, warned.tell[0].key), (Outcome::Relay, "notice_content"));
    assert_eq!(warned.tell[0].fields[0].1, "unavailable");
    let block = RuleSet::parse("[checks]\nmode = \"block\"\n").unwrap();
    assert_eq!(decide(&f, &block, NOW).remedy.unwrap().key, "remedy_content");
    // What is not critical may ask for whatever the reason allows.
    f.reason = "other".into();
    f.opt_out = None;
    assert!(decide(&f, &block, NOW).remedy.is_none());
}

#[test]
fn a_buyer_is_limited_per_pair_and_day() {
    let f = |sent| Facts { author: Author::Party(Role::Buyer), reaches: Role::Seller, buyer_sent_today: sent, ..facts() };
    assert!(decide(&f(49), &RuleSet::embedded(), NOW).remedy.is_none());
    assert_eq!(decide(&f(50), &RuleSet::embedded(), NOW).remedy.unwrap().key, "remedy_buyer_limit");
}

#[test]
fn recorded_facts_read_back_and_decide_the_same() {
    let rules = RuleSet::embedded();
    for (evidence, way, exempt, opted_out, over_quota) in combinations() {
        let mut f = seller(evidence, way, exempt, opted_out, over_quota);
        f.content.refused_files =
            if way == 0 { vec![RefusedFile { name: String::new(), cause: RefusedFileCause::Macros }] } else { vec![] };
        f.content.suspicions = vec![Suspicion::Review];
        f.order.as_mut().unwrap().delivered_at = over_quota.then_some(Timestamp(5));
        let json: serde_json::Value = serde_json::from_str(&f.value().canonical()).unwrap();
        let back = Facts::read(&json).unwrap();
        assert_eq!(back, f);
        assert_eq!(decide(&back, &rules, NOW), decide(&f, &rules, NOW));
    }
}

/// `docs/decisions.md` is what the code does; set UPDATE_GOLDEN to write it, then read the difference.
#[test]
fn the_table_in_the_docs_is_what_the_code_does() {
    let rules = RuleSet::embedded();
    let mut rows = String::new();
    for opted_out in [false, true] {
        rows.push_str(if opted_out { "\n## The buyer opted out\n\n" } else { "## The buyer did not opt out\n\n" });
        rows.push_str(
            "| evidence of a reply | sent by | exempt category | within the daily limit | limit used up |\n|---|---|---|---|---|\n",
        );
        for evidence in EVIDENCE {
            for (way, (sent_by, ..)) in WAYS.iter().enumerate() {
                for exempt in [false, true] {
                    let said = |over| {
                        let d = decide(&seller(evidence, way, exempt, opted_out, over), &rules, NOW);
                        let overridden = d.counts.iter().any(|c| matches!(c, Count::Important { .. }));
                        match d.remedy {
                            Some(advice) => format!("refused: `{}`", advice.key),
                            None if overridden => "passes as an override".to_owned(),
                            None => "passes".to_owned(),
                        }
                    };
                    let exempt_word = if exempt { "yes" } else { "no" };
                    rows.push_str(&format!("| {} | {} | {exempt_word} | {} | {} |\n", evidence.name, sent_by, said(false), said(true)));
                }
            }
        }
    }
    let text = format!(
        "# What becomes of a seller's message\n\nGenerated from the code by a test of `domain::policy`: this table is what the embedded rules do. The order is shipped,\nthe seller has 40 orders a day, so the limit is 800.\n\n{rows}"
    );
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/decisions.md");
    #[allow(clippy::disallowed_methods)] // A switch of the developer's.
    if std::env::var("UPDATE_GOLDEN").is_ok() {
        std::fs::write(&path, &text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(&path).unwrap_or_default(), "docs/decisions.md");
}

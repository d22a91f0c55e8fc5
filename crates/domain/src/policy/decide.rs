//! The rules, one after another. The first that refuses ends the run; what is told beside is collected.

use std::time::Duration;

use crate::alias::{AliasState, Role};
use crate::conversation::Rung;
use crate::message::Author;
use crate::policy::facts::{Facts, RefusedFileCause};
use crate::policy::rules::{CheckMode, ImportantMode, RuleSet};
use crate::policy::{Advice, Channel, Count, Decision, Outcome, RuleRun};
use crate::world::Timestamp;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Decides one message to one alias.
#[must_use]
pub fn decide(facts: &Facts, rules: &RuleSet, now: Timestamp) -> Decision {
    let mut run = Run { facts, rules, now, ran: Vec::new(), tell: Vec::new(), counts: Vec::new(), overridden: false };
    let (mut outcome, mut remedy) = match run.all() {
        Ok(outcome) => (outcome, None),
        Err(advice) => (Outcome::Refuse, Some(advice)),
    };
    let Run { ran, mut tell, mut counts, .. } = run;
    // RFC 3834, section 2: a machine is never answered, so what would be refused is only noted.
    if facts.content.automatic && outcome == Outcome::Refuse && facts.author != Author::Stranger {
        (outcome, remedy) = (Outcome::Note, None);
    }
    if !outcome.passes() {
        counts.clear();
    }
    if facts.content.automatic || outcome == Outcome::Note {
        tell.clear();
    }
    Decision { outcome, rules: ran, remedy, tell, counts, rule_set: rules.hash }
}

struct Run<'a> {
    facts: &'a Facts,
    rules: &'a RuleSet,
    now: Timestamp,
    ran: Vec<RuleRun>,
    tell: Vec<Advice>,
    counts: Vec<Count>,
    /// Whether the bracketed word let it pass.
    overridden: bool,
}

type Passed = Result<(), Advice>;

impl Run<'_> {
    fn all(&mut self) -> Result<Outcome, Advice> {
        if self.writer_class()? == Outcome::Note {
            return Ok(Outcome::Note);
        }
        let outcome = self.alias_state()?;
        let outcome = self.reachable(outcome);
        if self.automatic_budget() == Outcome::Note {
            return Ok(Outcome::Note);
        }
        self.conversation();
        self.reason()?;
        self.opt_out()?;
        self.attachments()?;
        self.content_checks()?;
        self.limits()?;
        self.other_recipients();
        Ok(outcome)
    }

    fn note(&mut self, rule: &'static str, inputs: Vec<(&'static str, String)>, result: &'static str) {
        self.ran.push(RuleRun { rule, inputs, result });
    }

    fn writes(&self, role: Role) -> bool {
        self.facts.author == Author::Party(role)
    }

    /// B, B1: only a party writes, and only to the other.
    fn writer_class(&mut self) -> Result<Outcome, Advice> {
        let f = self.facts;
        let inputs = vec![("author", f.author.as_str().to_owned()), ("alias_reaches", f.reaches.as_str().to_owned())];
        let (rule, result, outcome) = match f.author {
            Author::Party(role) if role == f.reaches.other() => ("B", "a party writes to the other", Ok(Outcome::Relay)),
            // A party that writes to its own alias would be mailed its own words.
            Author::Party(_) => ("B", "a party writes to its own alias", Err(Advice::new("remedy_own_alias"))),
            // Whoever is not told apart from a stranger was one: only a carrier with a parcel on its way is named so.
            Author::Carrier => ("B", "a carrier with a parcel of this pair", Ok(Outcome::Relay)),
            Author::ForeignSeller => ("B1", "a seller of no such pair", Err(Advice::new("remedy_report_violation"))),
            Author::MailSystem => ("B", "the mail system", Ok(Outcome::Note)),
            Author::Stranger | Author::Tradepost => ("B", "no party", Err(Advice::new("remedy_stranger"))),
        };
        self.note(rule, inputs, result);
        outcome
    }

    /// A6.
    fn alias_state(&mut self) -> Result<Outcome, Advice> {
        let f = self.facts;
        let (result, outcome) = match (f.alias_state, f.reaches) {
            (AliasState::Open, _) => ("open", Ok(Outcome::Relay)),
            (AliasState::ClosedByBuyer, Role::Buyer) if self.is_critical() => ("closed by the buyer: critical, mailed", Ok(Outcome::Relay)),
            (AliasState::ClosedByBuyer, Role::Buyer) => {
                self.tell.push(Advice::new("notice_alias_closed"));
                ("closed by the buyer: on the page only", Ok(Outcome::OnPage))
            }
            // The buyer who closed it may still write.
            (AliasState::ClosedByBuyer, Role::Seller) => ("open for the buyer", Ok(Outcome::Relay)),
            (AliasState::Retired, _) => ("retired", Err(Advice::new("remedy_retired"))),
        };
        self.note("A6", vec![("alias", f.alias_state.as_str().to_owned()), ("author", f.author.as_str().to_owned())], result);
        outcome
    }

    /// H6: an address that refused again and again is written to no more; what is for it stands on the page.
    fn reachable(&mut self, outcome: Outcome) -> Outcome {
        let f = self.facts;
        if !f.undeliverable {
            return outcome;
        }
        self.note("H6", vec![("reaches", f.reaches.as_str().to_owned())], "undeliverable: on the page only");
        if f.reaches == Role::Buyer {
            self.tell.push(Advice::new("notice_undeliverable_buyer"));
        }
        Outcome::OnPage
    }

    /// C11: one automatic message of each side in a conversation and week, for ever and ever.
    fn automatic_budget(&mut self) -> Outcome {
        let f = self.facts;
        // A carrier's notices are a machine's, and have a bound of their own: so many an order.
        if !f.content.automatic || f.author == Author::Carrier {
            return Outcome::Relay;
        }
        let wait = DAY * self.rules.automatic_days;
        let used = f.automatic_at.is_some_and(|at| self.now.since(at) < wait);
        let result = if used { "automatic, budget used: noted" } else { "automatic, within budget" };
        let inputs = vec![("automatic_days", self.rules.automatic_days.to_string()), ("used", used.to_string())];
        self.note("C11", inputs, result);
        if used {
            return Outcome::Note;
        }
        self.counts.push(Count::Automatic);
        Outcome::Relay
    }

    /// C3.
    fn conversation(&mut self) {
        let rung = self.facts.rung;
        let inputs = vec![("rung", rung.map_or("none", Rung::as_str).to_owned())];
        self.note("C3", inputs, if rung.is_some() { "joins" } else { "begins" });
    }

    fn is_critical(&self) -> bool {
        self.rules.reason(&self.facts.reason).is_some_and(|r| r.critical)
    }

    /// C2, D1: the reason must be offered for the order.
    fn reason(&mut self) -> Passed {
        let f = self.facts;
        if f.channel == Channel::Mail || !self.writes(Role::Seller) {
            return Ok(());
        }
        let Some(reason) = self.rules.reason(&f.reason) else {
            self.note("D1", vec![("reason", f.reason.clone())], "no such reason");
            return Err(Advice::new("remedy_unknown_reason"));
        };
        let unavailable = reason.offered(f.order.as_ref(), f.reason_used, self.now).err();
        let status = f.order.as_ref().map_or("none", |o| o.status.as_str());
        let inputs = vec![("reason", f.reason.clone()), ("order_status", status.to_owned()), ("critical", reason.critical.to_string())];
        self.note("D1", inputs, unavailable.map_or("offered", |u| u.as_str()));
        if let Some(unavailable) = unavailable {
            return Err(Advice {
                key: "remedy_reason",
                fields: vec![("reason", f.reason.clone()), ("why", unavailable.as_str().to_owned())],
            });
        }
        if reason.once_per_order {
            self.counts.push(Count::Once);
        }
        Ok(())
    }

    /// C3: a reply passes the opt-out while the buyer waits, or by strong evidence within the window.
    fn is_reply(&self) -> bool {
        let f = self.facts;
        let window = DAY * self.rules.reply_window_days;
        let strong = matches!(f.rung, Some(Rung::Tag | Rung::References | Rung::Quotation));
        // Time zero counts from the buyer's message: an instant beyond the last one of the window is too late.
        let recent = f.buyer_wrote_at.is_some_and(|at| self.now.since(at) <= window);
        f.rung.is_some() && (f.buyer_waits || (strong && recent))
    }

    /// C4, C5.
    fn opt_out(&mut self) -> Passed {
        let f = self.facts;
        if !self.writes(Role::Seller) {
            return Ok(());
        }
        let Some(source) = f.opt_out else {
            self.note("C4", vec![("opt_out", "none".to_owned())], "no opt-out");
            return Ok(());
        };
        let exempt = f.order.as_ref().and_then(|o| o.categories.iter().find(|c| self.rules.exempt_categories.contains(c)));
        let inputs = vec![
            ("opt_out", source.as_str().to_owned()),
            ("reply", self.is_reply().to_string()),
            ("buyer_waits", f.buyer_waits.to_string()),
            ("reason", f.reason.clone()),
            ("critical", self.is_critical().to_string()),
            ("exempt_category", exempt.cloned().unwrap_or_else(|| "none".to_owned())),
        ];
        let passes = if self.is_reply() {
            Some("a reply")
        } else if self.is_critical() {
            Some("a critical reason")
        } else if exempt.is_some() {
            Some("an exempt category")
        } else {
            None
        };
        self.note("C4", inputs, passes.unwrap_or("stopped"));
        if passes.is_some() { Ok(()) } else { self.bracketed_word() }
    }

    /// C5: the last way past the opt-out by mail.
    fn bracketed_word(&mut self) -> Passed {
        let f = self.facts;
        let limit = self.important_limit();
        let inputs = vec![
            ("bracketed_word", f.content.important.to_string()),
            ("withdrawn", f.important_withdrawn.to_string()),
            ("used_today", f.important_today.to_string()),
            ("per_day", limit.to_string()),
        ];
        let (result, passed) = match self.rules.important {
            _ if f.channel != Channel::Mail || !f.content.important => ("not used", Err(Advice::new(self.opt_out_remedy()))),
            ImportantMode::Ignore => ("ignored here", Err(Advice::new("remedy_opt_out_plain"))),
            ImportantMode::Honour => {
                self.overridden = true;
                ("override, not audited", Ok(()))
            }
            _ if f.important_withdrawn => ("withdrawn", Err(Advice::new("remedy_important_withdrawn"))),
            _ if f.important_today >= limit => {
                let fields = vec![("limit", limit.to_string())];
                ("beyond the day's number", Err(Advice { key: "remedy_important_limit", fields }))
            }
            _ => {
                self.counts.push(Count::Important { below: limit });
                self.overridden = true;
                ("override", Ok(()))
            }
        };
        self.note("C5", inputs, result);
        passed
    }

    fn opt_out_remedy(&self) -> &'static str {
        if self.rules.important == ImportantMode::Ignore || self.facts.important_withdrawn {
            "remedy_opt_out_plain"
        } else {
            "remedy_opt_out"
        }
    }

    fn important_limit(&self) -> i64 {
        let share = self.daily_limit(self.facts.orders_in_window.unwrap_or(0)) * self.rules.important_percent / 100;
        share.max(self.rules.important_at_least)
    }

    fn daily_limit(&self, orders: i64) -> i64 {
        let window = i64::from(self.rules.window_days);
        // Rounded up: ceil(a / b) for a ≥ 0.
        let of_orders = (self.rules.orders_factor * orders.clamp(0, 1_000_000_000) + window - 1) / window;
        of_orders + self.rules.base
    }

    /// C8.
    fn attachments(&mut self) -> Passed {
        let c = &self.facts.content;
        let causes: Vec<&str> = c.refused_files.iter().map(|f| f.cause.as_str()).collect();
        let inputs = vec![
            ("parts_removed", c.parts_removed.to_string()),
            ("refused", if causes.is_empty() { "none".to_owned() } else { causes.join(",") }),
            ("encrypted", c.encrypted.to_string()),
        ];
        let locked = c.encrypted || c.refused_files.iter().any(|f| f.cause == RefusedFileCause::Encrypted);
        let (result, passed) = match (c.encrypted, c.refused_files.is_empty()) {
            (true, _) => ("encrypted", Err(Advice::new("remedy_encrypted"))),
            (false, false) => ("refused", Err(Advice::new(if locked { "remedy_locked_file" } else { "remedy_attachments" }))),
            (false, true) if c.parts_removed > 0 => ("passes; parts removed, reader told", Ok(())),
            (false, true) => ("passes", Ok(())),
        };
        self.note("C8", inputs, result);
        passed
    }

    /// C14: a critical message that reads like one that never is.
    fn content_checks(&mut self) -> Passed {
        let f = self.facts;
        let critical_path = self.overridden || (self.is_critical() && f.channel == Channel::Web);
        if !self.writes(Role::Seller) || !critical_path || self.rules.checks == CheckMode::Off {
            return Ok(());
        }
        let suspicions: Vec<&str> = f.content.suspicions.iter().map(|s| s.as_str()).collect();
        let inputs = vec![("reads_like", if suspicions.is_empty() { "none".to_owned() } else { suspicions.join(",") })];
        if suspicions.is_empty() {
            self.note("C14", inputs, "passes");
            return Ok(());
        }
        // The one that costs the buyer most decides the words: an order that cannot be kept is cancelled.
        let fields = vec![("suspicion", suspicions.last().copied().unwrap_or_default().to_owned())];
        if self.rules.checks == CheckMode::Block {
            self.note("C14", inputs, "refused");
            return Err(Advice { key: "remedy_content", fields });
        }
        self.note("C14", inputs, "passes with a warning");
        self.tell.push(Advice { key: "notice_content", fields });
        Ok(())
    }

    /// C7 for sellers, C14 for buyers. What a machine wrote is budgeted elsewhere.
    fn limits(&mut self) -> Passed {
        if self.facts.content.automatic || self.facts.author == Author::Carrier {
            return Ok(());
        }
        if self.writes(Role::Seller) { self.seller_limit() } else { self.buyer_limit() }
    }

    fn seller_limit(&mut self) -> Passed {
        let f = self.facts;
        let free = self.is_reply() || (self.is_critical() && f.channel == Channel::Web);
        let orders = f.orders_in_window;
        let limit = self.daily_limit(orders.unwrap_or(0));
        let inputs = vec![
            ("sent_today", f.sent_today.to_string()),
            ("orders_in_window", orders.map_or_else(|| "not counted".to_owned(), |n| n.to_string())),
            ("at_least", limit.to_string()),
            ("never_stopped", free.to_string()),
        ];
        if !free && f.sent_today >= limit {
            self.note("C7", inputs, "over the limit");
            let fields = vec![
                ("factor", self.rules.orders_factor.to_string()),
                ("average", average(orders.unwrap_or(0), self.rules.window_days)),
                ("base", self.rules.base.to_string()),
                ("limit", limit.to_string()),
                ("window", self.rules.window_days.to_string()),
            ];
            return Err(Advice { key: "remedy_daily_limit", fields });
        }
        self.note("C7", inputs, if free { "counts, is not stopped" } else { "within the limit" });
        // Where orders were not counted, the base is the bound: two at once then count them.
        self.counts.push(Count::Sent { below: (!free).then_some(limit) });
        Ok(())
    }

    fn buyer_limit(&mut self) -> Passed {
        let (sent, limit) = (self.facts.buyer_sent_today, self.rules.buyer_per_day);
        let inputs = vec![("sent_today", sent.to_string()), ("per_day", limit.to_string())];
        if sent >= limit {
            self.note("C14", inputs, "over the limit");
            return Err(Advice { key: "remedy_buyer_limit", fields: vec![("limit", limit.to_string())] });
        }
        self.note("C14", inputs, "within the limit");
        self.counts.push(Count::BuyerSent { below: limit });
        Ok(())
    }

    /// B3.
    fn other_recipients(&mut self) {
        let others = self.facts.content.other_recipients;
        if others > 0 {
            self.tell.push(Advice::new("notice_other_recipients"));
        }
        let result = if others > 0 { "not mailed, writer told" } else { "none" };
        self.note("B3", vec![("other_recipients", others.to_string())], result);
    }
}

/// Whether a message that passes was not asked for by its reader, so that it carries a way to end such mail (H6).
#[must_use]
pub fn is_unsolicited(facts: &Facts, rules: &RuleSet, now: Timestamp) -> bool {
    let run = Run { facts, rules, now, ran: Vec::new(), tell: Vec::new(), counts: Vec::new(), overridden: false };
    run.writes(Role::Seller) && facts.reaches == Role::Buyer && !facts.content.automatic && !run.is_reply() && !run.is_critical()
}

/// Orders a day, with the decimals that the arithmetic needs and no more.
fn average(orders: i64, window_days: u32) -> String {
    let hundredths = orders.clamp(0, 1_000_000_000) * 100 / i64::from(window_days);
    let (whole, rest) = (hundredths / 100, hundredths % 100);
    if rest == 0 { whole.to_string() } else { format!("{whole}.{rest:02}").trim_end_matches('0').to_owned() }
}

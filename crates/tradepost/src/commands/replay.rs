//! `tradepost replay`: past traffic under changed rules, and what would differ (C13, H3).

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use domain::Timestamp;
use domain::calendar::Calendar;
use operations::{Context, Marketplace, Replayed, replay};
use serde_json::{Value, json};

use crate::commands::ConfigArgument;
use crate::system::say;
use crate::{app, config};

/// Differences that are listed one by one; the counts hold all of them.
const LISTED: usize = 1_000;

/// Which rules, since when.
#[derive(clap::Args)]
pub(crate) struct ReplayArguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// Rules file to try; the rules in force when absent.
    #[arg(long, value_name = "FILE.toml")]
    rules: Option<PathBuf>,
    /// First day (`2026-11-01`, on the marketplace's calendar) or instant (RFC 3339).
    #[arg(long, value_name = "DATE")]
    since: String,
    /// Only this marketplace; all when absent.
    #[arg(long)]
    marketplace: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What a replay found.
#[derive(Default)]
struct Found {
    read: u64,
    erased: u64,
    differ: u64,
    /// From the old outcome and remedy to the new ones.
    changes: BTreeMap<(String, String), u64>,
    listed: Vec<Replayed>,
}

pub(crate) async fn run(arguments: ReplayArguments) -> anyhow::Result<()> {
    let config = config::load(&arguments.config.config)?;
    let ctx = app::offline(&config).await?;
    let tried = arguments.rules.as_deref().map(|path| app::rules(Some(path), "--rules").map(Arc::new)).transpose()?;
    let wanted = |m: &&Marketplace| arguments.marketplace.as_deref().is_none_or(|name| m.id.as_str() == name);
    let marketplaces: Vec<&Marketplace> = ctx.settings.marketplaces.iter().filter(wanted).collect();
    if marketplaces.is_empty() {
        bail!("--marketplace: none of that id is configured");
    }
    let mut found = Found::default();
    for marketplace in marketplaces {
        let since = since(&arguments.since, &marketplace.calendar)?;
        let rules = tried.as_ref().unwrap_or(&marketplace.rules);
        one(&ctx, marketplace, rules, since, &mut found).await?;
    }
    if arguments.json {
        say(&serde_json::to_string_pretty(&as_json(&found))?);
    } else {
        print(&found);
    }
    Ok(())
}

async fn one(
    ctx: &Context,
    m: &Marketplace,
    rules: &Arc<domain::policy::RuleSet>,
    since: Timestamp,
    found: &mut Found,
) -> anyhow::Result<()> {
    let is_watched = std::io::stderr().is_terminal();
    let progress = |entries: u64| {
        if is_watched {
            eprint!("\r{entries} entries read");
        }
    };
    let seen = |r: Replayed| {
        found.read += 1;
        found.erased += u64::from(r.is_erased);
        if r.differs() {
            found.differ += 1;
            let now = said(r.decision.outcome.as_str(), r.decision.remedy.as_ref().map(|a| a.key));
            *found.changes.entry((said(&r.outcome, r.remedy.as_deref()), now)).or_default() += 1;
            if found.listed.len() < LISTED {
                found.listed.push(r);
            }
        }
    };
    replay(ctx, &m.id, rules, since, seen, progress).await?;
    if is_watched {
        eprintln!();
    }
    Ok(())
}

fn since(text: &str, calendar: &Calendar) -> anyhow::Result<Timestamp> {
    if let Ok(instant) = text.parse::<jiff::Timestamp>() {
        return Ok(Timestamp(instant.as_microsecond()));
    }
    let wrong = || format!("--since {text}: expected a day such as 2026-11-01 or an instant such as 2026-11-01T09:00:00Z");
    let date: jiff::civil::Date = text.parse().with_context(wrong)?;
    let noon = date.at(12, 0, 0, 0).to_zoned(jiff::tz::TimeZone::UTC).with_context(wrong)?;
    Ok(calendar.start_of_day(Timestamp(noon.timestamp().as_microsecond()), 0))
}

fn said(outcome: &str, remedy: Option<&str>) -> String {
    remedy.map_or_else(|| outcome.to_owned(), |remedy| format!("{outcome} ({remedy})"))
}

fn print(found: &Found) {
    say(&format!("{} decisions, {} would differ", found.read, found.differ));
    if found.erased > 0 {
        say(&format!("of {} the content is erased; what it said was taken from the record", found.erased));
    }
    for ((old, new), count) in &found.changes {
        say(&format!("{count:>8}  {old} -> {new}"));
    }
    if !found.listed.is_empty() {
        say("");
    }
    for r in &found.listed {
        let now = said(r.decision.outcome.as_str(), r.decision.remedy.as_ref().map(|a| a.key));
        let at = jiff::Timestamp::from_microsecond(r.at.0).map(|t| t.to_string()).unwrap_or_default();
        say(&format!("{}  {at}  {} -> {now}", r.message, said(&r.outcome, r.remedy.as_deref())));
    }
    if found.differ > found.listed.len() as u64 {
        say(&format!("and {} more", found.differ - found.listed.len() as u64));
    }
}

fn as_json(found: &Found) -> Value {
    let side = |outcome: &str, remedy: Option<&str>| json!({ "outcome": outcome, "remedy": remedy });
    let listed = found.listed.iter().map(|r| {
        json!({
            "message": r.message.to_string(),
            "pair": r.pair.to_string(),
            "at": jiff::Timestamp::from_microsecond(r.at.0).map(|t| t.to_string()).unwrap_or_default(),
            "was": side(&r.outcome, r.remedy.as_deref()),
            "now": side(r.decision.outcome.as_str(), r.decision.remedy.as_ref().map(|a| a.key)),
        })
    });
    let changes = found.changes.iter().map(|((was, now), count)| json!({ "was": was, "now": now, "count": count }));
    json!({
        "read": found.read,
        "erased": found.erased,
        "differ": found.differ,
        "changes": changes.collect::<Vec<_>>(),
        "differences": listed.collect::<Vec<_>>(),
    })
}

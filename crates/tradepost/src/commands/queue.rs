//! `tradepost queue list|retry|drop`: what waits to be delivered. Works while the service runs.

use std::io::IsTerminal;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::builder::RangedU64ValueParser;
use clap::{Subcommand, ValueEnum};
use domain::delivery::DeliveryState;
use domain::{Clock, MessageId, Timestamp};
use operations::{Context, QueueItem, QueueOutcome, give_up, list_queue, retry_all, retry_delivery};
use serde_json::{Value, json};

use crate::commands::{ConfigArgument, Usage};
use crate::system::{SystemClock, say};
use crate::{app, config};

/// What to do with what waits.
#[derive(Subcommand)]
pub(crate) enum QueueCommand {
    /// Show deliveries that wait, the oldest first.
    List {
        #[command(flatten)]
        config: ConfigArgument,
        /// At most so many.
        #[arg(long, default_value_t = 100, value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
        limit: usize,
        /// Only those in this state.
        #[arg(long)]
        state: Option<Waiting>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Make deliveries due at once.
    Retry {
        #[command(flatten)]
        config: ConfigArgument,
        /// Ids of messages, as `queue list` shows them; or --all.
        #[arg(value_name = "ID", value_parser = message_id)]
        ids: Vec<MessageId>,
        /// Every delivery that waits.
        #[arg(long, conflicts_with = "ids")]
        all: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Give deliveries up; their writers are told that they failed.
    Drop {
        #[command(flatten)]
        config: ConfigArgument,
        /// Ids of messages, as `queue list` shows them.
        #[arg(value_name = "ID", value_parser = message_id, required = true)]
        ids: Vec<MessageId>,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// States of what waits.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Waiting {
    /// For its first attempt.
    Queued,
    /// For another attempt.
    Deferred,
}

impl Waiting {
    fn state(self) -> DeliveryState {
        match self {
            Self::Queued => DeliveryState::Queued,
            Self::Deferred => DeliveryState::Deferred,
        }
    }
}

fn message_id(text: &str) -> Result<MessageId, String> {
    text.parse().map_err(|()| "expected the 32 hex digits of a message id".to_owned())
}

pub(crate) async fn run(command: QueueCommand) -> anyhow::Result<()> {
    match command {
        QueueCommand::List { config, limit, state, json } => {
            let ctx = app::offline(&config::load(&config.config)?).await?;
            let items = list_queue(&ctx, None, limit, state.map(Waiting::state).as_ref()).await?;
            list(&items, SystemClock.now(), json)
        }
        QueueCommand::Retry { config, ids, all, json } => {
            if ids.is_empty() && !all {
                return Err(Usage("name the ids of messages, as `tradepost queue list` shows them, or give --all".to_owned()).into());
            }
            let ctx = app::offline(&config::load(&config.config)?).await?;
            if all { retry_everything(&ctx, json).await } else { retry(&ctx, &ids, json).await }
        }
        QueueCommand::Drop { config, ids, yes, json } => {
            let config = config::load(&config.config)?;
            if !yes {
                confirm(ids.len())?;
            }
            give_up_all(&app::offline(&config).await?, &ids, json).await
        }
    }
}

fn list(items: &[QueueItem], now: Timestamp, json: bool) -> anyhow::Result<()> {
    if json {
        let items: Vec<Value> = items.iter().map(|item| as_json(item, now)).collect();
        say(&serde_json::to_string_pretty(&json!({ "items": items }))?);
        return Ok(());
    }
    if items.is_empty() {
        say("Nothing waits.");
        return Ok(());
    }
    let head = ["id", "marketplace", "to", "state", "attempts", "age", "next", "status"].map(str::to_owned);
    let rows: Vec<[String; 8]> = std::iter::once(head).chain(items.iter().map(|item| row(item, now))).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..8).map(width).collect();
    for row in &rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        say(cells.join("  ").trim_end());
    }
    Ok(())
}

fn row(item: &QueueItem, now: Timestamp) -> [String; 8] {
    let next = match (item.is_held, item.due_at > now) {
        (true, _) => "under way".to_owned(),
        (false, true) => format!("in {}", spoken(item.due_at.since(now))),
        (false, false) => "now".to_owned(),
    };
    [
        item.message.to_string(),
        item.marketplace.as_ref().map_or("-", |m| m.as_str()).to_owned(),
        item.destination.as_ref().map_or("-", |d| d.as_str()).to_owned(),
        item.state.as_str().to_owned(),
        item.attempts.to_string(),
        spoken(now.since(item.queued_at)),
        next,
        item.last_status.clone().unwrap_or_else(|| "-".to_owned()),
    ]
}

/// A span as one number: 40s, 12m, 5h, 3d.
fn spoken(span: Duration) -> String {
    match span.as_secs() {
        seconds @ ..120 => format!("{seconds}s"),
        seconds @ ..7_200 => format!("{}m", seconds / 60),
        seconds @ ..172_800 => format!("{}h", seconds / 3_600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

fn as_json(item: &QueueItem, now: Timestamp) -> Value {
    let at = |t: Timestamp| jiff::Timestamp::from_microsecond(t.0).map(|t| t.to_string()).unwrap_or_default();
    json!({
        "id": item.message.to_string(),
        "marketplace": item.marketplace.as_ref().map(|m| m.as_str()),
        "destination": item.destination.as_ref().map(|d| d.as_str()),
        "state": item.state.as_str(),
        "under_way": item.is_held,
        "attempts": item.attempts,
        "queued_at": at(item.queued_at),
        "due_at": at(item.due_at),
        "age_seconds": now.since(item.queued_at).as_secs(),
        "last_status": item.last_status,
    })
}

async fn retry_everything(ctx: &Context, json: bool) -> anyhow::Result<()> {
    let (due, held) = retry_all(ctx).await?;
    if json {
        say(&serde_json::to_string_pretty(&json!({ "due": due, "under_way": held }))?);
    } else {
        say(&format!("{due} are due now, {held} are under way."));
    }
    Ok(())
}

async fn retry(ctx: &Context, ids: &[MessageId], json: bool) -> anyhow::Result<()> {
    let mut told = Vec::new();
    for id in ids {
        told.push(match retry_delivery(ctx, *id).await? {
            QueueOutcome::Done => (*id, true, "due now"),
            QueueOutcome::Held => (*id, true, "under way already"),
            QueueOutcome::NotWaiting => (*id, false, "does not wait"),
        });
    }
    tell(&told, json)
}

async fn give_up_all(ctx: &Context, ids: &[MessageId], json: bool) -> anyhow::Result<()> {
    let mut told = Vec::new();
    for id in ids {
        told.push(match give_up(ctx, *id).await? {
            QueueOutcome::Done => (*id, true, "given up"),
            QueueOutcome::Held => (*id, false, "under way; try again in a while, or stop the service first"),
            QueueOutcome::NotWaiting => (*id, false, "does not wait"),
        });
    }
    tell(&told, json)
}

fn tell(told: &[(MessageId, bool, &str)], json: bool) -> anyhow::Result<()> {
    if json {
        let items: Vec<Value> = told.iter().map(|(id, done, word)| json!({ "id": id.to_string(), "done": done, "is": word })).collect();
        say(&serde_json::to_string_pretty(&json!({ "items": items }))?);
    } else {
        told.iter().for_each(|(id, _, word)| say(&format!("{id} {word}")));
    }
    match told.iter().filter(|(_, done, _)| !done).count() {
        0 => Ok(()),
        missing => bail!("{missing} of {} do not wait; `tradepost queue list` shows what does", told.len()),
    }
}

/// What is given up is not delivered by anything later: a person says so.
fn confirm(count: usize) -> anyhow::Result<()> {
    if !std::io::stdin().is_terminal() {
        return Err(Usage("--yes: nobody can be asked; with it the deliveries are given up without a question".to_owned()).into());
    }
    eprint!("Give up {count} delivery(s)? Their writers are told that the mail failed. [y/N] ");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).context("the answer cannot be read")?;
    if !answer.trim().eq_ignore_ascii_case("y") {
        bail!("nothing was given up");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_told_in_one_number() {
        let told: Vec<String> = [0, 119, 120, 7_199, 7_200, 172_799, 172_800].map(|s| spoken(Duration::from_secs(s))).into();
        assert_eq!(told, ["0s", "119s", "2m", "119m", "2h", "47h", "2d"]);
    }
}

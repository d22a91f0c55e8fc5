//! `tradepost decide`: what would happen to a message and why; sends and keeps nothing (C13).

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use domain::Role;
use mail::Mailbox;
use mail::mime::Fields;
use operations::{Authentication, Context, DryRun, Received, Recipient, Refusal, Verdict, dry_run_mail, resolve_recipient};
use serde_json::{Value, json};

use crate::commands::ConfigArgument;
use crate::system::say;
use crate::{app, config};

/// A message larger than this would be refused in the session.
const MAX_BYTES: u64 = 100 << 20;

/// Which messages, to whom, from whom.
#[derive(clap::Args)]
pub(crate) struct DecideArguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// Messages as files (RFC 5322).
    #[arg(required = true, value_name = "FILE.eml")]
    files: Vec<PathBuf>,
    /// Alias that they are sent to, with or without tag; those in To and Cc when absent.
    #[arg(long, value_name = "ADDRESS")]
    to: Vec<String>,
    /// Reverse-path; the address in From when absent, `<>` for none.
    #[arg(long, value_name = "ADDRESS")]
    mail_from: Option<String>,
    /// Decide as if neither SPF nor DKIM passed for the address in From.
    #[arg(long)]
    unaligned: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(arguments: DecideArguments) -> anyhow::Result<()> {
    let config = config::load(&arguments.config.config)?;
    let ctx = app::offline(&config).await?;
    let mut messages = Vec::new();
    for file in &arguments.files {
        let name = file.display().to_string();
        let received = read(&ctx, file, &arguments).await.with_context(|| name.clone())?;
        let decided = dry_run_mail(&ctx, &received).await?;
        if arguments.json {
            messages.push(as_json(&name, &decided));
        } else {
            print(&name, &decided);
        }
    }
    if arguments.json {
        say(&serde_json::to_string_pretty(&json!({ "messages": messages }))?);
    }
    Ok(())
}

async fn read(ctx: &Context, file: &Path, arguments: &DecideArguments) -> anyhow::Result<Received> {
    let size = std::fs::metadata(file).context("cannot be read")?.len();
    if size > MAX_BYTES {
        bail!("has {size} octets; no message is that large");
    }
    let octets = std::fs::read(file).context("cannot be read")?;
    let (fields, _) = Fields::read(&octets);
    let reverse_path = match arguments.mail_from.as_deref() {
        Some("" | "<>") => None,
        Some(text) => Some(Mailbox::parse(text).context("--mail-from")?),
        None => fields.originator().ok().map(|o| o.mailbox),
    };
    let wanted: Vec<Mailbox> = if arguments.to.is_empty() {
        [fields.mailboxes("To"), fields.mailboxes("Cc")].concat()
    } else {
        arguments.to.iter().map(|t| Mailbox::parse(t).with_context(|| format!("--to {t}"))).collect::<Result<_, _>>()?
    };
    let mut recipients = Vec::new();
    for mailbox in wanted {
        let recipient = resolve_recipient(ctx, &mailbox).await?;
        if matches!(recipient, Recipient::Alias { .. }) {
            recipients.push(recipient);
        }
    }
    if recipients.is_empty() {
        bail!("no recipient is an alias that was issued; name one with --to");
    }
    let verdict = if arguments.unaligned { Verdict::Fail } else { Verdict::Pass };
    let authentication = Authentication { spf: verdict, dkim: verdict, dmarc: verdict, aligned: !arguments.unaligned };
    Ok(Received::new(reverse_path, recipients, octets.into(), authentication))
}

fn reaches(role: Role) -> &'static str {
    match role {
        Role::Buyer => "to the buyer",
        Role::Seller => "to the seller",
    }
}

fn print(name: &str, decided: &Result<Vec<DryRun>, Refusal>) {
    let runs = match decided {
        Ok(runs) => runs,
        Err(refusal) => {
            say(&format!("{name}: refused in the session: {}", refusal.words()));
            return;
        }
    };
    for run in runs {
        say(&format!("{name}: {} {}, from the {}", run.decision.outcome.as_str(), reaches(run.reaches), run.author.as_str()));
        let width = run.decision.rules.iter().map(|r| r.result.len()).max().unwrap_or(0);
        for rule in &run.decision.rules {
            let inputs: Vec<String> = rule.inputs.iter().map(|(name, value)| format!("{name}={value}")).collect();
            say(&format!("  {:<4} {:<width$}  {}", rule.rule, rule.result, inputs.join(" ")));
        }
        for told in run.remedy.iter().chain(&run.notes) {
            say(&format!("  {}:", told.code));
            told.text.lines().for_each(|line| say(&format!("    {line}")));
        }
    }
}

fn as_json(name: &str, decided: &Result<Vec<DryRun>, Refusal>) -> Value {
    match decided {
        Ok(runs) => json!({ "file": name, "recipients": runs.iter().map(run_json).collect::<Vec<_>>() }),
        Err(refusal) => json!({ "file": name, "refused": refusal.words() }),
    }
}

fn run_json(run: &DryRun) -> Value {
    let rules = run.decision.rules.iter().map(|r| {
        let inputs: serde_json::Map<String, Value> = r.inputs.iter().map(|(n, v)| ((*n).to_owned(), json!(v))).collect();
        json!({ "rule": r.rule, "result": r.result, "inputs": inputs })
    });
    let told = |t: &operations::Told| json!({ "code": t.code, "text": t.text });
    json!({
        "pair": run.pair.to_string(),
        "reaches": run.reaches.as_str(),
        "author": run.author.as_str(),
        "rung": run.rung.map(domain::Rung::as_str),
        "order": run.order,
        "decision": {
            "outcome": run.decision.outcome.as_str(),
            "remedy": run.remedy.as_ref().map(told),
            "notes": run.notes.iter().map(told).collect::<Vec<_>>(),
            "rules": rules.collect::<Vec<_>>(),
            "rule_set": run.decision.rule_set.iter().map(|b| format!("{b:02x}")).collect::<String>(),
        },
    })
}

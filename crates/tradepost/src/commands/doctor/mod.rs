//! `tradepost doctor`: what the world sees of the installation, each fault with its remedy.

pub(crate) mod ask;
mod dane;
mod doors;
mod house;
mod names;
mod round_trip;

use std::time::Duration;

use anyhow::{Context as _, bail};
use delivery::Route;
use operations::Settings;
use serde_json::{Value, json};
use smtp_server::Authenticator;

use crate::commands::ConfigArgument;
use crate::commands::doctor::ask::Dns;
use crate::config::Config;
use crate::system::say;
use crate::{app, config};

/// What is checked.
#[derive(clap::Args)]
pub(crate) struct DoctorArguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// Also send a mail to the running service through the configured route, and see what became of it on the way.
    #[arg(long = "loop")]
    round_trip: bool,
    /// How many seconds that mail may take.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    loop_timeout: u64,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// What all checks need.
struct Patient<'a> {
    config: &'a Config,
    settings: &'a Settings,
    route: &'a Route,
    authenticator: &'a Authenticator,
    dns: Dns<'a>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Ok,
    /// Advice: mail works.
    Warn,
    Fail,
    /// Could not be looked at.
    Skip,
}

impl State {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "FAIL",
            Self::Skip => "skip",
        }
    }
}

struct Finding {
    state: State,
    /// The record or thing that was looked at.
    check: String,
    found: String,
    /// What to do.
    remedy: Option<String>,
}

#[derive(Default)]
struct Findings(Vec<Finding>);

impl Findings {
    fn ok(&mut self, check: impl Into<String>, found: impl Into<String>) {
        self.0.push(Finding { state: State::Ok, check: check.into(), found: found.into(), remedy: None });
    }

    fn warn(&mut self, check: impl Into<String>, found: impl Into<String>, remedy: impl Into<String>) {
        self.put(State::Warn, check, found, remedy);
    }

    fn fail(&mut self, check: impl Into<String>, found: impl Into<String>, remedy: impl Into<String>) {
        self.put(State::Fail, check, found, remedy);
    }

    fn put(&mut self, state: State, check: impl Into<String>, found: impl Into<String>, remedy: impl Into<String>) {
        self.0.push(Finding { state, check: check.into(), found: found.into(), remedy: Some(remedy.into()) });
    }

    /// What was not looked at is said, so that nobody takes it for well.
    fn skip(&mut self, check: impl Into<String>, why: &str) {
        self.0.push(Finding { state: State::Skip, check: check.into(), found: format!("not looked at: {why}"), remedy: None });
    }

    /// The DNS said nothing, not even "no".
    fn silent(&mut self, check: impl Into<String>) {
        self.fail(check, "the DNS does not answer", "look at [dns] servers, and at the name servers of the domain");
    }

    fn failed(&self) -> usize {
        self.0.iter().filter(|f| f.state == State::Fail).count()
    }
}

pub(crate) async fn run(arguments: DoctorArguments) -> anyhow::Result<()> {
    let path = &arguments.config.config;
    let config = config::load(path)?;
    let at = || path.display().to_string();
    let settings = app::settings(&config).with_context(at)?;
    let route = app::route(&config).with_context(at)?;
    let authenticator = app::authenticator(&config)?;
    let dns = Dns::new(authenticator.resolver(), &config);
    let patient = Patient { config: &config, settings: &settings, route: &route, authenticator: &authenticator, dns };
    let mut findings = Findings::default();
    house::examine(&patient, &mut findings).await;
    let addresses = names::examine(&patient, &mut findings).await;
    doors::examine(&patient, &addresses, &mut findings).await?;
    if arguments.round_trip {
        round_trip::examine(&patient, Duration::from_secs(arguments.loop_timeout), &mut findings).await?;
    }
    if arguments.json {
        say(&serde_json::to_string_pretty(&as_json(&findings))?);
    } else {
        print(&findings);
    }
    match findings.failed() {
        0 => Ok(()),
        failed => bail!("{failed} of {} checks failed", findings.0.len()),
    }
}

fn print(findings: &Findings) {
    let width = findings.0.iter().map(|f| f.check.chars().count()).max().unwrap_or(0);
    for finding in &findings.0 {
        say(&format!("{:<4}  {:<width$}  {}", finding.state.as_str(), finding.check, finding.found));
        if let Some(remedy) = &finding.remedy {
            say(&format!("      remedy: {remedy}"));
        }
    }
}

fn as_json(findings: &Findings) -> Value {
    let check =
        |f: &Finding| json!({ "state": f.state.as_str().to_ascii_lowercase(), "check": f.check, "found": f.found, "remedy": f.remedy });
    json!({ "ok": findings.failed() == 0, "checks": findings.0.iter().map(check).collect::<Vec<_>>() })
}

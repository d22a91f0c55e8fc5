//! A mail through the configured route to an address of ours: what becomes of its Message-ID and its reverse-path.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use delivery::{DeliverySettings, Route};
use domain::delivery::AttemptOutcome;
use domain::{Clock, Timestamp};
use operations::{Context, Marketplace, Probe, probe_addresses};
use serde::Deserialize;
use tokio::time::{Instant, sleep};

use super::{Findings, Patient};
use crate::app;
use crate::system::SystemClock;

/// How often the store is asked whether the mail is there.
const LOOK: Duration = Duration::from_millis(250);

/// What the running service kept of a probe.
#[derive(Deserialize)]
struct Arrived {
    message_id: Option<String>,
    reverse_path: Option<String>,
}

pub(super) async fn examine(patient: &Patient<'_>, patience: Duration, findings: &mut Findings) -> anyhow::Result<()> {
    let ctx = Arc::new(app::offline(patient.config).await?);
    let settings = app::delivery_settings(patient.config)?;
    let settings = match patient.route {
        // By MX our own mail would not leave this machine: it goes to our own door, where others' mail comes in.
        Route::Mx { port } => {
            let route = Route::Smtp { host: patient.settings.hostname.clone(), port: *port, credentials: None, implicit_tls: false };
            DeliverySettings { route, ..settings }
        }
        Route::Smtp { .. } => settings,
    };
    for marketplace in &patient.settings.marketplaces {
        one(patient, &ctx, &settings, marketplace, patience, findings).await?;
    }
    Ok(())
}

async fn one(
    patient: &Patient<'_>,
    ctx: &Arc<Context>,
    settings: &DeliverySettings,
    marketplace: &Marketplace,
    patience: Duration,
    findings: &mut Findings,
) -> anyhow::Result<()> {
    let check = |what: &str| format!("loop {}, {what}", marketplace.domain.as_str());
    let probe = probe_addresses(ctx, &marketplace.domain);
    let now = SystemClock.now();
    let composed = letter(marketplace, &probe, now);
    let content = match &marketplace.signer {
        Some(signer) => signer.sign(&composed, now.unix_seconds()),
        None => composed,
    };
    let envelope = (Some(probe.reverse_path.clone()), probe.recipient.clone());
    let resolver = patient.authenticator.resolver().clone();
    let attempt = delivery::send_once(Arc::clone(ctx), settings.clone(), resolver, envelope, Arc::from(content)).await;
    if attempt.outcome != AttemptOutcome::Delivered {
        let remedy = "see what the status code says (RFC 3463) and look at [delivery] route";
        findings.fail(check("sent"), format!("not taken: {}", attempt.status), remedy);
        return Ok(());
    }
    let began = Instant::now();
    let arrived = loop {
        if let Some(text) = ctx.store.find_setting(&probe.setting).await? {
            break serde_json::from_str::<Arrived>(&text).context("what the service kept of the probe")?;
        }
        if began.elapsed() > patience {
            let remedy = "see that the service runs and the MX leads to it; a slow route may need a longer --loop-timeout";
            findings.fail(check("arrived"), format!("not within {} seconds", patience.as_secs()), remedy);
            return Ok(());
        }
        sleep(LOOK).await;
    };
    findings.ok(check("arrived"), format!("after {:.1} seconds", began.elapsed().as_secs_f32()));
    compare(&probe, &arrived, check, findings);
    Ok(())
}

fn compare(probe: &Probe, arrived: &Arrived, check: impl Fn(&str) -> String, findings: &mut Findings) {
    if arrived.message_id.as_deref() == Some(probe.message_id.as_str()) {
        findings.ok(check("Message-ID"), "as it was sent");
    } else {
        let remedy = "answers can be joined to their conversation by the alias's tag only: ask the provider to keep Message-ID, or \
                      choose another route";
        findings.fail(check("Message-ID"), "changed on the way", remedy);
    }
    let came_from = arrived.reverse_path.as_deref().unwrap_or_default();
    if came_from.eq_ignore_ascii_case(&probe.reverse_path.to_wire()) {
        findings.ok(check("reverse-path"), "as it was sent");
    } else {
        let remedy = "reports of failed mail go to the provider and never come back to us: ask it to keep the reverse-path \
                      (envelope sender), or choose another route";
        findings.fail(check("reverse-path"), "changed on the way", remedy);
    }
}

fn letter(marketplace: &Marketplace, probe: &Probe, now: Timestamp) -> Vec<u8> {
    let date = jiff::Timestamp::from_microsecond(now.0).map(|t| t.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string()).unwrap_or_default();
    format!(
        "From: Tradepost <postmaster@{}>\r\nTo: <{}>\r\nSubject: Loop test\r\nDate: {date}\r\nMessage-ID: <{}>\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\nThis is a test of the way by which mail leaves.\r\n",
        marketplace.domain.as_str(),
        probe.recipient.to_wire(),
        probe.message_id.as_str(),
    )
    .into_bytes()
}

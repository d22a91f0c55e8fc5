//! This machine: its clock, the folder of data, the keys, the queue.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use domain::{Clock, Timestamp};

use super::{Findings, Patient};
use crate::app;
use crate::commands::init_answers::is_loopback;
use crate::system::SystemClock;

/// 2026-01-01: this program did not exist before.
const EARLIEST: Timestamp = Timestamp(1_767_225_600_000_000);
/// Clocks of file servers may differ a little.
const TOLERANCE: Duration = Duration::from_secs(300);
/// What waits for longer is worth a look.
const LONG: Duration = Duration::from_secs(24 * 3600);
/// The remedy where our rights do not reach.
const OTHER_USER: &str = "run this command as the user that runs the service";

pub(super) async fn examine(patient: &Patient<'_>, findings: &mut Findings) {
    let folder = patient.config.data_dir.as_path();
    clock(folder, findings);
    data(folder, findings);
    let key = patient.config.storage.key.clone().unwrap_or_else(|| folder.join("storage.key"));
    // In a folder that cannot be looked into it may be there.
    let (has_data, has_key) = (folder.join("tradepost.db").try_exists(), key.try_exists());
    let is_begun = patient.config.database.url.is_some() || !matches!(has_data, Ok(false));
    let has_key = !matches!(has_key, Ok(false));
    if is_begun || has_key {
        secret("storage key", &key, "restore it from your backup; without it nothing stored can be read", findings);
    } else {
        let remedy = "it is made at the first start; keep a copy of it apart from the backup of the data";
        findings.warn(format!("storage key {}", key.display()), "not there yet", remedy);
    }
    for dkim in &patient.config.dkim {
        secret("DKIM key", &dkim.key, "restore it, or make another: tradepost dkim rotate", findings);
    }
    // What is not there yet is for the service to make, with its own rights.
    if is_begun && has_key {
        queue(patient, findings).await;
    }
    pages(&patient.config.web.public_url, findings);
}

/// Links in mail let whoever has them act.
fn pages(url: &str, findings: &mut Findings) {
    let check = "[web] public_url";
    let host = url.strip_prefix("http://").map(|rest| rest.split('/').next().unwrap_or_default());
    match host {
        None if url.is_empty() => {
            findings.warn(check, "not set: mail has no links", "set the https:// address under which your proxy shows /l/")
        }
        None => findings.ok(check, url),
        Some(host) if is_loopback(host) => findings.ok(check, url),
        Some(_) => findings.warn(check, format!("{url}: in clear"), "put a proxy with TLS in front and write https:// there"),
    }
}

/// Signatures, retries and certificates go by it.
fn clock(folder: &Path, findings: &mut Findings) {
    let now = SystemClock.now();
    let remedy = "set the clock and keep it by NTP (timedatectl set-ntp true)";
    let said = jiff::Timestamp::from_microsecond(now.0).map(|t| t.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()).unwrap_or_default();
    let files = ["tradepost.db", "tradepost.db-wal", "storage.key", "lock"].map(|name| folder.join(name));
    let written = files.iter().filter_map(|f| std::fs::metadata(f).ok()).map(|m| m.mtime()).max();
    let is_behind = written.is_some_and(|at| Timestamp(at.saturating_mul(1_000_000)) > now.after(TOLERANCE));
    if now < EARLIEST {
        findings.fail("clock", format!("{said}: before this program was made"), remedy);
    } else if is_behind {
        findings.fail("clock", format!("{said}: before the data was last written"), remedy);
    } else {
        findings.ok("clock", said);
    }
}

fn data(folder: &Path, findings: &mut Findings) {
    let check = format!("data_dir {}", folder.display());
    let metadata = match std::fs::metadata(folder) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return findings.warn(check, "not there yet", "it is made when the service starts");
        }
        Err(error) => return findings.fail(check, error.to_string(), OTHER_USER),
    };
    if let Err(error) = tempfile::tempfile_in(folder) {
        findings.fail(
            check,
            format!("cannot be written: {error}"),
            "give the folder to the user that runs the service, and make room on it",
        );
    } else if metadata.mode() & 0o077 != 0 {
        findings.warn(check, format!("mode {:03o}: others can look into it", metadata.mode() & 0o777), "chmod 700");
    } else {
        findings.ok(check, "can be written");
    }
}

fn secret(what: &str, path: &Path, remedy: &str, findings: &mut Findings) {
    let check = format!("{what} {}", path.display());
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.mode() & 0o077 != 0 => {
            findings.warn(check, format!("mode {:03o}: others can read it", metadata.mode() & 0o777), "chmod 600");
        }
        Ok(_) => findings.ok(check, "for its owner alone"),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => findings.fail(check, error.to_string(), OTHER_USER),
        Err(error) => findings.fail(check, error.to_string(), remedy),
    }
}

async fn queue(patient: &Patient<'_>, findings: &mut Findings) {
    let waiting = async {
        let ctx = app::offline(patient.config).await?;
        anyhow::Ok((ctx.store.count_waiting().await?, ctx.store.list_waiting(None, 1).await?))
    };
    let (count, oldest) = match waiting.await {
        Ok(found) => found,
        Err(error) => return findings.fail("store", format!("{error:#}"), "look at [database] and data_dir, and who may read them"),
    };
    let age = oldest.first().map(|(delivery, _)| SystemClock.now().since(delivery.queued_at)).unwrap_or_default();
    let hours = age.as_secs() / 3600;
    if age > LONG {
        findings.warn("queue", format!("{count} wait, the oldest for {hours} hours"), "see why: tradepost queue list");
    } else {
        findings.ok("queue", format!("{count} wait"));
    }
}

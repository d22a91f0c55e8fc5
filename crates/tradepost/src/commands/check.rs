//! `tradepost check`: everything that can be known to be wrong before starting.

use std::path::Path;

use anyhow::Context;
use domain::Clock;

use crate::commands::dns;
use crate::config::Config;
use crate::system::{SystemClock, say};
use crate::{app, config, data_dir, keys};

pub(crate) fn run(path: &Path) -> anyhow::Result<()> {
    let config = config::load(path)?;
    let at = || path.display().to_string();
    let settings = app::settings(&config).with_context(at)?;
    let warnings = parts(&config).with_context(at)?;
    warnings.iter().for_each(|warning| say(&format!("note: {warning}")));
    say(&format!(
        "{} is fine: {} marketplace(s), {}",
        path.display(),
        settings.marketplaces.len(),
        if config.database.url.is_some() { "PostgreSQL" } else { "SQLite" }
    ));
    for marketplace in &settings.marketplaces {
        match &marketplace.signer {
            Some(signer) => say(&format!("publish {}", dns::txt_line(&signer.dns_name(), &signer.dns_record()))),
            None => say(&format!("note: no [[dkim]] key for {}; receivers may take its mail for spam", marketplace.domain.as_str())),
        }
    }
    Ok(())
}

/// What `serve` would refuse beside the marketplaces; gives what is only unwise.
fn parts(config: &Config) -> anyhow::Result<Vec<String>> {
    app::delivery_settings(config)?;
    app::check_smtp(config, config.tls.is_some())?;
    app::authenticator(config)?;
    data_dir::check(config)?;
    keys::check_master_key(&app::key_path(config))?;
    let is_acme = app::acme_settings(config)?.is_some();
    Ok(match &config.tls {
        Some(tls) if !is_acme => app::files(tls, config)?.warnings(SystemClock.now()),
        Some(_) => Vec::new(),
        None => vec!["no [tls]; mail comes in clear, and sellers cannot sign in to send it".to_owned()],
    })
}

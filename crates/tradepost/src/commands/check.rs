//! `tradepost check`: everything that can be known to be wrong before starting.

use std::path::Path;

use anyhow::Context;

use crate::system::say;
use crate::{app, config, keys};

pub(crate) fn run(path: &Path) -> anyhow::Result<()> {
    let config = config::load(path)?;
    let at = || path.display().to_string();
    let settings = app::settings(&config).with_context(at)?;
    app::route(&config).with_context(at)?;
    if let Some(tls) = &config.tls {
        keys::tls_acceptor(tls).with_context(at)?;
    }
    say(&format!(
        "{} is fine: {} marketplace(s), {}",
        path.display(),
        settings.marketplaces.len(),
        if config.database.url.is_some() { "PostgreSQL" } else { "SQLite" }
    ));
    for marketplace in &settings.marketplaces {
        match &marketplace.signer {
            Some(signer) => say(&format!("publish {} TXT \"{}\"", signer.dns_name(), signer.dns_record())),
            None => say(&format!("note: no [[dkim]] key for {}; receivers may take its mail for spam", marketplace.domain.as_str())),
        }
    }
    Ok(())
}

//! `tradepost dkim rotate|retire|list`: a new signing key without a message that cannot be verified.
//!
//! A key signs only after its record is published, and the record of the key before stays while mail that it signed is
//! still under way (RFC 6376, section 3.6.1; M3AAWG, DKIM key rotation).

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::RsaKeyPair;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Subcommand;
use domain::{Clock, Timestamp};
use serde_json::json;
use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, value};

use crate::commands::doctor::ask::{Dns, Published};
use crate::commands::{ConfigArgument, Usage, dns, files};
use crate::config::{Config, Dkim};
use crate::system::{SystemClock, say};
use crate::{app, config, keys};

/// What to do with DKIM keys.
#[derive(Subcommand)]
pub(crate) enum DkimCommand {
    /// Make a new key; run again, when its record is published, let it sign.
    Rotate {
        #[command(flatten)]
        config: ConfigArgument,
        /// The alias domain, where there are several.
        #[arg(long)]
        domain: Option<String>,
    },
    /// Take a key that signs no more, or not yet, out of the configuration.
    Retire {
        #[command(flatten)]
        config: ConfigArgument,
        /// The alias domain, where there are several.
        #[arg(long)]
        domain: Option<String>,
        /// The key's selector.
        #[arg(long)]
        selector: String,
        /// Do not ask whether mail that the key signed is still under way.
        #[arg(long)]
        yes: bool,
    },
    /// Show the keys and which one signs.
    List {
        #[command(flatten)]
        config: ConfigArgument,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

/// What a key does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The first key of a domain that is not retired.
    Signs,
    /// Is to sign next.
    Waits,
    /// Signed before.
    Retired,
}

impl Standing {
    fn as_str(self) -> &'static str {
        match self {
            Self::Signs => "signs",
            Self::Waits => "waits",
            Self::Retired => "retired",
        }
    }
}

pub(crate) async fn run(command: DkimCommand) -> anyhow::Result<()> {
    match command {
        DkimCommand::Rotate { config: argument, domain } => {
            let file = ConfigFile::read(&argument.config)?;
            let domain = file.domain(domain.as_deref())?;
            let waiting = file.keys(&domain).into_iter().find(|(_, s)| *s == Standing::Waits).map(|(key, _)| key.clone());
            match waiting {
                Some(waiting) => promote(file, &domain, &waiting).await,
                None => add(file, &domain, SystemClock.now()),
            }
        }
        DkimCommand::Retire { config: argument, domain, selector, yes } => {
            let file = ConfigFile::read(&argument.config)?;
            let domain = file.domain(domain.as_deref())?;
            retire(file, &domain, &selector, yes)
        }
        DkimCommand::List { config: argument, json } => list(&config::load(&argument.config)?, json),
    }
}

/// Every key of a domain with what it does, in the order of the file.
pub(crate) fn standings<'a>(config: &'a Config, domain: &str) -> Vec<(&'a Dkim, Standing)> {
    let mut signs = false;
    let of_domain = config.dkim.iter().filter(|d| d.domain.eq_ignore_ascii_case(domain));
    let with_standing = of_domain.map(|key| {
        let standing = match (key.retired, signs) {
            (true, _) => Standing::Retired,
            (false, true) => Standing::Waits,
            (false, false) => Standing::Signs,
        };
        signs |= standing == Standing::Signs;
        (key, standing)
    });
    with_standing.collect()
}

/// The configuration as values and as text, so that comments are kept.
struct ConfigFile {
    path: PathBuf,
    config: Config,
    document: DocumentMut,
}

impl ConfigFile {
    fn read(path: &Path) -> anyhow::Result<Self> {
        let config = config::load(path)?;
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let document: DocumentMut = text.parse().with_context(|| path.display().to_string())?;
        let file = Self { path: path.to_owned(), config, document };
        let in_text: Vec<Option<&str>> = file.tables().map(|t| t.get("selector").and_then(Item::as_str)).collect();
        if !file.config.dkim.iter().map(|d| Some(d.selector.as_str())).eq(in_text) {
            bail!("{}: the DKIM keys must stand there as [[dkim]] sections, not in the environment or as a list", path.display());
        }
        Ok(file)
    }

    fn tables(&self) -> impl Iterator<Item = &Table> {
        self.document.get("dkim").and_then(Item::as_array_of_tables).into_iter().flat_map(ArrayOfTables::iter)
    }

    /// The sections, made if there are none.
    fn tables_mut(&mut self) -> anyhow::Result<&mut ArrayOfTables> {
        let item = self.document.entry("dkim").or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
        item.as_array_of_tables_mut().context("[[dkim]]: is no list of sections")
    }

    /// Place of a key among all sections.
    fn place(&self, domain: &str, selector: &str) -> anyhow::Result<usize> {
        let is_it = |d: &Dkim| d.domain.eq_ignore_ascii_case(domain) && d.selector == selector;
        let missing = || format!("[[dkim]]: there is no selector \"{selector}\" of {domain}; `tradepost dkim list` shows them");
        self.config.dkim.iter().position(is_it).with_context(missing)
    }

    fn domain(&self, given: Option<&str>) -> anyhow::Result<String> {
        let known = |name: &str| self.config.marketplace.iter().find(|m| m.domain.eq_ignore_ascii_case(name));
        match (given, self.config.marketplace.as_slice()) {
            (Some(name), _) => match known(name) {
                Some(marketplace) => Ok(marketplace.domain.to_ascii_lowercase()),
                None => bail!("--domain {name}: is no marketplace's domain"),
            },
            (None, [only]) => Ok(only.domain.to_ascii_lowercase()),
            (None, _) => Err(Usage("--domain: there are several marketplaces; name the domain".to_owned()).into()),
        }
    }

    fn keys(&self, domain: &str) -> Vec<(&Dkim, Standing)> {
        standings(&self.config, domain)
    }

    fn write(&self) -> anyhow::Result<()> {
        let text = self.document.to_string();
        config::parse(&text, &self.path.display().to_string(), &[]).context("the changed configuration was not written")?;
        files::replace(&self.path, &text)
    }
}

/// Makes a key that does not sign yet. The first key of a domain signs as soon as the service is told.
fn add(mut file: ConfigFile, domain: &str, now: Timestamp) -> anyhow::Result<()> {
    let signing = file.keys(domain).into_iter().find(|(_, s)| *s == Standing::Signs).map(|(key, _)| key.clone());
    let mut used: Vec<String> = file.keys(domain).into_iter().map(|(key, _)| key.selector.clone()).collect();
    let place = signing.as_ref().map(|key| file.place(domain, &key.selector)).transpose()?;
    let beside = place.and_then(|n| file.tables().nth(n)).and_then(|t| t.get("key")).and_then(Item::as_str).map(PathBuf::from);
    let beside = beside.unwrap_or_default();
    let folder = file.path.parent().unwrap_or(Path::new("."));
    let mut selector = signing.as_ref().map_or_else(|| "tp1".to_owned(), |key| next_selector(&key.selector, &used, now));
    let mut written = beside.with_file_name(key_file_name(domain, &selector));
    // A key that was taken out of the configuration may still be there; its selector is used up.
    while folder.join(&written).symlink_metadata().is_ok() {
        used.push(selector.clone());
        selector = next_selector(&selector, &used, now);
        written = beside.with_file_name(key_file_name(domain, &selector));
    }
    let path = folder.join(&written);
    files::write_new(&path, &new_key()?, 0o600)?;
    let mut table = Table::new();
    table.insert("domain", value(domain));
    table.insert("selector", value(selector.as_str()));
    table.insert("key", value(written.display().to_string()));
    let tables = file.tables_mut()?;
    tables.insert(place.map_or(tables.len(), |n| n + 1), table);
    let key = Dkim { domain: domain.to_owned(), selector, key: path.clone(), retired: false };
    let done = files::same_owner(&path, signing.as_ref().map_or(file.path.as_path(), |s| s.key.as_path())).and_then(|()| file.write());
    if let Err(error) = done {
        // Nothing names the key: it would only be in the way of the next try.
        let _ = std::fs::remove_file(&path);
        return Err(error);
    }
    let signer = keys::signer(&key)?;
    say(&format!("{} is made. Publish this record:", path.display()));
    say("");
    say(&dns::txt_line(&signer.dns_name(), &signer.dns_record()));
    say("");
    match signing {
        Some(old) => {
            say(&format!("{} still signs. Run the command again when the record is published: the new key signs then.", old.selector))
        }
        None => say("It is the first key of its domain: reload the service (SIGHUP) when the record is published, and it signs."),
    }
    Ok(())
}

/// Lets the waiting key sign, if whoever gets our mail can verify it.
async fn promote(mut file: ConfigFile, domain: &str, waiting: &Dkim) -> anyhow::Result<()> {
    let signer = keys::signer(waiting)?;
    let authenticator = app::authenticator(&file.config)?;
    let (name, record) = (signer.dns_name(), signer.dns_record());
    let line = dns::txt_line(&name, &record);
    match Dns::new(authenticator.resolver(), &file.config).published_key(&name, &record).await {
        Published::Same => {}
        Published::Nothing => bail!("{name} TXT is not published yet; publish it and run the command again:\n{line}"),
        Published::Other(what) => bail!("{name} TXT {what}; publish exactly this and run the command again:\n{line}"),
        Published::Unknown => bail!("{name} TXT: the DNS does not answer; look at [dns] servers and run the command again"),
    }
    let signing = file.keys(domain).into_iter().find(|(_, s)| *s == Standing::Signs).map(|(key, _)| key.clone());
    let old = signing.context("[[dkim]]: no key signs")?;
    let (from, to) = (file.place(domain, &waiting.selector)?, file.place(domain, &old.selector)?);
    let tables = file.tables_mut()?;
    // Where a section stands in the text goes by its position; what is written above it stays at its place.
    let places: Vec<_> = tables.iter().map(|t| (t.position(), t.decor().clone())).collect();
    let table = tables.remove(from);
    tables.insert(to, table);
    if let Some(table) = tables.get_mut(to + 1) {
        table.insert("retired", value(true));
    }
    for (table, (position, decor)) in tables.iter_mut().zip(places) {
        table.set_position(position);
        *table.decor_mut() = decor;
    }
    file.write()?;
    say(&format!("{} signs for {domain} from the next reload on: send the service SIGHUP (systemctl reload tradepost).", waiting.selector));
    say(&format!(
        "Keep the record of {} for 7 days: mail that it signed is still under way. Then: tradepost dkim retire --domain {domain} --selector {}",
        old.selector, old.selector
    ));
    Ok(())
}

fn retire(mut file: ConfigFile, domain: &str, selector: &str, yes: bool) -> anyhow::Result<()> {
    let place = file.place(domain, selector)?;
    let found = file.keys(domain).into_iter().find(|(key, _)| key.selector == selector).map(|(key, standing)| (key.clone(), standing));
    let (key, standing) = found.context("[[dkim]]: the key is gone")?;
    if standing == Standing::Signs {
        bail!("--selector {selector}: this key signs; let another take its place with `tradepost dkim rotate --domain {domain}` first");
    }
    // One that waits has signed nothing.
    if standing == Standing::Retired && !yes {
        confirm(selector)?;
    }
    file.tables_mut()?.remove(place);
    file.write()?;
    say(&format!("{selector} of {domain} is out of the configuration."));
    say(&format!("Take {selector}._domainkey.{domain} TXT out of the DNS and delete {}.", key.key.display()));
    Ok(())
}

/// When the key signed last is written nowhere: a person must know it.
fn confirm(selector: &str) -> anyhow::Result<()> {
    let mind = format!(
        "mail that {selector} signed may be under way for 7 days after the service was reloaded with the next key; without its record that mail cannot be verified"
    );
    if !std::io::stdin().is_terminal() {
        return Err(Usage(format!("--yes: {mind}; give --yes if that time is over")).into());
    }
    eprint!("Mind: {mind}. Is that time over? [y/N] ");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).context("the answer cannot be read")?;
    if !answer.trim().eq_ignore_ascii_case("y") {
        bail!("nothing was changed");
    }
    Ok(())
}

fn list(config: &Config, json: bool) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    for marketplace in &config.marketplace {
        for (key, standing) in standings(config, &marketplace.domain) {
            let signer = keys::signer(key)?;
            rows.push((key.domain.to_ascii_lowercase(), key.selector.clone(), standing, signer.dns_name(), signer.dns_record()));
        }
    }
    if json {
        let row = |(domain, selector, standing, name, record): &(String, String, Standing, String, String)| json!({ "domain": domain, "selector": selector, "state": standing.as_str(), "name": name, "record": record });
        say(&serde_json::to_string_pretty(&json!({ "keys": rows.iter().map(row).collect::<Vec<_>>() }))?);
        return Ok(());
    }
    let width = rows.iter().map(|(_, _, _, name, _)| name.len()).max().unwrap_or(0);
    for (_, _, standing, name, _) in &rows {
        say(&format!("{name:<width$}  {}", standing.as_str()));
    }
    if rows.is_empty() {
        say("There is no [[dkim]] key; make one with `tradepost dkim rotate`.");
    }
    Ok(())
}

/// The name of a key's file.
pub(crate) fn key_file_name(domain: &str, selector: &str) -> String {
    format!("dkim-{domain}-{selector}.pem")
}

/// An RSA key of 2048 bits as PKCS#8 PEM: the longest that every receiver verifies and one DNS answer holds (RFC 8301).
pub(crate) fn new_key() -> anyhow::Result<String> {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| anyhow!("the DKIM key could not be made"))?;
    let der = pair.as_der().map_err(|_| anyhow!("the DKIM key could not be written"))?;
    let encoded = STANDARD.encode(der.as_ref());
    let lines: String = encoded.as_bytes().chunks(64).map(|line| format!("{}\n", String::from_utf8_lossy(line))).collect();
    Ok(format!("-----BEGIN PRIVATE KEY-----\n{lines}-----END PRIVATE KEY-----\n"))
}

/// tp1, then tp2; a selector that does not count gets the month.
fn next_selector(current: &str, used: &[String], now: Timestamp) -> String {
    let digits = current.bytes().rev().take_while(u8::is_ascii_digit).count();
    let (stem, number) = current.split_at(current.len() - digits);
    // Longer ones are dates.
    if let Some(number) = number.parse::<u32>().ok().filter(|_| digits < 4) {
        let candidates = (number + 1..).map(|n| format!("{stem}{n}"));
        return candidates.into_iter().find(|name| !used.contains(name)).unwrap_or_default();
    }
    let month = jiff::Timestamp::from_microsecond(now.0).map(|t| t.strftime("%Y%m").to_string()).unwrap_or_default();
    let stem = stem.trim_end_matches('-');
    let first = format!("{stem}-{month}");
    if !used.contains(&first) {
        return first;
    }
    (2..).map(|n| format!("{first}-{n}")).find(|name| !used.contains(name)).unwrap_or(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_count_on_or_name_the_month() {
        let now = Timestamp(1_795_316_400_000_000);
        let next = |current: &str, used: &[&str]| next_selector(current, &used.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>(), now);
        assert_eq!(next("tp1", &["tp1"]), "tp2");
        assert_eq!(next("tp1", &["tp2", "tp1"]), "tp3");
        assert_eq!(next("mail", &["mail"]), "mail-202611");
        assert_eq!(next("mail-202609", &["mail-202609"]), "mail-202611");
        assert_eq!(next("mail-202611", &["mail-202611"]), "mail-202611-2");
    }

    #[test]
    fn a_key_of_ours_can_sign() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), new_key().unwrap()).unwrap();
        let key = Dkim { domain: "m.example".into(), selector: "tp1".into(), key: file.path().to_owned(), retired: false };
        assert!(keys::signer(&key).unwrap().dns_record().starts_with("v=DKIM1; k=rsa; p=MII"));
    }
}

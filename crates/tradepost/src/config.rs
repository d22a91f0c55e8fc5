//! The configuration file: its shape, its defaults, and errors that name place and remedy.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::Deserialize;

/// Separates section and key in an environment variable: `TRADEPOST_DATABASE__URL`.
const ENV_SEPARATOR: &str = "__";
const ENV_PREFIX: &str = "TRADEPOST_";
/// Keys outside a section. Other variables of the prefix are flags, or somebody else's.
const ENV_TOP_LEVEL: [&str; 3] = ["DATA_DIR", "DKIM", "MARKETPLACE"];

/// The whole file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) data_dir: PathBuf,
    #[serde(default)]
    pub(crate) database: Database,
    #[serde(default)]
    pub(crate) storage: Storage,
    pub(crate) smtp: Smtp,
    pub(crate) tls: Option<Tls>,
    #[serde(default)]
    pub(crate) dkim: Vec<Dkim>,
    pub(crate) web: Web,
    #[serde(default)]
    pub(crate) delivery: Delivery,
    #[serde(default)]
    pub(crate) dns: Dns,
    #[serde(default)]
    pub(crate) alias: Alias,
    #[serde(default)]
    pub(crate) texts: Texts,
    pub(crate) marketplace: Vec<Marketplace>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Database {
    /// `postgres://…`; SQLite in `data_dir` when absent.
    pub(crate) url: Option<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Storage {
    /// Key under which bodies are sealed; `data_dir/storage.key` when absent.
    pub(crate) key: Option<PathBuf>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Smtp {
    pub(crate) listen: Vec<SocketAddr>,
    pub(crate) hostname: String,
    #[serde(default = "max_size")]
    pub(crate) max_size: usize,
    #[serde(default = "max_recipients")]
    pub(crate) max_recipients: usize,
    #[serde(default = "sessions_per_client")]
    pub(crate) sessions_per_client: usize,
    #[serde(default = "sessions")]
    pub(crate) sessions: usize,
}

fn max_size() -> usize {
    26_214_400
}

fn max_recipients() -> usize {
    100
}

fn sessions_per_client() -> usize {
    50
}

fn sessions() -> usize {
    1_000
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tls {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Dkim {
    pub(crate) domain: String,
    pub(crate) selector: String,
    pub(crate) key: PathBuf,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Web {
    pub(crate) listen: SocketAddr,
    /// Address under which people reach the pages.
    #[serde(default)]
    pub(crate) public_url: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Delivery {
    /// `mx`, or `smtp://[user:password@]host[:port]`.
    #[serde(default = "route")]
    pub(crate) route: String,
    /// Port of mail exchangers; 25 everywhere but in tests.
    #[serde(default = "port")]
    pub(crate) port: u16,
    #[serde(default = "connections")]
    pub(crate) connections_per_destination: usize,
}

impl Default for Delivery {
    fn default() -> Self {
        Self { route: route(), port: port(), connections_per_destination: connections() }
    }
}

fn route() -> String {
    "mx".to_owned()
}

fn port() -> u16 {
    25
}

fn connections() -> usize {
    20
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Dns {
    /// Name servers; the system's when empty.
    #[serde(default)]
    pub(crate) servers: Vec<SocketAddr>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Alias {
    /// Length of a whole alias with its domain (A2).
    pub(crate) total_length: Option<usize>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Texts {
    /// Folder of the operator's own `LANG.toml` with texts and templates.
    pub(crate) folder: Option<PathBuf>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Marketplace {
    pub(crate) id: String,
    /// What people call it; the domain when absent.
    pub(crate) name: Option<String>,
    pub(crate) domain: String,
    #[serde(default = "locale")]
    pub(crate) locale: String,
    /// Languages of the site, the default first.
    #[serde(default)]
    pub(crate) languages: Vec<String>,
    pub(crate) postmaster: String,
    /// Days for which messages are kept.
    #[serde(default = "retention_days")]
    pub(crate) retention_days: u32,
    #[serde(default = "time_zone")]
    pub(crate) time_zone: String,
    /// File of rules, laid over the embedded ones.
    pub(crate) rules: Option<PathBuf>,
}

fn locale() -> String {
    "en".to_owned()
}

fn retention_days() -> u32 {
    730
}

fn time_zone() -> String {
    "UTC".to_owned()
}

/// Reads a file, with environment variables laid over it.
pub(crate) fn load(path: &Path) -> anyhow::Result<Config> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}; give the file with --config", path.display()))?;
    let overrides = overrides(std::env::vars())?;
    let mut config = parse(&text, &path.display().to_string(), &overrides)?;
    // Paths are meant from where the file is, so that the service can be started from anywhere.
    let base = path.parent().unwrap_or(Path::new("."));
    let resolve = |p: &mut PathBuf| *p = base.join(&*p);
    resolve(&mut config.data_dir);
    config.storage.key.iter_mut().for_each(resolve);
    config.dkim.iter_mut().for_each(|d| resolve(&mut d.key));
    config.texts.folder.iter_mut().for_each(resolve);
    config.marketplace.iter_mut().filter_map(|m| m.rules.as_mut()).for_each(resolve);
    if let Some(tls) = &mut config.tls {
        resolve(&mut tls.certificate);
        resolve(&mut tls.key);
    }
    Ok(config)
}

/// Parses a file; `name` stands in errors.
pub(crate) fn parse(text: &str, name: &str, overrides: &[(String, Vec<String>, String)]) -> anyhow::Result<Config> {
    if overrides.is_empty() {
        return toml::from_str(text).map_err(|error| explain(&error, text, name));
    }
    let mut table: toml::Table = toml::from_str(text).map_err(|error| explain(&error, text, name))?;
    for (variable, path, value) in overrides {
        put(&mut table, path, value).with_context(|| format!("environment variable {variable}"))?;
    }
    toml::Value::Table(table).try_into().map_err(|error: toml::de::Error| explain(&error, text, name))
}

/// Environment variables as (name, path, value). `…_FILE` names a file that holds the value.
fn overrides(variables: impl Iterator<Item = (String, String)>) -> anyhow::Result<Vec<(String, Vec<String>, String)>> {
    let mut found = Vec::new();
    for (name, value) in variables {
        let Some(key) = name.strip_prefix(ENV_PREFIX).filter(|key| key.contains(ENV_SEPARATOR) || ENV_TOP_LEVEL.contains(key)) else {
            continue;
        };
        let (key, value) = match key.strip_suffix("_FILE") {
            Some(key) => {
                let secret =
                    std::fs::read_to_string(&value).with_context(|| format!("environment variable {name}: cannot read {value}"))?;
                (key.to_owned(), secret.trim_end().to_owned())
            }
            None => (key.to_owned(), value),
        };
        let path = key.to_ascii_lowercase().split(ENV_SEPARATOR).map(str::to_owned).collect();
        found.push((name, path, value));
    }
    Ok(found)
}

fn put(table: &mut toml::Table, path: &[String], value: &str) -> anyhow::Result<()> {
    match path {
        [] => Ok(()),
        [key] => {
            // Numbers, booleans and lists are written as in the file; anything else is text.
            let parsed = format!("v = {value}").parse::<toml::Table>().ok().and_then(|mut t| t.remove("v"));
            table.insert(key.clone(), parsed.unwrap_or_else(|| toml::Value::String(value.to_owned())));
            Ok(())
        }
        [section, rest @ ..] => match table.entry(section.clone()).or_insert_with(|| toml::Value::Table(toml::Table::new())) {
            toml::Value::Table(inner) => put(inner, rest, value),
            _ => bail!("{section} is no section"),
        },
    }
}

/// The parser's error with file, line, and the nearest known key.
fn explain(error: &toml::de::Error, text: &str, name: &str) -> anyhow::Error {
    fault(error.span(), error.message(), text, name)
}

/// A fault in a file that people write: `FILE:LINE: what is wrong`, with the nearest known key.
pub(crate) fn fault(place: Option<std::ops::Range<usize>>, message: &str, text: &str, name: &str) -> anyhow::Error {
    let place = match place {
        Some(span) => format!("{name}:{}", text[..span.start.min(text.len())].matches('\n').count() + 1),
        None => name.to_owned(),
    };
    let nearest = nearest_key(message).map(|key| format!("; did you mean `{key}`?")).unwrap_or_default();
    anyhow::anyhow!("{place}: {message}{nearest}")
}

/// Out of "unknown field `lisen`, expected one of `listen`, …" the key that was probably meant.
fn nearest_key(message: &str) -> Option<String> {
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let (unknown, known) = quoted.split_first().filter(|_| message.starts_with("unknown field"))?;
    let scored = known.iter().map(|key| (strsim::damerau_levenshtein(unknown, key), *key));
    scored.min().filter(|(distance, key)| *distance <= key.len().div_ceil(2)).map(|(_, key)| key.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINIMAL: &str = "data_dir = \"d\"\n[smtp]\nlisten = [\"127.0.0.1:25\"]\nhostname = \"mx.m.example\"\n[web]\nlisten = \"127.0.0.1:8080\"\n[[marketplace]]\nid = \"es\"\ndomain = \"m.example\"\npostmaster = \"p@shop.example\"\n";

    #[test]
    fn a_typo_names_line_and_nearest_key() {
        let error = parse(&MINIMAL.replace("hostname", "hostnmae"), "t.toml", &[]).unwrap_err().to_string();
        assert!(error.starts_with("t.toml:4: unknown field `hostnmae`") && error.ends_with("did you mean `hostname`?"), "{error}");
        let error = parse(&MINIMAL.replace("\"127.0.0.1:8080\"", "8080"), "t.toml", &[]).unwrap_err().to_string();
        assert!(error.starts_with("t.toml:6: "), "{error}");
    }

    #[test]
    fn the_environment_lies_over_the_file() {
        let variables =
            [("TRADEPOST_DATABASE__URL", "postgres://x"), ("TRADEPOST_SMTP__MAX_SIZE", "1000"), ("TRADEPOST_LOG", "debug"), ("HOME", "/")];
        let overrides = overrides(variables.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned()))).unwrap();
        let config = parse(MINIMAL, "t.toml", &overrides).unwrap();
        assert_eq!((config.database.url.as_deref(), config.smtp.max_size), (Some("postgres://x"), 1000));
    }
}

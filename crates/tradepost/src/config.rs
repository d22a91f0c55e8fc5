//! The configuration file: its shape, its defaults, and errors that name place and remedy.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::Deserialize;

/// Separates section and key in an environment variable: `TRADEPOST_DATABASE__URL`.
const ENV_SEPARATOR: &str = "__";
const ENV_PREFIX: &str = "TRADEPOST_";
/// Keys outside a section. Other variables of the prefix are flags, or somebody else's.
const ENV_TOP_LEVEL: [&str; 4] = ["CARRIER", "DATA_DIR", "DKIM", "MARKETPLACE"];

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
    /// Carriers beside those that the program knows.
    #[serde(default)]
    pub(crate) carrier: Vec<Carrier>,
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
    /// For sellers' mail programs, with STARTTLS (RFC 6409).
    #[serde(default)]
    pub(crate) submission: Vec<SocketAddr>,
    /// The same with TLS from the first octet (RFC 8314).
    #[serde(default)]
    pub(crate) submissions: Vec<SocketAddr>,
    /// Whether every connection begins with a PROXY header.
    #[serde(default)]
    pub(crate) proxy_protocol: bool,
    pub(crate) hostname: String,
    #[serde(default = "max_size")]
    pub(crate) max_size: usize,
    #[serde(default = "max_recipients")]
    pub(crate) max_recipients: usize,
    #[serde(default = "sessions_per_client")]
    pub(crate) sessions_per_client: usize,
    #[serde(default = "sessions")]
    pub(crate) sessions: usize,
    /// Of one client, or of one seller who signed in.
    #[serde(default = "messages_per_minute")]
    pub(crate) messages_per_minute: usize,
    #[serde(default)]
    pub(crate) trusted_relay: Vec<TrustedRelay>,
}

/// A relay of the operator's own that takes the mail first.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TrustedRelay {
    /// Addresses that it connects from, such as `10.0.0.0/24`.
    pub(crate) network: String,
    /// Whose Authentication-Results count (RFC 8601).
    pub(crate) authserv_id: Option<String>,
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

fn messages_per_minute() -> usize {
    1_200
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tls {
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
    pub(crate) acme: Option<Acme>,
}

/// Certificates from an authority that speaks ACME (RFC 8555), instead of files.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Acme {
    #[serde(default = "directory")]
    pub(crate) directory: String,
    /// `mailto:…`
    pub(crate) contact: Option<String>,
    /// Where the authority's questions are answered (HTTP-01).
    pub(crate) listen: SocketAddr,
    /// The authority that vouches for the directory's own certificate, in place of the system's.
    pub(crate) roots: Option<PathBuf>,
}

fn directory() -> String {
    "https://acme-v02.api.letsencrypt.org/directory".to_owned()
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Dkim {
    pub(crate) domain: String,
    pub(crate) selector: String,
    pub(crate) key: PathBuf,
    /// Signs no more, but what it signed is still under way, so that its record stays published.
    #[serde(default)]
    pub(crate) retired: bool,
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
    /// Over all destinations.
    #[serde(default = "all_connections")]
    pub(crate) connections: usize,
    /// Certificate authorities beside the system's.
    pub(crate) roots: Option<PathBuf>,
    /// Port of MTA-STS policies; 443 everywhere but in tests.
    #[serde(default = "mta_sts_port")]
    pub(crate) mta_sts_port: u16,
    /// What is different for one destination.
    #[serde(default)]
    pub(crate) domain: BTreeMap<String, DeliveryDomain>,
}

impl Default for Delivery {
    fn default() -> Self {
        Self {
            route: route(),
            port: port(),
            connections_per_destination: connections(),
            connections: all_connections(),
            roots: None,
            mta_sts_port: mta_sts_port(),
            domain: BTreeMap::new(),
        }
    }
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeliveryDomain {
    pub(crate) tls: Option<TlsPolicy>,
    pub(crate) connections: Option<usize>,
}

/// How a destination is spoken to, whatever its own records say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TlsPolicy {
    /// Encrypted where it is offered.
    Opportunistic,
    /// Encrypted or not at all, whoever answers.
    Required,
    /// With a certificate for the host's name.
    Verified,
    /// In clear.
    Off,
}

fn all_connections() -> usize {
    500
}

fn mta_sts_port() -> u16 {
    443
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
    /// Whether the servers' word counts that an answer is signed (DNSSEC), which DANE rests on.
    #[serde(default)]
    pub(crate) dnssec: Dnssec,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Dnssec {
    /// Where every server is on this machine, so that nobody on the way could say it.
    #[default]
    Auto,
    /// Always: the way to the servers is the operator's own.
    Resolver,
    /// Never: there is no DANE.
    Off,
}

/// A carrier whose notices pass while a parcel is on its way.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Carrier {
    pub(crate) name: String,
    pub(crate) domains: Vec<String>,
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

/// A variable of the environment: its name, the path of the key, the value.
pub(crate) type Override = (String, Vec<String>, String);

/// Reads a file, with environment variables laid over it.
pub(crate) fn load(path: &Path) -> anyhow::Result<Config> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        let remedy = match error.kind() {
            ErrorKind::NotFound => "; give another file with --config, or write one with tradepost init",
            ErrorKind::PermissionDenied => "; run it as the user that owns the file",
            ErrorKind::InvalidData => "; it must be text in UTF-8",
            _ => "",
        };
        anyhow::anyhow!("cannot read {}: {error}{remedy}", path.display())
    })?;
    read(&text, path)
}

/// A text that stands in a file, or is to stand there, with environment variables laid over it.
pub(crate) fn read(text: &str, path: &Path) -> anyhow::Result<Config> {
    let overrides = overrides(std::env::vars())?;
    let mut config = parse(text, &path.display().to_string(), &overrides)?;
    // Paths are meant from where the file is, so that the service can be started from anywhere.
    let base = path.parent().unwrap_or(Path::new("."));
    let resolve = |p: &mut PathBuf| *p = base.join(&*p);
    resolve(&mut config.data_dir);
    config.storage.key.iter_mut().for_each(resolve);
    config.dkim.iter_mut().for_each(|d| resolve(&mut d.key));
    config.texts.folder.iter_mut().for_each(resolve);
    config.marketplace.iter_mut().filter_map(|m| m.rules.as_mut()).for_each(resolve);
    config.delivery.roots.iter_mut().for_each(resolve);
    if let Some(tls) = &mut config.tls {
        tls.certificate.iter_mut().chain(&mut tls.key).for_each(resolve);
        tls.acme.iter_mut().filter_map(|acme| acme.roots.as_mut()).for_each(resolve);
    }
    Ok(config)
}

/// Parses a file; `name` stands in errors.
pub(crate) fn parse(text: &str, name: &str, overrides: &[Override]) -> anyhow::Result<Config> {
    let alone = toml::from_str::<Config>(text);
    if overrides.is_empty() {
        return alone.map_err(|error| explain(&error, text, name));
    }
    let table: toml::Table = toml::from_str(text).map_err(|error| explain(&error, text, name))?;
    let error = match lay(table.clone(), overrides)? {
        Ok(config) => return Ok(config),
        Err(error) => error,
    };
    match alone {
        Err(own) if own.message() == error.message() => Err(explain(&own, text, name)),
        _ => Err(blame(&error, &table, name, overrides)),
    }
}

/// The configuration of a table with variables laid over it.
fn lay(mut table: toml::Table, overrides: &[Override]) -> anyhow::Result<Result<Config, toml::de::Error>> {
    for (variable, path, value) in overrides {
        put(&mut table, path, value).with_context(|| format!("environment variable {variable}"))?;
    }
    Ok(toml::Value::Table(table).try_into())
}

/// An error that the file alone does not have: it belongs to the variable without which it is gone.
fn blame(error: &toml::de::Error, table: &toml::Table, name: &str, overrides: &[Override]) -> anyhow::Error {
    let without = |n: usize| {
        let others: Vec<Override> = overrides.iter().enumerate().filter(|(other, _)| *other != n).map(|(_, o)| o.clone()).collect();
        lay(table.clone(), &others).ok()
    };
    let rest: Vec<_> = (0..overrides.len()).map(without).collect();
    let heals = rest.iter().position(|rest| matches!(rest, Some(Ok(_))));
    // One that brings a key which must be there: without it another error stands in the place of this one.
    let changes = || rest.iter().position(|rest| matches!(rest, Some(Err(other)) if other.message() != error.message()));
    let place = match heals.or_else(changes).and_then(|n| overrides.get(n)) {
        Some((variable, _, _)) => format!("environment variable {variable}"),
        None => format!("{name} with environment variables"),
    };
    anyhow::anyhow!("{place}: {}", words(error.message()))
}

/// Environment variables as (name, path, value). `…_FILE` names a file that holds the value.
fn overrides(variables: impl Iterator<Item = (String, String)>) -> anyhow::Result<Vec<Override>> {
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

/// The parser's error with file, line, key, and the nearest known key.
fn explain(error: &toml::de::Error, text: &str, name: &str) -> anyhow::Error {
    let key = error.span().filter(|_| error.message().starts_with("invalid ")).and_then(|span| key_at(text, span.start));
    let message = key.map_or_else(|| error.message().to_owned(), |key| format!("{key}: {}", error.message()));
    fault(error.span(), &message, text, name)
}

/// The key whose value stands at a place, with its section: `[dns] servers`.
fn key_at(text: &str, at: usize) -> Option<String> {
    let rest = text.get(at..)?;
    let line = rest.lines().next().unwrap_or_default();
    let before = text.get(..at + line.len())?;
    // The value of a list may begin lines before the place.
    let is_key = |key: &str| !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'"'));
    let key = before.lines().rev().find_map(|line| line.split_once('=').map(|(key, _)| key.trim()).filter(|key| is_key(key)))?;
    let mut lines = before.lines().rev().map(|line| line.split('#').next().unwrap_or_default().trim());
    let section = lines.find(|line| line.starts_with('[') && line.ends_with(']') && !line.contains('='));
    let section = section.filter(|line| line[1..].starts_with(|c: char| c == '[' || c.is_ascii_alphabetic()));
    Some(section.map_or_else(|| key.to_owned(), |section| format!("{section} {key}")))
}

/// A message of the parser with what it leaves out.
fn words(message: &str) -> String {
    let nearest = nearest_key(message).map(|key| format!("; did you mean `{key}`?")).unwrap_or_default();
    let is_address = message.contains("socket address");
    let example = if is_address { "; write address and port, like 127.0.0.1:53" } else { "" };
    format!("{message}{nearest}{example}")
}

/// A fault in a file that people write: `FILE:LINE: what is wrong`, with the nearest known key.
pub(crate) fn fault(place: Option<std::ops::Range<usize>>, message: &str, text: &str, name: &str) -> anyhow::Error {
    let place = match place {
        Some(span) => format!("{name}:{}", text[..span.start.min(text.len())].matches('\n').count() + 1),
        None => name.to_owned(),
    };
    anyhow::anyhow!("{place}: {}", words(message))
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
        assert!(error.starts_with("t.toml:6: [web] listen: ") && error.ends_with("like 127.0.0.1:53"), "{error}");
    }

    #[test]
    fn an_address_without_a_port_names_its_key_and_an_example() {
        for (list, line) in [("servers = [\"127.0.0.1\"]", 12), ("servers = [\n\"127.0.0.1:53\",\n\"::1\",\n]", 14)] {
            let error = parse(&format!("{MINIMAL}[dns]\n{list}\n"), "t.toml", &[]).unwrap_err().to_string();
            assert!(error.starts_with(&format!("t.toml:{line}: [dns] servers: ")) && error.ends_with("like 127.0.0.1:53"), "{error}");
        }
        let error = parse(&MINIMAL.replace("127.0.0.1:25", "127.0.0.1"), "t.toml", &[]).unwrap_err().to_string();
        assert!(error.starts_with("t.toml:3: [smtp] listen: "), "{error}");
    }

    #[test]
    fn a_wrong_variable_is_blamed_itself() {
        let variable = |name: &str, value: &str| (format!("TRADEPOST_{name}"), value.to_owned());
        let fine = [variable("DATA_DIR", "/d"), variable("SMTP__HOSTNAME", "mx.m.example")];
        let file = MINIMAL.replace("hostname = \"mx.m.example\"\n", "");
        let error = |wrong: (String, String)| {
            let variables = overrides(fine.clone().into_iter().chain([wrong])).unwrap();
            parse(&file, "t.toml", &variables).unwrap_err().to_string()
        };
        let told = error(variable("SMTP__MAX_SIZE", "many"));
        assert!(told.starts_with("environment variable TRADEPOST_SMTP__MAX_SIZE: "), "{told}");
        let told = error(variable("DNS__SERVERS", "[\"127.0.0.1\"]"));
        assert!(told.starts_with("environment variable TRADEPOST_DNS__SERVERS: ") && told.ends_with("like 127.0.0.1:53"), "{told}");
        let told = error(variable("SMTP__MAXSIZE", "1"));
        assert!(told.starts_with("environment variable TRADEPOST_SMTP__MAXSIZE: ") && told.contains("`max_size`"), "{told}");
        let told = parse(&file, "t.toml", &overrides(fine.into_iter().take(1)).unwrap()).unwrap_err().to_string();
        assert!(told.starts_with("t.toml:") && told.contains("hostname"), "what the file lacks is the file's: {told}");
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

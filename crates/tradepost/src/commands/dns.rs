//! `tradepost dns`: the records to publish, as lines of a zone file.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use aws_lc_rs::digest::{SHA256, digest};
use delivery::Route;
use operations::{Marketplace, Settings};
use rustls::server::ParsedCertificate;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use serde_json::{Value, json};

use crate::commands::ConfigArgument;
use crate::config::Config;
use crate::system::say;
use crate::{app, config, keys};

/// Seconds for which answers may be kept: short enough that a mistake is mended within the hour.
const TTL: u32 = 3_600;
/// Octets of one character-string in TXT (RFC 1035, section 3.3.14).
const TXT_OCTETS: usize = 255;

/// How the records are printed.
#[derive(clap::Args)]
pub(crate) struct DnsArguments {
    #[command(flatten)]
    config: ConfigArgument,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// A record to publish.
pub(crate) struct Record {
    /// Full name, without a dot at the end.
    pub(crate) name: String,
    /// Its type.
    pub(crate) kind: &'static str,
    /// What it says; a TXT in one piece.
    pub(crate) value: String,
    /// Why, or what to mind.
    note: String,
    /// Whether a part of it must be filled in by who publishes it.
    is_model: bool,
}

impl Record {
    fn new(name: impl Into<String>, kind: &'static str, value: impl Into<String>, note: impl Into<String>) -> Self {
        Self { name: name.into(), kind, value: value.into(), note: note.into(), is_model: false }
    }

    fn model(self) -> Self {
        Self { is_model: true, ..self }
    }

    /// The line of a zone file.
    pub(crate) fn line(&self) -> String {
        let value = if self.kind == "TXT" { quoted(&self.value) } else { self.value.clone() };
        format!("{}. {TTL} IN {} {value}", self.name, self.kind)
    }
}

/// A text as the line of a zone file.
pub(crate) fn txt_line(name: &str, text: &str) -> String {
    Record::new(name, "TXT", text, "").line()
}

pub(crate) fn run(arguments: &DnsArguments) -> anyhow::Result<()> {
    let config = config::load(&arguments.config.config)?;
    let at = || arguments.config.config.display().to_string();
    let records = records(&config).with_context(at)?;
    if arguments.json {
        say(&serde_json::to_string_pretty(&as_json(&records))?);
    } else {
        print(&records);
    }
    Ok(())
}

/// Prints the records; those that are not complete stand as comments.
pub(crate) fn print(records: &[Record]) {
    let mut last_note = "";
    for record in records {
        if record.note != last_note {
            say(&format!("; {}", record.note));
            last_note = record.note.as_str();
        }
        say(&format!("{}{}", if record.is_model { "; " } else { "" }, record.line()));
    }
}

/// Every record that the configuration asks for.
pub(crate) fn records(config: &Config) -> anyhow::Result<Vec<Record>> {
    let settings = app::settings(config)?;
    let route = app::route(config)?;
    let mut records = of_host(config, &settings)?;
    for marketplace in &settings.marketplaces {
        records.extend(of_marketplace(config, &settings, marketplace, &route)?);
    }
    Ok(records)
}

fn of_host(config: &Config, settings: &Settings) -> anyhow::Result<Vec<Record>> {
    let host = settings.hostname.as_str();
    let is_public = |ip: &IpAddr| !ip.is_unspecified() && !ip.is_loopback();
    let addresses: Vec<IpAddr> = config.smtp.listen.iter().map(|a| a.ip()).filter(is_public).collect();
    let mut records: Vec<Record> =
        addresses.iter().map(|ip| Record::new(host, if ip.is_ipv4() { "A" } else { "AAAA" }, ip.to_string(), "this machine")).collect();
    if records.is_empty() {
        let note = "this machine: put its public address in place of ADDRESS (AAAA as well if it has IPv6)";
        records.push(Record::new(host, "A", "ADDRESS", note).model());
    }
    let note = "whoever gives you the address (the hosting provider) sets its reverse name; receivers look at it";
    match addresses.as_slice() {
        [] => records.push(Record::new("REVERSE-OF-ADDRESS", "PTR", format!("{host}."), note).model()),
        some => records.extend(some.iter().map(|ip| Record::new(reverse_name(*ip), "PTR", format!("{host}."), note).model())),
    }
    // RFC 7208, section 2.4: notices have a null reverse-path, so their SPF is that of the name in EHLO. A domain has one record.
    if !settings.marketplaces.iter().any(|m| m.domain.as_str() == host) {
        records.push(Record::new(host, "TXT", "v=spf1 a -all", "SPF of our own name, for messages with a null reverse-path"));
    }
    if let Some(certificate) = certificate_file(config) {
        let note = "DANE, of use where this zone is signed (DNSSEC): renew with the same key, or publish the new hash two days before";
        records.push(Record::new(format!("_25._tcp.{host}"), "TLSA", format!("3 1 1 {}", key_hash(&certificate)?), note));
    }
    Ok(records)
}

fn of_marketplace(config: &Config, settings: &Settings, m: &Marketplace, route: &Route) -> anyhow::Result<Vec<Record>> {
    let domain = m.domain.as_str();
    let mut records = vec![Record::new(domain, "MX", format!("10 {}.", settings.hostname), format!("marketplace {}", m.id.as_str()))];
    records.push(match route {
        Route::Mx { .. } => Record::new(domain, "TXT", "v=spf1 mx -all", "who may send for the domain: this machine, nobody else"),
        Route::Smtp { .. } => {
            let note = "who may send for the domain: your provider tells you what to include in place of PROVIDER";
            Record::new(domain, "TXT", "v=spf1 include:PROVIDER -all", note).model()
        }
    });
    for dkim in config.dkim.iter().filter(|d| d.domain.eq_ignore_ascii_case(domain)) {
        let signer = keys::signer(dkim)?;
        records.push(Record::new(signer.dns_name(), "TXT", signer.dns_record(), "the key that verifies our signatures (DKIM)"));
    }
    let note = "what receivers do with mail that is not ours (DMARC); with p=quarantine in its place for the first weeks you risk less";
    let policy = format!("v=DMARC1; p=reject; rua=mailto:postmaster@{domain}");
    records.push(Record::new(format!("_dmarc.{domain}"), "TXT", policy, note));
    Ok(records)
}

/// The certificate, where it stands in a file that the operator renews.
pub(crate) fn certificate_file(config: &Config) -> Option<PathBuf> {
    config.tls.as_ref().and_then(|tls| tls.certificate.clone())
}

/// SHA-256 of the certificate's public key (RFC 6698, section 2.1: selector 1, matching type 1).
fn key_hash(path: &Path) -> anyhow::Result<String> {
    let unreadable = || format!("[tls] certificate {}: cannot be read as PEM", path.display());
    let certificate = CertificateDer::from_pem_file(path).with_context(unreadable)?;
    let parsed = ParsedCertificate::try_from(&certificate).with_context(unreadable)?;
    let hash = digest(&SHA256, parsed.subject_public_key_info().as_ref());
    Ok(hash.as_ref().iter().map(|b| format!("{b:02x}")).collect())
}

/// The name under which an address has its reverse record (RFC 1035, section 3.5; RFC 3596, section 2.5).
pub(crate) fn reverse_name(address: IpAddr) -> String {
    match address {
        IpAddr::V4(ip) => {
            let [a, b, c, d] = ip.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(ip) => {
            let nibbles = ip.octets().into_iter().rev().map(|octet| format!("{:x}.{:x}.", octet & 15, octet >> 4));
            format!("{}ip6.arpa", nibbles.collect::<String>())
        }
    }
}

/// A text as quoted strings that are short enough.
fn quoted(text: &str) -> String {
    let pieces = text.as_bytes().chunks(TXT_OCTETS).map(|piece| {
        let piece = String::from_utf8_lossy(piece).replace('\\', "\\\\").replace('"', "\\\"");
        format!("\"{piece}\"")
    });
    pieces.collect::<Vec<_>>().join(" ")
}

fn as_json(records: &[Record]) -> Value {
    let record =
        |r: &Record| json!({ "name": r.name, "type": r.kind, "value": r.value, "ttl": TTL, "complete": !r.is_model, "note": r.note });
    json!({ "records": records.iter().map(record).collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_split_into_strings_of_255_octets() {
        let line = Record::new("tp1._domainkey.m.example", "TXT", "x".repeat(600), "").line();
        let pieces: Vec<usize> = line.split('"').skip(1).step_by(2).map(str::len).collect();
        assert_eq!(pieces, [255, 255, 90]);
        assert!(line.starts_with("tp1._domainkey.m.example. 3600 IN TXT \""), "{line}");
    }

    #[test]
    fn reverse_names_of_both_families() {
        assert_eq!(reverse_name("192.0.2.25".parse().unwrap()), "25.2.0.192.in-addr.arpa");
        let six = reverse_name("2001:db8::1".parse().unwrap());
        assert!(six.starts_with("1.0.0.0.0.0.0.0.") && six.ends_with(".8.b.d.0.1.0.0.2.ip6.arpa"), "{six}");
    }
}

//! What stands in the DNS: MX, addresses, reverse names, SPF, DKIM, DMARC.

use std::net::IpAddr;

use delivery::Route;
use mail::Mailbox;
use operations::{Marketplace, Verdict};
use smtp_server::Origin;

use super::ask::{Published, Silent, tag};
use super::{Findings, Patient, State, dane};
use crate::commands::dkim::{Standing, standings};
use crate::commands::dns::{reverse_name, txt_line};
use crate::keys;

/// Why what hangs on the address of our host is not looked at.
pub(super) const NO_ADDRESS: &str = "our host has no address";

/// Everything that names say; gives the addresses of our host.
pub(super) async fn examine(patient: &Patient<'_>, findings: &mut Findings) -> Vec<IpAddr> {
    let addresses = host(patient, findings).await;
    greeting_policy(patient, &addresses, findings).await;
    dane::examine(patient, findings).await;
    for marketplace in &patient.settings.marketplaces {
        exchangers(patient, marketplace, findings).await;
        sender_policy(patient, marketplace, &addresses, findings).await;
        signatures(patient, marketplace, findings).await;
        receiver_policy(patient, marketplace, findings).await;
    }
    addresses
}

async fn host(patient: &Patient<'_>, findings: &mut Findings) -> Vec<IpAddr> {
    let host = patient.settings.hostname.as_str();
    let check = format!("A {host}");
    let addresses = match patient.dns.addresses(host).await {
        Err(Silent) => {
            findings.silent(check);
            findings.skip(format!("PTR of {host}"), NO_ADDRESS);
            return Vec::new();
        }
        Ok(none) if none.is_empty() => {
            findings.fail(check, "no A or AAAA record", format!("publish the public address of this machine as {host} A (and AAAA)"));
            findings.skip(format!("PTR of {host}"), NO_ADDRESS);
            return none;
        }
        Ok(found) => found,
    };
    findings.ok(check, addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
    for address in &addresses {
        reverse(patient, *address, findings).await;
    }
    addresses
}

/// Receivers look whether the address has a name that leads back to it. Behind a provider it is the provider's that counts.
async fn reverse(patient: &Patient<'_>, address: IpAddr, findings: &mut Findings) {
    let host = patient.settings.hostname.as_str();
    let check = format!("PTR {}", reverse_name(address));
    let fault = if matches!(patient.route, Route::Mx { .. }) { State::Fail } else { State::Warn };
    let remedy = format!("let whoever gives you {address} (the hosting provider) set its reverse name to {host}");
    let names = match patient.dns.names(address).await {
        Err(Silent) => return findings.silent(check),
        Ok(names) => names,
    };
    let Some(first) = names.first() else {
        return findings.put(fault, check, "no record", remedy);
    };
    let mut is_silent = false;
    for name in &names {
        match patient.dns.addresses(name).await {
            Ok(found) if found.contains(&address) && name == host => return findings.ok(check, name.as_str()),
            Ok(found) if found.contains(&address) => {
                return findings.warn(check, format!("{name}, not the name in our greeting"), remedy);
            }
            Ok(_) => {}
            Err(Silent) => is_silent = true,
        }
    }
    if is_silent {
        return findings.silent(check);
    }
    findings.put(fault, check, format!("{first}, which does not lead back to {address}"), remedy);
}

async fn exchangers(patient: &Patient<'_>, marketplace: &Marketplace, findings: &mut Findings) {
    let (domain, host) = (marketplace.domain.as_str(), patient.settings.hostname.as_str());
    let check = format!("MX {domain}");
    let found = match patient.dns.exchangers(domain).await {
        Err(Silent) => return findings.silent(check),
        Ok(found) => found,
    };
    let said = found.iter().map(|(preference, name)| format!("{preference} {name}")).collect::<Vec<_>>().join(", ");
    let publish = format!("publish: {domain}. IN MX 10 {host}.");
    if found.is_empty() {
        findings.fail(check, "no record", format!("{publish} Without it no answer reaches an alias"));
    } else if !found.iter().any(|(_, name)| name == host) {
        findings.fail(check, format!("{said}: not {host}"), format!("{publish} Now mail to aliases goes elsewhere"));
    } else if found.len() > 1 {
        let remedy = format!("see that every other host passes its mail on to {host} ([[smtp.trusted_relay]]), or remove it");
        findings.warn(check, said, remedy);
    } else {
        findings.ok(check, said);
    }
}

async fn sender_policy(patient: &Patient<'_>, marketplace: &Marketplace, host: &[IpAddr], findings: &mut Findings) {
    let domain = marketplace.domain.as_str();
    let check = format!("SPF {domain}");
    let texts = match patient.dns.texts(domain).await {
        Err(Silent) => return findings.silent(check),
        Ok(texts) => texts,
    };
    let policies: Vec<&String> = texts.iter().filter(|text| is_sender_policy(text)).collect();
    let own = txt_line(domain, "v=spf1 mx -all");
    match policies.as_slice() {
        [] => {
            let publish = match patient.route {
                Route::Mx { .. } => format!("publish: {own}"),
                Route::Smtp { .. } => {
                    format!("publish a TXT of {domain} that begins with v=spf1 and includes what your provider tells you")
                }
            };
            findings.fail(check, "no TXT record that begins with v=spf1", publish);
        }
        [policy] => match patient.route {
            Route::Mx { .. } => listed(patient, postmaster(marketplace), check, policy, &own, host, findings).await,
            // What a provider sends from is its own affair; it stands behind its include.
            Route::Smtp { .. } if policy.contains("include:") || policy.contains("redirect=") => findings.ok(check, policy.as_str()),
            Route::Smtp { host, .. } => {
                let Ok(servers) = patient.dns.addresses(host).await else { return findings.silent(check) };
                match unlisted(patient, &postmaster(marketplace), &servers).await {
                    Err(Silent) => findings.silent(check),
                    Ok(missing) if missing.len() < servers.len() => findings.ok(check, policy.as_str()),
                    Ok(_) => {
                        let remedy = format!("the mail of {domain} leaves through {host}: include what your provider tells you");
                        findings.warn(check, format!("\"{policy}\" lists no provider"), remedy);
                    }
                }
            }
        },
        several => {
            findings.fail(check, format!("{} records that begin with v=spf1", several.len()), "keep one; with two, receivers take none");
        }
    }
}

/// RFC 7208, section 2.4: notices have a null reverse-path, so that receivers check the name in EHLO. A provider greets
/// with its own.
async fn greeting_policy(patient: &Patient<'_>, addresses: &[IpAddr], findings: &mut Findings) {
    let host = patient.settings.hostname.as_str();
    // A domain has one record.
    if !matches!(patient.route, Route::Mx { .. }) || patient.settings.marketplaces.iter().any(|m| m.domain.as_str() == host) {
        return;
    }
    let check = format!("SPF {host}");
    let Ok(texts) = patient.dns.texts(host).await else { return findings.silent(check) };
    let policies: Vec<&String> = texts.iter().filter(|text| is_sender_policy(text)).collect();
    let own = txt_line(host, "v=spf1 a -all");
    match policies.as_slice() {
        [] => findings.warn(check, "no TXT record that begins with v=spf1; notices have no other", format!("publish: {own}")),
        [policy] => listed(patient, None, check, policy, &own, addresses, findings).await,
        several => {
            findings.fail(check, format!("{} records that begin with v=spf1", several.len()), "keep one; with two, receivers take none");
        }
    }
}

/// RFC 7208, section 4.5.
fn is_sender_policy(text: &str) -> bool {
    text.split(' ').next().is_some_and(|version| version.eq_ignore_ascii_case("v=spf1"))
}

/// Whether a policy lists our addresses.
async fn listed(
    patient: &Patient<'_>,
    reverse_path: Option<Mailbox>,
    check: String,
    policy: &str,
    own: &str,
    addresses: &[IpAddr],
    findings: &mut Findings,
) {
    if addresses.is_empty() {
        return findings.skip(check, NO_ADDRESS);
    }
    let missing = match unlisted(patient, &reverse_path, addresses).await {
        Err(Silent) => return findings.silent(check),
        Ok(missing) => missing,
    };
    if missing.is_empty() {
        return findings.ok(check, policy);
    }
    let missing = missing.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ");
    findings.fail(check, format!("\"{policy}\" does not list {missing}"), format!("list this machine, for example: {own}"));
}

fn postmaster(marketplace: &Marketplace) -> Option<Mailbox> {
    Mailbox::new("postmaster", marketplace.domain.clone()).ok()
}

/// Addresses from which our mail would not pass.
async fn unlisted(patient: &Patient<'_>, reverse_path: &Option<Mailbox>, addresses: &[IpAddr]) -> Result<Vec<IpAddr>, Silent> {
    let host = patient.settings.hostname.as_str();
    // Only the envelope counts for SPF; the message is there because there must be one.
    let from = reverse_path.as_ref().map_or_else(|| format!("postmaster@{host}"), Mailbox::to_wire);
    let message = format!("From: {from}\r\n\r\n");
    let mut missing = Vec::new();
    for address in addresses {
        let said = patient.authenticator.authenticate(Origin::Client(*address), host, reverse_path, message.as_bytes()).await;
        match said.spf {
            Verdict::Pass => {}
            Verdict::TempError => return Err(Silent),
            Verdict::Fail | Verdict::None => missing.push(*address),
        }
    }
    Ok(missing)
}

async fn signatures(patient: &Patient<'_>, marketplace: &Marketplace, findings: &mut Findings) {
    let domain = marketplace.domain.as_str();
    let keys = standings(patient.config, domain);
    if keys.is_empty() {
        findings.fail(format!("DKIM {domain}"), "no [[dkim]] key", format!("make one: tradepost dkim rotate --domain {domain}"));
    }
    for (key, standing) in keys {
        let Ok(signer) = keys::signer(key) else {
            findings.skip(format!("DKIM {}._domainkey.{domain}", key.selector), "its key cannot be read");
            continue;
        };
        let (name, record) = (signer.dns_name(), signer.dns_record());
        let check = format!("DKIM {name}");
        let publish = format!("publish: {}", txt_line(&name, &record));
        let fault = if standing == Standing::Signs { State::Fail } else { State::Warn };
        match (patient.dns.published_key(&name, &record).await, standing) {
            (Published::Unknown, _) => findings.silent(check),
            (Published::Same, Standing::Signs) => findings.ok(check, "our key; it signs"),
            (Published::Same, Standing::Waits) => findings.ok(check, "our next key; `tradepost dkim rotate` lets it sign"),
            (Published::Same, Standing::Retired) => findings.ok(check, "our key before; `tradepost dkim retire` takes it away"),
            (_, Standing::Retired) => {
                let remedy = format!("take it out of the configuration: tradepost dkim retire --selector {}", key.selector);
                findings.warn(check, "a retired key that is published no more", remedy);
            }
            (Published::Nothing, _) => findings.put(fault, check, "no record", publish),
            (Published::Other(what), _) => findings.put(fault, check, what, publish),
        }
    }
}

async fn receiver_policy(patient: &Patient<'_>, marketplace: &Marketplace, findings: &mut Findings) {
    let domain = marketplace.domain.as_str();
    let name = format!("_dmarc.{domain}");
    let check = format!("DMARC {name}");
    let texts = match patient.dns.texts(&name).await {
        Err(Silent) => return findings.silent(check),
        Ok(texts) => texts,
    };
    let is_policy = |text: &&String| tag(text, "v").is_some_and(|version| version.eq_ignore_ascii_case("DMARC1"));
    let policies: Vec<&String> = texts.iter().filter(is_policy).collect();
    let publish = format!("publish: {}", txt_line(&name, &format!("v=DMARC1; p=reject; rua=mailto:postmaster@{domain}")));
    match policies.as_slice() {
        [] => findings.fail(check, "no TXT record with v=DMARC1", publish),
        // Our From and our signatures are of this very domain, so that they are aligned however strict it asks (RFC 9989).
        [policy] => match tag(policy, "p").unwrap_or_default().to_ascii_lowercase().as_str() {
            "reject" | "quarantine" => findings.ok(check, policy.as_str()),
            "none" => {
                let remedy = "with p=quarantine, later p=reject, nobody else can write in the name of your aliases";
                findings.warn(check, "p=none asks receivers for nothing", remedy);
            }
            _ => findings.fail(check, format!("\"{policy}\" has no policy p"), publish),
        },
        several => {
            findings.fail(check, format!("{} records with v=DMARC1", several.len()), "keep one; with two, receivers take none (RFC 9989)");
        }
    }
}

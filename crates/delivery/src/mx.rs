//! Which hosts take the mail of a domain (RFC 5321, section 5.1; RFC 7505).

use std::net::IpAddr;

use hickory_resolver::TokioResolver;
use hickory_resolver::proto::rr::RData;

/// Most hosts tried for one delivery.
const MAX_HOSTS: usize = 5;

/// How mail leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// By the MX of the recipient's domain, on this port (25 but for tests).
    Mx {
        /// The port.
        port: u16,
    },
    /// Everything through one server.
    Smtp {
        /// Its name.
        host: String,
        /// Its port.
        port: u16,
        /// User and password, sent over TLS only.
        credentials: Option<(String, String)>,
    },
}

/// A host to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) address: IpAddr,
    pub(crate) port: u16,
}

/// Why there is no host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoHost {
    /// The domain does not exist or takes no mail: permanent, with its status code.
    Never(&'static str),
    /// The DNS does not answer: transient.
    NotNow,
}

/// The hosts for a domain, best first.
pub(crate) async fn hosts(resolver: &TokioResolver, route: &Route, domain: &str, our_hostname: &str) -> Result<Vec<Host>, NoHost> {
    match route {
        Route::Smtp { host, port, .. } => addresses(resolver, host, *port).await,
        Route::Mx { port } => {
            let literal = domain.strip_prefix('[').and_then(|d| d.strip_suffix(']'));
            if let Some(address) = literal.and_then(|l| l.trim_start_matches("ipv6:").parse().ok()) {
                return Ok(vec![Host { name: domain.to_owned(), address, port: *port }]);
            }
            let mut found = Vec::new();
            let mut last = NoHost::Never("5.4.4");
            for name in exchangers(resolver, domain, our_hostname).await? {
                match addresses(resolver, &name, *port).await {
                    Ok(hosts) => found.extend(hosts),
                    Err(none) => last = none,
                }
            }
            found.truncate(MAX_HOSTS);
            if found.is_empty() { Err(last) } else { Ok(found) }
        }
    }
}

async fn exchangers(resolver: &TokioResolver, domain: &str, our_hostname: &str) -> Result<Vec<String>, NoHost> {
    let lookup = match resolver.mx_lookup(format!("{domain}.")).await {
        Ok(lookup) => lookup,
        // RFC 5321, section 5.1: without an MX the domain itself is the host.
        Err(error) if error.is_no_records_found() && !error.is_nx_domain() => return Ok(vec![domain.to_owned()]),
        Err(error) if error.is_nx_domain() => return Err(NoHost::Never("5.1.2")),
        Err(_) => return Err(NoHost::NotNow),
    };
    let mut exchangers: Vec<(u16, String)> = lookup
        .answers()
        .iter()
        .filter_map(|record| match &record.data {
            RData::MX(mx) => Some((mx.preference, mx.exchange.to_utf8().trim_end_matches('.').to_ascii_lowercase())),
            _ => None,
        })
        .collect();
    if exchangers.is_empty() {
        return Ok(vec![domain.to_owned()]);
    }
    exchangers.sort();
    // RFC 7505: a lone "." takes no mail.
    if exchangers.iter().all(|(_, name)| name.is_empty()) {
        return Err(NoHost::Never("5.1.10"));
    }
    // RFC 5321, section 5.1: only hosts preferred to ourselves, else mail goes round.
    if let Some(ours) = exchangers.iter().position(|(_, name)| name == our_hostname) {
        exchangers.truncate(ours);
        if exchangers.is_empty() {
            return Err(NoHost::Never("5.4.6"));
        }
    }
    Ok(exchangers.into_iter().map(|(_, name)| name).filter(|name| !name.is_empty()).collect())
}

async fn addresses(resolver: &TokioResolver, name: &str, port: u16) -> Result<Vec<Host>, NoHost> {
    if let Ok(address) = name.parse() {
        return Ok(vec![Host { name: name.to_owned(), address, port }]);
    }
    if name == "localhost" {
        return Ok(vec![Host { name: name.to_owned(), address: IpAddr::from([127, 0, 0, 1]), port }]);
    }
    match resolver.lookup_ip(format!("{name}.")).await {
        Ok(found) => Ok(found.iter().take(MAX_HOSTS).map(|address| Host { name: name.to_owned(), address, port }).collect()),
        Err(error) if error.is_no_records_found() => Err(NoHost::Never("5.4.4")),
        Err(_) => Err(NoHost::NotNow),
    }
}

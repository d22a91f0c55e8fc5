//! Which hosts take the mail of a domain (RFC 5321, section 5.1; RFC 7505).

use std::net::IpAddr;

use domain::Random;
use hickory_resolver::proto::rr::{RData, RecordType};

use crate::dns::{Addresses, Answer, Dns, plain};

/// Hosts of one domain that are tried for one delivery.
const MAX_HOSTS: usize = 5;
/// Addresses of one host that are tried (RFC 5321, section 5.1: at least two); one of each kind where there are both.
pub(crate) const MAX_ADDRESSES: usize = 2;

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
        /// User and password, sent over TLS with a valid certificate only.
        credentials: Option<(String, String)>,
        /// TLS from the first octet on (RFC 8314, section 3.3) and not by STARTTLS.
        implicit_tls: bool,
    },
}

/// Why there is no host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoHost {
    /// The domain does not exist or takes no mail: permanent, with its status code.
    Never(&'static str),
    /// The DNS does not answer: transient.
    NotNow,
}

/// The hosts of a domain.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Exchangers {
    /// Their names, best first.
    pub(crate) names: Vec<String>,
    /// Whether that they are the domain's is authentic.
    pub(crate) is_authentic: bool,
}

/// The address of a domain literal, `[192.0.2.1]` or `[IPv6:2001:db8::1]`.
pub(crate) fn literal(domain: &str) -> Option<IpAddr> {
    let inner = domain.strip_prefix('[')?.strip_suffix(']')?;
    inner.trim_start_matches("ipv6:").parse().ok()
}

/// The hosts for a domain, best first.
pub(crate) async fn exchangers(dns: &Dns, domain: &str, our_hostname: &str, random: &dyn Random) -> Result<Exchangers, NoHost> {
    match dns.ask(domain, RecordType::MX).await {
        Answer::Found { data, is_authentic, .. } => {
            let records = data.iter().filter_map(|data| match data {
                RData::MX(mx) => Some((mx.preference, plain(&mx.exchange))),
                _ => None,
            });
            Ok(Exchangers { names: in_order(records.collect(), our_hostname, random)?, is_authentic })
        }
        // RFC 5321, section 5.1: without an MX the domain itself is the host.
        Answer::Nothing { name_exists: true, is_authentic } => Ok(Exchangers { names: vec![domain.to_owned()], is_authentic }),
        Answer::Nothing { name_exists: false, .. } => Err(NoHost::Never("5.1.2")),
        Answer::Failed => Err(NoHost::NotNow),
    }
}

fn in_order(mut records: Vec<(u16, String)>, our_hostname: &str, random: &dyn Random) -> Result<Vec<String>, NoHost> {
    // RFC 7505: a lone "." takes no mail.
    if records.iter().all(|(_, name)| name.is_empty()) {
        return Err(NoHost::Never("5.1.10"));
    }
    records.retain(|(_, name)| !name.is_empty());
    // RFC 5321, section 5.1: only hosts preferred to ourselves, else mail goes round.
    let ours = records.iter().filter(|(_, name)| name.eq_ignore_ascii_case(our_hostname)).map(|(preference, _)| *preference).min();
    if let Some(ours) = ours {
        records.retain(|(preference, _)| *preference < ours);
    }
    if records.is_empty() {
        return Err(NoHost::Never("5.4.6"));
    }
    // Hosts of the same preference share the load: each time another order.
    records.sort_by_cached_key(|(preference, _)| {
        let mut chance = [0; 4];
        random.fill(&mut chance);
        (*preference, chance)
    });
    Ok(records.into_iter().map(|(_, name)| name).take(MAX_HOSTS).collect())
}

/// The addresses of a host.
pub(crate) async fn addresses(dns: &Dns, name: &str) -> Result<Addresses, NoHost> {
    let known = |address| Addresses { found: vec![address], is_failed: false, is_authentic: false, canonical: name.to_owned() };
    if let Ok(address) = name.parse() {
        return Ok(known(address));
    }
    if name == "localhost" {
        return Ok(known(IpAddr::from([127, 0, 0, 1])));
    }
    let addresses = dns.addresses(name).await;
    match (addresses.is_failed, addresses.found.is_empty()) {
        (true, _) => Err(NoHost::NotNow),
        (false, true) => Err(NoHost::Never("5.4.4")),
        (false, false) => Ok(addresses),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::*;

    /// Counts, so that each draw is larger than the last.
    #[derive(Default)]
    struct Counting(AtomicU8);

    impl Random for Counting {
        fn fill(&self, octets: &mut [u8]) {
            octets.fill(self.0.fetch_add(1, Ordering::Relaxed));
        }
    }

    /// Draws downwards.
    struct Backwards(Counting);

    impl Random for Backwards {
        fn fill(&self, octets: &mut [u8]) {
            self.0.fill(octets);
            octets.iter_mut().for_each(|octet| *octet = !*octet);
        }
    }

    fn order(records: &[(u16, &str)], random: &dyn Random) -> Result<Vec<String>, NoHost> {
        in_order(records.iter().map(|(preference, name)| (*preference, (*name).to_owned())).collect(), "us.test", random)
    }

    #[test]
    fn hosts_of_one_preference_take_turns_and_the_others_do_not() {
        let records = [(20, "c.test"), (10, "a.test"), (10, "b.test")];
        assert_eq!(order(&records, &Counting::default()).unwrap(), ["a.test", "b.test", "c.test"]);
        assert_eq!(order(&records, &Backwards(Counting::default())).unwrap(), ["b.test", "a.test", "c.test"]);
    }

    #[test]
    fn mail_goes_only_to_hosts_preferred_to_ourselves() {
        let random = Counting::default();
        assert_eq!(order(&[(10, "a.test"), (20, "us.test"), (20, "b.test"), (30, "c.test")], &random).unwrap(), ["a.test"]);
        assert_eq!(order(&[(10, "us.test"), (10, "a.test")], &random), Err(NoHost::Never("5.4.6")));
    }

    #[test]
    fn a_null_mx_takes_no_mail() {
        let random = Counting::default();
        assert_eq!(order(&[(0, "")], &random), Err(NoHost::Never("5.1.10")));
        assert_eq!(order(&[(0, ""), (10, "a.test")], &random).unwrap(), ["a.test"]);
    }

    #[test]
    fn literals_are_addresses() {
        assert_eq!(literal("[192.0.2.1]"), Some(IpAddr::from([192, 0, 2, 1])));
        assert!(literal("[ipv6:2001:db8::1]").is_some_and(|address| address.is_ipv6()));
        assert!(literal("192.0.2.1").is_none() && literal("[x]").is_none());
    }
}

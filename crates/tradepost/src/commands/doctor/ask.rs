//! Questions to the configured name servers.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use domain::Random;
use hickory_resolver::TokioResolver;
use hickory_resolver::proto::rr::rdata::TLSA;
use hickory_resolver::proto::rr::{RData, RecordType};

use crate::commands::dns::reverse_name;
use crate::config::Config;
use crate::system::SystemCsprng;

/// The DNS does not answer: nothing can be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Silent;

/// What stands in the DNS in the place of a DKIM key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Published {
    /// Our key.
    Same,
    /// No record.
    Nothing,
    /// Something else; the words go behind the name of the record.
    Other(String),
    /// The DNS does not answer.
    Unknown,
}

/// The name servers of the configuration.
pub(crate) struct Dns<'a> {
    resolver: &'a TokioResolver,
    servers: Vec<SocketAddr>,
    random: Arc<dyn Random>,
}

impl<'a> Dns<'a> {
    pub(crate) fn new(resolver: &'a TokioResolver, config: &Config) -> Self {
        let servers = if config.dns.servers.is_empty() { delivery::system_servers() } else { config.dns.servers.clone() };
        Self { resolver, servers, random: Arc::new(SystemCsprng::new()) }
    }

    /// The texts of a name, each in one piece.
    pub(crate) async fn texts(&self, name: &str) -> Result<Vec<String>, Silent> {
        let text = |data: RData| match data {
            RData::TXT(txt) => {
                let octets: Vec<u8> = txt.txt_data.iter().flat_map(|piece| piece.iter().copied()).collect();
                Some(String::from_utf8_lossy(&octets).into_owned())
            }
            _ => None,
        };
        Ok(self.records(name, RecordType::TXT).await?.into_iter().filter_map(text).collect())
    }

    /// The mail exchangers of a domain, best first.
    pub(crate) async fn exchangers(&self, domain: &str) -> Result<Vec<(u16, String)>, Silent> {
        let exchanger = |data: RData| match data {
            RData::MX(mx) => Some((mx.preference, plain(&mx.exchange.to_utf8()))),
            _ => None,
        };
        let mut found: Vec<(u16, String)> = self.records(domain, RecordType::MX).await?.into_iter().filter_map(exchanger).collect();
        found.sort();
        Ok(found)
    }

    /// The addresses of a host, of both families.
    pub(crate) async fn addresses(&self, host: &str) -> Result<Vec<IpAddr>, Silent> {
        if let Ok(address) = host.parse() {
            return Ok(vec![address]);
        }
        if host == "localhost" {
            return Ok(vec![IpAddr::from([127, 0, 0, 1])]);
        }
        let address = |data: RData| match data {
            RData::A(a) => Some(IpAddr::V4(a.0)),
            RData::AAAA(aaaa) => Some(IpAddr::V6(aaaa.0)),
            _ => None,
        };
        let (four, six) = (self.records(host, RecordType::A).await, self.records(host, RecordType::AAAA).await);
        if four.is_err() && six.is_err() {
            return Err(Silent);
        }
        Ok(four.unwrap_or_default().into_iter().chain(six.unwrap_or_default()).filter_map(address).collect())
    }

    /// The names of an address.
    pub(crate) async fn names(&self, address: IpAddr) -> Result<Vec<String>, Silent> {
        let name = |data: RData| match data {
            RData::PTR(ptr) => Some(plain(&ptr.0.to_utf8())),
            _ => None,
        };
        Ok(self.records(&reverse_name(address), RecordType::PTR).await?.into_iter().filter_map(name).collect())
    }

    /// The certificates that a name announces (RFC 6698).
    pub(crate) async fn associations(&self, name: &str) -> Result<Vec<TLSA>, Silent> {
        let association = |data: RData| match data {
            RData::TLSA(tlsa) => Some(tlsa),
            _ => None,
        };
        Ok(self.records(name, RecordType::TLSA).await?.into_iter().filter_map(association).collect())
    }

    /// Whether a DKIM record is ours.
    pub(crate) async fn published_key(&self, name: &str, ours: &str) -> Published {
        match self.texts(name).await {
            Ok(texts) => judge_key(&texts, ours),
            Err(Silent) => Published::Unknown,
        }
    }

    async fn records(&self, name: &str, kind: RecordType) -> Result<Vec<RData>, Silent> {
        delivery::look_up(self.resolver, &self.servers, Arc::clone(&self.random), name, kind).await.ok_or(Silent)
    }
}

fn plain(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

/// The value of a tag in a tag list (RFC 6376, section 3.2), without white space.
pub(super) fn tag(record: &str, name: &str) -> Option<String> {
    let value = record.split(';').filter_map(|t| t.split_once('=')).find(|(key, _)| key.trim().eq_ignore_ascii_case(name));
    value.map(|(_, value)| value.split_whitespace().collect())
}

fn judge_key(texts: &[String], ours: &str) -> Published {
    let keys: Vec<&String> = texts.iter().filter(|text| tag(text, "p").is_some()).collect();
    let kind = |record: &str| tag(record, "k").unwrap_or_else(|| "rsa".to_owned());
    match keys.as_slice() {
        [] if texts.is_empty() => Published::Nothing,
        [] => Published::Other("holds no key".to_owned()),
        [key] if tag(key, "p").is_some_and(|p| p.is_empty()) => Published::Other("is revoked (p= is empty)".to_owned()),
        [key] if tag(key, "p") == tag(ours, "p") && kind(key) == kind(ours) => Published::Same,
        [_] => Published::Other("holds another key".to_owned()),
        several => Published::Other(format!("stands there {} times; keep one", several.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_compared_by_what_it_says() {
        let ours = "v=DKIM1; k=rsa; p=MIIB";
        let judge = |texts: &[&str]| judge_key(&texts.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>(), ours);
        assert_eq!(judge(&["v=DKIM1; p=MI IB;"]), Published::Same, "rsa is the default, white space is none");
        assert_eq!(judge(&[]), Published::Nothing);
        for other in [&["p=MIIC"][..], &["p="], &["k=ed25519; p=MIIB"], &["hello"], &[ours, ours]] {
            assert!(matches!(judge(other), Published::Other(_)), "{other:?}");
        }
    }
}

//! SPF (RFC 7208), DKIM (RFC 6376) and DMARC (RFC 9989) of every message, and whether From is aligned.
//!
//! Alignment decides who may write (product B), so it errs on the side of refusing: where the domain of
//! From publishes a DMARC record, that record says what is aligned; where it does not, only the very same
//! domain is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use mail::{Domain, Mailbox, ReversePath};
use mail_auth::dmarc::verify::DmarcParameters;
use mail_auth::spf::verify::SpfParameters;
use mail_auth::{
    AuthenticatedMessage, DkimOutput, DkimResult, DmarcResult, MX, MessageAuthenticator, Parameters, RecordSet, SpfOutput, SpfResult, Txt,
};
use operations::{Authentication, Verdict};

use crate::authentication_results::believe;
use crate::cache::DnsCache;

/// How long all lookups for one message may take; afterwards it is "try again later".
const DEADLINE: Duration = Duration::from_secs(20);
/// How long one server is given, and how often it is asked.
const QUERY_TIMEOUT: Duration = Duration::from_secs(2);
const QUERY_ATTEMPTS: usize = 2;
/// Most signatures that are verified; a message with more is an attack on our CPU.
const MAX_SIGNATURES: usize = 10;

/// Where a message comes from.
#[derive(Debug, Clone, Copy)]
pub enum Origin<'a> {
    /// From this client.
    Client(IpAddr),
    /// Through a relay of the operator's own.
    Relay {
        /// The client for whom it speaks, where it told.
        told: Option<IpAddr>,
        /// Under which name it writes what it found out.
        authserv_id: Option<&'a str>,
    },
}

/// Checks messages against the DNS.
pub struct Authenticator {
    inner: MessageAuthenticator,
    hostname: String,
    txt: DnsCache<Box<str>, Txt>,
    mx: DnsCache<Box<str>, RecordSet<MX>>,
    ipv4: DnsCache<Box<str>, RecordSet<Ipv4Addr>>,
    ipv6: DnsCache<Box<str>, RecordSet<Ipv6Addr>>,
    ptr: DnsCache<IpAddr, RecordSet<Box<str>>>,
}

impl Authenticator {
    /// Uses the given name servers, or the system's where none are given.
    ///
    /// # Errors
    /// Why the system's resolver configuration cannot be read.
    pub fn new(hostname: &str, servers: &[SocketAddr]) -> Result<Self, String> {
        let inner = if servers.is_empty() {
            MessageAuthenticator::new_system_conf().map_err(|e| e.to_string())?
        } else {
            let (config, options) = resolver_config(servers);
            MessageAuthenticator::new(config, options).map_err(|e| e.to_string())?
        };
        Ok(Self {
            inner,
            hostname: hostname.to_owned(),
            txt: DnsCache::default(),
            mx: DnsCache::default(),
            ipv4: DnsCache::default(),
            ipv6: DnsCache::default(),
            ptr: DnsCache::default(),
        })
    }

    /// The resolver, for who else asks the same servers.
    #[must_use]
    pub fn resolver(&self) -> &hickory_resolver::TokioResolver {
        self.inner.resolver()
    }

    /// What the DNS says of a message, or the operator's own relay where the message came through one.
    pub async fn authenticate(&self, origin: Origin<'_>, helo: &str, reverse_path: &ReversePath, octets: &[u8]) -> Authentication {
        let client = match origin {
            Origin::Client(client) => Some(client),
            Origin::Relay { told, authserv_id } => {
                if let Some(said) = authserv_id.and_then(|id| believe(octets, id)) {
                    return said;
                }
                told
            }
        };
        let unsettled = Authentication { spf: Verdict::TempError, dkim: Verdict::TempError, dmarc: Verdict::TempError, aligned: false };
        tokio::time::timeout(DEADLINE, self.check(client, helo, reverse_path, octets)).await.unwrap_or(unsettled)
    }

    async fn check(&self, client: Option<IpAddr>, helo: &str, reverse_path: &ReversePath, octets: &[u8]) -> Authentication {
        let Some(message) = AuthenticatedMessage::parse(octets) else { return Authentication::default() };
        if is_oversize(&message) {
            return Authentication::default();
        }
        let spf = match client {
            Some(client) => self.spf(client.to_canonical(), helo, reverse_path).await,
            // Of whom a relay does not tell there is no address to check: the result is "none".
            None => SpfOutput::new(String::new()),
        };
        let signatures = count_signatures(&message);
        let dkim = if signatures > MAX_SIGNATURES { Vec::new() } else { self.inner.verify_dkim(self.parameters(&message)).await };
        let mail_from = reverse_path.as_ref().map_or("", |m| m.domain().as_str());
        let dmarc = self.inner.verify_dmarc(self.parameters(DmarcParameters::new(&message, &dkim, mail_from, &spf))).await;
        let from = message.froms().first().and_then(|f| f.rsplit_once('@')).and_then(|(_, d)| Domain::parse(d).ok());
        let by_record = [dmarc.spf_result(), dmarc.dkim_result()];
        let aligned = agree_on_author(&message, octets)
            && if dmarc.dmarc_record().is_none() {
                from.is_some_and(|from| same_domain(&from, &spf, mail_from, &dkim))
            } else {
                by_record.contains(&&DmarcResult::Pass)
            };
        Authentication { spf: spf_verdict(spf.result()), dkim: dkim_verdict(&dkim, signatures), dmarc: dmarc_verdict(&by_record), aligned }
    }

    async fn spf(&self, client: IpAddr, helo: &str, reverse_path: &ReversePath) -> SpfOutput {
        let parameters = match reverse_path {
            Some(mailbox) => {
                let sender = mailbox.canonical();
                let parameters = SpfParameters::verify_mail_from(client, helo, &self.hostname, &sender);
                return self.inner.verify_spf(self.parameters(parameters)).await;
            }
            // RFC 7208, section 2.4: a null reverse-path is checked by the HELO identity.
            None => SpfParameters::verify_ehlo(client, helo, &self.hostname),
        };
        self.inner.verify_spf(self.parameters(parameters)).await
    }

    #[allow(clippy::type_complexity)] // The library's own shape: one parameter a record type.
    fn parameters<'x, P>(
        &'x self,
        params: P,
    ) -> Parameters<
        'x,
        P,
        DnsCache<Box<str>, Txt>,
        DnsCache<Box<str>, RecordSet<MX>>,
        DnsCache<Box<str>, RecordSet<Ipv4Addr>>,
        DnsCache<Box<str>, RecordSet<Ipv6Addr>>,
        DnsCache<IpAddr, RecordSet<Box<str>>>,
    > {
        Parameters {
            params,
            cache_txt: Some(&self.txt),
            cache_mx: Some(&self.mx),
            cache_ptr: Some(&self.ptr),
            cache_ipv4: Some(&self.ipv4),
            cache_ipv6: Some(&self.ipv6),
        }
    }
}

/// Servers with their ports, as the configuration gives them.
fn resolver_config(servers: &[SocketAddr]) -> (ResolverConfig, ResolverOpts) {
    let name_servers = servers
        .iter()
        .map(|server| {
            let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
            connections.iter_mut().for_each(|c| c.port = server.port());
            NameServerConfig::new(server.ip(), true, connections)
        })
        .collect();
    let mut options = ResolverOpts::default();
    options.timeout = QUERY_TIMEOUT;
    options.attempts = QUERY_ATTEMPTS;
    (ResolverConfig::from_parts(None, Vec::new(), name_servers), options)
}

/// Whether the library that checked and the reader that names the author see the same one From: a field name
/// that only one of them takes for From would let somebody write in another's name (product B2).
fn agree_on_author(message: &AuthenticatedMessage<'_>, octets: &[u8]) -> bool {
    let (fields, _) = mail::mime::Fields::read(octets);
    let Ok(author) = fields.originator() else { return false };
    let is_author = |from: &String| Mailbox::parse(from).is_ok_and(|m| m.canonical() == author.mailbox.canonical());
    !message.froms().is_empty() && message.froms().iter().all(is_author)
}

/// The work on a signature grows with the square of its field list; no real one comes near these sizes.
fn is_oversize(message: &AuthenticatedMessage<'_>) -> bool {
    const HEADER_BYTES: usize = 512 << 10;
    const SIGNATURE_BYTES: usize = 16 << 10;
    let is_signature = |name: &[u8]| name.trim_ascii().to_ascii_lowercase().ends_with(b"signature");
    message.raw_headers().len() > HEADER_BYTES
        || message.raw_parsed_headers().iter().any(|(n, v)| is_signature(n) && v.len() > SIGNATURE_BYTES)
}

fn count_signatures(message: &AuthenticatedMessage<'_>) -> usize {
    message.raw_parsed_headers().iter().filter(|(name, _)| name.trim_ascii().eq_ignore_ascii_case(b"DKIM-Signature")).count()
}

fn same_domain(from: &Domain, spf: &SpfOutput, mail_from: &str, dkim: &[DkimOutput<'_>]) -> bool {
    let is_from = |domain: &str| Domain::parse(domain).is_ok_and(|d| d == *from);
    let by_spf = spf.result() == SpfResult::Pass && is_from(mail_from);
    by_spf || dkim.iter().any(|o| *o.result() == DkimResult::Pass && o.signature().is_some_and(|s| is_from(&s.d)))
}

fn spf_verdict(result: SpfResult) -> Verdict {
    match result {
        SpfResult::Pass => Verdict::Pass,
        SpfResult::Fail | SpfResult::SoftFail | SpfResult::PermError => Verdict::Fail,
        SpfResult::TempError => Verdict::TempError,
        SpfResult::Neutral | SpfResult::None => Verdict::None,
    }
}

/// The best signature counts (RFC 6376, section 6.1).
fn dkim_verdict(outputs: &[DkimOutput<'_>], signatures: usize) -> Verdict {
    let any = |is: fn(&DkimResult) -> bool| outputs.iter().any(|o| is(o.result()));
    if any(|r| *r == DkimResult::Pass) {
        Verdict::Pass
    } else if any(|r| matches!(r, DkimResult::TempError(_))) {
        Verdict::TempError
    } else if signatures > 0 {
        Verdict::Fail
    } else {
        Verdict::None
    }
}

fn dmarc_verdict(results: &[&DmarcResult]) -> Verdict {
    if results.contains(&&DmarcResult::Pass) {
        Verdict::Pass
    } else if results.iter().any(|r| matches!(r, DmarcResult::TempError(_))) {
        Verdict::TempError
    } else if results.iter().any(|r| matches!(r, DmarcResult::Fail(_) | DmarcResult::PermError(_))) {
        Verdict::Fail
    } else {
        Verdict::None
    }
}

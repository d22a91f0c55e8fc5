//! MTA-STS (RFC 8461): a domain says over HTTPS that its hosts have valid certificates, and which hosts they are.
//!
//! Policies are kept in memory. A policy that is known holds until its max_age whatever becomes of the DNS or the
//! web server meanwhile, so that suppressing them is of no use (section 5.1).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use hickory_resolver::proto::rr::{RData, RecordType};
use tokio_rustls::TlsConnector;

use crate::dns::{Answer, Dns};
use crate::https;

/// RFC 8461, section 3.2: about one year.
const MAX_AGE: Duration = Duration::from_secs(31_557_600);
/// RFC 8461, section 3.3: a policy is looked for again from time to time, though its id is the same.
const REFRESH: Duration = Duration::from_secs(24 * 3600);
/// RFC 8461, section 3.3: after a failure the web server is left alone for five minutes.
const RETRY: Duration = Duration::from_secs(300);
/// Domains remembered.
const MAX_KNOWN: usize = 10_000;
/// Patterns of one policy.
const MAX_PATTERNS: usize = 100;

/// What a policy asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Mail to hosts that do not fit must not leave.
    Enforce,
    /// It may; the domain only wants to know, and we send no reports.
    Testing,
    /// There is no policy any more.
    None,
}

/// The policy of a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Policy {
    pub(crate) mode: Mode,
    patterns: Vec<String>,
    max_age: Duration,
}

impl Policy {
    /// Reads the file (RFC 8461, section 3.2); `None` for what is no policy.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut fields: HashMap<&str, &str> = HashMap::new();
        let mut patterns = Vec::new();
        for line in text.lines() {
            let Some((key, value)) = line.split_once(':') else {
                if line.trim().is_empty() {
                    continue;
                }
                return None;
            };
            let (key, value) = (key.trim(), value.trim());
            if key != "mx" {
                // Of a field that comes twice the first one counts.
                fields.entry(key).or_insert(value);
            } else if patterns.len() < MAX_PATTERNS {
                patterns.push(value.trim_end_matches('.').to_ascii_lowercase());
            }
        }
        let mode = match *fields.get("mode")? {
            "enforce" => Mode::Enforce,
            "testing" => Mode::Testing,
            "none" => Mode::None,
            _ => return None,
        };
        let age = fields.get("max_age").filter(|age| age.bytes().all(|b| b.is_ascii_digit()))?;
        let is_whole = fields.get("version") == Some(&"STSv1") && (mode == Mode::None || !patterns.is_empty());
        let max_age = Duration::from_secs(age.parse().ok()?).min(MAX_AGE);
        is_whole.then_some(Self { mode, patterns, max_age })
    }

    /// Whether the host is one of the domain's (RFC 8461, section 4.1): `*` stands for one label, the leftmost.
    pub(crate) fn names(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        self.patterns.iter().any(|pattern| match pattern.strip_prefix("*.") {
            Some(rest) => host.split_once('.').is_some_and(|(first, parent)| !first.is_empty() && parent == rest),
            None => *pattern == host,
        })
    }
}

/// The id of the record at `_mta-sts` (RFC 8461, section 3.1), if there is exactly one.
fn read_id<'a>(texts: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut records = texts.filter(|text| text.split(';').next().is_some_and(|version| version.trim_end() == "v=STSv1"));
    let record = records.next()?;
    if records.next().is_some() {
        return None;
    }
    let id = record.split(';').skip(1).find_map(|field| field.trim().strip_prefix("id="))?.trim();
    ((1..=32).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric())).then(|| id.to_owned())
}

/// What is known of a domain.
#[derive(Debug, Clone)]
struct Known {
    /// The id in the DNS when it was last looked for.
    id: String,
    policy: Option<Arc<Policy>>,
    /// Until when the policy holds.
    until: Instant,
    /// From when on it is fetched anew even for the same id.
    refresh_at: Instant,
}

impl Known {
    fn policy(&self, now: Instant) -> Option<Arc<Policy>> {
        self.policy.clone().filter(|_| now < self.until)
    }
}

/// The policies met so far, for as long as the process runs.
#[derive(Default)]
pub(crate) struct Policies(Mutex<HashMap<String, Known>>);

impl Policies {
    /// The policy of a domain, if it has one; fetched if need be.
    pub(crate) async fn find(&self, domain: &str, dns: &Dns, https: &TlsConnector, port: u16) -> Option<Arc<Policy>> {
        let known = self.lock().get(domain).cloned();
        let now = Instant::now();
        let kept = known.as_ref().and_then(|known| known.policy(now));
        let Some(id) = look_up_id(domain, dns).await else { return kept };
        if let Some(known) = known
            && known.id == id
            && now < known.refresh_at
        {
            return kept;
        }
        let host = format!("mta-sts.{domain}");
        let fetched = match https::get(dns, https, &host, port, "/.well-known/mta-sts.txt").await {
            Ok(octets) => std::str::from_utf8(&octets).ok().and_then(Policy::parse),
            Err(error) => {
                tracing::debug!(%error, "an MTA-STS policy was announced and could not be fetched");
                None
            }
        };
        let now = Instant::now();
        let Some(policy) = fetched else {
            // What was known goes on; the failure is remembered, so that not every message waits for it.
            let until = self.lock().get(domain).map_or(now, |known| known.until);
            self.keep(domain, Known { id, policy: kept.clone(), until, refresh_at: now + RETRY });
            return kept;
        };
        let policy = Arc::new(policy);
        let until = now + policy.max_age;
        self.keep(domain, Known { id, policy: Some(Arc::clone(&policy)), until, refresh_at: now + REFRESH.min(policy.max_age) });
        Some(policy)
    }

    /// Remembers; with no room left, the one that ends first is forgotten.
    fn keep(&self, domain: &str, known: Known) {
        let mut all = self.lock();
        if all.len() >= MAX_KNOWN && !all.contains_key(domain) {
            let first = all.iter().min_by_key(|(_, known)| known.until).map(|(domain, _)| domain.clone());
            if let Some(first) = first {
                all.remove(&first);
            }
        }
        all.insert(domain.to_owned(), known);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn look_up_id(domain: &str, dns: &Dns) -> Option<String> {
    let Answer::Found { data, .. } = dns.ask_cached(&format!("_mta-sts.{domain}"), RecordType::TXT).await else { return None };
    let texts: Vec<String> = data
        .iter()
        .filter_map(|data| match data {
            RData::TXT(txt) => Some(txt.txt_data.iter().map(|piece| String::from_utf8_lossy(piece)).collect()),
            _ => None,
        })
        .collect();
    read_id(texts.iter().map(String::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "version: STSv1\r\nmode: enforce\r\nmx: mail.a.test\r\nmx: *.b.test\r\nmax_age: 604800\r\n";

    #[test]
    fn a_policy_is_read_with_either_line_end() {
        for text in [FILE.to_owned(), FILE.replace("\r\n", "\n"), format!("{FILE}new_field: x\r\n\r\n"), FILE.replace(": ", ":")] {
            let policy = Policy::parse(&text).unwrap();
            assert_eq!((policy.mode, policy.patterns.len(), policy.max_age), (Mode::Enforce, 2, Duration::from_secs(604_800)));
        }
        let long = Policy::parse(&FILE.replace("604800", "9999999999")).unwrap();
        assert_eq!(long.max_age, MAX_AGE);
        assert_eq!(Policy::parse("version: STSv1\nmode: none\nmax_age: 60\n").unwrap().mode, Mode::None);
        assert_eq!(Policy::parse(&FILE.replace("mode: enforce", "mode: testing\nmode: enforce")).unwrap().mode, Mode::Testing);
    }

    #[test]
    fn what_is_no_policy_is_none() {
        for text in [
            "",
            "<html>not found</html>",
            &FILE.replace("STSv1", "STSv2"),
            &FILE.replace("enforce", "enforced"),
            &FILE.replace("max_age: 604800\r\n", ""),
            &FILE.replace("604800", "-1"),
            &FILE.replace("604800", ""),
            &FILE.replace("604800", "99999999999999999999999"),
            "version: STSv1\nmode: enforce\nmax_age: 60\n",
        ] {
            assert_eq!(Policy::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_star_stands_for_exactly_one_label() {
        let policy = Policy::parse(FILE).unwrap();
        for host in ["mail.a.test", "MAIL.A.test.", "mx1.b.test"] {
            assert!(policy.names(host), "{host}");
        }
        for host in ["b.test", "x.mx1.b.test", "a.test", "xmail.a.test", ".b.test", "mail.a.test.evil.test", "evilb.test"] {
            assert!(!policy.names(host), "{host}");
        }
    }

    #[test]
    fn the_id_comes_from_exactly_one_record() {
        let read = |texts: &[&str]| read_id(texts.iter().copied());
        assert_eq!(read(&["v=spf1 -all", "v=STSv1; id=20160831085700Z;"]).as_deref(), Some("20160831085700Z"));
        assert_eq!(read(&["v=STSv1;id=a"]).as_deref(), Some("a"));
        let long = format!("v=STSv1; id={};", "a".repeat(33));
        for texts in
            [&["v=STSv1; id=a;", "v=STSv1; id=b;"][..], &["v=STSv1"], &["v=STSv1; id=;"], &["v=STSv10; id=a"], &[long.as_str()], &[]]
        {
            assert_eq!(read(texts), None, "{texts:?}");
        }
    }

    #[test]
    fn the_first_to_end_makes_room() {
        let policies = Policies::default();
        let now = Instant::now();
        let known = |seconds| {
            let until = now + Duration::from_secs(seconds);
            Known { id: "a".to_owned(), policy: None, until, refresh_at: now }
        };
        for n in 0..=MAX_KNOWN {
            policies.keep(&format!("d{n}.test"), known(100 + n as u64));
        }
        let all = policies.lock();
        assert!(all.len() == MAX_KNOWN && !all.contains_key("d0.test") && all.contains_key("d1.test"));
    }
}

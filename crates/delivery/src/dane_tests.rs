//! TLSA records against certificates made here: usages, selectors, matching types, names and dates.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::ResolverConfig;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::op::{Message, ResponseCode};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::{ServerName, UnixTime};
use tokio::net::UdpSocket;

use super::*;
use crate::tls::{Accepted, PeerVerifier};

struct Chain {
    authority: CertificateDer<'static>,
    host: CertificateDer<'static>,
}

/// A certificate of `mx.a.test` under an authority of its own, ending in that year.
fn chain(end: i32) -> Chain {
    let authority_key = KeyPair::generate().unwrap();
    let mut authority = CertificateParams::new(Vec::<String>::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority_der = authority.self_signed(&authority_key).unwrap().der().clone();
    let mut host = CertificateParams::new(vec!["mx.a.test".to_owned()]).unwrap();
    host.not_after = date_time_ymd(end, 1, 1);
    let host_key = KeyPair::generate().unwrap();
    let host_der = host.signed_by(&host_key, &Issuer::new(authority, authority_key)).unwrap().der().clone();
    Chain { authority: authority_der, host: host_der }
}

fn record(usage: u8, selector: u8, matching: u8, data: &[u8]) -> TLSA {
    TLSA::new(usage.into(), selector.into(), matching.into(), data.to_vec())
}

/// The data that a record of this selector and matching type has for a certificate.
fn data_of(certificate: &CertificateDer<'_>, selector: u8, matching: u8) -> Vec<u8> {
    let parsed = ParsedCertificate::try_from(certificate).unwrap();
    let selected = if selector == 0 { certificate.to_vec() } else { parsed.subject_public_key_info().to_vec() };
    match matching {
        0 => selected,
        1 => digest(&SHA256, &selected).as_ref().to_vec(),
        _ => digest(&SHA512, &selected).as_ref().to_vec(),
    }
}

/// Whether the host's chain, of which these were sent, passes under these records for these names in the year 2026.
fn passes(records: Vec<TLSA>, names: &[&str], chain: &Chain, sent: &[CertificateDer<'static>]) -> bool {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    let association = Arc::new(Association::new(records, names).unwrap());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier = PeerVerifier { accepted: Accepted::Dane(association), provider };
    let now = UnixTime::since_unix_epoch(Duration::from_secs(1_790_000_000));
    verifier.verify_server_cert(&chain.host, sent, &ServerName::try_from("mx.a.test").unwrap(), &[], now).is_ok()
}

#[test]
fn the_hosts_own_certificate_is_named_in_six_ways() {
    let (ours, other) = (chain(2090), chain(2090));
    for selector in [0, 1] {
        for matching in [0, 1, 2] {
            let right = record(3, selector, matching, &data_of(&ours.host, selector, matching));
            let wrong = record(3, selector, matching, &data_of(&other.host, selector, matching));
            assert!(passes(vec![right.clone()], &["mx.a.test"], &ours, &[]), "3 {selector} {matching}");
            assert!(!passes(vec![wrong.clone()], &["mx.a.test"], &ours, &[]), "3 {selector} {matching}");
            assert!(passes(vec![wrong, right], &["mx.a.test"], &ours, &[]), "one of two is enough");
        }
    }
}

#[test]
fn for_the_hosts_own_certificate_neither_name_nor_date_counts() {
    let expired = chain(2020);
    let right = record(3, 1, 1, &data_of(&expired.host, 1, 1));
    assert!(passes(vec![right], &["another.test"], &expired, &[]));
}

#[test]
fn below_an_anchor_name_and_date_count() {
    let ours = chain(2090);
    let sent = [ours.authority.clone()];
    for (selector, matching) in [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2)] {
        let anchor = vec![record(2, selector, matching, &data_of(&ours.authority, selector, matching))];
        assert!(passes(anchor.clone(), &["mx.a.test"], &ours, &sent), "2 {selector} {matching}");
        assert!(passes(anchor.clone(), &["elsewhere.test", "mx.a.test"], &ours, &sent), "one name is enough");
        assert!(!passes(anchor, &["elsewhere.test"], &ours, &sent), "2 {selector} {matching}");
    }
    let expired = chain(2020);
    let anchor = vec![record(2, 0, 1, &data_of(&expired.authority, 0, 1))];
    assert!(!passes(anchor, &["mx.a.test"], &expired, std::slice::from_ref(&expired.authority)));
}

#[test]
fn an_anchor_is_sent_or_stands_whole_in_the_dns() {
    let (ours, other) = (chain(2090), chain(2090));
    let whole = vec![record(2, 0, 0, &data_of(&ours.authority, 0, 0))];
    let hash = vec![record(2, 0, 1, &data_of(&ours.authority, 0, 1))];
    assert!(passes(whole.clone(), &["mx.a.test"], &ours, &[]));
    assert!(!passes(hash.clone(), &["mx.a.test"], &ours, &[]));
    // Another's chain with our authority beside it hangs from nothing.
    assert!(!passes(hash, &["mx.a.test"], &other, std::slice::from_ref(&ours.authority)));
    assert!(!passes(whole, &["mx.a.test"], &other, &[]));
    // The host's own certificate is no anchor.
    let own = vec![record(2, 0, 1, &data_of(&ours.host, 0, 1))];
    assert!(!passes(own, &["mx.a.test"], &ours, &[]));
}

#[test]
fn records_that_cannot_be_used_are_left_out() {
    let hash = [7; 32];
    let unusable = [
        record(0, 0, 1, &hash),
        record(1, 1, 1, &hash),
        record(4, 1, 1, &hash),
        record(255, 1, 1, &hash),
        record(3, 2, 1, &hash),
        record(3, 1, 3, &hash),
        record(3, 1, 1, &hash[..31]),
        record(3, 1, 2, &hash),
        record(3, 1, 0, &[]),
    ];
    for record in unusable {
        assert!(Association::new(vec![record.clone()], Vec::new()).is_none(), "{record:?}");
    }
    assert!(Association::new(vec![record(1, 1, 1, &hash), record(3, 1, 1, &hash)], Vec::new()).is_some());
    let none = Association::new(vec![record(3, 1, 0, b"x"); 100], Vec::new()).unwrap();
    assert_eq!(none.records.len(), MAX_RECORDS);
}

/// Draws nothing.
struct Zeros;

impl domain::Random for Zeros {
    fn fill(&self, octets: &mut [u8]) {
        octets.fill(0);
    }
}

/// A name server on loopback that says of aliases what it is told to, and of all else that there is none.
async fn server_of_aliases(said: ResponseCode) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    tokio::spawn(async move {
        let mut buffer = [0; 2_000];
        while let Ok((length, client)) = socket.recv_from(&mut buffer).await {
            let mut answer = Message::from_vec(&buffer[..length]).unwrap().into_response();
            if answer.queries[0].query_type() == RecordType::CNAME {
                answer.metadata.response_code = said;
            }
            socket.send_to(&answer.to_vec().unwrap(), client).await.unwrap();
        }
    });
    address
}

#[tokio::test]
async fn an_alias_that_cannot_be_asked_for_is_no_leave_to_send() {
    let addresses =
        Addresses { found: vec!["192.0.2.1".parse().unwrap()], is_failed: false, is_authentic: false, canonical: "target.test".to_owned() };
    for (said, is_failed) in [(ResponseCode::ServFail, true), (ResponseCode::NoError, false), (ResponseCode::NXDomain, false)] {
        let server = server_of_aliases(said).await;
        let config = ResolverConfig::from_parts(None, Vec::new(), Vec::new());
        let resolver = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()).build().unwrap();
        let dns = Dns::new(resolver, &[server], Arc::new(Zeros));
        let found = find(&dns, "mx.a.test", &addresses, 25, "a.test").await;
        assert_eq!(matches!(found, Dane::Failed), is_failed, "{said:?}: {found:?}");
    }
}

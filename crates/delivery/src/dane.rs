//! DANE for SMTP (RFC 7672): which certificate a host must have, as its TLSA records say.
//!
//! It counts only where the MX, the addresses and the TLSA records are authentic. Once TLSA records are there,
//! mail never leaves in clear, whatever is wrong with them (section 2.2).

use std::borrow::Cow;

use aws_lc_rs::digest::{SHA256, SHA512, digest};
use hickory_resolver::proto::rr::rdata::TLSA;
use hickory_resolver::proto::rr::rdata::tlsa::{CertUsage, Matching, Selector};
use hickory_resolver::proto::rr::{RData, RecordType};
use rustls::pki_types::CertificateDer;
use rustls::server::ParsedCertificate;

use crate::dns::{Addresses, Answer, Dns};

/// TLSA records used of one host.
const MAX_RECORDS: usize = 20;

/// What the TLSA records of a host say.
#[derive(Debug)]
pub(crate) enum Dane {
    /// There are none that count.
    Absent,
    /// There are some, and none that we can use: TLS is a must, with any certificate (RFC 7672, section 2.2).
    Unusable,
    /// The certificate must be one of these.
    Usable(Association),
    /// They could not be had: whoever suppresses them must not get the mail (RFC 7672, section 2.1.2).
    Failed,
}

/// The usable records of a host.
#[derive(Debug)]
pub(crate) struct Association {
    records: Vec<TLSA>,
    /// Names of which one must be in a certificate below an anchor; the first one is that of the TLSA records and is
    /// what the server is asked for.
    pub(crate) names: Vec<String>,
}

impl Association {
    /// `None` if none of the records can be used (RFC 7672, section 3.1; RFC 7671, section 4.1).
    fn new(mut records: Vec<TLSA>, names: Vec<String>) -> Option<Self> {
        records.retain(is_usable);
        records.truncate(MAX_RECORDS);
        (!records.is_empty()).then_some(Self { records, names })
    }

    /// Whether a DANE-EE(3) record names this certificate.
    pub(crate) fn names_end_entity(&self, certificate: &CertificateDer<'_>) -> bool {
        self.of_usage(CertUsage::DaneEe).any(|record| matches(record, certificate))
    }

    /// Certificates that a DANE-TA(2) record names: of those that the server sent, and those that stand whole in the DNS.
    pub(crate) fn anchors(&self, sent: &[CertificateDer<'_>]) -> Vec<CertificateDer<'static>> {
        let named = sent.iter().filter(|certificate| self.of_usage(CertUsage::DaneTa).any(|record| matches(record, certificate)));
        let whole = self.of_usage(CertUsage::DaneTa).filter(|r| r.selector == Selector::Full && r.matching == Matching::Raw);
        let whole = whole.map(|record| CertificateDer::from(record.cert_data.clone()));
        named.map(|certificate| certificate.clone().into_owned()).chain(whole).collect()
    }

    fn of_usage(&self, usage: CertUsage) -> impl Iterator<Item = &TLSA> {
        self.records.iter().filter(move |record| record.cert_usage == usage)
    }
}

/// Asks for the TLSA records of a host whose MX is authentic.
pub(crate) async fn find(dns: &Dns, host: &str, addresses: &Addresses, port: u16, recipient_domain: &str) -> Dane {
    let mut bases = Vec::new();
    if addresses.is_authentic {
        bases.push(addresses.canonical.as_str());
        // RFC 7672, section 2.2.2: where the name behind the alias has none, those of the alias count.
        if addresses.canonical != host {
            bases.push(host);
        }
    } else if addresses.canonical != host {
        // The alias may be authentic where its target is not. A question that fails is no leave to go without.
        match dns.ask(host, RecordType::CNAME).await {
            Answer::Failed => return Dane::Failed,
            Answer::Found { is_authentic: true, .. } => bases.push(host),
            Answer::Found { .. } | Answer::Nothing { .. } => {}
        }
    }
    for base in bases {
        match dns.ask(&format!("_{port}._tcp.{base}"), RecordType::TLSA).await {
            Answer::Failed => return Dane::Failed,
            Answer::Found { data, is_authentic: true, .. } => {
                let records = data.into_iter().filter_map(|data| if let RData::TLSA(record) = data { Some(record) } else { None });
                let mut names = vec![base.to_owned(), host.to_owned(), recipient_domain.to_owned()];
                names.dedup();
                return Association::new(records.collect(), names).map_or(Dane::Unusable, Dane::Usable);
            }
            Answer::Found { .. } | Answer::Nothing { .. } => {}
        }
    }
    Dane::Absent
}

/// Usages 0 and 1 lean on authorities that a sender of mail has no list of (RFC 7672, section 3.1.3).
fn is_usable(record: &TLSA) -> bool {
    let length = record.cert_data.len();
    let is_whole = match record.matching {
        Matching::Raw => length > 0,
        Matching::Sha256 => length == SHA256.output_len(),
        Matching::Sha512 => length == SHA512.output_len(),
        _ => false,
    };
    is_whole
        && matches!(record.cert_usage, CertUsage::DaneTa | CertUsage::DaneEe)
        && matches!(record.selector, Selector::Full | Selector::Spki)
}

/// Whether the record names the certificate or its key (RFC 6698, sections 2.1.2 and 2.1.3).
fn matches(record: &TLSA, certificate: &CertificateDer<'_>) -> bool {
    let selected: Cow<'_, [u8]> = match record.selector {
        Selector::Full => Cow::Borrowed(certificate.as_ref()),
        Selector::Spki => match ParsedCertificate::try_from(certificate) {
            Ok(parsed) => Cow::Owned(parsed.subject_public_key_info().as_ref().to_vec()),
            Err(_) => return false,
        },
        _ => return false,
    };
    match record.matching {
        Matching::Raw => *selected == *record.cert_data,
        Matching::Sha256 => digest(&SHA256, &selected).as_ref() == record.cert_data,
        Matching::Sha512 => digest(&SHA512, &selected).as_ref() == record.cert_data,
        _ => false,
    }
}

#[cfg(test)]
#[path = "dane_tests.rs"]
mod tests;

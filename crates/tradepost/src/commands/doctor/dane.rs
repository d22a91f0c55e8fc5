//! TLSA records of our own host: senders that hold to DANE keep their mail back where these name another certificate
//! (RFC 7672, section 2.2).

use aws_lc_rs::digest::{Algorithm, SHA256, SHA512, digest};
use hickory_resolver::proto::rr::rdata::TLSA;
use hickory_resolver::proto::rr::rdata::tlsa::{CertUsage, Matching, Selector};
use rustls::server::ParsedCertificate;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;

use super::ask::Silent;
use super::{Findings, Patient};
use crate::commands::dns::{certificate_file, records};

/// Compares what is published with the certificate, where that stands in a file.
pub(super) async fn examine(patient: &Patient<'_>, findings: &mut Findings) {
    let Some(path) = certificate_file(patient.config) else { return };
    let name = format!("_25._tcp.{}", patient.settings.hostname);
    let check = format!("TLSA {name}");
    let published = match patient.dns.associations(&name).await {
        Err(Silent) => return findings.silent(check),
        Ok(published) => published,
    };
    if published.is_empty() {
        return findings.ok(check, "no record, and none is needed");
    }
    let Ok(certificate) = CertificateDer::from_pem_file(&path) else {
        return findings.skip(check, "the certificate cannot be read");
    };
    let of_usage = |usage: CertUsage| published.iter().filter(move |record| record.cert_usage == usage);
    if of_usage(CertUsage::DaneEe).any(|record| names(record, &certificate)) {
        findings.ok(check, "our certificate");
    } else if of_usage(CertUsage::DaneTa).next().is_some() {
        findings.skip(check, "it names an authority");
    } else {
        let ours = records(patient.config).unwrap_or_default().into_iter().find(|record| record.kind == "TLSA");
        let line = ours.map(|record| record.line()).unwrap_or_default();
        findings.fail(check, "names another certificate; senders that hold to DANE keep mail back", format!("publish: {line}"));
    }
}

/// Whether a record is that of the certificate or of its key (RFC 6698, section 2.1).
fn names(record: &TLSA, certificate: &CertificateDer<'_>) -> bool {
    let selected = match record.selector {
        Selector::Full => certificate.as_ref().to_vec(),
        Selector::Spki => match ParsedCertificate::try_from(certificate) {
            Ok(parsed) => parsed.subject_public_key_info().as_ref().to_vec(),
            Err(_) => return false,
        },
        _ => return false,
    };
    let hashed = |algorithm: &'static Algorithm| digest(algorithm, &selected).as_ref() == record.cert_data.as_slice();
    match record.matching {
        Matching::Raw => selected == record.cert_data,
        Matching::Sha256 => hashed(&SHA256),
        Matching::Sha512 => hashed(&SHA512),
        _ => false,
    }
}

//! TLS towards the next server and towards hosts of MTA-STS policies.
//!
//! Without any policy it is opportunistic (RFC 7435): encrypted where offered, whoever answers, because the
//! alternative is mail in clear. Towards a provider with a password, and where a policy says so, the certificate
//! must be right.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_rustls::TlsConnector;

use crate::dane::Association;

/// The connectors of one configuration.
pub(crate) struct Connectors {
    provider: Arc<CryptoProvider>,
    /// Accepts any certificate.
    pub(crate) any: TlsConnector,
    /// Accepts certificates that the roots vouch for, with the right name.
    pub(crate) verified: TlsConnector,
    /// The same, for HTTP/1.
    pub(crate) https: TlsConnector,
}

impl Connectors {
    /// Roots are the system's and these.
    pub(crate) fn new(more_roots: &[CertificateDer<'static>]) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        roots.add_parsable_certificates(more_roots.iter().cloned());
        let mut verified = versions(&provider).with_root_certificates(Arc::new(roots)).with_no_client_auth();
        // A resumed session shows no certificate, and that of the first may have ended since.
        verified.resumption = Resumption::disabled();
        let mut https = verified.clone();
        https.alpn_protocols = vec![b"http/1.1".to_vec()];
        let any = with_verifier(&provider, Accepted::Any);
        Self { provider, any: connector(any), verified: connector(verified), https: connector(https) }
    }

    /// Accepts what the association says (RFC 7672, section 3.1).
    pub(crate) fn dane(&self, association: &Arc<Association>) -> TlsConnector {
        // Each connection has a configuration of its own, so nothing is resumed from under another association.
        connector(with_verifier(&self.provider, Accepted::Dane(Arc::clone(association))))
    }
}

fn versions(provider: &Arc<CryptoProvider>) -> rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier> {
    ClientConfig::builder_with_provider(Arc::clone(provider))
        .with_safe_default_protocol_versions()
        .expect("the provider has the default versions")
}

fn with_verifier(provider: &Arc<CryptoProvider>, accepted: Accepted) -> ClientConfig {
    let verifier = PeerVerifier { accepted, provider: Arc::clone(provider) };
    versions(provider).dangerous().with_custom_certificate_verifier(Arc::new(verifier)).with_no_client_auth()
}

fn connector(config: ClientConfig) -> TlsConnector {
    TlsConnector::from(Arc::new(config))
}

/// Whose certificates pass that no root vouches for.
#[derive(Debug)]
pub(crate) enum Accepted {
    /// Anybody's.
    Any,
    /// Those that TLSA records name.
    Dane(Arc<Association>),
}

#[derive(Debug)]
pub(crate) struct PeerVerifier {
    pub(crate) accepted: Accepted,
    pub(crate) provider: Arc<CryptoProvider>,
}

impl PeerVerifier {
    /// DANE-TA(2): a chain to an anchor that a record names, in time, for a name of the host or of the recipient.
    fn is_anchored(
        &self,
        association: &Association,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> bool {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(association.anchors(intermediates));
        let roots = Arc::new(roots);
        let Ok(verifier) = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&self.provider)).build() else { return false };
        let mut names = association.names.iter().filter_map(|name| ServerName::try_from(name.as_str()).ok());
        names.any(|name| verifier.verify_server_cert(end_entity, intermediates, &name, &[], now).is_ok())
    }
}

impl ServerCertVerifier for PeerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let is_accepted = match &self.accepted {
            Accepted::Any => true,
            // RFC 7672, section 3.1.1: with DANE-EE(3) neither names nor dates count.
            Accepted::Dane(a) => a.names_end_entity(end_entity) || self.is_anchored(a, end_entity, intermediates, now),
        };
        if is_accepted { Ok(ServerCertVerified::assertion()) } else { Err(CertificateError::ApplicationVerificationFailure.into()) }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

//! The certificate that STARTTLS and implicit TLS show: a pair of files, read again when they change, while connections
//! go on. A pair that cannot be used never takes the place of one that can; an expired one serves on, because to most
//! senders encryption with it is still better than none (RFC 7435).

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::{Context as _, bail};
use aws_lc_rs::digest::{SHA256, digest};
use domain::{Clock, Timestamp};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use rustls::client::verify_server_name;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use x509_cert::der::Decode;

/// How often the files are looked at.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(60);
/// How often what is wrong with a certificate is said again.
const REMIND_AFTER: Duration = Duration::from_secs(24 * 3600);
/// A certificate this near its end is warned of, one of a short life in its last quarter.
const EXPIRES_SOON: Duration = Duration::from_secs(7 * 24 * 3600);

/// The certificate in use. Clones show the same one.
#[derive(Clone)]
pub(crate) struct Certificates(Arc<Inner>);

struct Inner {
    certificate: PathBuf,
    key: PathBuf,
    hostname: String,
    current: RwLock<Current>,
}

struct Current {
    pair: Pair,
    /// Fingerprint of the files as they were read last, whether they could be used or not; `None` if not even read.
    seen: Option<Fingerprint>,
}

type Fingerprint = [u8; 32];

struct Pair {
    key: Arc<CertifiedKey>,
    /// `None` of the one that we made ourselves.
    validity: Option<Validity>,
}

/// From when until when a certificate counts (RFC 5280, section 4.1.2.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Validity {
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
}

impl Certificates {
    /// Reads a chain and its key, both PEM; the server's own certificate comes first. What is only unwise is no error:
    /// [`Certificates::warnings`] names it.
    pub(crate) fn from_files(certificate: &Path, key: &Path, hostname: &str) -> anyhow::Result<Self> {
        let files = Files::read(certificate, key)?;
        let pair = files.pair(certificate, key)?;
        Ok(Self::new(certificate, key, hostname, Current { pair, seen: Some(files.fingerprint()) }))
    }

    /// A certificate of our own making for the name, until [`Certificates::reload`] finds these files. It is nowhere kept.
    pub(crate) fn self_signed(certificate: &Path, key: &Path, hostname: &str) -> anyhow::Result<Self> {
        let pair = self_signed(hostname).with_context(|| format!("no certificate can be made for [smtp] hostname \"{hostname}\""))?;
        Ok(Self::new(certificate, key, hostname, Current { pair, seen: None }))
    }

    fn new(certificate: &Path, key: &Path, hostname: &str, current: Current) -> Self {
        let (certificate, key) = (certificate.to_owned(), key.to_owned());
        Self(Arc::new(Inner { certificate, key, hostname: hostname.to_owned(), current: RwLock::new(current) }))
    }

    /// Reads the files again. On an error the old pair stays.
    pub(crate) fn reload(&self) -> anyhow::Result<()> {
        let files = Files::read(&self.0.certificate, &self.0.key);
        let seen = files.as_ref().ok().map(Files::fingerprint);
        let pair = files.and_then(|files| files.pair(&self.0.certificate, &self.0.key));
        let mut current = self.0.current.write().unwrap_or_else(PoisonError::into_inner);
        current.seen = seen;
        current.pair = pair?;
        Ok(())
    }

    /// What takes TLS connections with whatever certificate is in use when they begin.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let config = rustls::ServerConfig::builder().with_no_client_auth().with_cert_resolver(Arc::new(self.clone()));
        TlsAcceptor::from(Arc::new(config))
    }

    /// `None` while it is one of our own making.
    pub(crate) fn validity(&self) -> Option<Validity> {
        self.0.current.read().unwrap_or_else(PoisonError::into_inner).pair.validity
    }

    /// When the certificate ends; `None` while it is one of our own making.
    pub(crate) fn expires_at(&self) -> Option<Timestamp> {
        self.validity().map(|validity| validity.not_after)
    }

    /// Whether the certificate names a host.
    pub(crate) fn is_for(&self, hostname: &str) -> bool {
        let key = self.key();
        let (Some(leaf), Ok(name)) = (key.cert.first(), ServerName::try_from(hostname)) else { return false };
        ParsedCertificate::try_from(leaf).is_ok_and(|leaf| verify_server_name(&leaf, &name).is_ok())
    }

    /// What senders that check certificates would dislike, and the remedy.
    pub(crate) fn warnings(&self, now: Timestamp) -> Vec<String> {
        let Some(Validity { not_before, not_after }) = self.validity() else { return Vec::new() };
        let name = self.0.certificate.display();
        let mut found = Vec::new();
        let soon = EXPIRES_SOON.min(not_after.since(not_before) / 4);
        if now < not_before {
            found.push(format!("[tls] certificate {name} counts from {} only; check the clock", date(not_before)));
        } else if now >= not_after {
            found.push(format!("[tls] certificate {name} expired on {}; renew it", date(not_after)));
        } else if not_after.since(now) < soon {
            found.push(format!("[tls] certificate {name} expires on {}; renew it", date(not_after)));
        }
        if !self.is_for(&self.0.hostname) {
            let host = &self.0.hostname;
            found.push(format!("[tls] certificate {name} does not name {host}; get one that does, or correct [smtp] hostname"));
        }
        found
    }

    /// Looks at the files from time to time for as long as the value lives.
    pub(crate) fn watch(self, clock: Arc<dyn Clock>) -> KeptCertificates {
        let task = tokio::spawn(watch(self.clone(), clock));
        KeptCertificates::new(self, task)
    }

    /// Reads the files again if they changed; whether another pair is in use now.
    fn look(&self) -> anyhow::Result<bool> {
        let read = Files::read(&self.0.certificate, &self.0.key).ok().map(|files| files.fingerprint());
        if read == self.0.current.read().unwrap_or_else(PoisonError::into_inner).seen {
            return Ok(false);
        }
        self.reload().map(|()| true)
    }

    fn key(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0.current.read().unwrap_or_else(PoisonError::into_inner).pair.key)
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates").finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // Whatever name the client asks for: mail servers have one certificate, and most senders ask for the MX's name.
        Some(self.key())
    }
}

/// Certificates and the task that keeps them fresh; the task ends with the value.
pub(crate) struct KeptCertificates {
    certificates: Certificates,
    task: JoinHandle<()>,
}

impl KeptCertificates {
    pub(crate) fn new(certificates: Certificates, task: JoinHandle<()>) -> Self {
        Self { certificates, task }
    }

    pub(crate) fn certificates(&self) -> &Certificates {
        &self.certificates
    }
}

impl Drop for KeptCertificates {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn watch(certificates: Certificates, clock: Arc<dyn Clock>) {
    let mut told_at: Option<Timestamp> = None;
    loop {
        let now = clock.now();
        // `since` is zero where the clock went back: then it is told a day after the later time.
        if told_at.is_none_or(|at| now.since(at) >= REMIND_AFTER) {
            certificates.warnings(now).iter().for_each(|warning| tracing::warn!("{warning}"));
            told_at = Some(now);
        }
        tokio::time::sleep(LOOK_AGAIN_AFTER).await;
        match certificates.look() {
            Ok(false) => {}
            Ok(true) => {
                let expires = certificates.expires_at().map(date).unwrap_or_default();
                tracing::info!(expires, "the certificate was renewed");
                told_at = None;
            }
            Err(error) => tracing::error!(error = %format!("{error:#}"), "the changed certificate is not taken, the old one stays"),
        }
    }
}

/// What stands in the two files.
struct Files {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Files {
    fn read(certificate: &Path, key: &Path) -> anyhow::Result<Self> {
        let read = |what: &str, path: &Path| {
            std::fs::read(path).with_context(|| {
                format!("[tls] {what} {}: cannot be read; check the path, and that the service's user may read it", path.display())
            })
        };
        Ok(Self { certificate: read("certificate", certificate)?, key: read("key", key)? })
    }

    fn fingerprint(&self) -> Fingerprint {
        let mut print = [0; 32];
        // Each by itself, so that octets that move from one file to the other change it.
        let both = [digest(&SHA256, &self.certificate), digest(&SHA256, &self.key)].map(|d| d.as_ref().to_vec()).concat();
        print.copy_from_slice(digest(&SHA256, &both).as_ref());
        print
    }

    /// The paths stand in errors.
    fn pair(&self, certificate: &Path, key: &Path) -> anyhow::Result<Pair> {
        let (certificate, key) = (certificate.display(), key.display());
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&self.certificate)
            .collect::<Result<_, _>>()
            .with_context(|| format!("[tls] certificate {certificate}: cannot be read as PEM"))?;
        let Some(leaf) = chain.first() else {
            bail!("[tls] certificate {certificate}: holds no certificate in PEM; give the chain, the server's own certificate first");
        };
        let validity = Some(validity(leaf).with_context(|| format!("[tls] certificate {certificate}: its first certificate is broken"))?);
        let secret = PrivateKeyDer::from_pem_slice(&self.key)
            .with_context(|| format!("[tls] key {key}: holds no private key in PEM that can be read without a password"))?;
        let pair = CertifiedKey::from_der(chain, secret, &default_provider()).with_context(|| {
            format!(
                "[tls] certificate {certificate} and key {key} do not go together; give the key that the certificate was made for, and the server's own certificate first"
            )
        })?;
        Ok(Pair { key: Arc::new(pair), validity })
    }
}

fn validity(leaf: &CertificateDer<'_>) -> anyhow::Result<Validity> {
    let validity = x509_cert::Certificate::from_der(leaf)?.tbs_certificate.validity;
    let at = |time: x509_cert::time::Time| Timestamp(0).after(time.to_unix_duration());
    Ok(Validity { not_before: at(validity.not_before), not_after: at(validity.not_after) })
}

fn self_signed(hostname: &str) -> anyhow::Result<Pair> {
    let mut params = CertificateParams::new([hostname.to_owned()])?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, hostname);
    let secret = KeyPair::generate()?;
    let certificate = params.self_signed(&secret)?;
    let secret = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(secret.serialize_der()));
    let key = CertifiedKey::from_der(vec![certificate.der().clone()], secret, &default_provider())?;
    Ok(Pair { key: Arc::new(key), validity: None })
}

/// An instant as people read it in the log.
pub(crate) fn date(at: Timestamp) -> String {
    jiff::Timestamp::from_microsecond(at.0).map(|at| at.strftime("%Y-%m-%d %H:%M UTC").to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "mx.market.test";
    /// 2026-11-20.
    const NOW: Timestamp = Timestamp(1_795_132_800_000_000);

    struct Folder {
        folder: tempfile::TempDir,
    }

    impl Folder {
        fn new() -> Self {
            Self { folder: tempfile::tempdir().unwrap() }
        }

        fn certificate(&self) -> PathBuf {
            self.folder.path().join("cert.pem")
        }

        fn key(&self) -> PathBuf {
            self.folder.path().join("key.pem")
        }

        /// Writes a new pair for a name with its last year.
        fn write(&self, name: &str, last_year: i32) {
            let mut params = CertificateParams::new([name.to_owned()]).unwrap();
            params.not_after = rcgen::date_time_ymd(last_year, 1, 1);
            let key = KeyPair::generate().unwrap();
            std::fs::write(self.certificate(), params.self_signed(&key).unwrap().pem()).unwrap();
            std::fs::write(self.key(), key.serialize_pem()).unwrap();
        }

        fn open(&self) -> anyhow::Result<Certificates> {
            Certificates::from_files(&self.certificate(), &self.key(), HOST)
        }

        fn fault(&self) -> String {
            format!("{:#}", self.open().unwrap_err())
        }
    }

    #[test]
    fn a_renewed_pair_is_served_and_a_broken_one_is_not() {
        let folder = Folder::new();
        folder.write(HOST, 2030);
        let certificates = folder.open().unwrap();
        let first = certificates.key().cert[0].clone();
        assert!(!certificates.look().unwrap(), "nothing changed");
        std::fs::write(folder.key(), "nonsense").unwrap();
        let error = format!("{:#}", certificates.look().unwrap_err());
        assert!(error.contains("key.pem") && error.contains("holds no private key"), "{error}");
        assert_eq!(certificates.key().cert[0], first);
        assert!(!certificates.look().unwrap(), "the same fault is told once");
        folder.write(HOST, 2031);
        assert!(certificates.look().unwrap());
        assert_ne!(certificates.key().cert[0], first);
        assert_eq!(certificates.expires_at().map(date).as_deref(), Some("2031-01-01 00:00 UTC"));
        std::fs::remove_file(folder.certificate()).unwrap();
        assert!(certificates.look().is_err());
        assert!(!certificates.look().unwrap());
        assert!(certificates.is_for(HOST), "the last pair that could be used stays");
    }

    #[test]
    fn faults_name_the_file_and_the_remedy() {
        let folder = Folder::new();
        let error = folder.fault();
        assert!(error.contains("[tls] certificate") && error.contains("cert.pem") && error.contains("may read it"), "{error}");
        folder.write(HOST, 2030);
        let key = std::fs::read(folder.key()).unwrap();
        folder.write(HOST, 2030);
        std::fs::write(folder.key(), key).unwrap();
        let error = folder.fault();
        assert!(error.contains("do not go together") && error.contains("key.pem"), "{error}");
        std::fs::write(folder.certificate(), "").unwrap();
        assert!(folder.fault().contains("holds no certificate in PEM"));
        std::fs::write(folder.certificate(), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
        assert!(folder.fault().contains("its first certificate is broken"), "{}", folder.fault());
        std::fs::remove_file(folder.key()).unwrap();
        assert!(folder.fault().contains("[tls] key"));
    }

    #[test]
    fn what_checking_senders_would_refuse_is_told_but_serves() {
        let folder = Folder::new();
        folder.write(HOST, 2030);
        assert_eq!(folder.open().unwrap().warnings(NOW), [""; 0]);
        folder.write("*.market.test", 2026);
        let told = folder.open().unwrap().warnings(NOW);
        assert!(told.len() == 1 && told[0].contains("expired on 2026-01-01") && told[0].contains("renew it"), "{told:?}");
        folder.write("mail.elsewhere.test", 2030);
        let told = folder.open().unwrap().warnings(NOW);
        assert!(told.len() == 1 && told[0].contains("does not name mx.market.test"), "{told:?}");
        let before = folder.open().unwrap().warnings(Timestamp(0));
        assert!(before[0].contains("check the clock"), "{before:?}");
        folder.write(HOST, 2027);
        let days = |n: u64| folder.open().unwrap().warnings(NOW.after(Duration::from_secs(n * 24 * 3600))).len();
        // 42 days are left.
        assert_eq!((days(34), days(36), days(43)), (0, 1, 1));
    }

    #[test]
    fn until_the_files_are_there_a_certificate_of_our_own_serves() {
        let folder = Folder::new();
        let certificates = Certificates::self_signed(&folder.certificate(), &folder.key(), HOST).unwrap();
        assert!(certificates.is_for(HOST) && certificates.validity().is_none() && certificates.warnings(NOW).is_empty());
        assert!(!certificates.look().unwrap(), "files that are not there did not change");
        folder.write(HOST, 2030);
        certificates.reload().unwrap();
        assert!(certificates.expires_at().is_some());
    }
}

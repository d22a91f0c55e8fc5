//! A certificate for our host name by ACME (RFC 8555): ordered at the first start, renewed when a third of its life is
//! left, proved by HTTP-01 on a listener that answers nothing else.
//!
//! The service never waits for the authority. Until the first certificate is there TLS is offered with one of our own
//! making: servers that encrypt where they can (RFC 7435) do so with it, those that insist on a valid one try again later,
//! and mail programs refuse to sign in, so that no password leaves in clear or to somebody else. A certificate that is kept
//! but cannot be used is replaced likewise.
//!
//! Account, key and chain stand in a folder of this process's own: several processes order each for itself.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use domain::{Clock, Random, Timestamp};
use instant_acme::{
    Account, AccountBuilder, AccountCredentials, AuthorizationStatus, ChallengeType, Error, Identifier, NewAccount, NewOrder, Order,
    OrderStatus, Problem, RetryPolicy,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::certificates::{Certificates, KeptCertificates, Validity, date};

const ACCOUNT: &str = "account.json";
/// Key and chain in one file: a stop or a full disk between two files would leave a pair that does not go together.
const CERTIFICATE: &str = "certificate.pem";
/// How often it is asked whether the certificate is due; short, so that a clock that jumps does no harm.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(3600);
/// After a first failure; then doubled. Authorities limit failed orders by the hour.
const FIRST_PAUSE: Duration = Duration::from_secs(3600);
const LONGEST_PAUSE: Duration = Duration::from_secs(24 * 3600);
/// An order that takes longer is given up: the library's requests have no time-outs of their own.
const ORDER_WITHIN: Duration = Duration::from_secs(600);
/// How the order is asked after while the authority works.
const POLL: RetryPolicy = RetryPolicy::new().timeout(Duration::from_secs(120));
/// Of what an authority says, this much is logged.
const TOLD_CHARACTERS: usize = 600;

/// Path of the answers (RFC 8555, section 8.3).
const WELL_KNOWN: &str = "/.well-known/acme-challenge/";
/// Clients of the listener at a time; an authority asks from a handful of places.
const CLIENTS: usize = 64;
/// A client that has not asked within this time is left.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// Longest head of a request.
const HEAD_BYTES: usize = 8192;
/// After an accept failed for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// `[tls.acme]`, and what else an order needs.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct AcmeSettings {
    /// URL of the authority's directory.
    pub(crate) directory: String,
    /// `mailto:…`, where the authority asks for one.
    pub(crate) contact: Option<String>,
    /// The one authority that vouches for the directory's own certificate, in place of the system's.
    pub(crate) roots: Option<PathBuf>,
    /// The name to be certified: ours.
    pub(crate) hostname: String,
    /// `data_dir/acme`.
    pub(crate) folder: PathBuf,
}

impl AcmeSettings {
    /// What can be known to be wrong without asking the authority.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        if !self.directory.starts_with("https://") {
            bail!("[tls.acme] directory \"{}\": expected an address that begins with https://", self.directory);
        }
        if self.contact.as_ref().is_some_and(|contact| !contact.starts_with("mailto:")) {
            bail!("[tls.acme] contact: expected a mail address written like mailto:postmaster@shop.example");
        }
        let Some(roots) = &self.roots else { return Ok(()) };
        let name = roots.display();
        let found = CertificateDer::pem_file_iter(roots)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .with_context(|| format!("[tls.acme] roots {name}: cannot be read as PEM"))?;
        if found.len() != 1 {
            bail!("[tls.acme] roots {name}: holds {} certificates; give the one root of the directory's own certificate", found.len());
        }
        Ok(())
    }

    fn certificate(&self) -> PathBuf {
        self.folder.join(CERTIFICATE)
    }
}

/// Begins to keep a certificate, and to answer on the listener of `[tls.acme] listen`.
pub(crate) fn start(
    settings: AcmeSettings,
    listener: TcpListener,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
) -> anyhow::Result<KeptCertificates> {
    settings.check()?;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&settings.folder);
    made.with_context(|| format!("{}: cannot be made", settings.folder.display()))?;
    let certificates = kept(&settings)?;
    let answers = Answers::default();
    let renewal = Renewal { settings, certificates: certificates.clone(), answers: answers.clone(), clock, random };
    let task = tokio::spawn(async move {
        tokio::join!(answer(listener, answers), renewal.run());
    });
    Ok(KeptCertificates::new(certificates, task))
}

/// The certificate of an earlier order, or one of our own making.
fn kept(settings: &AcmeSettings) -> anyhow::Result<Certificates> {
    let file = settings.certificate();
    if file.exists() {
        match Certificates::from_files(&file, &file, &settings.hostname) {
            Ok(certificates) => return Ok(certificates),
            Err(error) => tracing::error!(error = format!("{error:#}"), "the certificate that is kept cannot be used; another is ordered"),
        }
    }
    Certificates::self_signed(&file, &file, &settings.hostname)
}

/// When a certificate is to be renewed: a third of its life is left, which leaves weeks for failures.
fn renew_at(validity: Validity) -> Timestamp {
    Timestamp(validity.not_after.0 - (validity.not_after.0 - validity.not_before.0) / 3)
}

struct Renewal {
    settings: AcmeSettings,
    certificates: Certificates,
    answers: Answers,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

impl Renewal {
    async fn run(self) {
        let mut failures = 0;
        if !self.is_due() {
            let renewed_on = self.certificates.validity().map(renew_at).map(date).unwrap_or_default();
            tracing::info!(renewed_on, "the certificate that is kept serves on");
        }
        loop {
            let mut pause = LOOK_AGAIN_AFTER;
            if self.is_due() {
                match self.try_order().await {
                    Ok(()) if !self.is_due() => {
                        failures = 0;
                        let expires = self.certificates.expires_at().map(date).unwrap_or_default();
                        tracing::info!(expires, "a certificate was issued and is in use");
                    }
                    // Without a pause a clock that is ahead would order at every look.
                    Ok(()) => {
                        failures += 1;
                        pause = pause_after(failures, self.random.as_ref());
                        tracing::error!("the new certificate is due for renewal already; check the clock");
                    }
                    Err(error) => {
                        failures += 1;
                        pause = pause_after(failures, self.random.as_ref());
                        let (minutes, expires) = (pause.as_secs() / 60, self.certificates.expires_at().map(date).unwrap_or_default());
                        tracing::error!(
                            error = %told(&error),
                            retried_in_minutes = minutes,
                            expires,
                            "no certificate was issued; [smtp] hostname must lead here, and its port 80 to [tls.acme] listen"
                        );
                    }
                }
            }
            tokio::time::sleep(pause).await;
        }
    }

    fn is_due(&self) -> bool {
        let Some(validity) = self.certificates.validity() else { return true };
        self.clock.now() >= renew_at(validity)
            || !self.certificates.is_for(&self.settings.hostname)
            // Another authority, such as the real one after tests with its staging one.
            || self.stored_account().is_none()
    }

    async fn try_order(&self) -> anyhow::Result<()> {
        let ordered = tokio::time::timeout(ORDER_WITHIN, self.order()).await;
        self.answers.clear();
        ordered.map_err(|_| anyhow!("the authority took longer than {} seconds", ORDER_WITHIN.as_secs()))?
    }

    async fn order(&self) -> anyhow::Result<()> {
        let names = [Identifier::Dns(self.settings.hostname.clone())];
        let account = match self.stored_account() {
            Some(credentials) => self.client()?.from_credentials(credentials).await.context("the directory cannot be read")?,
            None => self.new_account().await?,
        };
        let mut order = match account.new_order(&NewOrder::new(&names)).await {
            // The authority has forgotten us (RFC 8555, section 6.7).
            Err(Error::Api(problem)) if problem.r#type.as_deref().is_some_and(|t| t.ends_with(":accountDoesNotExist")) => {
                self.new_account().await?.new_order(&NewOrder::new(&names)).await
            }
            ordered => ordered,
        }
        .context("the order was not taken")?;
        self.prove(&mut order).await?;
        let key = order.finalize().await.context("the request for the certificate was not taken")?;
        let chain = order.poll_certificate(&POLL).await.context("the certificate was not given out")?;
        save(&self.settings.folder, CERTIFICATE, format!("{key}{chain}").as_bytes())?;
        self.certificates.reload()
    }

    /// Shows that the name is ours (RFC 8555, section 7.5).
    async fn prove(&self, order: &mut Order) -> anyhow::Result<()> {
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization.context("the authorization cannot be read")?;
            if authorization.status == AuthorizationStatus::Valid {
                continue;
            }
            let mut challenge = authorization.challenge(ChallengeType::Http01).context("the authority offers no HTTP-01 challenge")?;
            self.answers.put(&challenge.token, challenge.key_authorization().as_str());
            match challenge.set_ready().await {
                Ok(()) => {}
                // A quick authority has looked before it answers.
                Err(Error::Api(problem)) => return Err(not_seen(&problem)),
                Err(error) => return Err(error).context("the challenge was not taken"),
            }
        }
        match order.poll_ready(&POLL).await {
            Ok(OrderStatus::Ready) => Ok(()),
            Ok(_) | Err(Error::Api(_)) => Err(why_not(order).await),
            Err(error) => Err(error).context("the order did not become ready"),
        }
    }

    /// The account, if it is one with this authority.
    fn stored_account(&self) -> Option<AccountCredentials> {
        let text = std::fs::read_to_string(self.settings.folder.join(ACCOUNT)).ok()?;
        let value: serde_json::Value = serde_json::from_str(&text).ok()?;
        if value["directory"] != self.settings.directory.as_str() {
            return None;
        }
        serde_json::from_value(value).ok()
    }

    async fn new_account(&self) -> anyhow::Result<Account> {
        let contact: Vec<&str> = self.settings.contact.as_deref().into_iter().collect();
        let new = NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
        let created = self.client()?.create(&new, self.settings.directory.clone(), None).await;
        let (account, credentials) = created.context("no account was given to us")?;
        save(&self.settings.folder, ACCOUNT, &serde_json::to_vec(&credentials)?)?;
        Ok(account)
    }

    fn client(&self) -> anyhow::Result<AccountBuilder> {
        match &self.settings.roots {
            Some(roots) => Account::builder_with_root(roots).with_context(|| format!("[tls.acme] roots {}", roots.display())),
            None => Account::builder().context("the system's authorities cannot be read; install ca-certificates"),
        }
    }
}

/// What the authority found when it looked.
async fn why_not(order: &mut Order) -> anyhow::Error {
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        if let Ok(state) = authorization.refresh().await
            && let Some(problem) = state.challenges.iter().find_map(|challenge| challenge.error.as_ref())
        {
            return not_seen(problem);
        }
    }
    anyhow!("the authority gave no reason")
}

fn not_seen(problem: &Problem) -> anyhow::Error {
    anyhow!("the authority could not see that the name is ours: {problem}")
}

/// What a failure says, without addresses: an authority that dislikes the contact repeats it (privacy P19).
fn told(error: &anyhow::Error) -> String {
    let text = format!("{error:#}");
    let words: Vec<&str> = text.split_whitespace().map(|word| if word.contains('@') { "…" } else { word }).collect();
    words.join(" ").chars().take(TOLD_CHARACTERS).collect()
}

/// Doubled with each failure; up to a quarter less, so that many that failed together do not come back together.
fn pause_after(failures: u32, random: &dyn Random) -> Duration {
    let pause = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1))).min(LONGEST_PAUSE);
    let mut octets = [0; 4];
    random.fill(&mut octets);
    pause - (pause / 4).mul_f64(f64::from(u32::from_le_bytes(octets)) / f64::from(u32::MAX))
}

/// Writes a file of ours whole or not at all, readable for nobody else.
fn save(folder: &Path, name: &str, octets: &[u8]) -> anyhow::Result<()> {
    let path = folder.join(name);
    let written = || -> std::io::Result<()> {
        // Temporary files have mode 0600.
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(octets)?;
        file.as_file().sync_all()?;
        file.persist(&path).map_err(|e| e.error)?;
        File::open(folder)?.sync_all()
    };
    written().with_context(|| format!("{}: cannot be written", path.display()))
}

/// What is answered: by the challenge's token.
#[derive(Clone, Default)]
struct Answers(Arc<RwLock<HashMap<String, String>>>);

impl Answers {
    fn put(&self, token: &str, answer: &str) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(token.to_owned(), answer.to_owned());
    }

    fn clear(&self) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// What the head of a request asks for.
    fn find(&self, head: &[u8]) -> Option<String> {
        let line = std::str::from_utf8(head.split(|octet| *octet == b'\r').next()?).ok()?;
        let (path, _) = line.strip_prefix("GET ")?.split_once(' ')?;
        let token = path.strip_prefix(WELL_KNOWN)?;
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(token).cloned()
    }
}

/// Answers on HTTP without a web server's freedom: one request a connection, a short one, and soon.
async fn answer(listener: TcpListener, answers: Answers) {
    let mut clients = JoinSet::new();
    loop {
        while clients.try_join_next().is_some() {}
        if clients.len() >= CLIENTS {
            drop(clients.join_next().await);
        }
        match listener.accept().await {
            Ok((stream, _)) => {
                clients.spawn(tokio::time::timeout(ANSWER_WITHIN, answer_one(stream, answers.clone())));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection to [tls.acme] listen could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn answer_one(mut stream: TcpStream, answers: Answers) -> std::io::Result<()> {
    let mut head = Vec::with_capacity(1024);
    while !head.windows(4).any(|octets| octets == b"\r\n\r\n") {
        if head.len() > HEAD_BYTES || stream.read_buf(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let (status, body) = answers.find(&head).map_or(("404 Not Found", String::new()), |body| ("200 OK", body));
    let length = body.len();
    let reply = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/octet-stream\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    stream.write_all(reply.as_bytes()).await?;
    stream.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(u8);

    impl Random for Fixed {
        fn fill(&self, octets: &mut [u8]) {
            octets.fill(self.0);
        }
    }

    fn settings(folder: &Path) -> AcmeSettings {
        AcmeSettings {
            directory: "https://ca.test/dir".to_owned(),
            contact: Some("mailto:boss@office.test".to_owned()),
            roots: None,
            hostname: "mx.market.test".to_owned(),
            folder: folder.to_owned(),
        }
    }

    #[test]
    fn a_certificate_is_renewed_when_a_third_of_its_life_is_left() {
        let day = |n: i64| Timestamp(n * 24 * 3600 * 1_000_000);
        assert_eq!(renew_at(Validity { not_before: day(100), not_after: day(190) }), day(160));
        assert_eq!(renew_at(Validity { not_before: day(0), not_after: day(6) }), day(4));
    }

    #[test]
    fn pauses_double_from_an_hour_to_a_day_and_differ() {
        let hours = |failures, random| pause_after(failures, &Fixed(random)).as_secs_f64() / 3600.0;
        assert_eq!([1, 2, 3, 5, 6, 60, u32::MAX].map(|n| hours(n, 0)), [1.0, 2.0, 4.0, 16.0, 24.0, 24.0, 24.0]);
        assert!((hours(1, 255) - 0.75).abs() < 1e-6 && (hours(9, 255) - 18.0).abs() < 1e-6);
        assert!(hours(1, 128) > 0.75 && hours(1, 128) < 1.0);
    }

    #[test]
    fn an_authority_that_repeats_the_contact_is_not_quoted() {
        let error = anyhow!("API error: contact \"boss@office.test\" is invalid").context("no account was given to us");
        assert_eq!(told(&error), "no account was given to us: API error: contact … is invalid");
        assert_eq!(told(&anyhow!("x".repeat(5000))).len(), TOLD_CHARACTERS);
    }

    #[test]
    fn wrong_settings_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let good = settings(folder.path());
        good.check().unwrap();
        let fault = |change: &dyn Fn(&mut AcmeSettings)| {
            let mut settings = good.clone();
            change(&mut settings);
            format!("{:#}", settings.check().unwrap_err())
        };
        assert!(fault(&|s| s.directory = "http://ca.test/dir".to_owned()).contains("[tls.acme] directory"));
        assert!(fault(&|s| s.contact = Some("boss@office.test".to_owned())).contains("mailto:"));
        assert!(fault(&|s| s.roots = Some(folder.path().join("gone.pem"))).contains("gone.pem"));
        let empty = folder.path().join("empty.pem");
        std::fs::write(&empty, "").unwrap();
        assert!(fault(&|s| s.roots = Some(empty.clone())).contains("holds 0 certificates"));
    }

    #[test]
    fn files_are_replaced_whole_and_for_nobody_else() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        for text in ["first", "second"] {
            save(folder.path(), CERTIFICATE, text.as_bytes()).unwrap();
            assert_eq!(std::fs::read_to_string(folder.path().join(CERTIFICATE)).unwrap(), text);
        }
        assert_eq!(std::fs::metadata(folder.path().join(CERTIFICATE)).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
        assert!(save(&folder.path().join("gone"), CERTIFICATE, b"").unwrap_err().to_string().contains("gone/certificate.pem"));
    }

    #[tokio::test]
    async fn only_a_known_token_is_answered_and_a_stalled_client_holds_nobody_up() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answers = Answers::default();
        answers.put("token", "token.thumb");
        let task = tokio::spawn(answer(listener, answers));
        let ask = async |request: String| {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let mut said = Vec::new();
            // Who sends too much may be reset meanwhile.
            let _ = stream.write_all(request.as_bytes()).await;
            let _ = stream.read_to_end(&mut said).await;
            String::from_utf8(said).unwrap()
        };
        let mut stalled = TcpStream::connect(address).await.unwrap();
        stalled.write_all(b"GET ").await.unwrap();
        let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: mx.market.test\r\n\r\n");
        let said = ask(get("/.well-known/acme-challenge/token")).await;
        assert!(said.starts_with("HTTP/1.1 200 OK\r\n") && said.ends_with("\r\n\r\ntoken.thumb"), "{said}");
        for other in ["/", "/.well-known/acme-challenge/", "/.well-known/acme-challenge/other", "/.well-known/acme-challenge/token/"] {
            assert!(ask(get(other)).await.starts_with("HTTP/1.1 404 "), "{other}");
        }
        assert!(ask("POST /.well-known/acme-challenge/token HTTP/1.1\r\n\r\n".to_owned()).await.starts_with("HTTP/1.1 404 "));
        assert_eq!(ask(format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(4 * HEAD_BYTES))).await, "", "too long to be read");
        task.abort();
    }
}

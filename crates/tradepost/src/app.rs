//! Wiring: from a configuration to a running service, and its orderly end.

use std::fs::File;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::{Context as _, bail};
use api::ApiState;
use axum::Router;
use axum::extract::Request;
use delivery::{Deliverer, DeliveryHandle, DeliverySettings, DomainSettings, Route, TlsSetting};
use domain::calendar::Calendar;
use domain::carriers::Carriers;
use domain::id::NodeId;
use domain::policy::RuleSet;
use domain::texts::Texts;
use domain::{Clock, MarketplaceId, Random, alias};
use mail::smtp::data::DataLimits;
use mail::smtp::server::Limits;
use mail::{Domain, Mailbox};
use operations::metrics::Metrics;
use operations::{Context, Marketplace, ReadyDelivery, Settings};
use prometheus_client::registry::Registry;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use smtp_server::{Authenticator, ClientLimits, Network, SmtpHandle, SmtpServer, SmtpServerSettings, TrustedRelay};
use store::Store;
use store_files::FileObjects;
use store_postgres::PostgresStore;
use store_sqlite::SqliteStore;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use tower::ServiceExt;

use crate::acme::{self, AcmeSettings};
use crate::certificates::{Certificates, KeptCertificates};
use crate::config::{self, Config, Dnssec, TlsPolicy, fault};
use crate::system::{SystemClock, SystemCsprng};
use crate::{cleaner, data_dir, keys, known, upkeep};

/// Deliveries between acceptance and the door out; more waits in the store.
const HANDOFF: usize = 2_000;
/// Heavy messages that are read at a time.
const HEAVY: usize = 2;
/// Refused mails that are counted at a time; beyond it they are not.
const COUNTING: usize = 100;
/// Longest line of a message that we take (RFC 5321 says 1,000; the world writes longer ones).
const MAX_LINE_BYTES: usize = 65_536;
/// At the end, how long web requests are waited for.
const WEB_DRAIN: Duration = Duration::from_secs(5);

/// A running service.
pub(crate) struct App {
    pub(crate) ctx: Arc<Context>,
    pub(crate) smtp: Vec<SocketAddr>,
    pub(crate) submission: Vec<SocketAddr>,
    pub(crate) submissions: Vec<SocketAddr>,
    pub(crate) web: SocketAddr,
    live: Live,
    doors: watch::Sender<bool>,
    delivery: watch::Sender<bool>,
    door_tasks: Vec<JoinHandle<()>>,
    delivery_task: JoinHandle<()>,
    _lock: File,
}

/// The store that the configuration names.
pub(crate) async fn open_store(config: &Config) -> anyhow::Result<Arc<dyn Store>> {
    data_dir::make(config)?;
    Ok(match &config.database.url {
        Some(url) => Arc::new(PostgresStore::open(url).await.context("[database] url")?),
        None => {
            let path = config.data_dir.join("tradepost.db");
            Arc::new(SqliteStore::open(&path).with_context(|| format!("{}", path.display()))?)
        }
    })
}

/// What the configuration says of the marketplaces, checked.
pub(crate) fn settings(config: &Config) -> anyhow::Result<Settings> {
    let url = config.web.public_url.as_str();
    if !url.is_empty() && !url.starts_with("https://") && !url.starts_with("http://") {
        bail!("[web] public_url: expected an address that begins with https://");
    }
    if config.marketplace.is_empty() {
        bail!("[[marketplace]]: at least one is needed");
    }
    let texts = texts(config)?;
    let mut marketplaces: Vec<Marketplace> = Vec::new();
    for m in &config.marketplace {
        let at = |key: &str| format!("[[marketplace]] {}: {key}", m.id);
        let id = MarketplaceId::new(&m.id).with_context(|| format!("[[marketplace]] id \"{}\": 1 to 32 of a-z, 0-9 and -", m.id))?;
        let domain = Domain::parse(&m.domain).with_context(|| at("domain"))?;
        let postmaster = Mailbox::parse(&m.postmaster).with_context(|| at("postmaster"))?;
        if *postmaster.domain() == domain {
            bail!("{}: an address in the alias domain would come back to us; give the operator's real one", at("postmaster"));
        }
        if marketplaces.iter().any(|other| other.id == id || other.domain == domain) {
            bail!("{}: id and domain belong to one marketplace each", at("domain"));
        }
        let no_zone = || format!("{}: \"{}\" is no time zone; write it like Europe/Madrid", at("time_zone"), m.time_zone);
        let calendar = Calendar::new(&m.time_zone).with_context(no_zone)?;
        if m.retention_days == 0 {
            bail!("{}: at least 1", at("retention_days"));
        }
        if let Some(language) = m.languages.iter().chain([&m.locale]).find(|l| !texts.languages().any(|known| known == l.as_str())) {
            let known: Vec<&str> = texts.languages().collect();
            bail!("{}: no language \"{language}\"; there are {}; more by files in [texts] folder", at("languages"), known.join(", "));
        }
        let signer =
            config.dkim.iter().find(|d| !d.retired && Domain::parse(&d.domain).is_ok_and(|d| d == domain)).map(keys::signer).transpose()?;
        let alias_length = alias_length(config.alias.total_length, &domain)?;
        let name = m.name.clone().unwrap_or_else(|| m.domain.clone());
        let rules = Arc::new(rules(m.rules.as_deref(), "[[marketplace]] rules")?);
        let mut languages = m.languages.clone();
        if !languages.contains(&m.locale) {
            languages.insert(0, m.locale.clone());
        }
        let locale = m.locale.clone();
        marketplaces.push(Marketplace { id, name, domain, locale, languages, calendar, rules, postmaster, alias_length, signer });
    }
    if let Some(dkim) = config.dkim.iter().find(|d| !marketplaces.iter().any(|m| m.domain.as_str() == d.domain.to_ascii_lowercase())) {
        bail!("[[dkim]] domain {}: is no marketplace's domain", dkim.domain);
    }
    let public_url = Some(url.trim_end_matches('/').to_owned()).filter(|url| !url.is_empty());
    let carriers = carriers(config)?;
    Ok(Settings { hostname: config.smtp.hostname.to_ascii_lowercase(), marketplaces, texts, carriers, public_url })
}

/// The carriers that the program knows, and the operator's own.
fn carriers(config: &Config) -> anyhow::Result<Carriers> {
    let mut carriers = Carriers::embedded();
    for carrier in &config.carrier {
        let at = |text: &str| format!("[[carrier]] {}: domain \"{text}\"", carrier.name);
        let domains = carrier.domains.iter().map(|text| Domain::parse(text).with_context(|| at(text))).collect::<Result<Vec<_>, _>>()?;
        if carrier.name.trim().is_empty() || carrier.name.contains('@') || carrier.name.chars().any(char::is_control) {
            bail!("[[carrier]] name \"{}\": expected what buyers call it, on one line and without @", carrier.name);
        }
        carriers.add(carrier.name.trim(), &domains);
        if let Some(useless) = domains.iter().find(|domain| carriers.find(domain).is_none()) {
            bail!("{}: anybody can have an address there; leave it out", at(useless.as_str()));
        }
    }
    Ok(carriers)
}

/// The rules of a file, or the embedded ones. `named_by` is the key or flag that names the file.
pub(crate) fn rules(path: Option<&Path>, named_by: &str) -> anyhow::Result<RuleSet> {
    let Some(path) = path else { return Ok(RuleSet::embedded()) };
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {name}; {named_by} names it"))?;
    RuleSet::parse(&text).map_err(|e| fault(e.place, &e.message, &text, &name))
}

/// Embedded texts with the operator's files laid over them, in order of their names.
fn texts(config: &Config) -> anyhow::Result<Texts> {
    let mut texts = Texts::embedded();
    let Some(folder) = &config.texts.folder else { return Ok(texts) };
    let entries = std::fs::read_dir(folder).with_context(|| format!("[texts] folder: cannot read {}", folder.display()))?;
    let mut files = entries.map(|e| e.map(|e| e.path())).collect::<Result<Vec<_>, _>>()?;
    files.retain(|f| f.extension().is_some_and(|e| e == "toml"));
    files.sort();
    for file in files {
        let name = file.display().to_string();
        let language = file.file_stem().and_then(|s| s.to_str()).unwrap_or_default().to_owned();
        let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {name}"))?;
        texts.lay(&language, &text).map_err(|e| fault(e.place, &e.message, &text, &name))?;
    }
    Ok(texts)
}

/// A2: the length is given for the whole alias; below 62 bits it is refused.
fn alias_length(total: Option<usize>, domain: &Domain) -> anyhow::Result<usize> {
    let Some(total) = total else { return Ok(alias::ALIAS_LENGTH) };
    let length = total.saturating_sub(domain.as_str().len() + 1);
    if !(alias::MIN_ALIAS_LENGTH..=40).contains(&length) {
        bail!(
            "[alias] total_length = {total} leaves {length} characters before @{}; {} to 40 are needed",
            domain.as_str(),
            alias::MIN_ALIAS_LENGTH
        );
    }
    Ok(length)
}

/// How mail leaves.
pub(crate) fn route(config: &Config) -> anyhow::Result<Route> {
    read_route(&config.delivery.route, config.delivery.port).context("[delivery] route")
}

/// A route as people write it; `port` is where mail exchangers listen.
pub(crate) fn read_route(text: &str, port: u16) -> anyhow::Result<Route> {
    if text == "mx" {
        return Ok(Route::Mx { port });
    }
    let wrong = || "expected \"mx\" or \"smtp://[user:password@]host[:port]\", with smtps:// for TLS from the first octet";
    let (rest, implicit_tls) = match text.strip_prefix("smtps://") {
        Some(rest) => (rest, true),
        None => (text.strip_prefix("smtp://").with_context(wrong)?, false),
    };
    let rest = rest.trim_end_matches('/');
    let (credentials, host) = match rest.rsplit_once('@') {
        Some((credentials, host)) => {
            let (user, password) = credentials.split_once(':').with_context(wrong)?;
            (Some((user.to_owned(), password.to_owned())), host)
        }
        None => (None, rest),
    };
    let (host, port) = match host.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok().with_context(wrong)?),
        None if implicit_tls => (host, 465),
        None => (host, if credentials.is_some() { 587 } else { 25 }),
    };
    if host.is_empty() {
        bail!(wrong());
    }
    Ok(Route::Smtp { host: host.to_owned(), port, credentials, implicit_tls })
}

/// The operations' ports without any door, for commands that only look.
pub(crate) async fn offline(config: &Config) -> anyhow::Result<Context> {
    let settings = settings(config)?;
    let store = open_store(config).await?;
    let objects = FileObjects::open(&config.data_dir.join("objects")).context("data_dir/objects")?;
    let random = SystemCsprng::new();
    let master_key = keys::master_key(&key_path(config), store.as_ref(), &random).await?;
    let (handoff, _) = mpsc::channel(1);
    Ok(Context {
        store,
        objects: Arc::new(objects),
        clock: Arc::new(SystemClock),
        node: NodeId::fresh(&random),
        random: Arc::new(random),
        master_key: Arc::new(master_key),
        settings,
        handoff,
        heavy: Arc::new(Semaphore::new(HEAVY)),
        counting: Arc::new(Semaphore::new(COUNTING)),
        metrics: Metrics::default(),
        order_counts: Arc::default(),
        clean_document: Arc::new(cleaner::clean),
    })
}

pub(crate) fn key_path(config: &Config) -> PathBuf {
    config.storage.key.clone().unwrap_or_else(|| config.data_dir.join("storage.key"))
}

impl App {
    /// Starts everything; when it returns, mail is taken. `pages` adds routes to the web door.
    pub(crate) async fn start(
        config: &Config,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        pages: impl FnOnce(&Arc<Context>) -> Router,
    ) -> anyhow::Result<Self> {
        let settings = settings(config)?;
        let delivery_settings = delivery_settings(config)?;
        data_dir::make(config)?;
        // Before the store: a newer program must not change the schema under one that runs.
        let lock = data_dir::lock(config)?;
        data_dir::warn_of_onlookers(config);
        let certificates = certificates(config, &clock, &random).await?;
        let smtp_settings = smtp_settings(config, certificates.as_ref())?;
        let store = open_store(config).await?;
        let objects = FileObjects::open(&config.data_dir.join("objects")).context("data_dir/objects")?;
        let master_key = keys::master_key(&key_path(config), store.as_ref(), random.as_ref()).await?;
        known::remember(store.as_ref(), &settings).await?;
        let node = keys::node_id(&config.data_dir.join("node.id"), random.as_ref())?;
        let authenticator = authenticator(config)?;
        let resolver = authenticator.resolver().clone();
        let (handoff, handed) = mpsc::channel::<ReadyDelivery>(HANDOFF);
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        let registry = Arc::new(registry);
        let ctx = Arc::new(Context {
            store,
            objects: Arc::new(objects),
            clock,
            random,
            master_key: Arc::new(master_key),
            settings,
            node,
            handoff,
            heavy: Arc::new(Semaphore::new(HEAVY)),
            counting: Arc::new(Semaphore::new(COUNTING)),
            metrics,
            order_counts: Arc::default(),
            clean_document: Arc::new(cleaner::clean),
        });
        let released = ctx.store.release_leases(node).await?;
        if released > 0 {
            tracing::info!(released, "deliveries of the last run are taken up again");
        }

        mail::scrub::warm_up();
        let smtp_server = SmtpServer::bind(smtp_settings).await.map_err(|(address, error)| taken("[smtp]", address, &error))?;
        let listener = TcpListener::bind(config.web.listen).await.map_err(|error| taken("[web] listen", config.web.listen, &error))?;
        let (smtp, web) = (smtp_server.addresses(), listener.local_addr()?);
        let (submission, submissions) = (smtp_server.submission_addresses(), smtp_server.submissions_addresses());
        let (doors, door_signal) = watch::channel(false);
        let (delivery, delivery_signal) = watch::channel(false);
        let deliverer = Deliverer::new(Arc::clone(&ctx), delivery_settings, resolver);
        let (smtp_handle, delivery_handle) = (smtp_server.handle(), deliverer.handle());
        let delivery_task = tokio::spawn(deliverer.run(handed, delivery_signal));
        let router = LiveRouter::new(pages(&ctx).merge(router(&ctx, &registry)));
        let present = Present { ctx: Arc::clone(&ctx), certificates: certificates.as_ref().map(|kept| kept.certificates().clone()) };
        let (current, watched) = watch::channel(present);
        let door_tasks = vec![
            tokio::spawn(smtp_server.serve(Arc::clone(&ctx), authenticator, door_signal.clone())),
            tokio::spawn(serve_web(listener, router.service(), door_signal.clone())),
            tokio::spawn(upkeep::run(watched, door_signal)),
        ];
        let (started, present) = (config.clone(), config.clone());
        let live = Live { started, config: present, current, smtp: smtp_handle, delivery: delivery_handle, router, registry, certificates };
        Ok(Self { ctx, smtp, submission, submissions, web, live, doors, delivery, door_tasks, delivery_task, _lock: lock })
    }

    /// Takes a configuration that was read anew: what begins from now on goes by it, what is under way ends as it began.
    ///
    /// # Errors
    /// What is wrong with it; then everything stays as it was.
    pub(crate) async fn reload(&mut self, config: &Config) -> anyhow::Result<()> {
        let live = &mut self.live;
        let old = Arc::clone(&live.current.borrow().ctx);
        let settings = settings(config)?;
        known::compare(&old.settings, &settings)?;
        let delivery_settings = delivery_settings(config)?;
        let authenticator = authenticator(config)?;
        let certificates = reloaded_certificates(live, config, &old).await?;
        let smtp_settings = smtp_settings(config, certificates.as_ref().or(live.certificates.as_ref()))?;
        known::remember(old.store.as_ref(), &settings).await?;
        for key in needs_restart(&live.started, config, live.certificates.is_some()) {
            tracing::warn!("{key} differs; it takes effect with a restart");
        }
        let ctx = Arc::new(old.with_settings(settings));
        let resolver = authenticator.resolver().clone();
        live.router.replace(web::front_page(Arc::clone(&ctx)).merge(router(&ctx, &live.registry)));
        live.smtp.reload(Arc::clone(&ctx), authenticator, smtp_settings);
        live.delivery.reload(Arc::clone(&ctx), delivery_settings, resolver);
        live.certificates = certificates.or(live.certificates.take());
        live.config = config.clone();
        let certificates = live.certificates.as_ref().map(|kept| kept.certificates().clone());
        live.current.send_replace(Present { ctx: Arc::clone(&ctx), certificates });
        self.ctx = ctx;
        Ok(())
    }

    /// Ends in order: no new sessions, what is being accepted is finished, then deliveries under way.
    pub(crate) async fn stop(self) {
        self.doors.send_replace(true);
        for task in self.door_tasks {
            drop(task.await);
        }
        self.delivery.send_replace(true);
        drop(self.delivery_task.await);
        // What is counted behind a reply holds a permit until it is.
        let counted = self.ctx.counting.acquire_many(u32::try_from(COUNTING).unwrap_or(u32::MAX));
        drop(tokio::time::timeout(WEB_DRAIN, counted).await);
    }
}

/// What is in force.
pub(crate) struct Present {
    pub(crate) ctx: Arc<Context>,
    pub(crate) certificates: Option<Certificates>,
}

/// What a new configuration is handed to.
struct Live {
    /// What the process began with: what it holds open is of this one.
    started: Config,
    /// What was read last.
    config: Config,
    current: watch::Sender<Present>,
    smtp: SmtpHandle,
    delivery: DeliveryHandle,
    router: LiveRouter,
    registry: Arc<Registry>,
    certificates: Option<KeptCertificates>,
}

/// Routes that can be exchanged between two requests.
#[derive(Clone)]
struct LiveRouter(Arc<RwLock<Router>>);

impl LiveRouter {
    fn new(router: Router) -> Self {
        Self(Arc::new(RwLock::new(router)))
    }

    fn replace(&self, router: Router) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = router;
    }

    /// Routes that ask the present ones.
    fn service(&self) -> Router {
        let live = self.clone();
        Router::new().fallback(move |request: Request| {
            let present = live.0.read().unwrap_or_else(PoisonError::into_inner).clone();
            present.oneshot(request)
        })
    }
}

/// Pages and API.
fn router(ctx: &Arc<Context>, registry: &Arc<Registry>) -> Router {
    web::router(Arc::clone(ctx)).merge(api::router(ApiState { ctx: Arc::clone(ctx), registry: Arc::clone(registry) }))
}

/// Keys that a running service cannot change: since its start the process holds what they name.
fn needs_restart(old: &Config, new: &Config, has_certificate: bool) -> Vec<&'static str> {
    // The account, the order and its answers are under way with what they were begun with.
    let acme = |c: &Config| c.tls.as_ref().and_then(|t| t.acme.clone()).map(|a| (a, c.smtp.hostname.clone()));
    let differs = [
        ("data_dir", old.data_dir != new.data_dir),
        ("[database] url", old.database.url != new.database.url),
        ("[storage] key", old.storage.key != new.storage.key),
        ("[smtp] listen", old.smtp.listen != new.smtp.listen),
        ("[smtp] submission", old.smtp.submission != new.smtp.submission),
        ("[smtp] submissions", old.smtp.submissions != new.smtp.submissions),
        ("[web] listen", old.web.listen != new.web.listen),
        ("[tls.acme]", acme(old) != acme(new)),
        ("[tls]", has_certificate && new.tls.is_none()),
    ];
    differs.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
}

pub(crate) fn authenticator(config: &Config) -> anyhow::Result<Authenticator> {
    Authenticator::new(&config.smtp.hostname, &config.dns.servers).map_err(anyhow::Error::msg).context("[dns] servers")
}

/// The certificate of STARTTLS and implicit TLS: from files, or from an authority.
async fn certificates(config: &Config, clock: &Arc<dyn Clock>, random: &Arc<dyn Random>) -> anyhow::Result<Option<KeptCertificates>> {
    let Some(tls) = &config.tls else { return Ok(None) };
    if let Some((settings, listen)) = acme_settings(config)? {
        let listener = TcpListener::bind(listen).await.map_err(|error| taken("[tls.acme] listen", listen, &error))?;
        return acme::start(settings, listener, Arc::clone(clock), Arc::clone(random)).map(Some);
    }
    Ok(Some(files(tls, config)?.watch(Arc::clone(clock))))
}

/// New certificates where the files that hold them are others now, else the same ones read again.
async fn reloaded_certificates(live: &Live, new: &Config, ctx: &Context) -> anyhow::Result<Option<KeptCertificates>> {
    let (old, present) = (&live.config, live.certificates.as_ref());
    let paths = |c: &Config| c.tls.as_ref().map(|t| (t.certificate.clone(), t.key.clone(), t.acme.is_some()));
    let same = paths(old) == paths(new) && old.smtp.hostname == new.smtp.hostname;
    let is_acme = |c: &Config| c.tls.as_ref().is_some_and(|tls| tls.acme.is_some());
    match (&new.tls, present) {
        // An authority's are kept by a task that began with its settings; without [tls] what is there stays.
        _ if is_acme(&live.started) || is_acme(new) => Ok(None),
        (None, _) => Ok(None),
        (Some(_), Some(kept)) if same => kept.certificates().reload().map(|()| None),
        _ => certificates(new, &ctx.clock, &ctx.random).await,
    }
}

/// What `[tls.acme]` says, checked, and where it listens.
pub(crate) fn acme_settings(config: &Config) -> anyhow::Result<Option<(AcmeSettings, SocketAddr)>> {
    let Some(tls) = &config.tls else { return Ok(None) };
    let Some(acme) = &tls.acme else { return Ok(None) };
    if tls.certificate.is_some() || tls.key.is_some() {
        bail!("[tls]: give certificate and key, or [tls.acme], not both");
    }
    let settings = AcmeSettings {
        directory: acme.directory.clone(),
        contact: acme.contact.clone(),
        roots: acme.roots.clone(),
        hostname: config.smtp.hostname.clone(),
        folder: config.data_dir.join("acme"),
    };
    settings.check()?;
    Ok(Some((settings, acme.listen)))
}

/// The files that `[tls]` names.
pub(crate) fn files(tls: &config::Tls, config: &Config) -> anyhow::Result<Certificates> {
    let (Some(certificate), Some(key)) = (&tls.certificate, &tls.key) else {
        bail!("[tls]: certificate and key are needed together, or [tls.acme]");
    };
    Certificates::from_files(certificate, key, &config.smtp.hostname)
}

async fn serve_web(listener: TcpListener, router: Router, signal: watch::Receiver<bool>) {
    let mut graceful = signal.clone();
    let mut deadline = signal;
    let server = axum::serve(listener, router).with_graceful_shutdown(async move { drop(graceful.wait_for(|down| *down).await) });
    // A browser that keeps its connection open must not keep the service from ending.
    tokio::select! {
        result = async { server.await } => if let Err(error) = result { tracing::error!(%error, "the web door failed") },
        () = async { drop(deadline.wait_for(|down| *down).await); tokio::time::sleep(WEB_DRAIN).await } => {}
    }
}

fn smtp_settings(config: &Config, certificates: Option<&KeptCertificates>) -> anyhow::Result<SmtpServerSettings> {
    let tls = certificates.map(|kept| kept.certificates().acceptor());
    Ok(SmtpServerSettings { tls, ..check_smtp(config, certificates.is_some())? })
}

/// What `[smtp]` says, checked, without the certificate.
pub(crate) fn check_smtp(config: &Config, has_certificate: bool) -> anyhow::Result<SmtpServerSettings> {
    let smtp = &config.smtp;
    let takes_submissions = !smtp.submission.is_empty() || !smtp.submissions.is_empty();
    if takes_submissions && !has_certificate {
        bail!("[smtp] submission and submissions need [tls]: passwords never travel in clear");
    }
    let data = DataLimits { size_bytes: smtp.max_size, line_bytes: MAX_LINE_BYTES };
    Ok(SmtpServerSettings {
        listen: smtp.listen.clone(),
        submission: smtp.submission.clone(),
        submissions: smtp.submissions.clone(),
        proxy_protocol: smtp.proxy_protocol,
        trusted_relays: trusted_relays(config)?,
        hostname: smtp.hostname.clone(),
        limits: Limits { data, recipients: smtp.max_recipients, ..Limits::default() },
        clients: ClientLimits {
            sessions_per_client: smtp.sessions_per_client,
            sessions: smtp.sessions,
            messages_per_minute: smtp.messages_per_minute,
            ..ClientLimits::default()
        },
        tls: None,
    })
}

/// Whether a resolver runs on this machine. What only passes on what another one says also stands on loopback: Docker's
/// (127.0.0.11), and the stub of systemd for programs that validate themselves (127.0.0.54).
fn is_resolver_here(address: IpAddr) -> bool {
    address.is_loopback() && !["127.0.0.11", "127.0.0.54"].iter().any(|passes_on| address.to_string() == *passes_on)
}

/// The operator's own relays.
fn trusted_relays(config: &Config) -> anyhow::Result<Vec<TrustedRelay>> {
    let relays = config.smtp.trusted_relay.iter().map(|relay| {
        let wrong = || format!("[[smtp.trusted_relay]] network \"{}\": expected addresses like 10.0.0.0/24", relay.network);
        Ok(TrustedRelay { network: Network::parse(&relay.network).with_context(wrong)?, authserv_id: relay.authserv_id.clone() })
    });
    relays.collect()
}

/// How mail leaves, checked.
pub(crate) fn delivery_settings(config: &Config) -> anyhow::Result<DeliverySettings> {
    let out = &config.delivery;
    let mut settings = DeliverySettings::new(route(config)?, config.smtp.hostname.clone());
    settings.connections_per_destination = out.connections_per_destination.max(1);
    settings.connections = out.connections.max(1);
    settings.mta_sts_port = out.mta_sts_port;
    settings.dns = if config.dns.servers.is_empty() { delivery::system_servers() } else { config.dns.servers.clone() };
    settings.trust_ad = match config.dns.dnssec {
        // Nobody on the way can say what the servers did not.
        Dnssec::Auto => !settings.dns.is_empty() && settings.dns.iter().all(|server| is_resolver_here(server.ip())),
        Dnssec::Resolver => true,
        Dnssec::Off => false,
    };
    if let Some(roots) = &out.roots {
        let found = CertificateDer::pem_file_iter(roots).and_then(Iterator::collect);
        settings.roots = found.with_context(|| format!("[delivery] roots {}: cannot be read as PEM", roots.display()))?;
    }
    for (name, own) in &out.domain {
        let domain = Domain::parse(name).with_context(|| format!("[delivery.domain.\"{name}\"]"))?;
        let tls = own.tls.map(|tls| match tls {
            TlsPolicy::Opportunistic => TlsSetting::Opportunistic,
            TlsPolicy::Required => TlsSetting::Required,
            TlsPolicy::Verified => TlsSetting::Verified,
            TlsPolicy::Off => TlsSetting::Off,
        });
        let own = DomainSettings { tls, connections: own.connections.map(|n| n.max(1)) };
        settings.domains.insert(domain.as_str().to_owned(), own);
    }
    Ok(settings)
}

fn taken(key: &str, address: SocketAddr, error: &std::io::Error) -> anyhow::Error {
    let remedy = match error.kind() {
        std::io::ErrorKind::AddrInUse => "another program listens there; stop it or choose another port",
        std::io::ErrorKind::PermissionDenied => "ports below 1024 need the right to bind them (CAP_NET_BIND_SERVICE)",
        _ => "choose an address of this machine",
    };
    anyhow::anyhow!("{key} {address}: {error}; {remedy}")
}

//! Wiring: from a configuration to a running service, and its orderly end.

use std::fs::File;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use api::ApiState;
use axum::Router;
use delivery::{Deliverer, DeliverySettings, Route};
use domain::calendar::Calendar;
use domain::id::NodeId;
use domain::policy::RuleSet;
use domain::texts::Texts;
use domain::{Clock, MarketplaceId, Random, alias};
use mail::smtp::data::DataLimits;
use mail::smtp::server::Limits;
use mail::{Domain, Mailbox};
use operations::metrics::Metrics;
use operations::{Context, Marketplace, OrderCounts, ReadyDelivery, Settings};
use prometheus_client::registry::Registry;
use smtp_server::{Authenticator, ClientLimits, SmtpServer, SmtpServerSettings};
use store::Store;
use store_files::FileObjects;
use store_postgres::PostgresStore;
use store_sqlite::SqliteStore;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinHandle;

use crate::cleaner;
use crate::config::{Config, fault};
use crate::keys;
use crate::system::{SystemClock, SystemCsprng};

/// Deliveries between acceptance and the door out; more waits in the store.
const HANDOFF: usize = 2_000;
/// Heavy messages that are read at a time.
const HEAVY: usize = 2;
/// Longest line of a message that we take (RFC 5321 says 1,000; the world writes longer ones).
const MAX_LINE_BYTES: usize = 65_536;
/// At the end, how long web requests are waited for.
const WEB_DRAIN: Duration = Duration::from_secs(5);

/// A running service.
pub(crate) struct App {
    pub(crate) ctx: Arc<Context>,
    pub(crate) smtp: Vec<SocketAddr>,
    pub(crate) web: SocketAddr,
    doors: watch::Sender<bool>,
    delivery: watch::Sender<bool>,
    door_tasks: Vec<JoinHandle<()>>,
    delivery_task: JoinHandle<()>,
    _lock: File,
}

fn make_data_dir(config: &Config) -> anyhow::Result<()> {
    // What is in it names people: nobody else on the machine may read it.
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&config.data_dir)
        .with_context(|| format!("data_dir {}: cannot be made", config.data_dir.display()))?;
    Ok(())
}

/// The store that the configuration names.
pub(crate) async fn open_store(config: &Config) -> anyhow::Result<Arc<dyn Store>> {
    make_data_dir(config)?;
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
        let signer = config.dkim.iter().find(|d| Domain::parse(&d.domain).is_ok_and(|d| d == domain)).map(keys::signer).transpose()?;
        let alias_length = alias_length(config.alias.total_length, &domain)?;
        let name = m.name.clone().unwrap_or_else(|| m.domain.clone());
        let rules = Arc::new(rules(m.rules.as_deref())?);
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
    Ok(Settings { hostname: config.smtp.hostname.to_ascii_lowercase(), marketplaces, texts, public_url })
}

/// The rules of a file, or the embedded ones.
pub(crate) fn rules(path: Option<&Path>) -> anyhow::Result<RuleSet> {
    let Some(path) = path else { return Ok(RuleSet::embedded()) };
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {name}; [[marketplace]] rules names it"))?;
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
    let text = config.delivery.route.as_str();
    if text == "mx" {
        return Ok(Route::Mx { port: config.delivery.port });
    }
    let wrong = || "[delivery] route: expected \"mx\" or \"smtp://[user:password@]host[:port]\"";
    let rest = text.strip_prefix("smtp://").with_context(wrong)?.trim_end_matches('/');
    let (credentials, host) = match rest.rsplit_once('@') {
        Some((credentials, host)) => {
            let (user, password) = credentials.split_once(':').with_context(wrong)?;
            (Some((user.to_owned(), password.to_owned())), host)
        }
        None => (None, rest),
    };
    let (host, port) = match host.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok().with_context(wrong)?),
        None => (host, if credentials.is_some() { 587 } else { 25 }),
    };
    if host.is_empty() {
        bail!(wrong());
    }
    Ok(Route::Smtp { host: host.to_owned(), port, credentials })
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
        master_key,
        settings,
        handoff,
        heavy: Arc::new(Semaphore::new(HEAVY)),
        metrics: Metrics::default(),
        order_counts: OrderCounts::default(),
        clean_document: Arc::new(cleaner::clean),
    })
}

fn key_path(config: &Config) -> PathBuf {
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
        let route = route(config)?;
        let tls = config.tls.as_ref().map(keys::tls_acceptor).transpose()?;
        make_data_dir(config)?;
        // Before the store: a newer program must not change the schema under one that runs.
        let lock = lock(config)?;
        let store = open_store(config).await?;
        let objects = FileObjects::open(&config.data_dir.join("objects")).context("data_dir/objects")?;
        let master_key = keys::master_key(&key_path(config), store.as_ref(), random.as_ref()).await?;
        let node = keys::node_id(&config.data_dir.join("node.id"), random.as_ref())?;
        let authenticator =
            Authenticator::new(&config.smtp.hostname, &config.dns.servers).map_err(anyhow::Error::msg).context("[dns] servers")?;
        let resolver = authenticator.resolver().clone();
        let (handoff, handed) = mpsc::channel::<ReadyDelivery>(HANDOFF);
        let mut registry = Registry::default();
        let metrics = Metrics::register(&mut registry);
        let ctx = Arc::new(Context {
            store,
            objects: Arc::new(objects),
            clock,
            random,
            master_key,
            settings,
            node,
            handoff,
            heavy: Arc::new(Semaphore::new(HEAVY)),
            metrics,
            order_counts: OrderCounts::default(),
            clean_document: Arc::new(cleaner::clean),
        });
        let released = ctx.store.release_leases(node).await?;
        if released > 0 {
            tracing::info!(released, "deliveries of the last run are taken up again");
        }

        mail::scrub::warm_up();
        let smtp_server =
            SmtpServer::bind(smtp_settings(config, tls)).await.map_err(|(address, error)| taken("[smtp] listen", address, &error))?;
        let listener = TcpListener::bind(config.web.listen).await.map_err(|error| taken("[web] listen", config.web.listen, &error))?;
        let (smtp, web) = (smtp_server.addresses(), listener.local_addr()?);
        let (doors, door_signal) = watch::channel(false);
        let (delivery, delivery_signal) = watch::channel(false);
        let delivery_settings = DeliverySettings {
            route,
            hostname: config.smtp.hostname.clone(),
            connections_per_destination: config.delivery.connections_per_destination.max(1),
        };
        let deliverer = Deliverer::new(Arc::clone(&ctx), delivery_settings, resolver);
        let delivery_task = tokio::spawn(deliverer.run(handed, delivery_signal));
        let router = pages(&ctx)
            .merge(web::router(Arc::clone(&ctx)))
            .merge(api::router(ApiState { ctx: Arc::clone(&ctx), registry: Arc::new(registry) }));
        let door_tasks = vec![
            tokio::spawn(smtp_server.serve(Arc::clone(&ctx), authenticator, door_signal.clone())),
            tokio::spawn(serve_web(listener, router, door_signal)),
        ];
        Ok(Self { ctx, smtp, web, doors, delivery, door_tasks, delivery_task, _lock: lock })
    }

    /// Ends in order: no new sessions, what is being accepted is finished, then deliveries under way.
    pub(crate) async fn stop(self) {
        self.doors.send_replace(true);
        for task in self.door_tasks {
            drop(task.await);
        }
        self.delivery.send_replace(true);
        drop(self.delivery_task.await);
    }
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

fn smtp_settings(config: &Config, tls: Option<tokio_rustls::TlsAcceptor>) -> SmtpServerSettings {
    let smtp = &config.smtp;
    let data = DataLimits { size_bytes: smtp.max_size, line_bytes: MAX_LINE_BYTES };
    SmtpServerSettings {
        listen: smtp.listen.clone(),
        hostname: smtp.hostname.clone(),
        limits: Limits { data, recipients: smtp.max_recipients, ..Limits::default() },
        clients: ClientLimits { sessions_per_client: smtp.sessions_per_client, sessions: smtp.sessions, ..ClientLimits::default() },
        tls,
    }
}

/// One service a data folder: two would take each other's leases up.
fn lock(config: &Config) -> anyhow::Result<File> {
    let path = config.data_dir.join("lock");
    let file = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    if file.try_lock().is_err() {
        bail!("data_dir {} is in use by another tradepost; stop it or choose another folder", config.data_dir.display());
    }
    Ok(file)
}

fn taken(key: &str, address: SocketAddr, error: &std::io::Error) -> anyhow::Error {
    let remedy = match error.kind() {
        std::io::ErrorKind::AddrInUse => "another program listens there; stop it or choose another port",
        std::io::ErrorKind::PermissionDenied => "ports below 1024 need the right to bind them (CAP_NET_BIND_SERVICE)",
        _ => "choose an address of this machine",
    };
    anyhow::anyhow!("{key} {address}: {error}; {remedy}")
}

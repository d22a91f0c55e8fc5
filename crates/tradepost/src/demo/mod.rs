//! The demo: a whole little marketplace on loopback, with real SMTP in and out.
//!
//! The service is the same as in `serve`. Around it stand a DNS zone, an SMTP server that holds everybody's
//! real mailbox, and senders; none of them knows the service from inside.

mod cast;
mod client;
mod pages;
mod views;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context as _;
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::RsaKeyPair;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::{BuyerId, Clock, MarketplaceId, PairId, SellerId};
use operations::{BuyerInput, Context, OrderInput, SellerInput, put_buyer, put_order, put_seller};
use sandbox::{Mailboxes, Zone, send_mail, serve_dns, serve_mailboxes};

use crate::app::App;
use crate::commands::demo::DemoArguments;
use crate::commands::serve::until_told;
use crate::demo::cast::{Cast, DOMAIN, MARKETPLACE, OrderLine, Scene};
use crate::demo::client::ClientMail;
use crate::system::{SystemClock, SystemCsprng, say};
use crate::{config, keys};

/// How long a scene of the opening waits for its mail.
const SCENE_PATIENCE: Duration = Duration::from_secs(10);

/// What the pages know.
pub(crate) struct Demo {
    pub(crate) cast: Cast,
    pub(crate) mailboxes: Mailboxes,
    pub(crate) clock: SystemClock,
    /// Known once the service listens.
    pub(crate) started: OnceLock<Started>,
}

/// What is known once the service listens and its data is there.
pub(crate) struct Started {
    pub(crate) smtp: SocketAddr,
    pub(crate) ctx: Arc<Context>,
    pub(crate) orders: Vec<OrderLine>,
}

pub(crate) async fn run(arguments: DemoArguments) -> anyhow::Result<()> {
    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    let temporary;
    let data_dir = match &arguments.data {
        Some(folder) => folder.clone(),
        None => {
            temporary = tempfile::Builder::new()
                .prefix("tradepost-demo-")
                .tempdir()
                .context("cannot make a temporary folder; give one with --data")?;
            temporary.path().to_owned()
        }
    };
    std::fs::create_dir_all(&data_dir).with_context(|| format!("--data {}", data_dir.display()))?;
    say("Starting a marketplace of invented people …");
    let zone = Zone::default();
    let mailboxes = Mailboxes::default();
    let cast = Cast::new();
    let dns = serve_dns(zone.clone(), loopback).await?;
    let mailbox_server = serve_mailboxes(mailboxes.clone(), "mx.mailboxes.example", loopback).await?;
    let dkim = config::Dkim { domain: DOMAIN.to_owned(), selector: "demo".to_owned(), key: data_dir.join("dkim.pem"), retired: false };
    make_dkim_key(&dkim.key)?;
    publish(&zone, &cast, &dkim)?;

    let demo = Arc::new(Demo { cast, mailboxes, clock: SystemClock, started: OnceLock::new() });
    let config = configuration(&arguments, data_dir, dns, mailbox_server, dkim);
    let pages = pages::router(Arc::clone(&demo));
    let app = App::start(&config, Arc::new(SystemClock), Arc::new(SystemCsprng::new()), |_| pages).await?;
    let orders = put_everything(&app.ctx, &demo).await?;
    let smtp = app.smtp.first().copied().unwrap_or(loopback);
    let _ = demo.started.set(Started { smtp, ctx: Arc::clone(&app.ctx), orders });
    play_opening(&demo).await;
    opt_out(&app.ctx).await?;
    let name = format!("demo-{}", SystemClock.now().0);
    let token =
        operations::create_token(app.ctx.store.as_ref(), app.ctx.random.as_ref(), SystemClock.now(), &name, store::TokenScope::Operator)
            .await;
    print_welcome(&demo, smtp, app.web, token.ok().as_deref());
    until_told().await?;
    say("Ending …");
    app.stop().await;
    Ok(())
}

fn configuration(
    arguments: &DemoArguments,
    data_dir: PathBuf,
    dns: SocketAddr,
    mailboxes: SocketAddr,
    dkim: config::Dkim,
) -> config::Config {
    config::Config {
        data_dir,
        database: config::Database::default(),
        storage: config::Storage::default(),
        smtp: config::Smtp {
            listen: vec![arguments.smtp],
            hostname: format!("mx.{DOMAIN}"),
            max_size: 26_214_400,
            max_recipients: 100,
            sessions_per_client: 200,
            sessions: 1_000,
            messages_per_minute: 100_000,
            submission: Vec::new(),
            submissions: Vec::new(),
            proxy_protocol: false,
            trusted_relay: Vec::new(),
        },
        tls: None,
        dkim: vec![dkim],
        web: config::Web { listen: arguments.web, public_url: format!("http://{}", arguments.web) },
        delivery: config::Delivery { route: format!("smtp://{mailboxes}"), ..config::Delivery::default() },
        dns: config::Dns { servers: vec![dns], ..config::Dns::default() },
        alias: config::Alias::default(),
        texts: config::Texts::default(),
        carrier: Vec::new(),
        marketplace: vec![config::Marketplace {
            id: MARKETPLACE.to_owned(),
            name: Some("Plaza".to_owned()),
            domain: DOMAIN.to_owned(),
            locale: "es".to_owned(),
            languages: ["es", "en", "pt-BR"].map(str::to_owned).to_vec(),
            postmaster: cast::POSTMASTER.to_owned(),
            retention_days: 730,
            time_zone: "Europe/Madrid".to_owned(),
            rules: None,
        }],
    }
}

/// An RSA key of 2048 bits in PKCS#8, unless the folder has one.
fn make_dkim_key(path: &Path) -> anyhow::Result<()> {
    if path.exists() {
        return Ok(());
    }
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).ok().context("a DKIM key cannot be made")?;
    let der = pair.as_der().ok().context("a DKIM key cannot be written")?;
    let mut pem = String::from("-----BEGIN PRIVATE KEY-----\n");
    for line in STANDARD.encode(der.as_ref()).as_bytes().chunks(64) {
        pem.push_str(&String::from_utf8_lossy(line));
        pem.push('\n');
    }
    pem.push_str("-----END PRIVATE KEY-----\n");
    std::fs::write(path, pem).with_context(|| format!("{}", path.display()))
}

fn publish(zone: &Zone, cast: &Cast, dkim: &config::Dkim) -> anyhow::Result<()> {
    zone.mail_domain(DOMAIN);
    for domain in cast.domains() {
        zone.mail_domain(&domain);
    }
    let signer = keys::signer(dkim)?;
    zone.txt(&signer.dns_name(), &signer.dns_record());
    Ok(())
}

/// Sellers, buyers and orders, through the same operations as the API.
async fn put_everything(ctx: &Context, demo: &Demo) -> anyhow::Result<Vec<OrderLine>> {
    let marketplace = MarketplaceId::new(MARKETPLACE).context("the demo's marketplace")?;
    let failed = |e| anyhow::anyhow!("the demo's data was not taken: {e:?}");
    for seller in demo.cast.sellers() {
        let input = SellerInput {
            business_name: Some(seller.name.clone()),
            email: Some(seller.address.clone()),
            locale: Some(seller.locale.clone()),
            ..SellerInput::default()
        };
        put_seller(ctx, &marketplace, &seller.id, input).await.map_err(failed)?;
    }
    for buyer in demo.cast.buyers() {
        let input = BuyerInput {
            email: Some(buyer.address.clone()),
            first_name: Some(buyer.name.clone()),
            locale: Some(buyer.locale.clone()),
            ..BuyerInput::default()
        };
        put_buyer(ctx, &marketplace, &buyer.id, input).await.map_err(failed)?;
    }
    let now = demo.clock.now();
    let mut lines = Vec::new();
    for order in demo.cast.orders(now) {
        let (seller, buyer) = (order.seller.clone(), order.buyer.clone());
        let input = OrderInput {
            seller: Some(seller.clone()),
            buyer: Some(buyer.clone()),
            status: Some(order.status.to_owned()),
            placed_at: Some(order.placed_at),
            delivered_at: order.delivered_at,
            items: Some(order.items()),
            ..OrderInput::default()
        };
        let (_, aliases) = put_order(ctx, &marketplace, &order.id, input).await.map_err(failed)?;
        let pair = PairId::of(SellerId::of(&marketplace, &seller), BuyerId::of(&marketplace, &buyer));
        lines.push(OrderLine { order, buyer_alias: aliases.buyer_alias, seller_alias: aliases.seller_alias, pair });
    }
    Ok(lines)
}

/// One buyer wants no unsolicited mail; only after the opening, in which she is written to.
async fn opt_out(ctx: &Context) -> anyhow::Result<()> {
    let marketplace = MarketplaceId::new(MARKETPLACE).context("the demo's marketplace")?;
    let input = BuyerInput { opted_out: Some(true), ..BuyerInput::default() };
    let put = put_buyer(ctx, &marketplace, cast::OPTED_OUT, input).await;
    put.map(drop).map_err(|e| anyhow::anyhow!("the demo's data was not taken: {e:?}"))
}

/// A few conversations, written by the people themselves through the real listener.
async fn play_opening(demo: &Demo) {
    for scene in demo.cast.opening() {
        if let Err(error) = play(demo, &scene).await {
            tracing::warn!(%error, "a scene of the demo's opening failed");
        }
    }
}

async fn play(demo: &Demo, scene: &Scene) -> anyhow::Result<()> {
    let started = demo.started.get().context("not started")?;
    let writer = demo.cast.person(scene.from).context("the writer")?;
    let reader = demo.cast.person(scene.to).context("the reader")?;
    let line = started.orders.iter().find(|l| l.order.id == scene.order).context("the order")?;
    let alias = if writer.is_seller { &line.buyer_alias } else { &line.seller_alias };
    let mut mail = ClientMail::new(writer, alias, scene.subject, scene.text, demo.clock.now());
    mail.html = scene.html;
    if scene.is_reply {
        let last = demo.mailboxes.of(&writer.address).pop().context("nothing to reply to")?;
        mail.reply_to(&views::read(&last));
    }
    let before = demo.mailboxes.count(&reader.address);
    let exchange = send_mail(started.smtp, &writer.helo(), &writer.address, &[&mail.to], &mail.octets()).await?;
    anyhow::ensure!(exchange.is_accepted(), "refused: {} {}", exchange.code, exchange.text);
    let arrived = async {
        while demo.mailboxes.count(&reader.address) == before {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(SCENE_PATIENCE, arrived).await.context("did not arrive")
}

fn print_welcome(demo: &Demo, smtp: SocketAddr, web: SocketAddr, token: Option<&str>) {
    say(&format!(
        "\nTradepost demo is running.\n\n  Open      http://{web}/demo\n  SMTP      {smtp}  (any mail client may send to it)\n  API       http://{web}/api/v1/docs\n  Token     {}  (for the API, of this demo only)\n\nFive things to try:",
        token.unwrap_or("none could be made")
    ));
    for (n, tip) in pages::tips(demo).into_iter().enumerate() {
        say(&format!("  {}. {}\n     http://{web}{}", n + 1, tip.title, tip.link));
    }
    say("\nEnd it with Ctrl-C.");
}

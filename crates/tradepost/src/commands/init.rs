//! `tradepost init`: a configuration with keys, and the first token, so that an hour later mail flows.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use domain::Random;
use operations::{Context, OperationError};
use rustix::process::geteuid;
use store::TokenScope;

use crate::commands::init_answers::{Answers, answers};
use crate::commands::{dkim, dns, files};
use crate::config::Config;
use crate::system::{SystemCsprng, say};
use crate::{app, config};

/// The configuration's file name.
const FILE: &str = "tradepost.toml";
/// The first key's selector; `dkim rotate` counts on.
const SELECTOR: &str = "tp1";

/// What the configuration is to say. On a terminal what is missing is asked for.
#[derive(clap::Args)]
pub(crate) struct InitArguments {
    /// Folder for the configuration and the DKIM key.
    #[arg(long, default_value = "/etc/tradepost")]
    pub(super) dir: PathBuf,
    /// Folder for everything that the service keeps.
    #[arg(long, default_value = "/var/lib/tradepost")]
    pub(super) data_dir: PathBuf,
    /// Alias domain: what stands behind the @ of every alias. It never changes.
    #[arg(long)]
    pub(super) domain: Option<String>,
    /// Name of this machine in mail [default: mx.DOMAIN].
    #[arg(long)]
    pub(super) hostname: Option<String>,
    /// Your own address, outside the alias domain: there goes mail to postmaster@ and abuse@.
    #[arg(long)]
    pub(super) postmaster: Option<String>,
    /// Id of the marketplace, 1 to 32 of a-z, 0-9 and -. It never changes.
    #[arg(long, value_name = "ID")]
    pub(super) marketplace: Option<String>,
    /// What people call the marketplace [default: DOMAIN].
    #[arg(long)]
    pub(super) name: Option<String>,
    /// Language of the site [default: en].
    #[arg(long)]
    pub(super) locale: Option<String>,
    /// Its time zone, such as Europe/Madrid [default: UTC].
    #[arg(long)]
    pub(super) time_zone: Option<String>,
    /// Address under which people reach the pages, such as https://mail.shop.example [default: none, mail has no links].
    #[arg(long)]
    pub(super) public_url: Option<String>,
    /// How mail leaves: `mx`, or `smtp://user:password@host:port` of a provider.
    #[arg(long, default_value = "mx")]
    pub(super) route: String,
}

pub(crate) async fn run(arguments: InitArguments) -> anyhow::Result<()> {
    let dir = arguments.dir.clone();
    let answers = answers(&arguments)?;
    let key_name = dkim::key_file_name(&answers.domain, SELECTOR);
    let (path, key) = (dir.join(FILE), dir.join(&key_name));
    let present: Vec<String> = [&path, &key].into_iter().filter(|p| p.exists()).map(|p| p.display().to_string()).collect();
    if !present.is_empty() {
        bail!("{} exist(s) already and would be lost; move it away, or choose another --dir", present.join(" and "));
    }
    let text = text(&answers, &key_name);
    // Who owns the folder of data runs the service, where a package made it.
    let had_data_dir = answers.data_dir.exists();
    // The store first: what most often fails leaves nothing behind that is in the way of the next try.
    let ctx = open_store(&text, &path).await?;
    std::fs::create_dir_all(&dir).with_context(|| format!("--dir {}: cannot be made", dir.display()))?;
    let mut written = Written::default();
    written.write(&key, &dkim::new_key()?)?;
    written.write(&path, &text)?;
    let config = config::load(&path)?;
    let records = dns::records(&config)?;
    if had_data_dir {
        let made = ["tradepost.db", "tradepost.db-wal", "tradepost.db-shm", "storage.key", "objects", "objects/tmp"];
        let made = made.map(|name| config.data_dir.join(name));
        for file in [&path, &key].into_iter().chain(made.iter().filter(|file| file.exists())) {
            files::same_owner(file, &config.data_dir)?;
        }
    }
    let (token, name) = first_token(&ctx).await?;
    written.keep();
    say(&format!("Written: {} and {}.", path.display(), key.display()));
    say("");
    say(&format!("The first operator's token, named {name}. This is the only time it is shown:"));
    say(&token);
    say("");
    say("The records to publish (again: tradepost dns):");
    say("");
    dns::print(&records);
    say("");
    next_steps(&path, &config, geteuid().is_root() && !had_data_dir);
    Ok(())
}

/// Files of ours that go again unless everything was done.
#[derive(Default)]
struct Written(Vec<PathBuf>);

impl Written {
    fn write(&mut self, path: &Path, text: &str) -> anyhow::Result<()> {
        files::write_new(path, text, 0o600)?;
        self.0.push(path.to_owned());
        Ok(())
    }

    fn keep(mut self) {
        self.0.clear();
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        for path in &self.0 {
            let _ = std::fs::remove_file(path);
        }
    }
}

fn next_steps(path: &Path, config: &Config, is_for_another_user: bool) {
    let folder = path.parent().unwrap_or(Path::new(".")).display();
    let (path, data) = (path.display(), config.data_dir.display());
    let mut steps = Vec::new();
    if is_for_another_user {
        steps.push(format!("Give the files to the user that is to run the service: chown -R USER: {folder} {data}"));
    }
    steps.push("Publish the records.".to_owned());
    steps
        .push("Open port 25 to the world, 465 and 587 if sellers are to send with mail programs; 8080 is for your proxy alone.".to_owned());
    steps.push(format!(
        "Name a certificate in [tls] of {path}, and start the service: systemctl enable --now tradepost\n     or tradepost serve --config {path}"
    ));
    steps.push(format!("See that the world reaches it: tradepost doctor --loop --config {path}"));
    say("Next:");
    for (number, step) in (1..).zip(&steps) {
        say(&format!("  {number}. {step}"));
    }
    say("     Then put sellers, buyers and orders with the token: docs/api.md");
}

/// Everything that can be known to be wrong before a file is written, and the store, which also makes the storage key.
async fn open_store(text: &str, path: &Path) -> anyhow::Result<Context> {
    let mut config = config::read(text, path)?;
    // The key is made by ourselves.
    config.dkim.clear();
    app::delivery_settings(&config)?;
    app::check_smtp(&config, config.tls.is_some())?;
    app::offline(&config).await
}

/// A token that may do everything.
async fn first_token(ctx: &Context) -> anyhow::Result<(String, String)> {
    let mut octets = [0; 4];
    SystemCsprng::new().fill(&mut octets);
    let name = octets.iter().fold("operator-".to_owned(), |name, b| format!("{name}{b:02x}"));
    let made = operations::create_token(ctx.store.as_ref(), ctx.random.as_ref(), ctx.clock.now(), &name, TokenScope::Operator).await;
    match made {
        Ok(token) => Ok((token, name)),
        Err(OperationError::Store(error)) => Err(error.into()),
        Err(_) => Err(anyhow!("the token was not made; run the command again")),
    }
}

fn text(a: &Answers, key_name: &str) -> String {
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    format!(
        "# Tradepost. `tradepost check` reads this file and says what is wrong with it; a running service takes changes on SIGHUP.
# Paths are meant from the folder of this file. All keys: docs/operating.md

# Everything that the service keeps. Back it up; the storage key in it belongs into another place than the rest.
data_dir = {data_dir}

# Mail comes in here. Sellers' programs hand mail in on 587 and 465 when [tls] is there.
[smtp]
listen = [\"0.0.0.0:25\"]
# submission = [\"0.0.0.0:587\"]
# submissions = [\"0.0.0.0:465\"]
hostname = {hostname}

# The certificate of that name, one of two. Files that are read again when they change:
# [tls]
# certificate = \"fullchain.pem\"
# key = \"privkey.pem\"
# Or an authority by ACME, which asks on port 80:
# [tls.acme]
# contact = {contact}
# listen = \"0.0.0.0:80\"

# Pages and API, in plain HTTP: put a proxy with TLS in front. Links in mail begin with public_url.
[web]
listen = \"127.0.0.1:8080\"
public_url = {public_url}

# Mail leaves here: by MX, or through a provider, \"smtp://user:password@host:587\".
[delivery]
route = {route}

# Name servers, such as \"127.0.0.1:53\"; the system's when the list is empty.
[dns]
servers = []

# Signs what leaves. `tradepost dkim rotate` changes keys; the first of a domain that is not retired signs.
[[dkim]]
domain = {domain}
selector = \"{SELECTOR}\"
key = {key}

# One for each site. Never change the id: everything that is stored goes by it.
[[marketplace]]
id = {marketplace}
name = {name}
domain = {domain}
locale = {locale}
time_zone = {time_zone}
# Where mail to postmaster@ and abuse@ of the domain goes.
postmaster = {postmaster}
",
        data_dir = quoted(&a.data_dir.display().to_string()),
        hostname = quoted(&a.hostname),
        contact = quoted(&format!("mailto:postmaster@{}", a.domain)),
        public_url = quoted(&a.public_url),
        route = quoted(&a.route),
        domain = quoted(&a.domain),
        key = quoted(key_name),
        marketplace = quoted(&a.marketplace),
        name = quoted(&a.name),
        locale = quoted(&a.locale),
        time_zone = quoted(&a.time_zone),
        postmaster = quoted(&a.postmaster),
    )
}

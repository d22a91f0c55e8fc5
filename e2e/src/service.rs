//! The program as a process: configuration written, started, asked, killed, started again.

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::http::{Answer, request};
use crate::{dkim, eventually};

pub const DOMAIN: &str = "market.test";
pub const MARKETPLACE: &str = "es";

/// What differs between tests.
#[derive(Default)]
pub struct Setup {
    /// PostgreSQL URL; SQLite when absent.
    pub database: Option<String>,
    /// `smtp://host:port`, or `mx` with a port.
    pub route: String,
    pub mx_port: u16,
    pub dns: Option<SocketAddr>,
    /// TOML to add, behind the marketplace.
    pub more: String,
    /// The marketplace's rules file; the embedded rules when empty.
    pub rules: String,
    /// The marketplace's language; `es` when empty.
    pub locale: String,
    /// Keys to add to `[smtp]`.
    pub smtp: String,
    /// Keys to add to `[delivery]`.
    pub delivery: String,
    /// Keys to add to `[dns]`; `dns` must be given.
    pub dns_more: String,
    /// Run under this command, for example strace.
    pub under: Vec<String>,
    /// Release build, for benchmarks.
    pub release: bool,
    pub data_dir: Option<PathBuf>,
}

pub struct Service {
    pub folder: TempDir,
    pub smtp: SocketAddr,
    pub web: SocketAddr,
    pub token: String,
    pub dkim_name: String,
    pub dkim_record: String,
    setup: Setup,
    process: Option<Child>,
}

impl Service {
    pub fn start(setup: Setup) -> Self {
        let folder = tempfile::Builder::new().prefix("tp").tempdir().unwrap();
        let (pem, signer) = dkim::key(DOMAIN, "tp1");
        std::fs::write(folder.path().join("dkim.pem"), pem).unwrap();
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let mut service = Self {
            smtp: address(free_port()),
            web: address(free_port()),
            token: String::new(),
            dkim_name: signer.dns_name(),
            dkim_record: signer.dns_record(),
            folder,
            setup,
            process: None,
        };
        service.write_config();
        service.run();
        service.token = service.command(&["token", "create", "--scope", "operator", "--name", "tests"]).0.trim().to_owned();
        assert!(service.token.starts_with("tp_"), "no token");
        service
    }

    fn write_config(&self) {
        let s = &self.setup;
        let database = s.database.as_ref().map(|url| format!("[database]\nurl = \"{url}\"\n")).unwrap_or_default();
        let dns = s.dns.map(|dns| format!("[dns]\nservers = [\"{dns}\"]\n{}\n", s.dns_more)).unwrap_or_default();
        let route = if s.route.is_empty() { "mx" } else { &s.route };
        let mx_port = if s.mx_port == 0 { 25 } else { s.mx_port };
        let data = s.data_dir.clone().unwrap_or_else(|| PathBuf::from("data"));
        let locale = if s.locale.is_empty() { "es" } else { &s.locale };
        let rules = if s.rules.is_empty() { "" } else { "rules = \"rules.toml\"\n" };
        if !rules.is_empty() {
            std::fs::write(self.folder.path().join("rules.toml"), &s.rules).unwrap();
        }
        let (smtp, web) = (self.smtp, self.web);
        // All of a test's mail comes from one client.
        let rate = if s.smtp.contains("messages_per_minute") { "" } else { "messages_per_minute = 1000000\n" };
        let text = format!(
            "data_dir = \"{}\"\n{database}[smtp]\nlisten = [\"{smtp}\"]\nhostname = \"mx.{DOMAIN}\"\nsessions_per_client = 500\n{rate}{}\n[web]\nlisten = \"{web}\"\npublic_url = \"http://{web}\"\n[delivery]\nroute = \"{route}\"\nport = {mx_port}\n{}\n{dns}[[dkim]]\ndomain = \"{DOMAIN}\"\nselector = \"tp1\"\nkey = \"dkim.pem\"\n[[marketplace]]\nid = \"{MARKETPLACE}\"\nname = \"Plaza\"\ndomain = \"{DOMAIN}\"\nlocale = \"{locale}\"\npostmaster = \"boss@office.test\"\n{rules}{}",
            data.display(),
            s.smtp,
            s.delivery,
            s.more
        );
        std::fs::write(self.config(), text).unwrap();
    }

    pub fn config(&self) -> PathBuf {
        self.folder.path().join("tradepost.toml")
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    pub fn pid(&self) -> u32 {
        self.process.as_ref().map_or(0, Child::id)
    }

    /// Starts the process and waits until it takes mail and requests.
    pub fn run(&mut self) {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.folder.path().join("log")).unwrap();
        let mut words: Vec<String> = self.setup.under.clone();
        words.push(binary(self.setup.release).display().to_string());
        let child = Command::new(&words[0])
            .args(&words[1..])
            .args(["serve", "--config"])
            .arg(self.config())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.process = Some(child);
        eventually("the service listens", || {
            if let Some(status) = self.process.as_mut().and_then(|p| p.try_wait().unwrap()) {
                panic!("the service ended with {status}: {}", self.log());
            }
            (TcpStream::connect(self.smtp).is_ok() && TcpStream::connect(self.web).is_ok()).then_some(())
        });
    }

    /// Starts the process again under other words, such as a clock that is ahead.
    pub fn run_under(&mut self, words: &[&str]) {
        self.setup.under = words.iter().map(|w| (*w).to_owned()).collect();
        self.run();
    }

    /// Starts the process again with its wall clock some days ahead; time-outs go by the real one. Not through the
    /// `faketime` command: it stays in front as a process of its own, and would be ended in place of the service.
    /// End it with `terminate`: a killed one leaves the clock's shared memory behind.
    pub fn run_ahead(&mut self, days: u32) {
        let preload = "LD_PRELOAD=/usr/$LIB/faketime/libfaketimeMT.so.1";
        self.run_under(&["env", preload, "FAKETIME_DONT_FAKE_MONOTONIC=1", &format!("FAKETIME=+{days}d")]);
        assert!(!self.log().contains("cannot be preloaded"), "libfaketime is missing; `cargo xtask test` installs it");
    }

    /// kill -9, as a power cut of the process.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// SIGTERM; gives the exit code.
    pub fn terminate(&mut self) -> Option<i32> {
        let mut process = self.process.take().unwrap();
        let _ = Command::new("kill").arg(process.id().to_string()).status();
        process.wait().unwrap().code()
    }

    /// Runs a command of the program; gives stdout, stderr and the code.
    pub fn command(&self, words: &[&str]) -> (String, String, i32) {
        let output = Command::new(binary(self.setup.release)).args(words).arg("--config").arg(self.config()).output().unwrap();
        (
            String::from_utf8_lossy(&output.stdout).into_owned(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
            output.status.code().unwrap_or(-1),
        )
    }

    pub fn api(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.api_as(Some(&self.token), method, path, body)
    }

    pub fn api_as(&self, token: Option<&str>, method: &str, path: &str, body: &Value) -> Answer {
        let octets = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        request(self.web, method, &format!("/api/v1{path}"), token, "application/json", &octets).unwrap()
    }

    pub fn get(&self, path: &str) -> Value {
        let answer = self.api("GET", path, &Value::Null);
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.json()
    }

    pub fn put(&self, path: &str, body: &Value) -> Value {
        let answer = self.api("PUT", &format!("/marketplaces/{MARKETPLACE}{path}"), body);
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.json()
    }

    /// A seller, a buyer and an order; gives the pair.
    pub fn put_pair(&self, n: usize) -> Pair {
        let (seller, buyer) = (format!("seller{n}@shop.test"), format!("buyer{n}@buyer.test"));
        self.put(&format!("/sellers/s{n}"), &json!({"business_name": format!("Shop {n}"), "email": seller, "locale": "es"}));
        self.put(&format!("/buyers/b{n}"), &json!({"email": buyer, "first_name": "Ana", "locale": "pt-BR"}));
        self.put_order(n, n, &format!("302-{n:07}"))
    }

    pub fn put_order(&self, seller: usize, buyer: usize, id: &str) -> Pair {
        let order = self.put(&format!("/orders/{id}"), &json!({"seller": format!("s{seller}"), "buyer": format!("b{buyer}"), "status": "shipped", "placed_at": "2026-11-20T10:00:00Z"}));
        let text = |key: &str| order[key].as_str().unwrap().to_owned();
        Pair {
            id: text("pair"),
            order: id.to_owned(),
            seller: format!("seller{seller}@shop.test"),
            buyer: format!("buyer{buyer}@buyer.test"),
            buyer_alias: text("buyer_alias"),
            seller_alias: text("seller_alias"),
        }
    }

    /// What was decided of a message, as it stands in the record.
    pub fn decision(&self, message: &str) -> Value {
        self.get(&format!("/messages/{message}/decision"))["decision"].clone()
    }

    /// How many entries of a kind a pair's ledger has, of its first 200.
    pub fn entries(&self, pair: &Pair, kind: &str) -> usize {
        let entries = self.get(&format!("/pairs/{}/ledger?limit=200", pair.id));
        entries["items"].as_array().unwrap().iter().filter(|e| e["kind"] == kind).count()
    }

    /// Paths of the pages that a text links to, in order.
    pub fn links(&self, text: &str) -> Vec<String> {
        let base = format!("http://{}/l/", self.web);
        text.split(&base).skip(1).map(|rest| format!("/l/{}", rest.split_whitespace().next().unwrap_or_default())).collect()
    }

    /// Asks for a page as a browser does; a form is POSTed.
    pub fn page(&self, method: &str, path: &str, form: &str) -> Answer {
        request(self.web, method, path, None, "application/x-www-form-urlencoded", form.as_bytes()).unwrap()
    }

    /// Every message of a pair's conversations, newest conversation first.
    pub fn messages(&self, pair: &Pair) -> Vec<Value> {
        let conversations = self.get(&format!("/pairs/{}/conversations", pair.id));
        let of =
            |c: &Value| self.get(&format!("/conversations/{}/messages", c["id"].as_str().unwrap()))["items"].as_array().unwrap().clone();
        conversations["items"].as_array().unwrap().iter().flat_map(of).collect()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(30).collect();
            let _ = writeln!(std::io::stderr(), "--- log of the service ---\n{}", tail.into_iter().rev().collect::<Vec<_>>().join("\n"));
        }
    }
}

/// A pair with its real addresses and aliases.
#[derive(Debug, Clone)]
pub struct Pair {
    pub id: String,
    pub order: String,
    pub seller: String,
    pub buyer: String,
    pub buyer_alias: String,
    pub seller_alias: String,
}

/// The program, built by `cargo xtask test` before the tests run.
pub fn binary(release: bool) -> PathBuf {
    let mut folder = std::env::current_exe().unwrap();
    while folder.file_name().is_some_and(|n| n != "target") {
        folder.pop();
    }
    let file = folder.join(if release { "release" } else { "debug" }).join("tradepost");
    assert!(file.exists(), "{} is missing; `cargo xtask test` builds it", file.display());
    file
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Whether anything that the service wrote names a person: no address, alias, subject or text (privacy P19).
pub fn assert_log_is_clean(log: &str, canaries: &[&str]) {
    for line in log.lines() {
        assert!(!line.contains('@'), "an address stands in the log: {line}");
        for canary in canaries {
            assert!(!line.contains(canary), "{canary} stands in the log: {line}");
        }
    }
}

pub fn data_file(service: &Service, name: &str) -> PathBuf {
    Path::new(service.folder.path()).join("data").join(name)
}

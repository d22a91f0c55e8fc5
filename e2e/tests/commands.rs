//! The operator's commands: `init`, `dns`, `queue`, `dkim`.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods)] // Helpers of tests may panic and speak.

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use e2e::http::request;
use e2e::scene::letter;
use e2e::service::{Pair, Service, Setup, binary, free_port};
use e2e::world::{World, header, said};
use e2e::{dkim, eventually};
use serde_json::{Value, json};

fn tradepost(words: &[&str]) -> Output {
    Command::new(binary(false)).args(words).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Ends with the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn init<'a>(dir: &'a str, data: &'a str, route: &'a str) -> Vec<&'a str> {
    let given = ["init", "--dir", dir, "--data-dir", data, "--domain", "Market.test", "--postmaster", "boss@office.test"];
    [&given[..], &["--marketplace", "es", "--name", "Plaza \"Mayor\"", "--locale", "es", "--time-zone", "Europe/Madrid", "--route", route]]
        .concat()
}

#[test]
fn init_writes_what_check_takes_and_serve_carries_the_first_message_with() {
    let world = World::new();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (dir, data, route) = (path("etc"), path("data"), world.route());
    let output = tradepost(&init(&dir, &data, &route));
    assert!(output.status.success(), "{}", stderr(&output));
    let told = stdout(&output);
    let token = told.lines().find(|line| line.starts_with("tp_")).unwrap().to_owned();
    assert!(told.contains("tp1._domainkey.market.test. 3600 IN TXT \"v=DKIM1; k=rsa; p="), "{told}");
    assert!(told.contains("market.test. 3600 IN MX 10 mx.market.test.") && told.contains("tradepost doctor"), "{told}");
    let config = path("etc/tradepost.toml");
    let mode = |file: &str| std::fs::metadata(file).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&config), mode(&path("etc/dkim-market.test-tp1.pem")), mode(&path("data/storage.key"))), (0o600, 0o600, 0o600));
    assert_eq!(mode(&data), 0o700);

    let check = tradepost(&["check", "--config", &config]);
    assert!(check.status.success() && stdout(&check).contains("1 marketplace(s), SQLite"), "{}", stderr(&check));

    let address = || SocketAddr::from(([127, 0, 0, 1], free_port()));
    let (smtp, web) = (address(), address());
    let log = std::fs::File::create(path("log")).unwrap();
    let mut process = Process(
        Command::new(binary(false))
            .args(["serve", "--config", &config])
            .env("TRADEPOST_SMTP__LISTEN", format!("[\"{smtp}\"]"))
            .env("TRADEPOST_WEB__LISTEN", web.to_string())
            .env("TRADEPOST_DNS__SERVERS", format!("[\"{}\"]", world.dns))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap(),
    );
    eventually("the service listens", || {
        assert!(process.0.try_wait().unwrap().is_none(), "{}", std::fs::read_to_string(path("log")).unwrap());
        (TcpStream::connect(smtp).is_ok() && TcpStream::connect(web).is_ok()).then_some(())
    });
    let put = |path: &str, body: &Value| {
        let path = format!("/api/v1/marketplaces/es{path}");
        let answer = request(web, "PUT", &path, Some(&token), "application/json", body.to_string().as_bytes()).unwrap();
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()
    };
    put("/sellers/s1", &json!({"business_name": "Shop", "email": "seller1@shop.test", "locale": "es"}));
    put("/buyers/b1", &json!({"email": "buyer1@buyer.test", "first_name": "Ana", "locale": "es"}));
    let order = put("/orders/o1", &json!({"seller": "s1", "buyer": "b1", "status": "shipped", "placed_at": "2026-11-20T10:00:00Z"}));
    let alias = order["seller_alias"].as_str().unwrap();
    let mail = letter("buyer1@buyer.test", alias, "Hola", "", "Cuando llega?");
    assert!(world.send(smtp, "buyer1@buyer.test", &[alias], mail.as_bytes()).is_accepted());
    let delivered = world.nth("seller1@shop.test", 1);
    assert!(said(&delivered).contains("Cuando llega?"));
    assert!(header(&delivered, "DKIM-Signature").contains("s=tp1"), "the key of init signs");
}

#[test]
fn init_overwrites_nothing_and_names_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (dir, data) = (path("etc"), path("data"));
    let words = init(&dir, &data, "mx");
    assert!(tradepost(&words).status.success());
    let before = std::fs::read(path("etc/tradepost.toml")).unwrap();
    let again = tradepost(&words);
    let error = stderr(&again);
    assert_eq!(again.status.code(), Some(1), "{error}");
    assert!(error.contains("etc/tradepost.toml") && error.contains("etc/dkim-market.test-tp1.pem"), "{error}");
    assert_eq!(std::fs::read(path("etc/tradepost.toml")).unwrap(), before);

    let fresh = path("fresh");
    for (left_out, named) in [("--domain", "--domain"), ("--postmaster", "--postmaster"), ("--marketplace", "--marketplace")] {
        let mut words: Vec<&str> = init(&fresh, &data, "mx");
        let at = words.iter().position(|word| *word == left_out).unwrap();
        words.drain(at..at + 2);
        let output = tradepost(&words);
        assert_eq!(output.status.code(), Some(2), "{left_out}");
        assert!(stderr(&output).contains(named), "{}", stderr(&output));
    }
    for (wrong, instead, named) in [
        ("boss@office.test", "boss@market.test", "postmaster"),
        ("Europe/Madrid", "Mars/Phobos", "--time-zone"),
        ("es", "Not An Id", "--marketplace"),
        ("mx", "smpt://x", "--route"),
        ("Market.test", "https://market.test", "--domain"),
        ("Market.test", "market", "--domain"),
    ] {
        let mut words = init(&fresh, &data, "mx");
        let at = words.iter().rposition(|word| *word == wrong && wrong != "es").or_else(|| words.iter().position(|word| *word == wrong));
        words[at.unwrap()] = instead;
        let output = tradepost(&words);
        assert!(output.status.code() == Some(2) && stderr(&output).contains(named), "{instead}: {}", stderr(&output));
    }
    let nothing = tradepost(&["init", "--dir", &fresh, "--data-dir", &data, "--locale", "xx"]);
    let error = stderr(&nothing);
    assert_eq!(nothing.status.code(), Some(2), "{error}");
    for named in ["--domain", "--postmaster", "--marketplace", "--locale"] {
        assert!(error.contains(named), "all at once: {error}");
    }
    assert!(!Path::new(&fresh).exists(), "nothing is written before everything is known to be right");
}

#[test]
fn init_that_failed_can_be_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (dir, data) = (path("etc"), path("data"));
    // What is no database stands where it is to be.
    std::fs::create_dir(&data).unwrap();
    std::fs::write(path("data/tradepost.db"), "nonsense ".repeat(1_000)).unwrap();
    let words = init(&dir, &data, "mx");
    let failed = tradepost(&words);
    assert_eq!(failed.status.code(), Some(1), "{}", stderr(&failed));
    assert!(stderr(&failed).contains("tradepost.db"), "{}", stderr(&failed));
    assert!(!Path::new(&path("etc/tradepost.toml")).exists() && !Path::new(&path("etc/dkim-market.test-tp1.pem")).exists());

    std::fs::remove_file(path("data/tradepost.db")).unwrap();
    let again = tradepost(&words);
    assert!(again.status.success() && stdout(&again).lines().any(|line| line.starts_with("tp_")), "{}", stderr(&again));
    assert!(Path::new(&path("etc/tradepost.toml")).exists());
}

#[test]
fn tokens_are_listed_and_an_unknown_name_is_not_revoked() {
    let world = World::new();
    let service = Service::start(Setup { route: world.route(), dns: Some(world.dns), ..Setup::default() });
    service.put_pair(1);
    let create = |scope: &str, name: &str| service.command(&["token", "create", "--scope", scope, "--name", name]);
    let (token, error, code) = create(" seller:s1:submit ", "laptop");
    assert!(code == 0 && token.starts_with("tp_"), "{error}");
    let (_, error, code) = create("seller:s1:send", "other");
    assert!(code == 1 && error.contains("the only suffix is :submit"), "{error}");
    for (scope, name, named) in [("buyer:b1", "x", "--scope"), ("seller:", "x", "--scope"), ("operator", " ", "--name")] {
        let (_, error, code) = create(scope, name);
        assert!(code == 2 && error.contains(named), "{scope}: {error}");
    }
    let (table, _, code) = service.command(&["token", "list"]);
    assert!(code == 0 && !table.contains("tp_"), "{table}");
    let line = table.lines().find(|line| line.starts_with("laptop")).unwrap();
    assert!(line.contains("seller:s1:submit") && line.contains("  es  "), "{table}");
    let names = || -> Vec<String> {
        let json: Value = serde_json::from_str(&service.command(&["token", "list", "--json"]).0).unwrap();
        json["tokens"].as_array().unwrap().iter().map(|t| t["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(), ["laptop", "tests"]);

    let (_, error, code) = service.command(&["token", "revoke", "lap-top"]);
    assert!(code == 1 && error.contains("there is no token of that name"), "{error}");
    assert_eq!(names(), ["laptop", "tests"]);
    assert_eq!(service.command(&["token", "revoke", "laptop"]).2, 0);
    assert_eq!(names(), ["tests"]);
    assert_eq!(service.command(&["token", "revoke", "laptop"]).2, 1, "once");
}

/// What `serve` ends with on a configuration that it does not take; one that it takes fails the test.
fn refused(service: &Service) -> String {
    let mut command = Command::new(binary(false));
    command.args(["serve", "--config"]).arg(service.config()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut process = Process(command.spawn().unwrap());
    let status = eventually("the service ends", || process.0.try_wait().unwrap());
    assert_eq!(status.code(), Some(1));
    let mut error = String::new();
    process.0.stderr.take().unwrap().read_to_string(&mut error).unwrap();
    error
}

#[test]
fn check_finds_what_serve_refuses() {
    let world = World::new();
    let mut service = Service::start(Setup { route: world.route(), dns: Some(world.dns), ..Setup::default() });
    service.terminate();
    let good = std::fs::read_to_string(service.config()).unwrap();
    let file = service.folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    for (old, new, named) in [
        ("[smtp]\n", "[smtp]\nsubmission = [\"127.0.0.1:0\"]\n", "need [tls]"),
        ("data_dir = \"data\"", "data_dir = \"file\"", "data_dir"),
        ("data_dir = \"data\"", "data_dir = \"file/data\"", "data_dir"),
        ("key = \"dkim.pem\"", "key = \"gone.pem\"", "is not there"),
        ("key = \"dkim.pem\"", "key = \"file\"", "PKCS#8"),
        ("[web]\n", "[storage]\nkey = \"file\"\n[web]\n", "64 hex digits"),
    ] {
        let text = good.replacen(old, new, 1);
        assert_ne!(text, good, "{old}");
        std::fs::write(service.config(), text).unwrap();
        let (_, error, code) = service.command(&["check"]);
        assert!(code == 1 && error.contains(named), "check, {new}: {error}");
        let error = refused(&service);
        assert!(error.contains(named), "serve, {new}: {error}");
    }
    std::fs::write(service.config(), good.replacen("data_dir = \"data\"", "data_dir = \"new/data\"", 1)).unwrap();
    let (_, error, code) = service.command(&["check"]);
    assert!(code == 0 && !service.folder.path().join("new").exists(), "check makes nothing: {error}");
}

#[test]
fn a_marketplace_keeps_its_id_and_its_domain() {
    let world = World::new();
    let mut service = Service::start(Setup { route: world.route(), dns: Some(world.dns), ..Setup::default() });
    let good = std::fs::read_to_string(service.config()).unwrap();
    let other_id = good.replace("id = \"es\"", "id = \"fr\"");
    let other_domain = good.replace("domain = \"market.test\"", "domain = \"marche.test\"");
    let told = "configuration not taken, the old one stays";
    for (number, (text, named)) in [(&other_id, "id es: is missing"), (&other_domain, "begun with market.test")].into_iter().enumerate() {
        std::fs::write(service.config(), text).unwrap();
        assert!(Command::new("kill").args(["-HUP", &service.pid().to_string()]).status().unwrap().success());
        eventually("it is not taken", || (service.log().matches(told).count() > number).then_some(()));
        let log = service.log();
        let line = log.lines().rev().find(|line| line.contains(told)).unwrap();
        assert!(line.contains(named) && line.contains("put it back"), "{line}");
    }
    service.put_pair(1);

    service.terminate();
    let error = refused(&service);
    assert!(error.contains("begun with market.test") && error.contains("put it back"), "{error}");
    // Without it the others are served, and the log is loud.
    std::fs::write(service.config(), good.replace("id = \"es\"", "id = \"fr\"").replace("market.test\"", "marche.test\"")).unwrap();
    service.run();
    assert!(service.log().lines().any(|line| line.contains(" WARN ") && line.contains("id es: is missing")), "{}", service.log());
    service.terminate();
    std::fs::write(service.config(), good).unwrap();
    service.run();
    service.put_pair(2);
}

#[test]
fn dns_prints_every_record_ready_to_paste() {
    let world = World::new();
    let service = Service::start(Setup { route: "mx".to_owned(), dns: Some(world.dns), ..Setup::default() });
    let (lines, _, code) = service.command(&["dns"]);
    assert_eq!(code, 0);
    let has = |line: &str| assert!(lines.lines().any(|l| l == line), "{line} is not in\n{lines}");
    has("market.test. 3600 IN MX 10 mx.market.test.");
    has("market.test. 3600 IN TXT \"v=spf1 mx -all\"");
    has("mx.market.test. 3600 IN TXT \"v=spf1 a -all\"");
    has("_dmarc.market.test. 3600 IN TXT \"v=DMARC1; p=reject; rua=mailto:postmaster@market.test\"");
    // A record of 2048 bits is longer than one string may be.
    let key = lines.lines().find(|l| l.starts_with("tp1._domainkey.market.test. 3600 IN TXT \"v=DKIM1")).unwrap();
    let strings: Vec<&str> = key.split('"').skip(1).step_by(2).collect();
    assert!(strings.len() == 2 && strings[0].len() == 255, "{key}");
    assert_eq!(strings.concat(), service.dkim_record);
    for line in lines.lines().filter(|l| l.contains("ADDRESS")) {
        assert!(line.starts_with(';'), "what is to be filled in is a comment: {line}");
    }
    let json: Value = serde_json::from_str(&service.command(&["dns", "--json"]).0).unwrap();
    let record = |kind: &str, name: &str| {
        let found = json["records"].as_array().unwrap().iter().find(|r| r["type"] == kind && r["name"] == name);
        found.unwrap_or_else(|| panic!("no {kind} {name} in {json}")).clone()
    };
    assert_eq!(record("TXT", &service.dkim_name)["value"], service.dkim_record);
    assert_eq!(record("A", "mx.market.test")["complete"], false);
}

#[test]
fn dns_of_a_provider_leaves_its_include_to_be_filled_in() {
    let world = World::new();
    let service = Service::start(Setup { route: world.route(), dns: Some(world.dns), ..Setup::default() });
    let lines = service.command(&["dns"]).0;
    assert!(lines.contains("; market.test. 3600 IN TXT \"v=spf1 include:PROVIDER -all\""), "{lines}");
}

/// A service whose mail goes nowhere, with one message that waits for another attempt.
fn stuck(world: &World) -> (Service, Pair, String) {
    let nobody = format!("smtp://127.0.0.1:{}", free_port());
    let service = Service::start(Setup { route: nobody, dns: Some(world.dns), ..Setup::default() });
    let pair = service.put_pair(1);
    let mail = letter(&pair.buyer, &pair.seller_alias, "Hola", "", "Cuando llega?");
    let e = world.send(service.smtp, &pair.buyer, &[&pair.seller_alias], mail.as_bytes());
    assert!(e.is_accepted(), "{}", e.text);
    eventually("the first attempt fails", || queue(&service).iter().any(|i| i["state"] == "deferred").then_some(()));
    let id = queue(&service)[0]["id"].as_str().unwrap().to_owned();
    (service, pair, id)
}

fn queue(service: &Service) -> Vec<Value> {
    let (text, error, code) = service.command(&["queue", "list", "--json"]);
    assert_eq!(code, 0, "{error}");
    serde_json::from_str::<Value>(&text).unwrap()["items"].as_array().unwrap().clone()
}

#[test]
fn the_queue_is_listed_and_retried_while_the_service_runs() {
    let world = World::new();
    let (service, pair, id) = stuck(&world);
    let item = queue(&service).remove(0);
    assert_eq!((&item["marketplace"], &item["destination"], &item["state"]), (&json!("es"), &json!("shop.test"), &json!("deferred")));
    assert_eq!((&item["attempts"], &item["last_status"]), (&json!(1), &json!("4.3.0")));
    let (table, _, _) = service.command(&["queue", "list"]);
    assert!(table.contains(&id) && table.contains("shop.test") && table.contains("4.3.0"), "{table}");
    assert!(!table.contains('@') && !table.contains(&pair.seller_alias), "the console names domains, not people: {table}");
    assert_eq!(service.command(&["queue", "list", "--state", "queued"]).0.trim(), "Nothing waits.");

    let (told, error, code) = service.command(&["queue", "retry", &id]);
    assert!(code == 0 && told.contains(&id), "{told} {error}");
    eventually("it is attempted at once, not in a minute", || (queue(&service)[0]["attempts"].as_i64()? >= 2).then_some(()));
    eventually("the attempt is over", || queue(&service)[0]["under_way"].as_bool().filter(|under_way| !under_way));
    let all: Value = serde_json::from_str(&service.command(&["queue", "retry", "--all", "--json"]).0).unwrap();
    assert_eq!(all, json!({"due": 1, "under_way": 0}));
    eventually("everything is attempted again", || (queue(&service)[0]["attempts"].as_i64()? >= 3).then_some(()));

    let (_, error, code) = service.command(&["queue", "retry", "00000000000000000000000000000000"]);
    assert!(code == 1 && error.contains("do not wait"), "{error}");
    assert_eq!(service.command(&["queue", "retry", "nonsense"]).2, 2);
    let (_, error, code) = service.command(&["queue", "retry"]);
    assert!(code == 2 && error.contains("--all"), "neither ids nor --all: {error}");
    assert_eq!(service.command(&["queue", "list", "--limit", "0"]).2, 2);
}

#[test]
fn what_is_dropped_is_never_delivered_and_its_writer_is_told() {
    let world = World::new();
    let (service, pair, id) = stuck(&world);
    let (_, error, code) = service.command(&["queue", "drop", &id]);
    assert!(code == 2 && error.contains("--yes"), "{error}");
    assert!(queue(&service).iter().any(|i| i["id"] == id.as_str()), "not without being asked");
    let (told, error, code) = service.command(&["queue", "drop", &id, "--yes"]);
    assert!(code == 0 && told.contains("given up"), "{told} {error}");
    let left = queue(&service);
    assert!(left.iter().all(|i| i["id"] != id.as_str()), "{left:?}");
    assert!(left.iter().any(|i| i["destination"] == "buyer.test"), "the notice to the writer: {left:?}");
    assert_eq!(service.entries(&pair, "delivery.dropped"), 1);
    let (_, error, code) = service.command(&["queue", "drop", &id, "--yes"]);
    assert!(code == 1 && error.contains("do not wait"), "{error}");
    assert_eq!(service.entries(&pair, "delivery.dropped"), 1, "once");
}

#[test]
fn a_dkim_key_is_rotated_without_a_message_that_cannot_be_verified() {
    let world = World::new();
    let service = Service::start(Setup { route: world.route(), dns: Some(world.dns), ..Setup::default() });
    let text = std::fs::read_to_string(service.config()).unwrap();
    std::fs::write(service.config(), format!("# ours\n{}", text.replace("[[dkim]]", "# keys\n[[dkim]]"))).unwrap();
    let rotate = || service.command(&["dkim", "rotate", "--domain", "market.test"]);
    let keys = || -> Vec<(String, String)> {
        let json: Value = serde_json::from_str(&service.command(&["dkim", "list", "--json"]).0).unwrap();
        let text = |v: &Value| v.as_str().unwrap().to_owned();
        json["keys"].as_array().unwrap().iter().map(|k| (text(&k["selector"]), text(&k["state"]))).collect()
    };
    let stand = |expected: &[(&str, &str)]| {
        let expected: Vec<(String, String)> = expected.iter().map(|(s, k)| ((*s).to_owned(), (*k).to_owned())).collect();
        assert_eq!(keys(), expected);
        assert_eq!(service.command(&["check"]).2, 0);
        let text = std::fs::read_to_string(service.config()).unwrap();
        assert!(text.starts_with("# ours\n") && text.contains("# keys\n[[dkim]]"), "comments are kept: {text}");
    };

    // A new key that does not sign yet.
    let (told, error, code) = rotate();
    assert!(code == 0 && told.contains("tp2._domainkey.market.test. 3600 IN TXT \"v=DKIM1"), "{told} {error}");
    stand(&[("tp1", "signs"), ("tp2", "waits")]);
    let file = service.folder.path().join("dkim-market.test-tp2.pem");
    assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);

    // It signs only when everybody can verify it.
    let json: Value = serde_json::from_str(&service.command(&["dkim", "list", "--json"]).0).unwrap();
    let (name, record) = (json["keys"][1]["name"].as_str().unwrap().to_owned(), json["keys"][1]["record"].as_str().unwrap().to_owned());
    let (_, error, code) = rotate();
    assert!(code == 1 && error.contains(&name) && error.contains("not published yet"), "{error}");
    world.zone.txt(&name, &service.dkim_record);
    let (_, error, code) = rotate();
    assert!(code == 1 && error.contains("holds another key") && error.contains("IN TXT"), "{error}");
    stand(&[("tp1", "signs"), ("tp2", "waits")]);
    world.zone.remove(&name);
    world.zone.txt(&name, &record);
    let (told, error, code) = rotate();
    assert!(code == 0 && told.contains("SIGHUP") && told.contains("7 days"), "{told} {error}");
    stand(&[("tp2", "signs"), ("tp1", "retired")]);

    // The running service takes it, and what it signs is verified.
    assert!(Command::new("kill").args(["-HUP", &service.pid().to_string()]).status().unwrap().success());
    let pair = service.put_pair(1);
    let mut sent = 0;
    let signed = eventually("the new key signs", || {
        sent += 1;
        let mail = letter(&pair.buyer, &pair.seller_alias, &format!("Hola {sent}"), "", "Cuando llega?");
        assert!(world.send(service.smtp, &pair.buyer, &[&pair.seller_alias], mail.as_bytes()).is_accepted());
        let delivered = world.nth(&pair.seller, sent);
        header(&delivered, "DKIM-Signature").contains("s=tp2").then_some(delivered)
    });
    let verified = dkim::verify(service.folder.path(), &signed.octets, &name, &record);
    assert!(verified.is_ok(), "{verified:?}");

    // The old one goes, the one that signs stays.
    let retire = |selector: &str| service.command(&["dkim", "retire", "--domain", "market.test", "--selector", selector]);
    let (_, error, code) = retire("tp2");
    assert!(code == 1 && error.contains("signs"), "{error}");
    let (_, error, code) = retire("tp9");
    assert!(code == 1 && error.contains("tp9"), "{error}");
    let (_, error, code) = retire("tp1");
    assert!(code == 2 && error.contains("--yes") && error.contains("7 days"), "{error}");
    stand(&[("tp2", "signs"), ("tp1", "retired")]);
    let retired = ["dkim", "retire", "--domain", "market.test", "--selector", "tp1", "--yes"];
    let (told, error, code) = service.command(&retired);
    assert!(code == 0 && told.contains("tp1._domainkey.market.test"), "{told} {error}");
    stand(&[("tp2", "signs")]);
    // The file of a key that was retired may be there still.
    std::fs::write(service.folder.path().join("dkim-market.test-tp3.pem"), "an old one").unwrap();
    assert!(rotate().0.contains("tp4._domainkey.market.test"), "and it goes on");
}

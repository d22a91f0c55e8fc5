//! Running it: configuration faults, the API's answers, the demo, an orderly end, a database that goes away.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods)] // Helpers of tests may panic and speak.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use e2e::eventually;
use e2e::http::request;
use e2e::service::{Service, Setup, binary, data_file, free_port};
use e2e::world::{World, message};
use serde_json::{Value, json};
use testkit::Postgres;

fn service(world: &World) -> Service {
    Service::start(Setup { route: world.route(), dns: Some(world.dns), ..Setup::default() })
}

#[test]
fn configuration_faults_name_file_line_and_remedy() {
    let world = World::new();
    let mut service = service(&world);
    service.terminate();
    let good = std::fs::read_to_string(service.config()).unwrap();
    let check = |change: &dyn Fn(&str) -> String| {
        std::fs::write(service.config(), change(&good)).unwrap();
        let (_, error, code) = service.command(&["check"]);
        assert_eq!(code, 1, "{error}");
        error
    };
    let error = check(&|c| c.replace("hostname =", "hostnane ="));
    assert!(error.contains("tradepost.toml:4") && error.contains("did you mean `hostname`?"), "{error}");
    assert!(check(&|c| c.replace("dkim.pem", "gone.pem")).contains("gone.pem"));
    assert!(check(&|c| c.replace("smtp://", "smpt://")).contains("[delivery] route"));
    assert!(check(&|c| c.replace("boss@office.test", "boss@market.test")).contains("postmaster"));
    assert!(check(&|c| c.replace("locale = \"es\"", "locale = \"es\"\ntime_zone = \"Mars/Phobos\"")).contains("time_zone"));
    assert!(check(&|c| format!("{c}\n[tls]\ncertificate = \"a.pem\"\nkey = \"b.pem\"\n")).contains("[tls] certificate"));
    assert!(check(&|c| format!("[alias]\ntotal_length = 20\n{c}")).contains("total_length"));
    std::fs::write(service.config(), &good).unwrap();
    let (said, _, code) = service.command(&["check"]);
    assert!(code == 0 && said.contains("tp1._domainkey.market.test"), "{said}");
    // A port in use and a missing key are told at start.
    let _taken = std::net::TcpListener::bind(service.smtp).unwrap();
    let (_, error, code) = service.command(&["serve"]);
    assert!(code == 1 && error.contains("[smtp]") && error.contains("another program"), "{error}");
    std::fs::remove_file(data_file(&service, "storage.key")).unwrap();
    let (_, error, code) = service.command(&["serve"]);
    assert!(code == 1 && error.contains("restore the key from your backup"), "{error}");
    let wrong = Command::new(binary(false)).arg("sevre").output().unwrap();
    assert_eq!(wrong.status.code(), Some(2), "wrong use");
}

#[test]
fn faults_in_rules_and_texts_are_named_with_their_line() {
    let world = World::new();
    let mut service = service(&world);
    service.terminate();
    let folder = service.folder.path().join("texts");
    std::fs::create_dir(&folder).unwrap();
    let good = std::fs::read_to_string(service.config()).unwrap();
    let with = good.replace("locale = \"es\"", "locale = \"es\"\nrules = \"own.toml\"");
    std::fs::write(service.config(), format!("{with}\n[texts]\nfolder = \"texts\"\n")).unwrap();
    let check = |rules: &str, texts: &str| {
        std::fs::write(service.folder.path().join("own.toml"), rules).unwrap();
        std::fs::write(folder.join("es.toml"), texts).unwrap();
        let (_, error, code) = service.command(&["check"]);
        assert_eq!(code, i32::from(!error.is_empty()), "{error}");
        error
    };
    assert_eq!(check("[daily_limit]\nbase = 700\n", "[texts]\nempty_message = \"(vacío)\"\n"), "");
    let error = check("[daily_limit]\nbsae = 700\n", "");
    assert!(error.contains("own.toml:2: unknown field `bsae`") && error.contains("did you mean `base`?"), "{error}");
    let other = "[[reason]]\nid = \"other\"\ncritical = false\n";
    assert!(check(&format!("{other}{other}"), "").contains("own.toml:5: there are two reasons \"other\""));
    let error = check(&format!("{other}days_after_delivery = [30, 5]\n"), "");
    assert!(error.contains("own.toml:4: no day lies between 30 and 5"), "{error}");
    let template = "[templates.own]\nreason = \"other\"\ntitle = \"t\"\nsubject = \"{order}\"\nbody = \"{colour}\"\n";
    let error = check("", template);
    assert!(error.contains("es.toml:1: template \"own\" uses {colour}"), "{error}");
    let error = check("", "[texts]\n\nempty_mesage = \"x\"\n");
    assert!(error.contains("es.toml:3: there is no text \"empty_mesage\""), "{error}");
    std::fs::write(folder.join("es.toml"), "").unwrap();
    std::fs::remove_file(service.folder.path().join("own.toml")).unwrap();
    let (_, error, code) = service.command(&["check"]);
    assert!(code == 1 && error.contains("own.toml") && error.contains("[[marketplace]] rules"), "{error}");
}

#[test]
fn the_api_answers_every_fault_with_a_problem() {
    let world = World::new();
    let service = service(&world);
    let pair = service.put_pair(1);
    let problem = |token: Option<&str>, method: &str, path: &str, body: &Value, status: u16, code: &str| {
        let answer = service.api_as(token, method, path, body);
        assert_eq!(answer.status, status, "{path} {}", answer.body);
        assert!(answer.head.to_lowercase().contains("application/problem+json"), "{}", answer.head);
        assert_eq!(answer.json()["code"], code, "{}", answer.body);
        answer.body
    };
    let (seller, operator) = ("/marketplaces/es/sellers/s1", Some(service.token.as_str()));
    problem(None, "PUT", seller, &json!({}), 401, "token_required");
    problem(Some("tp_nonsense"), "PUT", seller, &json!({}), 401, "token_required");
    let body = problem(operator, "PUT", seller, &json!({"busines_name": "x"}), 422, "invalid_json");
    assert!(body.contains("business_name"), "the known fields are named: {body}");
    problem(operator, "PUT", seller, &json!({"email": 5}), 422, "invalid_json");
    let body = problem(
        operator,
        "PUT",
        "/marketplaces/es/sellers/new",
        &json!({"email": "x@market.test", "locale": "español"}),
        422,
        "invalid_fields",
    );
    for fault in ["required", "address_in_alias_domain", "invalid_locale"] {
        assert!(body.contains(fault), "{body}");
    }
    problem(operator, "PUT", "/marketplaces/fr/sellers/s1", &json!({}), 404, "unknown_marketplace");
    problem(
        operator,
        "PUT",
        "/marketplaces/es/orders/o9",
        &json!({"seller": "nobody", "buyer": "b1", "placed_at": "2026-11-20T10:00:00Z"}),
        422,
        "invalid_fields",
    );
    service.put_pair(2);
    problem(operator, "PUT", "/marketplaces/es/orders/302-0000001", &json!({"seller": "s2"}), 409, "order_keeps_its_parties");
    problem(operator, "GET", "/pairs/00000000000000000000000000000000/ledger", &Value::Null, 404, "not_found");
    problem(operator, "GET", "/marketplaces/es/pairs", &Value::Null, 400, "filter_required");
    problem(operator, "GET", &format!("/pairs/{}/conversations?limit=0", pair.id), &Value::Null, 400, "invalid_limit");
    problem(operator, "GET", "/nothing", &Value::Null, 404, "no_such_path");
    problem(operator, "DELETE", seller, &Value::Null, 405, "method_not_allowed");
    let huge = json!({"business_name": "x".repeat(2_000_000)});
    assert_eq!(service.api("PUT", seller, &huge).status, 413);
    // An older time stamp changes nothing; the same again changes nothing.
    service.put("/sellers/s1", &json!({"business_name": "New", "updated_at": "2026-11-20T10:00:00Z"}));
    let old = service.put("/sellers/s1", &json!({"business_name": "Old", "updated_at": "2026-11-19T10:00:00Z"}));
    assert_eq!(old["business_name"], "New");
    // A seller's token sees its own pairs only.
    let token = service.command(&["token", "create", "--scope", "seller:s1", "--name", "s1"]).0.trim().to_owned();
    let own = service.api_as(Some(&token), "GET", "/marketplaces/es/pairs", &Value::Null);
    assert_eq!(own.json()["items"][0]["buyer_alias"], pair.buyer_alias);
    assert!(!own.body.contains("buyer1@"), "a seller's view holds no real address of a buyer");
    let foreign = service.get("/marketplaces/es/pairs?seller=s2")["items"][0]["id"].as_str().unwrap().to_owned();
    problem(Some(&token), "GET", &format!("/pairs/{foreign}/ledger"), &Value::Null, 404, "not_found");
    problem(Some(&token), "PUT", seller, &json!({}), 403, "token_scope");
    assert_eq!(service.command(&["token", "revoke", "s1"]).2, 0);
    problem(Some(&token), "GET", "/marketplaces/es/pairs", &Value::Null, 401, "token_required");
    // The description comes from the code.
    let openapi = request(service.web, "GET", "/api/v1/openapi.json", None, "", b"").unwrap().json();
    assert!(openapi["paths"]["/api/v1/marketplaces/{marketplace}/orders/{id}"]["put"].is_object());
    assert_eq!(request(service.web, "GET", "/api/v1/docs", None, "", b"").unwrap().status, 200);
    for path in ["/healthz", "/readyz"] {
        assert_eq!(request(service.web, "GET", path, None, "", b"").unwrap().status, 200);
    }
    let metrics = request(service.web, "GET", "/metrics", None, "", b"").unwrap().body;
    assert!(metrics.contains("tradepost_deliveries_waiting") && !metrics.contains('@'), "{metrics}");
}

#[test]
fn sigterm_finishes_what_was_accepted() {
    let world = World::new();
    let mut service = service(&world);
    let pair = service.put_pair(1);
    // A message half sent when the signal comes is still taken.
    let mut stream = TcpStream::connect(service.smtp).unwrap();
    write!(stream, "EHLO c\r\nMAIL FROM:<{}>\r\nRCPT TO:<{}>\r\nDATA\r\n", pair.buyer, pair.seller_alias).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut line = String::new();
    while !line.starts_with("354") {
        line.clear();
        reader.read_line(&mut line).unwrap();
    }
    let mut idle = TcpStream::connect(service.smtp).unwrap();
    idle.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(stream, "From: {}\r\n\r\nhalf", pair.buyer).unwrap();
    Command::new("kill").arg(service.pid().to_string()).status().unwrap();
    let mut said = String::new();
    idle.read_to_string(&mut said).unwrap();
    assert!(said.contains("421"), "an idle session is asked to come back: {said}");
    write!(stream, " and whole\r\n.\r\n").unwrap();
    line.clear();
    reader.read_line(&mut line).unwrap();
    assert!(line.starts_with("250"), "{line}");
    drop((stream, reader));
    assert_eq!(service.terminate(), Some(0));
    let got = world.mailboxes.of(&pair.seller);
    service.run();
    let got = if got.is_empty() { vec![world.nth(&pair.seller, 1)] } else { got };
    assert!(String::from_utf8_lossy(&got[0].octets).contains("half and whole"));
}

#[test]
fn a_database_that_goes_away_is_451_within_a_second_and_recovers() {
    let mut server = Postgres::start();
    let world = World::new();
    let service = Service::start(Setup { database: Some(server.url()), route: world.route(), dns: Some(world.dns), ..Setup::default() });
    let pair = service.put_pair(1);
    let send = |text: &str| {
        world.send(service.smtp, &pair.buyer, &[&pair.seller_alias], message(&pair.buyer, &pair.seller_alias, text, "x").as_bytes())
    };
    assert!(send("before").is_accepted());
    world.nth(&pair.seller, 1);
    server.kill();
    let started = Instant::now();
    let e = send("while gone");
    assert_eq!(e.code, 451, "{}", e.text);
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    assert_eq!(request(service.web, "GET", "/readyz", None, "", b"").unwrap().status, 503);
    assert_eq!(service.api("GET", "/marketplaces/es/pairs?seller=s1", &Value::Null).status, 503);
    server.crash_and_restart();
    eventually("mail is taken again", || send("after").is_accepted().then_some(()));
    world.nth(&pair.seller, 2);
}

#[test]
fn a_locked_database_is_451_within_a_second_and_recovers() {
    let world = World::new();
    let service = service(&world);
    let pair = service.put_pair(1);
    let path = data_file(&service, "tradepost.db");
    let script = format!(
        "import sqlite3, sys\nc = sqlite3.connect('{}', isolation_level=None)\nc.execute('BEGIN IMMEDIATE')\nprint('locked', flush=True)\nsys.stdin.read()",
        path.display()
    );
    let mut holder = Command::new("/usr/bin/python3").args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let send =
        || world.send(service.smtp, &pair.buyer, &[&pair.seller_alias], message(&pair.buyer, &pair.seller_alias, "q", "x").as_bytes());
    let started = Instant::now();
    assert_eq!(send().code, 451);
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    drop(holder.stdin.take());
    holder.wait().unwrap();
    assert!(send().is_accepted());
    world.nth(&pair.seller, 1);
}

#[test]
fn a_full_disk_is_refused_for_now_and_recovers() {
    let world = World::new();
    let disk = tempfile::tempdir().unwrap();
    let mounted =
        Command::new("mount").args(["-t", "tmpfs", "-o", "size=6m", "tmpfs"]).arg(disk.path()).status().is_ok_and(|s| s.success());
    if !mounted {
        eprintln!("no right to mount a small disk: the store's own test of a full disk stands in");
        return;
    }
    let service =
        Service::start(Setup { route: world.route(), dns: Some(world.dns), data_dir: Some(disk.path().join("data")), ..Setup::default() });
    let pair = service.put_pair(1);
    let filler = disk.path().join("filler");
    std::fs::File::create(&filler).unwrap().set_len(0).unwrap();
    let _ = Command::new("dd").args(["if=/dev/zero", "bs=64k"]).arg(format!("of={}", filler.display())).stderr(Stdio::null()).status();
    let random: String = (0..40_000).map(|n: u64| format!("{:x}\r\n", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    let octets = format!("From: {}\r\n\r\n{random}", pair.buyer);
    let send = || world.send(service.smtp, &pair.buyer, &[&pair.seller_alias], octets.as_bytes());
    let e = send();
    assert!(e.code == 451 || e.code == 452, "{} {}", e.code, e.text);
    std::fs::remove_file(&filler).unwrap();
    let accepted = eventually("mail is taken again", || send().is_accepted().then_some(true));
    assert!(accepted);
    world.nth(&pair.seller, 1);
    drop(service);
    let _ = Command::new("umount").arg(disk.path()).status();
}

#[test]
fn the_demo_carries_a_sellers_answer_to_the_buyers_page() {
    let (smtp, web) = (SocketAddr::from(([127, 0, 0, 1], free_port())), SocketAddr::from(([127, 0, 0, 1], free_port())));
    let mut demo = Command::new(binary(false))
        .args(["demo", "--smtp", &smtp.to_string(), "--web", &web.to_string()])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut said = String::new();
    let mut lines = BufReader::new(demo.stdout.take().unwrap());
    while !said.contains("Ctrl-C") {
        assert!(lines.read_line(&mut said).unwrap() > 0, "the demo ended: {said}");
    }
    assert!(said.contains(&format!("http://{web}/demo")) && said.matches("\n  5. ").count() == 1, "{said}");
    let page = |path: &str| request(web, "GET", path, None, "", b"").unwrap();
    assert!(page("/").status == 303 || page("/").status == 307);
    assert!(page("/demo").body.contains("Lucía"));
    let mailbox = page("/demo/mailboxes/azahar?view=text").body;
    assert!(mailbox.contains("¿Sabéis si llegará antes?") && mailbox.contains("[dirección eliminada]"), "{mailbox}");
    let form = page("/demo/mailboxes/azahar?view=text&compose=reply").body;
    let value = |name: &str| {
        form.split(&format!("name=\"{name}\""))
            .nth(1)
            .unwrap()
            .split("value=\"")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap()
            .replace("&#60;", "<")
            .replace("&#62;", ">")
            .replace("&#39;", "'")
    };
    let before: usize = page("/demo/mailboxes/lucia/count").body.trim().parse().unwrap();
    let fields = [
        ("to", value("to")),
        ("subject", value("subject")),
        ("in_reply_to", value("in_reply_to")),
        ("references", value("references")),
        ("text", "Llega el jueves, seguro.\r\n".to_owned()),
    ];
    let mut body = String::new();
    for (name, value) in fields {
        body.push_str(&format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n"));
    }
    body.push_str("--b--\r\n");
    let sent = request(web, "POST", "/demo/mailboxes/azahar/messages", None, "multipart/form-data; boundary=b", body.as_bytes()).unwrap();
    assert!(sent.body.contains("Accepted"), "{}", sent.body);
    eventually("the answer arrives", || (page("/demo/mailboxes/lucia/count").body.trim().parse::<usize>().unwrap() > before).then_some(()));
    let arrived = page("/demo/mailboxes/lucia?view=text").body;
    assert!(arrived.contains("Llega el jueves, seguro.") && !arrived.contains("carmen@"), "{arrived}");
    let ledger = page("/demo/mailboxes/lucia?view=text").body;
    let ledger = ledger.split("/demo/ledger/").nth(1).unwrap().split('"').next().unwrap().to_owned();
    assert!(page(&format!("/demo/ledger/{ledger}")).body.contains("message.decided"));
    Command::new("kill").arg(demo.id().to_string()).status().unwrap();
    assert!(demo.wait().unwrap().success());
}

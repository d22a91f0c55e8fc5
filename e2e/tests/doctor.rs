//! `tradepost doctor` against a zone of our own: all is well, then one thing broken at a time.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods)] // Helpers of tests may panic and speak.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use e2e::service::{Service, Setup, free_port};
use e2e::world::World;
use sandbox::{Zone, send_mail};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Handle;

const HOST: &str = "mx.market.test";
const DOMAIN: &str = "market.test";
const TLSA: &str = "_25._tcp.mx.market.test";
const REVERSE: &str = "PTR 1.0.0.127.in-addr.arpa";

/// A service that others reach by its MX, with a certificate of an authority that the doctor trusts.
struct Clinic {
    world: World,
    service: Service,
    folder: TempDir,
}

/// A finding that is neither `ok` nor only `skip`.
#[derive(Debug)]
struct Fault {
    state: String,
    check: String,
    remedy: String,
}

impl Clinic {
    fn open(route: &str) -> Self {
        let world = World::new();
        let folder = tempfile::tempdir().unwrap();
        openssl(
            folder.path(),
            &["req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -keyout ca.key -out ca.pem -subj /CN=Authority"],
        );
        issue(folder.path(), HOST, 0);
        let file = |name: &str| folder.path().join(name).display().to_string();
        let more = format!("[tls]\ncertificate = \"{}\"\nkey = \"{}\"\n", file("cert.pem"), file("key.pem"));
        let service = Service::start(Setup { route: route.to_owned(), dns: Some(world.dns), more, ..Setup::default() });
        let text = std::fs::read_to_string(service.config()).unwrap();
        let port = format!("port = {}\nroots = \"{}\"\n", service.smtp.port(), file("ca.pem"));
        std::fs::write(service.config(), text.replace("port = 25\n", &port)).unwrap();
        std::fs::set_permissions(service.folder.path().join("dkim.pem"), std::fs::Permissions::from_mode(0o600)).unwrap();
        let clinic = Self { world, service, folder };
        clinic.heal();
        clinic
    }

    /// Everything as it should be.
    fn heal(&self) {
        let zone = &self.world.zone;
        for name in [DOMAIN, HOST, "1.0.0.127.in-addr.arpa", "_dmarc.market.test", TLSA, &self.service.dkim_name] {
            zone.remove(name);
        }
        zone.set_failing("office.test", false);
        zone.a(HOST, Ipv4Addr::LOCALHOST);
        zone.txt(HOST, "v=spf1 a -all");
        zone.ptr(Ipv4Addr::LOCALHOST, HOST);
        zone.mx(DOMAIN, HOST);
        zone.txt(DOMAIN, "v=spf1 ip4:127.0.0.1 -all");
        zone.txt(DOMAIN, "a text of somebody else");
        zone.txt(&self.service.dkim_name, &self.service.dkim_record);
        zone.txt("_dmarc.market.test", "v=DMARC1; p=reject; rua=mailto:postmaster@market.test");
    }

    /// What the doctor finds wrong, and its exit code.
    fn faults(&self) -> (Vec<Fault>, i32) {
        let (text, error, code) = self.service.command(&["doctor", "--json"]);
        let json: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text} {error}"));
        let word = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        let checks = json["checks"].as_array().unwrap();
        assert!(checks.len() >= 8, "{text}");
        let faults = checks.iter().filter(|c| c["state"] != "ok" && c["state"] != "skip");
        let faults = faults.map(|c| Fault { state: word(&c["state"]), check: word(&c["check"]), remedy: word(&c["remedy"]) });
        (faults.collect(), code)
    }

    /// Breaks one thing, and sees that this one is named with its remedy.
    fn breaks(&self, what: &str, change: impl Fn(&Zone), state: &str, check: &str, remedy: &str) {
        self.heal();
        change(&self.world.zone);
        let (faults, code) = self.faults();
        let [fault] = faults.as_slice() else { panic!("{what}: {faults:?}") };
        assert_eq!((fault.state.as_str(), fault.check.as_str()), (state, check), "{what}");
        assert!(fault.remedy.contains(remedy), "{what}: {}", fault.remedy);
        assert_eq!(code, i32::from(state == "fail"), "{what}");
    }

    /// Starts the service with another certificate; gives the one fault that the doctor finds.
    fn with_certificate(&mut self, name: &str, days_ago: u32) -> Fault {
        issue(self.folder.path(), name, days_ago);
        self.service.terminate();
        self.service.run();
        let (mut faults, code) = self.faults();
        assert_eq!((faults.len(), code), (1, 1), "{faults:?}");
        faults.remove(0)
    }
}

fn openssl(folder: &Path, commands: &[&str]) {
    for command in commands {
        let output = Command::new("openssl").args(command.split(' ')).current_dir(folder).output().unwrap();
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// A certificate for ten days of a name, as if it had been issued some days ago.
fn issue(folder: &Path, name: &str, days_ago: u32) {
    std::fs::write(folder.join("ext"), format!("subjectAltName=DNS:{name}\n")).unwrap();
    let request = format!("req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN={name} -keyout key.pem -out req.pem");
    openssl(folder, &[&request]);
    let days = if days_ago == 0 { "30" } else { "10" };
    let sign =
        ["x509", "-req", "-in", "req.pem", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "ext", "-out", "cert.pem"];
    let output = Command::new("env")
        .args(["LD_PRELOAD=/usr/$LIB/faketime/libfaketime.so.1", &format!("FAKETIME=-{days_ago}d"), "openssl"])
        .args(sign)
        .args(["-days", days])
        .current_dir(folder)
        .output()
        .unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !error.contains("cannot be preloaded"), "{error}");
}

#[test]
fn one_broken_record_at_a_time_is_named_with_its_remedy() {
    let clinic = Clinic::open("mx");
    let (faults, code) = clinic.faults();
    assert!(faults.is_empty() && code == 0, "{faults:?}");
    let table = clinic.service.command(&["doctor"]).0;
    assert!(table.lines().all(|line| line.starts_with("ok    ")) && table.contains("MX market.test"), "{table}");

    let (spf, mx) = ("v=spf1 ip4:127.0.0.1 -all", format!("MX {DOMAIN}"));
    let only_spf = |zone: &Zone, text: &str| {
        zone.remove(DOMAIN);
        zone.mx(DOMAIN, HOST);
        zone.txt(DOMAIN, text);
    };
    let no_mx = |zone: &Zone| {
        zone.remove(DOMAIN);
        zone.txt(DOMAIN, spf);
    };
    let elsewhere = |zone: &Zone| {
        no_mx(zone);
        zone.mx(DOMAIN, "mx.elsewhere.test");
    };
    let publish_mx = "market.test. IN MX 10 mx.market.test.";
    clinic.breaks("no MX", no_mx, "fail", &mx, publish_mx);
    clinic.breaks("MX elsewhere", elsewhere, "fail", &mx, publish_mx);
    clinic.breaks("another MX", |zone| zone.mx(DOMAIN, "mx.elsewhere.test"), "warn", &mx, "passes its mail on");
    let no_address = |zone: &Zone| {
        zone.remove(HOST);
        zone.txt(HOST, "v=spf1 a -all");
    };
    clinic.breaks("no address", no_address, "fail", "A mx.market.test", "publish the public address");
    let table = clinic.service.command(&["doctor"]).0;
    for left_out in ["PTR of mx.market.test", "SPF market.test", "STARTTLS and certificate"] {
        let line = table.lines().find(|line| line.contains(left_out)).unwrap_or_else(|| panic!("{left_out} is not in\n{table}"));
        assert!(line.starts_with("skip") && line.contains("not looked at: our host has no address"), "{line}");
    }

    let reverse = |zone: &Zone, name: &str| {
        zone.remove("1.0.0.127.in-addr.arpa");
        zone.ptr(Ipv4Addr::LOCALHOST, name);
    };
    clinic.breaks("no PTR", |zone| zone.remove("1.0.0.127.in-addr.arpa"), "fail", REVERSE, "reverse name to mx.market.test");
    clinic.breaks("a PTR that leads nowhere", |zone| reverse(zone, "liar.test"), "fail", REVERSE, "reverse name to mx.market.test");
    clinic.breaks("a PTR of another name", |zone| reverse(zone, "shop.test"), "warn", REVERSE, "reverse name to mx.market.test");

    let (check, own) = (format!("SPF {DOMAIN}"), "market.test. 3600 IN TXT \"v=spf1 mx -all\"");
    clinic.breaks("no SPF", |zone| only_spf(zone, "hello"), "fail", &check, own);
    clinic.breaks("two SPF", |zone| zone.txt(DOMAIN, spf), "fail", &check, "keep one");
    clinic.breaks("SPF without us", |zone| only_spf(zone, "v=spf1 ip4:192.0.2.1 -all"), "fail", &check, own);

    let (check, own) = (format!("SPF {HOST}"), "mx.market.test. 3600 IN TXT \"v=spf1 a -all\"");
    let greeting = |zone: &Zone, text: &str| {
        zone.remove(HOST);
        zone.a(HOST, Ipv4Addr::LOCALHOST);
        zone.txt(HOST, text);
    };
    clinic.breaks("no SPF of the greeting", |zone| greeting(zone, "hello"), "warn", &check, own);
    clinic.breaks("another's SPF of the greeting", |zone| greeting(zone, "v=spf1 ip4:192.0.2.1 -all"), "fail", &check, own);

    let check = format!("TLSA {TLSA}");
    clinic.breaks("a TLSA of another key", |zone| zone.tlsa(TLSA, 3, 1, 1, &[7; 32]), "fail", &check, "IN TLSA 3 1 1 ");
    let out = format!("port {} out, to office.test", clinic.service.smtp.port());
    clinic.breaks("DNS that does not answer", |zone| zone.set_failing("office.test", true), "fail", &out, "[dns] servers");

    let key = clinic.service.dkim_name.clone();
    let (check, publish) = (format!("DKIM {key}"), format!("publish: {key}. 3600 IN TXT \"v=DKIM1; k=rsa; p="));
    let other_key = |zone: &Zone| {
        zone.remove(&key);
        zone.txt(&key, "v=DKIM1; k=rsa; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA");
    };
    clinic.breaks("no DKIM", |zone| zone.remove(&key), "fail", &check, &publish);
    clinic.breaks("another DKIM key", other_key, "fail", &check, &publish);
    clinic.breaks("two DKIM keys", |zone| zone.txt(&key, "v=DKIM1; p=MIIB"), "fail", &check, &publish);

    let (name, check) = ("_dmarc.market.test", "DMARC _dmarc.market.test");
    let publish = "_dmarc.market.test. 3600 IN TXT \"v=DMARC1; p=reject; rua=mailto:postmaster@market.test\"";
    let lax = |zone: &Zone| {
        zone.remove(name);
        zone.txt(name, "v=DMARC1; p=none");
    };
    clinic.breaks("no DMARC", |zone| zone.remove(name), "fail", check, publish);
    clinic.breaks("two DMARC", |zone| zone.txt(name, "v=DMARC1; p=none"), "fail", check, "keep one");
    clinic.breaks("a lax DMARC", lax, "warn", check, "p=quarantine");
}

#[test]
fn broken_tls_and_closed_ports_are_named_with_their_remedy() {
    let mut clinic = Clinic::open("mx");
    let check = "certificate of mx.market.test, 127.0.0.1";
    let fault = clinic.with_certificate(HOST, 20);
    assert!(fault.check == check && fault.remedy.contains("renew"), "expired: {fault:?}");
    let fault = clinic.with_certificate("mail.elsewhere.test", 0);
    assert!(fault.check == check && fault.remedy.contains("get one for mx.market.test"), "of another name: {fault:?}");

    let text = std::fs::read_to_string(clinic.service.config()).unwrap();
    std::fs::write(clinic.service.config(), text.split("[tls]").next().unwrap()).unwrap();
    clinic.service.terminate();
    clinic.service.run();
    let (faults, code) = clinic.faults();
    assert!(code == 1 && faults.len() == 1, "no STARTTLS: {faults:?}");
    assert!(faults[0].check == "STARTTLS of mx.market.test, 127.0.0.1" && faults[0].remedy.contains("[tls]"), "{faults:?}");

    clinic.service.terminate();
    let (faults, code) = clinic.faults();
    let port = clinic.service.smtp.port();
    assert_eq!(code, 1);
    let of = |check: String| faults.iter().find(|f| f.check == check && f.state == "fail").unwrap_or_else(|| panic!("{check}: {faults:?}"));
    assert!(of(format!("port {port} of mx.market.test, 127.0.0.1")).remedy.contains("start the service"));
    assert!(of(format!("port {port} out, to office.test")).remedy.contains("hosting providers"));
    assert_eq!(faults.len(), 2, "{faults:?}");
}

#[test]
fn submission_needs_a_certificate_that_mail_programs_take() {
    let mut clinic = Clinic::open("mx");
    let (starttls, tls) = (free_port(), free_port());
    let text = std::fs::read_to_string(clinic.service.config()).unwrap();
    let keys = format!("[smtp]\nsubmission = [\"127.0.0.1:{starttls}\"]\nsubmissions = [\"127.0.0.1:{tls}\"]\n");
    std::fs::write(clinic.service.config(), text.replace("[smtp]\n", &keys)).unwrap();
    clinic.service.terminate();
    clinic.service.run();
    let (faults, code) = clinic.faults();
    assert!(faults.is_empty() && code == 0, "{faults:?}");

    // One of our own making: other servers take it, mail programs do not.
    let own = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -keyout key.pem -out cert.pem -subj /CN=mx.market.test -addext subjectAltName=DNS:mx.market.test";
    openssl(clinic.folder.path(), &[own]);
    clinic.service.terminate();
    clinic.service.run();
    let (faults, code) = clinic.faults();
    let mut found: Vec<(&str, &str)> = faults.iter().map(|f| (f.check.as_str(), f.state.as_str())).collect();
    found.sort_unstable();
    let of = |port: u16| format!("certificate of {HOST}, 127.0.0.1 port {port}");
    let mut expected = [(format!("certificate of {HOST}, 127.0.0.1"), "warn"), (of(starttls), "fail"), (of(tls), "fail")];
    expected.sort_unstable();
    assert_eq!(found, expected.iter().map(|(check, state)| (check.as_str(), *state)).collect::<Vec<_>>());
    assert!(code == 1 && faults.iter().all(|f| f.remedy.contains("public authority")), "{faults:?}");

    clinic.service.terminate();
    let (faults, _) = clinic.faults();
    for port in [starttls, tls] {
        let check = format!("port {port} of {HOST}, 127.0.0.1");
        assert!(faults.iter().any(|f| f.check == check && f.remedy.contains("[smtp] submission")), "{faults:?}");
    }
}

#[test]
fn data_that_others_can_read_is_named() {
    let clinic = Clinic::open("mx");
    let key = clinic.service.folder.path().join("data/storage.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    let (faults, code) = clinic.faults();
    let [fault] = faults.as_slice() else { panic!("{faults:?}") };
    assert_eq!((fault.state.as_str(), fault.remedy.as_str(), code), ("warn", "chmod 600", 0));
    assert!(fault.check.starts_with("storage key") && fault.check.ends_with("storage.key"), "{fault:?}");
}

/// What the loop test says of Message-ID and reverse-path.
fn loop_test(clinic: &Clinic) -> (Vec<(String, String)>, i32) {
    let (text, error, code) = clinic.service.command(&["doctor", "--json", "--loop", "--loop-timeout", "30"]);
    let json: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text} {error}"));
    let checks = json["checks"].as_array().unwrap().iter();
    let word = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let of_loop = checks.map(|c| (word(&c["check"]), word(&c["state"]))).filter(|(check, _)| check.starts_with("loop "));
    (of_loop.map(|(check, state)| (check.trim_start_matches("loop market.test, ").to_owned(), state)).collect(), code)
}

fn states(message_id: &str, reverse_path: &str) -> Vec<(String, String)> {
    let pairs = [("arrived", "ok"), ("Message-ID", message_id), ("reverse-path", reverse_path)];
    pairs.into_iter().map(|(check, state)| (check.to_owned(), state.to_owned())).collect()
}

#[test]
fn the_loop_test_tells_what_the_route_keeps() {
    let clinic = Clinic::open("mx");
    assert_eq!(loop_test(&clinic), (states("ok", "ok"), 0));
}

#[test]
fn the_loop_test_tells_what_a_provider_rewrites() {
    let port = free_port();
    let clinic = Clinic::open(&format!("smtp://127.0.0.1:{port}"));
    provider(SocketAddr::from(([127, 0, 0, 1], port)), clinic.service.smtp, clinic.world.runtime.handle().clone());
    assert_eq!(loop_test(&clinic), (states("fail", "fail"), 1));
}

/// A provider that puts its own Message-ID and its own reverse-path in place of ours.
fn provider(address: SocketAddr, target: SocketAddr, runtime: Handle) {
    let listener = TcpListener::bind(address).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            // The doctor also only looks whether anybody answers.
            if let Some((recipient, octets)) = stream.ok().and_then(take) {
                let recipients = [&*recipient];
                let sent = send_mail(target, "mx.elsewhere.test", "bounces@elsewhere.test", &recipients, octets.as_bytes());
                let _ = runtime.block_on(sent);
            }
        }
    });
}

/// One message of a session, with another Message-ID.
fn take(stream: TcpStream) -> Option<(String, String)> {
    let mut lines = BufReader::new(stream);
    let say = |lines: &mut BufReader<TcpStream>, reply: &str| lines.get_mut().write_all(format!("{reply}\r\n").as_bytes()).ok();
    say(&mut lines, "220 provider.test")?;
    let (mut recipient, mut octets) = (String::new(), String::new());
    loop {
        let mut line = String::new();
        if lines.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(path) = line.strip_prefix("RCPT TO:<") {
            recipient = path.split('>').next()?.to_owned();
        }
        if line.starts_with("DATA") {
            say(&mut lines, "354 go on")?;
            loop {
                let mut line = String::new();
                lines.read_line(&mut line).ok()?;
                match line.as_str() {
                    ".\r\n" | "" => break,
                    own if own.starts_with("Message-ID:") => octets.push_str("Message-ID: <own@provider.test>\r\n"),
                    other => octets.push_str(other),
                }
            }
            say(&mut lines, "250 taken")?;
            return Some((recipient, octets));
        }
        say(&mut lines, "250 provider.test")?;
    }
}

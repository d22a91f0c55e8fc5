//! SIGHUP: the configuration is read anew while connections go on, and a broken one is not taken.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods)] // Helpers of tests may panic and speak.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use e2e::load::{self, Job};
use e2e::peers::certificate;
use e2e::scene::{Scene, letter};
use e2e::service::{DOMAIN, Service, Setup, free_port};
use e2e::world::said;
use e2e::{dkim, eventually};
use serde_json::json;

const TAKEN: &str = "configuration read anew";
const NOT_TAKEN: &str = "configuration not taken, the old one stays";

/// Sends SIGHUP and waits until the log says this once more.
fn hang_up(service: &Service, outcome: &str) {
    let count = || service.log().matches(outcome).count();
    let before = count();
    assert!(Command::new("kill").args(["-HUP", &service.pid().to_string()]).status().unwrap().success());
    eventually(outcome, || (count() > before).then_some(()));
}

fn change(service: &Service, change: impl Fn(&str) -> String) {
    let old = std::fs::read_to_string(service.config()).unwrap();
    let new = change(&old);
    assert_ne!(old, new, "nothing to change");
    std::fs::write(service.config(), new).unwrap();
}

/// A session by hand.
struct Session(BufReader<TcpStream>);

impl Session {
    fn open(server: SocketAddr) -> Self {
        let stream = TcpStream::connect(server).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut session = Self(BufReader::new(stream));
        assert!(session.reply().starts_with("220"));
        session
    }

    fn send(&mut self, text: &str) {
        self.0.get_mut().write_all(text.as_bytes()).unwrap();
    }

    /// The last line of a reply.
    fn reply(&mut self) -> String {
        loop {
            let mut line = String::new();
            assert_ne!(self.0.read_line(&mut line).unwrap(), 0, "the connection was dropped");
            if line.as_bytes().get(3) != Some(&b'-') {
                return line;
            }
        }
    }

    fn ask(&mut self, command: &str) -> String {
        self.send(&format!("{command}\r\n"));
        self.reply()
    }
}

#[test]
fn a_message_in_the_middle_of_data_survives() {
    let s = Scene::plain(None);
    let pair = s.service.put_pair(1);
    let mut session = Session::open(s.service.smtp);
    assert!(session.ask("EHLO laptop.shop.test").starts_with("250"));
    hang_up(&s.service, TAKEN);
    for n in 1..=2 {
        assert!(session.ask(&format!("MAIL FROM:<{}>", pair.seller)).starts_with("250"));
        hang_up(&s.service, TAKEN);
        assert!(session.ask(&format!("RCPT TO:<{}>", pair.buyer_alias)).starts_with("250"));
        assert!(session.ask("DATA").starts_with("354"));
        let mail = letter(&pair.seller, &pair.buyer_alias, &format!("Parte {n}"), "", "Primera mitad.\r\nSegunda mitad.");
        let (first, second) = mail.split_once("Segunda").unwrap();
        session.send(first);
        hang_up(&s.service, TAKEN);
        session.send(&format!("Segunda{second}.\r\n"));
        let reply = session.reply();
        assert!(reply.starts_with("250") && reply.contains("accepted as"), "{reply}");
        let got = said(&s.world.nth(&pair.buyer, n));
        assert!(got.contains("Primera mitad.") && got.contains("Segunda mitad."), "{got}");
    }
    assert!(session.ask("QUIT").starts_with("221"));
}

#[test]
fn under_load_no_message_is_lost() {
    const MESSAGES: usize = 300;
    let s = Scene::plain(None);
    let pair = s.service.put_pair(1);
    let job = |n: usize| Job {
        from: pair.seller.clone(),
        to: pair.buyer_alias.clone(),
        octets: letter(&pair.seller, &pair.buyer_alias, &format!("Aviso {n}"), "", "Sale hoy.").into_bytes().into(),
    };
    let jobs = Arc::new((0..MESSAGES).map(job).collect());
    let load = s.world.runtime.spawn(load::run(s.service.smtp, 4, jobs));
    while !load.is_finished() {
        hang_up(&s.service, TAKEN);
    }
    assert_eq!(s.world.runtime.block_on(load).unwrap().len(), MESSAGES);
    eventually("every message arrives", || (s.world.mailboxes.count(&pair.buyer) == MESSAGES).then_some(()));
}

#[test]
fn rules_postmaster_and_marketplaces_take_effect() {
    let rules = "[daily_limit]\nbase = 600\n".to_owned();
    let s = Scene::new(Setup { rules, ..Setup::default() });
    s.world.zone.mail_domain("marche.test");
    let pair = s.service.put_pair(1);
    let stranger = |to: &str| {
        let mail = letter("morgan@elsewhere.test", to, "Pregunta", "", "Hola.");
        s.world.send(s.service.smtp, "morgan@elsewhere.test", &[to], mail.as_bytes())
    };
    assert_eq!(s.outcome(&s.mail(&pair.seller, &pair.buyer_alias, "Uno", "Sale hoy.")), "relay");
    assert!(stranger("postmaster@market.test").is_accepted());
    s.world.nth("boss@office.test", 1);
    assert!(!stranger("postmaster@marche.test").is_accepted());

    std::fs::write(s.service.folder.path().join("rules.toml"), "[daily_limit]\norders_factor = 0\nbase = 0\n").unwrap();
    let more = "\n[[marketplace]]\nid = \"fr\"\ndomain = \"marche.test\"\npostmaster = \"chef@office.test\"\n";
    change(&s.service, |c| format!("{}{more}", c.replace("boss@office.test", "chief@office.test")));
    assert_eq!(s.outcome(&s.mail(&pair.seller, &pair.buyer_alias, "Dos", "Sale hoy.")), "relay", "not before SIGHUP");
    hang_up(&s.service, TAKEN);

    assert_eq!(s.outcome(&s.mail(&pair.seller, &pair.buyer_alias, "Tres", "Sale hoy.")), "refuse");
    assert!(stranger("postmaster@market.test").is_accepted());
    s.world.nth("chief@office.test", 1);
    assert!(stranger("postmaster@marche.test").is_accepted());
    s.world.nth("chef@office.test", 1);
    let seller = json!({"business_name": "Boutique", "email": "boutique@shop.test", "locale": "en"});
    let answer = s.service.api("PUT", "/marketplaces/fr/sellers/s1", &seller);
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(s.world.mailboxes.count("boss@office.test"), 1);
}

#[test]
fn a_broken_configuration_is_not_taken() {
    let s = Scene::new(Setup { rules: "[daily_limit]\nbase = 600\n".to_owned(), ..Setup::default() });
    let pair = s.service.put_pair(1);
    let good = std::fs::read_to_string(s.service.config()).unwrap();
    let rules = s.service.folder.path().join("rules.toml");
    let refused = |config: &str, rule: &str, parts: &[&str], n: usize| {
        std::fs::write(s.service.config(), config).unwrap();
        std::fs::write(&rules, rule).unwrap();
        hang_up(&s.service, NOT_TAKEN);
        let log = s.service.log();
        let line = log.lines().rev().find(|line| line.contains(NOT_TAKEN)).unwrap();
        assert!(line.contains(" ERROR "), "{line}");
        for part in parts {
            assert!(line.contains(part), "{part} is missing: {line}");
        }
        s.mail(&pair.seller, &pair.buyer_alias, &format!("Aviso {n}"), "Sale hoy.");
        s.world.nth(&pair.buyer, n);
    };
    let fine = "[daily_limit]\nbase = 600\n";
    refused(&good.replace("hostname =", "hostnane ="), fine, &["tradepost.toml:4", "did you mean `hostname`?"], 1);
    refused(&good, "[daily_limit]\nbsae = 0\n", &["rules.toml:2", "did you mean `base`?"], 2);
    refused(&good.replace("dkim.pem", "gone.pem"), fine, &["gone.pem"], 3);
    refused(&good.replace("boss@office.test", "boss@market.test"), fine, &["postmaster"], 4);
    refused("", fine, &["tradepost.toml"], 5);
    std::fs::write(s.service.config(), good).unwrap();
    std::fs::write(&rules, "[daily_limit]\norders_factor = 0\nbase = 0\n").unwrap();
    hang_up(&s.service, TAKEN);
    assert_eq!(s.outcome(&s.mail(&pair.seller, &pair.buyer_alias, "Demasiado", "Sale hoy.")), "refuse");
}

#[test]
fn other_addresses_to_listen_on_need_a_restart_and_the_log_says_so() {
    let mut s = Scene::plain(None);
    let (old, port) = (s.service.smtp, free_port());
    let new = SocketAddr::from(([127, 0, 0, 1], port));
    change(&s.service, |c| c.replace(&format!("listen = [\"{old}\"]"), &format!("listen = [\"{new}\"]")));
    hang_up(&s.service, TAKEN);
    let told = |line: &&str| line.contains(" WARN ") && line.contains("[smtp] listen") && line.contains("restart");
    eventually("the log says so", || s.service.log().lines().find(told).map(str::to_owned));
    Session::open(old);
    assert!(TcpStream::connect(new).is_err());
    s.service.terminate();
    s.service.smtp = new;
    s.service.run();
    Session::open(new);
}

/// The certificate that STARTTLS shows, as PEM.
fn shown(service: &Service) -> String {
    let program = format!(
        "import smtplib, ssl\nc = ssl.create_default_context()\nc.check_hostname = False\nc.verify_mode = ssl.CERT_NONE\ns = smtplib.SMTP('127.0.0.1', {})\ns.starttls(context=c)\nprint(ssl.DER_cert_to_PEM_cert(s.sock.getpeercert(True)))\ns.quit()",
        service.smtp.port()
    );
    let output = Command::new("/usr/bin/python3").args(["-c", &program]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn written(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("cert.pem")).unwrap().trim().to_owned()
}

#[test]
fn a_renewed_certificate_is_shown_and_a_broken_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let pem = folder.path();
    certificate(pem, "mx.market.test");
    let (cert, key) = (pem.join("cert.pem"), pem.join("key.pem"));
    let more = format!("[tls]\ncertificate = \"{}\"\nkey = \"{}\"\n", cert.display(), key.display());
    let s = Scene::new(Setup { more, ..Setup::default() });
    let first = written(pem);
    assert_eq!(shown(&s.service), first);

    certificate(pem, "mx.market.test");
    let renewed = written(pem);
    assert_ne!(renewed, first);
    hang_up(&s.service, TAKEN);
    assert_eq!(shown(&s.service), renewed);

    // The key of another certificate, then none at all.
    let other = tempfile::tempdir().unwrap();
    certificate(other.path(), "mx.market.test");
    for (text, fault) in
        [(std::fs::read(other.path().join("key.pem")).unwrap(), "do not go together"), (Vec::new(), "holds no private key")]
    {
        std::fs::write(&key, text).unwrap();
        hang_up(&s.service, fault);
        assert!(s.service.log().lines().any(|line| line.contains(fault) && line.contains(" ERROR ") && line.contains("key.pem")));
        assert_eq!(shown(&s.service), renewed);
    }

    certificate(pem, "mx.market.test");
    hang_up(&s.service, TAKEN);
    assert_eq!(shown(&s.service), written(pem));

    // Other files are taken as well.
    let moved = format!("{}/", other.path().display());
    change(&s.service, |c| c.replace(&format!("{}/", pem.display()), &moved));
    certificate(other.path(), "mx.market.test");
    hang_up(&s.service, TAKEN);
    assert_eq!(shown(&s.service), written(other.path()));
}

#[test]
fn another_dkim_key_signs_what_is_accepted_from_then_on() {
    let s = Scene::plain(None);
    let pair = s.service.put_pair(1);
    let verify = |n: usize, name: &str, record: &str| {
        s.mail(&pair.seller, &pair.buyer_alias, &format!("Aviso {n}"), "Sale hoy.");
        dkim::verify(s.service.folder.path(), &s.world.nth(&pair.buyer, n).octets, name, record)
    };
    verify(1, &s.service.dkim_name, &s.service.dkim_record).unwrap();
    let (text, signer) = dkim::key(DOMAIN, "tp2");
    std::fs::write(s.service.folder.path().join("second.pem"), text).unwrap();
    change(&s.service, |c| c.replace("dkim.pem", "second.pem").replace("\"tp1\"", "\"tp2\""));
    hang_up(&s.service, TAKEN);
    verify(2, &signer.dns_name(), &signer.dns_record()).unwrap();
    // The same file with another key in it.
    let (text, signer) = dkim::key(DOMAIN, "tp2");
    std::fs::write(s.service.folder.path().join("second.pem"), text).unwrap();
    hang_up(&s.service, TAKEN);
    verify(3, &signer.dns_name(), &signer.dns_record()).unwrap();
}

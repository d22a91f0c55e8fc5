//! Certificates by ACME, with Pebble as the authority: issued, shown, kept, renewed; and what happens without one.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods)] // Helpers of tests may panic and speak.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use e2e::eventually;
use e2e::peers::pebble::Pebble;
use e2e::service::{Service, Setup, assert_log_is_clean, data_file, free_port};
use e2e::world::World;

const ISSUED: &str = "a certificate was issued and is in use";

fn service(world: &World, more: String) -> Service {
    Service::start(Setup { route: world.route(), dns: Some(world.dns), more, ..Setup::default() })
}

fn wait_for(service: &Service, text: &str) {
    eventually(text, || service.log().contains(text).then_some(()));
}

/// What openssl says of STARTTLS on the SMTP port, and whether it trusts the certificate for our name.
fn starttls(service: &Service, root: Option<&Path>) -> (String, bool) {
    let address = service.smtp.to_string();
    let mut command = Command::new("openssl");
    command.args(["s_client", "-starttls", "smtp", "-connect", &address, "-servername", "mx.market.test", "-showcerts"]);
    if let Some(root) = root {
        command.arg("-CAfile").arg(root).args(["-verify_return_error", "-verify_hostname", "mx.market.test"]);
    }
    let output = command.stdin(Stdio::null()).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let trusted = output.status.success() && said.contains("Verify return code: 0 (ok)");
    (said, trusted)
}

fn chain(service: &Service) -> String {
    std::fs::read_to_string(data_file(service, "acme/certificate.pem")).unwrap()
}

#[test]
fn a_certificate_is_ordered_once_shown_and_renewed_in_time() {
    let world = World::new();
    let pebble = Pebble::start(world.dns);
    let mut service = service(&world, pebble.section(pebble.http));
    wait_for(&service, ISSUED);
    let root = pebble.root();
    let (said, trusted) = starttls(&service, Some(&root));
    assert!(trusted && said.contains("Pebble Intermediate CA"), "{said}");
    for name in ["account.json", "certificate.pem"] {
        let mode = std::fs::metadata(data_file(&service, &format!("acme/{name}"))).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    // What is kept serves on.
    let first = chain(&service);
    assert_eq!((service.terminate(), pebble.orders()), (Some(0), 1));
    service.run();
    wait_for(&service, "the certificate that is kept serves on");
    let (said, trusted) = starttls(&service, Some(&root));
    assert!(trusted, "{said}");
    assert_eq!((chain(&service) == first, pebble.orders()), (true, 1));
    // 61 of 90 days later a new one is ordered; since it counts from today for the authority, our clock seems wrong.
    service.terminate();
    service.run_ahead(61);
    wait_for(&service, "check the clock");
    assert_eq!((chain(&service) != first, pebble.orders()), (true, 2), "one order, not one at every look");
    let (said, trusted) = starttls(&service, Some(&root));
    assert!(trusted, "{said}");
    assert_eq!(service.terminate(), Some(0));
    assert_log_is_clean(&service.log(), &[]);
}

#[test]
fn a_broken_certificate_that_was_kept_is_replaced() {
    let world = World::new();
    let pebble = Pebble::start(world.dns);
    let mut service = service(&world, pebble.section(pebble.http));
    wait_for(&service, ISSUED);
    service.terminate();
    std::fs::write(data_file(&service, "acme/certificate.pem"), "").unwrap();
    service.run();
    eventually("a second order", || (service.log().matches(ISSUED).count() == 2).then_some(()));
    let log = service.log();
    assert!(log.contains("the certificate that is kept cannot be used") && log.contains("acme/certificate.pem"), "{log}");
    let (said, trusted) = starttls(&service, Some(&pebble.root()));
    assert!(trusted, "{said}");
    assert_eq!(pebble.orders(), 2);
}

#[test]
fn without_its_authority_the_service_encrypts_with_a_certificate_of_its_own() {
    let world = World::new();
    let pebble = Pebble::start(world.dns);
    let more = pebble.section(pebble.http);
    drop(pebble);
    // The file of roots went with it.
    let more = more.lines().filter(|line| !line.starts_with("roots")).map(|line| format!("{line}\n")).collect();
    let service = service(&world, more);
    wait_for(&service, "no certificate was issued");
    let (said, _) = starttls(&service, None);
    assert!(said.contains("CN = mx.market.test") && said.contains("self-signed certificate"), "{said}");
    let pair = service.put_pair(1);
    let output = Command::new("swaks")
        .args(["--server", &service.smtp.to_string(), "--tls", "--from", &pair.seller, "--to", &pair.buyer_alias, "--body", "hola"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    world.nth(&pair.buyer, 1);
    assert!(!data_file(&service, "acme/certificate.pem").exists());
}

#[test]
fn a_name_that_does_not_lead_here_is_explained() {
    let world = World::new();
    let pebble = Pebble::start(world.dns);
    // The authority looks at another port than ours.
    let service = service(&world, pebble.section(free_port()));
    wait_for(&service, "no certificate was issued");
    let log = service.log();
    let line = log.lines().find(|line| line.contains("no certificate was issued")).unwrap();
    assert!(line.contains("could not see that the name is ours") && line.contains("[tls.acme] listen"), "{line}");
    assert_log_is_clean(&log, &[]);
}

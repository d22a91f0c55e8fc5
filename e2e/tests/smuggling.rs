//! SMTP smuggling: whatever another server takes for the end of a message, one message stays one, in clear and in TLS.

#![allow(clippy::unwrap_used)] // Helpers of tests may panic.

use std::path::Path;
use std::process::Command;

use e2e::peers::certificate;
use e2e::scene::Scene;
use e2e::service::Setup;

/// Runs the attempts; gives their number.
fn smuggle(port: u16, mode: &str, from: &str, to: &str) -> usize {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/smuggle.py");
    let output = Command::new("/usr/bin/python3").arg(script).args([&port.to_string(), mode, from, to]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().parse().unwrap()
}

#[test]
fn no_published_variant_of_the_end_smuggles_a_message() {
    let folder = tempfile::tempdir().unwrap();
    certificate(folder.path(), "mx.market.test");
    let file = |name: &str| folder.path().join(name).display().to_string();
    let s = Scene::new(Setup {
        smtp: "messages_per_minute = 1000000\n".to_owned(),
        more: format!("[tls]\ncertificate = \"{}\"\nkey = \"{}\"\n", file("cert.pem"), file("key.pem")),
        ..Setup::default()
    });
    let pair = s.pair(1, "es");
    for (mode, messages) in [("clear", 2), ("tls", 4)] {
        let attempts = smuggle(s.service.smtp.port(), mode, &pair.buyer, &pair.seller_alias);
        assert!(attempts > 500, "{attempts}");
        // Only the two with a true end between them are on record, and only they arrive.
        assert_eq!(s.service.messages(&pair).len(), messages, "{mode}");
        s.world.nth(&pair.seller, messages);
        assert_eq!(s.world.mailboxes.count(&pair.seller), messages, "{mode}");
    }
}

//! Exim from `target/peers/exim`, where `cargo xtask test` unpacks it: Debian does not install it beside Postfix.

use std::path::PathBuf;

use super::{BUSY, Daemon, certificate, command, folder, spawn, wait_for};

const CONFIG: &str = include_str!("../../peers/exim.conf");
/// The user that Debian's program was built for.
const USER: &str = "Debian-exim";

/// What an Exim is for.
pub(super) struct Site<'a> {
    pub(super) name: &'a str,
    pub(super) port: u16,
    /// Port of Dovecot's LMTP, if mail for shop.test and buyer.test ends here.
    pub(super) lmtp: Option<u16>,
    /// Port to which everything else goes.
    pub(super) onward: u16,
    /// TLS offered to whoever comes and required of where mail goes on; else neither.
    pub(super) tls: bool,
}

pub(super) fn exim(site: &Site<'_>) -> Daemon {
    let folder = folder("tpe");
    let dir = folder.path();
    let path = |name: &str| dir.join(name).display().to_string();
    // A copy: the programs that it starts run as another user, who may not reach the folder of the build. Not
    // `std::fs::copy`: a file that another thread's child holds open for writing cannot be run.
    command("cp", &[&unpacked().display().to_string(), &path("exim4")]);
    command("chmod", &["0755", &path("exim4")]);
    certificate(dir, &format!("{}.test", site.name));
    std::fs::create_dir(dir.join("spool")).unwrap();
    let user = format!("{USER}:");
    command("chown", &[&user, &dir.display().to_string(), &path("spool"), &path("key.pem"), &path("cert.pem")]);
    let (tls, clear) = if site.tls { ("*", "") } else { ("", "*") };
    let text = CONFIG
        .replace("@DIR@", &dir.display().to_string())
        .replace("@NAME@", site.name)
        .replace("@PORT@", &site.port.to_string())
        .replace("@LOCAL@", if site.lmtp.is_some() { "shop.test : buyer.test" } else { "" })
        .replace("@LMTPPORT@", &site.lmtp.unwrap_or_default().to_string())
        .replace("@RELAY@", &site.onward.to_string())
        .replace("@BUSY@", &format!("buyer{BUSY}"))
        .replace("@TLS@", tls)
        .replace("@CLEAR@", clear);
    std::fs::write(dir.join("exim.conf"), text).unwrap();
    let guard = spawn(&[&path("exim4"), "-C", &path("exim.conf"), "-bdf", "-q1s"], dir);
    wait_for(site.port, "220 ");
    Daemon { port: site.port, second: 0, submission: 0, folder, guard }
}

fn unpacked() -> PathBuf {
    let mut folder = std::env::current_exe().unwrap();
    while folder.file_name().is_some_and(|n| n != "target") {
        folder.pop();
    }
    let file = folder.join("peers/exim/usr/sbin/exim4");
    assert!(file.exists(), "{} is missing; `cargo xtask test` unpacks it", file.display());
    file
}

//! Debian packages that the tests' real peers come from: installed where missing, with no service started.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

/// A file that shows that a package is there, and its name.
const NEEDED: [(&str, &str); 23] = [
    ("/usr/lib/postfix/sbin/master", "postfix"),
    ("/usr/sbin/dovecot", "dovecot-core"),
    ("/usr/lib/dovecot/imap", "dovecot-imapd"),
    ("/usr/lib/dovecot/lmtp", "dovecot-lmtpd"),
    ("/usr/lib/dovecot/submission", "dovecot-submissiond"),
    ("/usr/lib/dovecot/modules/lib90_sieve_plugin.so", "dovecot-sieve"),
    ("/usr/bin/pebble", "pebble"),
    ("/usr/bin/swaks", "swaks"),
    ("Net::SSLeay", "libnet-ssleay-perl"),
    ("/usr/bin/python3", "python3"),
    ("/usr/lib/python3/dist-packages/dkim/__init__.py", "python3-dkim"),
    ("/usr/bin/openssl", "openssl"),
    ("/usr/bin/strace", "strace"),
    ("/usr/lib/postgresql", "postgresql"),
    // A clock that is ahead.
    ("/usr/bin/faketime", "faketime"),
    // Second readers of files.
    ("/usr/bin/exiftool", "libimage-exiftool-perl"),
    ("/usr/share/perl5/Archive/Zip.pm", "libarchive-zip-perl"),
    ("/usr/bin/pdfinfo", "poppler-utils"),
    ("/usr/bin/catdoc", "catdoc"),
    ("/usr/lib/python3/dist-packages/PIL/__init__.py", "python3-pil"),
    ("/usr/lib/python3/dist-packages/pypdf/__init__.py", "python3-pypdf"),
    ("/usr/lib/python3/dist-packages/docx/__init__.py", "python3-docx"),
    ("/usr/lib/python3/dist-packages/olefile/__init__.py", "python3-olefile"),
];

/// Keeps the packages from starting services, making a database cluster or asking questions.
const SCRIPT: &str = r"set -eu
export DEBIAN_FRONTEND=noninteractive
RC=/usr/sbin/policy-rc.d; MADE=
if [ ! -e $RC ]; then printf '#!/bin/sh\nexit 101\n' > $RC; chmod 755 $RC; MADE=1; fi
trap '[ -z $MADE ] || rm -f $RC' EXIT
mkdir -p /etc/postgresql-common/createcluster.d
echo 'create_main_cluster = false' > /etc/postgresql-common/createcluster.d/no-main.conf
printf 'postfix postfix/main_mailer_type select No configuration\n' | debconf-set-selections
apt-get update -q
apt-get install -y -q --no-install-recommends procps util-linux $PACKAGES
";

/// Installs what is missing.
pub(crate) fn ensure() -> anyhow::Result<()> {
    let missing: Vec<&str> = NEEDED.iter().filter(|(file, name)| !is_installed(file, name)).map(|(_, name)| *name).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages = missing.join(" ");
    println!("installing {packages}");
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|o| o.stdout.starts_with(b"0\n"));
    let mut command = if is_root { Command::new("sh") } else { Command::new("sudo") };
    if !is_root {
        command.args(["--preserve-env=PACKAGES", "sh"]);
    }
    let status = command.args(["-c", SCRIPT]).env("PACKAGES", &packages).stdin(Stdio::null()).status();
    let status = status.with_context(|| format!("install these packages as root, then try again: {packages}"))?;
    if !status.success() {
        bail!("the packages could not be installed; install them as root, then try again: {packages}");
    }
    Ok(())
}

fn is_installed(file: &str, name: &str) -> bool {
    match name {
        // In a folder of its version.
        "postgresql" => std::fs::read_dir(file).is_ok_and(|mut d| d.any(|e| e.is_ok_and(|e| e.path().join("bin/initdb").exists()))),
        // In a folder of the architecture.
        "libnet-ssleay-perl" => perl_has_tls(),
        _ => Path::new(file).exists(),
    }
}

fn perl_has_tls() -> bool {
    Command::new("perl").args(["-MNet::SSLeay", "-e", "1"]).stderr(Stdio::null()).status().is_ok_and(|s| s.success())
}

//! Exim for the tests. Debian does not install it beside Postfix, so that it is unpacked into `target/peers/exim`; its
//! libraries are installed.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, bail};

/// The libraries are read from the package itself, because their names change between releases of Debian. The program
/// looks for the user that it was built for, and does not start without.
const SCRIPT: &str = r#"set -eu
export DEBIAN_FRONTEND=noninteractive
rm -rf "$FOLDER.new"
mkdir -p "$FOLDER.new"
cd "$FOLDER.new"
apt-get update -q
apt-get download -q exim4-daemon-light
LIBRARIES=$(dpkg-deb -f exim4-daemon-light_*.deb Depends | tr ',' '\n' | sed 's/[(|].*//; s/ //g' | grep '^lib')
apt-get install -y -q --no-install-recommends --no-upgrade $LIBRARIES
dpkg-deb -x exim4-daemon-light_*.deb .
chmod u-s usr/sbin/exim4
id Debian-exim >/dev/null 2>&1 || useradd --system --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin Debian-exim
cd /
rm -rf "$FOLDER"
mv "$FOLDER.new" "$FOLDER"
"#;

/// Unpacks it where it is missing or does not start; `root` is the workspace.
pub(crate) fn ensure(root: &Path) -> anyhow::Result<()> {
    let folder = root.join("target/peers/exim");
    if starts(&folder) {
        return Ok(());
    }
    println!("unpacking exim4-daemon-light into {}", folder.display());
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|o| o.stdout.starts_with(b"0\n"));
    let mut command = if is_root { Command::new("sh") } else { Command::new("sudo") };
    if !is_root {
        command.args(["--preserve-env=FOLDER", "sh"]);
    }
    let status = command.args(["-c", SCRIPT]).env("FOLDER", &folder).stdin(Stdio::null()).status();
    let status = status.with_context(|| format!("unpack exim4-daemon-light into {} as root, then try again", folder.display()))?;
    if !status.success() || !starts(&folder) {
        bail!("Exim could not be unpacked; unpack exim4-daemon-light into {} and install its libraries as root", folder.display());
    }
    Ok(())
}

/// Whether the program finds its libraries and its user.
fn starts(folder: &Path) -> bool {
    let mut command = Command::new(folder.join("usr/sbin/exim4"));
    command.args(["-C", "/dev/null", "-bV"]).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|s| s.success())
}

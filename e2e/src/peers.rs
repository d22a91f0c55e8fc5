//! Postfix, Exim and Dovecot from temporary folders, ending with the test whatever happens to it.

mod dovecot;
mod exim;
pub mod pebble;
pub mod street;

use std::io::Read;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

pub use self::dovecot::{Onward, dovecot, dovecot_with, imap};
use crate::eventually;
use crate::service::free_port;

const COMMON: &str = include_str!("../peers/postfix.common.cf");
const RECEIVE: &str = include_str!("../peers/postfix.receive.cf");
const SEND: &str = include_str!("../peers/postfix.send.cf");
const BENCH: &str = include_str!("../peers/postfix.bench.cf");
const MASTER: &str = include_str!("../peers/postfix.master.cf");
/// Of the buyers, the one whose mailbox is busy for ever: 450 at RCPT.
pub const BUSY: usize = 4;
/// The one whose mailbox is unknown behind a server that takes its mail, and reports it later.
pub const GONE: usize = 5;
/// Ends the daemon when our end of the pipe closes, so also when this process is killed.
const GUARD: &str = r#"exec 3<&0; "$@" 3<&- & m=$!; (read _ <&3; kill $m) & w=$!; wait $m; r=$?; kill $w 2>/dev/null; exit $r"#;

/// A daemon that ends with the value.
pub struct Daemon {
    pub port: u16,
    /// A second port: LMTP of Dovecot.
    pub second: u16,
    /// A third one: submission of Dovecot.
    pub submission: u16,
    pub folder: TempDir,
    guard: Child,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}

impl Daemon {
    pub fn log(&self) -> String {
        // Postfix, Exim.
        ["mail.log", "main.log"].iter().filter_map(|name| std::fs::read_to_string(self.folder.path().join(name)).ok()).collect()
    }

    /// Whether no mail waits in it (Postfix, Exim).
    pub fn is_empty(&self) -> bool {
        ["maildrop", "incoming", "active", "deferred", "hold", "input"]
            .iter()
            .all(|queue| holds_no_file(&self.folder.path().join("spool").join(queue)))
    }

    /// How many mails it is done with (Postfix, Exim).
    pub fn handled(&self) -> usize {
        self.log().lines().filter(|l| l.ends_with(": removed") || l.ends_with(" Completed")).count()
    }

    /// The daemon's own process (Postfix).
    pub fn master_pid(&self) -> Option<u32> {
        std::fs::read_to_string(self.folder.path().join("spool/pid/master.pid")).ok()?.trim().parse().ok()
    }
}

/// What a Postfix is for.
pub enum Role {
    /// Takes mail for shop.test and buyer.test and gives it to Dovecot's LMTP socket.
    Receive(PathBuf),
    /// Takes anything and relays it to this port.
    Send(u16),
    /// The same without limits, for the benchmark.
    Bench(u16),
}

/// Which mail server stands on the other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Postfix,
    Exim,
}

/// A server on `port` that takes mail for shop.test and buyer.test and gives it to Dovecot; what it writes itself goes to
/// `onward`. With TLS on both ways, or on none.
pub fn receiver(kind: Kind, port: u16, dove: &Daemon, onward: u16, tls: bool) -> Daemon {
    match kind {
        Kind::Postfix => {
            let (offered, used) = if tls { ("may", "encrypt") } else { ("none", "none") };
            let more =
                format!("relayhost = [127.0.0.1]:{onward}\nsmtpd_tls_security_level = {offered}\nsmtp_tls_security_level = {used}\n");
            postfix_at(port, "recv", &Role::Receive(dove.folder.path().join("run/lmtp")), &more)
        }
        Kind::Exim => exim::exim(&exim::Site { name: "recv", port, lmtp: Some(dove.second), onward, tls }),
    }
}

/// A server on `port` that takes anything and relays it to `onward`, over TLS or in clear.
pub fn sender(kind: Kind, port: u16, onward: u16, tls: bool) -> Daemon {
    match kind {
        Kind::Postfix => {
            let more = format!("smtp_tls_security_level = {}\n", if tls { "encrypt" } else { "none" });
            postfix_at(port, "send", &Role::Send(onward), &more)
        }
        Kind::Exim => exim::exim(&exim::Site { name: "send", port, lmtp: None, onward, tls }),
    }
}

pub fn postfix(name: &str, role: Role) -> Daemon {
    postfix_at(free_port(), name, &role, "")
}

/// With lines to add to its `main.cf`; the last of a name counts.
fn postfix_at(port: u16, name: &str, role: &Role, more: &str) -> Daemon {
    let folder = folder("tpx");
    let dir = folder.path();
    for (path, mode, owner) in [
        ("etc", 0o755, "root:root"),
        ("spool", 0o755, "root:root"),
        ("data", 0o700, "postfix:root"),
        ("spool/pid", 0o755, "root:root"),
        ("spool/public", 0o710, "postfix:postdrop"),
        ("spool/maildrop", 0o730, "postfix:postdrop"),
    ]
    .into_iter()
    .map(|(p, m, o)| (p.to_owned(), m, o))
    .chain(
        "active bounce corrupt defer deferred flush hold incoming private saved trace"
            .split(' ')
            .map(|q| (format!("spool/{q}"), 0o700, "postfix:root")),
    ) {
        let path = dir.join(path);
        std::fs::create_dir_all(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        command("chown", &[owner, &path.display().to_string()]);
    }
    let (settings, relay, lmtp, processes) = match role {
        Role::Receive(socket) => (COMMON.replace("mynetworks = 127.0.0.0/8\n", "") + RECEIVE, 0, socket.display().to_string(), "-"),
        Role::Send(relay) => (COMMON.to_owned() + SEND, *relay, String::new(), "-"),
        Role::Bench(relay) => (COMMON.to_owned() + BENCH, *relay, String::new(), "200"),
    };
    let fill = |text: &str| {
        text.replace("@DIR@", &dir.display().to_string())
            .replace("@NAME@", name)
            .replace("@PORT@", &port.to_string())
            .replace("@RELAY@", &relay.to_string())
            .replace("@LMTP@", &lmtp)
            .replace("@BUSY@", &format!("buyer{BUSY}"))
            .replace("@SMTPD_MAX@", processes)
    };
    if matches!(role, Role::Receive(_)) {
        certificate(&dir.join("etc"), &format!("{name}.test"));
    }
    for (file, text) in [("etc/main.cf", fill(&settings) + "\n" + more), ("etc/master.cf", fill(MASTER))] {
        let path = dir.join(file);
        std::fs::write(&path, text).unwrap();
        // Postfix sleeps until its main.cf is two seconds old.
        command("touch", &["-d", "1 minute ago", &path.display().to_string()]);
    }
    let guard = spawn(&["/usr/lib/postfix/sbin/master", "-c", &dir.join("etc").display().to_string(), "-s"], dir);
    wait_for(port, "220 ");
    Daemon { port, second: 0, submission: 0, folder, guard }
}

/// A certificate of its own making for a name, as `key.pem` and `cert.pem` in the folder.
pub fn certificate(folder: &Path, name: &str) {
    let (key, cert) = (folder.join("key.pem").display().to_string(), folder.join("cert.pem").display().to_string());
    let subject = format!("/CN={name}");
    let kind = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3650"];
    command("openssl", &[&kind[..], &["-subj", &subject, "-keyout", &key, "-out", &cert]].concat());
}

/// A folder that daemons of other users can enter, with a short path for their sockets.
fn folder(prefix: &str) -> TempDir {
    let folder = tempfile::Builder::new().prefix(prefix).tempdir_in("/tmp").unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

fn spawn(words: &[&str], dir: &Path) -> Child {
    let log = std::fs::File::create(dir.join("stderr.log")).unwrap();
    Command::new("sh")
        .args(["-c", GUARD, "guard"])
        .args(words)
        .stdin(Stdio::piped())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

fn holds_no_file(folder: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return true };
    entries.filter_map(Result::ok).all(|e| if e.path().is_dir() { holds_no_file(&e.path()) } else { e.path().metadata().is_err() })
}

fn command(program: &str, words: &[&str]) {
    let output = Command::new(program).args(words).output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
}

pub fn wait_for(port: u16, greeting: &str) {
    eventually(&format!("{greeting:?} on {port}"), || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
        let mut buffer = [0; 64];
        let length = stream.read(&mut buffer).ok()?;
        String::from_utf8_lossy(&buffer[..length]).starts_with(greeting).then_some(())
    });
}

//! Postfix and Dovecot from temporary folders, ending with the test whatever happens to it.

use std::io::Read;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use crate::eventually;
use crate::service::free_port;

const COMMON: &str = include_str!("../peers/postfix.common.cf");
const RECEIVE: &str = include_str!("../peers/postfix.receive.cf");
const SEND: &str = include_str!("../peers/postfix.send.cf");
const BENCH: &str = include_str!("../peers/postfix.bench.cf");
const MASTER: &str = include_str!("../peers/postfix.master.cf");
const DOVECOT: &str = include_str!("../peers/dovecot.conf");
const NOBODY: u32 = 65_534;
/// Ends the daemon when our end of the pipe closes, so also when this process is killed.
const GUARD: &str = r#"exec 3<&0; "$@" 3<&- & m=$!; (read _ <&3; kill $m) & w=$!; wait $m; r=$?; kill $w 2>/dev/null; exit $r"#;

/// A daemon that ends with the value.
pub struct Daemon {
    pub port: u16,
    /// A second port: LMTP of Dovecot.
    pub second: u16,
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
        std::fs::read_to_string(self.folder.path().join("mail.log")).unwrap_or_default()
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

pub fn postfix(name: &str, role: Role) -> Daemon {
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
    let port = free_port();
    let (settings, relay, lmtp, processes) = match &role {
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
            .replace("@SMTPD_MAX@", processes)
    };
    if matches!(role, Role::Receive(_)) {
        certificate(&dir.join("etc"), &format!("{name}.test"));
    }
    for (file, text) in [("etc/main.cf", fill(&settings)), ("etc/master.cf", fill(MASTER))] {
        let path = dir.join(file);
        std::fs::write(&path, text).unwrap();
        // Postfix sleeps until its main.cf is two seconds old.
        command("touch", &["-d", "1 minute ago", &path.display().to_string()]);
    }
    let guard = spawn(&["/usr/lib/postfix/sbin/master", "-c", &dir.join("etc").display().to_string(), "-s"], dir);
    wait_for(port, "220 ");
    Daemon { port, second: 0, folder, guard }
}

pub fn dovecot() -> Daemon {
    let folder = folder("tpd");
    let dir = folder.path();
    for sub in ["run", "state", "mail"] {
        let path = dir.join(sub);
        std::fs::create_dir_all(&path).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    command("chown", &[&format!("{NOBODY}:{NOBODY}"), &dir.join("mail").display().to_string()]);
    let (imap, lmtp) = (free_port(), free_port());
    let text = DOVECOT
        .replace("@DIR@", &dir.display().to_string())
        .replace("@NAME@", "dove")
        .replace("@IMAP@", &imap.to_string())
        .replace("@LMTPPORT@", &lmtp.to_string());
    let config = dir.join("dovecot.conf");
    std::fs::write(&config, text).unwrap();
    let guard = spawn(&["dovecot", "-F", "-c", &config.display().to_string()], dir);
    wait_for(imap, "* OK");
    wait_for(lmtp, "220 ");
    Daemon { port: imap, second: lmtp, folder, guard }
}

/// What an IMAP client finds: a Python script over imaplib, its answer.
pub fn imap(port: u16, user: &str, script: &str) -> String {
    let program = format!(
        "import imaplib\nc = imaplib.IMAP4('127.0.0.1', {port})\nc.login('{user}', 'secret')\nn = int(c.select('INBOX')[1][0])\n{script}"
    );
    let output = Command::new("/usr/bin/python3").args(["-c", &program]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
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

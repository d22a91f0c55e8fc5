//! A real PostgreSQL server in a temporary folder, for one test.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A server that ends with the value.
pub struct Postgres {
    folder: TempDir,
    port: u16,
    server: Child,
}

impl Postgres {
    /// Starts a server with its defaults, which keep what is committed.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with("")
    }

    /// The same with TLS and a certificate of its own making, as Debian's package sets it up.
    #[must_use]
    pub fn start_with_tls() -> Self {
        Self::start_with("ssl = on\n")
    }

    fn start_with(settings: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("tp-pg").tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        let data = folder.path().join("data");
        let made = as_postgres(&bin("initdb"), folder.path())
            .arg("-D")
            .arg(&data)
            .args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "-N"])
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(made.success(), "initdb failed");
        if !settings.is_empty() {
            let script = format!(
                "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj /CN=pg.test -keyout server.key -out server.crt 2>/dev/null && chmod 600 server.key && printf '{settings}' >> postgresql.conf"
            );
            let done = as_postgres(Path::new("/bin/sh"), &data).args(["-c", &script]).status().unwrap();
            assert!(done.success(), "the certificate could not be made");
        }
        let port = free_port();
        let server = Self::run(folder.path(), port);
        let postgres = Self { folder, port, server };
        postgres.wait();
        postgres
    }

    /// Kills the server as a power cut does, and starts it again.
    pub fn crash_and_restart(&mut self) {
        self.kill();
        self.server = Self::run(self.folder.path(), self.port);
        self.wait();
    }

    /// Kills the server.
    pub fn kill(&mut self) {
        let children = Command::new("pkill").args(["-9", "-P", &self.server.id().to_string()]).status();
        let _ = self.server.kill();
        let _ = self.server.wait();
        drop(children);
        let _ = std::fs::remove_file(self.folder.path().join("data/postmaster.pid"));
    }

    /// The connection URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    fn run(folder: &Path, port: u16) -> Child {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(folder.join("log")).unwrap();
        as_postgres(&bin("postgres"), folder)
            .arg("-D")
            .arg(folder.join("data"))
            .args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1", "-c"])
            .arg(format!("unix_socket_directories={}", folder.display()))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap()
    }

    fn wait(&self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while Instant::now() < deadline {
            let ready = Command::new(bin("pg_isready")).args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()]).status();
            if ready.is_ok_and(|s| s.success()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("PostgreSQL did not start: {}", std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default());
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The newest server that Debian's packages installed.
fn bin(name: &str) -> PathBuf {
    let mut versions: Vec<PathBuf> =
        std::fs::read_dir("/usr/lib/postgresql").map(|d| d.flatten().map(|e| e.path()).collect()).unwrap_or_default();
    versions.sort();
    let folder = versions.pop().expect("PostgreSQL is installed by `cargo xtask test`");
    folder.join("bin").join(name)
}

/// The server refuses to run as root: then it runs as its own user.
fn as_postgres(program: &Path, folder: &Path) -> Command {
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|m| m.uid() == 0);
    let mut command = if is_root {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--init-groups", "--pdeathsig=KILL"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    command.current_dir(folder).env("LC_ALL", "C.UTF-8");
    command
}

/// A port that was free a moment ago.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

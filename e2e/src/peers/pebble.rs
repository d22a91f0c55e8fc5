//! Pebble: an ACME authority for tests.

use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command};

use tempfile::TempDir;

use super::{command, folder, spawn};
use crate::eventually;
use crate::service::free_port;

const CONFIG: &str = include_str!("../../peers/pebble.json");

/// An authority that ends with the value. Its certificates count for 90 days.
pub struct Pebble {
    /// The port at which it looks for HTTP-01 answers.
    pub http: u16,
    port: u16,
    management: u16,
    folder: TempDir,
    guard: Child,
}

impl Drop for Pebble {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}

impl Pebble {
    pub fn start(dns: SocketAddr) -> Self {
        let folder = folder("tpp");
        let dir = folder.path();
        let at = |name: &str| dir.join(name).display().to_string();
        let kind =
            ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3650", "-subj", "/CN=Pebble"];
        let names = ["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"];
        command("openssl", &[&kind[..], &names, &["-keyout", &at("ca.key"), "-out", &at("ca.pem")]].concat());
        let [http, tls, port, management] = [free_port(), free_port(), free_port(), free_port()];
        let text = CONFIG
            .replace("@DIR@", &dir.display().to_string())
            .replace("@PORT@", &port.to_string())
            .replace("@MANAGEMENT@", &management.to_string())
            .replace("@HTTP@", &http.to_string())
            .replace("@TLS@", &tls.to_string());
        std::fs::write(dir.join("pebble.json"), text).unwrap();
        let (config, dns) = (at("pebble.json"), dns.to_string());
        let words = ["env", "PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=0", "pebble", "-config", &config, "-dnsserver", &dns];
        let guard = spawn(&words, dir);
        for port in [port, management] {
            eventually("Pebble listens", || TcpStream::connect(("127.0.0.1", port)).ok());
        }
        Self { http, port, management, folder, guard }
    }

    /// The section with which the service orders here, answering on the port.
    pub fn section(&self, http: u16) -> String {
        format!(
            "[tls.acme]\ndirectory = \"https://127.0.0.1:{}/dir\"\ncontact = \"mailto:boss@office.test\"\nlisten = \"127.0.0.1:{http}\"\nroots = \"{}\"\n",
            self.port,
            self.folder.path().join("ca.pem").display()
        )
    }

    /// The root of what it issues, as a file.
    pub fn root(&self) -> PathBuf {
        let (file, own) = (self.folder.path().join("root.pem"), self.folder.path().join("ca.pem"));
        let program = format!(
            "import ssl, sys, urllib.request\nc = ssl.create_default_context(cafile='{}')\nsys.stdout.buffer.write(urllib.request.urlopen('https://127.0.0.1:{}/roots/0', context=c).read())",
            own.display(),
            self.management
        );
        let output = Command::new("/usr/bin/python3").args(["-c", &program]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        std::fs::write(&file, output.stdout).unwrap();
        file
    }

    /// How many orders it was given.
    pub fn orders(&self) -> usize {
        let log = std::fs::read_to_string(self.folder.path().join("stderr.log")).unwrap();
        log.lines().filter(|line| line.contains("POST /order-plz ")).count()
    }
}

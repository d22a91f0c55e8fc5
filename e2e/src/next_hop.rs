//! Next hops that lie, stall or break: SMTP servers on their own addresses of loopback, each with a part to play; and
//! the certificates and the web server of policies that go with them.

use std::collections::HashMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A peer that is silent for longer is gone.
const PATIENCE: Duration = Duration::from_secs(120);

/// Somebody who issues certificates.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub pem: String,
}

impl Authority {
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A valid certificate for these names.
    pub fn issue(&self, names: &[&str]) -> Identity {
        let key = KeyPair::generate().unwrap();
        let certificate = params(names).signed_by(&key, &self.issuer).unwrap().der().clone();
        Identity::new(certificate, &key)
    }

    /// One that ended years ago.
    pub fn issue_expired(&self, names: &[&str]) -> Identity {
        let key = KeyPair::generate().unwrap();
        let mut params = params(names);
        params.not_after = date_time_ymd(2020, 1, 1);
        let certificate = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        Identity::new(certificate, &key)
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

fn params(names: &[&str]) -> CertificateParams {
    CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap()
}

/// What a server shows in TLS.
#[derive(Clone)]
pub struct Identity {
    pub certificate: CertificateDer<'static>,
    config: Arc<ServerConfig>,
}

impl Identity {
    fn new(certificate: CertificateDer<'static>, key: &KeyPair) -> Self {
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key)
            .unwrap();
        Self { certificate, config: Arc::new(config) }
    }
}

/// What a hop saw.
#[derive(Default)]
pub struct Seen {
    /// Connections so far.
    pub connections: AtomicUsize,
    /// Connections at this moment.
    pub open: AtomicUsize,
    /// Most connections at a time.
    pub peak: AtomicUsize,
    /// Connections in TLS whose end the client said (RFC 8446, section 6.1).
    pub well_ended: AtomicUsize,
    heard: Mutex<Vec<String>>,
    messages: Mutex<Vec<Vec<u8>>>,
}

impl Seen {
    /// The raw octets after each DATA, the end of data included.
    pub fn messages(&self) -> Vec<Vec<u8>> {
        self.messages.lock().unwrap().clone()
    }

    /// The commands so far.
    pub fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    pub fn keep(&self, message: Vec<u8>) {
        self.messages.lock().unwrap().push(message);
    }

    fn opened(&self) -> usize {
        let open = self.open.fetch_add(1, Ordering::SeqCst) + 1;
        self.peak.fetch_max(open, Ordering::SeqCst);
        self.connections.fetch_add(1, Ordering::SeqCst)
    }
}

/// Starts a hop that plays a part on every connection; the part is told the connection's number, from 0.
pub fn hop(address: SocketAddr, play: impl Fn(usize, &mut Dialogue) + Send + Sync + 'static) -> Arc<Seen> {
    let listener = TcpListener::bind(address).unwrap();
    let (seen, play) = (Arc::new(Seen::default()), Arc::new(play));
    let shared = Arc::clone(&seen);
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (seen, play) = (Arc::clone(&shared), Arc::clone(&play));
            let number = seen.opened();
            std::thread::spawn(move || {
                let mut dialogue = Dialogue::new(stream, Arc::clone(&seen));
                play(number, &mut dialogue);
                // Counted as closed only when it is.
                drop(dialogue);
                seen.open.fetch_sub(1, Ordering::SeqCst);
            });
        }
    });
    seen
}

/// One connection from the server's side.
pub struct Dialogue {
    tcp: TcpStream,
    tls: Option<Box<StreamOwned<ServerConnection, TcpStream>>>,
    input: Vec<u8>,
    pub seen: Arc<Seen>,
}

impl Dialogue {
    fn new(tcp: TcpStream, seen: Arc<Seen>) -> Self {
        tcp.set_read_timeout(Some(PATIENCE)).unwrap();
        tcp.set_nodelay(true).unwrap();
        Self { tcp, tls: None, input: Vec::new(), seen }
    }

    /// Writes; whether the client was there.
    pub fn say(&mut self, text: &str) -> bool {
        let written = match &mut self.tls {
            Some(tls) => tls.write_all(text.as_bytes()).and_then(|()| tls.flush()),
            None => self.tcp.write_all(text.as_bytes()),
        };
        written.is_ok()
    }

    /// A line without its end; `None` when the client has left.
    pub fn hear(&mut self) -> Option<String> {
        let line = self.hear_until(b"\r\n")?;
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        self.seen.heard.lock().unwrap().push(line.clone());
        Some(line)
    }

    /// The octets after DATA, the end of data included.
    pub fn hear_message(&mut self) -> Option<Vec<u8>> {
        if self.input.starts_with(b".\r\n") {
            return Some(self.input.drain(..3).collect());
        }
        self.hear_until(b"\r\n.\r\n")
    }

    /// Negotiates; whether TLS came of it.
    pub fn start_tls(&mut self, identity: &Identity) -> bool {
        let mut connection = ServerConnection::new(Arc::clone(&identity.config)).unwrap();
        let mut tcp = self.tcp.try_clone().unwrap();
        while connection.is_handshaking() {
            if connection.complete_io(&mut tcp).is_err() {
                return false;
            }
        }
        self.tls = Some(Box::new(StreamOwned::new(connection, tcp)));
        true
    }

    /// Plays an honest server to the end; with an identity it offers STARTTLS.
    pub fn serve(&mut self, identity: Option<&Identity>) {
        if self.say("220 hop ready\r\n") {
            self.serve_on(identity, || "250 2.0.0 kept\r\n");
        }
    }

    /// The same behind the greeting, with another answer to each message; an empty one closes the connection.
    pub fn serve_on(&mut self, identity: Option<&Identity>, answer: impl Fn() -> &'static str) {
        self.play(identity, "250 2.1.5 ok\r\n", answer);
    }

    /// An honest server that takes no mail for anybody, with this answer.
    pub fn refuse(&mut self, identity: Option<&Identity>, recipient: &str) {
        if self.say("220 hop ready\r\n") {
            self.play(identity, recipient, || "");
        }
    }

    fn play(&mut self, identity: Option<&Identity>, recipient: &str, answer: impl Fn() -> &'static str) {
        while let Some(line) = self.hear() {
            let verb = line.split(' ').next().unwrap_or_default().to_ascii_uppercase();
            let offers_tls = identity.is_some() && self.tls.is_none();
            let reply = match verb.as_str() {
                "EHLO" if offers_tls => "250-hop\r\n250 STARTTLS\r\n",
                "EHLO" => "250 hop\r\n",
                "STARTTLS" => {
                    if !self.say("220 go\r\n") || !identity.is_some_and(|identity| self.start_tls(identity)) {
                        return;
                    }
                    continue;
                }
                "DATA" => {
                    self.say("354 go\r\n");
                    let Some(message) = self.hear_message() else { return };
                    let reply = answer();
                    if reply.starts_with('2') {
                        self.seen.keep(message);
                    }
                    reply
                }
                "RCPT" => recipient,
                "QUIT" => {
                    self.say("221 2.0.0 bye\r\n");
                    // The client ends first.
                    self.hear();
                    return;
                }
                _ => "250 2.1.0 ok\r\n",
            };
            if reply.is_empty() || !self.say(reply) {
                return;
            }
        }
    }

    fn hear_until(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = self.input.windows(end.len()).position(|window| window == end) {
                return Some(self.input.drain(..at + end.len()).collect());
            }
            let mut buffer = [0; 16 << 10];
            let read = match &mut self.tls {
                Some(tls) => tls.read(&mut buffer),
                None => self.tcp.read(&mut buffer),
            };
            match read {
                Ok(0) => {
                    self.seen.well_ended.fetch_add(usize::from(self.tls.is_some()), Ordering::SeqCst);
                    return None;
                }
                Ok(length) => self.input.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
    }
}

/// A web server for MTA-STS policies: what it answers, head and body, by the host that is asked for.
pub fn policies(address: SocketAddr, identity: Identity, answers: HashMap<String, String>) -> Arc<Seen> {
    hop(address, move |_, dialogue| {
        if !dialogue.start_tls(&identity) {
            return;
        }
        let mut host = String::new();
        while let Some(line) = dialogue.hear() {
            if let Some(name) = line.to_ascii_lowercase().strip_prefix("host: ") {
                host = name.split(':').next().unwrap_or_default().to_owned();
            }
            if line.is_empty() {
                dialogue.say(answers.get(&host).map_or("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", String::as_str));
                return;
            }
        }
    })
}

/// The answer of a well-kept policy server.
pub fn policy(mode: &str, mx: &str) -> String {
    let body = format!("version: STSv1\r\nmode: {mode}\r\nmx: {mx}\r\nmax_age: 86400\r\n");
    format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

//! The doors: whether others reach our port, what TLS they find there, and whether we reach theirs.

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use delivery::Route;
use domain::Clock;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::{ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::names::NO_ADDRESS;
use super::{Findings, Patient, State};
use crate::system::SystemClock;

/// A host that does not take the connection by then is behind a firewall.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// Some servers let strangers wait before they greet.
const REPLY_TIMEOUT: Duration = Duration::from_secs(60);
/// Longest reply that is read.
const MAX_REPLY: usize = 16 << 10;
/// A certificate that ends so soon should have been renewed.
const SOON: Duration = Duration::from_secs(14 * 24 * 3600);
/// The remedy of a port that nobody answers.
const CLOSED: &str = "start the service ([smtp] listen) and let the firewall and the hosting provider pass the port; behind a translated \
                      address ask from another network";
/// Why what is behind a port is not looked at.
const NO_ANSWER: &str = "the port does not answer as it should";

/// Our own doors from outside and, on the way out, others'.
pub(super) async fn examine(patient: &Patient<'_>, addresses: &[IpAddr], findings: &mut Findings) -> anyhow::Result<()> {
    let roots = Arc::new(roots(patient.config.delivery.roots.as_deref())?);
    let smtp = &patient.config.smtp;
    let host = patient.settings.hostname.as_str();
    if addresses.is_empty() {
        findings.skip(format!("port {} of {host}, STARTTLS and certificate", patient.config.delivery.port), NO_ADDRESS);
        let more = [ports(&smtp.submission), ports(&smtp.submissions)].concat();
        more.iter().for_each(|port| findings.skip(format!("port {port} of {host}"), NO_ADDRESS));
    }
    for address in addresses {
        inward(patient, *address, &roots, findings).await?;
        for port in ports(&smtp.submission) {
            submission(host, SocketAddr::new(*address, port), false, &roots, findings).await?;
        }
        for port in ports(&smtp.submissions) {
            submission(host, SocketAddr::new(*address, port), true, &roots, findings).await?;
        }
    }
    match patient.route {
        Route::Mx { port } => outward(patient, *port, findings).await,
        Route::Smtp { host, port, implicit_tls, .. } => provider(patient, host, *port, *implicit_tls, findings).await,
    }
    Ok(())
}

fn ports(addresses: &[SocketAddr]) -> Vec<u16> {
    addresses.iter().map(SocketAddr::port).collect::<BTreeSet<_>>().into_iter().collect()
}

/// The mail exchangers' port is one of the configuration, for tests; the world has no other than 25.
fn of_port(port: u16) -> &'static str {
    if port == 25 { "" } else { " (on [delivery] port; others use 25)" }
}

async fn inward(patient: &Patient<'_>, address: IpAddr, roots: &Arc<RootCertStore>, findings: &mut Findings) -> anyhow::Result<()> {
    let (host, port) = (patient.settings.hostname.as_str(), patient.config.delivery.port);
    let (door, tls, shown) = (
        format!("port {port} of {host}, {address}"),
        format!("STARTTLS of {host}, {address}"),
        format!("certificate of {host}, {address}"),
    );
    let line = match Line::open(SocketAddr::new(address, port)).await {
        Ok((line, greeting)) if greeting.code == 220 => line,
        refused => {
            let (found, remedy) = match refused {
                Ok((_, greeting)) => (format!("greets with {}", greeting.code), "see the log of the service"),
                Err(error) => (told(&error), CLOSED),
            };
            findings.fail(door, format!("{found}{}", of_port(port)), remedy);
            findings.skip(tls, NO_ANSWER);
            findings.skip(shown, NO_ANSWER);
            return Ok(());
        }
    };
    findings.ok(door, format!("answers{}", of_port(port)));
    match start_tls(line).await {
        Ok(stream) => {
            findings.ok(tls, "offered");
            certificate(stream, host, shown, false, roots, findings).await
        }
        Err(found) => {
            findings.fail(tls, found, "give the service a certificate in [tls]; without it mail to aliases comes in clear");
            findings.skip(shown, "none is shown");
            Ok(())
        }
    }
}

/// A door for sellers' programs. They verify the certificate: with one of our own making nobody signs in (RFC 8314).
async fn submission(
    host: &str,
    address: SocketAddr,
    implicit_tls: bool,
    roots: &Arc<RootCertStore>,
    findings: &mut Findings,
) -> anyhow::Result<()> {
    let (ip, port) = (address.ip(), address.port());
    let (door, shown) = (format!("port {port} of {host}, {ip}"), format!("certificate of {host}, {ip} port {port}"));
    let opened = if implicit_tls {
        connect(address).await.map_err(|error| told(&error))
    } else {
        match Line::open(address).await {
            Ok((line, greeting)) if greeting.code == 220 => start_tls(line).await.map_err(|found| format!("STARTTLS {found}")),
            Ok((_, greeting)) => Err(format!("greets with {}", greeting.code)),
            Err(error) => Err(told(&error)),
        }
    };
    match opened {
        Ok(stream) => {
            findings.ok(door, "answers");
            certificate(stream, host, shown, true, roots, findings).await
        }
        Err(found) => {
            let remedy =
                "sellers cannot hand mail in: start the service ([smtp] submission, submissions), and let the firewall pass the port";
            findings.fail(door, found, remedy);
            findings.skip(shown, NO_ANSWER);
            Ok(())
        }
    }
}

/// The connection as it is before the handshake, or why there is none.
async fn start_tls(mut line: Line) -> Result<TcpStream, String> {
    let hello = line.say("EHLO doctor.invalid").await.map_err(|error| told(&error))?;
    if hello.code != 250 || !hello.offers("STARTTLS") {
        return Err("not offered".to_owned());
    }
    let reply = line.say("STARTTLS").await.map_err(|error| told(&error))?;
    if reply.code == 220 { Ok(line.stream) } else { Err(format!("refused with {}", reply.code)) }
}

/// What a sender who verifies makes of the certificate: RFC 8461 and programs of people do, most mail servers do not.
async fn certificate(
    stream: TcpStream,
    host: &str,
    check: String,
    is_for_people: bool,
    roots: &Arc<RootCertStore>,
    findings: &mut Findings,
) -> anyhow::Result<()> {
    let name = ServerName::try_from(host.to_owned()).with_context(|| format!("[smtp] hostname {host}"))?;
    let config = ClientConfig::builder().with_root_certificates(Arc::clone(roots)).with_no_client_auth();
    let handshake = TlsConnector::from(Arc::new(config)).connect(name.clone(), stream);
    let found = match timeout(REPLY_TIMEOUT, handshake).await {
        Ok(found) => found,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    };
    match found {
        Ok(stream) if !is_valid_in(&stream, &name, roots, SOON) => {
            findings.warn(check, "ends within 14 days", "renew it; see that whatever renews it still runs");
        }
        Ok(_) => findings.ok(check, "valid"),
        Err(error) => {
            let inner = error.get_ref().and_then(|e| e.downcast_ref::<rustls::Error>());
            let (state, what, remedy) = judge(inner, host, is_for_people);
            findings.put(state, check, what.unwrap_or_else(|| format!("no TLS: {}", told(&error))), remedy);
        }
    }
    Ok(())
}

fn judge(error: Option<&rustls::Error>, host: &str, is_for_people: bool) -> (State, Option<String>, String) {
    let fail = |what: &str, remedy: String| (State::Fail, Some(what.to_owned()), remedy);
    let renew = || "renew the certificate in [tls] and see that whatever renews it runs".to_owned();
    match error {
        Some(rustls::Error::InvalidCertificate(error)) => match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => fail("expired", renew()),
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                fail("not valid yet", "wait for its first day, or set the clock of this machine".to_owned())
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                fail(&format!("for another name than {host}"), format!("get one for {host}, the name that the MX gives"))
            }
            // Senders that do not verify, which are most, take it all the same.
            CertificateError::UnknownIssuer | CertificateError::Other(_) => {
                let remedy = "get one from a public authority ([tls.acme]), and put the whole chain into the file".to_owned();
                let state = if is_for_people { State::Fail } else { State::Warn };
                (state, Some("no authority that we trust vouches for it".to_owned()), remedy)
            }
            other => fail(&format!("not valid: {other:?}"), renew()),
        },
        Some(other) => fail(&format!("no TLS: {other}"), "see the log of the service".to_owned()),
        None => (State::Fail, None, "see the log of the service".to_owned()),
    }
}

fn is_valid_in(stream: &TlsStream<TcpStream>, name: &ServerName<'_>, roots: &Arc<RootCertStore>, wait: Duration) -> bool {
    let Some([own, others @ ..]) = stream.get_ref().1.peer_certificates() else { return false };
    let Ok(verifier) = WebPkiServerVerifier::builder(Arc::clone(roots)).build() else { return false };
    let now = Duration::from_secs(u64::try_from(SystemClock.now().unix_seconds()).unwrap_or(0));
    verifier.verify_server_cert(own, others, name, &[], UnixTime::since_unix_epoch(now + wait)).is_ok()
}

/// The system's authorities and those of the configuration.
fn roots(more: Option<&Path>) -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = more {
        let unreadable = || format!("[delivery] roots {}: cannot be read as PEM", path.display());
        for certificate in CertificateDer::pem_file_iter(path).with_context(unreadable)? {
            roots.add(certificate.with_context(unreadable)?).with_context(unreadable)?;
        }
    }
    Ok(roots)
}

/// Whether we get out on the port of mail exchangers: tried with the operator's own, who must be reached in any case.
async fn outward(patient: &Patient<'_>, port: u16, findings: &mut Findings) {
    let mut domains: Vec<&str> = patient.settings.marketplaces.iter().map(|m| m.postmaster.domain().as_str()).collect();
    domains.sort_unstable();
    domains.dedup();
    for domain in domains {
        let check = format!("port {port} out, to {domain}");
        let Ok(found) = patient.dns.exchangers(domain).await else {
            findings.silent(check);
            continue;
        };
        let mut hosts: Vec<String> = found.into_iter().map(|(_, name)| name).collect();
        if hosts.is_empty() {
            // RFC 5321, section 5.1.
            hosts.push(domain.to_owned());
        }
        match greeted(patient, &hosts, port, false).await {
            Greeted::By(host) => findings.ok(check, format!("{host} answers{}", of_port(port))),
            Greeted::Silent => findings.silent(check),
            Greeted::Nobody(found) => {
                let found = format!("{found}{}", of_port(port));
                let remedy = "many hosting providers close it: ask yours to open it, or send through a provider ([delivery] route)";
                findings.fail(check, found, remedy);
            }
            Greeted::NoHost => {
                let remedy = "[[marketplace]] postmaster is the operator's own address: see that its domain takes mail";
                findings.warn(check, "no host has an address", remedy);
            }
        }
    }
}

async fn provider(patient: &Patient<'_>, host: &str, port: u16, implicit_tls: bool, findings: &mut Findings) {
    let check = format!("[delivery] route, {host} port {port}");
    match greeted(patient, &[host.to_owned()], port, implicit_tls).await {
        Greeted::By(_) => findings.ok(check, "answers"),
        Greeted::Silent => findings.silent(check),
        Greeted::Nobody(found) => findings.fail(check, found, "look at host and port; the firewall must let us out"),
        Greeted::NoHost => findings.fail(check, format!("{host} has no address"), "look at the name in [delivery] route"),
    }
}

enum Greeted {
    By(String),
    /// Why the last one did not.
    Nobody(String),
    NoHost,
    /// The DNS does not answer.
    Silent,
}

/// The first of several hosts that greets us. Where TLS comes first nothing is said before it.
async fn greeted(patient: &Patient<'_>, hosts: &[String], port: u16, implicit_tls: bool) -> Greeted {
    let mut last = Greeted::NoHost;
    for host in hosts {
        let Ok(addresses) = patient.dns.addresses(host).await else {
            if matches!(last, Greeted::NoHost) {
                last = Greeted::Silent;
            }
            continue;
        };
        for address in addresses {
            let address = SocketAddr::new(address, port);
            if implicit_tls {
                match connect(address).await {
                    Ok(_) => return Greeted::By(host.clone()),
                    Err(error) => last = Greeted::Nobody(format!("{host}: {}", told(&error))),
                }
                continue;
            }
            match Line::open(address).await {
                Ok((_, greeting)) if greeting.code == 220 => return Greeted::By(host.clone()),
                Ok((_, greeting)) => last = Greeted::Nobody(format!("{host} greets with {}", greeting.code)),
                Err(error) => last = Greeted::Nobody(format!("{host}: {}", told(&error))),
            }
        }
    }
    last
}

async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let late = |_| io::Error::from(io::ErrorKind::TimedOut);
    timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await.map_err(late)?
}

fn told(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "nobody listens".to_owned(),
        io::ErrorKind::TimedOut => "no answer".to_owned(),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => "the connection is closed at once".to_owned(),
        _ => error.to_string(),
    }
}

/// A reply of a server.
struct Reply {
    code: u16,
    text: String,
}

impl Reply {
    /// Whether EHLO named the extension (RFC 5321, section 4.1.1.1).
    fn offers(&self, extension: &str) -> bool {
        self.text.lines().any(|line| line.get(4..).is_some_and(|rest| rest.trim().eq_ignore_ascii_case(extension)))
    }
}

/// The few words of SMTP that an examination takes.
struct Line {
    stream: TcpStream,
}

impl Line {
    /// Connects and waits for the greeting.
    async fn open(address: SocketAddr) -> io::Result<(Self, Reply)> {
        let mut line = Self { stream: connect(address).await? };
        let greeting = line.reply().await?;
        Ok((line, greeting))
    }

    async fn say(&mut self, command: &str) -> io::Result<Reply> {
        self.stream.write_all(format!("{command}\r\n").as_bytes()).await?;
        self.reply().await
    }

    async fn reply(&mut self) -> io::Result<Reply> {
        let late = |_| io::Error::from(io::ErrorKind::TimedOut);
        let mut octets = Vec::new();
        let mut buffer = [0; 1024];
        loop {
            let length = timeout(REPLY_TIMEOUT, self.stream.read(&mut buffer)).await.map_err(late)??;
            if length == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            octets.extend_from_slice(&buffer[..length]);
            let text = String::from_utf8_lossy(&octets);
            if let Some(code) = final_code(&text) {
                return Ok(Reply { code, text: text.into_owned() });
            }
            if octets.len() > MAX_REPLY {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a reply without end"));
            }
        }
    }
}

/// The code, when the last line of a reply is there: no hyphen behind it (RFC 5321, section 4.2.1).
fn final_code(text: &str) -> Option<u16> {
    let last = text.strip_suffix('\n')?.lines().last()?;
    let is_last = last.len() == 3 || last.as_bytes().get(3) == Some(&b' ');
    last.get(..3).filter(|_| is_last)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_ends_with_the_line_without_a_hyphen() {
        assert_eq!(final_code("250-mx\r\n250 STARTTLS\r\n"), Some(250));
        for more in ["250-mx\r\n", "250-mx\r\n250 STARTT", "", "nonsense\r\n"] {
            assert_eq!(final_code(more), None, "{more:?}");
        }
        let reply = Reply { code: 250, text: "250-mx at your service\r\n250-STARTTLS\r\n250 SIZE 1\r\n".into() };
        assert!(reply.offers("starttls") && !reply.offers("SIZE 2"));
    }
}

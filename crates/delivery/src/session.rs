//! One connection to one host, driven by `mail::smtp::client`.

use std::time::Duration;

use domain::delivery::AttemptOutcome;
use mail::smtp::client::{Outcome, ServerReply, Session, Step, Tls};
use operations::{Attempt, ReadyDelivery};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::mx::Host;

/// A host that does not answer is left for the next one.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// RFC 5321, section 4.5.3.2: 5 minutes for greeting, MAIL and RCPT.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(300);
/// RFC 5321, section 4.5.3.2.6: 10 minutes after the final dot.
const FINAL_TIMEOUT: Duration = Duration::from_secs(600);
/// What is read at once; replies are short.
const READ_BYTES: usize = 4 << 10;

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// An open session.
pub(crate) struct OpenSession {
    stream: Box<dyn Stream>,
    session: Session,
    /// Transactions done, so that a first failure is told from a connection gone stale.
    pub(crate) used: usize,
}

/// How a host was wrong before any transaction; always transient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HostFailure {
    /// STARTTLS was offered but no TLS came of it.
    Tls,
    /// Anything else, with its status code.
    Other(String),
}

impl HostFailure {
    pub(crate) fn status(&self) -> &str {
        match self {
            Self::Tls => "4.7.5",
            Self::Other(status) => status,
        }
    }
}

/// What came of one transaction.
pub(crate) enum Transaction {
    /// The attempt, and the session if it can be used again.
    Done(Attempt, Option<Box<OpenSession>>),
    /// The connection was gone before anything was said on it.
    Stale,
}

impl OpenSession {
    /// Connects and goes as far as EHLO, TLS and AUTH.
    pub(crate) async fn open(
        host: &Host,
        hostname: &str,
        tls: &TlsConnector,
        wanted: Tls,
        credentials: Option<(String, String)>,
    ) -> Result<Self, HostFailure> {
        let transient = |status: &str| HostFailure::Other(status.to_owned());
        let connect = TcpStream::connect((host.address, host.port));
        let stream = timeout(CONNECT_TIMEOUT, connect).await.map_err(|_| transient("4.4.1"))?.map_err(|_| transient("4.4.1"))?;
        let _ = stream.set_nodelay(true);
        let mut open = Self { stream: Box::new(stream), session: Session::new(hostname, wanted, credentials), used: 0 };
        loop {
            match open.next_step(COMMAND_TIMEOUT).await.map_err(|_| transient("4.4.2"))? {
                Step::Ready => return Ok(open),
                Step::StartTls => open = open.start_tls(host, tls).await.ok_or(HostFailure::Tls)?,
                // A host that refuses the session says nothing about the recipient (RFC 5321, section 3.8).
                Step::Failed(reply) => return Err(HostFailure::Other(status_of(&reply))),
                _ => {}
            }
        }
    }

    async fn start_tls(self, host: &Host, tls: &TlsConnector) -> Option<Self> {
        let Self { stream, mut session, used } = self;
        let name = ServerName::try_from(host.name.clone()).unwrap_or(ServerName::IpAddress(host.address.into()));
        let stream = timeout(CONNECT_TIMEOUT, tls.connect(name, stream)).await.ok()?.ok()?;
        session.tls_started();
        Some(Self { stream: Box::new(stream), session, used })
    }

    /// Runs one transaction.
    pub(crate) async fn send(mut self, ready: &ReadyDelivery) -> Transaction {
        self.session.begin(&ready.reverse_path, &ready.recipient, &ready.content);
        let mut replies = 0;
        loop {
            match self.next_step(FINAL_TIMEOUT).await {
                Ok(Step::Done(outcome)) => {
                    self.used += 1;
                    let open = self.session.is_open();
                    return Transaction::Done(attempt_of(&outcome), open.then(|| Box::new(self)));
                }
                Ok(Step::Failed(reply)) => {
                    return Transaction::Done(Attempt { outcome: AttemptOutcome::Transient, status: status_of(&reply) }, None);
                }
                Ok(Step::Read) => replies += 1,
                Ok(_) => {}
                Err(_) if self.used > 0 && replies == 0 => return Transaction::Stale,
                // A refusal that was said before the connection broke counts. Otherwise nothing was promised: the next
                // server may or may not have it (RFC 5321, section 4.2.5).
                Err(_) => match self.session.take_refusal() {
                    Some(refusal) => return Transaction::Done(attempt_of(&refusal), None),
                    None => return Transaction::Done(Attempt { outcome: AttemptOutcome::Transient, status: "4.4.2".to_owned() }, None),
                },
            }
        }
    }

    /// Ends politely, without waiting for an answer.
    pub(crate) async fn quit(mut self) {
        let quit = self.session.quit();
        let _ = timeout(Duration::from_secs(1), self.stream.write_all(&quit)).await;
    }

    /// Carries out writes and reads; gives the first step that needs more. `Read` is given after bytes came.
    async fn next_step(&mut self, patience: Duration) -> std::io::Result<Step> {
        let late = |_| std::io::Error::from(std::io::ErrorKind::TimedOut);
        loop {
            match self.session.step() {
                Step::Write(octets) => {
                    timeout(patience, async {
                        self.stream.write_all(&octets).await?;
                        self.stream.flush().await
                    })
                    .await
                    .map_err(late)??;
                }
                Step::Read => {
                    let mut buffer = [0; READ_BYTES];
                    let length = timeout(patience, self.stream.read(&mut buffer)).await.map_err(late)??;
                    if length == 0 {
                        return Err(std::io::ErrorKind::UnexpectedEof.into());
                    }
                    self.session.receive(&buffer[..length]);
                    return Ok(Step::Read);
                }
                step => return Ok(step),
            }
        }
    }
}

fn attempt_of(outcome: &Outcome) -> Attempt {
    match outcome {
        Outcome::Delivered(reply) => Attempt { outcome: AttemptOutcome::Delivered, status: status_of(reply) },
        Outcome::Transient(reply) => Attempt { outcome: AttemptOutcome::Transient, status: status_of(reply) },
        Outcome::Permanent(reply) => Attempt { outcome: AttemptOutcome::Permanent, status: status_of(reply) },
    }
}

/// The enhanced status code, or the class of the reply code; never the remote's words (privacy P01).
fn status_of(reply: &ServerReply) -> String {
    reply.enhanced_status().map_or_else(|| format!("{}.0.0", reply.code / 100), str::to_owned)
}

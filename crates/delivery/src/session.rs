//! One connection to one host, driven by `mail::smtp::client`.

use std::sync::Arc;
use std::time::Duration;

use domain::delivery::{AttemptOutcome, TlsState};
use mail::smtp::client::{Outcome, ServerReply, Session, Step, Tls};
use operations::{Attempt, ReadyDelivery};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use crate::outgoing::Shared;
use crate::policy::{Host, Security};

/// A host that does not answer is left for the next one.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// RFC 5321, section 4.5.3.2: 5 minutes for greeting, MAIL and RCPT. For the whole reply, however slowly it drips.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(300);
/// RFC 5321, section 4.5.3.2.6: 10 minutes after the final dot.
const FINAL_TIMEOUT: Duration = Duration::from_secs(600);
/// How long the answer to QUIT is waited for, and the end of TLS.
const END_TIMEOUT: Duration = Duration::from_secs(1);
/// What is read at once; replies are short.
const READ_BYTES: usize = 4 << 10;

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// An open session.
pub(crate) struct OpenSession {
    stream: Box<dyn Stream>,
    session: Session,
    /// Until when the reply that is awaited must be there.
    deadline: Instant,
    /// How the connection is protected.
    tls: TlsState,
    /// Transactions done, so that a first failure is told from a connection gone stale.
    pub(crate) used: usize,
    /// Under which settings it was opened.
    pub(crate) shared: Arc<Shared>,
    _permit: Arc<OwnedSemaphorePermit>,
}

/// How a host was wrong before any transaction; always transient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HostFailure {
    /// TLS was offered, and none came of it that fulfils what it must.
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
    /// The connection broke when the whole message was out: the server may or may not have it (RFC 5321, section
    /// 4.2.5), so it is given to no other host now.
    Lost(Attempt),
    /// The connection was closed to us before anything was said on it.
    Stale,
}

impl OpenSession {
    /// Connects as the host's security asks, and goes as far as EHLO, TLS and AUTH. A host whose opportunistic TLS is
    /// broken is spoken to in clear (RFC 7435); where anything more is asked, never.
    pub(crate) async fn open(shared: &Arc<Shared>, host: &Host, permit: &Arc<OwnedSemaphorePermit>) -> Result<Self, HostFailure> {
        match Self::open_with(shared, host, permit, true).await {
            Err(HostFailure::Tls) if matches!(host.security, Security::Opportunistic) => Self::open_with(shared, host, permit, false).await,
            opened => opened,
        }
    }

    async fn open_with(shared: &Arc<Shared>, host: &Host, permit: &Arc<OwnedSemaphorePermit>, with_tls: bool) -> Result<Self, HostFailure> {
        let unreachable = || HostFailure::Other("4.4.1".to_owned());
        let connect = TcpStream::connect((host.address, host.port));
        let stream = timeout(CONNECT_TIMEOUT, connect).await.map_err(|_| unreachable())?.map_err(|_| unreachable())?;
        let _ = stream.set_nodelay(true);
        let tls = match host.security {
            _ if host.implicit_tls || !with_tls => Tls::No,
            Security::Clear => Tls::No,
            Security::Opportunistic => Tls::Opportunistic,
            Security::Encrypted | Security::Verified(_) | Security::Dane(_) => Tls::Required,
        };
        let session = Session::new(&shared.settings.hostname, tls, shared.credentials());
        let mut open = Self {
            stream: Box::new(stream),
            session,
            deadline: Instant::now() + COMMAND_TIMEOUT,
            tls: TlsState::Clear,
            used: 0,
            shared: Arc::clone(shared),
            _permit: Arc::clone(permit),
        };
        if host.implicit_tls {
            open.start_tls(host).await.ok_or(HostFailure::Tls)?;
        }
        loop {
            match open.next_step().await.map_err(|_| HostFailure::Other("4.4.2".to_owned()))? {
                Step::Ready => return Ok(open),
                Step::StartTls => {
                    open.start_tls(host).await.ok_or(HostFailure::Tls)?;
                    open.session.tls_started();
                }
                // A host that refuses the session says nothing about the recipient (RFC 5321, section 3.8).
                Step::Failed(reply) => {
                    let failure = HostFailure::Other(status_of(&reply));
                    // In clear it may have failed because somebody else speaks.
                    if open.tls != TlsState::Clear {
                        open.quit().await;
                    }
                    return Err(failure);
                }
                _ => {}
            }
        }
    }

    async fn start_tls(&mut self, host: &Host) -> Option<()> {
        let connectors = &self.shared.connectors;
        let connector: TlsConnector = match &host.security {
            Security::Clear | Security::Opportunistic | Security::Encrypted => connectors.any.clone(),
            Security::Verified(_) => connectors.verified.clone(),
            Security::Dane(association) => connectors.dane(association),
        };
        let name = ServerName::try_from(host.name.clone()).unwrap_or(ServerName::IpAddress(host.address.into()));
        let stream = std::mem::replace(&mut self.stream, Box::new(tokio::io::empty()));
        let stream = timeout(CONNECT_TIMEOUT, connector.connect(name, stream)).await.ok()?.ok()?;
        self.stream = Box::new(stream);
        self.tls = host.security.state();
        Some(())
    }

    /// Runs one transaction.
    pub(crate) async fn send(mut self, ready: &ReadyDelivery) -> Transaction {
        self.session.begin(&ready.reverse_path, &ready.recipient, &ready.content);
        let (mut replies, mut is_out) = (0, false);
        loop {
            let step = self.next_step().await;
            is_out = is_out || self.session.awaits_final_reply();
            match step {
                // A server may close a session that was idle with a 421 (RFC 5321, section 3.8); a new one is not refused yet.
                Ok(Step::Done(Outcome::Transient(reply))) if reply.code == 421 && self.used > 0 && !is_out => return Transaction::Stale,
                Ok(Step::Done(outcome)) => {
                    self.used += 1;
                    let attempt = self.attempt_of(&outcome);
                    if self.session.is_open() {
                        return Transaction::Done(attempt, Some(Box::new(self)));
                    }
                    self.shut().await;
                    return Transaction::Done(attempt, None);
                }
                Ok(Step::Failed(reply)) => {
                    let attempt = self.transient(status_of(&reply));
                    self.shut().await;
                    return if is_out { Transaction::Lost(attempt) } else { Transaction::Done(attempt, None) };
                }
                Ok(Step::Read) => replies += 1,
                Ok(_) => {}
                Err(_) if self.used > 0 && replies == 0 => return Transaction::Stale,
                Err(_) if is_out => return Transaction::Lost(self.transient("4.4.2".to_owned())),
                // A refusal that was said before the connection broke counts.
                Err(_) => {
                    let refusal = self.session.take_refusal().map(|refusal| self.attempt_of(&refusal));
                    return Transaction::Done(refusal.unwrap_or_else(|| self.transient("4.4.2".to_owned())), None);
                }
            }
        }
    }

    /// Ends politely: the answer to QUIT is waited for a little (RFC 5321, section 4.1.1.10).
    pub(crate) async fn quit(mut self) {
        let quit = self.session.quit();
        let mut buffer = [0; READ_BYTES];
        let answer = async {
            self.stream.write_all(&quit).await?;
            self.stream.flush().await?;
            self.stream.read(&mut buffer).await
        };
        let _ = timeout(END_TIMEOUT, answer).await;
        self.shut().await;
    }

    /// Ends TLS, or the server would take the connection for a broken one (RFC 8446, section 6.1).
    async fn shut(&mut self) {
        let _ = timeout(END_TIMEOUT, self.stream.shutdown()).await;
    }

    /// Carries out writes and reads; gives the first step that needs more. `Read` is given after bytes came.
    async fn next_step(&mut self) -> std::io::Result<Step> {
        let late = |_| std::io::Error::from(std::io::ErrorKind::TimedOut);
        loop {
            match self.session.step() {
                Step::Write(octets) => {
                    let patience = if self.session.awaits_final_reply() { FINAL_TIMEOUT } else { COMMAND_TIMEOUT };
                    timeout(patience, async {
                        self.stream.write_all(&octets).await?;
                        self.stream.flush().await
                    })
                    .await
                    .map_err(late)??;
                    self.deadline = Instant::now() + patience;
                }
                Step::Read => {
                    let mut buffer = [0; READ_BYTES];
                    let length = timeout_at(self.deadline, self.stream.read(&mut buffer)).await.map_err(late)??;
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

    fn attempt_of(&self, outcome: &Outcome) -> Attempt {
        let (outcome, reply) = match outcome {
            Outcome::Delivered(reply) => (AttemptOutcome::Delivered, reply),
            Outcome::Transient(reply) => (AttemptOutcome::Transient, reply),
            Outcome::Permanent(reply) => (AttemptOutcome::Permanent, reply),
        };
        Attempt { outcome, status: status_of(reply), tls: Some(self.tls) }
    }

    fn transient(&self, status: String) -> Attempt {
        Attempt { outcome: AttemptOutcome::Transient, status, tls: Some(self.tls) }
    }
}

/// The enhanced status code, or the class of the reply code; never the remote's words (privacy P01). A code of another
/// class than the reply's is a slip of the server's, and the reply's class holds (RFC 2034, section 4).
fn status_of(reply: &ServerReply) -> String {
    let class = reply.code / 100;
    let own = reply.enhanced_status().filter(|status| status.starts_with(&class.to_string()));
    own.map_or_else(|| format!("{class}.0.0"), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_has_the_class_of_the_reply() {
        for (code, text, status) in
            [(550, "5.1.1 no", "5.1.1"), (450, "5.1.1 no", "4.0.0"), (250, "ok", "2.0.0"), (554, "5.1.1234 no", "5.0.0")]
        {
            assert_eq!(status_of(&ServerReply { code, text: text.to_owned() }), status);
        }
    }
}

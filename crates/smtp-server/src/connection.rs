//! Drives one session over one connection: bytes in, steps carried out, bytes out.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mail::smtp::Reply;
use mail::smtp::server::{Envelope, Session, Step};
use operations::{Context, Received, Recipient, receive_message, resolve_recipient};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use crate::authenticator::Authenticator;
use crate::clients::Ticket;
use crate::listener::is_down;
use crate::replies;
use crate::spool::Spool;

/// RFC 5321, section 4.5.3.2.7: a server waits at least 5 minutes for a command.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(300);
/// RFC 5321, section 4.5.3.2.5: 3 minutes for a block of data.
const DATA_TIMEOUT: Duration = Duration::from_secs(180);
/// A whole session, however slowly it drips.
const SESSION_TIMEOUT: Duration = Duration::from_secs(3600);
/// A client that does not read its replies.
const WRITE_TIMEOUT: Duration = Duration::from_secs(120);
/// What is read at once.
const READ_BYTES: usize = 32 << 10;
/// Messages above this size are worked on one after another, a few at a time.
const LARGE_BYTES: usize = 1 << 20;

/// What all connections of a server share.
pub(crate) struct Shared {
    pub(crate) ctx: Arc<Context>,
    pub(crate) authenticator: Authenticator,
    pub(crate) large: Semaphore,
    pub(crate) shutdown: watch::Receiver<bool>,
}

/// What one connection keeps beside the session.
pub(crate) struct Connection {
    pub(crate) shared: Arc<Shared>,
    pub(crate) client: IpAddr,
    pub(crate) ticket: Ticket,
    recipients: Vec<Recipient>,
    spool: Spool,
    spool_failed: bool,
    opened: Instant,
}

/// Why driving ended.
pub(crate) enum Ended {
    Closed,
    StartTls,
}

impl Connection {
    pub(crate) fn new(shared: Arc<Shared>, client: IpAddr, ticket: Ticket) -> Self {
        Self { shared, client, ticket, recipients: Vec::new(), spool: Spool::default(), spool_failed: false, opened: Instant::now() }
    }

    /// Runs the session until it ends or asks for TLS.
    pub(crate) async fn drive<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        session: &mut Session,
    ) -> std::io::Result<Ended> {
        let mut buffer = vec![0; READ_BYTES];
        loop {
            match session.step() {
                Step::Read => {
                    flush(stream, session).await?;
                    match self.read(stream, session, &mut buffer).await? {
                        Some(0) => return Ok(Ended::Closed),
                        Some(length) => session.receive(&buffer[..length]),
                        None => {}
                    }
                }
                Step::Recipient(mailbox) => {
                    let found = resolve_recipient(&self.shared.ctx, &mailbox).await;
                    let reply = replies::to_recipient(&found);
                    match found {
                        Ok(recipient) if reply.is_positive() => self.recipients.push(recipient),
                        Ok(Recipient::UnknownAlias) if self.ticket.unknown_recipient() => {
                            session.close(Reply::new(421, "4.7.0", "too many unknown recipients; come back later"));
                            continue;
                        }
                        _ => {}
                    }
                    session.answer_recipient(reply);
                }
                Step::Body(octets) => {
                    // A full disk is told at the end of the message, where the client listens.
                    self.spool_failed = self.spool_failed || self.spool.append(&octets).is_err();
                }
                Step::Message(envelope) => {
                    let reply = self.message(envelope).await;
                    session.answer_message(reply);
                }
                Step::Discard => self.forget(),
                Step::StartTls => {
                    flush(stream, session).await?;
                    self.forget();
                    return Ok(Ended::StartTls);
                }
                Step::Close => {
                    flush(stream, session).await?;
                    // The client may still be sending; a polite end lets it read our reply first.
                    let _ = stream.shutdown().await;
                    return Ok(Ended::Closed);
                }
            }
            if !session.has_transaction() {
                self.recipients.clear();
            }
        }
    }

    /// Reads some bytes; `None` when the session was told to end instead.
    async fn read<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        session: &mut Session,
        buffer: &mut [u8],
    ) -> std::io::Result<Option<usize>> {
        let reading_message = session.is_reading_message();
        let patience = if reading_message { DATA_TIMEOUT } else { COMMAND_TIMEOUT };
        let patience = patience.min(SESSION_TIMEOUT.saturating_sub(self.opened.elapsed()));
        let mut shutdown = self.shared.shutdown.clone();
        tokio::select! {
            read = timeout(patience, stream.read(buffer)) => match read {
                Ok(read) => read.map(Some),
                Err(_) => {
                    session.close(Reply::new(421, "4.4.2", "nothing was said for too long"));
                    Ok(None)
                }
            },
            // What is being accepted is finished; who waits is asked to come back.
            () = is_down(&mut shutdown), if !reading_message => {
                session.close(Reply::new(421, "4.3.2", "the server is restarting; come back in a minute"));
                Ok(None)
            }
        }
    }

    async fn message(&mut self, envelope: Envelope) -> Reply {
        let started = Instant::now();
        let recipients = std::mem::take(&mut self.recipients);
        if std::mem::take(&mut self.spool_failed) {
            self.forget();
            return Reply::new(452, "4.3.1", "there is no room to keep the message; try again later");
        }
        let shared = Arc::clone(&self.shared);
        let _permit = if self.spool.length() > LARGE_BYTES { shared.large.acquire().await.ok() } else { None };
        let Ok(octets) = self.spool.take() else { return replies::unavailable() };
        let authentication = shared.authenticator.authenticate(self.client, &envelope.helo, &envelope.reverse_path, &octets).await;
        let received = Received { reverse_path: envelope.reverse_path, recipients, octets, authentication };
        let receipt = receive_message(&shared.ctx, received).await;
        if let Err(error) = &receipt {
            tracing::error!(%error, "a message was not taken, the client was told to try again");
        }
        if let Some(histogram) = &shared.ctx.metrics.acceptance {
            histogram.observe(started.elapsed().as_secs_f64());
        }
        replies::to_message(&receipt)
    }

    fn forget(&mut self) {
        self.recipients.clear();
        self.spool = Spool::default();
        self.spool_failed = false;
    }
}

async fn flush<S: AsyncWrite + Unpin>(stream: &mut S, session: &mut Session) -> std::io::Result<()> {
    let output = session.take_output();
    if output.is_empty() {
        return Ok(());
    }
    let late = |_| std::io::Error::from(std::io::ErrorKind::TimedOut);
    timeout(WRITE_TIMEOUT, async {
        stream.write_all(&output).await?;
        stream.flush().await
    })
    .await
    .map_err(late)?
}

//! Drives one session over one connection: bytes in, steps carried out, bytes out.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mail::smtp::Reply;
use mail::smtp::server::{Credentials, Envelope, Role, Session, Step};
use operations::{Authentication, Received, Recipient, Submitter, receive_message, resolve_recipient, sign_in};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

use crate::authenticator::Origin;
use crate::clients::{Clients, Ticket};
use crate::listener::is_down;
use crate::settings::{Current, SmtpHandle, TrustedRelay};
use crate::spool::Spool;
use crate::{log, replies};

/// RFC 5321, section 4.5.3.2.7: a server waits at least 5 minutes for a command.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(300);
/// RFC 5321, section 4.5.3.2.5: 3 minutes for a block of data.
const DATA_TIMEOUT: Duration = Duration::from_secs(180);
/// A whole session, however slowly it drips.
const SESSION_TIMEOUT: Duration = Duration::from_secs(3600);
/// How long a sign-in holds: with a token that is revoked no message begins later than that.
const SIGN_IN_HOLDS: Duration = Duration::from_secs(900);
/// A client that does not read its replies.
const WRITE_TIMEOUT: Duration = Duration::from_secs(120);
/// What is read at once.
const READ_BYTES: usize = 32 << 10;
/// Messages above this size are worked on one after another, a few at a time.
const LARGE_BYTES: usize = 1 << 20;

/// What all connections of a server share.
pub(crate) struct Shared {
    pub(crate) handle: SmtpHandle,
    pub(crate) clients: Arc<Clients>,
    pub(crate) large: Semaphore,
    /// Whether there is a door at which people sign in.
    pub(crate) takes_submissions: bool,
    pub(crate) shutdown: watch::Receiver<bool>,
}

/// Who signed in, and when.
struct SignedIn {
    submitter: Submitter,
    at: Instant,
}

impl SignedIn {
    fn is_over(&self, now: Instant) -> bool {
        now.duration_since(self.at) >= SIGN_IN_HOLDS
    }
}

/// What one connection keeps beside the session.
pub(crate) struct Connection {
    shared: Arc<Shared>,
    /// What was in force when it began.
    current: Arc<Current>,
    door: &'static str,
    client: IpAddr,
    relay: Option<TrustedRelay>,
    ticket: Ticket,
    pub(crate) is_in_tls: bool,
    signed_in: Option<SignedIn>,
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
    pub(crate) fn new(
        shared: Arc<Shared>,
        current: Arc<Current>,
        role: Role,
        client: IpAddr,
        relay: Option<TrustedRelay>,
        ticket: Ticket,
    ) -> Self {
        Self {
            shared,
            current,
            door: log::door(role),
            client,
            relay,
            ticket,
            is_in_tls: false,
            signed_in: None,
            recipients: Vec::new(),
            spool: Spool::default(),
            spool_failed: false,
            opened: Instant::now(),
        }
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
                Step::Authenticate(credentials) => {
                    let reply = self.sign_in(&credentials).await;
                    session.answer_authentication(reply);
                }
                Step::Transaction => self.transaction(session),
                // Asked before the address is looked at, so that the answer tells nothing of it.
                Step::Recipient(_) if self.relay.is_none() && self.ticket.has_probed() => {
                    self.turned_away("too many unknown recipients");
                    session.close(Reply::new(421, "4.7.0", "too many unknown recipients; come back later"));
                }
                Step::Recipient(mailbox) => {
                    let found = resolve_recipient(&self.current.ctx, &mailbox).await;
                    let reply = replies::to_recipient(&found);
                    match found {
                        Ok(recipient) if reply.is_positive() => self.recipients.push(recipient),
                        Ok(Recipient::UnknownAlias) if self.relay.is_none() && self.ticket.unknown_recipient() => {
                            self.turned_away("too many unknown recipients");
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
                Step::Discard => {
                    if let Some(refusal) = session.take_refusal() {
                        let (code, status) = (refusal.code, refusal.status);
                        tracing::info!(code, status, door = self.door, tls = self.is_in_tls, "message refused");
                    }
                    self.forget();
                }
                Step::StartTls => {
                    flush(stream, session).await?;
                    self.forget();
                    return Ok(Ended::StartTls);
                }
                Step::Close => {
                    flush(stream, session).await?;
                    // The client may still be sending; a polite end lets it read our reply first.
                    let _ = timeout(WRITE_TIMEOUT, stream.shutdown()).await;
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

    /// Lets a message begin, or not.
    fn transaction(&self, session: &mut Session) {
        if self.signed_in.as_ref().is_some_and(|signed_in| signed_in.is_over(Instant::now())) {
            return session.close(Reply::new(421, "4.7.0", "you signed in a while ago; connect and sign in again"));
        }
        let may_send = self.may_send();
        if !may_send {
            self.turned_away("too many messages in a minute");
        }
        session.answer_transaction(replies::to_transaction(may_send));
    }

    /// Whether this client, or the seller who signed in, may send a message now; relays of our own always may.
    fn may_send(&self) -> bool {
        match &self.signed_in {
            Some(signed_in) => self.ticket.submission(signed_in.submitter.seller),
            None => self.relay.is_some() || self.ticket.message(),
        }
    }

    async fn sign_in(&mut self, credentials: &Credentials) -> Reply {
        if !self.ticket.may_sign_in() {
            self.turned_away("too many refused sign-ins");
            return Reply::new(454, "4.7.0", "too many sign-ins were refused; come back in ten minutes");
        }
        let found = sign_in(&self.current.ctx, &credentials.user, &credentials.password).await;
        let reply = replies::to_sign_in(&found);
        match found {
            Ok(Some(submitter)) => {
                self.ticket.signed_in();
                self.signed_in = Some(SignedIn { submitter, at: Instant::now() });
            }
            Ok(None) => {
                self.ticket.refused_sign_in();
                log::sign_in_refused(self.client, &reply);
            }
            Err(error) => tracing::error!(%error, "a sign-in could not be checked, the client was told to try again"),
        }
        reply
    }

    async fn message(&mut self, envelope: Envelope) -> Reply {
        let started = Instant::now();
        let recipients = std::mem::take(&mut self.recipients);
        if std::mem::take(&mut self.spool_failed) {
            self.forget();
            tracing::error!("a message could not be spooled, the client was told to try again; make room for temporary files");
            return Reply::new(452, "4.3.1", "there is no room to keep the message; try again later");
        }
        let (shared, current) = (Arc::clone(&self.shared), Arc::clone(&self.current));
        let _permit = if self.spool.length() > LARGE_BYTES { shared.large.acquire().await.ok() } else { None };
        let octets = match self.spool.take() {
            Ok(octets) => octets,
            Err(error) => {
                tracing::error!(%error, "a message could not be read back, the client was told to try again");
                return replies::unavailable();
            }
        };
        let authentication = self.authenticate(&envelope, &octets).await;
        let received = Received {
            authentication,
            reverse_path: envelope.reverse_path,
            recipients,
            octets,
            submitter: self.signed_in.as_ref().map(|signed_in| signed_in.submitter.clone()),
            tls: self.is_in_tls,
            dsn: envelope.dsn,
        };
        let receipt = receive_message(&current.ctx, received).await;
        if let Some(histogram) = &current.ctx.metrics.acceptance {
            histogram.observe(started.elapsed().as_secs_f64());
        }
        let reply = replies::to_message(&receipt, shared.takes_submissions);
        log::message(self.door, self.is_in_tls, authentication, &receipt, &reply, started);
        reply
    }

    /// Who signed in needs no SPF, DKIM or DMARC.
    async fn authenticate(&self, envelope: &Envelope, octets: &[u8]) -> Authentication {
        if self.signed_in.is_some() {
            return Authentication::default();
        }
        let origin = match &self.relay {
            Some(relay) => Origin::Relay { told: envelope.told_client, authserv_id: relay.authserv_id.as_deref() },
            None => Origin::Client(self.client),
        };
        self.current.authenticator.authenticate(origin, &envelope.helo, &envelope.reverse_path, octets).await
    }

    fn turned_away(&self, why: &'static str) {
        log::turned_away(&self.shared.clients, Some(self.client), self.door, why);
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

#[cfg(test)]
mod tests {
    use domain::{MarketplaceId, SellerId};

    use super::*;

    #[test]
    fn a_sign_in_holds_for_a_quarter_of_an_hour() {
        let marketplace = MarketplaceId::new("es").unwrap();
        let submitter = Submitter { seller: SellerId::of(&marketplace, "s1"), marketplace };
        let signed_in = SignedIn { submitter, at: Instant::now() };
        let after = |seconds| signed_in.is_over(signed_in.at + Duration::from_secs(seconds));
        assert!(!after(0) && !after(15 * 60 - 1) && after(15 * 60));
    }
}

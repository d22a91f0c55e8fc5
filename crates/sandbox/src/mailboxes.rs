//! Real mailboxes of made-up people: an SMTP server that keeps what it takes, by recipient.
//!
//! For tests it can also refuse, defer or break off, by the recipient's local-part.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use mail::Mailbox;
use mail::smtp::Reply;
use mail::smtp::server::{Limits, Session, Step};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Most mails kept for one recipient; the oldest go first.
const MAX_MAILS: usize = 100_000;

/// A mail as the mailbox got it.
#[derive(Debug, Clone)]
pub struct StoredMail {
    /// Number within all mails, from 1.
    pub id: u64,
    /// RFC5321.MailFrom, empty for null.
    pub reverse_path: String,
    /// Recipient as written.
    pub recipient: String,
    /// The octets after DATA.
    pub octets: Vec<u8>,
}

/// How a recipient's server answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// Takes everything.
    Accept,
    /// 450 at RCPT.
    Defer,
    /// 550 at RCPT.
    Refuse,
    /// Takes the content, then closes without an answer.
    CloseAfterDot,
}

#[derive(Default)]
struct State {
    last_id: u64,
    mails: HashMap<String, Vec<StoredMail>>,
    behaviours: HashMap<String, Behaviour>,
}

/// The mailboxes, shared between server and reader.
#[derive(Clone, Default)]
pub struct Mailboxes(Arc<Mutex<State>>);

impl Mailboxes {
    /// The mails of a recipient, oldest first.
    #[must_use]
    pub fn of(&self, address: &str) -> Vec<StoredMail> {
        self.lock().mails.get(&address.to_lowercase()).cloned().unwrap_or_default()
    }

    /// How many mails a recipient has.
    #[must_use]
    pub fn count(&self, address: &str) -> usize {
        self.lock().mails.get(&address.to_lowercase()).map_or(0, Vec::len)
    }

    /// How many mails all recipients have.
    #[must_use]
    pub fn total(&self) -> usize {
        self.lock().mails.values().map(Vec::len).sum()
    }

    /// Changes how a recipient's server answers.
    pub fn behave(&self, address: &str, behaviour: Behaviour) {
        self.lock().behaviours.insert(address.to_lowercase(), behaviour);
    }

    fn behaviour(&self, mailbox: &Mailbox) -> Behaviour {
        self.lock().behaviours.get(&mailbox.canonical()).copied().unwrap_or(Behaviour::Accept)
    }

    fn keep(&self, reverse_path: &str, recipient: &Mailbox, octets: &[u8]) {
        let mut state = self.lock();
        state.last_id += 1;
        let mail = StoredMail {
            id: state.last_id,
            reverse_path: reverse_path.to_owned(),
            recipient: recipient.to_wire(),
            octets: octets.to_vec(),
        };
        let mails = state.mails.entry(recipient.canonical()).or_default();
        if mails.len() >= MAX_MAILS {
            mails.remove(0);
        }
        mails.push(mail);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Serves the mailboxes over SMTP; gives the address.
///
/// # Errors
/// When the address cannot be bound.
pub async fn serve_mailboxes(mailboxes: Mailboxes, hostname: &str, address: SocketAddr) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    let hostname = hostname.to_owned();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (mailboxes, hostname) = (mailboxes.clone(), hostname.clone());
            tokio::spawn(async move { drop(serve(stream, &mailboxes, &hostname).await) });
        }
    });
    Ok(bound)
}

async fn serve(mut stream: TcpStream, mailboxes: &Mailboxes, hostname: &str) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut session = Session::new(hostname, Limits { transactions: usize::MAX, ..Limits::default() }, false);
    let mut buffer = vec![0; 32 << 10];
    let mut body = Vec::new();
    loop {
        match session.step() {
            Step::Read => {
                stream.write_all(&session.take_output()).await?;
                let length = stream.read(&mut buffer).await?;
                if length == 0 {
                    return Ok(());
                }
                session.receive(&buffer[..length]);
            }
            Step::Transaction => session.answer_transaction(Reply::new(250, "2.1.0", "ok")),
            // Nobody signs in here; it is not offered.
            Step::Authenticate(_) => session.answer_authentication(Reply::new(535, "5.7.8", "no such user")),
            Step::Recipient(mailbox) => session.answer_recipient(match mailboxes.behaviour(&mailbox) {
                Behaviour::Accept | Behaviour::CloseAfterDot => Reply::new(250, "2.1.5", "ok"),
                Behaviour::Defer => Reply::new(450, "4.2.1", format!("mailbox of {} is busy", mailbox.to_wire())),
                Behaviour::Refuse => Reply::new(550, "5.1.1", format!("{} is unknown here", mailbox.to_wire())),
            }),
            Step::Body(octets) => body.extend(octets),
            Step::Message(envelope) => {
                if envelope.recipients.iter().any(|r| mailboxes.behaviour(r) == Behaviour::CloseAfterDot) {
                    return Ok(());
                }
                let reverse_path = envelope.reverse_path.as_ref().map(Mailbox::to_wire).unwrap_or_default();
                envelope.recipients.iter().for_each(|r| mailboxes.keep(&reverse_path, r, &body));
                body.clear();
                session.answer_message(Reply::new(250, "2.0.0", "kept"));
            }
            Step::Discard => body.clear(),
            Step::StartTls | Step::Close => {
                stream.write_all(&session.take_output()).await?;
                return stream.shutdown().await;
            }
        }
    }
}

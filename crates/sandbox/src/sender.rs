//! Sends one message as a simple mail server does, and keeps the dialogue.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// A server that is silent for longer has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// What was said.
#[derive(Debug, Clone, Default)]
pub struct Exchange {
    /// Code of the last reply that decided.
    pub code: u16,
    /// Its text.
    pub text: String,
    /// The dialogue, `C:` and `S:` lines, the content left out.
    pub transcript: String,
}

impl Exchange {
    /// Whether the server took the message.
    #[must_use]
    pub fn is_accepted(&self) -> bool {
        (200..300).contains(&self.code)
    }
}

/// Sends a message with CRLF line ends to one or more recipients.
///
/// # Errors
/// When the connection fails or breaks.
pub async fn send_mail(
    server: SocketAddr,
    helo: &str,
    reverse_path: &str,
    recipients: &[&str],
    octets: &[u8],
) -> std::io::Result<Exchange> {
    let late = |_| std::io::Error::from(std::io::ErrorKind::TimedOut);
    tokio::time::timeout(PATIENCE, dialogue(server, helo, reverse_path, recipients, octets)).await.map_err(late)?
}

async fn dialogue(server: SocketAddr, helo: &str, reverse_path: &str, recipients: &[&str], octets: &[u8]) -> std::io::Result<Exchange> {
    let stream = TcpStream::connect(server).await?;
    stream.set_nodelay(true)?;
    let mut stream = BufReader::new(stream);
    let mut exchange = Exchange::default();
    reply(&mut stream, &mut exchange).await?;
    let mut commands = vec![format!("EHLO {helo}"), format!("MAIL FROM:<{reverse_path}>")];
    commands.extend(recipients.iter().map(|r| format!("RCPT TO:<{r}>")));
    commands.push("DATA".to_owned());
    let mut refused: Option<(u16, String)> = None;
    for command in commands {
        exchange.transcript.push_str(&format!("C: {command}\n"));
        stream.write_all(format!("{command}\r\n").as_bytes()).await?;
        reply(&mut stream, &mut exchange).await?;
        if exchange.code >= 400 {
            // DATA without recipients only says "no recipients": the reason stood before.
            let (code, text) = refused.unwrap_or((exchange.code, exchange.text.clone()));
            if command == "DATA" || !command.starts_with("RCPT") {
                (exchange.code, exchange.text) = (code, text);
                return Ok(exchange);
            }
            refused = Some((code, text));
        }
    }
    exchange.transcript.push_str("C: (the message) .\n");
    let mut stuffed = Vec::with_capacity(octets.len() + 64);
    for line in octets.split_inclusive(|b| *b == b'\n') {
        if line.first() == Some(&b'.') {
            stuffed.push(b'.');
        }
        stuffed.extend_from_slice(line);
    }
    if !stuffed.ends_with(b"\r\n") {
        stuffed.extend_from_slice(b"\r\n");
    }
    stuffed.extend_from_slice(b".\r\n");
    stream.write_all(&stuffed).await?;
    reply(&mut stream, &mut exchange).await?;
    stream.write_all(b"QUIT\r\n").await?;
    Ok(exchange)
}

async fn reply(stream: &mut BufReader<TcpStream>, exchange: &mut Exchange) -> std::io::Result<()> {
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim_end();
        exchange.transcript.push_str(&format!("S: {line}\n"));
        exchange.code = line.get(..3).and_then(|c| c.parse().ok()).unwrap_or(0);
        exchange.text = line.get(4..).unwrap_or_default().to_owned();
        if line.as_bytes().get(3) != Some(&b'-') {
            return Ok(());
        }
    }
}

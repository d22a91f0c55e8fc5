//! One GET over HTTPS with a checked certificate, for MTA-STS policies (RFC 8461, section 3.3).
//!
//! No redirects, no proxy, plain text only, and every size and wait has a bound: the server is a stranger's.

use std::net::IpAddr;
use std::pin::pin;
use std::time::Duration;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::dns::Dns;

/// RFC 8461, section 3.3: a minute for everything.
const PATIENCE: Duration = Duration::from_secs(60);
/// An address that does not answer is left for the next one.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// Addresses tried.
const MAX_ADDRESSES: usize = 4;
/// RFC 8461, section 3.3: 64 KiB.
const MAX_OCTETS: usize = 64 << 10;

/// Why there is no text.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GetError {
    /// The name has no address or none that answers.
    #[error("the host cannot be reached")]
    Unreachable,
    /// No TLS with a valid certificate of that name.
    #[error("no TLS with a valid certificate")]
    Tls(#[source] std::io::Error),
    /// What came is no HTTP.
    #[error("HTTP: {0}")]
    Http(#[from] hyper::Error),
    /// Redirects are among these: they are not followed.
    #[error("the status is {0}, expected 200")]
    Status(StatusCode),
    /// Something else than plain text.
    #[error("the content is no text/plain")]
    Type,
    /// Too long, or broken off.
    #[error("the content is longer than 64 KiB or breaks off")]
    Content,
    /// It took too long.
    #[error("no answer within a minute")]
    Late,
}

/// The text at a path of a host.
pub(crate) async fn get(dns: &Dns, tls: &TlsConnector, host: &str, port: u16, path: &'static str) -> Result<Bytes, GetError> {
    timeout(PATIENCE, exchange(dns, tls, host, port, path)).await.map_err(|_| GetError::Late)?
}

async fn exchange(dns: &Dns, tls: &TlsConnector, host: &str, port: u16, path: &'static str) -> Result<Bytes, GetError> {
    let name = ServerName::try_from(host.to_owned()).map_err(|_| GetError::Unreachable)?;
    let stream = connect(&dns.addresses(host).await.found, port).await.ok_or(GetError::Unreachable)?;
    let stream = tls.connect(name, stream).await.map_err(GetError::Tls)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let mut request = Request::new(Empty::<Bytes>::new());
    *request.uri_mut() = hyper::Uri::from_static(path);
    let authority = if port == 443 { host.to_owned() } else { format!("{host}:{port}") };
    request.headers_mut().insert(HOST, HeaderValue::from_str(&authority).map_err(|_| GetError::Unreachable)?);
    let answer = async move {
        let response = sender.send_request(request).await?;
        if response.status() != StatusCode::OK {
            return Err(GetError::Status(response.status()));
        }
        if !is_plain_text(response.headers().get(CONTENT_TYPE)) {
            return Err(GetError::Type);
        }
        let content = Limited::new(response.into_body(), MAX_OCTETS).collect().await;
        content.map(|content| content.to_bytes()).map_err(|_| GetError::Content)
    };
    let mut answer = pin!(answer);
    let mut connection = pin!(connection);
    tokio::select! {
        text = answer.as_mut() => return text,
        // The server has closed; what it sent before is still on its way to us.
        _ = connection.as_mut() => {}
    }
    answer.await
}

async fn connect(addresses: &[IpAddr], port: u16) -> Option<TcpStream> {
    for address in addresses.iter().take(MAX_ADDRESSES) {
        if let Ok(Ok(stream)) = timeout(CONNECT_TIMEOUT, TcpStream::connect((*address, port))).await {
            return Some(stream);
        }
    }
    None
}

fn is_plain_text(kind: Option<&HeaderValue>) -> bool {
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|essence| essence.trim().eq_ignore_ascii_case("text/plain"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_text_is_a_policy() {
        let is_plain = |kind: &'static str| is_plain_text(Some(&HeaderValue::from_static(kind)));
        assert!(is_plain("text/plain") && is_plain("Text/Plain; charset=utf-8"));
        assert!(!is_plain("text/html") && !is_plain("text/plainer") && !is_plain_text(None));
    }
}

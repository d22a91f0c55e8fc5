//! The exchanges of SASL that people's programs use over SMTP (RFC 4954): PLAIN (RFC 4616), LOGIN and
//! OAUTHBEARER (RFC 7628). What comes out is a user and a secret; whether they are right, the driver says.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use smtp_proto::{AUTH_LOGIN, AUTH_OAUTHBEARER, AUTH_PLAIN};

use crate::smtp::reply::Reply;

/// The mechanisms as EHLO offers them.
pub(crate) const MECHANISMS: &str = "PLAIN LOGIN OAUTHBEARER";
/// RFC 7628, section 3.2.2: what a client learns of a token that is refused.
const BEARER_FAILURE: &str = r#"{"status":"invalid_token","schemes":"bearer"}"#;

/// Who wants to sign in, and with what.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user as given.
    pub user: String,
    /// Password or token.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(…)")
    }
}

/// What the client is to say next.
pub(crate) enum Exchange {
    /// Everything in one line.
    Plain,
    /// The user.
    LoginUser,
    /// The password of this user.
    LoginPassword(String),
    /// The token and its user in one line.
    Bearer,
    /// Anything: the token was refused, and the client must hear why before the end.
    Refused(Reply),
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Exchange(…)")
    }
}

/// What follows from a line of the client.
#[derive(Debug)]
pub(crate) enum Next {
    /// Ask further.
    Ask(Exchange),
    /// These are to be checked; a refused bearer token is told by a challenge first.
    Check { credentials: Credentials, is_bearer: bool },
    /// It ends with this reply.
    End(Reply),
    /// The line is none of the mechanism.
    Malformed,
}

impl Exchange {
    /// The exchange of a mechanism as `smtp-proto` numbers it.
    pub(crate) fn begin(mechanism: u64) -> Option<Self> {
        match mechanism {
            AUTH_PLAIN => Some(Self::Plain),
            AUTH_LOGIN => Some(Self::LoginUser),
            AUTH_OAUTHBEARER => Some(Self::Bearer),
            _ => None,
        }
    }

    /// The text of the 334 that asks for the next line.
    pub(crate) fn challenge(&self) -> String {
        match self {
            Self::Plain | Self::Bearer => String::new(),
            Self::LoginUser => STANDARD.encode("Username:"),
            Self::LoginPassword(_) => STANDARD.encode("Password:"),
            Self::Refused(_) => STANDARD.encode(BEARER_FAILURE),
        }
    }

    /// Takes a line of the client, in base64; `=` alone is an empty one (RFC 4954, section 4).
    pub(crate) fn respond(self, line: &[u8]) -> Next {
        if let Self::Refused(reply) = self {
            return Next::End(reply);
        }
        let decoded = if line == b"=" { Some(Vec::new()) } else { STANDARD.decode(line).ok() };
        let Some(text) = decoded.and_then(|octets| String::from_utf8(octets).ok()) else { return Next::Malformed };
        let found = match self {
            Self::LoginUser => return Next::Ask(Self::LoginPassword(text)),
            Self::LoginPassword(user) => Some((user, text, false)),
            Self::Plain => read_plain(&text).map(|(user, password)| (user, password, false)),
            Self::Bearer => read_bearer(&text).map(|(user, token)| (user, token, true)),
            Self::Refused(_) => None,
        };
        match found {
            Some((user, password, is_bearer)) => Next::Check { credentials: Credentials { user, password }, is_bearer },
            None => Next::Malformed,
        }
    }
}

/// RFC 4616, section 2: `[authzid] NUL authcid NUL passwd`. Nobody acts for another.
fn read_plain(text: &str) -> Option<(String, String)> {
    let mut parts = text.split('\0');
    let (acts_as, user, password) = (parts.next()?, parts.next()?, parts.next()?);
    let is_own = acts_as.is_empty() || acts_as == user;
    (parts.next().is_none() && is_own).then(|| (user.to_owned(), password.to_owned()))
}

/// RFC 7628, section 3.1: a GS2 header with the user, then fields that end in 0x01, of which one is the token.
fn read_bearer(text: &str) -> Option<(String, String)> {
    let (header, fields) = text.split_once('\u{1}')?;
    let mut parts = header.split(',');
    // RFC 5801, section 4: no channel is bound ("n", "y"), then the user, in whom "," and "=" are written out.
    let is_unbound = matches!(parts.next()?, "n" | "y");
    let user = parts.next()?.strip_prefix("a=")?.replace("=2C", ",").replace("=3D", "=");
    let authorization = fields.split('\u{1}').find_map(|field| field.strip_prefix("auth="))?;
    let (scheme, token) = authorization.split_once(' ')?;
    (is_unbound && scheme.eq_ignore_ascii_case("Bearer")).then(|| (user, token.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(exchange: Exchange, text: &str) -> Option<(String, String)> {
        match exchange.respond(STANDARD.encode(text).as_bytes()) {
            Next::Check { credentials, .. } => Some((credentials.user, credentials.password)),
            Next::Ask(next) => check(next, "secret"),
            Next::End(_) | Next::Malformed => None,
        }
    }

    #[test]
    fn each_mechanism_gives_user_and_secret() {
        let expected = Some(("ana@x.example".to_owned(), "secret".to_owned()));
        assert_eq!(check(Exchange::Plain, "\0ana@x.example\0secret"), expected);
        assert_eq!(check(Exchange::Plain, "ana@x.example\0ana@x.example\0secret"), expected);
        assert_eq!(check(Exchange::LoginUser, "ana@x.example"), expected);
        let bearer = "n,a=ana@x.example,\u{1}host=mx\u{1}port=587\u{1}auth=Bearer secret\u{1}\u{1}";
        assert_eq!(check(Exchange::Bearer, bearer), expected);
    }

    #[test]
    fn what_is_none_of_the_mechanism_is_refused() {
        for bad in ["", "ana", "ana\0secret", "boss\0ana\0secret", "\0ana\0secret\0more"] {
            assert_eq!(check(Exchange::Plain, bad), None, "{bad:?}");
        }
        for bad in ["", "n,,\u{1}auth=Bearer x\u{1}\u{1}", "p=tls,a=ana,\u{1}auth=Bearer x\u{1}", "n,a=ana,\u{1}auth=Basic x\u{1}\u{1}"] {
            assert_eq!(check(Exchange::Bearer, bad), None, "{bad:?}");
        }
        for line in [&b"not base64!"[..], b"/w==", b"===="] {
            assert!(matches!(Exchange::LoginUser.respond(line), Next::Malformed), "{line:?}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let credentials = Credentials { user: "ana".to_owned(), password: "secret".to_owned() };
        let shown = format!("{credentials:?} {:?}", Exchange::LoginPassword("ana".to_owned()));
        assert!(!shown.contains("ana") && !shown.contains("secret"));
    }
}

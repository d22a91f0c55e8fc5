//! The port to the object store, for bodies too large for the database (architecture decision 5).

use crate::error::StoreError;
use crate::query::StoreFuture;

/// Name of an object: 32 octets as hex, an HMAC under the message's data key, so that equal bodies of
/// different pairs never share a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectName(String);

impl ObjectName {
    /// The name for those octets.
    #[must_use]
    pub fn new(octets: &[u8]) -> Self {
        Self(octets.iter().map(|b| format!("{b:02x}")).collect())
    }

    /// Reads a stored name; `None` if it is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == 64 && text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))).then(|| Self(text.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Keeps sealed bodies by name.
pub trait Objects: Send + Sync {
    /// Writes and syncs; when this returns, the object survives a power cut.
    fn put<'a>(&'a self, name: &'a ObjectName, sealed: Vec<u8>) -> StoreFuture<'a, ()>;
    /// Reads; `None` if it is not there.
    fn get<'a>(&'a self, name: &'a ObjectName) -> StoreFuture<'a, Option<Vec<u8>>>;
}

impl From<std::io::Error> for StoreError {
    fn from(error: std::io::Error) -> Self {
        Self::Unavailable(error.to_string())
    }
}

//! A reply: code, enhanced status code (RFC 3463), text.

/// One SMTP reply of ours. The text is plain English, names the remedy and nothing of a party.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Reply code (RFC 5321, section 4.2).
    pub code: u16,
    /// Enhanced status code such as `5.1.1`; empty where none belongs (RFC 2034, section 4).
    pub status: &'static str,
    /// One line without line ends.
    pub text: String,
}

impl Reply {
    /// A reply with an enhanced status code.
    #[must_use]
    pub fn new(code: u16, status: &'static str, text: impl Into<String>) -> Self {
        Self { code, status, text: text.into() }
    }

    /// Whether the reply is positive (2yz or 3yz).
    #[must_use]
    pub fn is_positive(&self) -> bool {
        self.code < 400
    }

    /// The reply as one line on the wire.
    pub fn write(&self, out: &mut Vec<u8>) {
        let separator = if self.status.is_empty() { "" } else { " " };
        out.extend_from_slice(format!("{} {}{separator}{}\r\n", self.code, self.status, self.text).as_bytes());
    }
}

//! Mailboxes and domains as RFC 5321 writes them, compared as people mean them.
//!
//! Invariant: a `Mailbox` holds a local-part and a domain without control characters or white space, so
//! writing one into a command or a header can never start a new line. `Debug` never shows an address.

use std::fmt;

/// Longest local-part in octets (RFC 5321, section 4.5.3.1.1).
pub const MAX_LOCAL_PART: usize = 64;
/// Longest domain in octets (RFC 5321, section 4.5.3.1.2).
pub const MAX_DOMAIN: usize = 255;

/// Why a text is no mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// There is no `@`, or one side of it is empty.
    #[error("an address has the form local-part@domain")]
    Shape,
    /// A side is longer than RFC 5321, section 4.5.3.1 allows.
    #[error("the local-part has at most 64 octets and the domain 255")]
    TooLong,
    /// A character that no mailbox can have.
    #[error("the address holds a character that no mailbox can have")]
    Character,
}

/// A domain in lower-case A-label form (RFC 5890), the form in which domains are compared.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Domain(String);

impl Domain {
    /// Reads a domain name or an address literal such as `[192.0.2.1]`.
    ///
    /// # Errors
    /// `AddressError` when the name is empty, too long or holds a character that no domain has.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.is_empty() {
            return Err(AddressError::Shape);
        }
        if text.len() > MAX_DOMAIN {
            return Err(AddressError::TooLong);
        }
        if let Some(literal) = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
            let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | ':');
            return if !literal.is_empty() && literal.chars().all(allowed) {
                Ok(Self(text.to_ascii_lowercase()))
            } else {
                Err(AddressError::Character)
            };
        }
        let ascii =
            if text.is_ascii() { text.to_ascii_lowercase() } else { idna::domain_to_ascii(text).map_err(|_| AddressError::Character)? };
        let label = |label: &str| {
            !label.is_empty() && label.len() <= 63 && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        if ascii.len() <= MAX_DOMAIN && ascii.split('.').all(label) { Ok(Self(ascii)) } else { Err(AddressError::Character) }
    }

    /// The name, lower-case, without a trailing dot.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Domain(…)")
    }
}

/// `local-part@domain` (RFC 5321, section 4.1.2), the local-part unquoted.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mailbox {
    local_part: String,
    domain: Domain,
}

impl Mailbox {
    /// Reads an address without display name or angle brackets; a quoted local-part loses its quotes.
    ///
    /// # Errors
    /// `AddressError` says what is wrong.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let (local, domain) = text.rsplit_once('@').ok_or(AddressError::Shape)?;
        let local = match local.strip_prefix('"').and_then(|l| l.strip_suffix('"')) {
            Some(quoted) => unquote(quoted),
            None => local.to_owned(),
        };
        Self::new(local, Domain::parse(domain)?)
    }

    /// Joins an unquoted local-part and a domain.
    ///
    /// # Errors
    /// `AddressError` when the local-part is empty, too long or holds a control character.
    pub fn new(local_part: impl Into<String>, domain: Domain) -> Result<Self, AddressError> {
        let local_part = local_part.into();
        if local_part.is_empty() {
            return Err(AddressError::Shape);
        }
        if local_part.len() > MAX_LOCAL_PART {
            return Err(AddressError::TooLong);
        }
        // White space and angle brackets are legal only inside quotes; nobody who writes to an alias
        // has them, and refusing them keeps every later writer simple.
        let forbidden = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '<' | '>' | '"' | '\\' | ',');
        if local_part.chars().any(forbidden) {
            return Err(AddressError::Character);
        }
        Ok(Self { local_part, domain })
    }

    /// The local-part as given.
    #[must_use]
    pub fn local_part(&self) -> &str {
        &self.local_part
    }

    /// The domain.
    #[must_use]
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// The address as it is written on the wire and in headers.
    #[must_use]
    pub fn to_wire(&self) -> String {
        // RFC 5322, section 3.4.1: a local-part that is no dot-atom is quoted.
        let atom = |c: char| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c);
        let dot_atom = self.local_part.split('.').all(|a| !a.is_empty() && a.chars().all(atom));
        if dot_atom { format!("{}@{}", self.local_part, self.domain.0) } else { format!("\"{}\"@{}", self.local_part, self.domain.0) }
    }

    /// The form in which two spellings of one mailbox are equal: lower-case, domain as A-labels.
    ///
    /// RFC 5321, section 2.4 lets a host tell cases apart; none that people write from does.
    #[must_use]
    pub fn canonical(&self) -> String {
        format!("{}@{}", self.local_part.to_lowercase(), self.domain.0)
    }

    /// The local-part without its subaddress, and the subaddress (RFC 5233).
    #[must_use]
    pub fn split_subaddress(&self) -> (&str, Option<&str>) {
        match self.local_part.split_once('+') {
            Some((base, tag)) if !base.is_empty() => (base, Some(tag)),
            _ => (&self.local_part, None),
        }
    }

    /// Whether every octet is ASCII, so that no SMTPUTF8 is needed (RFC 6531).
    #[must_use]
    pub fn is_ascii(&self) -> bool {
        self.local_part.is_ascii()
    }
}

impl fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mailbox(…)")
    }
}

/// RFC5321.MailFrom: a mailbox, or none for the null reverse-path.
pub type ReversePath = Option<Mailbox>;

fn unquote(quoted: &str) -> String {
    let mut out = String::with_capacity(quoted.len());
    let mut escaped = false;
    for c in quoted.chars() {
        if c == '\\' && !escaped {
            escaped = true;
        } else {
            out.push(c);
            escaped = false;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_international_domains_compare_equal() {
        let a = Mailbox::parse("Ana.Lopez@Bücher.Example").unwrap();
        let b = Mailbox::parse("ana.lopez@xn--bcher-kva.example").unwrap();
        assert_eq!(a.canonical(), b.canonical());
    }

    #[test]
    fn nothing_that_could_start_a_new_line_is_a_mailbox() {
        for bad in ["a\r\nBcc: x@y.example", "a b@y.example", "<a@y.example>", "a@", "@b", "a", "a@b..c", "a@-\n"] {
            assert!(Mailbox::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_subaddress_is_split_off() {
        let m = Mailbox::parse("t969vz2jn3bdsy7+7h2k9q@d.example").unwrap();
        assert_eq!(m.split_subaddress(), ("t969vz2jn3bdsy7", Some("7h2k9q")));
    }

    #[test]
    fn debug_shows_no_address() {
        let m = Mailbox::parse("ana@example.org").unwrap();
        assert!(!format!("{m:?}").contains("ana"));
    }
}

//! DKIM signatures (RFC 6376; Ed25519: RFC 8463) over messages that we composed ourselves.
//!
//! Relaxed canonicalisation of header and body. From is listed once more than it occurs, so that a second
//! From added on the way breaks the signature (RFC 6376, section 8.15).

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::address::Domain;

/// Fields that are signed where present, in this order.
const SIGNED: [&str; 14] = [
    "From",
    "To",
    "Reply-To",
    "Subject",
    "Date",
    "Message-ID",
    "In-Reply-To",
    "References",
    "Auto-Submitted",
    "MIME-Version",
    "Content-Type",
    "Content-Transfer-Encoding",
    "List-Unsubscribe",
    "List-Unsubscribe-Post",
];

/// Why a private key cannot sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not PKCS#8 PEM, or not RSA of at least 1024 bits, or Ed25519.
    #[error("expected a PKCS#8 private key in PEM, RSA with 2048 to 8192 bits or Ed25519")]
    Unreadable,
}

enum PrivateKey {
    Rsa(Box<RsaKeyPair>),
    Ed25519(Box<Ed25519KeyPair>),
}

/// A signing key with the names under which its public half is published.
pub struct Signer {
    domain: Domain,
    selector: String,
    key: PrivateKey,
}

impl Signer {
    /// Takes a private key in PKCS#8 DER.
    ///
    /// # Errors
    /// `KeyError` when the key is of no kind that DKIM knows.
    pub fn from_pkcs8(domain: Domain, selector: &str, der: &[u8]) -> Result<Self, KeyError> {
        let key = match RsaKeyPair::from_pkcs8(der) {
            Ok(key) => PrivateKey::Rsa(Box::new(key)),
            Err(_) => PrivateKey::Ed25519(Box::new(Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map_err(|_| KeyError::Unreadable)?)),
        };
        Ok(Self { domain, selector: selector.to_owned(), key })
    }

    /// The domain that signs (`d=`).
    #[must_use]
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// The text of the DNS record to publish at `selector._domainkey.domain` (RFC 6376, section 3.6.1).
    #[must_use]
    pub fn dns_record(&self) -> String {
        match &self.key {
            PrivateKey::Rsa(key) => {
                format!("v=DKIM1; k=rsa; p={}", STANDARD.encode(rsa_public_key_info(key.public_key().as_ref())))
            }
            PrivateKey::Ed25519(key) => format!("v=DKIM1; k=ed25519; p={}", STANDARD.encode(key.public_key().as_ref())),
        }
    }

    /// The DNS name of the record.
    #[must_use]
    pub fn dns_name(&self) -> String {
        format!("{}._domainkey.{}", self.selector, self.domain.as_str())
    }

    /// Puts a DKIM-Signature in front of a composed message.
    #[must_use]
    pub fn sign(&self, message: &[u8], unix_seconds: i64) -> Vec<u8> {
        let (fields, body_at) = header_lines(message);
        let algorithm = match self.key {
            PrivateKey::Rsa(_) => "rsa-sha256",
            PrivateKey::Ed25519(_) => "ed25519-sha256",
        };
        let body_hash = STANDARD.encode(digest(&SHA256, &relaxed_body(&message[body_at..])));
        let present: Vec<&str> = SIGNED.into_iter().filter(|name| find(&fields, name).is_some()).collect();
        let names = format!("{}:From", present.join(":"));
        let mut header = format!(
            "DKIM-Signature: v=1; a={algorithm}; c=relaxed/relaxed; d={};\r\n s={}; t={unix_seconds};\r\n h={};\r\n bh={body_hash};\r\n b=",
            self.domain.as_str(),
            self.selector,
            fold_names(&names),
        );
        let mut input = String::new();
        for name in &present {
            if let Some(field) = find(&fields, name) {
                input.push_str(&relaxed_field(field));
                input.push_str("\r\n");
            }
        }
        input.push_str(&relaxed_field(&header));
        let signature = STANDARD.encode(self.raw_signature(input.as_bytes()));
        for (n, chunk) in signature.as_bytes().chunks(72).enumerate() {
            if n > 0 {
                header.push_str("\r\n ");
            }
            header.extend(chunk.iter().map(|b| char::from(*b)));
        }
        header.push_str("\r\n");
        let mut signed = header.into_bytes();
        signed.extend_from_slice(message);
        signed
    }

    fn raw_signature(&self, input: &[u8]) -> Vec<u8> {
        match &self.key {
            PrivateKey::Rsa(key) => {
                let mut out = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), input, &mut out).expect("the output has the length of the modulus");
                out
            }
            // RFC 8463, section 3: Ed25519 signs the SHA-256 hash.
            PrivateKey::Ed25519(key) => key.sign(digest(&SHA256, input).as_ref()).as_ref().to_vec(),
        }
    }
}

impl std::fmt::Debug for Signer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Signer(…)")
    }
}

/// Wraps an RSAPublicKey in the SubjectPublicKeyInfo that DKIM publishes (RFC 6376, section 3.6.1; RFC 8017, A.1).
fn rsa_public_key_info(rsa_public_key: &[u8]) -> Vec<u8> {
    const ALGORITHM: [u8; 15] = [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
    let mut bit_string = vec![0u8];
    bit_string.extend_from_slice(rsa_public_key);
    let mut content = ALGORITHM.to_vec();
    content.extend(der(0x03, &bit_string));
    der(0x30, &content)
}

fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    let length = content.len().to_be_bytes();
    if content.len() < 128 {
        out.push(length[length.len() - 1]);
    } else {
        let significant = &length[length.iter().position(|b| *b != 0).unwrap_or(0)..];
        out.push(0x80 | u8::try_from(significant.len()).expect("at most eight octets"));
        out.extend_from_slice(significant);
    }
    out.extend_from_slice(content);
    out
}

/// The raw fields of the header, each with its folding, and the offset of the body.
fn header_lines(message: &[u8]) -> (Vec<&str>, usize) {
    let header_end = memchr::memmem::find(message, b"\r\n\r\n").map_or(message.len(), |n| n + 2);
    let header = std::str::from_utf8(&message[..header_end]).expect("composed messages are ASCII");
    let mut fields = Vec::new();
    let mut start = 0;
    let mut at = 0;
    while let Some(end) = header[at..].find("\r\n") {
        at += end + 2;
        if !header[at..].starts_with([' ', '\t']) {
            fields.push(&header[start..at]);
            start = at;
        }
    }
    (fields, (header_end + 2).min(message.len()))
}

fn find<'a>(fields: &[&'a str], name: &str) -> Option<&'a str> {
    fields.iter().find(|f| f.len() > name.len() && f.as_bytes()[name.len()] == b':' && f[..name.len()].eq_ignore_ascii_case(name)).copied()
}

/// RFC 6376, section 3.4.2.
fn relaxed_field(field: &str) -> String {
    let (name, value) = field.split_once(':').unwrap_or((field, ""));
    format!("{}:{}", name.trim().to_ascii_lowercase(), value.split_ascii_whitespace().collect::<Vec<_>>().join(" "))
}

/// RFC 6376, section 3.4.4: runs of white space become one space, none at line ends, no empty lines at the end.
fn relaxed_body(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    let mut empty_lines = 0;
    for line in body.split_inclusive(|b| *b == b'\n') {
        let line = line.strip_suffix(b"\r\n").unwrap_or(line);
        let start = out.len();
        let mut space = false;
        let mut wrote = false;
        for &byte in line {
            if matches!(byte, b' ' | b'\t') {
                space = true;
                continue;
            }
            if !wrote {
                out.extend(std::iter::repeat_n(*b"\r\n", empty_lines).flatten());
                empty_lines = 0;
                wrote = true;
            }
            if space {
                out.push(b' ');
                space = false;
            }
            out.push(byte);
        }
        if out.len() > start {
            out.extend_from_slice(b"\r\n");
        } else {
            empty_lines += 1;
        }
    }
    out
}

fn fold_names(names: &str) -> String {
    let mut out = String::new();
    let mut column = 0;
    for name in names.split_inclusive(':') {
        if column + name.len() > 70 {
            out.push_str("\r\n  ");
            column = 0;
        }
        out.push_str(name);
        column += name.len();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relaxed_forms_of_rfc_6376_section_3_4_5() {
        assert_eq!(relaxed_field("A: X\r\n"), "a:X");
        assert_eq!(relaxed_field("B : Y\t\r\n\tZ  \r\n"), "b:Y Z");
        assert_eq!(relaxed_body(b" C \r\nD \t E\r\n\r\n\r\n"), b" C\r\nD E\r\n");
    }

    #[test]
    fn lines_of_white_space_at_the_end_are_empty_lines() {
        assert_eq!(relaxed_body(b"a\r\n \t\r\n"), b"a\r\n");
        assert_eq!(relaxed_body(b" \r\n"), b"");
        assert_eq!(relaxed_body(b"a\r\n\r\nb"), b"a\r\n\r\nb\r\n");
    }
}

//! Keys of our own making, and an independent verifier.

use std::path::Path;
use std::process::Command;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::RsaKeyPair;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use mail::Domain;
use mail::dkim::Signer;

/// An RSA key of 2048 bits: its PEM and its signer.
pub fn key(domain: &str, selector: &str) -> (String, Signer) {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let der = pair.as_der().unwrap();
    let signer = Signer::from_pkcs8(Domain::parse(domain).unwrap(), selector, der.as_ref()).unwrap();
    let lines: String = STANDARD.encode(der.as_ref()).as_bytes().chunks(64).map(|l| format!("{}\n", String::from_utf8_lossy(l))).collect();
    (format!("-----BEGIN PRIVATE KEY-----\n{lines}-----END PRIVATE KEY-----\n"), signer)
}

/// What Debian's python3-dkim says of a message.
pub fn verify(folder: &Path, message: &[u8], name: &str, record: &str) -> Result<String, String> {
    let (mail, keys) = (folder.join("verify.eml"), folder.join("verify.keys"));
    std::fs::write(&mail, message).unwrap();
    std::fs::write(&keys, format!("{name} {record}\n")).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/verify_dkim.py");
    let output = Command::new("/usr/bin/python3").arg(script).arg(mail).arg(keys).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(said) } else { Err(said) }
}

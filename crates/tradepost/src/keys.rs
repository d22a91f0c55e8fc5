//! Files that hold keys: read with clear errors, made where they may be made.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use domain::Random;
use domain::id::NodeId;
use mail::Domain;
use mail::dkim::Signer;
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject;
use store::Store;
use store::seal::MasterKey;

use crate::config;

/// The master key's name in the store's settings.
const FINGERPRINT: &str = "master_key_fingerprint";

/// Reads the master key, or makes it for an empty installation. A key that is not the installation's own is refused:
/// nothing stored could be read with it.
pub(crate) async fn master_key(path: &Path, store: &dyn Store, random: &dyn Random) -> anyhow::Result<MasterKey> {
    let known = store.find_setting(FINGERPRINT).await?;
    let octets = match std::fs::read_to_string(path) {
        Ok(text) => read_hex(text.trim()).with_context(|| no_storage_key(path))?,
        Err(error) if error.kind() == ErrorKind::NotFound && known.is_none() => {
            let mut octets = [0; 32];
            random.fill(&mut octets);
            write_secret(path, &hex(&octets)).with_context(|| format!("cannot write the storage key {}", path.display()))?;
            octets
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            bail!("the storage key {} is missing but the database is in use; restore the key from your backup", path.display())
        }
        Err(error) => bail!("the storage key {}: {}", path.display(), unreadable(&error, "restore it from your backup")),
    };
    let key = MasterKey::new(&octets);
    let stored = store.put_setting_once(FINGERPRINT, key.fingerprint()).await?;
    if stored != key.fingerprint() {
        bail!("{} is the key of another installation; the database was made with key {stored}", path.display());
    }
    Ok(key)
}

/// This process's id, the same after a restart, so that it takes its own leases up again at once.
pub(crate) fn node_id(path: &Path, random: &dyn Random) -> anyhow::Result<NodeId> {
    if let Ok(text) = std::fs::read_to_string(path)
        && let Ok(id) = text.trim().parse()
    {
        return Ok(id);
    }
    let id = NodeId::fresh(random);
    write_secret(path, &id.to_string()).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(id)
}

/// A DKIM key of the configuration.
pub(crate) fn signer(dkim: &config::Dkim) -> anyhow::Result<Arc<Signer>> {
    let domain = Domain::parse(&dkim.domain).with_context(|| format!("[[dkim]] domain {}", dkim.domain))?;
    let at = || format!("[[dkim]] key {}", dkim.key.display());
    let make = "restore it from your backup, or make one with `openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048` and publish its record";
    let pem = std::fs::read(&dkim.key).map_err(|error| anyhow!("{}: {}", at(), unreadable(&error, make)))?;
    let key = PrivatePkcs8KeyDer::from_pem_slice(&pem).with_context(|| {
        format!("{}: is no private key in PKCS#8 PEM; `openssl pkcs8 -topk8 -nocrypt` makes one of an older form, or {make}", at())
    })?;
    let signer = Signer::from_pkcs8(domain, &dkim.selector, key.secret_pkcs8_der()).with_context(at)?;
    Ok(Arc::new(signer))
}

/// Whether a storage key that is there can be used; whether it must be there only the store knows.
pub(crate) fn check_master_key(path: &Path) -> anyhow::Result<()> {
    match std::fs::read_to_string(path) {
        Ok(text) => read_hex(text.trim()).map(|_| ()).with_context(|| no_storage_key(path)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => bail!("the storage key {}: {}", path.display(), unreadable(&error, "restore it from your backup")),
    }
}

fn no_storage_key(path: &Path) -> String {
    format!("{} is no storage key: expected 64 hex digits", path.display())
}

/// Why a file cannot be read, and the remedy; `missing` is that of one that is not there.
pub(crate) fn unreadable(error: &std::io::Error, missing: &str) -> String {
    match error.kind() {
        ErrorKind::NotFound => format!("is not there; {missing}"),
        ErrorKind::PermissionDenied => {
            "this user may not read it; run the command as the user that runs the service, or give the file to that user".to_owned()
        }
        _ => format!("cannot be read: {error}"),
    }
}

fn write_secret(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.write_all(b"\n")?;
    file.sync_all()
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|b| format!("{b:02x}")).collect()
}

fn read_hex(text: &str) -> anyhow::Result<[u8; 32]> {
    let mut octets = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        bail!("wrong length");
    }
    for (n, octet) in octets.iter_mut().enumerate() {
        *octet = u8::from_str_radix(&text[2 * n..2 * n + 2], 16)?;
    }
    Ok(octets)
}

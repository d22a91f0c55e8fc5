//! Bodies at rest: compressed, then sealed under a data key per message, which is itself sealed under the
//! installation's master key (architecture decision 5). AES-256-GCM (NIST SP 800-38D).

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use domain::{MessageId, Random};

use crate::changes::{BodyKind, SealedKey};
use crate::error::StoreError;
use crate::objects::ObjectName;

/// Level at which compression costs less than sealing.
const ZSTD_LEVEL: i32 = 1;
/// Most octets that one stored body opens to, against a manipulated row.
const MAX_OPENED: usize = 256 << 20;

/// The installation's key.
pub struct MasterKey {
    key: LessSafeKey,
    macs: hmac::Key,
    fingerprint: String,
}

impl MasterKey {
    /// Takes 32 octets.
    #[must_use]
    pub fn new(octets: &[u8; 32]) -> Self {
        let macs = hmac::Key::new(hmac::HMAC_SHA256, octets);
        let tag = hmac::sign(&macs, b"tradepost/master/v1");
        let fingerprint = tag.as_ref()[..8].iter().map(|b| format!("{b:02x}")).collect();
        Self { key: aead_key(octets), macs, fingerprint }
    }

    /// A MAC for one purpose: HMAC-SHA-256(key, purpose ‖ data), where no purpose is the beginning of another.
    #[must_use]
    pub fn mac(&self, purpose: &'static [u8], data: &[u8]) -> [u8; 32] {
        let tag = hmac::sign(&self.macs, &[purpose, data].concat());
        let mut out = [0; 32];
        out.copy_from_slice(tag.as_ref());
        out
    }

    /// Tells keys apart without telling the key.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// Draws the data key of a message and seals it.
    #[must_use]
    pub fn draw(&self, message: MessageId, month: i32, random: &dyn Random) -> (DataKey, SealedKey) {
        let mut octets = [0; 32];
        random.fill(&mut octets);
        let mut nonce = [0; NONCE_LEN];
        random.fill(&mut nonce);
        let mut sealed = octets.to_vec();
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(message.as_bytes()), &mut sealed)
            .expect("32 octets can be sealed");
        sealed.splice(0..0, nonce);
        (DataKey::new(&octets), SealedKey { message, sealed, month })
    }

    /// Opens the data key of a message.
    ///
    /// # Errors
    /// `Corrupt` when the row was changed or belongs to another master key.
    pub fn open(&self, sealed: &SealedKey) -> Result<DataKey, StoreError> {
        let corrupt = || StoreError::Corrupt(format!("the data key of message {} does not open under this master key", sealed.message));
        let (nonce, rest) = sealed.sealed.split_first_chunk::<NONCE_LEN>().ok_or_else(corrupt)?;
        let mut rest = rest.to_vec();
        let opened = self
            .key
            .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(sealed.message.as_bytes()), &mut rest)
            .map_err(|_| corrupt())?;
        let octets: &[u8; 32] = (&*opened).try_into().map_err(|_| corrupt())?;
        Ok(DataKey::new(octets))
    }
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey(…)")
    }
}

/// The key of one message.
pub struct DataKey {
    key: LessSafeKey,
    names: hmac::Key,
}

impl DataKey {
    fn new(octets: &[u8; 32]) -> Self {
        Self { key: aead_key(octets), names: hmac::Key::new(hmac::HMAC_SHA256, octets) }
    }

    /// Compresses and seals a body. Each kind is sealed once under a key, so its number is a unique nonce.
    ///
    /// # Errors
    /// `Unavailable` when compression runs out of memory.
    pub fn seal(&self, kind: BodyKind, body: &[u8]) -> Result<Vec<u8>, StoreError> {
        let mut sealed = zstd::bulk::compress(body, ZSTD_LEVEL)?;
        self.key
            .seal_in_place_append_tag(nonce(kind), Aad::empty(), &mut sealed)
            .map_err(|_| StoreError::Unavailable("a body is too large to be sealed".to_owned()))?;
        Ok(sealed)
    }

    /// Opens a body.
    ///
    /// # Errors
    /// `Corrupt` when the octets were changed.
    pub fn open(&self, kind: BodyKind, mut sealed: Vec<u8>) -> Result<Vec<u8>, StoreError> {
        let corrupt = || StoreError::Corrupt("a body does not open under its key".to_owned());
        let opened = self.key.open_in_place(nonce(kind), Aad::empty(), &mut sealed).map_err(|_| corrupt())?;
        let size =
            zstd::zstd_safe::get_frame_content_size(opened).ok().flatten().and_then(|s| usize::try_from(s).ok()).ok_or_else(corrupt)?;
        if size > MAX_OPENED {
            return Err(corrupt());
        }
        Ok(zstd::bulk::decompress(opened, size)?)
    }

    /// The name under which a body of this message stands in the object store.
    #[must_use]
    pub fn object_name(&self, kind: BodyKind) -> ObjectName {
        let tag = hmac::sign(&self.names, &[b"tradepost/object/v1".as_slice(), &kind.number().to_be_bytes()].concat());
        ObjectName::new(tag.as_ref())
    }
}

impl std::fmt::Debug for DataKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DataKey(…)")
    }
}

fn aead_key(octets: &[u8; 32]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, octets).expect("AES-256 takes 32 octets"))
}

fn nonce(kind: BodyKind) -> Nonce {
    let mut octets = [0; NONCE_LEN];
    octets[NONCE_LEN - 2..].copy_from_slice(&kind.number().to_be_bytes());
    Nonce::assume_unique_for_key(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;
    impl Random for Fixed {
        fn fill(&self, octets: &mut [u8]) {
            for (n, o) in octets.iter_mut().enumerate() {
                *o = u8::try_from(n % 251).unwrap();
            }
        }
    }

    #[test]
    fn what_is_sealed_opens_and_what_is_changed_does_not() {
        let master = MasterKey::new(&[9; 32]);
        let id = MessageId::from_bytes([1; 16]);
        let (key, sealed_key) = master.draw(id, 202_611, &Fixed);
        let body = b"From: x\r\n\r\n".repeat(100);
        let sealed = key.seal(BodyKind::Original, &body).unwrap();
        assert!(sealed.len() < body.len() / 2, "compressed before it is sealed");
        let key = master.open(&sealed_key).unwrap();
        assert_eq!(key.open(BodyKind::Original, sealed.clone()).unwrap(), body);
        assert!(key.open(BodyKind::View, sealed.clone()).is_err());
        let mut changed = sealed;
        changed[3] ^= 1;
        assert!(key.open(BodyKind::Original, changed).is_err());
        assert!(MasterKey::new(&[8; 32]).open(&sealed_key).is_err());
    }
}

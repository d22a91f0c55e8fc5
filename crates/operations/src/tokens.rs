//! API tokens: 256 random bits, of which only a hash is kept.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::ledger;
use store::{Changes, CommitError, Store, StoreError, Token, TokenScope};

use domain::{Random, Timestamp};

use crate::error::{InputError, OperationError};

/// What every token begins with, so that one that leaks is recognised.
const PREFIX: &str = "tp_";

/// Makes a token; gives the only copy of its text.
///
/// # Errors
/// `Invalid` when the name is taken.
pub async fn create_token(
    store: &dyn Store,
    random: &dyn Random,
    now: Timestamp,
    name: &str,
    scope: TokenScope,
) -> Result<String, OperationError> {
    let mut octets = [0; 32];
    random.fill(&mut octets);
    let text = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(octets));
    let token = Token { hash: hash(&text), name: name.to_owned(), scope, created_at: now };
    match store.commit(Changes { tokens: vec![token], ..Changes::default() }).await {
        Ok(_) => Ok(text),
        Err(CommitError::Conflict) => {
            Err(InputError::new("name", "name_taken", "a token of this name exists; choose another or revoke it").into())
        }
        Err(CommitError::Store(error)) => Err(error.into()),
    }
}

/// Revokes a token by name; revoking twice changes nothing.
///
/// # Errors
/// `StoreError`.
pub async fn revoke_token(store: &dyn Store, name: &str) -> Result<(), StoreError> {
    match store.commit(Changes { revoked_tokens: vec![name.to_owned()], ..Changes::default() }).await {
        Ok(_) | Err(CommitError::Conflict) => Ok(()),
        Err(CommitError::Store(error)) => Err(error),
    }
}

/// What a token may do; `None` if there is none such.
///
/// # Errors
/// `StoreError`.
pub async fn authenticate_token(store: &dyn Store, text: &str) -> Result<Option<TokenScope>, StoreError> {
    if !text.starts_with(PREFIX) {
        return Ok(None);
    }
    Ok(store.find_token(&hash(text)).await?.map(|t| t.scope))
}

fn hash(text: &str) -> [u8; 32] {
    ledger::hash(&[b"tradepost/token/v1", text.as_bytes()])
}

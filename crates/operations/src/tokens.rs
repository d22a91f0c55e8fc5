//! API tokens: 256 random bits, of which only a hash is kept.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::ledger;
use mail::Mailbox;
use store::{Changes, CommitError, Store, StoreError, Token, TokenScope};

use domain::{MarketplaceId, Random, SellerId, Timestamp};

use crate::context::Context;
use crate::error::{InputError, OperationError};
use crate::metrics::Metrics;

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

/// Revokes a token by name; `false` if there is none of that name, so that nobody believes a mistyped one to be revoked.
///
/// # Errors
/// `StoreError`.
pub async fn revoke_token(store: &dyn Store, name: &str) -> Result<bool, StoreError> {
    if !store.list_tokens().await?.iter().any(|token| token.name == name) {
        return Ok(false);
    }
    match store.commit(Changes { revoked_tokens: vec![name.to_owned()], ..Changes::default() }).await {
        Ok(_) | Err(CommitError::Conflict) => Ok(true),
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

/// A seller who signed in to send mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submitter {
    /// The seller.
    pub seller: SellerId,
    /// Its marketplace.
    pub marketplace: MarketplaceId,
}

/// Who signs in to send mail: user is the seller's registered address, the password one of its tokens. A wrong address
/// and a wrong token look alike (A4: an alias is never a sign-in name).
///
/// # Errors
/// `StoreError`.
pub async fn sign_in(ctx: &Context, user: &str, token: &str) -> Result<Option<Submitter>, StoreError> {
    let submitter = find_submitter(ctx, user, token).await?;
    Metrics::count(&ctx.metrics.sign_ins, if submitter.is_some() { "ok" } else { "failed" });
    Ok(submitter)
}

async fn find_submitter(ctx: &Context, user: &str, token: &str) -> Result<Option<Submitter>, StoreError> {
    let Some(TokenScope::Seller(id) | TokenScope::Submission(id)) = authenticate_token(ctx.store.as_ref(), token.trim()).await? else {
        return Ok(None);
    };
    let Some(seller) = ctx.store.find_seller(id).await? else { return Ok(None) };
    let is_registered = Mailbox::parse(user.trim()).is_ok_and(|user| user.canonical() == seller.email.canonical());
    Ok(is_registered.then_some(Submitter { seller: seller.id, marketplace: seller.marketplace }))
}

fn hash(text: &str) -> [u8; 32] {
    ledger::hash(&[b"tradepost/token/v1", text.as_bytes()])
}

//! Sealing bodies for a commit and opening them again.

use domain::{MessageId, Timestamp};
use mail::{Mailbox, ReversePath};
use store::seal::DataKey;
use store::{Body, BodyKind, BodyPlace, Changes, SealedMessage, StoreError};

use crate::context::{Context, INLINE_LIMIT};
use crate::dates;

/// Draws a message's key and seals its bodies into the changes; large ones go to the object store first.
pub(crate) async fn seal(
    ctx: &Context,
    changes: &mut Changes,
    message: MessageId,
    at: Timestamp,
    bodies: &[(BodyKind, &[u8])],
) -> Result<(), StoreError> {
    let month = dates::month(at);
    let (key, sealed_key) = ctx.master_key.draw(message, month, ctx.random.as_ref());
    changes.keys.push(sealed_key);
    for (kind, body) in bodies {
        let sealed = key.seal(*kind, body)?;
        let place = if sealed.len() <= INLINE_LIMIT {
            BodyPlace::Inline(sealed)
        } else {
            let name = key.object_name(*kind);
            ctx.objects.put(&name, sealed).await?;
            BodyPlace::Object(name)
        };
        changes.bodies.push(Body { message, kind: *kind, month, place });
    }
    Ok(())
}

/// Opens one body; `None` if it was not kept or is erased.
pub(crate) async fn open(ctx: &Context, sealed: &SealedMessage, kind: BodyKind) -> Result<Option<Vec<u8>>, StoreError> {
    let Some(sealed_key) = &sealed.key else { return Ok(None) };
    let Some(body) = sealed.bodies.iter().find(|b| b.kind == kind) else { return Ok(None) };
    let key: DataKey = ctx.master_key.open(sealed_key)?;
    let octets = match &body.place {
        BodyPlace::Inline(sealed) => sealed.clone(),
        BodyPlace::Object(name) => ctx
            .objects
            .get(name)
            .await?
            .ok_or_else(|| StoreError::Corrupt(format!("the object of message {} is gone", sealed.message.id)))?,
    };
    key.open(kind, octets).map(Some)
}

/// The outgoing body: reverse-path, recipient, then the message, so that one key guards all of it.
pub(crate) fn with_envelope(reverse_path: &ReversePath, recipient: &Mailbox, content: &[u8]) -> Vec<u8> {
    let reverse = reverse_path.as_ref().map(Mailbox::to_wire).unwrap_or_default();
    [reverse.as_bytes(), b"\n", recipient.to_wire().as_bytes(), b"\n", content].concat()
}

/// Takes it apart again.
pub(crate) fn split_envelope(body: &[u8]) -> Result<(ReversePath, Mailbox, &[u8]), StoreError> {
    let corrupt = || StoreError::Corrupt("an outgoing body has no envelope".to_owned());
    let mut parts = body.splitn(3, |b| *b == b'\n');
    let mut line = || parts.next().and_then(|p| std::str::from_utf8(p).ok()).map(str::to_owned);
    let (reverse, recipient) = (line().ok_or_else(corrupt)?, line().ok_or_else(corrupt)?);
    let content = parts.next().ok_or_else(corrupt)?;
    let reverse_path = if reverse.is_empty() { None } else { Some(Mailbox::parse(&reverse).map_err(|_| corrupt())?) };
    Ok((reverse_path, Mailbox::parse(&recipient).map_err(|_| corrupt())?, content))
}

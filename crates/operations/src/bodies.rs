//! Sealing bodies for a commit and opening them again.

use domain::{MessageId, Timestamp};
use mail::{Mailbox, ReversePath};
use serde::{Deserialize, Serialize};
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

/// What the writer asked to be told of a message (RFC 3461), kept with the envelope.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wishes {
    /// NOTIFY without FAILURE, or NEVER: not even of a failure.
    #[serde(default, skip_serializing_if = "is_false")]
    pub never: bool,
    /// NOTIFY=SUCCESS: also when the next server took it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub success: bool,
    /// NOTIFY=DELAY: also when it is still tried after hours.
    #[serde(default, skip_serializing_if = "is_false")]
    pub delay: bool,
    /// ENVID, by which the writer's program knows the transaction.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub envelope_id: Option<String>,
    /// ORCPT, the recipient as the writer's program knew it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub original_recipient: Option<String>,
}

// What programs call a recipient can be an address.
impl std::fmt::Debug for Wishes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wishes").field("never", &self.never).field("success", &self.success).finish_non_exhaustive()
    }
}

#[allow(clippy::trivially_copy_pass_by_ref)] // The serialiser's own shape.
fn is_false(value: &bool) -> bool {
    !value
}

/// The outgoing body: reverse-path, recipient with the writer's wishes behind it, then the message, so that one key
/// guards all of it.
pub(crate) fn with_envelope(reverse_path: &ReversePath, recipient: &Mailbox, wishes: &Wishes, content: &[u8]) -> Vec<u8> {
    let reverse = reverse_path.as_ref().map(Mailbox::to_wire).unwrap_or_default();
    let mut recipient = recipient.to_wire();
    if *wishes != Wishes::default()
        && let Ok(json) = serde_json::to_string(wishes)
    {
        // No address holds a tab, and JSON no line end.
        recipient = format!("{recipient}\t{json}");
    }
    [reverse.as_bytes(), b"\n", recipient.as_bytes(), b"\n", content].concat()
}

/// An outgoing body taken apart.
pub(crate) struct Envelope<'a> {
    pub(crate) reverse_path: ReversePath,
    pub(crate) recipient: Mailbox,
    pub(crate) wishes: Wishes,
    pub(crate) content: &'a [u8],
}

/// Takes it apart again.
pub(crate) fn split_envelope(body: &[u8]) -> Result<Envelope<'_>, StoreError> {
    let corrupt = || StoreError::Corrupt("an outgoing body has no envelope".to_owned());
    let mut parts = body.splitn(3, |b| *b == b'\n');
    let mut line = || parts.next().and_then(|p| std::str::from_utf8(p).ok()).map(str::to_owned);
    let (reverse, recipient) = (line().ok_or_else(corrupt)?, line().ok_or_else(corrupt)?);
    let content = parts.next().ok_or_else(corrupt)?;
    let reverse_path = if reverse.is_empty() { None } else { Some(Mailbox::parse(&reverse).map_err(|_| corrupt())?) };
    let (recipient, wishes) = recipient.split_once('\t').unwrap_or((&recipient, "{}"));
    let wishes = serde_json::from_str(wishes).map_err(|_| corrupt())?;
    Ok(Envelope { reverse_path, recipient: Mailbox::parse(recipient).map_err(|_| corrupt())?, wishes, content })
}

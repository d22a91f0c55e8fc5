//! One page behind one link: opened, and its button pressed.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Form;
use axum::extract::{FromRequest, Multipart, Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use domain::Role;
use operations::{
    AliasChange, Context, LinkAction, LinkPage, MarkInput, OperationError, SellerChoice, SendError, change_alias, choose, mark_message,
    open_link, resend, set_opt_out, unsubscribe,
};

use crate::view::{self, Done, SAVE, STOP, after, already, answer, ask, not_valid, unavailable};

/// What a form sent.
type Fields = HashMap<String, String>;

/// The one field of a one-click unsubscription (RFC 8058, section 3.1).
const ONE_CLICK: &str = "List-Unsubscribe";

/// Opens a link; changes nothing.
pub(crate) async fn show(State(ctx): State<Arc<Context>>, Path(secret): Path<String>, headers: HeaderMap) -> Response {
    match open_link(&ctx, &secret).await {
        Ok(Ok(link)) => answer(StatusCode::OK, ask(&ctx, &link)),
        Ok(Err(fault)) => not_valid(&ctx, fault, &headers),
        Err(error) => unavailable(&ctx, &headers, &error),
    }
}

/// The page without a link.
pub(crate) async fn front(State(ctx): State<Arc<Context>>, headers: HeaderMap) -> Response {
    view::front(&ctx, &headers)
}

/// Presses its button.
pub(crate) async fn act(State(ctx): State<Arc<Context>>, Path(secret): Path<String>, headers: HeaderMap, request: Request) -> Response {
    let link = match open_link(&ctx, &secret).await {
        Ok(Ok(link)) => link,
        Ok(Err(fault)) => return not_valid(&ctx, fault, &headers),
        Err(error) => return unavailable(&ctx, &headers, &error),
    };
    // A form that cannot be read is not an empty one: nothing ticked would be a choice.
    let done = match read_form(request).await {
        Some(fields) => carry_out(&ctx, &link, &fields).await,
        None => Err(Trouble::Foreign),
    };
    let (status, said) = match done {
        Ok(done) => return answer(StatusCode::OK, after(&ctx, &secret, &link, done).await),
        Err(Trouble::Said(said)) => (StatusCode::UNPROCESSABLE_ENTITY, said),
        Err(Trouble::Foreign) => (StatusCode::BAD_REQUEST, link.text(&ctx, "page_wrong_form", &[])),
        Err(Trouble::Broken) => (StatusCode::SERVICE_UNAVAILABLE, link.text(&ctx, "page_busy", &[])),
    };
    answer(status, view::fault(&ctx, &link, said))
}

/// The fields of a form; RFC 8058, section 3.1, lets a mail program send either media type.
async fn read_form(request: Request) -> Option<Fields> {
    /// Our own forms have three.
    const MAX_FIELDS: usize = 20;
    let media_type = request.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    if !media_type.to_ascii_lowercase().starts_with("multipart/form-data") {
        return Form::from_request(request, &()).await.ok().map(|Form(fields)| fields);
    }
    let mut parts = Multipart::from_request(request, &()).await.ok()?;
    let mut fields = Fields::new();
    while let Some(part) = parts.next_field().await.ok()? {
        if fields.len() >= MAX_FIELDS {
            return None;
        }
        let name = part.name()?.to_owned();
        fields.insert(name, part.text().await.ok()?);
    }
    Some(fields)
}

/// Why a button did nothing.
enum Trouble {
    /// The person can mend it.
    Said(String),
    /// It is not what a form of the page sends.
    Foreign,
    /// Not the person's fault.
    Broken,
}

impl From<OperationError> for Trouble {
    fn from(error: OperationError) -> Self {
        match error {
            // The page offers nothing that is not taken; another value was made up, or is no longer offered.
            OperationError::Invalid(_) => Self::Foreign,
            OperationError::Store(error) => {
                tracing::error!(%error, "the store failed a page");
                Self::Broken
            }
            // Their words are for programs.
            _ => Self::Broken,
        }
    }
}

/// Whether a form of this page sent it; another body that happens to tick nothing is no choice. A button alone may
/// come without any field.
fn is_own_form(link: &LinkPage, fields: &Fields) -> bool {
    let is_saved = fields.get("save").is_some_and(|value| value == SAVE);
    match link.action {
        LinkAction::SellerPreferences | LinkAction::BuyerPreferences | LinkAction::Unsubscribe => is_saved,
        LinkAction::NoResponse | LinkAction::SellerReport | LinkAction::BuyerReport | LinkAction::Resend => {
            is_saved || fields.is_empty() || fields.contains_key("reason")
        }
    }
}

/// Whether it ends unsolicited mail: pressed on our page, or sent by a mail program for its reader (RFC 8058,
/// section 3.1), where there is no cookie and no page in between.
fn is_stop(link: &LinkPage, fields: &Fields) -> bool {
    let is = |name: &str, expected: &str| fields.get(name).is_some_and(|value| value == expected);
    link.action == LinkAction::Unsubscribe && (is(ONE_CLICK, "One-Click") || is("save", STOP))
}

/// Does what the link is for; gives what to say.
async fn carry_out(ctx: &Context, link: &LinkPage, fields: &Fields) -> Result<Done, Trouble> {
    if is_stop(link, fields) {
        unsubscribe(ctx, link).await?;
        return Ok(Done::Stopped);
    }
    if let Some(said) = already(ctx, link) {
        return Ok(Done::Said(said));
    }
    if !is_own_form(link, fields) {
        return Err(Trouble::Foreign);
    }
    let id = link.message;
    let say = |key: &str| link.text(ctx, key, &[("date", link.written.as_str())]);
    let has = |name: &str| fields.contains_key(name);
    match link.action {
        LinkAction::NoResponse => {
            mark_message(ctx, id, Role::Seller, MarkInput::NoResponse).await?;
            Ok(Done::Said(say("page_no_response_done")))
        }
        LinkAction::SellerReport | LinkAction::BuyerReport => {
            let by = if link.action == LinkAction::SellerReport { Role::Seller } else { Role::Buyer };
            let reason = fields.get("reason").cloned().unwrap_or_default();
            if !link.report_reasons.iter().any(|(id, _)| *id == reason) {
                return Err(Trouble::Said(say("page_report_missing")));
            }
            mark_message(ctx, id, by, MarkInput::Report { reason }).await?;
            Ok(Done::Said(say("page_report_done")))
        }
        LinkAction::SellerPreferences => {
            choose(ctx, link.seller, None, &SellerChoice::NotifyBlocked(has("blocked_by_buyer"))).await?;
            Ok(Done::Saved)
        }
        LinkAction::BuyerPreferences | LinkAction::Unsubscribe => {
            if has("opted_out") != link.opted_out {
                set_opt_out(ctx, link.buyer, has("opted_out")).await?;
            }
            if !link.is_retired && has("closed") != link.is_closed {
                let change = if has("closed") { AliasChange::Close } else { AliasChange::Open };
                change_alias(ctx, link.pair, change).await?;
            }
            Ok(Done::Saved)
        }
        LinkAction::Resend => {
            let reason = fields.get("reason").map(String::as_str).filter(|r| !r.is_empty());
            match resend(ctx, id, reason).await {
                Ok(()) => Ok(Done::Said(say("page_resend_done"))),
                Err(SendError::Operation(error)) => Err(error.into()),
                Err(SendError::Refused(refused)) => Err(Trouble::Said(refused.remedy.map(|told| told.text).unwrap_or_default())),
            }
        }
    }
}

//! A seller writes: with a reason about an order, or as a reply; what would be decided, and both copies before it
//! is sent.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::message::Author;
use domain::policy::{OrderFacts, offers};
use domain::{ConversationId, MessageId, Order, Role};
use operations::{About, Copy, Once, TemplateInput, Written, WrittenInput};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::ApiState;
use crate::native::decisions::{DecisionShape, ToldShape};
use crate::native::parties::marketplace_id;
use crate::native::record::{parse_id, visible_conversation};
use crate::native::shapes::MessageShape;
use crate::native::{Json, Query};
use crate::problem::Problem;
use crate::token::Caller;

/// Longest idempotency key, in octets.
const MAX_KEY: usize = 255;

/// What a seller writes.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WriteMessage {
    /// Contact reason, such as `customization`; the template's, or `other`, when absent.
    reason: Option<String>,
    /// Template to fill in.
    template: Option<WriteTemplate>,
    /// Subject; made from template or reason when absent.
    subject: Option<String>,
    /// Text of your own, behind that of the template.
    text: Option<String>,
}

/// A template and its fields.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WriteTemplate {
    /// Its id.
    id: String,
    /// Values by field.
    #[serde(default)]
    fields: BTreeMap<String, String>,
}

impl From<WriteMessage> for WrittenInput {
    fn from(m: WriteMessage) -> Self {
        let template = m.template.map(|t| TemplateInput { id: t.id, fields: t.fields });
        Self { reason: m.reason, template, subject: m.subject, text: m.text }
    }
}

/// One side's copy.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CopyShape {
    /// Language of the template's text; what you wrote yourself goes as it is.
    language: String,
    /// Subject.
    subject: String,
    /// Text.
    text: String,
}

impl From<Copy> for CopyShape {
    fn from(c: Copy) -> Self {
        Self { language: c.language, subject: c.subject, text: c.text }
    }
}

/// Both copies of a message.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PreviewShape {
    /// Contact reason.
    reason: String,
    /// What you read.
    seller: CopyShape,
    /// What the buyer reads.
    buyer: CopyShape,
    /// Whether the template does not exist in the buyer's language, so that another was taken.
    fell_back: bool,
}

impl From<Written> for PreviewShape {
    fn from(w: Written) -> Self {
        Self { reason: w.reason, seller: w.seller.into(), buyer: w.buyer.into(), fell_back: w.fell_back }
    }
}

/// A message that was sent.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SentShape {
    /// Its id.
    id: String,
    /// The message; absent if it could not be read back just now.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<MessageShape>,
    /// Both copies; absent when an idempotency key repeats an earlier request.
    #[serde(skip_serializing_if = "Option::is_none")]
    copies: Option<PreviewShape>,
    /// What was decided; absent likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<DecisionShape>,
}

/// A contact reason for an order.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ReasonShape {
    /// Its id.
    id: String,
    /// Its name in your language.
    name: String,
    /// The action of the Selling Partner API that means it.
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<String>,
    /// Whether it passes a buyer's opt-out.
    critical: bool,
    /// Whether you may write text of your own.
    free_text: bool,
    /// Whether it can be used for this order now.
    offered: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    unavailable: Option<ToldShape>,
}

/// Contact reasons of an order.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Reasons {
    /// Every reason, offered or with the cause why not.
    items: Vec<ReasonShape>,
}

/// A template as a seller picks it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TemplateShape {
    /// Its id.
    id: String,
    /// The contact reason that it is for.
    reason: String,
    /// Language of what follows.
    language: String,
    /// What it is called.
    title: String,
    /// Subject with `{fields}`.
    subject: String,
    /// Text with `{fields}`.
    body: String,
    /// Fields to fill in; the others fill themselves.
    fields: Vec<String>,
}

/// Templates.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Templates {
    /// By id.
    items: Vec<TemplateShape>,
}

/// Which templates, in which language.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TemplatesQuery {
    /// Only for this contact reason.
    reason: Option<String>,
    /// Language tag; the marketplace's when absent.
    locale: Option<String>,
}

/// List the contact reasons of an order
///
/// Which are offered depends on the order's status and items; the others say why they are not.
#[utoipa::path(get, path = "/api/v1/marketplaces/{marketplace}/orders/{id}/reasons",
    params(("marketplace" = String, Path, description = "Id of the marketplace"), ("id" = String, Path, description = "The shop's id of the order")),
    responses((status = 200, body = Reasons), (status = 404, body = Problem)))]
pub(crate) async fn list_reasons(
    State(state): State<ApiState>,
    caller: Caller,
    Path((marketplace, id)): Path<(String, String)>,
) -> Result<axum::Json<Reasons>, Problem> {
    let order = visible_order(&state, &caller, &marketplace, &id).await?;
    let ctx = &state.ctx;
    let missing = || Problem::missing("order");
    let settings = ctx.settings.by_id(&order.marketplace).ok_or_else(missing)?;
    let seller = ctx.store.find_seller(order.seller).await?.ok_or_else(missing)?;
    let used = operations::used_reasons(ctx, &order).await?;
    let (facts, locale) = (OrderFacts::from(&order), seller.locale.as_str());
    let items = offers(&settings.rules, Some(&facts), |id| used.iter().any(|u| u == id), ctx.clock.now()).map(|offer| ReasonShape {
        name: ctx.settings.texts.name_of(locale, "reason", &offer.reason.id),
        unavailable: offer
            .unavailable
            .map(|u| ToldShape { code: u.as_str(), text: ctx.text(locale, &format!("unavailable_{}", u.as_str()), &[]) }),
        id: offer.reason.id.clone(),
        action: offer.reason.action.clone(),
        critical: offer.reason.critical,
        free_text: offer.reason.free_text,
        offered: offer.unavailable.is_none(),
    });
    Ok(axum::Json(Reasons { items: items.collect() }))
}

/// List the templates
///
/// In the language asked for, or the nearest that has the template.
#[utoipa::path(get, path = "/api/v1/marketplaces/{marketplace}/templates",
    params(("marketplace" = String, Path, description = "Id of the marketplace"), TemplatesQuery),
    responses((status = 200, body = Templates), (status = 404, body = Problem)))]
pub(crate) async fn list_templates(
    State(state): State<ApiState>,
    _caller: Caller,
    Path(marketplace): Path<String>,
    Query(query): Query<TemplatesQuery>,
) -> Result<axum::Json<Templates>, Problem> {
    let id = marketplace_id(&marketplace)?;
    let settings = state.ctx.settings.by_id(&id).ok_or_else(|| Problem::missing("marketplace"))?;
    let locale = query.locale.unwrap_or_else(|| settings.locale.clone());
    let texts = &state.ctx.settings.texts;
    let wanted = |reason: &str| query.reason.as_deref().is_none_or(|r| r == reason);
    // What the service sends by itself is no seller's to pick.
    let picked = |reason: &str| settings.rules.reason(reason).is_some();
    let items = texts.template_ids().into_iter().filter(|(_, reason)| wanted(reason) && picked(reason)).filter_map(|(id, _)| {
        let (language, t) = texts.template(id, &locale, &settings.locale)?;
        Some(TemplateShape {
            id: id.to_owned(),
            reason: t.reason.clone(),
            language: language.to_owned(),
            title: t.title.clone(),
            subject: t.subject.clone(),
            body: t.body.clone(),
            fields: t.fields.clone(),
        })
    });
    Ok(axum::Json(Templates { items: items.collect() }))
}

/// Show both copies of a message before it is sent
///
/// The buyer's copy in the buyer's language, yours in yours.
#[utoipa::path(post, path = "/api/v1/marketplaces/{marketplace}/orders/{id}/messages:preview", request_body = WriteMessage,
    params(("marketplace" = String, Path, description = "Id of the marketplace"), ("id" = String, Path, description = "The shop's id of the order")),
    responses((status = 200, body = PreviewShape), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn preview(
    State(state): State<ApiState>,
    caller: Caller,
    Path((marketplace, id)): Path<(String, String)>,
    Json(input): Json<WriteMessage>,
) -> Result<axum::Json<PreviewShape>, Problem> {
    let about = about_order(&visible_order(&state, &caller, &marketplace, &id).await?);
    Ok(axum::Json(operations::preview_message(&state.ctx, &about, &input.into()).await?.into()))
}

/// Ask what would be decided of a message about an order
///
/// A dry run: nothing is sent or kept.
#[utoipa::path(post, path = "/api/v1/marketplaces/{marketplace}/orders/{id}/messages:decide", request_body = WriteMessage,
    params(("marketplace" = String, Path, description = "Id of the marketplace"), ("id" = String, Path, description = "The shop's id of the order")),
    responses((status = 200, body = DecisionShape), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn decide(
    State(state): State<ApiState>,
    caller: Caller,
    Path((marketplace, id)): Path<(String, String)>,
    Json(input): Json<WriteMessage>,
) -> Result<axum::Json<DecisionShape>, Problem> {
    let about = about_order(&visible_order(&state, &caller, &marketplace, &id).await?);
    Ok(axum::Json(operations::decide_message(&state.ctx, &about, &input.into()).await?.into()))
}

/// Write to the buyer about an order
///
/// Begins a conversation with a contact reason. What the rules refuse is answered at once, with the rule and the
/// remedy, and kept nowhere. Send an `Idempotency-Key` so that a repeated request sends one message.
#[utoipa::path(post, path = "/api/v1/marketplaces/{marketplace}/orders/{id}/messages", request_body = WriteMessage,
    params(("marketplace" = String, Path, description = "Id of the marketplace"), ("id" = String, Path, description = "The shop's id of the order"),
        ("Idempotency-Key" = Option<String>, Header, description = "Sends one message however often it is repeated")),
    responses((status = 201, body = SentShape), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn start(
    State(state): State<ApiState>,
    caller: Caller,
    Path((marketplace, id)): Path<(String, String)>,
    headers: HeaderMap,
    Json(input): Json<WriteMessage>,
) -> Result<Response, Problem> {
    let about = about_order(&visible_order(&state, &caller, &marketplace, &id).await?);
    send(&state, &about, input.into(), once(&caller, &headers)?).await
}

/// Ask for a review of an order
///
/// The one standard request: once per order, 5 to 30 days after delivery, in the buyer's language.
#[utoipa::path(post, path = "/api/v1/marketplaces/{marketplace}/orders/{id}/solicitation",
    params(("marketplace" = String, Path, description = "Id of the marketplace"), ("id" = String, Path, description = "The shop's id of the order"),
        ("Idempotency-Key" = Option<String>, Header, description = "Sends one message however often it is repeated")),
    responses((status = 201, body = SentShape), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn solicit(
    State(state): State<ApiState>,
    caller: Caller,
    Path((marketplace, id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let about = about_order(&visible_order(&state, &caller, &marketplace, &id).await?);
    let template = TemplateInput { id: "review_request".to_owned(), fields: BTreeMap::new() };
    let input = WrittenInput { template: Some(template), ..WrittenInput::default() };
    send(&state, &about, input, once(&caller, &headers)?).await
}

/// Reply in a conversation
///
/// Give the ETag of the conversation as `If-Match`, so that two colleagues do not answer at once.
#[utoipa::path(post, path = "/api/v1/conversations/{conversation}/messages", request_body = WriteMessage,
    params(("conversation" = String, Path, description = "Id of the conversation"),
        ("If-Match" = Option<String>, Header, description = "ETag of the conversation as you read it"),
        ("Idempotency-Key" = Option<String>, Header, description = "Sends one message however often it is repeated")),
    responses((status = 201, body = SentShape), (status = 404, body = Problem), (status = 412, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn reply(
    State(state): State<ApiState>,
    caller: Caller,
    Path(conversation): Path<String>,
    headers: HeaderMap,
    Json(input): Json<WriteMessage>,
) -> Result<Response, Problem> {
    let id = visible_conversation(&state, &caller, &conversation).await?.id;
    let about = About::Conversation { id, seen_messages: if_match(&headers)? };
    send(&state, &about, input.into(), once(&caller, &headers)?).await
}

/// Ask what would be decided of a reply
///
/// A dry run: nothing is sent or kept.
#[utoipa::path(post, path = "/api/v1/conversations/{conversation}/messages:decide", request_body = WriteMessage,
    params(("conversation" = String, Path, description = "Id of the conversation")),
    responses((status = 200, body = DecisionShape), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn decide_reply(
    State(state): State<ApiState>,
    caller: Caller,
    Path(conversation): Path<String>,
    Json(input): Json<WriteMessage>,
) -> Result<axum::Json<DecisionShape>, Problem> {
    let id: ConversationId = visible_conversation(&state, &caller, &conversation).await?.id;
    let about = About::Conversation { id, seen_messages: None };
    Ok(axum::Json(operations::decide_message(&state.ctx, &about, &input.into()).await?.into()))
}

async fn send(state: &ApiState, about: &About, input: WrittenInput, once: Option<Once>) -> Result<Response, Problem> {
    let sent = operations::send_message(&state.ctx, about, &input, once.as_ref()).await?;
    // It is sent: whatever fails from here on must not say otherwise.
    let message = operations::open_message(&state.ctx, sent.id).await.ok().flatten();
    let shape = SentShape {
        id: sent.id.to_string(),
        message: message.map(MessageShape::from),
        copies: sent.written.map(PreviewShape::from),
        decision: sent.decided.map(DecisionShape::from),
    };
    let mut response = (StatusCode::CREATED, axum::Json(shape)).into_response();
    if let Ok(place) = HeaderValue::from_str(&format!("/api/v1/messages/{}", sent.id)) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    Ok(response)
}

/// Get the decision on a message
///
/// The entry of the ledger as it was hashed: facts, every rule that ran, the outcome, the remedy. A seller sees of a
/// buyer's message what each rule said, not what it looked at.
#[utoipa::path(get, path = "/api/v1/messages/{message}/decision", params(("message" = String, Path, description = "Id of the message")),
    responses((status = 200, description = "The canonical entry", content_type = "application/json"), (status = 404, body = Problem)))]
pub(crate) async fn get_decision(State(state): State<ApiState>, caller: Caller, Path(message): Path<String>) -> Result<Response, Problem> {
    let id: MessageId = parse_id(&message, "message")?;
    let missing = || Problem::missing("message");
    let found = state.ctx.store.find_message(id, &[]).await?.filter(|m| caller.may_see(m.message.seller));
    let is_buyers = found.ok_or_else(missing)?.message.author == Author::Party(Role::Buyer);
    let entry = operations::find_decision(&state.ctx, id).await?.ok_or_else(missing)?;
    let entry = if is_buyers && caller.seller().is_some() { outline(&entry) } else { entry };
    Ok(([(header::CONTENT_TYPE, "application/json")], entry).into_response())
}

/// What a seller is told of the decision on a buyer's message: what each rule said, not what it looked at (B3).
fn outline(entry: &str) -> String {
    let whole: Value = serde_json::from_str(entry).unwrap_or_default();
    let rules = whole["decision"]["rules"].as_array().into_iter().flatten();
    let rules: Vec<Value> = rules.map(|r| json!({ "rule": r["rule"], "result": r["result"] })).collect();
    let decision = json!({ "outcome": whole["decision"]["outcome"], "rule_set": whole["decision"]["rule_set"], "rules": rules });
    json!({ "at": whole["at"], "decision": decision, "kind": whole["kind"], "message": whole["message"] }).to_string()
}

fn about_order(order: &Order) -> About {
    About::Order { pair: order.pair, order: order.id }
}

/// An order that the caller may see, by the shop's id.
pub(crate) async fn visible_order(state: &ApiState, caller: &Caller, marketplace: &str, id: &str) -> Result<Order, Problem> {
    let order = state.ctx.store.find_order(&marketplace_id(marketplace)?, id).await?;
    order.filter(|o| caller.may_see(o.seller)).ok_or_else(|| Problem::missing("order"))
}

/// The idempotency key of a request.
fn once(caller: &Caller, headers: &HeaderMap) -> Result<Option<Once>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    match value.to_str() {
        Ok(key) if (1..=MAX_KEY).contains(&key.len()) => Ok(Some(Once { key: key.to_owned(), caller: caller.name() })),
        _ => Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "invalid_idempotency_key",
            "an idempotency key has 1 to 255 visible ASCII characters",
        )),
    }
}

/// The number of messages that the ETag of a conversation stands for.
fn if_match(headers: &HeaderMap) -> Result<Option<i64>, Problem> {
    let Some(tag) = entity_tag(headers) else { return Ok(None) };
    let number = tag.strip_prefix('m').and_then(|n| n.parse().ok());
    let wrong = || Problem::new(StatusCode::BAD_REQUEST, "invalid_etag", "If-Match is the ETag of the conversation as it was given");
    number.map(Some).ok_or_else(wrong)
}

/// The tag of If-Match (RFC 9110, section 13.1.1) without quotes; `*` asks for nothing, and a proxy that compresses
/// may have made it a weak one.
pub(crate) fn entity_tag(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::IF_MATCH)?.to_str().unwrap_or("none of ours").trim();
    (value != "*").then(|| value.trim_start_matches("W/").trim_matches('"').to_owned())
}

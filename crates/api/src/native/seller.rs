//! What a seller says about messages and chooses for itself: no response needed, reports, figures, preferences,
//! senders, shipments.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use domain::message::Mark;
use domain::{Role, Seller, SellerId, Timestamp};
use operations::{MarkInput, ResponseFigures, SellerChoice, ShipmentInput};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::ApiState;
use crate::native::messages::{entity_tag, visible_order};
use crate::native::parties::marketplace_id;
use crate::native::record::{invalid_id, limit, parse_id};
use crate::native::shapes::{Page, instant, read_instant};
use crate::native::{Json, Query};
use crate::problem::Problem;
use crate::token::Caller;

/// A mark on a message.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MarkShape {
    /// The message.
    message: String,
    /// `no_response` or `reported`.
    kind: &'static str,
    /// When it was set first.
    at: String,
    /// Why it was reported.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl From<Mark> for MarkShape {
    fn from(m: Mark) -> Self {
        Self { message: m.message.to_string(), kind: m.kind.as_str(), at: instant(m.at), reason: m.reason }
    }
}

/// A report.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Report {
    /// Why: `spam`, `abusive`, `contact_outside`, `fraud`, `prohibited`, `other`, or what the operator's rules name.
    reason: String,
}

/// Mark a buyer's message as needing no response
///
/// It leaves the response figures. Marking it twice changes nothing.
#[utoipa::path(post, path = "/api/v1/messages/{message}/no-response", params(("message" = String, Path, description = "Id of the message")),
    responses((status = 200, body = MarkShape), (status = 404, body = Problem)))]
pub(crate) async fn no_response(
    State(state): State<ApiState>,
    caller: Caller,
    Path(message): Path<String>,
) -> Result<axum::Json<MarkShape>, Problem> {
    mark(&state, &caller, &message, MarkInput::NoResponse).await
}

/// Report a buyer's message
///
/// It stays where it is, leaves the response figures and need not be answered.
#[utoipa::path(post, path = "/api/v1/messages/{message}/report", request_body = Report,
    params(("message" = String, Path, description = "Id of the message")),
    responses((status = 200, body = MarkShape), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn report(
    State(state): State<ApiState>,
    caller: Caller,
    Path(message): Path<String>,
    Json(input): Json<Report>,
) -> Result<axum::Json<MarkShape>, Problem> {
    mark(&state, &caller, &message, MarkInput::Report { reason: input.reason }).await
}

async fn mark(state: &ApiState, caller: &Caller, message: &str, input: MarkInput) -> Result<axum::Json<MarkShape>, Problem> {
    let id = parse_id(message, "message")?;
    let found = state.ctx.store.find_message(id, &[]).await?.filter(|m| caller.may_see(m.message.seller));
    found.ok_or_else(|| Problem::missing("message"))?;
    Ok(axum::Json(operations::mark_message(&state.ctx, id, Role::Seller, input).await?.into()))
}

/// Which window.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct FiguresQuery {
    /// 7, 30 or 90 days of the marketplace, today included; 30 when absent.
    days: Option<u32>,
}

/// Which window, and which page of it.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct FiguresPageQuery {
    /// 7, 30 or 90 days; 30 when absent.
    days: Option<u32>,
    /// `next` of the page before.
    after: Option<String>,
    /// At most so many, 1 to 200; 50 when absent.
    limit: Option<usize>,
}

/// Response figures.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FiguresShape {
    /// Days of the window.
    days: u32,
    /// Its first instant: midnight on the marketplace.
    since: String,
    /// Its last.
    until: String,
    /// Messages of buyers that count: each begins a turn.
    counted: u64,
    /// Answered within 24 hours.
    in_time: u64,
    /// Answered later.
    late: u64,
    /// Not answered within 24 hours and not since.
    unanswered: u64,
    /// Still within their 24 hours: counted nowhere yet.
    pending: u64,
    /// Left out: marked, reported or automatic.
    left_out: u64,
    /// Per cent of the counted that were answered within 24 hours; absent where none counts.
    #[serde(skip_serializing_if = "Option::is_none")]
    in_time_percent: Option<f64>,
    /// Average time to the answer, in seconds, of those that were answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    average_seconds: Option<u64>,
}

impl From<&ResponseFigures> for FiguresShape {
    fn from(r: &ResponseFigures) -> Self {
        let f = &r.figures;
        #[allow(clippy::cast_precision_loss)] // Far below 2^53.
        let percent = |part: u64, whole: u64| (part as f64 * 1000.0 / whole as f64).round() / 10.0;
        Self {
            days: r.days,
            since: instant(r.since),
            until: instant(r.until),
            counted: f.counted(),
            in_time: f.in_time,
            late: f.late,
            unanswered: f.unanswered,
            pending: f.pending,
            left_out: f.left_out,
            in_time_percent: (f.counted() > 0).then(|| percent(f.in_time, f.counted())),
            average_seconds: f.average().map(|a| a.as_secs()),
        }
    }
}

/// A buyer's message and why it counts or not.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct JudgedShape {
    /// The message.
    message: String,
    /// Its conversation.
    conversation: String,
    /// When it was accepted.
    at: String,
    /// Whether it counts.
    counts: bool,
    /// `answered_in_time`, `answered_late`, `unanswered`, `pending`, `same_turn`, `no_response_needed`, `reported`, `automatic`.
    why: &'static str,
    /// Seconds until the answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    answered_after_seconds: Option<u64>,
}

/// Get the response figures of a seller
#[utoipa::path(get, path = "/api/v1/marketplaces/{marketplace}/sellers/{id}/figures",
    params(("marketplace" = String, Path, description = "Id of the marketplace"), ("id" = String, Path, description = "The shop's id of the seller"), FiguresQuery),
    responses((status = 200, body = FiguresShape), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn figures(
    State(state): State<ApiState>,
    caller: Caller,
    Path((marketplace, id)): Path<(String, String)>,
    Query(query): Query<FiguresQuery>,
) -> Result<axum::Json<FiguresShape>, Problem> {
    let seller = visible_seller(&state, &caller, &marketplace, &id).await?;
    let figures = operations::response_figures(&state.ctx, seller.id, query.days.unwrap_or(30)).await?;
    Ok(axum::Json(FiguresShape::from(&figures)))
}

/// List the messages behind the response figures
///
/// Every message of a buyer in the window, with why it counts or not.
#[utoipa::path(get, path = "/api/v1/marketplaces/{marketplace}/sellers/{id}/figures/messages",
    params(("marketplace" = String, Path, description = "Id of the marketplace"), ("id" = String, Path, description = "The shop's id of the seller"), FiguresPageQuery),
    responses((status = 200, body = Page<JudgedShape>), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn figures_messages(
    State(state): State<ApiState>,
    caller: Caller,
    Path((marketplace, id)): Path<(String, String)>,
    Query(query): Query<FiguresPageQuery>,
) -> Result<axum::Json<Page<JudgedShape>>, Problem> {
    let seller = visible_seller(&state, &caller, &marketplace, &id).await?;
    let after = query.after.as_deref().map(|id| parse_id(id, "after")).transpose()?;
    let limit = limit(query.limit)?;
    let figures = operations::response_figures(&state.ctx, seller.id, query.days.unwrap_or(30)).await?;
    let begin = match after {
        Some(after) => figures.messages.iter().position(|m| m.id == after).ok_or_else(|| invalid_id("after"))? + 1,
        None => 0,
    };
    let page = figures.messages.iter().skip(begin).take(limit + 1).map(|m| JudgedShape {
        message: m.id.to_string(),
        conversation: m.conversation.to_string(),
        at: instant(m.at),
        counts: m.standing.counts(),
        why: m.standing.as_str(),
        answered_after_seconds: m.standing.answered_after().map(|a| a.as_secs()),
    });
    Ok(axum::Json(Page::cut(page.collect(), limit, |m| m.message.clone())))
}

/// Which notices a seller receives.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Preferences {
    /// Notices by e-mail.
    notices: Notices,
}

/// Notices by e-mail.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Notices {
    /// "Blocked by buyer": when a buyer's opt-out stops a message.
    blocked_by_buyer: bool,
}

/// Get a seller's preferences
///
/// The ETag is for `If-Match` when they are put.
#[utoipa::path(get, path = "/api/v1/marketplaces/{marketplace}/sellers/{id}/preferences",
    params(("marketplace" = String, Path, description = "Id of the marketplace"), ("id" = String, Path, description = "The shop's id of the seller")),
    responses((status = 200, body = Preferences), (status = 404, body = Problem)))]
pub(crate) async fn get_preferences(
    State(state): State<ApiState>,
    caller: Caller,
    Path((marketplace, id)): Path<(String, String)>,
) -> Result<Response, Problem> {
    Ok(preferences(&visible_seller(&state, &caller, &marketplace, &id).await?))
}

/// Put a seller's preferences
#[utoipa::path(put, path = "/api/v1/marketplaces/{marketplace}/sellers/{id}/preferences", request_body = Preferences,
    params(("marketplace" = String, Path, description = "Id of the marketplace"), ("id" = String, Path, description = "The shop's id of the seller"),
        ("If-Match" = Option<String>, Header, description = "ETag as you read it; another change since then is answered with 412")),
    responses((status = 200, body = Preferences), (status = 404, body = Problem), (status = 412, body = Problem)))]
pub(crate) async fn put_preferences(
    State(state): State<ApiState>,
    caller: Caller,
    Path((marketplace, id)): Path<(String, String)>,
    headers: HeaderMap,
    Json(input): Json<Preferences>,
) -> Result<Response, Problem> {
    let seller = visible_seller(&state, &caller, &marketplace, &id).await?;
    // A tag that cannot be ours matches no version.
    let seen = entity_tag(&headers).map(|tag| tag.strip_prefix('v').and_then(|n| n.parse().ok()).unwrap_or(-1));
    let choice = SellerChoice::NotifyBlocked(input.notices.blocked_by_buyer);
    Ok(preferences(&operations::choose(&state.ctx, seller.id, seen, &choice).await?))
}

fn preferences(seller: &Seller) -> Response {
    let body = Preferences { notices: Notices { blocked_by_buyer: seller.notify_blocked } };
    let mut response = axum::Json(body).into_response();
    if let Ok(tag) = HeaderValue::from_str(&format!("\"v{}\"", seller.version)) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// An address from which a seller writes.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sender {
    /// The address.
    email: String,
    /// `registered`, `customer_service`, `operator` (approved by it) or `seller` (put by the seller); not for input.
    #[serde(default, skip_deserializing)]
    source: String,
}

/// Addresses from which a seller writes.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Senders {
    /// Each once.
    items: Vec<Sender>,
}

impl From<&Seller> for Senders {
    fn from(s: &Seller) -> Self {
        let source = |w: &mail::Mailbox| {
            let is = |m: &mail::Mailbox| m.canonical() == w.canonical();
            if is(&s.email) {
                "registered"
            } else if is(&s.customer_service_email) {
                "customer_service"
            } else if s.approved_senders.iter().any(is) {
                "operator"
            } else {
                "seller"
            }
        };
        Self { items: s.writers().into_iter().map(|w| Sender { email: w.to_wire(), source: source(w).to_owned() }).collect() }
    }
}

/// List the addresses from which a seller writes
#[utoipa::path(get, path = "/api/v1/marketplaces/{marketplace}/sellers/{id}/senders",
    params(("marketplace" = String, Path, description = "Id of the marketplace"), ("id" = String, Path, description = "The shop's id of the seller")),
    responses((status = 200, body = Senders), (status = 404, body = Problem)))]
pub(crate) async fn list_senders(
    State(state): State<ApiState>,
    caller: Caller,
    Path((marketplace, id)): Path<(String, String)>,
) -> Result<axum::Json<Senders>, Problem> {
    Ok(axum::Json(Senders::from(&visible_seller(&state, &caller, &marketplace, &id).await?)))
}

/// Add an address from which a seller writes
///
/// Mail from it counts only when SPF or DKIM proves that it comes from there. Adding it twice changes nothing.
#[utoipa::path(post, path = "/api/v1/marketplaces/{marketplace}/sellers/{id}/senders", request_body = Sender,
    params(("marketplace" = String, Path, description = "Id of the marketplace"), ("id" = String, Path, description = "The shop's id of the seller")),
    responses((status = 200, body = Senders), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn add_sender(
    State(state): State<ApiState>,
    caller: Caller,
    Path((marketplace, id)): Path<(String, String)>,
    Json(input): Json<Sender>,
) -> Result<axum::Json<Senders>, Problem> {
    change_senders(&state, &caller, (&marketplace, &id), SellerChoice::AddSender(input.email)).await
}

/// Remove an address that the seller added
///
/// The address stands in the body, so that no proxy writes it to its log.
#[utoipa::path(delete, path = "/api/v1/marketplaces/{marketplace}/sellers/{id}/senders", request_body = Sender,
    params(("marketplace" = String, Path, description = "Id of the marketplace"), ("id" = String, Path, description = "The shop's id of the seller")),
    responses((status = 200, body = Senders), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn remove_sender(
    State(state): State<ApiState>,
    caller: Caller,
    Path((marketplace, id)): Path<(String, String)>,
    Json(input): Json<Sender>,
) -> Result<axum::Json<Senders>, Problem> {
    change_senders(&state, &caller, (&marketplace, &id), SellerChoice::RemoveSender(input.email)).await
}

async fn change_senders(
    state: &ApiState,
    caller: &Caller,
    (marketplace, id): (&str, &str),
    choice: SellerChoice,
) -> Result<axum::Json<Senders>, Problem> {
    let seller = visible_seller(state, caller, marketplace, id).await?;
    Ok(axum::Json(Senders::from(&operations::choose(&state.ctx, seller.id, None, &choice).await?)))
}

/// A shipment.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Shipment {
    /// Who carries it.
    carrier: String,
    /// Number by which it is followed.
    tracking_number: String,
    /// https:// address on which it is followed.
    tracking_url: Option<String>,
    /// When it was handed over; now when absent.
    #[serde(default, deserialize_with = "read_instant")]
    #[schema(value_type = Option<String>)]
    shipped_at: Option<Timestamp>,
}

/// What is known of a shipment.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ShipmentShape {
    /// The shop's id of the order.
    order: String,
    /// Its status now.
    status: &'static str,
    /// When it was handed over.
    #[serde(skip_serializing_if = "Option::is_none")]
    shipped_at: Option<String>,
}

/// Confirm a shipment
///
/// The order is shipped, and the buyer gets the shipping notice with tracking in the buyer's language, once for
/// each tracking number.
#[utoipa::path(post, path = "/api/v1/marketplaces/{marketplace}/orders/{id}/shipment", request_body = Shipment,
    params(("marketplace" = String, Path, description = "Id of the marketplace"), ("id" = String, Path, description = "The shop's id of the order")),
    responses((status = 200, body = ShipmentShape), (status = 404, body = Problem), (status = 409, body = Problem), (status = 422, body = Problem)))]
pub(crate) async fn confirm_shipment(
    State(state): State<ApiState>,
    caller: Caller,
    Path((marketplace, id)): Path<(String, String)>,
    Json(input): Json<Shipment>,
) -> Result<axum::Json<ShipmentShape>, Problem> {
    visible_order(&state, &caller, &marketplace, &id).await?;
    let Shipment { carrier, tracking_number, tracking_url, shipped_at } = input;
    let input = ShipmentInput { carrier, tracking_number, tracking_url, shipped_at };
    let order = operations::confirm_shipment(&state.ctx, &marketplace_id(&marketplace)?, &id, &input).await?;
    let shape = ShipmentShape { order: order.shop_id, status: order.status.as_str(), shipped_at: order.shipped_at.map(instant) };
    Ok(axum::Json(shape))
}

async fn visible_seller(state: &ApiState, caller: &Caller, marketplace: &str, id: &str) -> Result<Seller, Problem> {
    let id = SellerId::of(&marketplace_id(marketplace)?, id);
    let missing = || Problem::missing("seller");
    if !caller.may_see(id) {
        return Err(missing());
    }
    state.ctx.store.find_seller(id).await?.ok_or_else(missing)
}

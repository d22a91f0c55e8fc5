//! The native API, `/api/v1`.

mod aliases;
mod decisions;
mod messages;
mod orders;
mod parties;
mod record;
mod seller;
mod shapes;

use axum::extract::{FromRequest, FromRequestParts};
use utoipa::OpenApi;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub(crate) use decisions::DecisionShape;

use crate::ApiState;
use crate::problem::Problem;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Tradepost API",
        description = "Put sellers, buyers and orders; read pairs, conversations, messages and the ledger. Every call carries a bearer token. Errors are application/problem+json with a stable code and the remedy."
    ),
    modifiers(&Bearer),
    security(("token" = []))
)]
struct Document;

struct Bearer;

impl utoipa::Modify for Bearer {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scheme = SecurityScheme::Http(HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build());
        openapi.components.get_or_insert_default().add_security_scheme("token", scheme);
    }
}

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(parties::put_seller))
        .routes(routes!(parties::put_buyer))
        .routes(routes!(orders::put_order))
        .routes(routes!(record::list_pairs))
        .routes(routes!(aliases::close_alias, aliases::open_alias))
        .routes(routes!(aliases::retire_aliases))
        .routes(routes!(record::list_conversations))
        .routes(routes!(record::get_conversation))
        .routes(routes!(record::list_messages))
        .routes(routes!(record::get_message))
        .routes(routes!(record::list_ledger))
        .routes(routes!(messages::list_reasons))
        .routes(routes!(messages::list_templates))
        .routes(routes!(messages::preview))
        .routes(routes!(messages::decide))
        .routes(routes!(messages::start))
        .routes(routes!(messages::solicit))
        .routes(routes!(messages::reply))
        .routes(routes!(messages::decide_reply))
        .routes(routes!(messages::get_decision))
        .routes(routes!(seller::no_response))
        .routes(routes!(seller::report))
        .routes(routes!(seller::figures))
        .routes(routes!(seller::figures_messages))
        .routes(routes!(seller::get_preferences, seller::put_preferences))
        .routes(routes!(seller::list_senders, seller::add_sender, seller::remove_sender))
        .routes(routes!(seller::confirm_shipment))
}

/// JSON whose rejections are problems.
#[derive(FromRequest)]
#[from_request(via(axum::Json), rejection(Problem))]
pub(crate) struct Json<T>(pub(crate) T);

/// Query parameters whose rejections are problems.
#[derive(FromRequestParts)]
#[from_request(via(axum::extract::Query), rejection(Problem))]
pub(crate) struct Query<T>(pub(crate) T);

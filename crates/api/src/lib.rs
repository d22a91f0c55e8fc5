//! The HTTP door for programs: the native API, health and metrics.
//!
//! A handler reads input, calls one operation, shapes output. Errors become problems (RFC 9457) in
//! `problem` and nowhere else. Nothing here holds a rule of the marketplace.

mod docs;
mod health;
mod native;
mod problem;
mod token;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use operations::Context;
use prometheus_client::registry::Registry;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::TimeoutLayer;

/// Largest request body; an order with 500 lines fits many times.
const MAX_BODY_BYTES: usize = 1 << 20;
/// Longest time for one request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// What every handler is given.
#[derive(Clone)]
pub struct ApiState {
    /// The operations' ports.
    pub ctx: Arc<Context>,
    /// Metrics to render.
    pub registry: Arc<Registry>,
}

/// Every route of this door.
pub fn router(state: ApiState) -> Router {
    let (native, openapi) = native::router().split_for_parts();
    let openapi = Arc::new(openapi);
    let documents = docs::router(openapi);
    Router::new()
        .merge(native)
        .merge(health::router())
        .with_state(state)
        .merge(documents)
        .fallback(problem::not_found)
        .method_not_allowed_fallback(problem::method_not_allowed)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, REQUEST_TIMEOUT))
        .layer(CatchPanicLayer::custom(problem::panicked))
        // Answers hold personal data: no shared cache may keep them (privacy W08).
        .layer(SetResponseHeaderLayer::if_not_present(HeaderName::from_static("cache-control"), HeaderValue::from_static("no-store")))
        .layer(SetResponseHeaderLayer::if_not_present(
            HeaderName::from_static("x-content-type-options"),
            HeaderValue::from_static("nosniff"),
        ))
}

/// The OpenAPI document as JSON, for the golden test and for tools.
#[must_use]
pub fn openapi_json() -> String {
    let (_, openapi) = native::router().split_for_parts();
    openapi.to_pretty_json().unwrap_or_default()
}

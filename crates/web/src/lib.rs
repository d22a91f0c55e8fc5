//! The door for people without a sign-in: pages behind signed links in mail.
//!
//! Opening a page changes nothing, because mail scanners open every link (F3); only the button does. A page shows
//! no address and no text of a message, so that a forwarded link tells no more than the mail that it stood in.

mod page;
mod view;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::routing::get;
use operations::Context;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::TimeoutLayer;

/// The longest form has a few short fields.
const MAX_BODY_BYTES: usize = 16 << 10;
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// Our own style and forms to ourselves; nothing else.
const CSP: &str = "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Every route of this door.
pub fn router(ctx: Arc<Context>) -> Router {
    let style = ([(header::CONTENT_TYPE, "text/css"), (header::CACHE_CONTROL, "public, max-age=3600")], include_str!("pages.css"));
    let pages = Router::new().route("/l/{secret}", get(page::show).post(page::act)).with_state(ctx);
    guarded(pages.route("/assets/pages.css", get(move || async move { style })))
}

/// The page at `/`, which says whose service this is. It stands apart, because `/` may be another's.
pub fn front_page(ctx: Arc<Context>) -> Router {
    guarded(Router::new().route("/", get(page::front)).with_state(ctx))
}

/// Limits and fields of every answer.
fn guarded(router: Router) -> Router {
    let fixed = |name: &'static str, value: &'static str| {
        SetResponseHeaderLayer::if_not_present(HeaderName::from_static(name), HeaderValue::from_static(value))
    };
    router
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, REQUEST_TIMEOUT))
        .layer(CatchPanicLayer::new())
        .layer(fixed("content-security-policy", CSP))
        .layer(fixed("cache-control", "no-store"))
        .layer(fixed("referrer-policy", "no-referrer"))
        .layer(fixed("x-content-type-options", "nosniff"))
        .layer(fixed("x-robots-tag", "noindex, nofollow"))
}

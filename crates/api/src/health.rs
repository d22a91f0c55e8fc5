//! `/healthz`, `/readyz`, `/metrics`.

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::encoding::text::encode;

use crate::ApiState;
use crate::problem::Problem;

pub(crate) fn router() -> Router<ApiState> {
    Router::new().route("/healthz", get(|| async { "ok\n" })).route("/readyz", get(ready)).route("/metrics", get(metrics))
}

/// Ready means: the store takes commits.
async fn ready(State(state): State<ApiState>) -> Response {
    match state.ctx.store.ping().await {
        Ok(()) => "ready\n".into_response(),
        Err(error) => {
            tracing::warn!(%error, "not ready");
            (StatusCode::SERVICE_UNAVAILABLE, "the database does not answer\n").into_response()
        }
    }
}

async fn metrics(State(state): State<ApiState>) -> Result<Response, Problem> {
    let mut text = String::new();
    encode(&mut text, &state.registry)
        .map_err(|_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", "metrics cannot be written"))?;
    // Counted when asked for: a gauge that is kept would drift from the truth in the store.
    if let Ok(waiting) = state.ctx.store.count_waiting().await {
        let gauge = format!(
            "# HELP tradepost_deliveries_waiting Deliveries queued or deferred\n# TYPE tradepost_deliveries_waiting gauge\ntradepost_deliveries_waiting {waiting}\n"
        );
        let end = text.rfind("# EOF").unwrap_or(text.len());
        text.insert_str(end, &gauge);
    }
    Ok(([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response())
}

//! The OpenAPI document and a page that shows it to people, both from the code.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::http::header;
use axum::response::{Html, IntoResponse};
use axum::routing::get;
use axum::{Json, Router};
use mail::html::escape;
use serde_json::Value;
use utoipa::openapi::OpenApi;

const STYLE: &str = include_str!("docs.css");

pub(crate) fn router(openapi: Arc<OpenApi>) -> Router {
    let page = page(&serde_json::to_value(openapi.as_ref()).unwrap_or_default());
    Router::new()
        .route("/api/v1/openapi.json", get(move || async move { Json(openapi.as_ref().clone()) }))
        .route(
            "/api/v1/docs",
            get(move || async move {
                ([(header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'self'")], Html(page)).into_response()
            }),
        )
        .route("/api/v1/docs.css", get(|| async { ([(header::CONTENT_TYPE, "text/css")], STYLE) }))
}

fn page(document: &Value) -> String {
    let mut body = String::new();
    let mut index = String::new();
    for (path, methods) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in methods.as_object().into_iter().flatten() {
            let id = escape(operation["operationId"].as_str().unwrap_or_default());
            let method = method.to_ascii_uppercase();
            let summary = escape(operation["summary"].as_str().unwrap_or_default());
            let _ = write!(index, "<li><a href=\"#{id}\"><b>{method}</b> {}</a></li>", escape(path));
            let _ = write!(body, "<section id=\"{id}\"><h2><span>{method}</span> <code>{}</code></h2><p>{summary}</p>", escape(path));
            if let Some(text) = operation["description"].as_str() {
                let _ = write!(body, "<p>{}</p>", prose(text));
            }
            parameters(&mut body, operation);
            let request = &operation["requestBody"]["content"]["application/json"]["schema"];
            schema(&mut body, "Body", document, request);
            let responses = &operation["responses"];
            let success = ["200", "201"].into_iter().map(|code| &responses[code]).find(|r| !r.is_null()).unwrap_or(&Value::Null);
            let response = &success["content"]["application/json"]["schema"];
            schema(&mut body, "Answer", document, response);
            body.push_str("</section>");
        }
    }
    let title = escape(document["info"]["title"].as_str().unwrap_or("API"));
    let description = escape(document["info"]["description"].as_str().unwrap_or_default());
    format!(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title><link rel=\"stylesheet\" href=\"/api/v1/docs.css\"></head><body><main><h1>{title}</h1><p>{description}</p><p><a href=\"/api/v1/openapi.json\">openapi.json</a></p><nav><ul>{index}</ul></nav>{body}</main></body></html>"
    )
}

fn parameters(body: &mut String, operation: &Value) {
    let Some(parameters) = operation["parameters"].as_array().filter(|p| !p.is_empty()) else { return };
    body.push_str("<h3>Parameters</h3><dl>");
    for parameter in parameters {
        let name = escape(parameter["name"].as_str().unwrap_or_default());
        let place = escape(parameter["in"].as_str().unwrap_or_default());
        let _ = write!(
            body,
            "<dt><code>{name}</code> in {place}</dt><dd>{}</dd>",
            prose(parameter["description"].as_str().unwrap_or_default())
        );
    }
    body.push_str("</dl>");
}

fn schema(body: &mut String, title: &str, document: &Value, schema: &Value) {
    let Some(name) = schema["$ref"].as_str().and_then(|r| r.rsplit('/').next()) else { return };
    let _ = write!(body, "<h3>{title}: {}</h3><dl>", escape(name));
    for (field, of) in document["components"]["schemas"][name]["properties"].as_object().into_iter().flatten() {
        let _ = write!(
            body,
            "<dt><code>{}</code> {}</dt><dd>{}</dd>",
            escape(field),
            escape(&kind(of)),
            prose(of["description"].as_str().unwrap_or_default())
        );
    }
    body.push_str("</dl>");
}

/// Escapes a text and sets what stands in backticks as code.
fn prose(text: &str) -> String {
    let pieces = text.split('`').enumerate();
    pieces.map(|(n, piece)| if n % 2 == 1 { format!("<code>{}</code>", escape(piece)) } else { escape(piece) }).collect()
}

fn kind(of: &Value) -> String {
    match &of["type"] {
        Value::String(kind) => kind.clone(),
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" or "),
        _ => of["$ref"].as_str().and_then(|r| r.rsplit('/').next()).unwrap_or_default().to_owned(),
    }
}

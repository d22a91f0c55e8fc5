//! The one place where errors become answers: `application/problem+json` (RFC 9457) with a stable code and
//! the remedy.

use std::any::Any;

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use operations::{DryRun, InputError, OperationError, SendError};
use serde::Serialize;
use store::StoreError;
use utoipa::ToSchema;

use crate::native::DecisionShape;

/// What went wrong and what to do.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Problem {
    /// `about:blank`: the status and the code say what it is.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status in words.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// Stable code for programs.
    code: &'static str,
    /// What is wrong and what would be right.
    detail: String,
    /// Every field at fault.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldProblem>,
    /// What the rules said, where they refused.
    #[serde(flatten)]
    refusal: Option<Box<Refusal>>,
}

/// What the rules said.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Refusal {
    /// The rule that refused, such as `C4`.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'static str>,
    /// The whole decision.
    decision: DecisionShape,
}

/// One field at fault.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct FieldProblem {
    /// Its path, such as `items[0].title`.
    field: String,
    /// Stable code.
    code: &'static str,
    /// What would be right.
    detail: String,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Error");
        Self { kind: "about:blank", title, status: status.as_u16(), code, detail: detail.into(), errors: Vec::new(), refusal: None }
    }

    pub(crate) fn unauthorized() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            "token_required",
            "send a valid token as \"Authorization: Bearer …\"; `tradepost token create` makes one",
        )
    }

    pub(crate) fn forbidden(detail: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, "token_scope", detail)
    }

    pub(crate) fn missing(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("there is no {what} with this id, or the token may not see it"))
    }

    /// What the rules refuse, in the words of the notice that a mail would have got (C0).
    pub(crate) fn refused(refused: DryRun) -> Self {
        let decision = DecisionShape::from(refused);
        let told = decision.remedy.clone();
        let (code, text) = told.map_or(("refused", String::new()), |told| (told.code, told.text));
        let mut problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, text);
        // A way out that was not taken ran after the rule that it would have passed.
        let rule = decision.rules.iter().rfind(|r| r.result != "not used").map(|r| r.rule);
        problem.refusal = Some(Box::new(Refusal { rule, decision }));
        problem
    }

    pub(crate) fn invalid(fields: Vec<InputError>) -> Self {
        let mut problem = Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_fields", "some fields cannot be taken; see errors");
        problem.errors = fields.into_iter().map(|f| FieldProblem { field: f.field, code: f.code, detail: f.detail }).collect();
        problem
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self)).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response
    }
}

impl From<OperationError> for Problem {
    fn from(error: OperationError) -> Self {
        match error {
            OperationError::Invalid(fields) => Self::invalid(fields),
            OperationError::Missing { what: "marketplace", detail } => Self::new(StatusCode::NOT_FOUND, "unknown_marketplace", detail),
            OperationError::Missing { what: "pair" | "order" | "conversation" | "message", detail } => {
                Self::new(StatusCode::NOT_FOUND, "not_found", detail)
            }
            OperationError::Missing { what, detail } => Self::invalid(vec![InputError::new(what, "unknown", detail)]),
            OperationError::Forbidden { code, detail } => Self::new(StatusCode::CONFLICT, code, detail),
            OperationError::Changed => {
                Self::new(StatusCode::PRECONDITION_FAILED, "changed", "it was changed since you read it; read it again, then decide")
            }
            OperationError::Busy => {
                Self::new(StatusCode::CONFLICT, "changed_meanwhile", "somebody else changes the same thing right now; send it again")
            }
            OperationError::Store(error) => error.into(),
        }
    }
}

impl From<SendError> for Problem {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Operation(error) => error.into(),
            SendError::Refused(refused) => Self::refused(*refused),
        }
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the store failed a request");
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "store_unavailable",
            "the database does not answer at the moment; nothing was changed, send it again",
        )
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        let status = rejection.status();
        match status {
            StatusCode::PAYLOAD_TOO_LARGE => {
                Self::new(status, "body_too_large", format!("a request body has at most {} octets", crate::MAX_BODY_BYTES))
            }
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Self::new(status, "json_required", "send Content-Type: application/json"),
            // The library's text names the unknown field and the known ones, or the place of the fault.
            _ => Self::new(status, "invalid_json", rejection.body_text()),
        }
    }
}

impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid_query", rejection.body_text())
    }
}

pub(crate) async fn not_found() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no_such_path", "no such path; the API is described at /api/v1/docs")
}

pub(crate) async fn method_not_allowed() -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this path has other methods; the API is described at /api/v1/docs")
}

/// A defect of ours: the caller learns that it is not theirs, the log the place, nobody a value.
pub(crate) fn panicked(_: Box<dyn Any + Send + 'static>) -> Response {
    tracing::error!("a handler panicked");
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal_error", "this is a defect of the server; the request was not carried out")
        .into_response()
}

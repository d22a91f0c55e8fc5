//! Who calls: the bearer token of a request (RFC 6750).

use axum::extract::FromRequestParts;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use domain::{Pair, SellerId};
use operations::authenticate_token;
use store::TokenScope;

use crate::ApiState;
use crate::problem::Problem;

/// A caller with a valid token.
pub(crate) struct Caller(TokenScope);

impl FromRequestParts<ApiState> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, Problem> {
        let header = parts.headers.get(AUTHORIZATION).and_then(|h| h.to_str().ok());
        let (scheme, token) = header.and_then(|h| h.split_once(' ')).ok_or_else(Problem::unauthorized)?;
        if !scheme.eq_ignore_ascii_case("Bearer") {
            return Err(Problem::unauthorized());
        }
        let scope = authenticate_token(state.ctx.store.as_ref(), token.trim()).await?;
        match scope {
            Some(TokenScope::Submission(_)) => Err(Problem::forbidden("this token sends mail only; make one of scope seller:ID")),
            Some(scope) => Ok(Self(scope)),
            None => Err(Problem::unauthorized()),
        }
    }
}

impl Caller {
    /// The operator's calls.
    pub(crate) fn require_operator(&self) -> Result<(), Problem> {
        match self.0 {
            TokenScope::Operator => Ok(()),
            TokenScope::Seller(_) | TokenScope::Submission(_) => Err(Problem::forbidden("this call needs a token of scope operator")),
        }
    }

    /// What is a seller's is seen by that seller and the operator; to others it does not exist.
    pub(crate) fn may_see(&self, seller: SellerId) -> bool {
        match self.0 {
            TokenScope::Operator => true,
            TokenScope::Seller(own) | TokenScope::Submission(own) => own == seller,
        }
    }

    /// A pair that the caller may see.
    pub(crate) fn visible(&self, pair: Option<Pair>) -> Result<Pair, Problem> {
        pair.filter(|p| self.may_see(p.seller)).ok_or_else(|| Problem::missing("pair"))
    }

    /// Tells callers apart, where one must not see what another sent.
    pub(crate) fn name(&self) -> String {
        match self.0 {
            TokenScope::Operator => "operator".to_owned(),
            TokenScope::Seller(id) | TokenScope::Submission(id) => id.to_string(),
        }
    }

    /// The seller whose token it is.
    pub(crate) fn seller(&self) -> Option<SellerId> {
        match self.0 {
            TokenScope::Operator => None,
            TokenScope::Seller(id) | TokenScope::Submission(id) => Some(id),
        }
    }
}

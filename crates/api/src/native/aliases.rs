//! Closing, opening and retiring the aliases of a pair.

use axum::extract::{Path, State};
use domain::PairId;
use operations::{AliasChange, change_alias};

use crate::ApiState;
use crate::native::record::parse_id;
use crate::native::shapes::PairShape;
use crate::problem::Problem;
use crate::token::Caller;

/// Close the seller's way to the buyer
///
/// For the shop's own pages, when the buyer asks for it: nothing of this seller is mailed to the buyer any more.
#[utoipa::path(post, path = "/api/v1/pairs/{pair}/closure", params(("pair" = String, Path, description = "Id of the pair")),
    responses((status = 200, body = PairShape), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn close_alias(
    State(state): State<ApiState>,
    caller: Caller,
    Path(pair): Path<String>,
) -> Result<axum::Json<PairShape>, Problem> {
    change(&state, &caller, &pair, AliasChange::Close).await
}

/// Open it again
///
/// When the buyer asks for it.
#[utoipa::path(delete, path = "/api/v1/pairs/{pair}/closure", params(("pair" = String, Path, description = "Id of the pair")),
    responses((status = 200, body = PairShape), (status = 404, body = Problem), (status = 409, body = Problem)))]
pub(crate) async fn open_alias(
    State(state): State<ApiState>,
    caller: Caller,
    Path(pair): Path<String>,
) -> Result<axum::Json<PairShape>, Problem> {
    change(&state, &caller, &pair, AliasChange::Open).await
}

/// Retire both aliases for ever
///
/// Mail to them reaches nobody from now on, its writer is told, and they are never issued again.
#[utoipa::path(post, path = "/api/v1/pairs/{pair}/retirement", params(("pair" = String, Path, description = "Id of the pair")),
    responses((status = 200, body = PairShape), (status = 404, body = Problem)))]
pub(crate) async fn retire_aliases(
    State(state): State<ApiState>,
    caller: Caller,
    Path(pair): Path<String>,
) -> Result<axum::Json<PairShape>, Problem> {
    change(&state, &caller, &pair, AliasChange::Retire).await
}

async fn change(state: &ApiState, caller: &Caller, pair: &str, change: AliasChange) -> Result<axum::Json<PairShape>, Problem> {
    caller.require_operator()?;
    let id: PairId = parse_id(pair, "pair")?;
    let pair = change_alias(&state.ctx, id, change).await?;
    let view = operations::list_pairs(&state.ctx, Some(pair.seller), Some(pair.buyer), None, 1).await?;
    view.into_iter().next().map(|v| axum::Json(v.into())).ok_or_else(|| Problem::missing("pair"))
}

//! Closing, opening and retiring the aliases of a pair (A6).

use domain::{AliasState, Pair, PairId};
use store::{Changes, CommitError, Entity, Guard, NewEntry};

use crate::context::{Context, TRIES};
use crate::error::OperationError;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AliasChange {
    /// The buyer wants no mail of this seller.
    Close,
    /// The buyer wants it again.
    Open,
    /// The operator takes both aliases out of use for ever.
    Retire,
}

/// Changes the state of a pair's aliases; asking twice changes nothing.
///
/// # Errors
/// `Missing` for an unknown pair, `Forbidden` when a retired alias is to be opened.
pub async fn change_alias(ctx: &Context, id: PairId, change: AliasChange) -> Result<Pair, OperationError> {
    for _ in 0..TRIES {
        let missing = || OperationError::Missing { what: "pair", detail: "there is no pair with this id".to_owned() };
        let mut pair = ctx.store.find_pair(id).await?.ok_or_else(missing)?;
        let (state, by) = match (change, pair.state) {
            (AliasChange::Retire, _) => (AliasState::Retired, "operator"),
            (_, AliasState::Retired) => {
                return Err(OperationError::Forbidden {
                    code: "alias_is_retired",
                    detail: "a retired alias is never used again".to_owned(),
                });
            }
            (AliasChange::Close, _) => (AliasState::ClosedByBuyer, "buyer"),
            (AliasChange::Open, _) => (AliasState::Open, "buyer"),
        };
        if pair.state == state {
            return Ok(pair);
        }
        let now = ctx.clock.now();
        let mut changes = Changes::default();
        changes.guards.push(Guard::Version(Entity::Pair(id), pair.version));
        pair.state = state;
        pair.version += 1;
        changes.entries.push(NewEntry::new(
            (id, pair.seller),
            None,
            "alias.changed",
            now,
            ctx.salt(),
            [("state", Some(state.as_str().into())), ("by", Some(by.into()))],
        ));
        changes.pairs.push(pair.clone());
        match ctx.store.commit(changes).await {
            Ok(_) => return Ok(pair),
            Err(CommitError::Conflict) => {}
            Err(CommitError::Store(error)) => return Err(error.into()),
        }
    }
    Err(OperationError::Busy)
}

//! Deliveries and their leases.

use domain::Timestamp;
use domain::delivery::{Delivery, Lease};
use domain::id::{MessageId, NodeId, PairId};
use rusqlite::{Connection, params};
use store::{BodyKind, Due, rows};

use crate::error::Failure;
use crate::messages;
use crate::pairs::limit_number;
use crate::read::{all, one};

pub(crate) fn find(connection: &Connection, id: MessageId) -> Result<Option<Delivery>, Failure> {
    one(
        connection,
        &format!("SELECT {} FROM delivery WHERE bucket = ?1 AND message = ?2", rows::DELIVERY),
        params![id.bucket().number(), id.as_bytes()],
        rows::delivery,
    )
}

pub(crate) fn lease_due(
    connection: &mut Connection,
    owner: NodeId,
    now: Timestamp,
    until: Timestamp,
    limit: usize,
) -> Result<Vec<Due>, Failure> {
    let transaction = connection.transaction()?;
    let sql = format!(
        "SELECT {} FROM delivery WHERE state IN ('queued', 'deferred') AND due_at <= ?1 AND (lease_until IS NULL OR lease_until <= ?1) ORDER BY due_at LIMIT ?2",
        rows::DELIVERY
    );
    let due = all(&transaction, &sql, params![now.0, limit_number(limit)], rows::delivery)?;
    let mut leased = Vec::new();
    for mut delivery in due {
        let id = delivery.message;
        let fence = one(
            &transaction,
            "UPDATE delivery SET lease_owner = ?3, lease_until = ?4, fence = fence + 1 WHERE bucket = ?1 AND message = ?2 RETURNING fence",
            params![id.bucket().number(), id.as_bytes(), owner.as_bytes(), until.0],
            |c| c.integer(),
        )?;
        delivery.lease = fence.map(|fence| Lease { owner, until_at: until, fence });
        // One row that cannot be read must not hold up the others.
        match messages::sealed(&transaction, id, &[BodyKind::Outgoing]) {
            Ok(Some(sealed)) => leased.push(Due { delivery, sealed }),
            Ok(None) => {}
            Err(failure) => tracing::error!(%id, error = %failure.into_store(), "a delivery cannot be read"),
        }
    }
    transaction.commit()?;
    Ok(leased)
}

pub(crate) fn bring_forward(connection: &Connection, now: Timestamp, latest: Timestamp) -> Result<u64, Failure> {
    let sql = "UPDATE delivery SET due_at = ?1 WHERE state IN ('queued', 'deferred') AND due_at > ?2";
    Ok(connection.execute(sql, params![now.0, latest.0])? as u64)
}

pub(crate) fn release(connection: &Connection, owner: NodeId) -> Result<u64, Failure> {
    let sql = "UPDATE delivery SET lease_owner = NULL, lease_until = NULL WHERE lease_owner = ?1 AND state IN ('queued', 'deferred')";
    Ok(connection.execute(sql, params![owner.as_bytes()])? as u64)
}

pub(crate) fn list_waiting(
    connection: &Connection,
    after: Option<(Timestamp, MessageId)>,
    limit: usize,
) -> Result<Vec<(Delivery, PairId)>, Failure> {
    let columns = rows::DELIVERY.split(", ").map(|c| format!("d.{c}")).collect::<Vec<_>>().join(", ");
    let sql = format!(
        "SELECT {columns}, m.pair FROM delivery d JOIN message m ON m.bucket = d.bucket AND m.id = d.message
         WHERE d.state IN ('queued', 'deferred') AND (d.queued_at, d.message) > (?1, ?2) ORDER BY d.queued_at, d.message LIMIT ?3"
    );
    // Nothing is before the earliest instant, nor an id before no octets.
    let (at, id) = after.map_or((i64::MIN, Vec::new()), |(at, id)| (at.0, id.as_bytes().to_vec()));
    all(connection, &sql, params![at, id, limit_number(limit)], |c| {
        Ok((rows::delivery(c)?, PairId::from_bytes(rows::octets(&c.bytes()?)?)))
    })
}

pub(crate) fn count_waiting(connection: &Connection) -> Result<i64, Failure> {
    Ok(one(connection, "SELECT count(*) FROM delivery WHERE state IN ('queued', 'deferred')", [], |c| c.integer())?.unwrap_or(0))
}

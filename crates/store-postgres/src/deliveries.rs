//! Deliveries and their leases.

use domain::Timestamp;
use domain::delivery::Delivery;
use domain::id::{MessageId, NodeId, PairId};
use store::{BodyKind, Due, rows};

use crate::connection::Session;
use crate::error::Failure;
use crate::messages;
use crate::pairs::limit_number;
use crate::read::{all, octets, one};

pub(crate) async fn find(s: &Session, id: MessageId) -> Result<Option<Delivery>, Failure> {
    let sql = format!("SELECT {} FROM delivery WHERE bucket = $1 AND message = $2", rows::DELIVERY);
    one(s, &sql, &[&id.bucket().number(), &octets(id.as_bytes())], rows::delivery).await
}

/// One statement: whoever leases at the same time skips the rows that this one locks.
pub(crate) async fn lease_due(s: &Session, owner: NodeId, now: Timestamp, until: Timestamp, limit: usize) -> Result<Vec<Due>, Failure> {
    let columns = rows::DELIVERY.split(", ").map(|c| format!("d.{c}")).collect::<Vec<_>>().join(", ");
    let sql = format!(
        "UPDATE delivery d SET lease_owner = $1, lease_until = $2, fence = d.fence + 1
         FROM (SELECT bucket, message FROM delivery WHERE state IN ('queued', 'deferred') AND due_at <= $3 AND (lease_until IS NULL OR lease_until <= $3)
               ORDER BY due_at LIMIT $4 FOR UPDATE SKIP LOCKED) w
         WHERE d.bucket = w.bucket AND d.message = w.message RETURNING {columns}"
    );
    let due = all(s, &sql, &[&octets(owner.as_bytes()), &until.0, &now.0, &limit_number(limit)], rows::delivery).await?;
    let mut leased = Vec::with_capacity(due.len());
    for delivery in due {
        if let Some(sealed) = messages::sealed(s, delivery.message, &[BodyKind::Outgoing]).await? {
            leased.push(Due { delivery, sealed });
        }
    }
    Ok(leased)
}

pub(crate) async fn bring_forward(s: &Session, now: Timestamp, latest: Timestamp) -> Result<u64, Failure> {
    let sql = "UPDATE delivery SET due_at = $1 WHERE state IN ('queued', 'deferred') AND due_at > $2";
    s.execute(sql, &[&now.0, &latest.0]).await
}

pub(crate) async fn release(s: &Session, owner: NodeId) -> Result<u64, Failure> {
    let sql = "UPDATE delivery SET lease_owner = NULL, lease_until = NULL WHERE lease_owner = $1 AND state IN ('queued', 'deferred')";
    s.execute(sql, &[&octets(owner.as_bytes())]).await
}

pub(crate) async fn list_waiting(
    s: &Session,
    after: Option<(Timestamp, MessageId)>,
    limit: usize,
) -> Result<Vec<(Delivery, PairId)>, Failure> {
    let columns = rows::DELIVERY.split(", ").map(|c| format!("d.{c}")).collect::<Vec<_>>().join(", ");
    let sql = format!(
        "SELECT {columns}, m.pair FROM delivery d JOIN message m ON m.bucket = d.bucket AND m.id = d.message
         WHERE d.state IN ('queued', 'deferred') AND (d.queued_at, d.message) > ($1, $2) ORDER BY d.queued_at, d.message LIMIT $3"
    );
    // Nothing is before the earliest instant, nor an id before no octets.
    let (at, id) = after.map_or((i64::MIN, Vec::new()), |(at, id)| (at.0, id.as_bytes().to_vec()));
    all(s, &sql, &[&at, &id, &limit_number(limit)], |c| Ok((rows::delivery(c)?, PairId::from_bytes(rows::octets(&c.bytes()?)?)))).await
}

pub(crate) async fn count_waiting(s: &Session) -> Result<i64, Failure> {
    Ok(one(s, "SELECT count(*) FROM delivery WHERE state IN ('queued', 'deferred')", &[], |c| c.integer()).await?.unwrap_or(0))
}

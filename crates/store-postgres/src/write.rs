//! The rows of a planned batch: one multi-row statement a table, all pipelined.

use store::rows::{domains_to_text, items_to_text, mailboxes_to_text};
use store::{Body, BodyPlace, Writes};

use crate::connection::Session;
use crate::error::Failure;

/// The statement that makes the body table of a month.
pub(crate) fn body_table(month: i32) -> String {
    format!(
        "CREATE TABLE IF NOT EXISTS body_{month} (bucket SMALLINT NOT NULL, message BYTEA NOT NULL, kind SMALLINT NOT NULL, sealed BYTEA, object TEXT, PRIMARY KEY (bucket, message, kind))"
    )
}

/// One array a column, filled row by row.
macro_rules! columns {
    ($rows:expr, |$row:ident| { $($name:ident: $ty:ty = $value:expr),* $(,)? }) => {
        $(let mut $name: Vec<$ty> = Vec::new();)*
        for $row in $rows { $($name.push($value);)* }
    };
}

pub(crate) async fn rows(s: &Session, writes: &Writes) -> Result<(), Failure> {
    tokio::try_join!(
        sellers(s, writes),
        buyers(s, writes),
        pairs(s, writes),
        orders(s, writes),
        conversations(s, writes),
        messages(s, writes),
        known_ids(s, writes),
        marks(s, writes),
        bodies(s, &writes.bodies),
        deliveries(s, writes),
        ledger(s, writes),
        heads(s, writes),
        tokens(s, writes),
    )?;
    Ok(())
}

/// A row that another process put meanwhile is left as it is, and the commit decided anew: nobody can lock
/// a row that is not there yet.
fn one_row(affected: u64) -> Result<(), Failure> {
    if affected == 1 { Ok(()) } else { Err(Failure::Constraint) }
}

async fn sellers(s: &Session, writes: &Writes) -> Result<(), Failure> {
    for x in &writes.sellers {
        one_row(s.execute(
            "INSERT INTO seller (bucket, id, marketplace, shop_id, business_name, email, customer_service_email, approved_senders, approved_carriers, locale, updated_at, version, own_senders, notify_blocked, important_withdrawn, undeliverable_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
             ON CONFLICT (bucket, id) DO UPDATE SET business_name = excluded.business_name, email = excluded.email,
               customer_service_email = excluded.customer_service_email, approved_senders = excluded.approved_senders,
               approved_carriers = excluded.approved_carriers, locale = excluded.locale, updated_at = excluded.updated_at, version = excluded.version,
               own_senders = excluded.own_senders, notify_blocked = excluded.notify_blocked, important_withdrawn = excluded.important_withdrawn,
               undeliverable_at = excluded.undeliverable_at
             WHERE seller.version = excluded.version - 1",
            &[
                &x.id.bucket().number(), &x.id.as_bytes().as_slice(), &x.marketplace.as_str(), &x.shop_id, &x.business_name, &x.email.to_wire(),
                &x.customer_service_email.to_wire(), &mailboxes_to_text(&x.approved_senders), &domains_to_text(&x.approved_carriers), &x.locale,
                &x.updated_at.map(|t| t.0), &x.version, &mailboxes_to_text(&x.own_senders), &x.notify_blocked, &x.important_withdrawn,
                &x.undeliverable_at.map(|t| t.0),
            ],
        )
        .await?)?;
        s.execute("DELETE FROM seller_address WHERE seller = $1", &[&x.id.as_bytes().as_slice()]).await?;
        let addresses: Vec<String> = x.writers().iter().map(|w| w.canonical()).collect();
        s.execute(
            "INSERT INTO seller_address (marketplace, address, seller) SELECT $1, a, $2 FROM unnest($3::text[]) a",
            &[&x.marketplace.as_str(), &x.id.as_bytes().as_slice(), &addresses],
        )
        .await?;
    }
    Ok(())
}

async fn buyers(s: &Session, writes: &Writes) -> Result<(), Failure> {
    for b in &writes.buyers {
        one_row(s.execute(
            "INSERT INTO buyer (id, marketplace, shop_id, email, first_name, locale, opted_out_at, opted_out_by_buyer, updated_at, version, undeliverable_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
             ON CONFLICT (id) DO UPDATE SET email = excluded.email, first_name = excluded.first_name, locale = excluded.locale,
               opted_out_at = excluded.opted_out_at, opted_out_by_buyer = excluded.opted_out_by_buyer, updated_at = excluded.updated_at, version = excluded.version,
               undeliverable_at = excluded.undeliverable_at
             WHERE buyer.version = excluded.version - 1",
            &[
                &b.id.as_bytes().as_slice(), &b.marketplace.as_str(), &b.shop_id, &b.email.to_wire(), &b.first_name, &b.locale,
                &b.opt_out.map(|o| o.since_at.0), &b.opt_out.is_some_and(|o| o.source == domain::OptOutSource::Buyer), &b.updated_at.map(|t| t.0), &b.version,
                &b.undeliverable_at.map(|t| t.0),
            ],
        )
        .await?)?;
    }
    Ok(())
}

async fn pairs(s: &Session, writes: &Writes) -> Result<(), Failure> {
    for p in &writes.pairs {
        one_row(s.execute(
            "INSERT INTO pair (bucket, id, marketplace, seller, buyer, buyer_alias, seller_alias, state, version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
             ON CONFLICT (bucket, id) DO UPDATE SET state = excluded.state, version = excluded.version WHERE pair.version = excluded.version - 1",
            &[
                &p.id.bucket().number(), &p.id.as_bytes().as_slice(), &p.marketplace.as_str(), &p.seller.as_bytes().as_slice(),
                &p.buyer.as_bytes().as_slice(), &p.buyer_alias.as_str(), &p.seller_alias.as_str(), &p.state.as_str(), &p.version,
            ],
        )
        .await?)?;
        if p.version == 1 {
            s.execute(
                "INSERT INTO alias (marketplace, name, pair, reaches_buyer) VALUES ($1, $2, $4, TRUE), ($1, $3, $4, FALSE)",
                &[&p.marketplace.as_str(), &p.buyer_alias.as_str(), &p.seller_alias.as_str(), &p.id.as_bytes().as_slice()],
            )
            .await?;
        }
    }
    Ok(())
}

async fn orders(s: &Session, writes: &Writes) -> Result<(), Failure> {
    for o in &writes.orders {
        one_row(s.execute(
            "INSERT INTO \"order\" (bucket, id, marketplace, shop_id, pair, seller, buyer, status, placed_at, shipped_at, delivered_at, cancelled_at, deliver_from, deliver_to, items, updated_at, version)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
             ON CONFLICT (bucket, id) DO UPDATE SET status = excluded.status, placed_at = excluded.placed_at, shipped_at = excluded.shipped_at,
               delivered_at = excluded.delivered_at, cancelled_at = excluded.cancelled_at, deliver_from = excluded.deliver_from,
               deliver_to = excluded.deliver_to, items = excluded.items, updated_at = excluded.updated_at, version = excluded.version
             WHERE \"order\".version = excluded.version - 1",
            &[
                &o.id.bucket().number(), &o.id.as_bytes().as_slice(), &o.marketplace.as_str(), &o.shop_id, &o.pair.as_bytes().as_slice(),
                &o.seller.as_bytes().as_slice(), &o.buyer.as_bytes().as_slice(), &o.status.as_str(), &o.placed_at.0, &o.shipped_at.map(|t| t.0),
                &o.delivered_at.map(|t| t.0), &o.cancelled_at.map(|t| t.0), &o.deliver_between.map(|b| b.0.0), &o.deliver_between.map(|b| b.1.0),
                &items_to_text(&o.items), &o.updated_at.map(|t| t.0), &o.version,
            ],
        )
        .await?)?;
        if o.version == 1 {
            s.execute(
                "INSERT INTO order_key (marketplace, shop_id, id) VALUES ($1, $2, $3)",
                &[&o.marketplace.as_str(), &o.shop_id, &o.id.as_bytes().as_slice()],
            )
            .await?;
        }
    }
    Ok(())
}

async fn conversations(s: &Session, writes: &Writes) -> Result<(), Failure> {
    if !writes.conversations.is_empty() {
        columns!(&writes.conversations, |c| {
            bucket: i16 = c.id.bucket().number(), id: &[u8] = c.id.as_bytes(), pair: &[u8] = c.pair.as_bytes(),
            order: Option<&[u8]> = c.order.as_ref().map(|o| o.as_bytes().as_slice()), tag: &str = c.tag.as_str(), begun_by: &str = c.begun_by.as_str(),
            started: i64 = c.started_at.0, last: i64 = c.last_message_at.0, of_buyer: Option<i64> = c.last_buyer_message_at.map(|t| t.0),
            needed: bool = c.response_needed, count: i64 = c.message_count,
        });
        s.execute(
            "INSERT INTO conversation (bucket, id, pair, order_id, tag, begun_by, started_at, last_message_at, last_buyer_message_at, response_needed, message_count)
             SELECT * FROM unnest($1::smallint[], $2::bytea[], $3::bytea[], $4::bytea[], $5::text[], $6::text[], $7::bigint[], $8::bigint[], $9::bigint[], $10::boolean[], $11::bigint[])",
            &[&bucket, &id, &pair, &order, &tag, &begun_by, &started, &last, &of_buyer, &needed, &count],
        )
        .await?;
    }
    if !writes.touches.is_empty() {
        columns!(&writes.touches, |t| {
            bucket: i16 = t.0.bucket().number(), id: &[u8] = t.0.as_bytes(), at: i64 = t.1.at.0, of_buyer: Option<i64> = t.1.last_of_buyer_at.map(|t| t.0),
            needed: Option<bool> = t.1.response_needed, count: i64 = t.1.messages, order: Option<&[u8]> = t.1.order.as_ref().map(|o| o.as_bytes().as_slice()),
        });
        s.execute(
            "UPDATE conversation c SET last_message_at = greatest(c.last_message_at, u.at), last_buyer_message_at = greatest(c.last_buyer_message_at, u.of_buyer),
               response_needed = coalesce(u.needed, c.response_needed), message_count = c.message_count + u.count, order_id = coalesce(c.order_id, u.order_id)
             FROM unnest($1::smallint[], $2::bytea[], $3::bigint[], $4::bigint[], $5::boolean[], $6::bigint[], $7::bytea[]) u(bucket, id, at, of_buyer, needed, count, order_id)
             WHERE c.bucket = u.bucket AND c.id = u.id",
            &[&bucket, &id, &at, &of_buyer, &needed, &count, &order],
        )
        .await?;
    }
    for settle in &writes.settled {
        s.execute(
            "UPDATE conversation SET response_needed = FALSE WHERE bucket = $1 AND id = $2 AND last_buyer_message_at = $3",
            &[&settle.conversation.bucket().number(), &settle.conversation.as_bytes().as_slice(), &settle.buyer_wrote_at.0],
        )
        .await?;
    }
    Ok(())
}

async fn messages(s: &Session, writes: &Writes) -> Result<(), Failure> {
    if writes.messages.is_empty() {
        return Ok(());
    }
    columns!(&writes.messages, |m| {
        bucket: i16 = m.id.bucket().number(), id: &[u8] = m.id.as_bytes(), pair: &[u8] = m.pair.as_bytes(), seller: &[u8] = m.seller.as_bytes(),
        conversation: Option<&[u8]> = m.conversation.as_ref().map(|c| c.as_bytes().as_slice()), author: &str = m.author.as_str(),
        rung: Option<&str> = m.rung.map(domain::Rung::as_str), order: Option<&[u8]> = m.order.as_ref().map(|o| o.as_bytes().as_slice()),
        at: i64 = m.accepted_at.0, outcome: &str = m.outcome.as_str(), original: Option<&str> = m.original_id.as_ref().map(|i| i.as_str()),
        outgoing: Option<&str> = m.outgoing_id.as_ref().map(|i| i.as_str()), size: i64 = m.size_bytes, reason: Option<&str> = m.reason.as_deref(), automatic: bool = m.automatic,
        fingerprint: Option<&[u8]> = m.fingerprint.as_ref().map(|f| f.as_slice()),
    });
    s.execute(
        "INSERT INTO message (bucket, id, pair, seller, conversation, author, rung, order_id, accepted_at, outcome, original_id, outgoing_id, size_bytes, reason, automatic, fingerprint)
         SELECT * FROM unnest($1::smallint[], $2::bytea[], $3::bytea[], $4::bytea[], $5::bytea[], $6::text[], $7::text[], $8::bytea[], $9::bigint[], $10::text[], $11::text[], $12::text[], $13::bigint[], $14::text[], $15::boolean[], $16::bytea[])",
        &[&bucket, &id, &pair, &seller, &conversation, &author, &rung, &order, &at, &outcome, &original, &outgoing, &size, &reason, &automatic, &fingerprint],
    )
    .await?;
    columns!(&writes.keys, |k| {
        key_bucket: i16 = k.message.bucket().number(), message: &[u8] = k.message.as_bytes(), sealed: &[u8] = &k.sealed, month: i64 = i64::from(k.month),
    });
    s.execute(
        "INSERT INTO message_key (bucket, message, sealed, month) SELECT * FROM unnest($1::smallint[], $2::bytea[], $3::bytea[], $4::bigint[])",
        &[&key_bucket, &message, &sealed, &month],
    )
    .await?;
    Ok(())
}

async fn marks(s: &Session, writes: &Writes) -> Result<(), Failure> {
    for m in &writes.marks {
        s.execute(
            "INSERT INTO mark (bucket, message, kind, by_role, at, reason) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
            &[&m.message.bucket().number(), &m.message.as_bytes().as_slice(), &m.kind.as_str(), &m.by.as_str(), &m.at.0, &m.reason],
        )
        .await?;
    }
    Ok(())
}

async fn known_ids(s: &Session, writes: &Writes) -> Result<(), Failure> {
    // A multi-row upsert may name a row once only; the later message wins.
    let known: std::collections::BTreeMap<_, _> = writes.known_ids.iter().map(|k| ((k.pair, k.hash), k.message)).collect();
    if known.is_empty() {
        return Ok(());
    }
    columns!(&known, |k| {
        bucket: i16 = k.0.0.bucket().number(), pair: &[u8] = k.0.0.as_bytes(), hash: &[u8] = &k.0.1, message: &[u8] = k.1.as_bytes(),
    });
    s.execute(
        "INSERT INTO known_id (bucket, pair, hash, message) SELECT * FROM unnest($1::smallint[], $2::bytea[], $3::bytea[], $4::bytea[])
         ON CONFLICT (bucket, pair, hash) DO UPDATE SET message = excluded.message",
        &[&bucket, &pair, &hash, &message],
    )
    .await?;
    Ok(())
}

async fn bodies(s: &Session, bodies: &[Body]) -> Result<(), Failure> {
    let months: std::collections::BTreeSet<i32> = bodies.iter().map(|b| b.month).collect();
    for month in months {
        columns!(bodies.iter().filter(|b| b.month == month), |b| {
            bucket: i16 = b.message.bucket().number(), message: &[u8] = b.message.as_bytes(), kind: i16 = b.kind.number(),
            sealed: Option<&[u8]> = if let BodyPlace::Inline(sealed) = &b.place { Some(sealed.as_slice()) } else { None },
            object: Option<&str> = if let BodyPlace::Object(name) = &b.place { Some(name.as_str()) } else { None },
        });
        let sql = format!(
            "INSERT INTO body_{month} (bucket, message, kind, sealed, object) SELECT * FROM unnest($1::smallint[], $2::bytea[], $3::smallint[], $4::bytea[], $5::text[])"
        );
        s.execute(&sql, &[&bucket, &message, &kind, &sealed, &object]).await?;
    }
    Ok(())
}

async fn deliveries(s: &Session, writes: &Writes) -> Result<(), Failure> {
    if !writes.deliveries.is_empty() {
        columns!(&writes.deliveries, |d| {
            bucket: i16 = d.message.bucket().number(), message: &[u8] = d.message.as_bytes(), state: &str = d.state.as_str(), attempts: i64 = d.attempts,
            queued: i64 = d.queued_at.0, due: i64 = d.due_at.0, owner: Option<&[u8]> = d.lease.as_ref().map(|l| l.owner.as_bytes().as_slice()),
            until: Option<i64> = d.lease.map(|l| l.until_at.0), fence: i64 = d.lease.map_or(0, |l| l.fence), status: Option<&str> = d.last_status.as_deref(),
        });
        s.execute(
            "INSERT INTO delivery (bucket, message, state, attempts, queued_at, due_at, lease_owner, lease_until, fence, last_status)
             SELECT * FROM unnest($1::smallint[], $2::bytea[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bytea[], $8::bigint[], $9::bigint[], $10::text[])",
            &[&bucket, &message, &state, &attempts, &queued, &due, &owner, &until, &fence, &status],
        )
        .await?;
    }
    if !writes.delivery_updates.is_empty() {
        columns!(writes.delivery_updates.values(), |u| {
            bucket: i16 = u.message.bucket().number(), message: &[u8] = u.message.as_bytes(), state: &str = u.state.as_str(), attempts: i64 = u.attempts,
            due: i64 = u.due_at.0, owner: Option<&[u8]> = u.lease.as_ref().map(|l| l.owner.as_bytes().as_slice()), until: Option<i64> = u.lease.map(|l| l.until_at.0),
            status: Option<&str> = u.last_status.as_deref(),
        });
        s.execute(
            "UPDATE delivery d SET state = u.state, attempts = u.attempts, due_at = u.due_at, lease_owner = u.lease_owner, lease_until = u.lease_until, last_status = u.last_status
             FROM unnest($1::smallint[], $2::bytea[], $3::text[], $4::bigint[], $5::bigint[], $6::bytea[], $7::bigint[], $8::text[]) u(bucket, message, state, attempts, due_at, lease_owner, lease_until, last_status)
             WHERE d.bucket = u.bucket AND d.message = u.message",
            &[&bucket, &message, &state, &attempts, &due, &owner, &until, &status],
        )
        .await?;
    }
    Ok(())
}

async fn ledger(s: &Session, writes: &Writes) -> Result<(), Failure> {
    if writes.entries.is_empty() {
        return Ok(());
    }
    columns!(&writes.entries, |e| {
        bucket: i16 = e.pair.bucket().number(), pair: &[u8] = e.pair.as_bytes(), number: i64 = e.number, seller: &[u8] = e.seller.as_bytes(),
        position: i64 = e.position, message: Option<&[u8]> = e.message.as_ref().map(|m| m.as_bytes().as_slice()), kind: &str = &e.kind, at: i64 = e.at.0,
        entry: &str = &e.entry, salt: Option<&[u8]> = e.salt.as_ref().map(|x| x.as_slice()), leaf: &[u8] = &e.leaf, link: &[u8] = &e.link,
    });
    s.execute(
        "INSERT INTO ledger (bucket, pair, number, seller, position, message, kind, at, entry, salt, leaf, link)
         SELECT * FROM unnest($1::smallint[], $2::bytea[], $3::bigint[], $4::bytea[], $5::bigint[], $6::bytea[], $7::text[], $8::bigint[], $9::text[], $10::bytea[], $11::bytea[], $12::bytea[])",
        &[&bucket, &pair, &number, &seller, &position, &message, &kind, &at, &entry, &salt, &leaf, &link],
    )
    .await?;
    Ok(())
}

/// Heads of chains, positions of feeds, values of counters: their rows exist and are locked.
async fn heads(s: &Session, writes: &Writes) -> Result<(), Failure> {
    if !writes.chains.is_empty() {
        columns!(&writes.chains, |c| { bucket: i16 = c.0.bucket().number(), pair: &[u8] = c.0.as_bytes(), length: i64 = c.1.0, head: &[u8] = &c.1.1 });
        s.execute(
            "UPDATE chain c SET length = u.length, head = u.head FROM unnest($1::smallint[], $2::bytea[], $3::bigint[], $4::bytea[]) u(bucket, pair, length, head) WHERE c.bucket = u.bucket AND c.pair = u.pair",
            &[&bucket, &pair, &length, &head],
        )
        .await?;
    }
    if !writes.feeds.is_empty() {
        columns!(&writes.feeds, |f| { bucket: i16 = f.0.bucket().number(), seller: &[u8] = f.0.as_bytes(), position: i64 = *f.1 });
        s.execute(
            "UPDATE feed f SET position = u.position FROM unnest($1::smallint[], $2::bytea[], $3::bigint[]) u(bucket, seller, position) WHERE f.bucket = u.bucket AND f.seller = u.seller",
            &[&bucket, &seller, &position],
        )
        .await?;
    }
    if !writes.counters.is_empty() {
        columns!(&writes.counters, |c| { bucket: i16 = c.0.0.bucket().number(), pair: &[u8] = c.0.0.as_bytes(), name: &str = &c.0.1, value: i64 = *c.1 });
        s.execute(
            "UPDATE counter c SET value = u.value FROM unnest($1::smallint[], $2::bytea[], $3::text[], $4::bigint[]) u(bucket, pair, name, value) WHERE c.bucket = u.bucket AND c.pair = u.pair AND c.name = u.name",
            &[&bucket, &pair, &name, &value],
        )
        .await?;
    }
    Ok(())
}

async fn tokens(s: &Session, writes: &Writes) -> Result<(), Failure> {
    for t in &writes.tokens {
        let (seller, submit_only) = t.scope.columns();
        s.execute(
            "INSERT INTO token (hash, name, seller, created_at, submit_only) VALUES ($1, $2, $3, $4, $5)",
            &[&t.hash.as_slice(), &t.name, &seller.map(|id| id.as_bytes().as_slice()), &t.created_at.0, &submit_only],
        )
        .await?;
    }
    if !writes.revoked_tokens.is_empty() {
        s.execute("DELETE FROM token WHERE name = ANY($1)", &[&writes.revoked_tokens]).await?;
    }
    Ok(())
}

//! The rows of a planned batch, written inside its transaction.

use rusqlite::{Connection, params};
use store::rows::{domains_to_text, items_to_text, mailboxes_to_text};
use store::{BodyPlace, Writes};

use crate::error::Failure;

/// The statement that makes the body table of a month.
pub(crate) fn body_table(month: i32) -> String {
    format!(
        "CREATE TABLE IF NOT EXISTS body_{month} (bucket INTEGER NOT NULL, message BLOB NOT NULL, kind INTEGER NOT NULL, sealed BLOB, object TEXT, PRIMARY KEY (bucket, message, kind)) STRICT, WITHOUT ROWID"
    )
}

pub(crate) fn rows(connection: &Connection, writes: Writes) -> Result<(), Failure> {
    parties(connection, &writes)?;
    orders(connection, &writes)?;
    conversations(connection, &writes)?;
    messages(connection, &writes)?;
    bodies(connection, writes.bodies.as_slice())?;
    deliveries(connection, &writes)?;
    ledger(connection, &writes)?;
    tokens(connection, &writes)
}

fn parties(connection: &Connection, writes: &Writes) -> Result<(), Failure> {
    for s in &writes.sellers {
        connection
            .prepare_cached(
                "INSERT INTO seller (bucket, id, marketplace, shop_id, business_name, email, customer_service_email, approved_senders, approved_carriers, locale, updated_at, version, own_senders, notify_blocked, important_withdrawn, undeliverable_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)
                 ON CONFLICT (bucket, id) DO UPDATE SET business_name = excluded.business_name, email = excluded.email,
                   customer_service_email = excluded.customer_service_email, approved_senders = excluded.approved_senders,
                   approved_carriers = excluded.approved_carriers, locale = excluded.locale, updated_at = excluded.updated_at, version = excluded.version,
                   own_senders = excluded.own_senders, notify_blocked = excluded.notify_blocked, important_withdrawn = excluded.important_withdrawn,
                   undeliverable_at = excluded.undeliverable_at",
            )?
            .execute(params![
                s.id.bucket().number(), s.id.as_bytes(), s.marketplace.as_str(), s.shop_id, s.business_name, s.email.to_wire(),
                s.customer_service_email.to_wire(), mailboxes_to_text(&s.approved_senders), domains_to_text(&s.approved_carriers),
                s.locale, s.updated_at.map(|t| t.0), s.version, mailboxes_to_text(&s.own_senders), s.notify_blocked, s.important_withdrawn,
                s.undeliverable_at.map(|t| t.0)
            ])?;
        connection.prepare_cached("DELETE FROM seller_address WHERE seller = ?1")?.execute(params![s.id.as_bytes()])?;
        for writer in s.writers() {
            connection
                .prepare_cached("INSERT INTO seller_address (marketplace, address, seller) VALUES (?1, ?2, ?3)")?
                .execute(params![s.marketplace.as_str(), writer.canonical(), s.id.as_bytes()])?;
        }
    }
    for b in &writes.buyers {
        connection
            .prepare_cached(
                "INSERT INTO buyer (id, marketplace, shop_id, email, first_name, locale, opted_out_at, opted_out_by_buyer, updated_at, version, undeliverable_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)
                 ON CONFLICT (id) DO UPDATE SET email = excluded.email, first_name = excluded.first_name, locale = excluded.locale,
                   opted_out_at = excluded.opted_out_at, opted_out_by_buyer = excluded.opted_out_by_buyer, updated_at = excluded.updated_at, version = excluded.version,
                   undeliverable_at = excluded.undeliverable_at",
            )?
            .execute(params![
                b.id.as_bytes(), b.marketplace.as_str(), b.shop_id, b.email.to_wire(), b.first_name, b.locale,
                b.opt_out.map(|o| o.since_at.0), b.opt_out.is_some_and(|o| o.source == domain::OptOutSource::Buyer), b.updated_at.map(|t| t.0), b.version,
                b.undeliverable_at.map(|t| t.0)
            ])?;
    }
    for p in &writes.pairs {
        connection
            .prepare_cached(
                "INSERT INTO pair (bucket, id, marketplace, seller, buyer, buyer_alias, seller_alias, state, version) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
                 ON CONFLICT (bucket, id) DO UPDATE SET state = excluded.state, version = excluded.version",
            )?
            .execute(params![
                p.id.bucket().number(), p.id.as_bytes(), p.marketplace.as_str(), p.seller.as_bytes(), p.buyer.as_bytes(),
                p.buyer_alias.as_str(), p.seller_alias.as_str(), p.state.as_str(), p.version
            ])?;
        if p.version == 1 {
            for (name, reaches_buyer) in [(&p.buyer_alias, true), (&p.seller_alias, false)] {
                connection
                    .prepare_cached("INSERT INTO alias (marketplace, name, pair, reaches_buyer) VALUES (?1, ?2, ?3, ?4)")?
                    .execute(params![p.marketplace.as_str(), name.as_str(), p.id.as_bytes(), reaches_buyer])?;
            }
        }
    }
    Ok(())
}

fn orders(connection: &Connection, writes: &Writes) -> Result<(), Failure> {
    for o in &writes.orders {
        connection
            .prepare_cached(
                "INSERT INTO \"order\" (bucket, id, marketplace, shop_id, pair, seller, buyer, status, placed_at, shipped_at, delivered_at, cancelled_at, deliver_from, deliver_to, items, updated_at, version)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)
                 ON CONFLICT (bucket, id) DO UPDATE SET status = excluded.status, placed_at = excluded.placed_at, shipped_at = excluded.shipped_at,
                   delivered_at = excluded.delivered_at, cancelled_at = excluded.cancelled_at, deliver_from = excluded.deliver_from,
                   deliver_to = excluded.deliver_to, items = excluded.items, updated_at = excluded.updated_at, version = excluded.version",
            )?
            .execute(params![
                o.id.bucket().number(), o.id.as_bytes(), o.marketplace.as_str(), o.shop_id, o.pair.as_bytes(), o.seller.as_bytes(),
                o.buyer.as_bytes(), o.status.as_str(), o.placed_at.0, o.shipped_at.map(|t| t.0), o.delivered_at.map(|t| t.0),
                o.cancelled_at.map(|t| t.0), o.deliver_between.map(|b| b.0.0), o.deliver_between.map(|b| b.1.0),
                items_to_text(&o.items), o.updated_at.map(|t| t.0), o.version
            ])?;
        if o.version == 1 {
            connection.prepare_cached("INSERT INTO order_key (marketplace, shop_id, id) VALUES (?1, ?2, ?3)")?.execute(params![
                o.marketplace.as_str(),
                o.shop_id,
                o.id.as_bytes()
            ])?;
        }
    }
    Ok(())
}

fn conversations(connection: &Connection, writes: &Writes) -> Result<(), Failure> {
    for c in &writes.conversations {
        connection
            .prepare_cached(
                "INSERT INTO conversation (bucket, id, pair, order_id, tag, begun_by, started_at, last_message_at, last_buyer_message_at, response_needed, message_count)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            )?
            .execute(params![
                c.id.bucket().number(), c.id.as_bytes(), c.pair.as_bytes(), c.order.as_ref().map(|o| o.as_bytes()), c.tag.as_str(), c.begun_by.as_str(),
                c.started_at.0, c.last_message_at.0, c.last_buyer_message_at.map(|t| t.0), c.response_needed, c.message_count
            ])?;
    }
    for (id, touch) in &writes.touches {
        connection
            .prepare_cached(
                "UPDATE conversation SET last_message_at = max(last_message_at, ?3), last_buyer_message_at = max(coalesce(last_buyer_message_at, ?4), coalesce(?4, last_buyer_message_at)),
                   response_needed = coalesce(?5, response_needed), message_count = message_count + ?6, order_id = coalesce(order_id, ?7) WHERE bucket = ?1 AND id = ?2",
            )?
            .execute(params![
                id.bucket().number(), id.as_bytes(), touch.at.0, touch.last_of_buyer_at.map(|t| t.0),
                touch.response_needed, touch.messages, touch.order.as_ref().map(|o| o.as_bytes())
            ])?;
    }
    for settle in &writes.settled {
        let id = settle.conversation;
        connection
            .prepare_cached("UPDATE conversation SET response_needed = FALSE WHERE bucket = ?1 AND id = ?2 AND last_buyer_message_at = ?3")?
            .execute(params![id.bucket().number(), id.as_bytes(), settle.buyer_wrote_at.0])?;
    }
    Ok(())
}

fn messages(connection: &Connection, writes: &Writes) -> Result<(), Failure> {
    for m in &writes.messages {
        connection
            .prepare_cached(
                "INSERT INTO message (bucket, id, pair, seller, conversation, author, rung, order_id, accepted_at, outcome, original_id, outgoing_id, size_bytes, reason, automatic, fingerprint)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
            )?
            .execute(params![
                m.id.bucket().number(), m.id.as_bytes(), m.pair.as_bytes(), m.seller.as_bytes(), m.conversation.as_ref().map(|c| c.as_bytes()),
                m.author.as_str(), m.rung.map(domain::Rung::as_str), m.order.as_ref().map(|o| o.as_bytes()), m.accepted_at.0, m.outcome.as_str(),
                m.original_id.as_ref().map(|i| i.as_str()), m.outgoing_id.as_ref().map(|i| i.as_str()), m.size_bytes, m.reason, m.automatic, m.fingerprint
            ])?;
    }
    for m in &writes.marks {
        connection
            .prepare_cached(
                "INSERT INTO mark (bucket, message, kind, by_role, at, reason) VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
            )?
            .execute(params![m.message.bucket().number(), m.message.as_bytes(), m.kind.as_str(), m.by.as_str(), m.at.0, m.reason])?;
    }
    for k in &writes.keys {
        connection.prepare_cached("INSERT INTO message_key (bucket, message, sealed, month) VALUES (?1, ?2, ?3, ?4)")?.execute(params![
            k.message.bucket().number(),
            k.message.as_bytes(),
            k.sealed,
            k.month
        ])?;
    }
    for k in &writes.known_ids {
        // A sender that uses one Message-ID twice names the later message.
        connection
            .prepare_cached("INSERT INTO known_id (bucket, pair, hash, message) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (bucket, pair, hash) DO UPDATE SET message = excluded.message")?
            .execute(params![k.pair.bucket().number(), k.pair.as_bytes(), k.hash, k.message.as_bytes()])?;
    }
    Ok(())
}

fn bodies(connection: &Connection, bodies: &[store::Body]) -> Result<(), Failure> {
    for b in bodies {
        let (sealed, object) = match &b.place {
            BodyPlace::Inline(sealed) => (Some(sealed), None),
            BodyPlace::Object(name) => (None, Some(name.as_str())),
        };
        connection
            .prepare_cached(&format!("INSERT INTO body_{} (bucket, message, kind, sealed, object) VALUES (?1, ?2, ?3, ?4, ?5)", b.month))?
            .execute(params![b.message.bucket().number(), b.message.as_bytes(), b.kind.number(), sealed, object])?;
    }
    Ok(())
}

fn deliveries(connection: &Connection, writes: &Writes) -> Result<(), Failure> {
    for d in &writes.deliveries {
        connection
            .prepare_cached(
                "INSERT INTO delivery (bucket, message, state, attempts, queued_at, due_at, lease_owner, lease_until, fence, last_status)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            )?
            .execute(params![
                d.message.bucket().number(),
                d.message.as_bytes(),
                d.state.as_str(),
                d.attempts,
                d.queued_at.0,
                d.due_at.0,
                d.lease.as_ref().map(|l| l.owner.as_bytes()),
                d.lease.map(|l| l.until_at.0),
                d.lease.map_or(0, |l| l.fence),
                d.last_status
            ])?;
    }
    for u in writes.delivery_updates.values() {
        connection
            .prepare_cached(
                "UPDATE delivery SET state = ?3, attempts = ?4, due_at = ?5, lease_owner = ?6, lease_until = ?7, last_status = ?8 WHERE bucket = ?1 AND message = ?2",
            )?
            .execute(params![
                u.message.bucket().number(), u.message.as_bytes(), u.state.as_str(), u.attempts, u.due_at.0,
                u.lease.as_ref().map(|l| l.owner.as_bytes()), u.lease.map(|l| l.until_at.0), u.last_status
            ])?;
    }
    Ok(())
}

fn ledger(connection: &Connection, writes: &Writes) -> Result<(), Failure> {
    for e in &writes.entries {
        connection
            .prepare_cached(
                "INSERT INTO ledger (bucket, pair, number, seller, position, message, kind, at, entry, salt, leaf, link)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            )?
            .execute(params![
                e.pair.bucket().number(),
                e.pair.as_bytes(),
                e.number,
                e.seller.as_bytes(),
                e.position,
                e.message.as_ref().map(|m| m.as_bytes()),
                e.kind,
                e.at.0,
                e.entry,
                e.salt,
                e.leaf,
                e.link
            ])?;
    }
    for (pair, (length, head)) in &writes.chains {
        connection
            .prepare_cached("INSERT INTO chain (bucket, pair, length, head) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (bucket, pair) DO UPDATE SET length = excluded.length, head = excluded.head")?
            .execute(params![pair.bucket().number(), pair.as_bytes(), length, head])?;
    }
    for (seller, position) in &writes.feeds {
        connection
            .prepare_cached("INSERT INTO feed (bucket, seller, position) VALUES (?1, ?2, ?3) ON CONFLICT (bucket, seller) DO UPDATE SET position = excluded.position")?
            .execute(params![seller.bucket().number(), seller.as_bytes(), position])?;
    }
    for ((pair, name), value) in &writes.counters {
        connection
            .prepare_cached("INSERT INTO counter (bucket, pair, name, value) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (bucket, pair, name) DO UPDATE SET value = excluded.value")?
            .execute(params![pair.bucket().number(), pair.as_bytes(), name, value])?;
    }
    Ok(())
}

fn tokens(connection: &Connection, writes: &Writes) -> Result<(), Failure> {
    for t in &writes.tokens {
        let (seller, submit_only) = t.scope.columns();
        connection
            .prepare_cached("INSERT INTO token (hash, name, seller, created_at, submit_only) VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![t.hash, t.name, seller.map(|id| id.as_bytes()), t.created_at.0, submit_only])?;
    }
    for name in &writes.revoked_tokens {
        connection.prepare_cached("DELETE FROM token WHERE name = ?1")?.execute(params![name])?;
    }
    Ok(())
}

//! How a batch of commits becomes rows: pure, the same for every engine.
//!
//! An adapter loads what `needs` names (locked, where the engine has locks), calls `plan`, and writes what
//! comes out. A member whose guard does not hold is left out; the others see the effects of those before.

use std::collections::{BTreeMap, BTreeSet};

use domain::delivery::Delivery;
use domain::ledger;
use domain::message::{Mark, Message};
use domain::{Buyer, Conversation, ConversationId, MessageId, Order, Pair, PairId, Seller, SellerId};

use crate::changes::{Body, Changes, ConversationTouch, DeliveryUpdate, Entity, Guard, KnownId, LedgerEntry, SealedKey, Settle, Token};
use crate::error::CommitError;

/// What must be read before a batch can be planned. Sorted, so that locks are taken in one order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// Rows whose versions are guarded.
    pub versions: BTreeSet<Entity>,
    /// Deliveries whose fences are guarded.
    pub fences: BTreeSet<MessageId>,
    /// Chains that grow.
    pub chains: BTreeSet<PairId>,
    /// Feeds that grow.
    pub feeds: BTreeSet<SellerId>,
    /// Counters that grow.
    pub counters: BTreeSet<(PairId, String)>,
}

/// What the store holds now. What is absent is 0, and a chain begins with zero octets.
#[derive(Debug, Clone, Default)]
pub struct Current {
    /// Versions.
    pub versions: BTreeMap<Entity, i64>,
    /// Fences.
    pub fences: BTreeMap<MessageId, i64>,
    /// Length and last link of chains.
    pub chains: BTreeMap<PairId, (i64, [u8; 32])>,
    /// Last positions of feeds.
    pub feeds: BTreeMap<SellerId, i64>,
    /// Counters.
    pub counters: BTreeMap<(PairId, String), i64>,
}

/// Rows to write, merged over the batch.
#[derive(Debug, Default)]
pub struct Writes {
    /// Sellers to put.
    pub sellers: Vec<Seller>,
    /// Buyers to put.
    pub buyers: Vec<Buyer>,
    /// Pairs to put.
    pub pairs: Vec<Pair>,
    /// Orders to put.
    pub orders: Vec<Order>,
    /// Conversations to insert.
    pub conversations: Vec<Conversation>,
    /// Touches, merged to one a conversation, with the number of messages.
    pub touches: BTreeMap<ConversationId, MergedTouch>,
    /// Conversations to settle.
    pub settled: Vec<Settle>,
    /// Messages to insert.
    pub messages: Vec<Message>,
    /// Marks to insert.
    pub marks: Vec<Mark>,
    /// Keys to insert.
    pub keys: Vec<SealedKey>,
    /// Bodies to insert.
    pub bodies: Vec<Body>,
    /// Ids to insert.
    pub known_ids: Vec<KnownId>,
    /// Deliveries to insert.
    pub deliveries: Vec<Delivery>,
    /// Deliveries to update, at most one each.
    pub delivery_updates: BTreeMap<MessageId, DeliveryUpdate>,
    /// Entries to insert.
    pub entries: Vec<LedgerEntry>,
    /// New heads of chains.
    pub chains: BTreeMap<PairId, (i64, [u8; 32])>,
    /// New positions of feeds.
    pub feeds: BTreeMap<SellerId, i64>,
    /// New values of counters.
    pub counters: BTreeMap<(PairId, String), i64>,
    /// Tokens to insert.
    pub tokens: Vec<Token>,
    /// Tokens to revoke.
    pub revoked_tokens: Vec<String>,
}

/// The sum of several touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MergedTouch {
    /// When the last one came.
    pub at: domain::Timestamp,
    /// The order it turned out to be about.
    pub order: Option<domain::OrderId>,
    /// The last of the buyer.
    pub last_of_buyer_at: Option<domain::Timestamp>,
    /// Whether an answer is wanted now; none leaves it as it is.
    pub response_needed: Option<bool>,
    /// How many.
    pub messages: i64,
}

/// The plan of a batch.
#[derive(Debug)]
pub struct Planned {
    /// What to write.
    pub writes: Writes,
    /// Per member, in order: applied, or which guard failed.
    pub outcomes: Vec<Result<(), CommitError>>,
}

/// What a batch needs to know.
#[must_use]
pub fn needs<'a>(batch: impl IntoIterator<Item = &'a Changes>) -> Needs {
    let mut needs = Needs::default();
    for changes in batch {
        for guard in &changes.guards {
            match guard {
                Guard::Version(entity, _) => drop(needs.versions.insert(*entity)),
                Guard::Fence(message, _) => drop(needs.fences.insert(*message)),
            }
        }
        needs.chains.extend(changes.entries.iter().map(|e| e.pair));
        needs.feeds.extend(changes.entries.iter().map(|e| e.seller));
        needs.counters.extend(changes.counters.iter().map(|c| (c.pair, c.key.clone())));
    }
    needs
}

/// Applies a batch to what the store holds.
#[must_use]
pub fn plan(batch: Vec<Changes>, mut current: Current) -> Planned {
    let mut writes = Writes::default();
    let outcomes = batch
        .into_iter()
        .map(|changes| {
            if !holds(&changes, &current) {
                return Err(CommitError::Conflict);
            }
            apply(changes, &mut current, &mut writes);
            Ok(())
        })
        .collect();
    Planned { writes, outcomes }
}

fn holds(changes: &Changes, current: &Current) -> bool {
    let guards = changes.guards.iter().all(|guard| match guard {
        Guard::Version(entity, version) => current.versions.get(entity).copied().unwrap_or(0) == *version,
        Guard::Fence(message, fence) => current.fences.get(message) == Some(fence),
    });
    guards && counters_hold(changes, current)
}

/// Each addition is held to its bound behind those of the same commit before it.
fn counters_hold(changes: &Changes, current: &Current) -> bool {
    let mut added: BTreeMap<(PairId, &str), i64> = BTreeMap::new();
    changes.counters.iter().all(|add| {
        let before = current.counters.get(&(add.pair, add.key.clone())).copied().unwrap_or(0);
        let pending = added.entry((add.pair, add.key.as_str())).or_insert(0);
        let holds = add.below.is_none_or(|below| before + *pending < below);
        *pending += add.amount;
        holds
    })
}

fn apply(changes: Changes, current: &mut Current, writes: &mut Writes) {
    for add in changes.counters {
        let key = (add.pair, add.key);
        let value = current.counters.entry(key.clone()).or_insert(0);
        *value += add.amount;
        writes.counters.insert(key, *value);
    }
    for (entity, version) in versions_after(&changes.sellers, &changes.buyers, &changes.orders, &changes.pairs) {
        current.versions.insert(entity, version);
    }
    for update in &changes.delivery_updates {
        // A lease given up or passed on ends the right of whoever held it.
        current.fences.insert(update.message, update.lease.map_or(-1, |l| l.fence));
    }
    for touch in changes.touches {
        merge(&mut writes.touches, touch);
    }
    for entry in changes.entries {
        let (length, head) = current.chains.entry(entry.pair).or_insert((0, [0; 32]));
        *length += 1;
        *head = ledger::link(entry.pair, *length, head, &entry.leaf);
        let position = current.feeds.entry(entry.seller).or_insert(0);
        *position += 1;
        writes.chains.insert(entry.pair, (*length, *head));
        writes.feeds.insert(entry.seller, *position);
        writes.entries.push(LedgerEntry {
            pair: entry.pair,
            number: *length,
            seller: entry.seller,
            position: *position,
            message: entry.message,
            kind: entry.kind.to_owned(),
            at: entry.at,
            entry: entry.entry,
            salt: Some(entry.salt),
            leaf: entry.leaf,
            link: *head,
        });
    }
    put_last(&mut writes.sellers, changes.sellers, |s| s.id);
    put_last(&mut writes.buyers, changes.buyers, |b| b.id);
    put_last(&mut writes.pairs, changes.pairs, |p| p.id);
    put_last(&mut writes.orders, changes.orders, |o| o.id);
    writes.conversations.extend(changes.conversations);
    writes.settled.extend(changes.settled);
    writes.messages.extend(changes.messages);
    writes.marks.extend(changes.marks);
    writes.keys.extend(changes.keys);
    writes.bodies.extend(changes.bodies);
    writes.known_ids.extend(changes.known_ids);
    writes.deliveries.extend(changes.deliveries);
    writes.delivery_updates.extend(changes.delivery_updates.into_iter().map(|u| (u.message, u)));
    writes.tokens.extend(changes.tokens);
    writes.revoked_tokens.extend(changes.revoked_tokens);
}

fn versions_after<'a>(
    sellers: &'a [Seller],
    buyers: &'a [Buyer],
    orders: &'a [Order],
    pairs: &'a [Pair],
) -> impl Iterator<Item = (Entity, i64)> + 'a {
    let sellers = sellers.iter().map(|s| (Entity::Seller(s.id), s.version));
    let buyers = buyers.iter().map(|b| (Entity::Buyer(b.id), b.version));
    let orders = orders.iter().map(|o| (Entity::Order(o.id), o.version));
    let pairs = pairs.iter().map(|p| (Entity::Pair(p.id), p.version));
    sellers.chain(buyers).chain(orders).chain(pairs)
}

/// A multi-row upsert may name a row once only.
fn put_last<T, K: PartialEq>(all: &mut Vec<T>, new: Vec<T>, key: impl Fn(&T) -> K) {
    for row in new {
        match all.iter_mut().find(|old| key(old) == key(&row)) {
            Some(old) => *old = row,
            None => all.push(row),
        }
    }
}

fn merge(touches: &mut BTreeMap<ConversationId, MergedTouch>, touch: ConversationTouch) {
    let of_buyer = touch.by == domain::Role::Buyer;
    let last_of_buyer_at = (of_buyer && !touch.automatic).then_some(touch.at);
    let response_needed = (!touch.automatic).then_some(of_buyer);
    touches
        .entry(touch.conversation)
        .and_modify(|merged| {
            merged.at = touch.at;
            merged.order = merged.order.or(touch.order);
            merged.last_of_buyer_at = last_of_buyer_at.or(merged.last_of_buyer_at);
            merged.response_needed = response_needed.or(merged.response_needed);
            merged.messages += 1;
        })
        .or_insert(MergedTouch { at: touch.at, order: touch.order, last_of_buyer_at, response_needed, messages: 1 });
}

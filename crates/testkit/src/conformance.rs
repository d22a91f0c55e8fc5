//! What every store must do. Each adapter runs all of it on its real engine.

use std::collections::BTreeSet;
use std::sync::Arc;

use domain::delivery::{DeliveryState, Lease};
use domain::figures::TurnMessage;
use domain::id::NodeId;
use domain::message::{Mark, MarkKind};
use domain::{AliasState, Order, OrderStatus, PairId, Role, Timestamp, ledger};
use store::{
    BodyKind, Changes, CommitError, ConversationTouch, CounterAdd, DeliveryUpdate, Entity, FactsQuery, Guard, ScanPlace, Settle, Store,
    Token, TokenScope,
};

use crate::fixtures::Fixture;

const NODE: NodeId = NodeId::from_bytes([1; 16]);
const OTHER: NodeId = NodeId::from_bytes([2; 16]);
const NOW: Timestamp = Timestamp(1_795_316_400_000_000);

/// Runs every story on one store.
pub async fn run(store: Arc<dyn Store>) {
    let s = store.as_ref();
    what_is_put_is_read_back(s).await;
    a_guard_that_fails_changes_nothing(s).await;
    an_entity_cannot_be_made_twice(s).await;
    aliases_are_unique(s).await;
    counters_stop_at_their_limit(s).await;
    facts_hold_everything_of_the_pair_and_nothing_of_another(s).await;
    conversations_are_paged_newest_first(s).await;
    touches_add_up(s).await;
    orders_are_counted_in_their_window_without_cancelled_ones(s).await;
    marks_are_set_once_and_seen_by_turns(s).await;
    a_conversation_is_settled_unless_the_buyer_wrote_again(s).await;
    every_ledger_is_walked_through_in_pages(s).await;
    a_lease_is_exclusive_until_it_ends(s).await;
    a_fence_keeps_a_late_holder_out(s).await;
    counters_of_one_name_are_listed_by_pair(s).await;
    leases_of_a_node_are_released(s).await;
    what_waits_is_listed_oldest_first(s).await;
    chains_and_feeds_have_no_gaps_under_concurrency(&store).await;
    one_bad_member_of_a_batch_fails_alone(&store).await;
    settings_are_put_once(s).await;
    tokens_are_found_until_revoked(s).await;
}

async fn commit(s: &dyn Store, changes: Changes) {
    s.commit(changes).await.unwrap();
}

async fn what_is_put_is_read_back(s: &dyn Store) {
    let f = Fixture::new(1);
    commit(s, f.put()).await;
    assert_eq!(s.find_seller(f.seller.id).await.unwrap(), Some(f.seller.clone()));
    assert_eq!(s.find_buyer(f.buyer.id).await.unwrap(), Some(f.buyer.clone()));
    assert_eq!(s.find_order(&f.marketplace, "302-1").await.unwrap(), Some(f.order.clone()));
    assert_eq!(s.find_order(&f.marketplace, "302-none").await.unwrap(), None);
    let target = s.find_alias(&f.marketplace, &f.pair.buyer_alias).await.unwrap().unwrap();
    assert_eq!((target.pair, target.reaches), (f.pair.id, Role::Buyer));
    let target = s.find_alias(&f.marketplace, &f.pair.seller_alias).await.unwrap().unwrap();
    assert_eq!(target.reaches, Role::Seller);
    assert!(s.is_seller_address(&f.marketplace, "extra1@shop.test").await.unwrap());
    assert!(!s.is_seller_address(&f.marketplace, "ana1@buyer.test").await.unwrap());
    let mut seller = f.seller.clone();
    seller.approved_senders.clear();
    seller.version = 2;
    commit(s, Changes { guards: vec![Guard::Version(Entity::Seller(seller.id), 1)], sellers: vec![seller], ..Changes::default() }).await;
    assert!(!s.is_seller_address(&f.marketplace, "extra1@shop.test").await.unwrap(), "writers are replaced");
    assert_eq!(s.list_pairs_of_seller(f.seller.id, None, 10).await.unwrap().len(), 1);
    assert_eq!(s.list_pairs_of_buyer(f.buyer.id, Some(f.pair.id), 10).await.unwrap().len(), 0);
    let (id, changes) = f.message(None, NOW, NODE);
    commit(s, changes).await;
    let sealed = s.find_message(id, &[BodyKind::Outgoing, BodyKind::Original]).await.unwrap().unwrap();
    assert_eq!((sealed.bodies.len(), sealed.key.unwrap().sealed), (1, vec![1, 2, 3]));
    assert_eq!(sealed.message.original_id.unwrap().as_str(), "orig@buyer.test");
    assert_eq!(sealed.delivery.unwrap().lease.unwrap().owner, NODE);
}

async fn a_guard_that_fails_changes_nothing(s: &dyn Store) {
    let f = Fixture::new(2);
    commit(s, f.put()).await;
    let mut pair = f.pair.clone();
    (pair.state, pair.version) = (AliasState::Retired, 8);
    let changes = Changes { guards: vec![Guard::Version(Entity::Pair(pair.id), 7)], pairs: vec![pair], ..Changes::default() };
    assert_eq!(s.commit(changes).await, Err(CommitError::Conflict));
    assert_eq!(s.find_pair(f.pair.id).await.unwrap().unwrap().state, AliasState::Open);
}

async fn an_entity_cannot_be_made_twice(s: &dyn Store) {
    let f = Fixture::new(3);
    commit(s, f.put()).await;
    assert_eq!(s.commit(f.put()).await, Err(CommitError::Conflict));
}

async fn aliases_are_unique(s: &dyn Store) {
    let (a, mut b) = (Fixture::new(4), Fixture::new(5));
    commit(s, a.put()).await;
    b.pair.seller_alias = a.pair.buyer_alias.clone();
    assert_eq!(s.commit(b.put()).await, Err(CommitError::Conflict), "an alias is issued once");
    assert!(s.find_pair(b.pair.id).await.unwrap().is_none());
}

async fn counters_stop_at_their_limit(s: &dyn Store) {
    let f = Fixture::new(6);
    commit(s, f.put()).await;
    let add = |below| Changes { counters: vec![CounterAdd { pair: f.pair.id, key: "k".into(), amount: 1, below }], ..Changes::default() };
    for expected in [true, true, false] {
        assert_eq!(s.commit(add(Some(2))).await.is_ok(), expected);
    }
    commit(s, add(None)).await;
    assert_eq!(s.find_counter(f.pair.id, "k").await.unwrap(), 3);
    assert_eq!(s.find_counter(f.pair.id, "other").await.unwrap(), 0);
}

async fn facts_hold_everything_of_the_pair_and_nothing_of_another(s: &dyn Store) {
    let (f, g) = (Fixture::new(7), Fixture::new(8));
    commit(s, f.put()).await;
    commit(s, g.put()).await;
    let conversation = f.conversation(NOW);
    let (id, mut changes) = f.message(Some(conversation.id), NOW, NODE);
    let hash = changes.known_ids[0].hash;
    changes.conversations.push(conversation.clone());
    commit(s, changes).await;
    let query = |pair| FactsQuery {
        pair,
        tag: Some(conversation.tag.clone()),
        references: vec![[0xee; 16], hash],
        quoted: vec![conversation.tag.clone()],
        own_id: Some(hash),
        seller_counters: vec!["none".to_owned(), "of seller".to_owned()],
        pair_counters: vec!["of pair".to_owned()],
    };
    let counter = |pair, key: &str, amount| CounterAdd { pair, key: key.to_owned(), amount, below: None };
    let counters = vec![counter(PairId::of_seller(f.seller.id), "of seller", 7), counter(f.pair.id, "of pair", 9)];
    commit(s, Changes { counters, ..Changes::default() }).await;
    let facts = s.load_facts(query(f.pair.id)).await.unwrap().unwrap();
    assert_eq!(facts.by_tag.unwrap().id, conversation.id);
    assert_eq!(facts.by_reference.unwrap().id, conversation.id);
    assert_eq!(facts.by_quotation.unwrap().id, conversation.id);
    assert_eq!(facts.by_order[0].id, conversation.id);
    assert_eq!(facts.referenced.iter().map(|m| m.id).collect::<Vec<_>>(), [id]);
    assert_eq!(facts.same_id.map(|m| (m.id, m.reason, m.fingerprint)), Some((id, Some("other".to_owned()), Some([7; 16]))));
    assert_eq!((facts.seller_counters, facts.pair_counters), (vec![0, 7], vec![9]));
    assert_eq!((facts.orders.len(), facts.seller.id, facts.buyer.id), (1, f.seller.id, f.buyer.id));
    // The same evidence, shown by somebody of another pair, means nothing (privacy P10).
    let foreign = s.load_facts(query(g.pair.id)).await.unwrap().unwrap();
    assert!(foreign.by_tag.is_none() && foreign.by_reference.is_none() && foreign.by_quotation.is_none() && foreign.referenced.is_empty());
    assert!(foreign.same_id.is_none() && foreign.pair_counters == [0]);
}

async fn orders_are_counted_in_their_window_without_cancelled_ones(s: &dyn Store) {
    let f = Fixture::new(61);
    commit(s, f.put()).await;
    let placed = f.order.placed_at;
    let count = async |from: i64, to: i64| s.count_orders(f.seller.id, Timestamp(placed.0 + from), Timestamp(placed.0 + to)).await.unwrap();
    assert_eq!([count(0, 1).await, count(1, 9).await, count(-9, 0).await], [1, 0, 0], "from its first instant to before its last");
    let order = Order { status: OrderStatus::Cancelled, version: 2, ..f.order.clone() };
    commit(s, Changes { orders: vec![order], ..Changes::default() }).await;
    assert_eq!(count(0, 1).await, 0);
}

async fn marks_are_set_once_and_seen_by_turns(s: &dyn Store) {
    let f = Fixture::new(62);
    commit(s, f.put()).await;
    let conversation = f.conversation(NOW);
    let mut ids = Vec::new();
    for n in 0..5 {
        let (id, mut changes) = f.message(Some(conversation.id), Timestamp(NOW.0 + n), NODE);
        changes.conversations.extend((n == 0).then(|| conversation.clone()));
        commit(s, changes).await;
        ids.push(id);
    }
    let (alone, changes) = f.message(None, NOW, NODE);
    commit(s, changes).await;
    let mark = |message, kind, reason: Option<&str>| Mark { message, kind, by: Role::Seller, at: NOW, reason: reason.map(str::to_owned) };
    let marks = vec![mark(ids[1], MarkKind::NoResponse, None), mark(ids[2], MarkKind::Reported, Some("spam"))];
    commit(s, Changes { marks: marks.clone(), ..Changes::default() }).await;
    commit(s, Changes { marks: vec![mark(ids[2], MarkKind::Reported, Some("fraud"))], ..Changes::default() }).await;
    assert_eq!(s.list_marks(ids[2]).await.unwrap(), [marks[1].clone()], "the first stands");
    let mut turns = Vec::new();
    loop {
        let after = turns.last().map(|t: &TurnMessage| (t.at, t.id));
        let page = s.list_turns(f.seller.id, NOW, after, 2).await.unwrap();
        if page.is_empty() {
            break;
        }
        turns.extend(page);
    }
    assert_eq!(turns.iter().map(|t| t.id).collect::<Vec<_>>(), ids, "in order, each once");
    assert!(turns.iter().all(|t| t.id != alone), "what is in no conversation is no turn");
    assert_eq!(turns.iter().map(|t| (t.no_response, t.reported)).collect::<Vec<_>>()[..3], [(false, false), (true, false), (false, true)]);
    assert!(turns.iter().all(|t| t.by == Role::Buyer && !t.arrived && !t.automatic));
    assert!(s.list_turns(f.seller.id, Timestamp(NOW.0 + 5), None, 9).await.unwrap().is_empty());
}

async fn a_conversation_is_settled_unless_the_buyer_wrote_again(s: &dyn Store) {
    let f = Fixture::new(63);
    commit(s, f.put()).await;
    let conversation = f.conversation(NOW);
    let id = conversation.id;
    let touch = |at: i64| ConversationTouch { conversation: id, at: Timestamp(NOW.0 + at), by: Role::Buyer, order: None, automatic: false };
    let needed = async || s.find_conversation(id).await.unwrap().unwrap().response_needed;
    commit(s, Changes { conversations: vec![conversation], touches: vec![touch(1)], ..Changes::default() }).await;
    commit(s, Changes { touches: vec![touch(2)], ..Changes::default() }).await;
    let settle =
        |at: i64| Changes { settled: vec![Settle { conversation: id, buyer_wrote_at: Timestamp(NOW.0 + at) }], ..Changes::default() };
    commit(s, settle(1)).await;
    assert!(needed().await, "the buyer wrote again");
    commit(s, settle(2)).await;
    assert!(!needed().await);
}

async fn every_ledger_is_walked_through_in_pages(s: &dyn Store) {
    let mut expected = BTreeSet::new();
    for n in [64, 65, 66] {
        let f = Fixture::new(n);
        commit(s, f.put()).await;
        for late in 0..3 {
            let (id, changes) = f.message(None, Timestamp(NOW.0 + late), NODE);
            commit(s, changes).await;
            expected.insert(id);
        }
    }
    let (mut seen, mut places, mut after) = (BTreeSet::new(), BTreeSet::new(), None);
    loop {
        let page = s.scan_ledger(after, 7).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(ScanPlace { pair: last.pair, number: last.number });
        for entry in &page {
            assert!(places.insert((entry.pair, entry.number)), "each once");
            seen.extend(entry.message);
        }
    }
    assert!(seen.is_superset(&expected));
}

async fn conversations_are_paged_newest_first(s: &dyn Store) {
    let f = Fixture::new(9);
    commit(s, f.put()).await;
    let all: Vec<_> = (0..5).map(|n| f.conversation(Timestamp(NOW.0 + n))).collect();
    commit(s, Changes { conversations: all.clone(), ..Changes::default() }).await;
    let mut seen = Vec::new();
    let mut from = None;
    loop {
        let page = s.list_conversations(f.pair.id, from, 2).await.unwrap();
        seen.extend(page.conversations.iter().map(|c| c.id));
        from = page.next;
        if from.is_none() {
            break;
        }
    }
    assert_eq!(seen, all.iter().rev().map(|c| c.id).collect::<Vec<_>>());
}

async fn touches_add_up(s: &dyn Store) {
    let f = Fixture::new(10);
    commit(s, f.put()).await;
    let mut conversation = f.conversation(NOW);
    conversation.order = None;
    let touch = |at, by, order| ConversationTouch { conversation: conversation.id, at: Timestamp(NOW.0 + at), by, order, automatic: false };
    let touches = vec![touch(1, Role::Buyer, None), touch(2, Role::Buyer, Some(f.order.id)), touch(3, Role::Seller, None)];
    commit(s, Changes { conversations: vec![conversation.clone()], touches, ..Changes::default() }).await;
    let after = s.find_conversation(conversation.id).await.unwrap().unwrap();
    assert_eq!((after.message_count, after.response_needed, after.order), (3, false, Some(f.order.id)));
    assert_eq!((after.last_message_at.0 - NOW.0, after.last_buyer_message_at.unwrap().0 - NOW.0), (3, 2));
    commit(s, Changes { touches: vec![touch(9, Role::Buyer, None)], ..Changes::default() }).await;
    let after = s.find_conversation(conversation.id).await.unwrap().unwrap();
    assert!(after.response_needed);
    assert_eq!(after.last_buyer_message_at.unwrap().0 - NOW.0, 9);
    let machine = |by| Changes { touches: vec![ConversationTouch { automatic: true, ..touch(20, by, None) }], ..Changes::default() };
    commit(s, machine(Role::Seller)).await;
    commit(s, machine(Role::Buyer)).await;
    let after = s.find_conversation(conversation.id).await.unwrap().unwrap();
    assert_eq!((after.response_needed, after.message_count), (true, 6), "a machine answers nothing");
    assert_eq!(after.last_buyer_message_at.unwrap().0 - NOW.0, 9, "and asks nothing");
}

async fn a_lease_is_exclusive_until_it_ends(s: &dyn Store) {
    let f = Fixture::new(11);
    commit(s, f.put()).await;
    let early = Timestamp(1_000_000);
    let (id, changes) = f.message(None, early, NODE);
    commit(s, changes).await;
    let lease = async |now: i64| {
        s.lease_due(OTHER, Timestamp(now), Timestamp(now + 10_000), 10)
            .await
            .unwrap()
            .into_iter()
            .filter(|d| d.delivery.message == id)
            .count()
    };
    assert_eq!(lease(early.0 + 500).await, 0, "whoever committed it holds it");
    assert_eq!(lease(early.0 + 1_001).await, 1, "its time is over");
    assert_eq!(lease(early.0 + 1_002).await, 0, "and now it is taken");
    let due = s.lease_due(OTHER, Timestamp(early.0 + 20_000), Timestamp(early.0 + 30_000), 10).await.unwrap();
    let again = due.iter().find(|d| d.delivery.message == id).unwrap();
    assert_eq!(again.delivery.lease.unwrap().fence, 3, "each lease has a higher fence");
    assert_eq!(again.sealed.bodies.len(), 1);
}

async fn a_fence_keeps_a_late_holder_out(s: &dyn Store) {
    let f = Fixture::new(12);
    commit(s, f.put()).await;
    let (id, changes) = f.message(None, NOW, NODE);
    commit(s, changes).await;
    let update = |fence: i64, state, lease| Changes {
        guards: vec![Guard::Fence(id, fence)],
        delivery_updates: vec![DeliveryUpdate { message: id, state, attempts: 1, due_at: NOW, lease, last_status: Some("2.0.0".into()) }],
        ..Changes::default()
    };
    let other = Some(Lease { owner: OTHER, until_at: NOW, fence: 1 });
    assert_eq!(s.commit(update(5, DeliveryState::Bounced, None)).await, Err(CommitError::Conflict), "never was the holder");
    commit(s, update(1, DeliveryState::Deferred, other)).await;
    commit(s, update(1, DeliveryState::Delivered, None)).await;
    assert_eq!(s.commit(update(1, DeliveryState::Bounced, None)).await, Err(CommitError::Conflict), "the lease was given up");
    let delivery = s.find_message(id, &[]).await.unwrap().unwrap().delivery.unwrap();
    assert_eq!((delivery.state, delivery.last_status.as_deref()), (DeliveryState::Delivered, Some("2.0.0")));
}

async fn counters_of_one_name_are_listed_by_pair(s: &dyn Store) {
    let pairs = [[1; 16], [2; 16], [3; 16]].map(domain::PairId::from_bytes);
    let add = |pair, key: &str, amount| store::CounterAdd { pair, key: key.to_owned(), amount, below: None };
    let counters = vec![
        add(pairs[0], "refused/20261122/own", 2),
        add(pairs[2], "refused/20261122/own", 1),
        add(pairs[1], "refused/20261122/other", 1),
        add(pairs[1], "sent/20261122", 1),
    ];
    commit(s, Changes { counters, ..Changes::default() }).await;
    let key = "refused/20261122/own";
    assert_eq!(s.list_counters(key, None, 10).await.unwrap(), [(pairs[0], 2), (pairs[2], 1)]);
    assert_eq!(s.list_counters(key, None, 1).await.unwrap(), [(pairs[0], 2)]);
    assert_eq!(s.list_counters(key, Some(pairs[0]), 10).await.unwrap(), [(pairs[2], 1)]);
    assert_eq!(s.list_counters("refused/20261123/own", None, 10).await.unwrap(), []);
}

async fn leases_of_a_node_are_released(s: &dyn Store) {
    let f = Fixture::new(13);
    commit(s, f.put()).await;
    let node = NodeId::from_bytes([77; 16]);
    let (_, changes) = f.message(None, NOW, node);
    commit(s, changes).await;
    assert!(s.count_waiting().await.unwrap() >= 1);
    assert_eq!(s.release_leases(node).await.unwrap(), 1);
    assert_eq!(s.release_leases(node).await.unwrap(), 0);
    // A clock that was ahead and is right again.
    let far = Timestamp(NOW.0 - 1);
    assert!(s.bring_forward(Timestamp(far.0 - 1), far).await.unwrap() >= 1, "what is due later than can be is due now");
    assert_eq!(s.bring_forward(Timestamp(far.0 - 1), far).await.unwrap(), 0);
}

async fn what_waits_is_listed_oldest_first(s: &dyn Store) {
    let f = Fixture::new(14);
    commit(s, f.put()).await;
    // Two of one instant; committed newest first.
    let mut waiting = Vec::new();
    for at in [3, 1, 1, 2] {
        let (id, changes) = f.message(None, Timestamp(NOW.0 + at), NODE);
        commit(s, changes).await;
        waiting.push((Timestamp(NOW.0 + at), id));
    }
    let (delivered, changes) = f.message(None, NOW, NODE);
    commit(s, changes).await;
    let update =
        DeliveryUpdate { message: delivered, state: DeliveryState::Delivered, attempts: 1, due_at: NOW, lease: None, last_status: None };
    commit(s, Changes { delivery_updates: vec![update], ..Changes::default() }).await;
    waiting.sort();
    let (mut listed, mut after) = (Vec::new(), None);
    loop {
        let page = s.list_waiting(after, 3).await.unwrap();
        let Some((last, _)) = page.last() else { break };
        after = Some((last.queued_at, last.message));
        listed.extend(page);
    }
    assert!(listed.is_sorted_by(|(a, _), (b, _)| (a.queued_at, a.message) < (b.queued_at, b.message)), "each once, in order");
    let of_pair: Vec<_> = listed.iter().filter(|(_, pair)| *pair == f.pair.id).map(|(d, _)| (d.queued_at, d.message)).collect();
    assert_eq!(of_pair, waiting);
}

async fn chains_and_feeds_have_no_gaps_under_concurrency(store: &Arc<dyn Store>) {
    let fixtures: Vec<Arc<Fixture>> = (20..24).map(|n| Arc::new(Fixture::new(n))).collect();
    for f in &fixtures {
        commit(store.as_ref(), f.put()).await;
    }
    let tasks: Vec<_> = (0..200)
        .map(|n| {
            let (store, f) = (Arc::clone(store), Arc::clone(&fixtures[n % fixtures.len()]));
            tokio::spawn(async move {
                let (_, changes) = f.message(None, Timestamp(NOW.0 + i64::try_from(n).unwrap()), NODE);
                store.commit(changes).await.unwrap();
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    for f in &fixtures {
        let entries = store.list_ledger(f.pair.id, 1, 1_000).await.unwrap();
        assert_eq!(entries.iter().map(|e| e.number).collect::<Vec<_>>(), (1..=100).collect::<Vec<_>>());
        assert_eq!(entries.iter().map(|e| e.position).collect::<BTreeSet<_>>(), (1..=100).collect());
        let mut head = [0; 32];
        for e in &entries {
            assert_eq!(ledger::leaf(&e.salt.unwrap(), &e.entry), e.leaf);
            head = ledger::link(f.pair.id, e.number, &head, &e.leaf);
            assert_eq!(head, e.link, "the chain can be recomputed");
        }
        let pairs: Vec<_> = entries.chunks(2).map(|c| (c[0].message, c[1].message)).collect();
        assert!(pairs.iter().all(|(a, b)| a == b), "entries of one commit stand together");
    }
}

async fn one_bad_member_of_a_batch_fails_alone(store: &Arc<dyn Store>) {
    let f = Arc::new(Fixture::new(30));
    commit(store.as_ref(), f.put()).await;
    let (id, first) = f.message(None, NOW, NODE);
    commit(store.as_ref(), first.clone()).await;
    let tasks: Vec<_> = (0..20)
        .map(|n| {
            // Every fifth repeats a primary key.
            let changes = if n % 5 == 0 { first.clone() } else { f.message(None, Timestamp(NOW.0 + n), NODE).1 };
            let store = Arc::clone(store);
            tokio::spawn(async move { (n, store.commit(changes).await) })
        })
        .collect();
    for task in tasks {
        let (n, result) = task.await.unwrap();
        assert_eq!(result.is_ok(), n % 5 != 0, "{n} {result:?}");
    }
    let entries = store.list_ledger(f.pair.id, 1, 1_000).await.unwrap();
    assert_eq!(entries.len(), 2 * 17);
    assert_eq!(entries.last().unwrap().number, 2 * 17, "what failed left no gap");
    assert_eq!(entries.iter().filter(|e| e.message == Some(id)).count(), 2);
}

async fn settings_are_put_once(s: &dyn Store) {
    assert_eq!(s.find_setting("x").await.unwrap(), None);
    assert_eq!(s.put_setting_once("x", "1").await.unwrap(), "1");
    assert_eq!(s.put_setting_once("x", "2").await.unwrap(), "1");
    s.ping().await.unwrap();
}

async fn tokens_are_found_until_revoked(s: &dyn Store) {
    let f = Fixture::new(40);
    let token = Token { hash: [5; 32], name: "t".into(), scope: TokenScope::Seller(f.seller.id), created_at: NOW };
    commit(s, Changes { tokens: vec![token.clone()], ..Changes::default() }).await;
    assert_eq!(s.find_token(&[5; 32]).await.unwrap(), Some(token.clone()));
    let first = Token { hash: [7; 32], name: "T".into(), scope: TokenScope::Operator, created_at: NOW };
    commit(s, Changes { tokens: vec![first.clone()], ..Changes::default() }).await;
    assert_eq!(s.list_tokens().await.unwrap(), [first, token.clone()], "by name, capitals first");
    commit(s, Changes { revoked_tokens: vec!["T".into()], ..Changes::default() }).await;
    assert_eq!(
        s.commit(Changes { tokens: vec![Token { hash: [6; 32], ..token }], ..Changes::default() }).await,
        Err(CommitError::Conflict),
        "names are unique"
    );
    commit(s, Changes { revoked_tokens: vec!["t".into()], ..Changes::default() }).await;
    assert_eq!(s.find_token(&[5; 32]).await.unwrap(), None);
    assert!(s.list_tokens().await.unwrap().is_empty());
}

//! Ready-made parties, and a context for operations over a fresh SQLite.

use std::sync::Arc;

use domain::calendar::Calendar;
use domain::carriers::Carriers;
use domain::delivery::{Delivery, DeliveryState, Lease};
use domain::id::NodeId;
use domain::message::{Author, Message};
use domain::policy::{Outcome, RuleSet};
use domain::texts::Texts;
use domain::{
    AliasName, AliasState, Buyer, BuyerId, Conversation, ConversationId, MarketplaceId, MessageId, Order, OrderId, OrderStatus, Pair,
    PairId, Random, Role, Seller, SellerId, Tag, Timestamp,
};
use mail::{Domain, Mailbox};
use operations::metrics::Metrics;
use operations::{Context, Marketplace, ReadyDelivery, Settings};
use store::seal::MasterKey;
use store::{Body, BodyKind, BodyPlace, Changes, Entity, Guard, KnownId, NewEntry, SealedKey, Store};
use store_files::FileObjects;
use store_sqlite::SqliteStore;
use tempfile::TempDir;
use tokio::sync::{Semaphore, mpsc};

use crate::world::{HandClock, SeededRandom};

/// A seller, a buyer, their pair and an order, numbered so that several do not meet.
pub struct Fixture {
    /// The marketplace.
    pub marketplace: MarketplaceId,
    /// The seller.
    pub seller: Seller,
    /// The buyer.
    pub buyer: Buyer,
    /// The pair.
    pub pair: Pair,
    /// An order.
    pub order: Order,
    /// Randomness of the fixture.
    pub random: SeededRandom,
}

impl Fixture {
    /// The nth.
    #[must_use]
    pub fn new(n: u64) -> Self {
        let random = SeededRandom::new(n);
        let marketplace = MarketplaceId::new("es").unwrap();
        let (seller_id, buyer_id) = (SellerId::of(&marketplace, &format!("s{n}")), BuyerId::of(&marketplace, &format!("b{n}")));
        let mailbox = |text: String| Mailbox::parse(&text).unwrap();
        let seller = Seller {
            id: seller_id,
            marketplace: marketplace.clone(),
            shop_id: format!("s{n}"),
            business_name: format!("Shop {n}"),
            email: mailbox(format!("owner{n}@shop.test")),
            customer_service_email: mailbox(format!("help{n}@shop.test")),
            approved_senders: vec![mailbox(format!("extra{n}@shop.test"))],
            own_senders: vec![mailbox(format!("own{n}@shop.test"))],
            approved_carriers: vec![Domain::parse("carrier.test").unwrap()],
            locale: "es".into(),
            notify_blocked: true,
            important_withdrawn: false,
            updated_at: Some(Timestamp(5)),
            version: 1,
            undeliverable_at: None,
        };
        let buyer = Buyer {
            id: buyer_id,
            marketplace: marketplace.clone(),
            shop_id: format!("b{n}"),
            email: mailbox(format!("ana{n}@buyer.test")),
            first_name: "Ana".into(),
            locale: "pt-BR".into(),
            opt_out: None,
            updated_at: None,
            version: 1,
            undeliverable_at: None,
        };
        let pair = Pair {
            id: PairId::of(seller_id, buyer_id),
            marketplace: marketplace.clone(),
            seller: seller_id,
            buyer: buyer_id,
            buyer_alias: AliasName::draw(&random, 15),
            seller_alias: AliasName::draw(&random, 15),
            state: AliasState::Open,
            version: 1,
        };
        let order = Order {
            id: OrderId::of(&marketplace, &format!("302-{n}"), seller_id),
            marketplace: marketplace.clone(),
            shop_id: format!("302-{n}"),
            pair: pair.id,
            seller: seller_id,
            buyer: buyer_id,
            status: OrderStatus::Shipped,
            placed_at: Timestamp(100),
            shipped_at: Some(Timestamp(200)),
            delivered_at: None,
            cancelled_at: None,
            deliver_between: Some((Timestamp(1), Timestamp(2))),
            items: vec![domain::order::Item { title: "Té \"negro\"".into(), category: "food".into(), customizable: false, quantity: 2 }],
            updated_at: None,
            version: 1,
        };
        Self { marketplace, seller, buyer, pair, order, random }
    }

    /// Everything of it as one commit.
    #[must_use]
    pub fn put(&self) -> Changes {
        Changes {
            guards: vec![Guard::Version(Entity::Pair(self.pair.id), 0)],
            sellers: vec![self.seller.clone()],
            buyers: vec![self.buyer.clone()],
            pairs: vec![self.pair.clone()],
            orders: vec![self.order.clone()],
            ..Changes::default()
        }
    }

    /// A conversation of the pair.
    #[must_use]
    pub fn conversation(&self, at: Timestamp) -> Conversation {
        Conversation {
            id: ConversationId::fresh(at, &self.random, self.pair.id.bucket()),
            pair: self.pair.id,
            order: Some(self.order.id),
            tag: Tag::draw(&self.random),
            begun_by: Role::Buyer,
            started_at: at,
            last_message_at: at,
            last_buyer_message_at: None,
            response_needed: false,
            message_count: 0,
        }
    }

    /// A message with everything that belongs to it, leased to `owner`.
    #[must_use]
    pub fn message(&self, conversation: Option<ConversationId>, at: Timestamp, owner: NodeId) -> (MessageId, Changes) {
        let id = MessageId::fresh(at, &self.random, self.pair.id.bucket());
        let mut salt = [0; 32];
        self.random.fill(&mut salt);
        let chain = (self.pair.id, self.seller.id);
        let lease = Lease { owner, until_at: Timestamp(at.0 + 1_000), fence: 1 };
        let mut hash = [0; 16];
        self.random.fill(&mut hash);
        let changes = Changes {
            messages: vec![Message {
                id,
                pair: self.pair.id,
                seller: self.seller.id,
                conversation,
                author: Author::Party(Role::Buyer),
                rung: None,
                order: Some(self.order.id),
                reason: Some("other".into()),
                automatic: false,
                fingerprint: Some([7; 16]),
                accepted_at: at,
                outcome: Outcome::Relay,
                original_id: mail::MessageId::new("orig@buyer.test"),
                outgoing_id: mail::MessageId::new("out@market.test"),
                size_bytes: 4,
            }],
            keys: vec![SealedKey { message: id, sealed: vec![1, 2, 3], month: 202_611 }],
            bodies: vec![Body { message: id, kind: BodyKind::Outgoing, month: 202_611, place: BodyPlace::Inline(vec![4, 5]) }],
            known_ids: vec![KnownId { pair: self.pair.id, hash, message: id }],
            deliveries: vec![Delivery {
                message: id,
                state: DeliveryState::Queued,
                attempts: 0,
                queued_at: at,
                due_at: at,
                lease: Some(lease),
                last_status: None,
            }],
            entries: vec![
                NewEntry::new(chain, Some(id), "message.accepted", at, salt, []),
                NewEntry::new(chain, Some(id), "message.decided", at, salt, []),
            ],
            ..Changes::default()
        };
        (id, changes)
    }
}

/// A context over a fresh SQLite and folder.
pub struct TestContext {
    /// The context.
    pub ctx: Context,
    /// Its clock.
    pub clock: Arc<HandClock>,
    /// What was handed to delivery.
    pub handed: mpsc::Receiver<ReadyDelivery>,
    _folder: TempDir,
}

impl TestContext {
    /// One marketplace `es` at `market.test`.
    #[must_use]
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&folder.path().join("t.db")).unwrap());
        let clock = Arc::new(HandClock::new());
        let random = Arc::new(SeededRandom::new(7));
        let (handoff, handed) = mpsc::channel(1_000);
        let marketplace = Marketplace {
            id: MarketplaceId::new("es").unwrap(),
            name: "Plaza".into(),
            domain: Domain::parse("market.test").unwrap(),
            locale: "es".into(),
            languages: vec!["es".into()],
            calendar: Calendar::new("Europe/Madrid").unwrap(),
            rules: Arc::new(RuleSet::embedded()),
            postmaster: Mailbox::parse("boss@office.test").unwrap(),
            alias_length: 15,
            signer: None,
        };
        let ctx = Context {
            store,
            objects: Arc::new(FileObjects::open(&folder.path().join("objects")).unwrap()),
            clock: Arc::clone(&clock) as Arc<dyn domain::Clock>,
            random: Arc::clone(&random) as Arc<dyn Random>,
            master_key: Arc::new(MasterKey::new(&[3; 32])),
            settings: Settings {
                hostname: "mx.market.test".into(),
                marketplaces: vec![marketplace],
                texts: Texts::embedded(),
                carriers: Carriers::embedded(),
                public_url: Some("https://mail.market.test".into()),
            },
            node: NodeId::from_bytes([9; 16]),
            handoff,
            heavy: Arc::new(Semaphore::new(2)),
            counting: Arc::new(Semaphore::new(2)),
            metrics: Metrics::default(),
            order_counts: Arc::default(),
            clean_document: Arc::new(attachment::clean_document),
        };
        Self { ctx, clock, handed, _folder: folder }
    }

    /// What was handed over since the last look.
    pub fn take_handed(&mut self) -> Vec<ReadyDelivery> {
        std::iter::from_fn(|| self.handed.try_recv().ok()).collect()
    }
}

impl Default for TestContext {
    fn default() -> Self {
        Self::new()
    }
}

-- Identities: keyed by themselves, erased by themselves.
CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE token (
    hash BLOB PRIMARY KEY, name TEXT NOT NULL UNIQUE, seller BLOB, created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE buyer (
    id BLOB PRIMARY KEY, marketplace TEXT NOT NULL, shop_id TEXT NOT NULL, email TEXT NOT NULL, first_name TEXT NOT NULL,
    locale TEXT NOT NULL, opted_out_at INTEGER, opted_out_by_buyer INTEGER NOT NULL, updated_at INTEGER, version INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE alias (
    marketplace TEXT NOT NULL, name TEXT NOT NULL, pair BLOB NOT NULL, reaches_buyer INTEGER NOT NULL,
    PRIMARY KEY (marketplace, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE seller_address (
    marketplace TEXT NOT NULL, address TEXT NOT NULL, seller BLOB NOT NULL,
    PRIMARY KEY (marketplace, address, seller)
) STRICT, WITHOUT ROWID;
CREATE INDEX seller_address_by_seller ON seller_address (seller);

CREATE TABLE order_key (
    marketplace TEXT NOT NULL, shop_id TEXT NOT NULL, id BLOB NOT NULL, PRIMARY KEY (marketplace, shop_id)
) STRICT, WITHOUT ROWID;

-- What belongs to a seller: the bucket comes first.
CREATE TABLE seller (
    bucket INTEGER NOT NULL, id BLOB NOT NULL, marketplace TEXT NOT NULL, shop_id TEXT NOT NULL, business_name TEXT NOT NULL,
    email TEXT NOT NULL, customer_service_email TEXT NOT NULL, approved_senders TEXT NOT NULL, approved_carriers TEXT NOT NULL,
    locale TEXT NOT NULL, updated_at INTEGER, version INTEGER NOT NULL, PRIMARY KEY (bucket, id)
) STRICT, WITHOUT ROWID;

CREATE TABLE pair (
    bucket INTEGER NOT NULL, id BLOB NOT NULL, marketplace TEXT NOT NULL, seller BLOB NOT NULL, buyer BLOB NOT NULL,
    buyer_alias TEXT NOT NULL, seller_alias TEXT NOT NULL, state TEXT NOT NULL, version INTEGER NOT NULL, PRIMARY KEY (bucket, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX pair_by_seller ON pair (bucket, seller, id);
CREATE INDEX pair_by_buyer ON pair (buyer, id);

CREATE TABLE "order" (
    bucket INTEGER NOT NULL, id BLOB NOT NULL, marketplace TEXT NOT NULL, shop_id TEXT NOT NULL, pair BLOB NOT NULL,
    seller BLOB NOT NULL, buyer BLOB NOT NULL, status TEXT NOT NULL, placed_at INTEGER NOT NULL, shipped_at INTEGER,
    delivered_at INTEGER, cancelled_at INTEGER, deliver_from INTEGER, deliver_to INTEGER, items TEXT NOT NULL,
    updated_at INTEGER, version INTEGER NOT NULL, PRIMARY KEY (bucket, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX order_by_pair ON "order" (bucket, pair, placed_at);

CREATE TABLE conversation (
    bucket INTEGER NOT NULL, id BLOB NOT NULL, pair BLOB NOT NULL, order_id BLOB, tag TEXT NOT NULL, begun_by TEXT NOT NULL,
    started_at INTEGER NOT NULL, last_message_at INTEGER NOT NULL, last_buyer_message_at INTEGER,
    response_needed INTEGER NOT NULL, message_count INTEGER NOT NULL, PRIMARY KEY (bucket, id)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX conversation_by_tag ON conversation (bucket, pair, tag);
CREATE INDEX conversation_by_time ON conversation (bucket, pair, last_message_at, id);
CREATE INDEX conversation_by_order ON conversation (bucket, pair, order_id, last_message_at) WHERE order_id IS NOT NULL;

CREATE TABLE message (
    bucket INTEGER NOT NULL, id BLOB NOT NULL, pair BLOB NOT NULL, seller BLOB NOT NULL, conversation BLOB, author TEXT NOT NULL,
    rung TEXT, order_id BLOB, accepted_at INTEGER NOT NULL, outcome TEXT NOT NULL, original_id TEXT, outgoing_id TEXT,
    size_bytes INTEGER NOT NULL, PRIMARY KEY (bucket, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX message_by_conversation ON message (bucket, conversation, id) WHERE conversation IS NOT NULL;

CREATE TABLE message_key (
    bucket INTEGER NOT NULL, message BLOB NOT NULL, sealed BLOB NOT NULL, month INTEGER NOT NULL, PRIMARY KEY (bucket, message)
) STRICT, WITHOUT ROWID;

CREATE TABLE known_id (
    bucket INTEGER NOT NULL, pair BLOB NOT NULL, hash BLOB NOT NULL, message BLOB NOT NULL, PRIMARY KEY (bucket, pair, hash)
) STRICT, WITHOUT ROWID;

CREATE TABLE delivery (
    bucket INTEGER NOT NULL, message BLOB NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL, queued_at INTEGER NOT NULL,
    due_at INTEGER NOT NULL, lease_owner BLOB, lease_until INTEGER, fence INTEGER NOT NULL, last_status TEXT,
    PRIMARY KEY (bucket, message)
) STRICT, WITHOUT ROWID;
CREATE INDEX delivery_due ON delivery (due_at) WHERE state IN ('queued', 'deferred');

CREATE TABLE chain (
    bucket INTEGER NOT NULL, pair BLOB NOT NULL, length INTEGER NOT NULL, head BLOB NOT NULL, PRIMARY KEY (bucket, pair)
) STRICT, WITHOUT ROWID;

CREATE TABLE feed (
    bucket INTEGER NOT NULL, seller BLOB NOT NULL, position INTEGER NOT NULL, PRIMARY KEY (bucket, seller)
) STRICT, WITHOUT ROWID;

CREATE TABLE counter (
    bucket INTEGER NOT NULL, pair BLOB NOT NULL, name TEXT NOT NULL, value INTEGER NOT NULL, PRIMARY KEY (bucket, pair, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE ledger (
    bucket INTEGER NOT NULL, pair BLOB NOT NULL, number INTEGER NOT NULL, seller BLOB NOT NULL, position INTEGER NOT NULL,
    message BLOB, kind TEXT NOT NULL, at INTEGER NOT NULL, entry TEXT NOT NULL, salt BLOB, leaf BLOB NOT NULL, link BLOB NOT NULL,
    PRIMARY KEY (bucket, pair, number)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX ledger_by_position ON ledger (bucket, seller, position);

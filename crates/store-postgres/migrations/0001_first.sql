-- Identities: keyed by themselves, erased by themselves.
CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL);

CREATE TABLE token (
    hash BYTEA PRIMARY KEY, name TEXT NOT NULL UNIQUE, seller BYTEA, created_at BIGINT NOT NULL
);

CREATE TABLE buyer (
    id BYTEA PRIMARY KEY, marketplace TEXT NOT NULL, shop_id TEXT NOT NULL, email TEXT NOT NULL, first_name TEXT NOT NULL,
    locale TEXT NOT NULL, opted_out_at BIGINT, opted_out_by_buyer BOOLEAN NOT NULL, updated_at BIGINT, version BIGINT NOT NULL
);

CREATE TABLE alias (
    marketplace TEXT NOT NULL, name TEXT NOT NULL, pair BYTEA NOT NULL, reaches_buyer BOOLEAN NOT NULL,
    PRIMARY KEY (marketplace, name)
);

CREATE TABLE seller_address (
    marketplace TEXT NOT NULL, address TEXT NOT NULL, seller BYTEA NOT NULL,
    PRIMARY KEY (marketplace, address, seller)
);
CREATE INDEX seller_address_by_seller ON seller_address (seller);

CREATE TABLE order_key (
    marketplace TEXT NOT NULL, shop_id TEXT NOT NULL, id BYTEA NOT NULL, PRIMARY KEY (marketplace, shop_id)
);

-- What belongs to a seller: the bucket comes first.
CREATE TABLE seller (
    bucket SMALLINT NOT NULL, id BYTEA NOT NULL, marketplace TEXT NOT NULL, shop_id TEXT NOT NULL, business_name TEXT NOT NULL,
    email TEXT NOT NULL, customer_service_email TEXT NOT NULL, approved_senders TEXT NOT NULL, approved_carriers TEXT NOT NULL,
    locale TEXT NOT NULL, updated_at BIGINT, version BIGINT NOT NULL, PRIMARY KEY (bucket, id)
);

CREATE TABLE pair (
    bucket SMALLINT NOT NULL, id BYTEA NOT NULL, marketplace TEXT NOT NULL, seller BYTEA NOT NULL, buyer BYTEA NOT NULL,
    buyer_alias TEXT NOT NULL, seller_alias TEXT NOT NULL, state TEXT NOT NULL, version BIGINT NOT NULL, PRIMARY KEY (bucket, id)
);
CREATE INDEX pair_by_seller ON pair (bucket, seller, id);
CREATE INDEX pair_by_buyer ON pair (buyer, id);

CREATE TABLE "order" (
    bucket SMALLINT NOT NULL, id BYTEA NOT NULL, marketplace TEXT NOT NULL, shop_id TEXT NOT NULL, pair BYTEA NOT NULL,
    seller BYTEA NOT NULL, buyer BYTEA NOT NULL, status TEXT NOT NULL, placed_at BIGINT NOT NULL, shipped_at BIGINT,
    delivered_at BIGINT, cancelled_at BIGINT, deliver_from BIGINT, deliver_to BIGINT, items TEXT NOT NULL,
    updated_at BIGINT, version BIGINT NOT NULL, PRIMARY KEY (bucket, id)
);
CREATE INDEX order_by_pair ON "order" (bucket, pair, placed_at);

CREATE TABLE conversation (
    bucket SMALLINT NOT NULL, id BYTEA NOT NULL, pair BYTEA NOT NULL, order_id BYTEA, tag TEXT NOT NULL, begun_by TEXT NOT NULL,
    started_at BIGINT NOT NULL, last_message_at BIGINT NOT NULL, last_buyer_message_at BIGINT,
    response_needed BOOLEAN NOT NULL, message_count BIGINT NOT NULL, PRIMARY KEY (bucket, id)
);
CREATE UNIQUE INDEX conversation_by_tag ON conversation (bucket, pair, tag);
CREATE INDEX conversation_by_time ON conversation (bucket, pair, last_message_at, id);
CREATE INDEX conversation_by_order ON conversation (bucket, pair, order_id, last_message_at) WHERE order_id IS NOT NULL;

CREATE TABLE message (
    bucket SMALLINT NOT NULL, id BYTEA NOT NULL, pair BYTEA NOT NULL, seller BYTEA NOT NULL, conversation BYTEA, author TEXT NOT NULL,
    rung TEXT, order_id BYTEA, accepted_at BIGINT NOT NULL, outcome TEXT NOT NULL, original_id TEXT, outgoing_id TEXT,
    size_bytes BIGINT NOT NULL, PRIMARY KEY (bucket, id)
);
CREATE INDEX message_by_conversation ON message (bucket, conversation, id) WHERE conversation IS NOT NULL;

CREATE TABLE message_key (
    bucket SMALLINT NOT NULL, message BYTEA NOT NULL, sealed BYTEA NOT NULL, month BIGINT NOT NULL, PRIMARY KEY (bucket, message)
);

CREATE TABLE known_id (
    bucket SMALLINT NOT NULL, pair BYTEA NOT NULL, hash BYTEA NOT NULL, message BYTEA NOT NULL, PRIMARY KEY (bucket, pair, hash)
);

CREATE TABLE delivery (
    bucket SMALLINT NOT NULL, message BYTEA NOT NULL, state TEXT NOT NULL, attempts BIGINT NOT NULL, queued_at BIGINT NOT NULL,
    due_at BIGINT NOT NULL, lease_owner BYTEA, lease_until BIGINT, fence BIGINT NOT NULL, last_status TEXT,
    PRIMARY KEY (bucket, message)
);
CREATE INDEX delivery_due ON delivery (due_at) WHERE state IN ('queued', 'deferred');

CREATE TABLE chain (
    bucket SMALLINT NOT NULL, pair BYTEA NOT NULL, length BIGINT NOT NULL, head BYTEA NOT NULL, PRIMARY KEY (bucket, pair)
);

CREATE TABLE feed (
    bucket SMALLINT NOT NULL, seller BYTEA NOT NULL, position BIGINT NOT NULL, PRIMARY KEY (bucket, seller)
);

CREATE TABLE counter (
    bucket SMALLINT NOT NULL, pair BYTEA NOT NULL, name TEXT NOT NULL, value BIGINT NOT NULL, PRIMARY KEY (bucket, pair, name)
);

CREATE TABLE ledger (
    bucket SMALLINT NOT NULL, pair BYTEA NOT NULL, number BIGINT NOT NULL, seller BYTEA NOT NULL, position BIGINT NOT NULL,
    message BYTEA, kind TEXT NOT NULL, at BIGINT NOT NULL, entry TEXT NOT NULL, salt BYTEA, leaf BYTEA NOT NULL, link BYTEA NOT NULL,
    PRIMARY KEY (bucket, pair, number)
);
CREATE UNIQUE INDEX ledger_by_position ON ledger (bucket, seller, position);

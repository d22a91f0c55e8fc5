-- What the rules need: preferences, reasons, marks, and the indices for limits and figures.
ALTER TABLE seller ADD COLUMN own_senders TEXT NOT NULL DEFAULT '';
ALTER TABLE seller ADD COLUMN notify_blocked BOOLEAN NOT NULL DEFAULT TRUE;
ALTER TABLE seller ADD COLUMN important_withdrawn BOOLEAN NOT NULL DEFAULT FALSE;

ALTER TABLE message ADD COLUMN reason TEXT;
ALTER TABLE message ADD COLUMN automatic BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE message ADD COLUMN fingerprint BYTEA;
CREATE INDEX message_by_seller ON message (bucket, seller, accepted_at, id) WHERE conversation IS NOT NULL;

CREATE INDEX order_by_seller ON "order" (bucket, seller, placed_at) WHERE status <> 'cancelled';

CREATE TABLE mark (
    bucket SMALLINT NOT NULL, message BYTEA NOT NULL, kind TEXT NOT NULL, by_role TEXT NOT NULL, at BIGINT NOT NULL, reason TEXT,
    PRIMARY KEY (bucket, message, kind)
);

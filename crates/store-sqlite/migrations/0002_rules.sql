-- What the rules need: preferences, reasons, marks, and the indices for limits and figures.
ALTER TABLE seller ADD COLUMN own_senders TEXT NOT NULL DEFAULT '';
ALTER TABLE seller ADD COLUMN notify_blocked INTEGER NOT NULL DEFAULT 1;
ALTER TABLE seller ADD COLUMN important_withdrawn INTEGER NOT NULL DEFAULT 0;

ALTER TABLE message ADD COLUMN reason TEXT;
ALTER TABLE message ADD COLUMN automatic INTEGER NOT NULL DEFAULT 0;
ALTER TABLE message ADD COLUMN fingerprint BLOB;
CREATE INDEX message_by_seller ON message (bucket, seller, accepted_at, id) WHERE conversation IS NOT NULL;

CREATE INDEX order_by_seller ON "order" (bucket, seller, placed_at) WHERE status <> 'cancelled';

CREATE TABLE mark (
    bucket INTEGER NOT NULL, message BLOB NOT NULL, kind TEXT NOT NULL, by_role TEXT NOT NULL, at INTEGER NOT NULL, reason TEXT,
    PRIMARY KEY (bucket, message, kind)
) STRICT, WITHOUT ROWID;

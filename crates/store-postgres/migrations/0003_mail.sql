-- What mail among mail systems needs: addresses that are given up, tokens for submission only, the refused mail of a day.
ALTER TABLE seller ADD COLUMN undeliverable_at BIGINT;
ALTER TABLE buyer ADD COLUMN undeliverable_at BIGINT;

ALTER TABLE token ADD COLUMN submit_only BOOLEAN NOT NULL DEFAULT FALSE;

CREATE INDEX counter_refused ON counter (name, pair) WHERE name LIKE 'refused/%';
CREATE INDEX delivery_waiting ON delivery (queued_at, message) WHERE state IN ('queued', 'deferred');

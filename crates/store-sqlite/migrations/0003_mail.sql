-- What mail among mail systems needs: addresses that are given up, tokens for submission only, the refused mail of a day.
ALTER TABLE seller ADD COLUMN undeliverable_at INTEGER;
ALTER TABLE buyer ADD COLUMN undeliverable_at INTEGER;

ALTER TABLE token ADD COLUMN submit_only INTEGER NOT NULL DEFAULT 0;

CREATE INDEX counter_refused ON counter (name, pair) WHERE name >= 'refused/' AND name < 'refused0';
CREATE INDEX delivery_waiting ON delivery (queued_at, message) WHERE state IN ('queued', 'deferred');

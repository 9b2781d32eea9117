-- +goose Up
-- The trace that the job's submission belongs to, as a traceparent of W3C Trace Context; empty when it belongs to none. Whoever
-- starts the job and records its end, later and elsewhere, continues it.
ALTER TABLE jobs ADD COLUMN traceparent text NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE jobs DROP COLUMN traceparent;

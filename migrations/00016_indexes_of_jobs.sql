-- +goose NO TRANSACTION
-- Indexes of earlier migrations on tables that may be large, which are built while others write. What an attempt that broke off has left
-- is no index, so it goes first.

-- +goose Up
-- The wait is for transactions that are under way, and nobody waits behind it.
SET lock_timeout = '5min';
DROP INDEX CONCURRENTLY IF EXISTS jobs_by_imported_id;
CREATE UNIQUE INDEX CONCURRENTLY jobs_by_imported_id ON jobs (imported_id) WHERE imported_id IS NOT NULL;
-- Jobs that report while they run.
DROP INDEX CONCURRENTLY IF EXISTS jobs_reporting;
CREATE INDEX CONCURRENTLY jobs_reporting ON jobs (id) WHERE state = 'RUNNING' AND (answers_task OR progress_webhook IS NOT NULL);
DROP INDEX CONCURRENTLY IF EXISTS idempotency_keys_of_hook;
CREATE INDEX CONCURRENTLY idempotency_keys_of_hook ON idempotency_keys (hook_id);
RESET lock_timeout;

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS idempotency_keys_of_hook;
DROP INDEX CONCURRENTLY IF EXISTS jobs_reporting;
DROP INDEX CONCURRENTLY IF EXISTS jobs_by_imported_id;

-- +goose NO TRANSACTION
-- Indexes of the last migration on a table that may be large, which are built while others write. What an attempt that broke off has left is
-- no index, so it goes first.

-- +goose Up
-- The wait is for transactions that are under way, and nobody waits behind it.
SET lock_timeout = '5min';
-- Each run of a study once, with what is counted of it.
DROP INDEX CONCURRENTLY IF EXISTS jobs_of_study;
CREATE UNIQUE INDEX CONCURRENTLY jobs_of_study ON jobs (study_id, point, replication) INCLUDE (state)
    WHERE study_id IS NOT NULL AND NOT superseded;
-- A study's runs in lists.
DROP INDEX CONCURRENTLY IF EXISTS jobs_of_study_recent;
CREATE INDEX CONCURRENTLY jobs_of_study_recent ON jobs (study_id, id DESC) WHERE study_id IS NOT NULL;
-- A tenant's jobs that belong to no study, newest first.
DROP INDEX CONCURRENTLY IF EXISTS jobs_single;
CREATE INDEX CONCURRENTLY jobs_single ON jobs (tenant_id, id DESC) WHERE study_id IS NULL;
-- Whether a chunk is at work.
DROP INDEX CONCURRENTLY IF EXISTS jobs_of_chunk;
CREATE INDEX CONCURRENTLY jobs_of_chunk ON jobs (chunk_id, state) WHERE state IN ('PENDING', 'RUNNING') AND chunk_id IS NOT NULL;
DROP INDEX CONCURRENTLY IF EXISTS idempotency_keys_of_study;
CREATE INDEX CONCURRENTLY idempotency_keys_of_study ON idempotency_keys (study_id);
RESET lock_timeout;

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS idempotency_keys_of_study;
DROP INDEX CONCURRENTLY IF EXISTS jobs_of_chunk;
DROP INDEX CONCURRENTLY IF EXISTS jobs_single;
DROP INDEX CONCURRENTLY IF EXISTS jobs_of_study_recent;
DROP INDEX CONCURRENTLY IF EXISTS jobs_of_study;

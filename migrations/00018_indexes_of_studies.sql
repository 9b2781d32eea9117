-- +goose NO TRANSACTION
-- Indexes of the last migration on a table that may be large, which are built while others write. What an attempt that broke off has left
-- is no index, so it goes first.

-- +goose Up
-- The wait is for transactions that are under way, and nobody waits behind it.
SET lock_timeout = '5min';
-- Each run of a study once, with what is counted of it.
DROP INDEX CONCURRENTLY IF EXISTS jobs_of_study;
CREATE UNIQUE INDEX CONCURRENTLY jobs_of_study ON jobs (study_id, point, replication)
    INCLUDE (state, cpu_request, started_at, finished_at) WHERE study_id IS NOT NULL AND NOT superseded;
-- A study's runs in lists.
DROP INDEX CONCURRENTLY IF EXISTS jobs_of_study_recent;
CREATE INDEX CONCURRENTLY jobs_of_study_recent ON jobs (study_id, id DESC) WHERE study_id IS NOT NULL;
-- Lists of jobs that belong to no study, newest first, for a tenant and for operators. The release before this one still reads
-- jobs_recent, jobs_by_label and jobs_by_state, so they stay as long as it may be at work.
DROP INDEX CONCURRENTLY IF EXISTS jobs_single;
CREATE INDEX CONCURRENTLY jobs_single ON jobs (tenant_id, id DESC) WHERE study_id IS NULL;
DROP INDEX CONCURRENTLY IF EXISTS jobs_single_in_state;
CREATE INDEX CONCURRENTLY jobs_single_in_state ON jobs (tenant_id, state, id DESC) WHERE study_id IS NULL;
DROP INDEX CONCURRENTLY IF EXISTS jobs_single_by_label;
CREATE INDEX CONCURRENTLY jobs_single_by_label ON jobs USING gin (labels jsonb_path_ops) WHERE labels IS NOT NULL AND study_id IS NULL;
DROP INDEX CONCURRENTLY IF EXISTS jobs_single_of_all;
CREATE INDEX CONCURRENTLY jobs_single_of_all ON jobs (id DESC) WHERE study_id IS NULL;
DROP INDEX CONCURRENTLY IF EXISTS jobs_single_by_state;
CREATE INDEX CONCURRENTLY jobs_single_by_state ON jobs (state, id DESC) WHERE study_id IS NULL;
-- What single jobs hold of the limits.
DROP INDEX CONCURRENTLY IF EXISTS jobs_single_active;
CREATE INDEX CONCURRENTLY jobs_single_active ON jobs (tenant_id) INCLUDE (cpu_request, memory_gi)
    WHERE state IN ('PENDING', 'RUNNING') AND study_id IS NULL;
-- Runs of a scenario, newest first, from which is estimated what others take.
DROP INDEX CONCURRENTLY IF EXISTS jobs_of_scenario_recent;
CREATE INDEX CONCURRENTLY jobs_of_scenario_recent ON jobs (tenant_id, scenario_digest, id DESC);
DROP INDEX CONCURRENTLY IF EXISTS jobs_of_scenario;
-- Whether a chunk is at work.
DROP INDEX CONCURRENTLY IF EXISTS jobs_of_chunk;
CREATE INDEX CONCURRENTLY jobs_of_chunk ON jobs (chunk_id, state) WHERE state IN ('PENDING', 'RUNNING') AND chunk_id IS NOT NULL;
DROP INDEX CONCURRENTLY IF EXISTS idempotency_keys_of_study;
CREATE INDEX CONCURRENTLY idempotency_keys_of_study ON idempotency_keys (study_id);
DROP INDEX CONCURRENTLY IF EXISTS deliveries_of_study;
CREATE INDEX CONCURRENTLY deliveries_of_study ON deliveries (study_id) WHERE study_id IS NOT NULL;
RESET lock_timeout;

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS deliveries_of_study;
DROP INDEX CONCURRENTLY IF EXISTS idempotency_keys_of_study;
CREATE INDEX CONCURRENTLY IF NOT EXISTS jobs_of_scenario ON jobs (tenant_id, scenario_digest);
DROP INDEX CONCURRENTLY IF EXISTS jobs_of_scenario_recent;
DROP INDEX CONCURRENTLY IF EXISTS jobs_single_active;
DROP INDEX CONCURRENTLY IF EXISTS jobs_single_by_state;
DROP INDEX CONCURRENTLY IF EXISTS jobs_single_of_all;
DROP INDEX CONCURRENTLY IF EXISTS jobs_single_by_label;
DROP INDEX CONCURRENTLY IF EXISTS jobs_single_in_state;
DROP INDEX CONCURRENTLY IF EXISTS jobs_of_chunk;
DROP INDEX CONCURRENTLY IF EXISTS jobs_single;
DROP INDEX CONCURRENTLY IF EXISTS jobs_of_study_recent;
DROP INDEX CONCURRENTLY IF EXISTS jobs_of_study;

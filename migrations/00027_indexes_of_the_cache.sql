-- +goose NO TRANSACTION
-- Indexes of the last migration on a table that may be large, which are built while others write. What an attempt that broke off has left
-- is no index, so it goes first.

-- +goose Up
-- The wait is for transactions that are under way, and nobody waits behind it.
SET lock_timeout = '5min';
-- What the cache has, the latest run first.
DROP INDEX CONCURRENTLY IF EXISTS jobs_cache;
CREATE INDEX CONCURRENTLY jobs_cache ON jobs (tenant_id, work, coalesce(cached_from, id) DESC)
    WHERE work <> '' AND state = 'SUCCEEDED' AND NOT results_pruned;
-- Jobs that have the results of another.
DROP INDEX CONCURRENTLY IF EXISTS jobs_cached_from;
CREATE INDEX CONCURRENTLY jobs_cached_from ON jobs (cached_from) WHERE cached_from IS NOT NULL;
RESET lock_timeout;

-- +goose Down
DROP INDEX CONCURRENTLY IF EXISTS jobs_cached_from;
DROP INDEX CONCURRENTLY IF EXISTS jobs_cache;

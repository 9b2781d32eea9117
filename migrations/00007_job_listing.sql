-- +goose Up
-- What a tenant's list of jobs is narrowed by, newest first, so that a page of a long history reads about as many rows as it shows.
CREATE INDEX jobs_by_name ON jobs (tenant_id, name, id DESC);
-- Labels are few keys of many values, so their paths are all that is looked for.
CREATE INDEX jobs_by_label ON jobs USING gin (labels jsonb_path_ops) WHERE labels IS NOT NULL;
-- The ids make the index on states one for lists too.
DROP INDEX jobs_usage;
CREATE INDEX jobs_usage ON jobs (tenant_id, state, id DESC) INCLUDE (cpu_request, memory_gi);

-- +goose Down
DROP INDEX jobs_usage;
CREATE INDEX jobs_usage ON jobs (tenant_id, state) INCLUDE (cpu_request, memory_gi);
DROP INDEX jobs_by_label;
DROP INDEX jobs_by_name;

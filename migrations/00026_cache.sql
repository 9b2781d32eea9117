-- +goose Up
-- What a run computes, as a key that equal runs share (job.Work, with the seed); empty for jobs that take no part in the cache. A job that was
-- answered from it has the results of the job cached_from, which may have been deleted since: the objects of a run are removed when the last
-- job that has them is purged or has expired.
ALTER TABLE jobs ADD COLUMN work text NOT NULL DEFAULT '', ADD COLUMN cached_from uuid;
ALTER TABLE study_points ADD COLUMN work text NOT NULL DEFAULT '';
-- How many runs the study had when all of them were looked for in the cache.
ALTER TABLE studies ADD COLUMN looked_up integer NOT NULL DEFAULT 0;
-- The container image in which SUMO ran, as the operator names it; empty outside containers, and of runs before this release.
ALTER TABLE jobs ADD COLUMN image text NOT NULL DEFAULT '';

-- The key of a run of a point, or of a single job, with a seed.
-- +goose StatementBegin
CREATE FUNCTION work_with_seed(work text, seed bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE work WHEN '' THEN '' ELSE work || '-' || seed END
$$;
-- +goose StatementEnd

-- The job whose results a tenant's job with this key takes: of those that are there, what ran last.
-- +goose StatementBegin
CREATE FUNCTION cache_source(of_tenant text, of_work text) RETURNS uuid LANGUAGE sql STABLE AS $$
    SELECT j.id FROM jobs j
    WHERE j.tenant_id = of_tenant AND j.work = of_work AND j.work <> '' AND j.state = 'SUCCEEDED' AND NOT j.results_pruned
    ORDER BY coalesce(j.cached_from, j.id) DESC LIMIT 1
$$;
-- +goose StatementEnd

-- As in the migration of studies, without runs that were answered from the cache, which took no time.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION recent_core_seconds(of_tenant text, digest text) RETURNS double precision LANGUAGE sql STABLE AS $$
    SELECT avg(extract(epoch FROM r.finished_at - r.started_at) * r.cpu_request)::double precision
    FROM (
        SELECT j.started_at, j.finished_at, j.cpu_request FROM jobs j
        WHERE j.tenant_id = of_tenant AND j.scenario_digest = digest AND j.state = 'SUCCEEDED' AND j.started_at IS NOT NULL
          AND NOT coalesce((j.options ->> 'check')::boolean, false) AND j.cached_from IS NULL
        ORDER BY j.id DESC LIMIT 20
    ) AS r
$$;
-- +goose StatementEnd

-- +goose Down
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION recent_core_seconds(of_tenant text, digest text) RETURNS double precision LANGUAGE sql STABLE AS $$
    SELECT avg(extract(epoch FROM r.finished_at - r.started_at) * r.cpu_request)::double precision
    FROM (
        SELECT j.started_at, j.finished_at, j.cpu_request FROM jobs j
        WHERE j.tenant_id = of_tenant AND j.scenario_digest = digest AND j.state = 'SUCCEEDED' AND j.started_at IS NOT NULL
          AND NOT coalesce((j.options ->> 'check')::boolean, false)
        ORDER BY j.id DESC LIMIT 20
    ) AS r
$$;
-- +goose StatementEnd
DROP FUNCTION cache_source(text, text);
DROP FUNCTION work_with_seed(text, bigint);
ALTER TABLE studies DROP COLUMN looked_up;
ALTER TABLE study_points DROP COLUMN work;
ALTER TABLE jobs DROP COLUMN image, DROP COLUMN cached_from, DROP COLUMN work;

-- name: CountStudies :many
-- What has become of the runs of each study that goes on, beside what is on record of it.
SELECT s.id, s.tenant_id, coalesce(s.plan -> 'replications' ? 'until', false)::boolean AS sequential, s.version, s.cancel_requested, s.unplaced,
       s.stop_share, s.message, s.runs, s.succeeded, s.failed, s.cancelled, s.active, s.running, s.cached,
       s.started_at, n.placed, n.now_succeeded, n.now_failed, n.now_repeating, n.now_cancelled, n.now_active, n.now_running, n.now_cached,
       n.core_seconds::float8 AS core_seconds, n.begun,
       (s.unplaced AND EXISTS (
           SELECT 1 FROM study_points p
           WHERE p.study_id = s.id AND (p.cpu_request > t.max_cpu OR p.memory_gi > t.max_memory_gi)
             AND (SELECT count(*) FROM jobs j WHERE j.study_id = s.id AND j.point = p.point AND NOT j.superseded) < cardinality(s.seeds)
       ))::boolean AS oversized
FROM studies s
JOIN tenants t ON t.id = s.tenant_id
CROSS JOIN LATERAL (
    SELECT count(*)::integer AS placed,
           (count(*) FILTER (WHERE j.state = 'SUCCEEDED'))::integer AS now_succeeded,
           (count(*) FILTER (WHERE j.state = 'FAILED'))::integer AS now_failed,
           (count(*) FILTER (WHERE j.state = 'FAILED' AND j.reason = ANY (@repeating::text[])))::integer AS now_repeating,
           (count(*) FILTER (WHERE j.state = 'CANCELLED'))::integer AS now_cancelled,
           (count(*) FILTER (WHERE j.finished_at IS NULL))::integer AS now_active,
           (count(*) FILTER (WHERE j.state = 'RUNNING'))::integer AS now_running,
           count(j.cached_from)::integer AS now_cached,
           coalesce(sum(extract(epoch FROM j.finished_at - j.started_at) * j.cpu_request), 0) AS core_seconds,
           (count(j.started_at) > 0)::boolean AS begun
    FROM jobs j
    WHERE j.study_id = s.id AND NOT j.superseded
) AS n
WHERE s.state = 'RUNNING';

-- name: UpdateStudies :exec
-- Leaves alone what has changed since it was counted.
UPDATE studies s
SET state            = u ->> 'state',
    message          = u ->> 'message',
    cancel_requested = (u ->> 'stop')::boolean,
    unplaced         = (u ->> 'unplaced')::boolean,
    succeeded        = (u ->> 'succeeded')::integer,
    failed           = (u ->> 'failed')::integer,
    cancelled        = (u ->> 'cancelled')::integer,
    active           = (u ->> 'active')::integer,
    running          = (u ->> 'running')::integer,
    cached           = (u ->> 'cached')::integer,
    core_seconds     = (u ->> 'core_seconds')::float8,
    started_at       = coalesce(s.started_at, (SELECT min(j.started_at) FROM jobs j WHERE j.study_id = s.id AND NOT j.superseded)),
    finished_at      = CASE u ->> 'state' WHEN 'RUNNING' THEN NULL ELSE clock_timestamp() END,
    results_pruned   = false,
    version          = s.version + 1,
    updated_at       = clock_timestamp()
FROM jsonb_array_elements(@studies::jsonb) AS u
WHERE s.id = (u ->> 'id')::uuid AND s.version = (u ->> 'version')::bigint;

-- name: UpdateExpectations :exec
-- What a run takes at each point, by those that have ended; by failed ones only where there are no others. Small changes are not worth a
-- write.
UPDATE study_points p
SET core_seconds = m.mean
FROM (
    SELECT j.study_id, j.point,
           coalesce(avg(t.core_seconds) FILTER (WHERE j.state = 'SUCCEEDED'), avg(t.core_seconds))::float8 AS mean
    FROM jobs j
    CROSS JOIN LATERAL (
        SELECT coalesce(extract(epoch FROM j.finished_at - j.started_at), 0) * j.cpu_request AS core_seconds
    ) AS t
    WHERE j.study_id = ANY (@study_ids::uuid[]) AND NOT j.superseded AND j.state IN ('SUCCEEDED', 'FAILED') AND j.cached_from IS NULL
    GROUP BY j.study_id, j.point
) AS m
WHERE p.study_id = m.study_id AND p.point = m.point
  AND (p.core_seconds IS NULL OR abs(p.core_seconds - m.mean) > 0.05 * p.core_seconds);

-- name: CancelRunsOfStudies :exec
UPDATE jobs j SET cancel_requested = true, cancel_message = s.message
FROM (SELECT unnest(@studies::uuid[]) AS study_id, unnest(@messages::text[]) AS message) AS s
WHERE j.study_id = s.study_id AND j.state IN ('PENDING', 'RUNNING') AND NOT j.superseded AND NOT j.cancel_requested;

-- name: DeleteIdleChunks :exec
DELETE FROM chunks c
WHERE NOT EXISTS (SELECT 1 FROM jobs j WHERE j.chunk_id = c.id AND j.state IN ('PENDING', 'RUNNING'));

-- name: CancelStudiesOfTenant :exec
UPDATE studies SET cancel_requested = true, version = version + 1, updated_at = clock_timestamp()
WHERE tenant_id = @tenant_id AND state = 'RUNNING' AND NOT cancel_requested;

-- name: HasStudiesRunning :one
SELECT EXISTS (SELECT 1 FROM studies WHERE tenant_id = @tenant_id AND state = 'RUNNING');

-- name: ParallelOf :many
SELECT id, parallel FROM chunks WHERE id = ANY (@ids::uuid[]);

-- name: ExpiredStudies :many
SELECT s.id, s.tenant_id, t.namespace FROM studies s
JOIN tenants t ON t.id = s.tenant_id
WHERE s.finished_at < @before::timestamptz AND NOT s.results_pruned
ORDER BY s.finished_at
LIMIT @most::integer;

-- name: MarkStudyPruned :exec
-- Leaves alone a study that goes on again, or has since.
UPDATE studies SET results_pruned = true, version = version + 1, updated_at = clock_timestamp()
WHERE id = @id AND finished_at < @before::timestamptz;

-- name: MarkRunsPruned :exec
UPDATE jobs SET results_pruned = true WHERE study_id = @study_id AND finished_at < @before::timestamptz AND NOT results_pruned;

-- name: NextRound :execrows
-- Gives every point of a study further seeds, unless it has changed since its runs were counted.
UPDATE studies
SET seeds = seeds || @seeds::bigint[], unplaced = true, message = '', version = version + 1, updated_at = clock_timestamp(),
    runs = (SELECT count(*) FROM study_points p WHERE p.study_id = studies.id)::integer * cardinality(seeds || @seeds)
WHERE id = @id AND version = @version AND state = 'RUNNING' AND NOT cancel_requested;

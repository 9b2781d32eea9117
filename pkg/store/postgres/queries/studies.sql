-- name: InsertStudy :one
INSERT INTO studies (id, tenant_id, name, state, plan, priority, labels, seeds, max_parallel, stop_share, metric_names, traceparent, runs)
VALUES (@id, @tenant_id, @name, 'RUNNING', @plan, @priority, @labels, @seeds, @max_parallel, @stop_share, @metric_names, @traceparent, @runs)
RETURNING *;

-- name: InsertPoints :execrows
-- No row for a point whose scenario the tenant does not have.
INSERT INTO study_points (study_id, point, variant, setting, scenario_digest, scenario_key, overlay_key, cpu_request, memory_gi,
                          options, timeout_seconds, warnings, core_seconds, work)
SELECT @study_id, (p ->> 'point')::integer, p ->> 'variant', p -> 'setting', s.digest, s.object_key, s.overlay_key,
       (p ->> 'cpu_request')::integer, (p ->> 'memory_gi')::integer, p -> 'options', (p ->> 'timeout_seconds')::integer, p -> 'warnings', (p ->> 'core_seconds')::float8,
       p ->> 'work'
FROM jsonb_array_elements(@points::jsonb) AS p
JOIN scenarios s ON s.tenant_id = @tenant_id AND s.digest = p ->> 'scenario';

-- name: UnfinishedStudies :one
-- Stops counting at @most.
SELECT count(*) FROM (
    SELECT 1 FROM studies WHERE tenant_id = @tenant_id AND state = 'RUNNING' LIMIT @most::integer
) AS unfinished;

-- name: StudyOfTenant :one
SELECT sqlc.embed(s), t.namespace FROM studies s JOIN tenants t ON t.id = s.tenant_id WHERE s.tenant_id = @tenant_id AND s.id = @id;

-- name: LockStudy :one
SELECT * FROM studies WHERE tenant_id = @tenant_id AND id = @id FOR UPDATE;

-- name: StudyVersion :one
SELECT version FROM studies WHERE tenant_id = @tenant_id AND id = @id;

-- name: ListStudies :many
-- A page of a tenant's studies, newest first, without their plans, which may be long.
SELECT id, name, state, message, priority, labels, max_parallel, stop_share, cancel_requested, runs, succeeded,
       failed, cancelled, active, running, cached, core_seconds, version, created_at, started_at, finished_at, updated_at
FROM studies
WHERE tenant_id = @tenant_id
  AND (sqlc.narg(after)::uuid IS NULL OR id < sqlc.narg(after))
  AND (@state::text = '' OR state = @state)
  AND (sqlc.narg(labels)::jsonb IS NULL OR labels @> sqlc.narg(labels))
ORDER BY id DESC LIMIT @most::integer;

-- name: PointsOfStudy :many
SELECT sqlc.embed(p), coalesce(r.succeeded, 0)::integer AS succeeded, coalesce(r.failed, 0)::integer AS failed,
       coalesce(r.cancelled, 0)::integer AS cancelled, coalesce(r.active, 0)::integer AS active, coalesce(r.running, 0)::integer AS running,
       coalesce(r.cached, 0)::integer AS cached
FROM study_points p
JOIN studies s ON s.id = p.study_id AND s.tenant_id = @tenant_id
LEFT JOIN (
    SELECT j.point, count(*) FILTER (WHERE j.state = 'SUCCEEDED') AS succeeded, count(*) FILTER (WHERE j.state = 'FAILED') AS failed,
           count(*) FILTER (WHERE j.state = 'CANCELLED') AS cancelled, count(*) FILTER (WHERE j.state IN ('PENDING', 'RUNNING')) AS active,
           count(*) FILTER (WHERE j.state = 'RUNNING') AS running, count(j.cached_from) AS cached
    FROM jobs j
    WHERE j.study_id = @study_id AND NOT j.superseded
    GROUP BY j.point
) AS r ON r.point = p.point
WHERE p.study_id = @study_id
ORDER BY p.point;

-- name: PointNames :many
-- The points that jobs are runs of, by study and number.
SELECT p.study_id, p.point, p.variant, p.setting
FROM (SELECT unnest(@studies::uuid[]) AS study_id, unnest(@points::integer[]) AS point) AS wanted
JOIN study_points p ON p.study_id = wanted.study_id AND p.point = wanted.point
JOIN studies s ON s.id = p.study_id AND s.tenant_id = @tenant_id;

-- name: CancelStudy :one
-- No row when there is no such study, or it has finished.
UPDATE studies
SET cancel_requested = true, version = version + (NOT cancel_requested)::integer,
    updated_at = CASE WHEN cancel_requested THEN updated_at ELSE now() END
WHERE tenant_id = @tenant_id AND id = @id AND state = 'RUNNING'
RETURNING *;

-- name: ExtendStudy :one
-- No row when the study is no longer what the extension was made from.
UPDATE studies
SET plan = @plan, seeds = @seeds, runs = @runs, max_parallel = @max_parallel, stop_share = @stop_share,
    state = CASE WHEN @resume::boolean THEN 'RUNNING' ELSE state END, finished_at = CASE WHEN @resume THEN NULL ELSE finished_at END,
    message = CASE WHEN @resume THEN '' ELSE message END, unplaced = unplaced OR runs < @runs,
    version = version + 1, updated_at = now()
WHERE tenant_id = @tenant_id AND id = @id AND plan = @plan_before AND seeds = @seeds_before AND NOT cancel_requested AND NOT purging
  AND state IN ('RUNNING', 'SUCCEEDED', 'INCOMPLETE')
RETURNING *;

-- name: SupersedeEnded :execrows
-- Runs of a study that are to be made again.
UPDATE jobs SET superseded = true
WHERE study_id = @study_id AND NOT superseded AND state IN ('FAILED', 'CANCELLED');

-- name: UnplacedRuns :one
-- How many runs of a study have no row.
SELECT s.runs - (SELECT count(*) FROM jobs j WHERE j.study_id = s.id AND NOT j.superseded) FROM studies s WHERE s.id = @id;

-- name: PointsWithoutScenario :one
SELECT count(*) FROM study_points p
WHERE p.study_id = @study_id
  AND NOT EXISTS (SELECT 1 FROM scenarios s WHERE s.tenant_id = @tenant_id AND s.digest = p.scenario_digest);

-- name: RefreshPoints :exec
-- A scenario that was deleted and uploaded again has other keys.
UPDATE study_points p SET scenario_key = s.object_key, overlay_key = s.overlay_key
FROM scenarios s
WHERE p.study_id = @study_id AND s.tenant_id = @tenant_id AND s.digest = p.scenario_digest
  AND (p.scenario_key, p.overlay_key) <> (s.object_key, s.overlay_key);

-- name: ResumeStudy :one
UPDATE studies
SET state = 'RUNNING', finished_at = NULL, message = '', cancel_requested = false, unplaced = true, version = version + 1, updated_at = now()
WHERE id = @id
RETURNING *;

-- name: MarkStudyPurging :exec
-- Leaves alone a study that goes on, and one that is marked already.
UPDATE studies SET purging = true, version = version + 1, updated_at = now() WHERE id = @id AND state <> 'RUNNING' AND NOT purging;

-- name: MarkAllRunsPruned :exec
UPDATE jobs SET results_pruned = true WHERE study_id = @study_id AND NOT results_pruned;

-- name: DeleteStudyRuns :many
DELETE FROM jobs
WHERE id IN (
    SELECT j.id FROM jobs j JOIN studies s ON s.id = j.study_id
    WHERE j.study_id = @study_id AND s.tenant_id = @tenant_id AND s.state <> 'RUNNING' AND j.finished_at IS NOT NULL
    LIMIT @most::integer
)
RETURNING id;

-- name: ForgetDeliveriesOfJobs :exec
DELETE FROM deliveries WHERE job_id = ANY (@job_ids::uuid[]) AND state IN ('DELIVERED', 'GIVEN_UP');

-- name: DeleteStudy :execrows
DELETE FROM studies WHERE tenant_id = @tenant_id AND id = @id AND state <> 'RUNNING';

-- name: CoreSecondsOfScenarios :many
-- Leaves out scenarios without recent runs.
SELECT d.digest::text AS digest, d.core_seconds::float8 AS core_seconds
FROM (
    SELECT known.digest, recent_core_seconds(@tenant_id, known.digest) AS core_seconds FROM unnest(@digests::text[]) AS known (digest)
) AS d
WHERE d.core_seconds IS NOT NULL;

-- name: ResultsOfStudy :many
-- What the runs that have a row came to, without those that were made again.
SELECT j.id, j.point::integer AS point, j.replication::integer AS replication, j.state, j.reason, j.sumo_version,
       array_replace(coalesce(j.metrics, '{}'), NULL, 'NaN')::float8[] AS metrics
FROM jobs j
JOIN studies s ON s.id = j.study_id AND s.tenant_id = @tenant_id
WHERE j.study_id = @study_id AND NOT j.superseded
ORDER BY j.point, j.replication;

-- name: InsertJob :one
-- No row when the tenant does not have the scenario.
INSERT INTO jobs (id, tenant_id, namespace, name, scenario_digest, scenario_key, overlay_key, results_key, state, cpu_request, memory_gi,
                  priority, options, timeout_seconds, labels, task_token, answers_task, progress_webhook, traceparent, warnings,
                  work, submitted_at, updated_at)
SELECT @id, t.id, t.namespace, @name, s.digest, s.object_key, s.overlay_key, @results_key, 'QUEUED', @cpu_request, @memory_gi, @priority,
       @options, @timeout_seconds, @labels, @task_token, @answers_task, @progress_webhook, @traceparent, @warnings,
       @work, coalesce(sqlc.narg(submitted_at)::timestamptz, now()), now()
FROM tenants t
JOIN scenarios s ON s.tenant_id = t.id
WHERE t.id = @tenant_id AND s.digest = @scenario_digest
RETURNING *;

-- name: QueueDepth :one
-- Stops counting at @most.
SELECT count(*) FROM (
    SELECT 1 FROM jobs WHERE tenant_id = @tenant_id AND state = 'QUEUED' LIMIT @most::integer
) AS waiting;

-- name: IdempotencyKey :one
SELECT request_hash, job_id, upload_id, hook_id, study_id FROM idempotency_keys
WHERE tenant_id = @tenant_id AND key = @key AND created_at > now() - @lifetime::interval;

-- name: InsertIdempotencyKey :exec
-- Only an expired, not yet pruned key can conflict: the caller holds the tenant's row and has looked the key up.
INSERT INTO idempotency_keys (tenant_id, key, request_hash, job_id, upload_id, hook_id, study_id)
VALUES (@tenant_id, @key, @request_hash, sqlc.narg(job_id), sqlc.narg(upload_id), sqlc.narg(hook_id), sqlc.narg(study_id))
ON CONFLICT (tenant_id, key) DO UPDATE
SET request_hash = excluded.request_hash, job_id = excluded.job_id, upload_id = excluded.upload_id, hook_id = excluded.hook_id,
    study_id = excluded.study_id, created_at = excluded.created_at;

-- name: PruneIdempotencyKeys :execrows
DELETE FROM idempotency_keys i
USING (
    SELECT old.tenant_id, old.key FROM idempotency_keys old
    WHERE old.created_at < @before
    ORDER BY old.created_at LIMIT @most::integer
    FOR UPDATE SKIP LOCKED
) AS old
WHERE i.tenant_id = old.tenant_id AND i.key = old.key;

-- name: JobOfTenant :one
SELECT * FROM jobs WHERE tenant_id = @tenant_id AND id = @id;

-- name: JobStates :many
SELECT id, state FROM jobs WHERE id = ANY (@ids::uuid[]);

-- name: ImportedJobOfTenant :one
SELECT * FROM jobs WHERE tenant_id = @tenant_id AND imported_id = @id;

-- name: ImportedJobs :many
SELECT imported_id, tenant_id FROM jobs WHERE imported_id = ANY (@ids::uuid[]);

-- name: ImportJobs :many
-- Leaves out jobs that are here already and those of tenants that are not. An event at the job's end is all that is known of its life.
INSERT INTO jobs (id, imported_id, imported, tenant_id, namespace, name, scenario_digest, scenario_key, state, reason, message, progress,
                  cpu_request, memory_gi, priority, options, timeout_seconds, task_token, results_pruned, submitted_at, started_at,
                  finished_at, updated_at)
SELECT (g ->> 'place')::uuid, (g ->> 'id')::uuid, g -> 'imported', t.id, t.namespace, g ->> 'name', '', '', g ->> 'state', g ->> 'reason',
       g ->> 'message', (g ->> 'progress')::float8, (g ->> 'cpu_request')::integer, (g ->> 'memory_gi')::integer,
       (g ->> 'priority')::integer, g -> 'options', (g ->> 'timeout_seconds')::integer, '', true, (g ->> 'submitted_at')::timestamptz,
       (g ->> 'started_at')::timestamptz, (g ->> 'finished_at')::timestamptz, (g ->> 'finished_at')::timestamptz
FROM jsonb_array_elements(@jobs::jsonb) AS g
JOIN tenants t ON t.id = g ->> 'tenant_id' AND t.retired_at IS NULL
ORDER BY 1
ON CONFLICT DO NOTHING
RETURNING imported_id;

-- name: RecentJobs :many
-- Without the runs of studies.
SELECT * FROM jobs WHERE tenant_id = @tenant_id AND study_id IS NULL ORDER BY id DESC LIMIT @most::integer;

-- name: ListJobs :many
-- A page of a tenant's jobs, newest first. Ids grow with time (UUIDv7), so that new rows sort before the pages already
-- read and shift none of them. The runs of a study are listed only for that study.
SELECT * FROM jobs
WHERE tenant_id = @tenant_id
  AND (sqlc.narg(study_id)::uuid IS NOT NULL OR study_id IS NULL)
  AND (sqlc.narg(study_id)::uuid IS NULL OR study_id = sqlc.narg(study_id))
  AND (sqlc.narg(point)::integer IS NULL OR point = sqlc.narg(point))
  AND (@variant::text = '' OR point IN (
      SELECT p.point FROM study_points p WHERE p.study_id = sqlc.narg(study_id) AND p.variant = @variant))
  AND (sqlc.narg(after)::uuid IS NULL OR id < sqlc.narg(after))
  AND (sqlc.narg(least)::uuid IS NULL OR id >= sqlc.narg(least))
  AND (@state::text = '' OR state = @state)
  AND (@name::text = '' OR name = @name)
  AND (sqlc.narg(labels)::jsonb IS NULL OR labels @> sqlc.narg(labels))
  AND (sqlc.narg(submitted_after)::timestamptz IS NULL OR submitted_at > sqlc.narg(submitted_after))
  AND (sqlc.narg(submitted_before)::timestamptz IS NULL OR submitted_at < sqlc.narg(submitted_before))
ORDER BY id DESC LIMIT @most::integer;

-- name: DeleteJob :execrows
-- Deletes only a finished job.
DELETE FROM jobs WHERE tenant_id = @tenant_id AND id = @id AND finished_at IS NOT NULL;

-- name: AllJobs :many
-- Without the runs of studies, as the other statements for operators' lists.
SELECT * FROM jobs
WHERE study_id IS NULL AND (sqlc.narg(after)::uuid IS NULL OR id < sqlc.narg(after))
ORDER BY id DESC LIMIT @most::integer;

-- name: CountJobs :one
SELECT count(*) FROM jobs WHERE study_id IS NULL;

-- name: AllJobsInState :many
SELECT * FROM jobs
WHERE state = @state AND study_id IS NULL AND (sqlc.narg(after)::uuid IS NULL OR id < sqlc.narg(after))
ORDER BY id DESC LIMIT @most::integer;

-- name: CountJobsInState :one
SELECT count(*) FROM jobs WHERE state = @state AND study_id IS NULL;

-- name: Events :many
SELECT e.* FROM job_events e
JOIN jobs j ON j.id = e.job_id
WHERE j.tenant_id = @tenant_id AND j.id = @job_id
ORDER BY e.seq;

-- name: Usage :many
SELECT j.state, count(*) AS jobs, h.jobs AS held, h.cpu, h.memory_gi
FROM jobs j
CROSS JOIN (
    SELECT count(*) AS jobs, coalesce(sum(u.cpu), 0)::bigint AS cpu, coalesce(sum(u.memory_gi), 0)::bigint AS memory_gi
    FROM held u
    WHERE u.tenant_id = @tenant_id
) AS h
WHERE j.tenant_id = @tenant_id
GROUP BY j.state, h.jobs, h.cpu, h.memory_gi;

-- name: UsageByTenant :many
SELECT j.tenant_id, j.state, count(*) AS jobs, coalesce(h.jobs, 0)::bigint AS held, coalesce(h.cpu, 0)::bigint AS cpu,
       coalesce(h.memory_gi, 0)::bigint AS memory_gi
FROM jobs j
LEFT JOIN (
    SELECT u.tenant_id, count(*) AS jobs, sum(u.cpu)::bigint AS cpu, sum(u.memory_gi)::bigint AS memory_gi FROM held u GROUP BY u.tenant_id
) AS h ON h.tenant_id = j.tenant_id
GROUP BY j.tenant_id, j.state, h.jobs, h.cpu, h.memory_gi;

-- name: RequestCancel :one
-- No row when there is no such job, or it has finished.
UPDATE jobs
SET cancel_requested = true,
    state       = CASE state WHEN 'QUEUED' THEN 'CANCELLED' ELSE state END,
    reason      = CASE state WHEN 'QUEUED' THEN 'Cancelled' ELSE reason END,
    message     = CASE state WHEN 'QUEUED' THEN 'Cancelled on request, before it started.' ELSE message END,
    finished_at = CASE state WHEN 'QUEUED' THEN now() ELSE finished_at END
WHERE tenant_id = @tenant_id AND id = @id AND state IN ('QUEUED', 'PENDING', 'RUNNING')
RETURNING *;

-- name: RequestCancelOfTenant :exec
UPDATE jobs
SET cancel_requested = true,
    state       = CASE state WHEN 'QUEUED' THEN 'CANCELLED' ELSE state END,
    reason      = CASE state WHEN 'QUEUED' THEN 'Cancelled' ELSE reason END,
    message     = CASE state WHEN 'QUEUED' THEN 'Cancelled because its tenant was deleted.' ELSE message END,
    cancel_message = 'Cancelled because its tenant was deleted.',
    finished_at = CASE state WHEN 'QUEUED' THEN now() ELSE finished_at END
WHERE tenant_id = @tenant_id AND state IN ('QUEUED', 'PENDING', 'RUNNING');

-- name: ActiveUsage :one
SELECT count(*) AS jobs, coalesce(sum(cpu), 0)::bigint AS cpu, coalesce(sum(memory_gi), 0)::bigint AS memory_gi
FROM held
WHERE tenant_id = @tenant_id;

-- name: QueueHead :many
-- Leaves out jobs that exceed the tenant's limits on their own; ExplainOversized covers those.
SELECT id, priority, cpu_request, memory_gi, (submitted_at < now() - @reserve_after::interval)::boolean AS overdue
FROM jobs
WHERE tenant_id = @tenant_id AND state = 'QUEUED' AND cpu_request <= @max_cpu AND memory_gi <= @max_memory_gi
ORDER BY priority DESC, submitted_at, id
LIMIT @most::integer;

-- name: Dispatch :many
UPDATE jobs
SET state = 'PENDING', message = '', attempt = attempt + 1, dispatched_at = now()
WHERE id = ANY (@ids::uuid[]) AND state = 'QUEUED'
RETURNING *;

-- name: ExplainOversized :exec
UPDATE jobs
SET message = format('Waits for higher limits: it asks for %s CPU and %s GiB, more than the tenant''s %s CPU and %s GiB. '
                     'Ask an operator to raise the limits, or cancel it and submit it with less.',
                     cpu_request, memory_gi, @max_cpu::integer, @max_memory_gi::integer)
WHERE state = 'QUEUED' AND id IN (
    SELECT q.id FROM jobs q
    WHERE q.tenant_id = @tenant_id AND q.state = 'QUEUED' AND q.message = ''
      AND (q.cpu_request > @max_cpu OR q.memory_gi > @max_memory_gi)
    LIMIT @most::integer
);

-- name: ClearQueueMessages :exec
UPDATE jobs SET message = '' WHERE tenant_id = @tenant_id AND state = 'QUEUED' AND message <> '';

-- name: TenantsWithQueue :many
-- A tenant's share is its use of the limit that it uses most.
SELECT t.id
FROM tenants t
CROSS JOIN LATERAL (
    SELECT least(
        (SELECT q.submitted_at FROM jobs q WHERE q.tenant_id = t.id AND q.state = 'QUEUED'
         ORDER BY q.priority DESC, q.submitted_at, q.id LIMIT 1),
        (SELECT s.created_at FROM studies s
         WHERE s.tenant_id = t.id AND s.state = 'RUNNING' AND s.unplaced AND NOT s.cancel_requested
         ORDER BY s.priority DESC, s.id LIMIT 1)
    ) AS since
) AS waiting
CROSS JOIN LATERAL (
    SELECT greatest(count(*)::float8 / t.max_concurrent_jobs,
                    coalesce(sum(h.cpu), 0)::float8 / t.max_cpu,
                    coalesce(sum(h.memory_gi), 0)::float8 / t.max_memory_gi) AS share
    FROM held h
    WHERE h.tenant_id = t.id
) AS used
WHERE waiting.since IS NOT NULL
ORDER BY used.share, waiting.since, t.id;

-- name: ActiveJobs :many
SELECT * FROM jobs WHERE state IN ('PENDING', 'RUNNING') ORDER BY id LIMIT @most::integer;

-- name: Apply :many
-- Locks the rows in the order of their ids, so that concurrent statements do not deadlock.
WITH observed AS (
    SELECT (u ->> 'id')::uuid                          AS id,
           u ->> 'state'                               AS state,
           coalesce(u ->> 'reason', '')                AS reason,
           coalesce(u ->> 'message', '')               AS message,
           (u ->> 'progress')::float8                  AS progress,
           (u ->> 'started_at')::timestamptz           AS started_at,
           (u ->> 'finished_at')::timestamptz          AS finished_at,
           coalesce(u ->> 'sumo_version', '')          AS sumo_version,
           nullif(u -> 'summary', 'null'::jsonb)       AS summary,
           nullif(u -> 'results', 'null'::jsonb)       AS results,
           nullif(u -> 'confinement', 'null'::jsonb)   AS confinement,
           coalesce(u -> 'warnings', '[]'::jsonb)      AS warnings,
           nullif(u -> 'problems', 'null'::jsonb)      AS problems,
           coalesce(u ->> 'kept_scenario', '')         AS kept_scenario,
           coalesce(u ->> 'image', '')                 AS image,
           u ->> 'state' NOT IN ('PENDING', 'RUNNING') AS ended
    FROM jsonb_array_elements(@updates::jsonb) AS u
), locked AS (
    SELECT j.id, j.state
    FROM jobs j
    WHERE j.state IN ('PENDING', 'RUNNING') AND j.id IN (SELECT o.id FROM observed o)
    ORDER BY j.id
    FOR NO KEY UPDATE
), written AS (
    UPDATE jobs j
    SET state        = CASE WHEN j.cancel_requested AND o.ended AND o.state <> 'SUCCEEDED' THEN 'CANCELLED' ELSE o.state END,
        reason       = CASE WHEN j.cancel_requested AND o.ended AND o.state <> 'SUCCEEDED' THEN 'Cancelled' ELSE o.reason END,
        message      = CASE WHEN j.cancel_requested AND o.ended AND o.state <> 'SUCCEEDED' THEN j.cancel_message
                            -- An empty message keeps the one of the same state, such as why a run was restarted.
                            WHEN o.message = '' AND o.state = j.state THEN j.message
                            ELSE o.message END,
        progress     = CASE o.state WHEN 'SUCCEEDED' THEN 1 ELSE greatest(j.progress, o.progress) END,
        started_at   = coalesce(o.started_at, j.started_at),
        finished_at  = CASE WHEN o.ended THEN coalesce(o.finished_at, now()) END,
        sumo_version = CASE WHEN o.sumo_version = '' THEN j.sumo_version ELSE o.sumo_version END,
        summary      = coalesce(o.summary, j.summary),
        results      = coalesce(o.results, j.results),
        confinement  = coalesce(o.confinement, j.confinement),
        warnings     = j.warnings || coalesce((
            SELECT jsonb_agg(w.text ORDER BY w.place) FROM jsonb_array_elements(o.warnings) WITH ORDINALITY AS w (text, place)
            WHERE NOT j.warnings @> w.text
        ), '[]'::jsonb),
        problems     = coalesce(o.problems, j.problems),
        kept_scenario = o.kept_scenario,
        image        = CASE WHEN o.image = '' THEN j.image ELSE o.image END,
        metrics      = CASE WHEN o.summary IS NULL THEN j.metrics
                            ELSE (SELECT metrics_of(o.summary, s.metric_names) FROM studies s WHERE s.id = j.study_id) END
    FROM observed o
    JOIN locked l ON l.id = o.id
    WHERE j.id = o.id
      AND (j.state = 'PENDING' AND o.state IN ('PENDING', 'RUNNING', 'SUCCEEDED', 'FAILED', 'CANCELLED')
        OR j.state = 'RUNNING' AND o.state IN ('RUNNING', 'SUCCEEDED', 'FAILED', 'CANCELLED'))
      -- An observation without news writes nothing; most have none.
      AND (o.state <> j.state OR o.progress > j.progress OR o.reason <> j.reason
        OR o.message NOT IN ('', j.message) OR coalesce(o.started_at, j.started_at) IS DISTINCT FROM j.started_at)
    RETURNING j.id, j.state <> l.state AS moved
)
SELECT id FROM written WHERE moved ORDER BY id;

-- name: Restart :many
-- Leaves out jobs that are not active.
UPDATE jobs SET attempt = attempt + 1, lost = lost + (state = 'RUNNING')::integer, message = @message
WHERE id = ANY (@ids::uuid[]) AND state IN ('PENDING', 'RUNNING')
RETURNING id;

-- name: ReplaceVersion :exec
UPDATE jobs
SET options  = options - 'accepted_version'
                       || jsonb_strip_nulls(jsonb_build_object('sumo_version', @version::text, 'accepted_version', nullif(@accepted::text, ''))),
    work     = '', -- which it no longer does
    warnings = (warnings - coalesce(@stale::text[], '{}') - @notes::text[]) || to_jsonb(@notes::text[])
WHERE id = @id AND finished_at IS NULL;

-- name: ExpiredResults :many
-- Leaves out the runs of studies, whose results are removed together.
SELECT * FROM jobs
WHERE finished_at < @before::timestamptz AND NOT results_pruned AND study_id IS NULL
ORDER BY finished_at
LIMIT @most::integer;

-- name: MarkResultsPruned :exec
UPDATE jobs SET results_pruned = true
WHERE id = ANY (@ids::uuid[]) AND finished_at IS NOT NULL AND NOT results_pruned;

-- name: ActiveChunks :many
SELECT j.id FROM jobs j
WHERE j.id = ANY (@ids::uuid[]) AND j.study_id IS NULL AND j.state IN ('QUEUED', 'PENDING', 'RUNNING')
UNION ALL
SELECT DISTINCT j.chunk_id::uuid FROM jobs j
WHERE j.chunk_id = ANY (@ids::uuid[]) AND j.state IN ('PENDING', 'RUNNING');

-- name: KnownJobs :many
-- Those that exist, and those whose results other jobs have.
SELECT id FROM jobs WHERE id = ANY (@ids::uuid[])
UNION
SELECT cached_from::uuid FROM jobs WHERE cached_from = ANY (@ids::uuid[]) AND NOT results_pruned;

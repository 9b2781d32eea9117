-- name: QueueByTenant :many
-- Tenants with queued or running jobs, or studies that go on. Without queued jobs, oldest is now.
SELECT t.id AS tenant_id, t.max_cpu, t.max_memory_gi, t.max_concurrent_jobs, q.queued, a.pending, a.running, h.jobs AS held, h.cpu,
       h.memory_gi, s.studies, s.unstarted, coalesce(q.oldest, now())::timestamptz AS oldest
FROM tenants t
CROSS JOIN LATERAL (
    SELECT count(*) AS queued, min(j.submitted_at)::timestamptz AS oldest FROM jobs j WHERE j.tenant_id = t.id AND j.state = 'QUEUED'
) AS q
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE j.state = 'PENDING') AS pending, count(*) FILTER (WHERE j.state = 'RUNNING') AS running
    FROM jobs j
    WHERE j.tenant_id = t.id AND j.state IN ('PENDING', 'RUNNING')
) AS a
CROSS JOIN LATERAL (
    SELECT count(*) AS jobs, coalesce(sum(u.cpu), 0)::bigint AS cpu, coalesce(sum(u.memory_gi), 0)::bigint AS memory_gi
    FROM held u
    WHERE u.tenant_id = t.id
) AS h
CROSS JOIN LATERAL (
    SELECT count(*) AS studies, coalesce(sum(s.runs - s.succeeded - s.failed - s.cancelled - s.active), 0)::bigint AS unstarted
    FROM studies s
    WHERE s.tenant_id = t.id AND s.state = 'RUNNING'
) AS s
WHERE q.queued + a.pending + a.running + s.studies > 0
ORDER BY oldest, t.id;

-- name: Activity :many
-- Events only select the jobs with recent activity. The times come from the jobs themselves, because a short run may go
-- from queued to finished in one event.
WITH touched AS (
    SELECT j.state, j.submitted_at, j.started_at, j.finished_at
    FROM jobs j
    WHERE j.id IN (SELECT e.job_id FROM job_events e WHERE e.at >= @since)
), happened AS (
    SELECT 'submitted' AS what, submitted_at AS at FROM touched
    UNION ALL SELECT 'started', started_at FROM touched
    UNION ALL SELECT state, finished_at FROM touched
)
SELECT date_trunc('minute', at)::timestamptz AS minute,
    count(*) FILTER (WHERE what = 'submitted') AS submitted,
    count(*) FILTER (WHERE what = 'started') AS started,
    count(*) FILTER (WHERE what = 'SUCCEEDED') AS succeeded,
    count(*) FILTER (WHERE what = 'FAILED') AS failed,
    count(*) FILTER (WHERE what = 'CANCELLED') AS cancelled
FROM happened
WHERE at >= @since -- also excludes what has not happened yet
GROUP BY minute
ORDER BY minute;

-- name: Failures :many
SELECT j.reason, count(*) AS jobs
FROM jobs j
WHERE j.id IN (SELECT e.job_id FROM job_events e WHERE e.at >= @since) AND j.state = 'FAILED' AND j.finished_at >= @since
GROUP BY j.reason
ORDER BY jobs DESC, j.reason;

-- name: Confinements :many
-- The kinds of confinement of the runs that ended since. Kinds are few, so each step skips to the next one in the index, where
-- the latest run of a kind comes first: the cost does not grow with the number of runs.
WITH RECURSIVE kinds AS (
    (SELECT first.id, first.confinement FROM jobs first
     WHERE first.confinement IS NOT NULL
     ORDER BY first.confinement DESC, first.finished_at DESC LIMIT 1)
    UNION ALL
    SELECT next.id, next.confinement
    FROM kinds k
    CROSS JOIN LATERAL (
        SELECT j.id, j.confinement FROM jobs j
        WHERE j.confinement < k.confinement
        ORDER BY j.confinement DESC, j.finished_at DESC LIMIT 1
    ) AS next
)
SELECT latest.confinement
FROM kinds
JOIN jobs latest ON latest.id = kinds.id
WHERE latest.finished_at >= @since::timestamptz;

-- The cache of work that was done before. Who takes from it, and who releases results, holds the tenant's row: so what is taken is there, and
-- of two who release the same results one sees that it is the last.

-- name: AnswerFromCache :many
-- Ends those of the given QUEUED jobs whose work was done before, with its results. Runs of studies that do not use the cache are left out.
UPDATE jobs j
SET state = 'SUCCEEDED', progress = 1, started_at = greatest(now(), j.submitted_at), finished_at = greatest(now(), j.submitted_at),
    message = 'Taken from the cache: job ' || coalesce(s.cached_from, s.id) || ' has run the same.',
    cached_from = coalesce(s.cached_from, s.id), results_key = s.results_key, results = s.results, summary = s.summary,
    sumo_version = s.sumo_version, image = s.image, confinement = s.confinement,
    warnings = j.warnings || coalesce((
        SELECT jsonb_agg(w.text ORDER BY w.place) FROM jsonb_array_elements(s.warnings) WITH ORDINALITY AS w (text, place)
        WHERE NOT j.warnings @> w.text
    ), '[]'::jsonb),
    metrics = (SELECT metrics_of(s.summary, t.metric_names) FROM studies t WHERE t.id = j.study_id)
FROM (
    SELECT q.id, cache_source(q.tenant_id, q.work) AS source
    FROM jobs q
    LEFT JOIN studies t ON t.id = q.study_id
    WHERE q.id = ANY (@ids::uuid[]) AND q.state = 'QUEUED' AND q.work <> '' AND coalesce(t.plan ->> 'cache', 'use') = 'use'
) AS found
JOIN jobs s ON s.id = found.source
WHERE j.id = found.id
RETURNING j.*;

-- name: StudiesToLookUp :many
SELECT s.id, s.runs FROM studies s
WHERE s.tenant_id = @tenant_id AND s.state = 'RUNNING' AND s.unplaced AND NOT s.cancel_requested AND s.looked_up <> s.runs
  AND coalesce(s.plan ->> 'cache', 'use') = 'use'
ORDER BY s.id
FOR NO KEY UPDATE;

-- name: CachedRuns :many
-- Runs of a study that have no job yet, and whose work was done before.
WITH missing AS (
    SELECT p.point, r.replication
    FROM study_points p
    JOIN studies s ON s.id = p.study_id
    CROSS JOIN LATERAL generate_series(0, cardinality(s.seeds) - 1) AS r (replication)
    WHERE p.study_id = @study_id AND p.work <> ''
    EXCEPT
    SELECT j.point, j.replication FROM jobs j WHERE j.study_id = @study_id AND NOT j.superseded
)
SELECT m.point::integer AS point, m.replication::integer AS replication
FROM missing m
JOIN study_points p ON p.study_id = @study_id AND p.point = m.point
JOIN studies s ON s.id = p.study_id
WHERE cache_source(s.tenant_id, work_with_seed(p.work, s.seeds[m.replication + 1])) IS NOT NULL
ORDER BY m.replication, m.point
LIMIT @most::integer;

-- name: InsertCachedRuns :exec
-- Makes jobs of the given runs of a study, which belong to no chunk.
INSERT INTO jobs (id, tenant_id, namespace, name, scenario_digest, scenario_key, overlay_key, results_key, study_id, point, replication,
                  state, cpu_request, memory_gi, priority, options, timeout_seconds, labels, task_token, traceparent, warnings, work,
                  submitted_at, updated_at)
SELECT r.id, t.id, t.namespace, run_name(s.name, p.variant, p.setting, s.seeds[r.replication + 1]), p.scenario_digest,
       p.scenario_key, p.overlay_key, @results::text || r.id || '/', s.id, p.point, r.replication,
       'QUEUED', p.cpu_request, p.memory_gi, s.priority, p.options || jsonb_build_object('seed', s.seeds[r.replication + 1]),
       p.timeout_seconds, s.labels, '', s.traceparent, coalesce(nullif(p.warnings, 'null'), '[]'),
       work_with_seed(p.work, s.seeds[r.replication + 1]), now(), now()
FROM (SELECT unnest(@ids::uuid[]) AS id, unnest(@points::integer[]) AS point, unnest(@replications::integer[]) AS replication) AS r
JOIN study_points p ON p.study_id = @study_id AND p.point = r.point
JOIN studies s ON s.id = p.study_id
JOIN tenants t ON t.id = s.tenant_id;

-- name: MarkLookedUp :exec
UPDATE studies SET looked_up = @runs, version = version + 1 WHERE id = @id;

-- name: KnownWork :many
-- Those of the given keys under which the cache has something.
SELECT w.work::text AS work FROM (SELECT DISTINCT unnest(@works::text[]) AS work) AS w
WHERE cache_source(@tenant_id, w.work) IS NOT NULL;

-- name: ReleaseResults :many
-- Says of finished jobs, given by their ids or their study, which results no other job has: those may be removed. The others are the other
-- jobs' from now on. Nothing takes either from the cache any more.
WITH given AS (
    SELECT j.id, coalesce(j.cached_from, j.id) AS origin
    FROM jobs j
    WHERE (j.id = ANY (@ids::uuid[]) OR j.study_id = sqlc.narg(study_id)) AND j.finished_at < @before::timestamptz
), shared AS (
    SELECT g.id FROM given g
    WHERE EXISTS (
        SELECT 1 FROM jobs o WHERE o.id = g.origin AND NOT o.results_pruned AND o.id NOT IN (SELECT other.id FROM given other)
    ) OR EXISTS (
        SELECT 1 FROM jobs o WHERE o.cached_from = g.origin AND NOT o.results_pruned AND o.id NOT IN (SELECT other.id FROM given other)
    )
)
UPDATE jobs j
SET work = '', results_pruned = j.results_pruned OR j.id IN (SELECT s.id FROM shared s)
FROM given g
WHERE j.id = g.id AND (j.work <> '' OR j.cached_from IS NOT NULL OR j.id IN (SELECT s.id FROM shared s) OR j.id = ANY (@ids::uuid[]))
RETURNING j.id, j.namespace, j.results_key, (j.id IN (SELECT s.id FROM shared s))::boolean AS shared;

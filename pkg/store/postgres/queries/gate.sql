-- name: ChunksAtWork :many
-- A chunk has begun when a job of it runs, or has ended.
SELECT c.study_id, c.scenario_digest, c.cpu, least(c.parallel, count(*))::integer AS runs,
       (count(*) < c.runs OR bool_or(j.state = 'RUNNING'))::boolean AS begun
FROM chunks c
JOIN jobs j ON j.chunk_id = c.id AND j.state IN ('PENDING', 'RUNNING')
WHERE c.tenant_id = @tenant_id
GROUP BY c.id;

-- name: StudiesWaiting :many
SELECT s.id, s.priority, s.max_parallel, (s.created_at < now() - @reserve_after::interval)::boolean AS overdue
FROM studies s
WHERE s.tenant_id = @tenant_id AND s.state = 'RUNNING' AND s.unplaced AND NOT s.cancel_requested
ORDER BY s.priority DESC, s.id
LIMIT @most::integer;

-- name: RunsWaiting :many
-- Runs that have no job yet, by what they need: those in one row may go into one chunk. Points of equal needs are known by the first of
-- them. What a run is expected to take is known from its point, or else from the latest runs of its scenario; -1 if nothing is known.
WITH placed AS (
    SELECT j.study_id, j.point, count(*) AS runs
    FROM jobs j
    WHERE j.study_id = ANY (@study_ids::uuid[]) AND NOT j.superseded
    GROUP BY j.study_id, j.point
), kinds AS (
    SELECT p.study_id, p.scenario_digest, p.cpu_request, p.memory_gi, min(p.point)::integer AS point, count(*)::integer AS points,
           sum(coalesce(d.runs, 0))::integer AS placed,
           sum(cardinality(s.seeds) - coalesce(d.runs, 0))::integer AS runs,
           avg(p.core_seconds) AS core_seconds
    FROM study_points p
    JOIN studies s ON s.id = p.study_id
    LEFT JOIN placed d ON d.study_id = p.study_id AND d.point = p.point
    WHERE p.study_id = ANY (@study_ids::uuid[]) AND p.cpu_request <= @max_cpu AND p.memory_gi <= @max_memory_gi
    GROUP BY p.study_id, p.scenario_digest, p.overlay_key, p.options -> 'sumo_version', p.options ? 'controller', p.cpu_request, p.memory_gi,
             p.timeout_seconds
)
SELECT k.study_id, k.scenario_digest, k.cpu_request, k.memory_gi, k.point, k.points, k.placed, k.runs,
       coalesce(k.core_seconds, recent_core_seconds(@tenant_id, k.scenario_digest), -1)::float8 AS core_seconds
FROM kinds k
WHERE k.runs > 0
ORDER BY k.study_id, k.point;

-- name: LockStudiesToPlace :many
-- Those of which runs may still be started, and stay so until they are. Who has counted their runs before counts again.
WITH locked AS (
    SELECT l.id FROM studies l WHERE l.id = ANY (@ids::uuid[]) AND l.state = 'RUNNING' AND NOT l.cancel_requested
    ORDER BY l.id FOR NO KEY UPDATE
)
UPDATE studies s SET version = s.version + 1 FROM locked WHERE s.id = locked.id
RETURNING s.id;

-- name: InsertChunks :exec
INSERT INTO chunks (id, tenant_id, study_id, scenario_digest, runs, parallel, cpu, memory_gi)
SELECT (c ->> 'id')::uuid, @tenant_id, (c ->> 'study_id')::uuid, c ->> 'scenario_digest', (c ->> 'runs')::integer,
       (c ->> 'parallel')::integer, (c ->> 'cpu')::integer, (c ->> 'memory_gi')::integer
FROM jsonb_array_elements(@chunks::jsonb) AS c;

-- name: InsertRuns :many
-- Makes jobs of the next runs of each chunk: replication by replication, each at all points with the needs of the chunk's first one, after
-- those that earlier chunks of the same statement take.
WITH chosen AS (
    SELECT (c.value ->> 'id')::uuid AS chunk_id, (c.value ->> 'study_id')::uuid AS study_id, (c.value ->> 'point')::integer AS point,
           (c.value ->> 'skip')::integer AS skip, (c.value ->> 'runs')::integer AS runs, c.value ->> 'results' AS results, c.turn
    FROM jsonb_array_elements(@chunks::jsonb) WITH ORDINALITY AS c (value, turn)
), kinds AS (
    SELECT DISTINCT c.study_id, c.point FROM chosen c
), missing AS (
    -- EXCEPT takes time in proportion to the runs whatever is known of the tables, which an anti-join does not.
    SELECT k.study_id, k.point AS kind, p.point, r.replication
    FROM kinds k
    JOIN studies s ON s.id = k.study_id
    JOIN study_points f ON f.study_id = k.study_id AND f.point = k.point
    JOIN study_points p ON p.study_id = f.study_id AND p.scenario_digest = f.scenario_digest AND p.overlay_key = f.overlay_key
        AND p.options -> 'sumo_version' IS NOT DISTINCT FROM f.options -> 'sumo_version'
        AND (p.options ? 'controller') = (f.options ? 'controller')
        AND p.cpu_request = f.cpu_request AND p.memory_gi = f.memory_gi AND p.timeout_seconds = f.timeout_seconds
    CROSS JOIN LATERAL generate_series(0, cardinality(s.seeds) - 1) AS r (replication)
    EXCEPT
    SELECT k.study_id, k.point, j.point, j.replication
    FROM kinds k
    JOIN jobs j ON j.study_id = k.study_id AND NOT j.superseded
), placed AS (
    SELECT m.*, row_number() OVER (PARTITION BY m.study_id, m.kind ORDER BY m.replication, m.point) AS place FROM missing m
), runs AS (
    SELECT c.chunk_id, c.study_id, c.results, m.point, m.replication, row_number() OVER (ORDER BY c.turn, m.place) AS n
    FROM chosen c
    JOIN placed m ON m.study_id = c.study_id AND m.kind = c.point AND m.place > c.skip AND m.place <= c.skip + c.runs
)
INSERT INTO jobs (id, tenant_id, namespace, name, scenario_digest, scenario_key, overlay_key, results_key, study_id, point, replication,
                  chunk_id, state, cpu_request, memory_gi, priority, options, timeout_seconds, labels, task_token, traceparent, warnings,
                  work, submitted_at, updated_at)
SELECT (@ids::uuid[])[r.n], t.id, t.namespace, run_name(s.name, p.variant, p.setting, s.seeds[r.replication + 1]), p.scenario_digest,
       p.scenario_key, p.overlay_key, r.results || (@ids::uuid[])[r.n] || '/', s.id, p.point, r.replication, r.chunk_id,
       'QUEUED', p.cpu_request, p.memory_gi, s.priority, p.options || jsonb_build_object('seed', s.seeds[r.replication + 1]),
       p.timeout_seconds, s.labels, '', s.traceparent,
       coalesce(nullif(p.warnings, 'null'), '[]'), work_with_seed(p.work, s.seeds[r.replication + 1]), now(), now()
FROM runs r
JOIN studies s ON s.id = r.study_id
JOIN study_points p ON p.study_id = r.study_id AND p.point = r.point
JOIN tenants t ON t.id = s.tenant_id
ORDER BY r.n
RETURNING id;

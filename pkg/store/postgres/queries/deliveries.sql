-- name: InsertHook :one
INSERT INTO hooks (id, tenant_id, job_id, url, receiver, events, labels, format, studies, enabled, secrets)
VALUES (@id, @tenant_id, @job_id, @url, @receiver, @events, @labels, @format, @studies, @enabled, @secrets)
RETURNING *;

-- name: HookOfJob :one
SELECT * FROM hooks WHERE tenant_id = @tenant_id AND job_id = @job_id;

-- name: CountHooks :one
SELECT count(*) FROM hooks WHERE tenant_id = @tenant_id AND job_id IS NULL;

-- name: Hooks :many
SELECT * FROM hooks WHERE tenant_id = @tenant_id AND job_id IS NULL ORDER BY id;

-- name: Hook :one
SELECT * FROM hooks WHERE tenant_id = @tenant_id AND id = @id AND job_id IS NULL;

-- name: LockHook :one
SELECT * FROM hooks WHERE tenant_id = @tenant_id AND id = @id AND job_id IS NULL FOR UPDATE;

-- name: UpdateHook :one
UPDATE hooks
SET url = @url, receiver = @receiver, events = @events, labels = @labels, format = @format, studies = @studies, enabled = @enabled,
    remark = @remark, secrets = @secrets, updated_at = clock_timestamp()
WHERE id = @id
RETURNING *;

-- name: MoveDeliveries :exec
-- What waits for a hook goes where the hook is now.
UPDATE deliveries SET receiver = @receiver WHERE hook_id = @hook_id AND state IN ('WAITING', 'PAUSED') AND receiver <> @receiver;

-- name: PauseDeliveries :exec
UPDATE deliveries SET state = 'PAUSED' WHERE hook_id = @hook_id AND state = 'WAITING';

-- name: ResumeDeliveries :exec
UPDATE deliveries SET state = 'WAITING', due_at = @now WHERE hook_id = @hook_id AND state = 'PAUSED';

-- name: DeleteHook :execrows
DELETE FROM hooks WHERE tenant_id = @tenant_id AND id = @id AND job_id IS NULL;

-- name: DisableHook :exec
UPDATE hooks SET enabled = false, remark = @remark, updated_at = clock_timestamp() WHERE id = @id;

-- name: Deliveries :many
-- A page of a tenant's deliveries, newest first.
SELECT sqlc.embed(d), h.url
FROM deliveries d
LEFT JOIN hooks h ON h.id = d.hook_id
WHERE d.tenant_id = @tenant_id
  AND (sqlc.narg(hook_id)::uuid IS NULL OR d.hook_id = sqlc.narg(hook_id))
  AND (sqlc.narg(job_id)::uuid IS NULL OR d.job_id = sqlc.narg(job_id) AND d.study_id IS NULL)
  AND (@state::text = '' OR d.state = @state)
  AND (sqlc.narg(after_time)::timestamptz IS NULL
       OR (d.created_at, d.id) < (sqlc.narg(after_time)::timestamptz, sqlc.narg(after_id)::uuid))
ORDER BY d.created_at DESC, d.id DESC LIMIT @most::integer;

-- name: DeliveryOfTenant :one
SELECT sqlc.embed(d), h.url
FROM deliveries d
LEFT JOIN hooks h ON h.id = d.hook_id
WHERE d.tenant_id = @tenant_id AND d.id = @id;

-- name: Redeliver :execrows
-- An answer to a task token that has arrived is without its token, and not sent again.
UPDATE deliveries SET state = 'WAITING', attempts = 0, round = round + 1, due_at = @now, error = ''
WHERE tenant_id = @tenant_id AND id = @id AND (hook_id IS NOT NULL OR task IS NOT NULL);

-- name: Unblock :exec
DELETE FROM receivers r
USING deliveries d
WHERE d.id = @delivery_id AND r.tenant_id = d.tenant_id AND r.receiver = d.receiver;

-- name: DueReceivers :many
-- Receivers for which something is due, without those that are blocked or being served, and fairly: the first of each tenant,
-- then the second of each, and so on. Those that failed last come last, so that the dead ones of a tenant do not hold up the others.
WITH ready AS (
    SELECT w.tenant_id, w.receiver, w.due_at, coalesce(r.failures, 0)::integer AS failures,
           row_number() OVER (PARTITION BY w.tenant_id ORDER BY coalesce(r.failures, 0), w.due_at) AS turn
    FROM deliveries w
    LEFT JOIN receivers r ON r.tenant_id = w.tenant_id AND r.receiver = w.receiver
    WHERE w.id IN (SELECT waiting_lines()) AND w.due_at <= @now AND (r.blocked_until IS NULL OR r.blocked_until <= @now)
      AND (@hooks::boolean OR w.receiver = '') AND (@tasks::boolean OR w.receiver <> '')
      AND NOT w.tenant_id = ANY (@tenants::text[]) AND NOT (w.tenant_id || ' ' || w.receiver = ANY (@busy::text[]))
)
SELECT tenant_id, receiver, failures FROM ready
WHERE turn <= @each::integer
ORDER BY turn, failures, due_at LIMIT @most::integer;

-- name: DueDeliveries :many
SELECT * FROM deliveries d
WHERE d.tenant_id = @tenant_id AND d.receiver = @receiver AND d.state = 'WAITING' AND d.due_at <= @now
ORDER BY d.due_at, d.id LIMIT @most::integer;

-- name: HooksOf :many
SELECT * FROM hooks WHERE id = ANY (@ids::uuid[]);

-- name: DeliveryToSend :one
SELECT * FROM deliveries WHERE id = @id AND state = 'WAITING' AND due_at <= @now;

-- name: RecordAttempt :exec
-- A delivery that was ordered again meanwhile stays due, and one that was paused stays paused until it has arrived or is given up. A task's
-- token is kept no longer than it is needed.
UPDATE deliveries
SET state = CASE WHEN state = 'PAUSED' AND @state::text = 'WAITING' THEN 'PAUSED' ELSE @state::text END,
    attempts = attempts + 1, due_at = @due_at, attempted_at = @attempted_at, status = @status, error = @error,
    task = CASE WHEN @state::text = 'DELIVERED' THEN NULL ELSE task END
WHERE id = @id AND state IN ('WAITING', 'PAUSED') AND round = @round;

-- name: ForgetDelivery :exec
-- Of a purged job or study nothing is kept once it is sent.
DELETE FROM deliveries d
WHERE d.id = @id AND d.state IN ('DELIVERED', 'GIVEN_UP')
  AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.id = d.job_id) AND NOT EXISTS (SELECT 1 FROM studies s WHERE s.id = d.study_id);

-- name: ForgetDeliveriesOfJob :exec
DELETE FROM deliveries WHERE job_id = @job_id AND state IN ('DELIVERED', 'GIVEN_UP');

-- name: BlockReceiver :exec
INSERT INTO receivers (tenant_id, receiver, failures, blocked_until)
VALUES (@tenant_id, @receiver, @failures, @blocked_until)
ON CONFLICT (tenant_id, receiver) DO UPDATE SET failures = excluded.failures, blocked_until = excluded.blocked_until;

-- name: ClearReceiver :exec
DELETE FROM receivers WHERE tenant_id = @tenant_id AND receiver = @receiver;

-- name: TaskSignals :many
SELECT job_id, tenant_id, task_token, failures
FROM (
    SELECT j.id AS job_id, j.tenant_id, j.task_token, coalesce(s.failures, 0)::integer AS failures, s.due_at,
           row_number() OVER (PARTITION BY j.tenant_id ORDER BY s.due_at NULLS FIRST) AS turn
    FROM jobs j
    LEFT JOIN signals s ON s.job_id = j.id AND s.target = 'task'
    WHERE j.state = 'RUNNING' AND j.answers_task AND (s.due_at IS NULL OR s.due_at <= @now)
) AS due
WHERE turn <= @each::integer
ORDER BY turn, due_at NULLS FIRST LIMIT @most::integer;

-- name: ProgressSignals :many
SELECT job_id, tenant_id, progress_webhook, percent, sent, failures
FROM (
    SELECT j.id AS job_id, j.tenant_id, j.progress_webhook, reported_percent(j.progress, j.progress_webhook)::integer AS percent,
           coalesce(s.percent, -1)::integer AS sent, coalesce(s.failures, 0)::integer AS failures, s.due_at,
           row_number() OVER (PARTITION BY j.tenant_id ORDER BY s.due_at NULLS FIRST) AS turn
    FROM jobs j
    LEFT JOIN signals s ON s.job_id = j.id AND s.target = 'progress'
    WHERE j.state = 'RUNNING' AND j.progress_webhook IS NOT NULL AND (s.due_at IS NULL OR s.due_at <= @now)
      AND reported_percent(j.progress, j.progress_webhook) > coalesce(s.percent, -1)
) AS due
WHERE turn <= @each::integer
ORDER BY turn, due_at NULLS FIRST LIMIT @most::integer;

-- name: HookSignals :many
SELECT hook_id, job_id, tenant_id, updated_at, job, percent, failures
FROM (
    SELECT h.id AS hook_id, j.id AS job_id, j.tenant_id, j.updated_at, job_for_receivers(j)::jsonb AS job,
           coalesce(s.percent, -1)::integer AS percent, coalesce(s.failures, 0)::integer AS failures, s.due_at,
           row_number() OVER (PARTITION BY j.tenant_id ORDER BY s.due_at NULLS FIRST) AS turn
    FROM hooks h
    JOIN jobs j ON j.tenant_id = h.tenant_id AND j.state = 'RUNNING'
    LEFT JOIN signals s ON s.job_id = j.id AND s.target = h.id::text
    LEFT JOIN receivers r ON r.tenant_id = h.tenant_id AND r.receiver = h.receiver
    WHERE h.enabled AND h.job_id IS NULL AND 'job.progress' = ANY (h.events) AND coalesce(nullif(j.labels, 'null'), '{}') @> h.labels
      AND (h.studies OR j.study_id IS NULL) AND (s.due_at IS NULL OR s.due_at <= @now) AND (r.blocked_until IS NULL OR r.blocked_until <= @now)
      AND floor(j.progress * 100) > coalesce(s.percent, -1)
) AS due
WHERE turn <= @each::integer
ORDER BY turn, due_at NULLS FIRST LIMIT @most::integer;

-- name: Running :one
SELECT EXISTS (SELECT 1 FROM jobs WHERE id = @id AND state = 'RUNNING');

-- name: SaveSignal :exec
-- Nothing for a job that has ended, whose signals are gone.
INSERT INTO signals (job_id, target, percent, due_at, failures)
SELECT j.id, @target, @percent, @due_at, @failures FROM jobs j WHERE j.id = @job_id AND j.state = 'RUNNING'
ON CONFLICT (job_id, target) DO UPDATE SET percent = excluded.percent, due_at = excluded.due_at, failures = excluded.failures;

-- name: GiveUpStale :execrows
-- What no attempt could be made at for long, because its receiver is down, or sending is not configured.
UPDATE deliveries d
SET state = 'GIVEN_UP', error = CASE WHEN d.error = '' THEN @error ELSE d.error END
FROM (SELECT w.id FROM deliveries w WHERE w.state = 'WAITING' AND w.created_at < @made AND w.due_at < @due LIMIT @most::integer) AS old
WHERE d.id = old.id;

-- name: PruneDeliveries :execrows
DELETE FROM deliveries d
USING (
    SELECT old.id FROM deliveries old WHERE old.state <> 'WAITING' AND old.created_at < @before
    ORDER BY old.created_at LIMIT @most::integer
) AS old
WHERE d.id = old.id;

-- name: PruneHooksOfJobs :execrows
-- Hooks of single jobs, once nothing of theirs is kept: those of purged jobs at once.
DELETE FROM hooks h
USING (
    SELECT old.id FROM hooks old
    LEFT JOIN jobs j ON j.id = old.job_id
    WHERE old.job_id IS NOT NULL AND (j.id IS NULL OR j.finished_at IS NOT NULL AND old.created_at < @before)
      AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.hook_id = old.id)
    LIMIT @most::integer
) AS old
WHERE h.id = old.id;

-- name: PruneReceivers :exec
-- Trouble that is past, and of which nothing waits any longer.
DELETE FROM receivers r
WHERE r.blocked_until < @before
  AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.tenant_id = r.tenant_id AND d.receiver = r.receiver AND d.state = 'WAITING');

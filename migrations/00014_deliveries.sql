-- +goose Up
CREATE TABLE hooks (
    id         uuid        PRIMARY KEY,
    tenant_id  text        NOT NULL REFERENCES tenants ON DELETE CASCADE,
    -- The job whose submission named the hook. No foreign key: what is due is sent even if the job is purged meanwhile.
    job_id     uuid,
    url        text        NOT NULL,
    -- What is slow or down: url without its query, or the host alone of a hook of one job.
    receiver   text        NOT NULL,
    events     text[]      NOT NULL,
    labels     jsonb       NOT NULL DEFAULT '{}',
    format     text        NOT NULL CHECK (format IN ('standard', 'cloudevents')),
    studies    boolean     NOT NULL DEFAULT false,
    enabled    boolean     NOT NULL DEFAULT true,
    remark     text        NOT NULL DEFAULT '',
    secrets    jsonb       NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX hooks_of_tenant ON hooks (tenant_id, id) WHERE job_id IS NULL;
CREATE INDEX hooks_of_progress ON hooks (tenant_id) WHERE job_id IS NULL AND 'job.progress' = ANY (events);
CREATE UNIQUE INDEX hooks_of_job ON hooks (job_id) WHERE job_id IS NOT NULL;

CREATE TABLE deliveries (
    id           uuid        PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant_id    text        NOT NULL REFERENCES tenants ON DELETE CASCADE,
    job_id       uuid        NOT NULL,
    hook_id      uuid        REFERENCES hooks ON DELETE CASCADE, -- null for the answer to a task token
    receiver     text        NOT NULL,                           -- that of the hook; empty for task tokens
    event        jsonb       NOT NULL,                           -- delivery.Event
    task         jsonb,                                          -- delivery.Task
    state        text        NOT NULL DEFAULT 'WAITING' CHECK (state IN ('WAITING', 'PAUSED', 'DELIVERED', 'GIVEN_UP')),
    attempts     integer     NOT NULL DEFAULT 0,
    round        integer     NOT NULL DEFAULT 0,                 -- how often it was ordered again
    due_at       timestamptz NOT NULL DEFAULT now(),
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    attempted_at timestamptz,
    status       integer     NOT NULL DEFAULT 0,
    error        text        NOT NULL DEFAULT ''
);
-- What is due, receiver by receiver.
CREATE INDEX deliveries_waiting ON deliveries (tenant_id, receiver, due_at, id) WHERE state = 'WAITING';
-- Listings, newest first, and what has aged.
CREATE INDEX deliveries_recent ON deliveries (tenant_id, created_at DESC, id DESC);
CREATE INDEX deliveries_of_hook ON deliveries (hook_id, created_at DESC, id DESC);
CREATE INDEX deliveries_of_job ON deliveries (job_id);
CREATE INDEX deliveries_ended ON deliveries (created_at) WHERE state <> 'WAITING';
CREATE INDEX deliveries_open ON deliveries (created_at) WHERE state = 'WAITING';

-- The delivery that is due first in each line in which something waits. It jumps through the index from tenant to tenant and from receiver to
-- receiver, however much waits for one. A tenant has twenty webhooks; beside them, submissions may name any number of hosts, and the limit
-- keeps such a tenant from slowing down the others.
-- +goose StatementBegin
CREATE FUNCTION waiting_lines() RETURNS SETOF uuid LANGUAGE sql STABLE AS $$
    WITH RECURSIVE waiting AS (
        (SELECT d.tenant_id FROM deliveries d WHERE d.state = 'WAITING' ORDER BY d.tenant_id LIMIT 1)
        UNION ALL
        SELECT (SELECT d.tenant_id FROM deliveries d WHERE d.state = 'WAITING' AND d.tenant_id > w.tenant_id ORDER BY d.tenant_id LIMIT 1)
        FROM waiting w
        WHERE w.tenant_id IS NOT NULL
    )
    SELECT l.id
    FROM waiting w
    CROSS JOIN LATERAL (
        WITH RECURSIVE lines AS (
            (SELECT d.id, d.receiver FROM deliveries d WHERE d.state = 'WAITING' AND d.tenant_id = w.tenant_id
             ORDER BY d.receiver, d.due_at, d.id LIMIT 1)
            UNION ALL
            SELECT n.id, n.receiver
            FROM lines
            CROSS JOIN LATERAL (
                SELECT d.id, d.receiver FROM deliveries d
                WHERE d.state = 'WAITING' AND d.tenant_id = w.tenant_id AND d.receiver > lines.receiver
                ORDER BY d.receiver, d.due_at, d.id LIMIT 1
            ) AS n
        )
        SELECT id FROM lines LIMIT 300
    ) AS l
$$;
-- +goose StatementEnd

-- Receivers in trouble: nothing is sent to them before the given time.
CREATE TABLE receivers (
    tenant_id     text        NOT NULL REFERENCES tenants ON DELETE CASCADE,
    receiver      text        NOT NULL,
    failures      integer     NOT NULL,
    blocked_until timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, receiver)
);

-- What a running job reports again and again: one row for each receiver, with the newest value that was sent.
CREATE TABLE signals (
    job_id   uuid        NOT NULL REFERENCES jobs ON DELETE CASCADE,
    target   text        NOT NULL, -- a hook's id, 'progress' for progress_webhook, or 'task' for heartbeats
    percent  integer     NOT NULL,
    due_at   timestamptz NOT NULL, -- nothing is sent earlier
    failures integer    NOT NULL DEFAULT 0,
    PRIMARY KEY (job_id, target)
);

-- A key may stand for a webhook.
ALTER TABLE idempotency_keys ADD COLUMN hook_id uuid REFERENCES hooks ON DELETE CASCADE,
    ADD CHECK (num_nonnulls(job_id, upload_id, hook_id) <= 1) NOT VALID; -- holds for all rows, whose new column is null

-- Whether task_token is answered. Jobs of earlier releases have tokens that nobody promised to answer.
ALTER TABLE jobs ADD COLUMN answers_task boolean NOT NULL DEFAULT false;

-- Every transition becomes deliveries, in the transaction that makes it.
-- +goose StatementBegin
CREATE FUNCTION jobs_record_deliveries() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    kind text := CASE NEW.state WHEN 'QUEUED' THEN 'job.queued' WHEN 'RUNNING' THEN 'job.running'
                 WHEN 'SUCCEEDED' THEN 'job.finished' WHEN 'FAILED' THEN 'job.finished' WHEN 'CANCELLED' THEN 'job.finished' END;
    answered boolean := NEW.answers_task AND kind = 'job.finished';
    event jsonb;
BEGIN
    IF kind IS NULL OR NOT answered AND NOT EXISTS (
        SELECT 1 FROM hooks h WHERE h.tenant_id = NEW.tenant_id AND h.job_id IS NULL AND h.enabled
        UNION ALL
        SELECT 1 FROM hooks h WHERE h.job_id = NEW.id
    ) THEN
        RETURN NULL; -- as almost always; what follows costs more
    END IF;
    event := jsonb_build_object('type', kind, 'timestamp', NEW.updated_at, 'data', job_for_receivers(NEW));
    INSERT INTO deliveries (tenant_id, job_id, hook_id, receiver, event)
    SELECT NEW.tenant_id, NEW.id, h.id, h.receiver, event
    FROM hooks h
    WHERE (h.job_id = NEW.id OR h.tenant_id = NEW.tenant_id AND h.job_id IS NULL)
      AND h.enabled AND kind = ANY (h.events) AND coalesce(nullif(NEW.labels, 'null'), '{}') @> h.labels;
    IF answered THEN
        INSERT INTO deliveries (tenant_id, job_id, receiver, event, task)
        VALUES (NEW.tenant_id, NEW.id, '', event, jsonb_build_object(
            'token', NEW.task_token, 'namespace', NEW.namespace, 'results', coalesce(NEW.results, '[]')));
    END IF;
    IF kind = 'job.finished' THEN
        DELETE FROM signals WHERE job_id = NEW.id;
    END IF;
    RETURN NULL;
END
$$;
-- +goose StatementEnd

-- A job as its receivers see it: delivery.Job.
-- +goose StatementBegin
CREATE FUNCTION job_for_receivers(j jobs) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'job_id', j.id, 'tenant_id', j.tenant_id, 'scenario_id', j.name, 'status', j.state, 'reason', j.reason, 'message', j.message,
        'progress', j.progress, 'attempt', j.attempt, 'check', coalesce((j.options ->> 'check')::boolean, false),
        'labels', coalesce(nullif(j.labels, 'null'), '{}'), 'submitted_at', j.submitted_at, 'started_at', j.started_at,
        'finished_at', j.finished_at, 'sumo_version', j.sumo_version, 'summary', j.summary)
$$;
-- +goose StatementEnd

-- The whole per cent of a run that the client who named a progress_webhook sees (job.ProgressWebhook): the share of the client's interval
-- that the simulation has passed. Without an interval, or with one of which numbers would overflow, it is the progress of the run.
-- +goose StatementBegin
CREATE FUNCTION reported_percent(progress double precision, hook jsonb) RETURNS integer LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN greatest(abs(start), abs(finish), abs(run_begin), abs(run_end)) <= 1e9 AND finish - start >= 0.001
        THEN floor(100 * least(1, greatest(0, (run_begin + progress * (run_end - run_begin) - start) / (finish - start))))
        ELSE floor(100 * progress) END::integer
    FROM (
        SELECT run_begin, run_end, coalesce((hook ->> 'start_sec')::double precision, run_begin) AS start,
               coalesce((hook ->> 'end_sec')::double precision, run_end) AS finish
        FROM (SELECT coalesce((hook ->> 'begin')::double precision, 0) AS run_begin, (hook ->> 'end')::double precision AS run_end) AS run
    ) AS interval_of
$$;
-- +goose StatementEnd
CREATE TRIGGER jobs_record_first_deliveries AFTER INSERT ON jobs
    FOR EACH ROW EXECUTE FUNCTION jobs_record_deliveries();
CREATE TRIGGER jobs_record_deliveries AFTER UPDATE OF state ON jobs
    FOR EACH ROW WHEN (NEW.state <> OLD.state) EXECUTE FUNCTION jobs_record_deliveries();

-- +goose Down
DROP TRIGGER jobs_record_deliveries ON jobs;
DROP TRIGGER jobs_record_first_deliveries ON jobs;
DROP FUNCTION jobs_record_deliveries();
DROP FUNCTION job_for_receivers(jobs);
DROP FUNCTION reported_percent(double precision, jsonb);
ALTER TABLE jobs DROP COLUMN answers_task;
DROP TABLE signals;
DROP FUNCTION waiting_lines();
DROP TABLE receivers;
DROP TABLE deliveries;
DELETE FROM idempotency_keys WHERE hook_id IS NOT NULL;
ALTER TABLE idempotency_keys DROP COLUMN hook_id;
DROP TABLE hooks;

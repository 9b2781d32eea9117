-- +goose Up
-- In the order in which submissions and reconcile write them, and at the beginning: later, each side could hold what the other waits for.
LOCK TABLE idempotency_keys IN ACCESS EXCLUSIVE MODE;
LOCK TABLE tenants IN SHARE ROW EXCLUSIVE MODE;
LOCK TABLE jobs, deliveries IN ACCESS EXCLUSIVE MODE;

CREATE TABLE studies (
    id               uuid             PRIMARY KEY, -- UUIDv7
    tenant_id        text             NOT NULL REFERENCES tenants ON DELETE CASCADE,
    name             text             NOT NULL,
    state            text             NOT NULL CHECK (state IN ('RUNNING', 'SUCCEEDED', 'INCOMPLETE', 'FAILED', 'CANCELLED')),
    message          text             NOT NULL DEFAULT '',
    plan             jsonb            NOT NULL, -- study.Plan, as it was asked for
    priority         integer          NOT NULL CHECK (priority IN (-10, 0, 10)),
    labels           jsonb            NOT NULL DEFAULT '{}',
    seeds            bigint[]         NOT NULL, -- by replication; a sequential study gets more of them
    max_parallel     integer          NOT NULL CHECK (max_parallel > 0),
    stop_share       double precision NOT NULL, -- of the runs: when more have failed, the rest is not started; 1 never stops
    metric_names     text[]           NOT NULL, -- of the numbers in jobs.metrics
    traceparent      text             NOT NULL DEFAULT '',
    cancel_requested boolean          NOT NULL DEFAULT false,
    purging          boolean          NOT NULL DEFAULT false, -- results are being removed, and the study after them
    -- False once all runs have a row in jobs. It saves looking for those that lack one.
    unplaced         boolean          NOT NULL DEFAULT true,
    -- What had become of the runs when the study was last looked at.
    runs             integer          NOT NULL,
    succeeded        integer          NOT NULL DEFAULT 0,
    failed           integer          NOT NULL DEFAULT 0,
    cancelled        integer          NOT NULL DEFAULT 0,
    active           integer          NOT NULL DEFAULT 0,
    core_seconds     double precision NOT NULL DEFAULT 0, -- used by the runs that have ended
    version          bigint           NOT NULL DEFAULT 1, -- grows with each change, for those who follow
    created_at       timestamptz      NOT NULL DEFAULT now(),
    started_at       timestamptz,
    finished_at      timestamptz,
    updated_at       timestamptz      NOT NULL DEFAULT now(),
    results_pruned   boolean          NOT NULL DEFAULT false, -- whether all results were removed because of their age
    CHECK ((state = 'RUNNING') = (finished_at IS NULL))
)
WITH (fillfactor = 85);
CREATE INDEX studies_recent ON studies (tenant_id, id DESC);
-- What reconcile goes through.
CREATE INDEX studies_active ON studies (tenant_id, priority DESC, id) WHERE state = 'RUNNING';
-- Results that age.
CREATE INDEX studies_with_results ON studies (finished_at) WHERE finished_at IS NOT NULL AND NOT results_pruned;

-- A variant with one value of each axis. Every run of the study is a point and a replication.
CREATE TABLE study_points (
    study_id        uuid    NOT NULL REFERENCES studies ON DELETE CASCADE,
    point           integer NOT NULL CHECK (point >= 0),
    variant         text    NOT NULL,
    setting         jsonb   NOT NULL, -- the values of the axes, in their order: study.Setting
    scenario_digest text    NOT NULL,
    scenario_key    text    NOT NULL,
    overlay_key     text    NOT NULL DEFAULT '',
    cpu_request     integer NOT NULL CHECK (cpu_request > 0),
    memory_gi       integer NOT NULL CHECK (memory_gi > 0),
    options         jsonb   NOT NULL, -- simulation.Options of its runs, without the seed
    timeout_seconds integer NOT NULL CHECK (timeout_seconds > 0),
    warnings        jsonb   NOT NULL DEFAULT '[]',
    -- What is expected of one run, from earlier ones; null while nothing is known.
    core_seconds    double precision,
    PRIMARY KEY (study_id, point)
);
CREATE INDEX study_points_of_scenario ON study_points (scenario_digest);

-- What was started together: one process or pod. It holds its share of the tenant's limits while any job in it is active, and is removed
-- soon after.
CREATE TABLE chunks (
    id              uuid        PRIMARY KEY, -- UUIDv7
    tenant_id       text        NOT NULL REFERENCES tenants ON DELETE CASCADE,
    study_id        uuid        NOT NULL REFERENCES studies ON DELETE CASCADE,
    scenario_digest text        NOT NULL,
    runs            integer     NOT NULL CHECK (runs > 0),     -- how many jobs it began with
    parallel        integer     NOT NULL CHECK (parallel > 0), -- runs side by side
    cpu             integer     NOT NULL,                      -- cores of all of them
    memory_gi       integer     NOT NULL,                      -- GiB of all of them
    created_at      timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX chunks_of_study ON chunks (study_id);
CREATE INDEX chunks_of_tenant ON chunks (tenant_id);

-- The place of a run in its study, and the chunk in which it was started last; null for jobs that belong to no study. A run that was
-- ordered again after it had failed is superseded.
ALTER TABLE jobs ADD COLUMN study_id uuid, ADD COLUMN point integer, ADD COLUMN replication integer, ADD COLUMN chunk_id uuid,
    ADD COLUMN superseded boolean NOT NULL DEFAULT false;
ALTER TABLE jobs ADD CONSTRAINT jobs_study FOREIGN KEY (study_id) REFERENCES studies ON DELETE CASCADE NOT VALID;
ALTER TABLE jobs ADD CONSTRAINT jobs_place CHECK (
    (study_id IS NULL) = (point IS NULL) AND (study_id IS NULL) = (replication IS NULL)
) NOT VALID; -- holds for all rows, whose new columns are null; validating would read them all
-- What the keys of the results begin with; empty for jobs of earlier releases, where it follows from the id.
ALTER TABLE jobs ADD COLUMN results_key text NOT NULL DEFAULT '';
-- The run's metrics in the order of the study's metric_names, null where the run does not have one. They survive the pruning of results.
ALTER TABLE jobs ADD COLUMN metrics double precision[];
-- The files that a derived scenario has in place of its base's.
ALTER TABLE jobs ADD COLUMN overlay_key text NOT NULL DEFAULT '';

ALTER TABLE idempotency_keys ADD COLUMN study_id uuid REFERENCES studies ON DELETE CASCADE,
    ADD CHECK (num_nonnulls(job_id, upload_id, hook_id, study_id) <= 1) NOT VALID;

-- What holds a part of a tenant's limits: each row counts as one job.
CREATE VIEW held AS
    SELECT j.tenant_id, j.cpu_request AS cpu, j.memory_gi FROM jobs j WHERE j.state IN ('PENDING', 'RUNNING') AND j.study_id IS NULL
    UNION ALL
    SELECT c.tenant_id, c.cpu, c.memory_gi FROM chunks c
    WHERE EXISTS (SELECT 1 FROM jobs j WHERE j.chunk_id = c.id AND j.state IN ('PENDING', 'RUNNING'));

-- The name of a run of a study: "signal plans / base, demand 0.8 / seed 3", 500 characters at most (job.MaxName).
-- +goose StatementBegin
CREATE FUNCTION run_name(study text, variant text, setting jsonb, seed bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT left(left(study, greatest(1, 500 - length(place))) || place, 500)
    FROM (
        SELECT ' / ' || variant || coalesce(string_agg(', ' || (v.value ->> 'axis') || ' ' || (v.value ->> 'value'), '' ORDER BY v.n), '')
            || ' / seed ' || seed AS place
        FROM jsonb_array_elements(CASE jsonb_typeof(setting) WHEN 'array' THEN setting ELSE '[]' END) WITH ORDINALITY AS v (value, n)
    ) AS words
$$;
-- +goose StatementEnd

-- An event is about a job or a study. One about a study has the study's id as job_id too, which senders of the release before this one
-- cannot read when it is null.
ALTER TABLE deliveries ADD COLUMN study_id uuid,
    ADD CONSTRAINT deliveries_subject CHECK (study_id IS NULL OR study_id = job_id) NOT VALID; -- holds for all rows

-- As in the migration of deliveries, except that webhooks ask for the runs of studies (hooks.studies).
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION jobs_record_deliveries() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    kind text := CASE NEW.state WHEN 'QUEUED' THEN 'job.queued' WHEN 'RUNNING' THEN 'job.running'
                 WHEN 'SUCCEEDED' THEN 'job.finished' WHEN 'FAILED' THEN 'job.finished' WHEN 'CANCELLED' THEN 'job.finished' END;
    answered boolean := NEW.answers_task AND kind = 'job.finished';
    event jsonb;
BEGIN
    IF kind IS NULL OR NOT answered AND NOT EXISTS (
        SELECT 1 FROM hooks h WHERE h.tenant_id = NEW.tenant_id AND h.job_id IS NULL AND h.enabled AND (h.studies OR NEW.study_id IS NULL)
        UNION ALL
        SELECT 1 FROM hooks h WHERE h.job_id = NEW.id
    ) THEN
        RETURN NULL; -- as almost always; what follows costs more
    END IF;
    event := jsonb_build_object('type', kind, 'timestamp', NEW.updated_at, 'data', job_for_receivers(NEW));
    INSERT INTO deliveries (tenant_id, job_id, hook_id, receiver, event)
    SELECT NEW.tenant_id, NEW.id, h.id, h.receiver, event
    FROM hooks h
    WHERE (h.job_id = NEW.id OR h.tenant_id = NEW.tenant_id AND h.job_id IS NULL AND (h.studies OR NEW.study_id IS NULL))
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

-- As in the migration of deliveries, with the place of a run in its study.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION job_for_receivers(j jobs) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'job_id', j.id, 'tenant_id', j.tenant_id, 'scenario_id', j.name, 'status', j.state, 'reason', j.reason, 'message', j.message,
        'progress', j.progress, 'attempt', j.attempt, 'check', coalesce((j.options ->> 'check')::boolean, false),
        'labels', coalesce(nullif(j.labels, 'null'), '{}'), 'submitted_at', j.submitted_at, 'started_at', j.started_at,
        'finished_at', j.finished_at, 'sumo_version', j.sumo_version, 'summary', j.summary)
        || CASE WHEN j.study_id IS NULL THEN '{}'
           ELSE jsonb_build_object('study_id', j.study_id, 'point', j.point, 'replication', j.replication) END
$$;
-- +goose StatementEnd

-- The end of a study becomes deliveries too. The data is delivery.Study.
-- +goose StatementBegin
CREATE FUNCTION studies_record_deliveries() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO deliveries (tenant_id, job_id, study_id, hook_id, receiver, event)
    SELECT NEW.tenant_id, NEW.id, NEW.id, h.id, h.receiver, jsonb_build_object(
        'type', 'study.finished', 'timestamp', NEW.updated_at, 'data', jsonb_build_object(
            'study_id', NEW.id, 'tenant_id', NEW.tenant_id, 'name', NEW.name, 'status', NEW.state, 'message', NEW.message,
            'runs', jsonb_build_object(
                'planned', NEW.runs, 'succeeded', NEW.succeeded, 'failed', NEW.failed, 'cancelled', NEW.cancelled),
            'labels', NEW.labels, 'created_at', NEW.created_at, 'started_at', NEW.started_at, 'finished_at', NEW.finished_at))
    FROM hooks h
    WHERE h.tenant_id = NEW.tenant_id AND h.job_id IS NULL AND h.enabled AND 'study.finished' = ANY (h.events) AND NEW.labels @> h.labels;
    RETURN NULL;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER studies_record_deliveries AFTER UPDATE OF state ON studies
    FOR EACH ROW WHEN (OLD.state = 'RUNNING' AND NEW.state <> 'RUNNING') EXECUTE FUNCTION studies_record_deliveries();

-- What the latest runs of a scenario have used on average; null if there are none. Runs that only check are much shorter.
-- +goose StatementBegin
CREATE FUNCTION recent_core_seconds(of_tenant text, digest text) RETURNS double precision LANGUAGE sql STABLE AS $$
    SELECT avg(extract(epoch FROM r.finished_at - r.started_at) * r.cpu_request)::double precision
    FROM (
        SELECT j.started_at, j.finished_at, j.cpu_request FROM jobs j
        WHERE j.tenant_id = of_tenant AND j.scenario_digest = digest AND j.state = 'SUCCEEDED' AND j.started_at IS NOT NULL
          AND NOT coalesce((j.options ->> 'check')::boolean, false)
        ORDER BY j.id DESC LIMIT 20
    ) AS r
$$;
-- +goose StatementEnd

-- Numbers of a run by name, from its summary; of a name that stands there more than once, the first.
-- +goose StatementBegin
CREATE FUNCTION metrics_of(summary jsonb, names text[]) RETURNS double precision[] LANGUAGE sql IMMUTABLE AS $$
    SELECT array_agg((
        SELECT CASE jsonb_typeof(m.value -> 'value') WHEN 'number' THEN (m.value ->> 'value')::double precision END
        FROM jsonb_array_elements(CASE jsonb_typeof(summary -> 'metrics') WHEN 'array' THEN summary -> 'metrics' ELSE '[]' END)
            WITH ORDINALITY AS m (value, n)
        WHERE m.value ->> 'name' = names.name
        ORDER BY m.n LIMIT 1
    ) ORDER BY names.place)
    FROM unnest(names) WITH ORDINALITY AS names (name, place)
$$;
-- +goose StatementEnd

-- +goose Down
DROP FUNCTION metrics_of(jsonb, text[]);
DROP FUNCTION recent_core_seconds(text, text);
DROP FUNCTION run_name(text, text, jsonb, bigint);
DROP TRIGGER studies_record_deliveries ON studies;
DROP FUNCTION studies_record_deliveries();
DELETE FROM deliveries WHERE study_id IS NOT NULL;
ALTER TABLE deliveries DROP COLUMN study_id;
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION jobs_record_deliveries() RETURNS trigger LANGUAGE plpgsql AS $$
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
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION job_for_receivers(j jobs) RETURNS jsonb LANGUAGE sql STABLE AS $$
    SELECT jsonb_build_object(
        'job_id', j.id, 'tenant_id', j.tenant_id, 'scenario_id', j.name, 'status', j.state, 'reason', j.reason, 'message', j.message,
        'progress', j.progress, 'attempt', j.attempt, 'check', coalesce((j.options ->> 'check')::boolean, false),
        'labels', coalesce(nullif(j.labels, 'null'), '{}'), 'submitted_at', j.submitted_at, 'started_at', j.started_at,
        'finished_at', j.finished_at, 'sumo_version', j.sumo_version, 'summary', j.summary)
$$;
-- +goose StatementEnd
DROP VIEW held;
DELETE FROM idempotency_keys WHERE study_id IS NOT NULL;
ALTER TABLE idempotency_keys DROP COLUMN study_id;
DELETE FROM jobs WHERE study_id IS NOT NULL;
ALTER TABLE jobs DROP COLUMN overlay_key, DROP COLUMN metrics, DROP COLUMN results_key, DROP COLUMN superseded, DROP COLUMN chunk_id,
    DROP COLUMN replication, DROP COLUMN point, DROP COLUMN study_id;
DROP TABLE chunks;
DROP TABLE study_points;
DROP TABLE studies;

-- +goose Up
CREATE TABLE jobs (
    id               uuid             PRIMARY KEY,
    tenant_id        text             NOT NULL REFERENCES tenants ON DELETE CASCADE,
    -- namespace and scenario_key are copies: their originals never change, and every reader of a job needs them.
    namespace        text             NOT NULL,
    name             text             NOT NULL,
    scenario_digest  text             NOT NULL,
    scenario_key     text             NOT NULL,
    state            text             NOT NULL CHECK (state IN ('QUEUED', 'PENDING', 'RUNNING', 'SUCCEEDED', 'FAILED', 'CANCELLED')),
    -- reason is not checked against a list: an engine newer than the schema must still be able to report.
    reason           text             NOT NULL DEFAULT '',
    message          text             NOT NULL DEFAULT '',
    progress         double precision NOT NULL DEFAULT 0 CHECK (progress BETWEEN 0 AND 1),
    cpu_request      integer          NOT NULL CHECK (cpu_request > 0),
    memory_gi        integer          NOT NULL CHECK (memory_gi > 0),
    priority         integer          NOT NULL CHECK (priority IN (-10, 0, 10)),
    options          jsonb            NOT NULL,
    timeout_seconds  integer          NOT NULL CHECK (timeout_seconds > 0),
    labels           jsonb,
    task_token       text             NOT NULL,
    progress_webhook jsonb,
    attempt          integer          NOT NULL DEFAULT 0 CHECK (attempt >= 0),
    cancel_requested boolean          NOT NULL DEFAULT false,
    sumo_version     text             NOT NULL DEFAULT '',
    summary          jsonb,
    results          jsonb,
    results_pruned   boolean          NOT NULL DEFAULT false,
    submitted_at     timestamptz      NOT NULL,
    dispatched_at    timestamptz,
    started_at       timestamptz,
    finished_at      timestamptz,
    updated_at       timestamptz      NOT NULL,
    FOREIGN KEY (tenant_id, scenario_digest) REFERENCES scenarios (tenant_id, digest),
    CHECK ((state IN ('SUCCEEDED', 'FAILED', 'CANCELLED')) = (finished_at IS NOT NULL)),
    CHECK (state <> 'QUEUED' OR dispatched_at IS NULL),
    CHECK (state NOT IN ('PENDING', 'RUNNING') OR dispatched_at IS NOT NULL)
)
-- A running job's progress is written about once a second. Room on each page lets such an update stay on its page and
-- leave the indexes alone.
WITH (fillfactor = 85);

-- What a tenant runs next, in order, with what is needed to see whether it fits.
CREATE INDEX jobs_queue ON jobs (tenant_id, priority DESC, submitted_at, id) INCLUDE (cpu_request, memory_gi)
    WHERE state = 'QUEUED';
-- What the reconciler goes through. Small, however many jobs have ended.
CREATE INDEX jobs_active ON jobs (id) WHERE state IN ('PENDING', 'RUNNING');
-- What a tenant holds and has had, answered from the index alone.
CREATE INDEX jobs_usage ON jobs (tenant_id, state) INCLUDE (cpu_request, memory_gi);
-- Listings, newest first, for a tenant and for operators.
CREATE INDEX jobs_recent ON jobs (tenant_id, id DESC);
CREATE INDEX jobs_by_state ON jobs (state, id DESC);
-- Results that age.
CREATE INDEX jobs_with_results ON jobs (finished_at) WHERE finished_at IS NOT NULL AND NOT results_pruned;
-- Scenarios that are still needed; also what deleting a scenario must look at.
CREATE INDEX jobs_of_scenario ON jobs (tenant_id, scenario_digest);

CREATE TABLE job_events (
    job_id     uuid        NOT NULL REFERENCES jobs ON DELETE CASCADE,
    seq        integer     NOT NULL CHECK (seq > 0),
    at         timestamptz NOT NULL,
    from_state text        NOT NULL, -- empty for the first
    to_state   text        NOT NULL,
    reason     text        NOT NULL,
    message    text        NOT NULL,
    PRIMARY KEY (job_id, seq)
);

CREATE TABLE idempotency_keys (
    tenant_id    text        NOT NULL REFERENCES tenants ON DELETE CASCADE,
    key          text        NOT NULL CHECK (length(key) BETWEEN 1 AND 255),
    request_hash bytea       NOT NULL,
    job_id       uuid        NOT NULL REFERENCES jobs ON DELETE CASCADE,
    created_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, key)
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);
CREATE INDEX idempotency_keys_of_job ON idempotency_keys (job_id);

-- A job's place on the way to its end. Moving is allowed to a higher place only, so finished jobs never move.
-- +goose StatementBegin
CREATE FUNCTION job_state_rank(state text) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE state WHEN 'QUEUED' THEN 0 WHEN 'PENDING' THEN 1 WHEN 'RUNNING' THEN 2 ELSE 3 END
$$;
-- +goose StatementEnd

-- The last line of defence: ordinary updates name the states they may leave and never come here with a wrong move.
-- SK001 is in a class that neither the SQL standard nor PostgreSQL uses.
-- +goose StatementBegin
CREATE FUNCTION jobs_before_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state <> OLD.state AND job_state_rank(NEW.state) <= job_state_rank(OLD.state) THEN
        RAISE EXCEPTION 'job % cannot move from % to %', OLD.id, OLD.state, NEW.state USING ERRCODE = 'SK001';
    END IF;
    -- The row is locked here, so that with the clock's time, not the transaction's, later versions are later.
    NEW.updated_at := clock_timestamp();
    RETURN NEW;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER jobs_before_update BEFORE UPDATE ON jobs
    FOR EACH ROW EXECUTE FUNCTION jobs_before_update();

-- Every transition becomes an event, whoever writes it. The job's row is locked by the writer, which makes max + 1 safe.
-- +goose StatementBegin
CREATE FUNCTION jobs_record_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    -- For an INSERT, OLD is null and the event comes from nowhere.
    INSERT INTO job_events (job_id, seq, at, from_state, to_state, reason, message)
    SELECT NEW.id, coalesce(max(e.seq), 0) + 1, NEW.updated_at, coalesce(OLD.state, ''), NEW.state, NEW.reason, NEW.message
    FROM job_events e
    WHERE e.job_id = NEW.id;
    RETURN NULL;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER jobs_record_first_event AFTER INSERT ON jobs
    FOR EACH ROW EXECUTE FUNCTION jobs_record_event();
CREATE TRIGGER jobs_record_event AFTER UPDATE OF state ON jobs
    FOR EACH ROW WHEN (NEW.state <> OLD.state) EXECUTE FUNCTION jobs_record_event();

-- +goose Down
DROP TABLE idempotency_keys;
DROP TABLE job_events;
DROP TABLE jobs;
DROP FUNCTION jobs_record_event();
DROP FUNCTION jobs_before_update();
DROP FUNCTION job_state_rank(text);

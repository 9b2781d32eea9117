-- +goose Up
ALTER TABLE scenarios ADD COLUMN name text NOT NULL DEFAULT '';
-- A tenant's scenarios, newest first.
CREATE INDEX scenarios_recent ON scenarios (tenant_id, created_at DESC, digest DESC);

-- A scenario may be deleted once no job that is not over needs it; jobs that are over keep its digest for the record.
-- Who makes a job and who deletes a scenario both hold the tenant's row, so neither overlooks the other.
ALTER TABLE jobs DROP CONSTRAINT jobs_tenant_id_scenario_digest_fkey;

-- Uploads that go to the object store directly, until they have become a scenario.
CREATE TABLE scenario_uploads (
    id              uuid        PRIMARY KEY,
    tenant_id       text        NOT NULL REFERENCES tenants ON DELETE CASCADE,
    name            text        NOT NULL,
    size            bigint      NOT NULL CHECK (size > 0),
    expected_digest text        NOT NULL, -- empty when the caller did not say
    digest          text        NOT NULL DEFAULT '', -- of the scenario that it became; empty before
    created_at      timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX scenario_uploads_of_tenant ON scenario_uploads (tenant_id);
CREATE INDEX scenario_uploads_by_age ON scenario_uploads (created_at);

-- A key stands for a job, for an upload, or for a scenario, which its content identifies already.
ALTER TABLE idempotency_keys ALTER COLUMN job_id DROP NOT NULL,
    ADD COLUMN upload_id uuid REFERENCES scenario_uploads ON DELETE CASCADE,
    ADD CHECK (job_id IS NULL OR upload_id IS NULL);
CREATE INDEX idempotency_keys_of_upload ON idempotency_keys (upload_id);

-- +goose Down
ALTER TABLE idempotency_keys DROP COLUMN upload_id;
DELETE FROM idempotency_keys WHERE job_id IS NULL;
ALTER TABLE idempotency_keys ALTER COLUMN job_id SET NOT NULL;
DROP TABLE scenario_uploads;
-- Not checked for jobs that are there already: their scenarios may be gone.
ALTER TABLE jobs ADD FOREIGN KEY (tenant_id, scenario_digest) REFERENCES scenarios (tenant_id, digest) NOT VALID;
DROP INDEX scenarios_recent;
ALTER TABLE scenarios DROP COLUMN name;

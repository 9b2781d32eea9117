-- +goose Up
-- The version of SUMO that runs the tenant's jobs which name none; empty for the newest.
ALTER TABLE tenants ADD COLUMN default_sumo_version text NOT NULL DEFAULT '';
-- Remarks on the job for people, each once: an array of strings.
ALTER TABLE jobs ADD COLUMN warnings jsonb NOT NULL DEFAULT '[]';
-- What SUMO said about the scenario, of a job that only checks it; null for others.
ALTER TABLE jobs ADD COLUMN problems jsonb;

-- Until now one version ran everything. It goes on running what these tenants submit, so that the upgrade changes nobody's numbers.
-- The setting says which it was (see postgres.Migrate).
UPDATE tenants SET default_sumo_version = coalesce(current_setting('sumo_k8.earlier_version', true), '');
UPDATE jobs SET options = options || jsonb_build_object('sumo_version', current_setting('sumo_k8.earlier_version', true))
WHERE state IN ('QUEUED', 'PENDING', 'RUNNING') AND NOT options ? 'sumo_version'
  AND coalesce(current_setting('sumo_k8.earlier_version', true), '') <> '';

-- +goose Down
ALTER TABLE jobs DROP COLUMN problems;
ALTER TABLE jobs DROP COLUMN warnings;
ALTER TABLE tenants DROP COLUMN default_sumo_version;

-- +goose Up
-- What held SUMO in the job's run, as the engine reported it with the end; null while the run goes on, when SUMO never started, and
-- for jobs that ended before this was recorded.
ALTER TABLE jobs ADD COLUMN confinement jsonb;
-- For the query Confinements: leads from one kind of confinement to the next, and to the latest run of each. The order of kinds is arbitrary.
CREATE INDEX jobs_confinement ON jobs (confinement, finished_at) WHERE confinement IS NOT NULL;

-- +goose Down
ALTER TABLE jobs DROP COLUMN confinement;

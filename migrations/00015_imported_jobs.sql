-- +goose Up
-- Jobs that the predecessor ran, kept for the record. Their ids are random, but lists are ordered by id: such a job has an id of ours,
-- made from the time of its submission, and imported_id is the one by which its owner knows it.
ALTER TABLE jobs ADD COLUMN imported_id uuid;
-- What the predecessor recorded of its results (job.Imported); null for jobs of ours.
ALTER TABLE jobs ADD COLUMN imported jsonb;
ALTER TABLE jobs ADD CONSTRAINT jobs_imported CHECK (
    (imported_id IS NULL) = (imported IS NULL) AND (imported_id IS NULL OR finished_at IS NOT NULL)
) NOT VALID; -- holds for all rows, whose new columns are null; validating would read them all
-- Whether the tenant was imported, and is not another one of the same id that was registered here.
ALTER TABLE tenants ADD COLUMN imported boolean NOT NULL DEFAULT false;

-- The end of an imported job is no news.
DROP TRIGGER jobs_record_first_deliveries ON jobs;
CREATE TRIGGER jobs_record_first_deliveries AFTER INSERT ON jobs
    FOR EACH ROW WHEN (NEW.imported_id IS NULL) EXECUTE FUNCTION jobs_record_deliveries();

-- +goose Down
DROP TRIGGER jobs_record_first_deliveries ON jobs;
CREATE TRIGGER jobs_record_first_deliveries AFTER INSERT ON jobs
    FOR EACH ROW EXECUTE FUNCTION jobs_record_deliveries();
-- Nothing else knows what to do with them.
DELETE FROM jobs WHERE imported_id IS NOT NULL;
ALTER TABLE jobs DROP COLUMN imported, DROP COLUMN imported_id;
ALTER TABLE tenants DROP COLUMN imported;

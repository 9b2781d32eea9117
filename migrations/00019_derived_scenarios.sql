-- +goose Up
-- A derived scenario has the zip of its base and an overlay of its own.
ALTER TABLE scenarios
    ADD COLUMN base_digest  text   NOT NULL DEFAULT '', -- of the scenario that was uploaded as that zip; empty for itself
    ADD COLUMN overlay_key  text   NOT NULL DEFAULT '',
    ADD COLUMN overlay_size bigint NOT NULL DEFAULT 0 CHECK (overlay_size >= 0),
    -- Paths of files that differ from the base, sorted.
    ADD COLUMN changed      text[] NOT NULL DEFAULT '{}',
    ADD COLUMN added        text[] NOT NULL DEFAULT '{}',
    ADD COLUMN deleted      text[] NOT NULL DEFAULT '{}';
ALTER TABLE scenarios DROP CONSTRAINT scenarios_object_key_key;
-- Who needs an object.
CREATE INDEX scenarios_of_object ON scenarios (object_key);
CREATE INDEX scenarios_of_overlay ON scenarios (overlay_key) WHERE overlay_key <> '';

-- Submit functions of the release before this one know no overlays and would run a derived scenario as its base. They answer that the
-- service is unavailable; the next attempt meets a function of this release.
-- +goose StatementBegin
CREATE FUNCTION jobs_need_overlay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM scenarios s WHERE s.tenant_id = NEW.tenant_id AND s.digest = NEW.scenario_digest AND s.overlay_key <> '') THEN
        RAISE EXCEPTION 'job % of a derived scenario is without its overlay', NEW.id USING ERRCODE = '55P03';
    END IF;
    RETURN NEW;
END
$$;
-- +goose StatementEnd
CREATE TRIGGER jobs_need_overlay BEFORE INSERT ON jobs
    FOR EACH ROW WHEN (NEW.overlay_key = '' AND NEW.study_id IS NULL AND NEW.state = 'QUEUED') EXECUTE FUNCTION jobs_need_overlay();

-- +goose Down
DROP TRIGGER jobs_need_overlay ON jobs;
DROP FUNCTION jobs_need_overlay();
DELETE FROM scenarios WHERE base_digest <> '';
DROP INDEX scenarios_of_overlay;
DROP INDEX scenarios_of_object;
ALTER TABLE scenarios ADD UNIQUE (object_key);
ALTER TABLE scenarios DROP COLUMN deleted, DROP COLUMN added, DROP COLUMN changed, DROP COLUMN overlay_size, DROP COLUMN overlay_key,
    DROP COLUMN base_digest;

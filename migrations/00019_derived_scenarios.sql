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

-- +goose Down
DELETE FROM scenarios WHERE base_digest <> '';
DROP INDEX scenarios_of_overlay;
DROP INDEX scenarios_of_object;
ALTER TABLE scenarios ADD UNIQUE (object_key);
ALTER TABLE scenarios DROP COLUMN deleted, DROP COLUMN added, DROP COLUMN changed, DROP COLUMN overlay_size, DROP COLUMN overlay_key,
    DROP COLUMN base_digest;

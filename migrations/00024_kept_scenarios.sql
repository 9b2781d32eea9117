-- +goose Up
-- The digest of the stored scenario that the result of a tool has become; empty for none. It may have been deleted since.
ALTER TABLE jobs ADD COLUMN kept_scenario text NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE jobs DROP COLUMN kept_scenario;

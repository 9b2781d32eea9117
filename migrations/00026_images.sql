-- +goose Up
-- The container image in which SUMO ran, as the operator names it; empty outside containers, and of runs before this release.
ALTER TABLE jobs ADD COLUMN image text NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE jobs DROP COLUMN image;

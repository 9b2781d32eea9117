-- +goose Up
-- How often the job was lost while it ran. Attempts count starts too that never got as far: many of those say nothing about the run.
ALTER TABLE jobs ADD COLUMN lost integer NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE jobs DROP COLUMN lost;

-- +goose Up
-- How many of a study's active runs are running, beside the other counts: the others wait for their turn in a chunk.
ALTER TABLE studies ADD COLUMN running integer NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE studies DROP COLUMN running;

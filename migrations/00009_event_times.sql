-- +goose Up
-- What happened lately, for operators. Times only grow, so that writing an entry always touches the last page.
CREATE INDEX job_events_by_time ON job_events (at);

-- +goose Down
DROP INDEX job_events_by_time;

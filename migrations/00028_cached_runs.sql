-- +goose Up
-- How many of the runs that have succeeded were answered from the cache, beside the other counts: lists of studies count no jobs.
ALTER TABLE studies ADD COLUMN cached integer NOT NULL DEFAULT 0;
UPDATE studies s SET cached = n.cached
FROM (
    SELECT j.study_id, count(*)::integer AS cached FROM jobs j WHERE j.cached_from IS NOT NULL AND NOT j.superseded GROUP BY j.study_id
) AS n
WHERE s.id = n.study_id;

-- +goose Down
ALTER TABLE studies DROP COLUMN cached;

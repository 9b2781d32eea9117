-- +goose Up
-- When the tenant's allowance of submissions is whole again. A submission moves it on by its share of a minute; how far it
-- lies ahead tells how much of the allowance is used, so that one value does for a bucket and its clock.
ALTER TABLE tenants ADD COLUMN submissions_spent_until timestamptz NOT NULL DEFAULT 'epoch';

-- +goose Down
ALTER TABLE tenants DROP COLUMN submissions_spent_until;

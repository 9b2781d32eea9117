-- +goose Up
-- Whether the tenant's jobs may run programs of their scenarios, and tools of SUMO's.
ALTER TABLE tenants ADD COLUMN controllers boolean NOT NULL DEFAULT false;

-- +goose Down
ALTER TABLE tenants DROP COLUMN controllers;

-- +goose Up
-- When what the tenant has on the cluster is looked at next. It is kept here because the process that looks scales to zero. A
-- tenant that is being deleted is left alone, or its namespace could be made again behind the deletion's back.
ALTER TABLE tenants ADD COLUMN provision_at timestamptz NOT NULL DEFAULT now(), ADD COLUMN retired_at timestamptz;

-- +goose Down
ALTER TABLE tenants DROP COLUMN provision_at, DROP COLUMN retired_at;

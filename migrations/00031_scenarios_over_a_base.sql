-- +goose Up
-- What was derived from an upload: a derivation is looked up by it when the upload was deleted since.
CREATE INDEX scenarios_over_base ON scenarios (tenant_id, base_digest) WHERE base_digest <> '';

-- +goose Down
DROP INDEX scenarios_over_base;

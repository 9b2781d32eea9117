-- +goose Up
-- The same bytes are one scenario per tenant, and never shared between tenants: who may read what stays a simple question.
CREATE TABLE scenarios (
    tenant_id  text        NOT NULL REFERENCES tenants ON DELETE CASCADE,
    digest     text        NOT NULL CHECK (digest ~ '^[0-9a-f]{64}$'),
    object_key text        NOT NULL UNIQUE,
    size       bigint      NOT NULL CHECK (size >= 0),
    manifest   jsonb       NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, digest)
);

-- +goose Down
DROP TABLE scenarios;

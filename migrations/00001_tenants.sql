-- +goose Up
CREATE TABLE tenants (
    id                  text        PRIMARY KEY CHECK (length(id) BETWEEN 1 AND 100),
    namespace           text        NOT NULL UNIQUE CHECK (length(namespace) BETWEEN 1 AND 63),
    max_cpu             integer     NOT NULL CHECK (max_cpu BETWEEN 1 AND 1000),
    max_memory_gi       integer     NOT NULL CHECK (max_memory_gi BETWEEN 1 AND 5000),
    max_concurrent_jobs integer     NOT NULL CHECK (max_concurrent_jobs BETWEEN 1 AND 200),
    input_buckets       text[]      NOT NULL DEFAULT '{}',
    created_at          timestamptz NOT NULL DEFAULT now(),
    updated_at          timestamptz NOT NULL DEFAULT now()
);

-- A key itself is never stored, only its SHA-256. Revoked keys stay, so that the id in an old log still leads to an owner.
CREATE TABLE api_keys (
    id           text        PRIMARY KEY,
    tenant_id    text        NOT NULL REFERENCES tenants ON DELETE CASCADE,
    name         text        NOT NULL,
    hint         text        NOT NULL,
    hash         bytea       NOT NULL CHECK (octet_length(hash) = 32),
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz,
    revoked_at   timestamptz,
    last_used_at timestamptz
);
CREATE INDEX api_keys_of_tenant ON api_keys (tenant_id, created_at DESC);

-- +goose Down
DROP TABLE api_keys;
DROP TABLE tenants;

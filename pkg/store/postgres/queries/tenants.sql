-- name: InsertTenant :one
INSERT INTO tenants (id, namespace, max_cpu, max_memory_gi, max_concurrent_jobs, input_buckets, default_sumo_version, controllers,
                     imported, created_at)
VALUES (@id, @namespace, @max_cpu, @max_memory_gi, @max_concurrent_jobs, @input_buckets, @default_sumo_version, @controllers, @imported,
        coalesce(sqlc.narg(created_at)::timestamptz, now()))
RETURNING *;

-- name: Tenant :one
SELECT * FROM tenants WHERE id = @id;

-- name: Tenants :many
SELECT * FROM tenants ORDER BY id;

-- name: LockTenant :one
-- NO KEY: the row's id does not change, so rows that refer to it can still be inserted and deleted.
SELECT * FROM tenants WHERE id = @id FOR NO KEY UPDATE;

-- name: SpendSubmission :execrows
-- Takes one submission from an allowance that a minute without submissions refills completely. No row when it is used up.
-- The caller holds the row, so the clock is read after all earlier callers.
UPDATE tenants
SET submissions_spent_until = greatest(submissions_spent_until, clock_timestamp()) + @share::interval
WHERE id = @id AND submissions_spent_until <= clock_timestamp() + @allowance::interval;

-- name: NextSubmission :one
-- How long until SpendSubmission succeeds.
SELECT (submissions_spent_until - clock_timestamp() - @allowance::interval)::interval AS wait
FROM tenants WHERE id = @id;

-- name: UpdateTenant :one
UPDATE tenants
SET max_cpu              = coalesce(sqlc.narg(max_cpu), max_cpu),
    max_memory_gi        = coalesce(sqlc.narg(max_memory_gi), max_memory_gi),
    max_concurrent_jobs  = coalesce(sqlc.narg(max_concurrent_jobs), max_concurrent_jobs),
    input_buckets        = coalesce(sqlc.narg(input_buckets), input_buckets),
    default_sumo_version = coalesce(sqlc.narg(default_sumo_version), default_sumo_version),
    controllers          = coalesce(sqlc.narg(controllers), controllers),
    updated_at           = now(),
    provision_at         = now()
WHERE id = @id
RETURNING *;

-- name: DueTenant :one
-- Concurrent callers get different tenants.
UPDATE tenants SET provision_at = now() + @retry::interval
WHERE id = (
    SELECT t.id FROM tenants t
    WHERE t.provision_at <= now() AND t.retired_at IS NULL
    ORDER BY t.provision_at
    LIMIT 1
    FOR NO KEY UPDATE SKIP LOCKED
)
RETURNING *;

-- name: Provisioned :one
-- A tenant that has changed in the meantime stays due. No row when it was retired.
UPDATE tenants SET provision_at = CASE WHEN updated_at = @updated_at THEN now() + @next::interval ELSE provision_at END
WHERE id = @id AND retired_at IS NULL
RETURNING id;

-- name: RetireTenant :exec
UPDATE tenants SET retired_at = now() WHERE id = @id AND retired_at IS NULL;

-- name: InsertKey :exec
INSERT INTO api_keys (id, tenant_id, name, hint, hash, created_at, expires_at)
VALUES (@id, @tenant_id, @name, @hint, @hash, @created_at, @expires_at);

-- name: RevokeKeys :exec
UPDATE api_keys SET revoked_at = now() WHERE tenant_id = @tenant_id AND revoked_at IS NULL;

-- name: TenantByKey :one
SELECT sqlc.embed(t), k.hash,
       (k.last_used_at IS NULL OR k.last_used_at < now() - interval '1 minute')::boolean AS use_unrecorded
FROM api_keys k
JOIN tenants t ON t.id = k.tenant_id
WHERE k.id = @id
  AND k.revoked_at IS NULL
  AND (k.expires_at IS NULL OR k.expires_at > now());

-- name: KeyOwner :one
SELECT tenant_id, (revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now()))::boolean AS works FROM api_keys WHERE id = @id;

-- name: TouchKey :exec
-- While another caller writes, this one has nothing to add and does not wait.
UPDATE api_keys SET last_used_at = now()
WHERE id = (
    SELECT k.id FROM api_keys k
    WHERE k.id = @id AND (k.last_used_at IS NULL OR k.last_used_at < now() - interval '1 minute')
    FOR NO KEY UPDATE SKIP LOCKED
);

-- name: KeyHints :many
SELECT DISTINCT ON (tenant_id) tenant_id, hint
FROM api_keys
WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
ORDER BY tenant_id, created_at DESC;

-- name: DeleteTenant :exec
-- Rows that refer to the tenant are deleted with it.
DELETE FROM tenants WHERE id = @id;

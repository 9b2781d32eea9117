-- name: InsertScenario :one
-- No row when the tenant already has the digest.
INSERT INTO scenarios (tenant_id, digest, object_key, size, manifest)
VALUES (@tenant_id, @digest, @object_key, @size, @manifest)
ON CONFLICT (tenant_id, digest) DO NOTHING
RETURNING *;

-- name: ScenarioOfTenant :one
SELECT * FROM scenarios WHERE tenant_id = @tenant_id AND digest = @digest;

-- name: KnownScenarioKeys :many
SELECT object_key FROM scenarios WHERE object_key = ANY (@keys::text[]);

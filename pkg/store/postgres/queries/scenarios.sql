-- name: InsertScenario :one
-- No row when the tenant already has the digest.
INSERT INTO scenarios (tenant_id, digest, name, object_key, size, manifest, base_digest, overlay_key, overlay_size, changed, added, deleted)
VALUES (@tenant_id, @digest, @name, @object_key, @size, @manifest, @base_digest, @overlay_key, @overlay_size, @changed, @added, @deleted)
ON CONFLICT (tenant_id, digest) DO NOTHING
RETURNING *;

-- name: UpdateManifest :one
UPDATE scenarios SET manifest = @manifest WHERE tenant_id = @tenant_id AND digest = @digest
RETURNING *;

-- name: ScenarioOfTenant :one
SELECT * FROM scenarios WHERE tenant_id = @tenant_id AND digest = @digest;

-- name: ScenarioOverBase :one
-- One of those that share a zip with the scenario that was uploaded as it.
SELECT * FROM scenarios WHERE tenant_id = @tenant_id AND base_digest = @base_digest AND base_digest <> '' LIMIT 1;

-- name: ListScenarios :many
-- A page of a tenant's scenarios, newest first, without their lists of files, which may be long: of those that differ from a base, the
-- first.
SELECT tenant_id, digest, object_key, size, (manifest - 'files')::jsonb AS manifest, created_at, name, base_digest, overlay_key, overlay_size,
       changed[:@listed::integer]::text[] AS changed, added[:@listed]::text[] AS added, deleted[:@listed]::text[] AS deleted,
       (cardinality(changed) + cardinality(added) + cardinality(deleted))::integer AS differences
FROM scenarios
WHERE tenant_id = @tenant_id
  AND (sqlc.narg(before)::timestamptz IS NULL OR (created_at, digest) < (sqlc.narg(before), @before_digest::text))
ORDER BY created_at DESC, digest DESC LIMIT @most::integer;

-- name: DeleteScenario :one
DELETE FROM scenarios WHERE tenant_id = @tenant_id AND digest = @digest
RETURNING *;

-- name: JobsNeedingScenario :many
-- Unfinished jobs, oldest first.
SELECT id, state FROM jobs
WHERE tenant_id = @tenant_id AND scenario_digest = @digest AND state IN ('QUEUED', 'PENDING', 'RUNNING')
ORDER BY id LIMIT @most::integer;

-- name: StudiesNeedingScenario :many
-- Running studies, oldest first.
SELECT s.id, s.name FROM studies s
WHERE s.tenant_id = @tenant_id AND s.state = 'RUNNING'
  AND EXISTS (SELECT 1 FROM study_points p WHERE p.study_id = s.id AND p.scenario_digest = @digest)
ORDER BY s.id LIMIT @most::integer;

-- name: KnownScenarioKeys :many
SELECT object_key FROM scenarios WHERE object_key = ANY (@keys::text[])
UNION
SELECT overlay_key FROM scenarios WHERE overlay_key = ANY (@keys) AND overlay_key <> '';

-- name: InsertUpload :one
INSERT INTO scenario_uploads (id, tenant_id, name, size, expected_digest)
VALUES (@id, @tenant_id, @name, @size, @expected_digest)
RETURNING *;

-- name: UploadOfTenant :one
SELECT * FROM scenario_uploads WHERE tenant_id = @tenant_id AND id = @id;

-- name: OpenUploads :many
SELECT id FROM scenario_uploads WHERE tenant_id = @tenant_id AND digest = '' ORDER BY id LIMIT @most::integer;

-- name: FinishUpload :execrows
UPDATE scenario_uploads SET digest = @digest WHERE tenant_id = @tenant_id AND id = @id;

-- name: DeleteUpload :execrows
DELETE FROM scenario_uploads WHERE tenant_id = @tenant_id AND id = @id;

-- name: PruneUploads :execrows
DELETE FROM scenario_uploads u
USING (
    SELECT old.id FROM scenario_uploads old
    WHERE old.created_at < @before
    ORDER BY old.created_at LIMIT @most::integer
    FOR UPDATE SKIP LOCKED
) AS old
WHERE u.id = old.id;

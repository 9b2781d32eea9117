-- name: Secret :one
SELECT value FROM secrets WHERE name = @name;

-- name: InsertSecret :exec
INSERT INTO secrets (name, value) VALUES (@name, @value) ON CONFLICT DO NOTHING;

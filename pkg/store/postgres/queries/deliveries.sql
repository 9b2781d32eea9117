-- name: InsertHook :exec
INSERT INTO hooks (id, tenant_id, job_id, url, receiver, events, labels, format, studies, enabled, secrets)
VALUES (@id, @tenant_id, @job_id, @url, @receiver, @events, @labels, @format, @studies, @enabled, @secrets);

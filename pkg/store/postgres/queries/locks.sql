-- name: KeepIdleTransaction :exec
-- For this transaction only, so that it also works through a transaction pooler.
SET LOCAL idle_in_transaction_session_timeout = 0;

-- name: TryAdvisoryLock :one
SELECT pg_try_advisory_xact_lock(hashtextextended(@name::text, 0));

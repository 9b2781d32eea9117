-- +goose Up
-- What a job says of its end if it ends cancelled: who asked may be its study, which too many failures have stopped.
ALTER TABLE jobs ADD COLUMN cancel_message text NOT NULL DEFAULT 'Cancelled on request.';

-- +goose Down
ALTER TABLE jobs DROP COLUMN cancel_message;

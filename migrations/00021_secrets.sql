-- +goose Up
-- Random secrets of this installation, made when they are first needed. A row that is deleted is made anew, which rotates the secret.
CREATE TABLE secrets (
    name       text        PRIMARY KEY, -- links: signs temporary links to results
    value      bytea       NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- +goose Down
DROP TABLE secrets;

-- What was moved over time: each byte in one row, that of the step in which it
-- was recorded. Steps and their beginnings are seconds. user_number 0 is of
-- users that are gone.

-- +goose Up
CREATE TABLE usage_history (
    step        BIGINT NOT NULL, -- 300, later 3600 and 86400
    at          BIGINT NOT NULL,
    user_number BIGINT NOT NULL,
    server_id   TEXT   NOT NULL,
    up          BIGINT NOT NULL,
    down        BIGINT NOT NULL,
    PRIMARY KEY (step, at, user_number, server_id)
) WITHOUT ROWID;

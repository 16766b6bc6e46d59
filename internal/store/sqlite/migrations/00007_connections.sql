-- How many connections there were over time: in each step, the seconds of all
-- connections together (of a user, over a server). history_watched is for how
-- many seconds of a step somebody looked: the one by the other is how many
-- there were on average, and where nobody looked nothing is known.

-- +goose Up
ALTER TABLE usage_history ADD COLUMN connected BIGINT NOT NULL DEFAULT 0;

CREATE TABLE history_watched (
    step    BIGINT NOT NULL, -- as those of usage_history
    at      BIGINT NOT NULL,
    seconds BIGINT NOT NULL,
    PRIMARY KEY (step, at)
) WITHOUT ROWID;

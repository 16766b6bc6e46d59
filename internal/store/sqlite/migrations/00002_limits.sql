-- +goose Up
ALTER TABLE users ADD COLUMN period TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN resets_on TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN time_zone TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN throttle BIGINT NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN valid_for BIGINT NOT NULL DEFAULT 0; -- seconds
ALTER TABLE users ADD COLUMN held_since BIGINT NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN first_used_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN used_since BIGINT NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN resets_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE users ADD COLUMN turns_at BIGINT NOT NULL DEFAULT 0; -- when resets_at has to be looked at
ALTER TABLE users ADD COLUMN tags TEXT NOT NULL DEFAULT ''; -- with spaces between
ALTER TABLE users ADD COLUMN email TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN note TEXT NOT NULL DEFAULT '';
CREATE INDEX users_turns ON users (turns_at) WHERE deleted_at = 0 AND turns_at <> 0;

-- What was used until each reset.
CREATE TABLE resets (
    number      INTEGER PRIMARY KEY,
    user_number BIGINT NOT NULL REFERENCES users (number),
    at          BIGINT NOT NULL,
    actor       TEXT   NOT NULL,
    since       BIGINT NOT NULL,
    used_up     BIGINT NOT NULL,
    used_down   BIGINT NOT NULL
);
CREATE INDEX resets_user ON resets (user_number, number);

-- The whole days of the users whose last days count, as parts of what they
-- have used: today's part is the rest.
CREATE TABLE used_days (
    user_number BIGINT NOT NULL REFERENCES users (number),
    leaves_at   BIGINT NOT NULL, -- when the day counts no more
    used_up     BIGINT NOT NULL,
    used_down   BIGINT NOT NULL,
    PRIMARY KEY (user_number, leaves_at)
);

-- The statements of this package keep to what PostgreSQL takes too. Times are
-- microseconds since 1970, 0 for none; deleted_at is 0 for the living.

-- +goose Up
CREATE TABLE meta (
    one        INTEGER PRIMARY KEY CHECK (one = 1),
    id         TEXT    NOT NULL,
    generation TEXT    NOT NULL, -- '' in a copy: its life begins when it is opened
    revision   BIGINT  NOT NULL  -- of the last change of a user, server or credential
);

CREATE TABLE users (
    number      INTEGER PRIMARY KEY, -- what usage refers to: an update by it costs half of one by id
    id          TEXT    NOT NULL UNIQUE,
    name        TEXT    NOT NULL,
    enabled     BOOLEAN NOT NULL,
    quota       BIGINT  NOT NULL,
    rate_up     BIGINT  NOT NULL,
    rate_down   BIGINT  NOT NULL,
    devices     BIGINT  NOT NULL,
    connections BIGINT  NOT NULL,
    expires_at  BIGINT  NOT NULL,
    used_up     BIGINT  NOT NULL, -- since the last reset
    used_down   BIGINT  NOT NULL,
    created_at  BIGINT  NOT NULL,
    updated_at  BIGINT  NOT NULL,
    deleted_at  BIGINT  NOT NULL
);
CREATE UNIQUE INDEX users_name ON users (name) WHERE deleted_at = 0;

CREATE TABLE servers (
    id          TEXT    NOT NULL PRIMARY KEY,
    name        TEXT    NOT NULL,
    protocol    TEXT    NOT NULL,
    runtime     TEXT    NOT NULL,
    listen      TEXT    NOT NULL,
    port        BIGINT  NOT NULL,
    public_host TEXT    NOT NULL,
    enabled     BOOLEAN NOT NULL,
    allow       TEXT    NOT NULL, -- prefixes, with spaces between
    settings    TEXT    NOT NULL,
    private     BYTEA   NOT NULL,
    slot        BIGINT  NOT NULL,
    used_up     BIGINT  NOT NULL, -- since ever
    used_down   BIGINT  NOT NULL,
    purged      BIGINT  NOT NULL, -- the highest revision of a credential's tombstone that is gone
    created_at  BIGINT  NOT NULL,
    updated_at  BIGINT  NOT NULL,
    deleted_at  BIGINT  NOT NULL
);
CREATE UNIQUE INDEX servers_name ON servers (name) WHERE deleted_at = 0;
CREATE UNIQUE INDEX servers_slot ON servers (slot) WHERE deleted_at = 0;

-- A credential's revision is that of its own last change or its user's, so
-- that one index finds what has changed on a server.
CREATE TABLE credentials (
    id         TEXT   NOT NULL PRIMARY KEY,
    user_id    TEXT   NOT NULL REFERENCES users (id),
    server_id  TEXT   NOT NULL REFERENCES servers (id),
    label      TEXT   NOT NULL,
    secret     BYTEA  NOT NULL,
    not_before BIGINT NOT NULL,
    not_after  BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    deleted_at BIGINT NOT NULL,
    revision   BIGINT NOT NULL
);
CREATE INDEX credentials_user ON credentials (user_id);
CREATE INDEX credentials_server ON credentials (server_id, revision);

-- What the running epochs have counted so far. A byte is here or in
-- usage_totals, never in both.
CREATE TABLE usage_marks (
    number        INTEGER PRIMARY KEY,
    epoch         TEXT   NOT NULL,
    credential_id TEXT   NOT NULL,
    user_number   BIGINT NOT NULL REFERENCES users (number),
    server_id     TEXT   NOT NULL,
    up            BIGINT NOT NULL,
    down          BIGINT NOT NULL,
    UNIQUE (epoch, credential_id)
);
CREATE INDEX usage_marks_user ON usage_marks (user_number);

-- What the ended epochs have counted.
CREATE TABLE usage_totals (
    user_number BIGINT NOT NULL REFERENCES users (number),
    server_id   TEXT   NOT NULL REFERENCES servers (id),
    up          BIGINT NOT NULL,
    down        BIGINT NOT NULL,
    PRIMARY KEY (user_number, server_id)
);
CREATE INDEX usage_totals_server ON usage_totals (server_id);

CREATE TABLE ended_epochs (
    epoch    TEXT   NOT NULL PRIMARY KEY,
    ended_at BIGINT NOT NULL
);

CREATE TABLE events (
    number  INTEGER PRIMARY KEY,
    at      BIGINT NOT NULL,
    actor   TEXT   NOT NULL,
    action  TEXT   NOT NULL,
    subject TEXT   NOT NULL,
    detail  TEXT   NOT NULL
);

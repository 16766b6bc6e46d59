-- A credential's number on its server, tombstones included: what follows from
-- it, a port or an address, is the same when a credential is back.

-- +goose Up
ALTER TABLE credentials ADD COLUMN slot BIGINT NOT NULL DEFAULT 0;
UPDATE credentials SET slot = (
    SELECT count(*) FROM credentials other
    WHERE other.server_id = credentials.server_id
        AND (other.created_at < credentials.created_at OR other.created_at = credentials.created_at AND other.id < credentials.id));
CREATE UNIQUE INDEX credentials_slot ON credentials (server_id, slot);

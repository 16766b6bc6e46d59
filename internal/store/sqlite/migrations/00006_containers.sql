-- What the container of a server's worker gets of its machine, as JSON; empty
-- for a process.

-- +goose Up
ALTER TABLE servers ADD COLUMN container TEXT NOT NULL DEFAULT '';

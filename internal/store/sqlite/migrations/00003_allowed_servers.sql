-- The servers that let a user in: '*' for every one, or ids with spaces between.

-- +goose Up
ALTER TABLE users ADD COLUMN allowed_servers TEXT NOT NULL DEFAULT '*';

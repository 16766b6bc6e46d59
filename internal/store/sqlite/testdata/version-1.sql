-- A store as the first program made it, with rows of every table: see
-- TestOpenTakesAnOldStore. It is kept as it is.
BEGIN TRANSACTION;
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
INSERT INTO "credentials" VALUES('5gki7h6xvgufg6zo','uiobtsofyfulv5yi','yi32jv7y7g57lbsz','',X'35383437613166372D306233622D346236662D386634352D623664336266313834353139',0,0,1795892904478089,0,2);
INSERT INTO "credentials" VALUES('n7s4xh6pi5sl3432','v5y4a7zp7qlyedsn','yi32jv7y7g57lbsz','',X'35383264363530332D663337392D346361392D393138302D356562333337653665343261',0,0,1795892904600580,0,6);
INSERT INTO "credentials" VALUES('hwc2ybzxmowus6i4','kafi53xmay3sybv7','yi32jv7y7g57lbsz','',X'62663938323836622D613536652D343137302D396265352D613839663636303264393338',0,0,1795892904712832,1795892904813102,5);
CREATE TABLE ended_epochs (
    epoch    TEXT   NOT NULL PRIMARY KEY,
    ended_at BIGINT NOT NULL
);
INSERT INTO "ended_epochs" VALUES('one before',1795892904480509);
CREATE TABLE events (
    number  INTEGER PRIMARY KEY,
    at      BIGINT NOT NULL,
    actor   TEXT   NOT NULL,
    action  TEXT   NOT NULL,
    subject TEXT   NOT NULL,
    detail  TEXT   NOT NULL
);
INSERT INTO "events" VALUES(1,1795892904336466,'uid 0 (root)','servers.create','main','vless on port 18443');
INSERT INTO "events" VALUES(2,1795892904480509,'uid 0 (root)','users.create','alice','');
INSERT INTO "events" VALUES(3,1795892904601123,'uid 0 (root)','users.create','bob','');
INSERT INTO "events" VALUES(4,1795892904713090,'uid 0 (root)','users.create','gone','');
INSERT INTO "events" VALUES(5,1795892904813553,'uid 0 (root)','users.delete','gone','');
INSERT INTO "events" VALUES(6,1795892905044345,'uid 0 (root)','users.update','bob','enabled false');
CREATE TABLE goose_db_version (
		id INTEGER PRIMARY KEY AUTOINCREMENT,
		version_id INTEGER NOT NULL,
		is_applied INTEGER NOT NULL,
		tstamp TIMESTAMP DEFAULT (datetime('now'))
	);
INSERT INTO "goose_db_version" VALUES(1,0,1,'2026-11-28 19:08:24');
INSERT INTO "goose_db_version" VALUES(2,1,1,'2026-11-28 19:08:24');
CREATE TABLE meta (
    one        INTEGER PRIMARY KEY CHECK (one = 1),
    id         TEXT    NOT NULL,
    generation TEXT    NOT NULL, -- '' in a copy: its life begins when it is opened
    revision   BIGINT  NOT NULL  -- of the last change of a user, server or credential
);
INSERT INTO "meta" VALUES(1,'wy45q27dczhe4lak','hf4tse2syndna6ie',6);
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
INSERT INTO "servers" VALUES('yi32jv7y7g57lbsz','main','vless','process','::',18443,'vpn.example.org',1,'','{"target":"self","server_names":["vpn.example.org"],"short_ids":["cb5e45fc2218a8dd"],"fingerprint":"chrome","public_key":"wnLKZel7vvyUefuHDs8b5VgDqrNkEz4oXgd4Ntnr81w"}',X'7B7D',0,12,40,0,1795892904317961,1795892904317961,0);
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
INSERT INTO "usage_marks" VALUES(1,'an epoch','5gki7h6xvgufg6zo',1,'yi32jv7y7g57lbsz',4,10);
CREATE TABLE usage_totals (
    user_number BIGINT NOT NULL REFERENCES users (number),
    server_id   TEXT   NOT NULL REFERENCES servers (id),
    up          BIGINT NOT NULL,
    down        BIGINT NOT NULL,
    PRIMARY KEY (user_number, server_id)
);
INSERT INTO "usage_totals" VALUES(1,'yi32jv7y7g57lbsz',8,30);
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
INSERT INTO "users" VALUES(1,'uiobtsofyfulv5yi','alice',1,50000000000,0,2500000,2,0,0,10,30,1795892904470107,1795892904470107,0);
INSERT INTO "users" VALUES(2,'v5y4a7zp7qlyedsn','bob',0,0,0,0,0,0,4102444800000000,0,0,1795892904598912,1795892905039351,0);
INSERT INTO "users" VALUES(3,'kafi53xmay3sybv7','gone',1,0,0,0,0,0,0,0,0,1795892904704405,1795892904813103,1795892904813102);
CREATE UNIQUE INDEX users_name ON users (name) WHERE deleted_at = 0;
CREATE UNIQUE INDEX servers_name ON servers (name) WHERE deleted_at = 0;
CREATE UNIQUE INDEX servers_slot ON servers (slot) WHERE deleted_at = 0;
CREATE INDEX credentials_user ON credentials (user_id);
CREATE INDEX credentials_server ON credentials (server_id, revision);
CREATE INDEX usage_marks_user ON usage_marks (user_number);
CREATE INDEX usage_totals_server ON usage_totals (server_id);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('goose_db_version',2);
COMMIT;

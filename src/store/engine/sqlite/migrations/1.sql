-- Organizations, their users, and the tokens of those who logged in.
--
-- Times are microseconds since 1970-01-01 UTC. UUIDs are text in the hyphenated, lower-case form.

-- Says that a file is ours ("THNS").
PRAGMA application_id = 0x54484e53;

-- Users and account managers, as other people see them.
CREATE TABLE people (
    id         INTEGER PRIMARY KEY,
    uuid       TEXT NOT NULL UNIQUE
               CHECK (length(uuid) = 36 AND uuid NOT GLOB '*[^0-9a-f-]*'),
    first_name TEXT,
    last_name  TEXT,
    email      TEXT,
    phone      TEXT
) STRICT;

CREATE TABLE organizations (
    id            INTEGER PRIMARY KEY,
    uuid          TEXT NOT NULL UNIQUE
                  CHECK (length(uuid) = 36 AND uuid NOT GLOB '*[^0-9a-f-]*'),
    name          TEXT NOT NULL CHECK (name <> ''),
    org_type      TEXT NOT NULL,
    -- The one that goes with org_type is there, the other is not.
    retailer_uuid TEXT UNIQUE
                  CHECK (length(retailer_uuid) = 36 AND retailer_uuid NOT GLOB '*[^0-9a-f-]*'),
    supplier_uuid TEXT UNIQUE
                  CHECK (length(supplier_uuid) = 36 AND supplier_uuid NOT GLOB '*[^0-9a-f-]*'),
    status        TEXT NOT NULL CHECK (status IN ('PENDING', 'ACTIVE', 'DEACTIVATED')),
    created_date  INTEGER NOT NULL,
    active_date   INTEGER,
    account_manager_id INTEGER REFERENCES people (id),
    CHECK (
        (org_type = 'RETAILER' AND retailer_uuid IS NOT NULL AND supplier_uuid IS NULL)
        OR (org_type = 'SUPPLIER' AND supplier_uuid IS NOT NULL AND retailer_uuid IS NULL)
    )
) STRICT;

CREATE TABLE users (
    id            INTEGER PRIMARY KEY,
    uuid          TEXT NOT NULL UNIQUE
                  CHECK (length(uuid) = 36 AND uuid NOT GLOB '*[^0-9a-f-]*'),
    org_id        INTEGER NOT NULL REFERENCES organizations (id),
    person_id     INTEGER NOT NULL UNIQUE REFERENCES people (id),
    username      TEXT NOT NULL UNIQUE COLLATE NOCASE
                  CHECK (username <> '' AND length(username) <= 254),
    password_hash TEXT NOT NULL
                  CHECK (length(password_hash) = 60 AND password_hash GLOB '$2[aby]$[01][0-9]$*'),
    -- bcrypt's cost, read out of the hash; the dearest one says how much work every login does.
    cost          INTEGER NOT NULL AS (CAST(substr(password_hash, 5, 2) AS INTEGER))
                  CHECK (cost BETWEEN 4 AND 15),
    -- SHA-256 of the hash that a fixture last loaded: a login may have rehashed the password since, and the same fixture
    -- must not bring the old hash back.
    loaded_hash_digest BLOB CHECK (length(loaded_hash_digest) = 32),
    status        TEXT NOT NULL CHECK (status IN ('CONFIRMATION WAITING', 'ACTIVE', 'DEACTIVATED')),
    -- Raised with every change of password or status: a login that verified the old one issues no token.
    revision      INTEGER NOT NULL DEFAULT 0,
    last_login    INTEGER,
    -- When an operator last unlocked the user: failed logins that a server counted before do not count.
    unlocked_at   INTEGER
) STRICT;

CREATE INDEX users_by_org ON users (org_id, username);
CREATE INDEX users_by_cost ON users (cost);

-- What a user may be allowed to do on the market place. Nothing here acts on it: account calls show it.
CREATE TABLE permissions (
    id           INTEGER PRIMARY KEY,
    uuid         TEXT NOT NULL UNIQUE
                 CHECK (length(uuid) = 36 AND uuid NOT GLOB '*[^0-9a-f-]*'),
    name         TEXT NOT NULL CHECK (name <> ''),
    display_name TEXT,
    description  TEXT
) STRICT;

CREATE TABLE permission_assignments (
    user_id       INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- The order in which a user's permissions were given.
    position      INTEGER NOT NULL,
    permission_id INTEGER NOT NULL REFERENCES permissions (id),
    assigned      INTEGER NOT NULL CHECK (assigned IN (0, 1)),
    PRIMARY KEY (user_id, position),
    UNIQUE (user_id, permission_id)
) STRICT, WITHOUT ROWID;

-- A token itself is never stored, so a stolen file or backup opens nothing; the exception is a pinned one, which a fixture
-- gave in clear and each login of its user must answer.
CREATE TABLE tokens (
    -- SHA-256 of the 40 hexadecimal characters.
    digest     BLOB PRIMARY KEY CHECK (length(digest) = 32),
    user_id    INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    issued_at  INTEGER NOT NULL,
    -- NULL lives until it is revoked.
    expires_at INTEGER,
    pinned     TEXT CHECK (length(pinned) = 40 AND pinned NOT GLOB '*[^0-9a-f]*'),
    CHECK (pinned IS NULL OR expires_at IS NULL)
) STRICT, WITHOUT ROWID;

CREATE INDEX tokens_by_user ON tokens (user_id, issued_at);
CREATE INDEX tokens_by_expiry ON tokens (expires_at) WHERE expires_at IS NOT NULL;
CREATE UNIQUE INDEX pinned_token_of_user ON tokens (user_id) WHERE pinned IS NOT NULL;

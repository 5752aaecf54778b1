ALTER TABLE users ADD COLUMN loaded_password_hash TEXT
    CHECK (length(loaded_password_hash) = 60 AND loaded_password_hash GLOB '$2[aby]$[01][0-9]$*');

CREATE INDEX permissions_by_name ON permissions (name);

CREATE TABLE events (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    time      INTEGER NOT NULL,
    action    TEXT NOT NULL CHECK (action <> ''),
    outcome   TEXT CHECK (outcome IN ('succeeded', 'failed', 'throttled', 'inactive')),
    times     INTEGER NOT NULL DEFAULT 1 CHECK (times > 0),
    actor     TEXT,
    address   TEXT,
    user_uuid TEXT,
    org_uuid  TEXT,
    object    TEXT,
    before    TEXT,
    after     TEXT,
    number    INTEGER,
    import_id INTEGER,
    CHECK ((action = 'login') = (outcome IS NOT NULL))
) STRICT;

CREATE INDEX events_by_user ON events (user_uuid, number) WHERE user_uuid IS NOT NULL;

CREATE TRIGGER events_stay BEFORE UPDATE ON events BEGIN
    SELECT raise(ABORT, 'an event is never changed');
END;

CREATE TABLE failed_logins (
    key           BLOB PRIMARY KEY CHECK (length(key) = 16),
    kind          TEXT NOT NULL CHECK (kind IN ('user', 'address', 'account')),
    user_uuid     TEXT,
    address       TEXT,
    failures      INTEGER NOT NULL,
    first_failure INTEGER NOT NULL,
    unlocks       INTEGER NOT NULL,
    locked_until  INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX failed_logins_by_user ON failed_logins (user_uuid) WHERE user_uuid IS NOT NULL;
CREATE INDEX failed_logins_by_time ON failed_logins (kind, first_failure);

CREATE TRIGGER username_changed AFTER UPDATE OF username ON users WHEN OLD.username <> NEW.username BEGIN
    UPDATE failed_logins SET user_uuid = NULL WHERE user_uuid = NEW.uuid;
END;

CREATE TABLE throttle_secret (
    secret BLOB NOT NULL CHECK (length(secret) = 16)
) STRICT;
INSERT INTO throttle_secret (secret) VALUES (randomblob(16));

-- Organizations, their users, and the tokens that logins issued.
--
-- Times are microseconds since 1970-01-01 UTC. UUIDs are text in the hyphenated, lower-case form.

-- Identifies the file as a database of this program ("THNS").
PRAGMA application_id = 0x54484e53;

-- Imports of many rows that are in progress or were interrupted. The rows that they have added are not visible yet.
-- AUTOINCREMENT, because the rows of a finished import keep its number.
CREATE TABLE imports (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    -- When the rows of an interrupted import are removed, permissions with this id or a higher one are removed too,
    -- unless a user has them.
    first_permission INTEGER NOT NULL
) STRICT;

-- The personal data of users and account managers.
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
    -- The column that belongs to org_type is set; the other one is NULL.
    retailer_uuid TEXT UNIQUE
                  CHECK (length(retailer_uuid) = 36 AND retailer_uuid NOT GLOB '*[^0-9a-f-]*'),
    supplier_uuid TEXT UNIQUE
                  CHECK (length(supplier_uuid) = 36 AND supplier_uuid NOT GLOB '*[^0-9a-f-]*'),
    status        TEXT NOT NULL CHECK (status IN ('PENDING', 'ACTIVE', 'DEACTIVATED')),
    created_date  INTEGER NOT NULL,
    active_date   INTEGER,
    account_manager_id INTEGER REFERENCES people (id),
    -- The import of many rows that added the organization; NULL if none did.
    import_id     INTEGER,
    CHECK (
        (org_type = 'RETAILER' AND retailer_uuid IS NOT NULL AND supplier_uuid IS NULL)
        OR (org_type = 'SUPPLIER' AND supplier_uuid IS NOT NULL AND retailer_uuid IS NULL)
    )
) STRICT;

CREATE INDEX organizations_by_name ON organizations (name);
CREATE INDEX organizations_by_manager ON organizations (account_manager_id);

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
    -- The bcrypt cost, taken from the hash.
    cost          INTEGER NOT NULL AS (CAST(substr(password_hash, 5, 2) AS INTEGER))
                  CHECK (cost BETWEEN 4 AND 15),
    -- SHA-256 of the hash that a fixture last loaded. A login may have rehashed the password since then, and loading
    -- the same fixture again must not restore the old hash.
    loaded_hash_digest BLOB CHECK (length(loaded_hash_digest) = 32),
    status        TEXT NOT NULL CHECK (status IN ('CONFIRMATION WAITING', 'ACTIVE', 'DEACTIVATED')),
    -- Incremented with every change of the password or the status: a login that read the earlier state issues no token.
    revision      INTEGER NOT NULL DEFAULT 0,
    last_login    INTEGER,
    -- When an operator last unlocked the user.
    unlocked_at   INTEGER,
    -- How many times operators have unlocked the user. Failed logins that were counted at a lower number are ignored. A
    -- date could not show which came first, because the clock may be set.
    unlocks       INTEGER NOT NULL DEFAULT 0,
    -- The import of many rows that added the user; NULL if none did.
    import_id     INTEGER,
    -- bcrypt hash of the plain password that a file gave when it was last loaded. The password may have been changed
    -- since then, and loading the same file again must not restore the old one.
    loaded_password_hash TEXT
                  CHECK (length(loaded_password_hash) = 60 AND loaded_password_hash GLOB '$2[aby]$[01][0-9]$*')
) STRICT;

CREATE INDEX users_by_org ON users (org_id, username, import_id);
CREATE INDEX users_by_cost ON users (cost);

-- The number of users that can log in, by the cost of their hash, maintained by the triggers below. Users of an import
-- in progress are included. Every login reads the highest cost and does as much work as that.
CREATE TABLE login_costs (
    cost  INTEGER PRIMARY KEY,
    users INTEGER NOT NULL
) STRICT;
INSERT INTO login_costs (cost, users) VALUES
    (4, 0), (5, 0), (6, 0), (7, 0), (8, 0), (9, 0), (10, 0), (11, 0), (12, 0), (13, 0), (14, 0), (15, 0);

CREATE TRIGGER user_added AFTER INSERT ON users WHEN NEW.status = 'ACTIVE' BEGIN
    UPDATE login_costs SET users = users + 1 WHERE cost = NEW.cost
    AND EXISTS (SELECT 1 FROM organizations WHERE id = NEW.org_id AND status = 'ACTIVE');
END;

CREATE TRIGGER user_removed AFTER DELETE ON users WHEN OLD.status = 'ACTIVE' BEGIN
    UPDATE login_costs SET users = users - 1 WHERE cost = OLD.cost
    AND EXISTS (SELECT 1 FROM organizations WHERE id = OLD.org_id AND status = 'ACTIVE');
END;

CREATE TRIGGER user_changed AFTER UPDATE OF password_hash, status, org_id ON users
WHEN OLD.cost <> NEW.cost OR OLD.status <> NEW.status OR OLD.org_id <> NEW.org_id BEGIN
    UPDATE login_costs SET users = users - 1 WHERE cost = OLD.cost AND OLD.status = 'ACTIVE'
    AND EXISTS (SELECT 1 FROM organizations WHERE id = OLD.org_id AND status = 'ACTIVE');
    UPDATE login_costs SET users = users + 1 WHERE cost = NEW.cost AND NEW.status = 'ACTIVE'
    AND EXISTS (SELECT 1 FROM organizations WHERE id = NEW.org_id AND status = 'ACTIVE');
END;

CREATE TRIGGER organization_changed AFTER UPDATE OF status ON organizations
WHEN (OLD.status = 'ACTIVE') <> (NEW.status = 'ACTIVE') BEGIN
    UPDATE login_costs SET users = login_costs.users + iif(NEW.status = 'ACTIVE', own.users, -own.users)
    FROM (SELECT cost, count(*) AS users FROM users WHERE org_id = NEW.id AND status = 'ACTIVE' GROUP BY cost) AS own
    WHERE login_costs.cost = own.cost;
END;

-- The initial revision and unlocks of a new user: higher than those of any deleted user. SQLite may reuse the id of a
-- deleted row while servers still have logins in progress, or failures counted, for the deleted user.
CREATE TABLE first_numbers (
    number INTEGER NOT NULL
) STRICT;
INSERT INTO first_numbers (number) VALUES (0);

CREATE TRIGGER user_numbers_kept AFTER DELETE ON users BEGIN
    UPDATE first_numbers SET number = max(number, OLD.revision + 1, OLD.unlocks + 1);
END;

CREATE TRIGGER user_numbers_started AFTER INSERT ON users WHEN (SELECT number FROM first_numbers) > 0 BEGIN
    UPDATE users SET revision = number, unlocks = number FROM first_numbers WHERE users.id = NEW.id;
END;

-- What a user may be allowed to do on the market place. This program does not enforce permissions; account calls return
-- them.
CREATE TABLE permissions (
    id           INTEGER PRIMARY KEY,
    uuid         TEXT NOT NULL UNIQUE
                 CHECK (length(uuid) = 36 AND uuid NOT GLOB '*[^0-9a-f-]*'),
    name         TEXT NOT NULL CHECK (name <> ''),
    display_name TEXT,
    description  TEXT
) STRICT;

CREATE INDEX permissions_by_name ON permissions (name);

CREATE TABLE permission_assignments (
    user_id       INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    -- The position in the user's list of permissions.
    position      INTEGER NOT NULL,
    permission_id INTEGER NOT NULL REFERENCES permissions (id),
    assigned      INTEGER NOT NULL CHECK (assigned IN (0, 1)),
    PRIMARY KEY (user_id, position),
    UNIQUE (user_id, permission_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX assignments_by_permission ON permission_assignments (permission_id);

-- Only the digest of a token is stored, so a stolen file or backup gives no access. The exception is a pinned token: a
-- fixture gave it in plain text, and every login of its user must return it.
CREATE TABLE tokens (
    -- SHA-256 of the 40 hexadecimal characters.
    digest     BLOB PRIMARY KEY CHECK (length(digest) = 32),
    user_id    INTEGER NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    issued_at  INTEGER NOT NULL,
    -- NULL: the token is valid until it is revoked.
    expires_at INTEGER,
    pinned     TEXT CHECK (length(pinned) = 40 AND pinned NOT GLOB '*[^0-9a-f]*'),
    -- The order in which a user's tokens were issued, independent of the clock. Tokens with equal numbers were issued
    -- before this column existed and are ordered by issued_at.
    number     INTEGER NOT NULL DEFAULT 0,
    CHECK (pinned IS NULL OR expires_at IS NULL)
) STRICT, WITHOUT ROWID;

CREATE INDEX tokens_by_user ON tokens (user_id, number, issued_at);
CREATE INDEX tokens_by_expiry ON tokens (expires_at) WHERE expires_at IS NOT NULL;
CREATE UNIQUE INDEX pinned_token_of_user ON tokens (user_id) WHERE pinned IS NOT NULL;

-- Logins of existing users, and every change by an administrator. Rows are added, and removed when they are too old or
-- too many; they are never changed. They remain when the user or the organization is deleted.
CREATE TABLE events (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    time      INTEGER NOT NULL,
    -- `login`, or the command that made the change, such as `user set-status`.
    action    TEXT NOT NULL CHECK (action <> ''),
    -- The outcome of a login; NULL for a change.
    outcome   TEXT CHECK (outcome IN ('succeeded', 'failed', 'throttled', 'inactive')),
    -- The number of logins with this outcome that the row represents.
    times     INTEGER NOT NULL DEFAULT 1 CHECK (times > 0),
    -- The system user who ran the command.
    actor     TEXT,
    -- The client address of a login.
    address   TEXT,
    user_uuid TEXT,
    org_uuid  TEXT,
    -- The username, the organization's name or the file name at that time.
    object    TEXT,
    -- The old and the new value of a status, a name or another field that is not secret.
    before    TEXT,
    after     TEXT,
    -- The sequence number among the logins of the user, so that the oldest can be removed when there are too many.
    number    INTEGER,
    -- The import of many rows that the event belongs to; NULL if none.
    import_id INTEGER,
    CHECK ((action = 'login') = (outcome IS NOT NULL))
) STRICT;

CREATE INDEX events_by_user ON events (user_uuid, number) WHERE user_uuid IS NOT NULL;

CREATE TRIGGER events_stay BEFORE UPDATE ON events BEGIN
    SELECT raise(ABORT, 'an event is never changed');
END;

-- The counters of failed logins. The server writes them after each reply; other processes read them, and the server
-- reads them at its next start.
CREATE TABLE failed_logins (
    -- A digest keyed with the secret below. The name itself is not stored, because no user may have it.
    key           BLOB PRIMARY KEY CHECK (length(key) = 16),
    -- What the counter is for: a username from one address, an address, or a username from all addresses.
    kind          TEXT NOT NULL CHECK (kind IN ('user', 'address', 'account')),
    -- NULL if no user has the username.
    user_uuid     TEXT,
    address       TEXT,
    failures      INTEGER NOT NULL,
    first_failure INTEGER NOT NULL,
    -- `users.unlocks` when the failures were counted. If the user's number differs now, they are ignored.
    unlocks       INTEGER NOT NULL,
    -- NULL until the limit is reached.
    locked_until  INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX failed_logins_by_user ON failed_logins (user_uuid) WHERE user_uuid IS NOT NULL;
CREATE INDEX failed_logins_by_time ON failed_logins (kind, first_failure);

-- The counters are for a username, which the user no longer has.
CREATE TRIGGER username_changed AFTER UPDATE OF username ON users WHEN OLD.username <> NEW.username BEGIN
    UPDATE failed_logins SET user_uuid = NULL WHERE user_uuid = NEW.uuid;
END;

-- One row. The secret prevents clients from choosing usernames whose digests collide. Each transaction also writes this
-- row, so that a log shows which database it belongs to.
CREATE TABLE throttle_secret (
    secret BLOB NOT NULL CHECK (length(secret) = 16)
) STRICT;
INSERT INTO throttle_secret (secret) VALUES (randomblob(16));

-- Organizations, their users, and the tokens of those who logged in.
--
-- Times are microseconds since 1970-01-01 UTC. UUIDs are text in the hyphenated, lower-case form.

-- Says that a file is ours ("THNS").
PRAGMA application_id = 0x54484e53;

-- Imports of many rows that are under way, or that were cut off: what they have added does not count. AUTOINCREMENT, since
-- the rows of a finished import keep its number.
CREATE TABLE imports (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    -- Permissions from this one on that nobody has go with the rows of an import that was cut off.
    first_permission INTEGER NOT NULL
) STRICT;

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
    -- The import of many rows that added it, if one did.
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
    -- bcrypt's cost, read out of the hash.
    cost          INTEGER NOT NULL AS (CAST(substr(password_hash, 5, 2) AS INTEGER))
                  CHECK (cost BETWEEN 4 AND 15),
    -- SHA-256 of the hash that a fixture last loaded: a login may have rehashed the password since, and the same fixture
    -- must not bring the old hash back.
    loaded_hash_digest BLOB CHECK (length(loaded_hash_digest) = 32),
    status        TEXT NOT NULL CHECK (status IN ('CONFIRMATION WAITING', 'ACTIVE', 'DEACTIVATED')),
    -- Raised with every change of password or status: a login that verified the old one issues no token.
    revision      INTEGER NOT NULL DEFAULT 0,
    last_login    INTEGER,
    -- When an operator last unlocked the user.
    unlocked_at   INTEGER,
    -- How often that was done: failed logins that a server counted when it was less do not count. The date would not say
    -- which came first, once the clock has been set.
    unlocks       INTEGER NOT NULL DEFAULT 0,
    -- The import of many rows that added it, if one did.
    import_id     INTEGER,
    -- bcrypt hash of the password that a file gave in clear when it was last loaded. The password may have been changed
    -- since, and the same file must not bring the old one back.
    loaded_password_hash TEXT
                  CHECK (length(loaded_password_hash) = 60 AND loaded_password_hash GLOB '$2[aby]$[01][0-9]$*')
) STRICT;

CREATE INDEX users_by_org ON users (org_id, username, import_id);
CREATE INDEX users_by_cost ON users (cost);

-- How many users that can log in have a hash of each cost, those of an import under way too, kept by the triggers below:
-- every login does as much work as the highest one, and asks for it.
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

-- What the revision and the unlocks of a new user start from: more than any deleted user had. SQLite gives the new one the
-- number of a deleted row, and servers may still have logins in work, and failures counted, that are about that one.
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

-- What a user may be allowed to do on the market place. Nothing here acts on it: account calls show it.
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
    -- The order in which a user's permissions were given.
    position      INTEGER NOT NULL,
    permission_id INTEGER NOT NULL REFERENCES permissions (id),
    assigned      INTEGER NOT NULL CHECK (assigned IN (0, 1)),
    PRIMARY KEY (user_id, position),
    UNIQUE (user_id, permission_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX assignments_by_permission ON permission_assignments (permission_id);

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
    -- The order in which a user's tokens were issued, whatever the clock said. Tokens with the same number are older than
    -- this column, and in the order of their dates.
    number     INTEGER NOT NULL DEFAULT 0,
    CHECK (pinned IS NULL OR expires_at IS NULL)
) STRICT, WITHOUT ROWID;

CREATE INDEX tokens_by_user ON tokens (user_id, number, issued_at);
CREATE INDEX tokens_by_expiry ON tokens (expires_at) WHERE expires_at IS NOT NULL;
CREATE UNIQUE INDEX pinned_token_of_user ON tokens (user_id) WHERE pinned IS NOT NULL;

-- What happened: logins of users that exist, and every change by an administrator. Rows are added and, when they are too
-- old or too many, removed; never changed. They stay when the user or organization is deleted.
CREATE TABLE events (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    time      INTEGER NOT NULL,
    -- `login`, or the command that made the change, such as `user set-status`.
    action    TEXT NOT NULL CHECK (action <> ''),
    -- Of a login.
    outcome   TEXT CHECK (outcome IN ('succeeded', 'failed', 'throttled', 'inactive')),
    -- How many logins with this outcome one row stands for.
    times     INTEGER NOT NULL DEFAULT 1 CHECK (times > 0),
    -- The system user who ran the command.
    actor     TEXT,
    -- The client's address of a login.
    address   TEXT,
    user_uuid TEXT,
    org_uuid  TEXT,
    -- The username, the organization's name or the file, as it was then.
    object    TEXT,
    -- Of statuses, names and other values that are no secret.
    before    TEXT,
    after     TEXT,
    -- Counts the logins of a user, so that the oldest beyond a number can be removed.
    number    INTEGER,
    -- The import of many rows that it belongs to, if one does.
    import_id INTEGER,
    CHECK ((action = 'login') = (outcome IS NOT NULL))
) STRICT;

CREATE INDEX events_by_user ON events (user_uuid, number) WHERE user_uuid IS NOT NULL;

CREATE TRIGGER events_stay BEFORE UPDATE ON events BEGIN
    SELECT raise(ABORT, 'an event is never changed');
END;

-- The server's counters of failed logins, written after each answer: other processes read them, and the next start goes on
-- from them.
CREATE TABLE failed_logins (
    -- A digest with the secret below. The name itself is not kept: it may be nobody's.
    key           BLOB PRIMARY KEY CHECK (length(key) = 16),
    -- What is counted: a username from one address, an address, or a username from everywhere.
    kind          TEXT NOT NULL CHECK (kind IN ('user', 'address', 'account')),
    -- NULL where nobody has the username.
    user_uuid     TEXT,
    address       TEXT,
    failures      INTEGER NOT NULL,
    first_failure INTEGER NOT NULL,
    -- `users.unlocks` when they were counted: with another number there, they do not count.
    unlocks       INTEGER NOT NULL,
    -- NULL while the limit is not reached.
    locked_until  INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX failed_logins_by_user ON failed_logins (user_uuid) WHERE user_uuid IS NOT NULL;
CREATE INDEX failed_logins_by_time ON failed_logins (kind, first_failure);

-- They count for a name, and the user has another one now.
CREATE TRIGGER username_changed AFTER UPDATE OF username ON users WHEN OLD.username <> NEW.username BEGIN
    UPDATE failed_logins SET user_uuid = NULL WHERE user_uuid = NEW.uuid;
END;

-- One row. Keeps others from choosing usernames whose digests are the same.
CREATE TABLE throttle_secret (
    secret BLOB NOT NULL CHECK (length(secret) = 16)
) STRICT;
INSERT INTO throttle_secret (secret) VALUES (randomblob(16));

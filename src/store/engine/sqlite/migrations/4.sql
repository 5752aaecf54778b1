CREATE TABLE imports (
    id               INTEGER PRIMARY KEY AUTOINCREMENT,
    first_permission INTEGER NOT NULL
) STRICT;

ALTER TABLE organizations ADD COLUMN import_id INTEGER;
ALTER TABLE users ADD COLUMN import_id INTEGER;

CREATE INDEX organizations_by_name ON organizations (name);
CREATE INDEX organizations_by_manager ON organizations (account_manager_id);
CREATE INDEX assignments_by_permission ON permission_assignments (permission_id);

DROP INDEX users_by_org;
CREATE INDEX users_by_org ON users (org_id, username, import_id);

DROP TRIGGER user_changed;
CREATE TRIGGER user_changed AFTER UPDATE OF password_hash, status, org_id ON users
WHEN OLD.cost <> NEW.cost OR OLD.status <> NEW.status OR OLD.org_id <> NEW.org_id BEGIN
    UPDATE login_costs SET users = users - 1 WHERE cost = OLD.cost AND OLD.status = 'ACTIVE'
    AND EXISTS (SELECT 1 FROM organizations WHERE id = OLD.org_id AND status = 'ACTIVE');
    UPDATE login_costs SET users = users + 1 WHERE cost = NEW.cost AND NEW.status = 'ACTIVE'
    AND EXISTS (SELECT 1 FROM organizations WHERE id = NEW.org_id AND status = 'ACTIVE');
END;

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

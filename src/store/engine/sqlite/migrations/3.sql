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

CREATE TRIGGER user_changed AFTER UPDATE OF password_hash, status, org_id ON users BEGIN
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

UPDATE login_costs SET users = own.users
FROM (
    SELECT users.cost, count(*) AS users
    FROM users
    JOIN organizations ON organizations.id = users.org_id
    WHERE users.status = 'ACTIVE' AND organizations.status = 'ACTIVE'
    GROUP BY users.cost
) AS own
WHERE login_costs.cost = own.cost;

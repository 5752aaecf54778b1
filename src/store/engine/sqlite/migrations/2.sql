ALTER TABLE users ADD COLUMN unlocks INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tokens ADD COLUMN number INTEGER NOT NULL DEFAULT 0;

DROP INDEX tokens_by_user;
CREATE INDEX tokens_by_user ON tokens (user_id, number, issued_at);

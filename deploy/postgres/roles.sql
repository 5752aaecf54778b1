-- Roles for thanos-login on PostgreSQL, each with no more rights than it needs. Run once by an administrator, in the
-- database that is to have the accounts, before `thanos-login init`:
--
--     createdb accounts
--     psql --dbname accounts --file roles.sql
--     thanos-login init --db postgres://thanos_login_owner@HOST/accounts
--     thanos-login serve --db postgres://thanos_login@HOST/accounts
--
-- Neither has a password yet: `\password thanos_login` in psql gives it one, pg_hba.conf says who needs one.
\set ON_ERROR_STOP on
BEGIN;

-- Makes the tables, and migrates them when a new release needs it: `thanos-login init`, and nothing else.
CREATE ROLE thanos_login_owner LOGIN;
-- Serves, and runs every other command. Changes rows; makes, alters and drops no table but temporary ones, for imports.
CREATE ROLE thanos_login LOGIN;

GRANT CONNECT ON DATABASE :"DBNAME" TO thanos_login_owner;
GRANT CONNECT, TEMPORARY ON DATABASE :"DBNAME" TO thanos_login;

CREATE SCHEMA thanos_login AUTHORIZATION thanos_login_owner;
GRANT USAGE ON SCHEMA thanos_login TO thanos_login;
-- Those that the owner makes from now on.
ALTER DEFAULT PRIVILEGES FOR ROLE thanos_login_owner IN SCHEMA thanos_login
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO thanos_login;

COMMIT;

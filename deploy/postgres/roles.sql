-- Roles for thanos-login on PostgreSQL, each with only the rights that it needs. An administrator runs this file once, in
-- the database for the accounts, before `thanos-login init`:
--
--     createdb accounts
--     psql --dbname accounts --file roles.sql
--     thanos-login init --db postgres://thanos_login_owner@HOST/accounts
--     thanos-login serve --db postgres://thanos_login@HOST/accounts
--
-- The roles have no passwords yet: `\password thanos_login` in psql sets one. pg_hba.conf determines which clients need one.
\set ON_ERROR_STOP on
BEGIN;

-- Creates the tables, and migrates them when a new release requires it. Used only by `thanos-login init`.
CREATE ROLE thanos_login_owner LOGIN;
-- Used by the server and every other command. Changes rows; creates, alters and drops no tables except temporary ones for
-- imports.
CREATE ROLE thanos_login LOGIN;

GRANT CONNECT ON DATABASE :"DBNAME" TO thanos_login_owner;
GRANT CONNECT, TEMPORARY ON DATABASE :"DBNAME" TO thanos_login;

CREATE SCHEMA thanos_login AUTHORIZATION thanos_login_owner;
GRANT USAGE ON SCHEMA thanos_login TO thanos_login;
-- The tables that the owner creates from now on.
ALTER DEFAULT PRIVILEGES FOR ROLE thanos_login_owner IN SCHEMA thanos_login
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO thanos_login;

COMMIT;

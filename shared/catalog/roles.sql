-- The roles of the database, one for each function. Needs a role that may create roles, which no
-- superuser need be, in the functions' database; safe to repeat. What each role may do is granted
-- with the tables, in migrations.

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'kiloclaw_owner', 'kiloclaw_migrate', 'kiloclaw_admin_api', 'kiloclaw_provisioning',
        'kiloclaw_sync'
    ] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
            EXECUTE format('CREATE ROLE %I LOGIN', name);
        END IF;
    END LOOP;
END
$$;

-- Nobody logs in as the owner of the tables; `migrate` alone may act as it, and does from the start.
ALTER ROLE kiloclaw_owner NOLOGIN;
GRANT kiloclaw_owner TO kiloclaw_migrate;
ALTER ROLE kiloclaw_migrate SET role = 'kiloclaw_owner';

-- On RDS the database belongs to its master, so the owner of the tables must be let in.
GRANT CREATE ON SCHEMA public TO kiloclaw_owner;

-- RDS takes a token of IAM for a password from the members of this role, and nothing else.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'rds_iam') THEN
        GRANT rds_iam
            TO kiloclaw_migrate, kiloclaw_admin_api, kiloclaw_provisioning, kiloclaw_sync;
    END IF;
END
$$;

-- Limits live on the roles, for behind a connection proxy a session must set nothing. They are
-- the server's own guard; the shorter deadlines are the client's.
ALTER ROLE kiloclaw_provisioning SET statement_timeout = '3s';
ALTER ROLE kiloclaw_provisioning SET lock_timeout = '1s';
ALTER ROLE kiloclaw_provisioning SET idle_in_transaction_session_timeout = '5s';
ALTER ROLE kiloclaw_admin_api SET statement_timeout = '25s';
-- Whoever holds a lock may be waiting for a KV that does not answer, which takes 2.1 s.
ALTER ROLE kiloclaw_admin_api SET lock_timeout = '2500ms';
ALTER ROLE kiloclaw_admin_api SET idle_in_transaction_session_timeout = '25s';
ALTER ROLE kiloclaw_sync SET statement_timeout = '50s';
ALTER ROLE kiloclaw_sync SET lock_timeout = '5s';
ALTER ROLE kiloclaw_sync SET idle_in_transaction_session_timeout = '60s';
ALTER ROLE kiloclaw_migrate SET lock_timeout = '10s';
ALTER ROLE kiloclaw_migrate SET idle_in_transaction_session_timeout = '60s';

-- The roles of the database, one for each function. Run in the functions' database by a role that
-- may create roles (it need not be a superuser); safe to repeat. What each role may do is granted
-- with the tables, in migrations.

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'kiloclaw_owner', 'kiloclaw_migrate', 'kiloclaw_admin_api', 'kiloclaw_provisioning',
        'kiloclaw_sync', 'kiloclaw_fleet', 'kiloclaw_console'
    ] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
            EXECUTE format('CREATE ROLE %I LOGIN', name);
        END IF;
    END LOOP;
END
$$;

-- Nobody logs in as the owner of the tables. `migrate` alone may act as it, and always does.
ALTER ROLE kiloclaw_owner NOLOGIN;
GRANT kiloclaw_owner TO kiloclaw_migrate;
ALTER ROLE kiloclaw_migrate SET role = 'kiloclaw_owner';

-- On RDS the database belongs to its master user, so the owner of the tables needs this right.
GRANT CREATE ON SCHEMA public TO kiloclaw_owner;

-- The console does for people what the admin API does, so it has the same rights, by inheritance.
GRANT kiloclaw_admin_api TO kiloclaw_console;

-- On RDS the members of this role log in with an IAM token, and with nothing else.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'rds_iam') THEN
        GRANT rds_iam
            TO kiloclaw_migrate, kiloclaw_admin_api, kiloclaw_provisioning, kiloclaw_sync,
               kiloclaw_fleet, kiloclaw_console;
    END IF;
END
$$;

-- Settings live on the roles, because behind RDS Proxy a session must set nothing. Every session
-- is in UTC, and a statement whose client has gone away is cancelled within a second.
DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY[
        'kiloclaw_migrate', 'kiloclaw_admin_api', 'kiloclaw_provisioning', 'kiloclaw_sync',
        'kiloclaw_fleet', 'kiloclaw_console'
    ] LOOP
        EXECUTE format('ALTER ROLE %I SET timezone = %L', name, 'UTC');
        EXECUTE format('ALTER ROLE %I SET client_connection_check_interval = %L', name, '1s');
        -- Every statement is short; to compile one takes longer than to run it.
        EXECUTE format('ALTER ROLE %I SET jit = off', name);
    END LOOP;
END
$$;

-- Time limits are the server's own guard; the client's deadlines are shorter.
ALTER ROLE kiloclaw_provisioning SET statement_timeout = '3s';
ALTER ROLE kiloclaw_provisioning SET lock_timeout = '1s';
ALTER ROLE kiloclaw_provisioning SET idle_in_transaction_session_timeout = '5s';
ALTER ROLE kiloclaw_admin_api SET statement_timeout = '25s';
-- Whoever holds a lock may be waiting for two calls of a KV that does not answer, 2.1 s each.
ALTER ROLE kiloclaw_admin_api SET lock_timeout = '5s';
ALTER ROLE kiloclaw_admin_api SET idle_in_transaction_session_timeout = '25s';
ALTER ROLE kiloclaw_console SET statement_timeout = '25s';
ALTER ROLE kiloclaw_console SET lock_timeout = '5s';
ALTER ROLE kiloclaw_console SET idle_in_transaction_session_timeout = '25s';
-- Grouping a large fleet by what decides about it stays in memory; in 4 MB it would be sorted on disk.
ALTER ROLE kiloclaw_admin_api SET work_mem = '16MB';
ALTER ROLE kiloclaw_console SET work_mem = '16MB';
ALTER ROLE kiloclaw_sync SET statement_timeout = '50s';
ALTER ROLE kiloclaw_sync SET lock_timeout = '5s';
ALTER ROLE kiloclaw_sync SET idle_in_transaction_session_timeout = '60s';
ALTER ROLE kiloclaw_fleet SET statement_timeout = '20s';
ALTER ROLE kiloclaw_fleet SET lock_timeout = '5s';
ALTER ROLE kiloclaw_fleet SET idle_in_transaction_session_timeout = '30s';
-- Starts queue behind a migration that waits for a lock. It is tried again instead.
ALTER ROLE kiloclaw_migrate SET lock_timeout = '1s';
ALTER ROLE kiloclaw_migrate SET idle_in_transaction_session_timeout = '60s';

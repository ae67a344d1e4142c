-- Calls that carry an `Idempotency-Key`, so that a repeat gets the first success again.

CREATE TABLE kiloclaw_idempotency_keys (
    -- SHA-256 of actor, path and key: the key itself is stored nowhere.
    call_hash text COLLATE "C" PRIMARY KEY,
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    content_hash text NOT NULL,
    state text NOT NULL,
    answer text,
    target text,
    user_ids text[] COLLATE "C" NOT NULL DEFAULT '{}',
    running_until timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    CONSTRAINT idempotency_keys_state_check CHECK (state IN ('running', 'done'))
);

COMMENT ON INDEX kiloclaw_idempotency_keys_pkey IS
    'Invariant: one record a call, which its repeats wait for.';
COMMENT ON COLUMN kiloclaw_idempotency_keys.id IS
    'The cause of what the call moves. An expired key that is used again gets a new one.';
COMMENT ON COLUMN kiloclaw_idempotency_keys.target IS
    'The version that a rollback goes to, so that a repeat goes no further back.';
COMMENT ON COLUMN kiloclaw_idempotency_keys.user_ids IS
    'Whom the answer names, so that an erasure finds it. They need have no alias.';

CREATE INDEX idempotency_keys_by_user_id ON kiloclaw_idempotency_keys USING gin (user_ids);
COMMENT ON INDEX idempotency_keys_by_user_id IS 'Query: the answers that name a person.';

CREATE INDEX idempotency_keys_by_expires_at ON kiloclaw_idempotency_keys (expires_at);
COMMENT ON INDEX idempotency_keys_by_expires_at IS 'Query: the keys that have expired.';

GRANT SELECT, INSERT, UPDATE, DELETE ON kiloclaw_idempotency_keys TO kiloclaw_admin_api;
-- It deletes those that have expired.
GRANT SELECT (call_hash, expires_at), DELETE ON kiloclaw_idempotency_keys TO kiloclaw_sync;

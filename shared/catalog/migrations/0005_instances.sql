-- The fleet's copy: what each instance was last told to run, fed by the KV's stream. Lists, counts
-- and previews read it; what one user runs is read from the KV.

CREATE TABLE kiloclaw_instances (
    user_id text COLLATE "C" PRIMARY KEY,
    -- No foreign key: an image may be known to the KV alone.
    image_tag text COLLATE "C" NOT NULL,
    image_digest text,
    openclaw_version text NOT NULL,
    variant text COLLATE "C" NOT NULL,
    source text NOT NULL,
    is_pinned boolean NOT NULL,
    resolved_at timestamptz NOT NULL,
    decided_at timestamptz NOT NULL,
    CONSTRAINT instances_source_check CHECK (source IN ('pin', 'rollout', 'latest', 'instance'))
);

COMMENT ON COLUMN kiloclaw_instances.decided_at IS
    'Orders decisions: a row is only ever replaced by one that is not older.';

COMMENT ON INDEX kiloclaw_instances_pkey IS
    'Invariant: one row a user. Query: the list of instances by user id.';

-- Every start moves its row in every index, so there are no more than lists need. Instances with the
-- same tag, variant and source are a group, and there are few groups: a filtered page is merged from
-- a page of each.
CREATE INDEX instances_by_group ON kiloclaw_instances (image_tag, variant, source, user_id);
COMMENT ON INDEX instances_by_group IS
    'Query: filtered instances by user id, how many run a version, and which groups there are.';

CREATE INDEX instances_by_group_resolved_at
    ON kiloclaw_instances (image_tag, variant, source, resolved_at, user_id);
COMMENT ON INDEX instances_by_group_resolved_at IS
    'Query: filtered instances, latest start first.';

CREATE INDEX instances_by_resolved_at ON kiloclaw_instances (resolved_at, user_id);
COMMENT ON INDEX instances_by_resolved_at IS
    'Query: the list of instances, latest start first, and the age of the copy.';

GRANT SELECT, INSERT, UPDATE, DELETE ON kiloclaw_instances TO kiloclaw_fleet, kiloclaw_sync;
-- An erasure deletes the row in its own transaction.
GRANT SELECT, DELETE ON kiloclaw_instances TO kiloclaw_admin_api;

-- The user's place in 0..9,999 under a rollout's salt: the first 8 bytes of a hash, big-endian, modulo
-- 10,000. The same as `bucket` in shared/domain/rollout.py, which a test compares.
-- One expression, so that it becomes part of the statement that uses it: a million calls of a function
-- would take ten times as long. bigint is signed, so 2^63 is taken from the number and 5,808, which is
-- 2^63 modulo 10,000, is added again; 10,000 more keep the sum positive.
CREATE FUNCTION kiloclaw_bucket(salt text, user_id text) RETURNS integer
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT (((('x' || encode(substr(sha256(
                 decode(replace(salt, '\', '\\'), 'escape') || '\x00'::bytea
                 || decode(replace(user_id, '\', '\\'), 'escape')), 1, 8), 'hex'))::bit(64)
             # ('x8' || repeat('0', 15))::bit(64))::bigint % 10000 + 15808) % 10000)::integer
$$;

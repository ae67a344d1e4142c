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

CREATE INDEX instances_by_image_tag ON kiloclaw_instances (image_tag, user_id);
COMMENT ON INDEX instances_by_image_tag IS
    'Query: the instances of one version by user id, their number, and the distribution.';

CREATE INDEX instances_by_variant ON kiloclaw_instances (variant, user_id);
COMMENT ON INDEX instances_by_variant IS 'Query: the instances of one variant by user id.';

CREATE INDEX instances_by_source ON kiloclaw_instances (source, user_id);
COMMENT ON INDEX instances_by_source IS 'Query: the instances of one source by user id.';

CREATE INDEX instances_by_image_tag_resolved_at
    ON kiloclaw_instances (image_tag, resolved_at, user_id);
COMMENT ON INDEX instances_by_image_tag_resolved_at IS
    'Query: the instances of one version, latest start first; an old version has no new starts.';

CREATE INDEX instances_by_variant_resolved_at
    ON kiloclaw_instances (variant, resolved_at, user_id);
COMMENT ON INDEX instances_by_variant_resolved_at IS
    'Query: the instances of one variant, latest start first.';

CREATE INDEX instances_by_source_resolved_at
    ON kiloclaw_instances (source, resolved_at, user_id);
COMMENT ON INDEX instances_by_source_resolved_at IS
    'Query: the instances of one source, latest start first; rollouts of the past have ended.';

CREATE INDEX instances_by_resolved_at ON kiloclaw_instances (resolved_at, user_id);
COMMENT ON INDEX instances_by_resolved_at IS
    'Query: the list of instances, latest start first, and the age of the copy.';

GRANT SELECT, INSERT, UPDATE, DELETE ON kiloclaw_instances TO kiloclaw_fleet, kiloclaw_sync;
-- An erasure deletes the row in its own transaction.
GRANT SELECT, DELETE ON kiloclaw_instances TO kiloclaw_admin_api;

-- The user's place in 0..9,999 under a rollout's salt: the first 8 bytes of a hash, big-endian, modulo
-- 10,000. The same as `bucket` in shared/domain/rollout.py, which a test compares.
-- One expression, so that it becomes part of the statement that uses it: a million calls of a function
-- would take ten times as long. xid8 is the unsigned type of 64 bits that reads hexadecimal digits.
CREATE FUNCTION kiloclaw_bucket(salt text, user_id text) RETURNS integer
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT (('0x' || encode(substr(sha256(
               decode(replace(salt, '\', '\\'), 'escape') || '\x00'::bytea
               || decode(replace(user_id, '\', '\\'), 'escape')), 1, 8), 'hex')
           )::xid8::text::numeric % 10000)::integer
$$;

-- Fewer indexes of the fleet, and a faster bucket. Starts go on meanwhile: only the copy waits.

-- squawk-ignore require-concurrent-index-deletion
DROP INDEX instances_by_image_tag,
           instances_by_variant,
           instances_by_source,
           instances_by_image_tag_resolved_at,
           instances_by_variant_resolved_at,
           instances_by_source_resolved_at;

-- Every start moves its row in every index, so there are no more than lists need. Instances with the
-- same tag, variant and source are a group, and there are few groups: a filtered page is merged from
-- a page of each.
-- squawk-ignore require-concurrent-index-creation
CREATE INDEX instances_by_group ON kiloclaw_instances (image_tag, variant, source, user_id);
COMMENT ON INDEX instances_by_group IS
    'Query: filtered instances by user id, how many run a version, and which groups there are.';

-- squawk-ignore require-concurrent-index-creation
CREATE INDEX instances_by_group_resolved_at
    ON kiloclaw_instances (image_tag, variant, source, resolved_at, user_id);
COMMENT ON INDEX instances_by_group_resolved_at IS
    'Query: filtered instances, latest start first.';

-- The user's place in 0..9,999 under a rollout's salt: the first 8 bytes of a hash, big-endian, modulo
-- 10,000. The same as `bucket` in shared/domain/rollout.py, which a test compares.
-- One expression, so that it becomes part of the statement that uses it: a million calls of a function
-- would take ten times as long. bigint is signed, so 2^63 is taken from the number and 5,808, which is
-- 2^63 modulo 10,000, is added again; 10,000 more keep the sum positive.
CREATE OR REPLACE FUNCTION kiloclaw_bucket(salt text, user_id text) RETURNS integer
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT (((('x' || encode(substr(sha256(
                 decode(replace(salt, '\', '\\'), 'escape') || '\x00'::bytea
                 || decode(replace(user_id, '\', '\\'), 'escape')), 1, 8), 'hex'))::bit(64)
             # ('x8' || repeat('0', 15))::bit(64))::bigint % 10000 + 15808) % 10000)::integer
$$;

-- What exists, what is latest, and the history of latest.
--
-- Here as everywhere, columns that identify something have the collation "C", so that every server
-- orders them alike. What people write has the database's own, which folds every alphabet.

-- The text by which tags sort in natural order (r2 before r10): each number is preceded by how
-- many digits it has. shared.domain.values.tag_order returns the same.
CREATE FUNCTION kiloclaw_tag_order(tag text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN (
    SELECT string_agg(
               part[1] || CASE WHEN part[2] <> ''
                               THEN lpad(length(ltrim(part[2], '0'))::text, 3, '0')
                                    || ltrim(part[2], '0')
                               ELSE '' END,
               '' ORDER BY number)
      FROM regexp_matches(tag, '([^0-9]*)([0-9]*)', 'g') WITH ORDINALITY AS found (part, number)
);

CREATE TABLE kiloclaw_available_versions (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    image_tag text COLLATE "C" NOT NULL,
    image_digest text COLLATE "C",
    openclaw_version text COLLATE "C" NOT NULL,
    -- Year, month, number, kind (0 beta, 1 release, 2 correction), number within the kind.
    openclaw_order integer[] GENERATED ALWAYS AS (
        string_to_array(
            replace(replace(
                CASE WHEN strpos(openclaw_version, '-') > 0 THEN openclaw_version
                     ELSE openclaw_version || '.1.0' END,
                '-beta.', '.0.'), '-', '.2.'),
            '.')::integer[]
    ) STORED,
    tag_order text COLLATE "C" GENERATED ALWAYS AS (kiloclaw_tag_order(image_tag)) STORED,
    variant text COLLATE "C" NOT NULL DEFAULT 'default',
    status text COLLATE "C" NOT NULL DEFAULT 'active',
    published_at timestamptz NOT NULL,
    published_by text,
    notes text,
    revision integer NOT NULL DEFAULT 1,
    missing_since timestamptz,
    retired_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT versions_image_tag_key UNIQUE (image_tag),
    CONSTRAINT versions_variant_image_tag_key UNIQUE (variant, image_tag),
    CONSTRAINT versions_image_tag_check
        CHECK (image_tag ~ '^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$' AND image_tag <> 'latest'),
    CONSTRAINT versions_image_digest_check CHECK (image_digest ~ '^sha256:[0-9a-f]{64}$'),
    CONSTRAINT versions_openclaw_version_check
        CHECK (openclaw_version ~
               '^[0-9]{4}\.(0?[1-9]|1[0-2])\.(0?[1-9]|[1-9][0-9])(-(beta\.)?[0-9]{1,3})?$'),
    CONSTRAINT versions_variant_check CHECK (variant ~ '^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$'),
    CONSTRAINT versions_status_check CHECK (status IN ('active', 'deprecated', 'disabled')),
    CONSTRAINT versions_published_at_check CHECK (published_at >= '2000-01-01Z'),
    CONSTRAINT versions_notes_check CHECK (char_length(notes) <= 2000),
    CONSTRAINT versions_retired_check CHECK (retired_at IS NULL OR status = 'disabled')
);

COMMENT ON INDEX versions_image_tag_key IS
    'Invariant: a tag is one version. Query: a version by its tag, and the list by tag.';

COMMENT ON INDEX versions_variant_image_tag_key IS
    'Invariant: a variant''s latest and candidate are versions of that variant (foreign keys).';

CREATE UNIQUE INDEX versions_image_digest_key ON kiloclaw_available_versions (image_digest)
    WHERE image_digest IS NOT NULL;
COMMENT ON INDEX versions_image_digest_key IS
    'Invariant: one digest, one tag. The second lock behind the claim in the KV.';

CREATE INDEX versions_by_published_at ON kiloclaw_available_versions (published_at, image_tag)
    WHERE retired_at IS NULL;
COMMENT ON INDEX versions_by_published_at IS 'Query: the list of versions, newest first.';

CREATE INDEX versions_by_created_at ON kiloclaw_available_versions (created_at, image_tag)
    WHERE retired_at IS NULL;
COMMENT ON INDEX versions_by_created_at IS 'Query: the list of versions by created_at.';

CREATE INDEX versions_by_openclaw_version
    ON kiloclaw_available_versions (openclaw_order, published_at, tag_order, image_tag)
    WHERE retired_at IS NULL;
COMMENT ON INDEX versions_by_openclaw_version IS
    'Query: the list of versions by OpenClaw version, then publish time, then tag.';

CREATE INDEX versions_disabled ON kiloclaw_available_versions (image_tag)
    WHERE status = 'disabled';
COMMENT ON INDEX versions_disabled IS 'Query: the suspended pins, which start from these.';

CREATE TABLE kiloclaw_variants (
    variant text COLLATE "C" PRIMARY KEY,
    latest_tag text COLLATE "C",
    candidate_tag text COLLATE "C",
    rollout_percent integer,
    rollout_salt text,
    held boolean NOT NULL DEFAULT false,
    brake_min_failures integer,
    brake_percent integer,
    revision bigint NOT NULL DEFAULT 0,
    cause text,
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT variants_variant_check CHECK (variant ~ '^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$'),
    CONSTRAINT variants_latest_fkey FOREIGN KEY (variant, latest_tag)
        REFERENCES kiloclaw_available_versions (variant, image_tag) ON DELETE RESTRICT,
    CONSTRAINT variants_candidate_fkey FOREIGN KEY (variant, candidate_tag)
        REFERENCES kiloclaw_available_versions (variant, image_tag) ON DELETE RESTRICT,
    CONSTRAINT variants_revision_check CHECK ((revision = 0) = (latest_tag IS NULL)),
    CONSTRAINT variants_rollout_check CHECK (
        num_nonnulls(candidate_tag, rollout_percent, rollout_salt) IN (0, 3)
        AND (candidate_tag IS NULL OR latest_tag IS NOT NULL)
        AND rollout_percent BETWEEN 0 AND 100
    ),
    CONSTRAINT variants_brake_check CHECK (
        num_nonnulls(brake_min_failures, brake_percent) IN (0, 2)
        AND (candidate_tag IS NOT NULL OR (brake_min_failures IS NULL AND NOT held))
        AND brake_min_failures >= 1
        AND brake_percent BETWEEN 1 AND 100
    )
);

CREATE TABLE kiloclaw_promotions (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    variant text COLLATE "C" NOT NULL REFERENCES kiloclaw_variants (variant) ON DELETE RESTRICT,
    revision bigint NOT NULL,
    image_tag text COLLATE "C" NOT NULL
        REFERENCES kiloclaw_available_versions (image_tag) ON DELETE RESTRICT,
    previous_tag text COLLATE "C",
    promoted_by text NOT NULL,
    reason text,
    cause text,
    at timestamptz NOT NULL DEFAULT now()
);

COMMENT ON COLUMN kiloclaw_promotions.cause IS
    'The id of the call that moved latest: a call repeated under the same cause has been done.';

CREATE INDEX promotions_by_variant ON kiloclaw_promotions (variant, id DESC);
COMMENT ON INDEX promotions_by_variant IS 'Query: the history of latest, newest first.';

-- What is written once stays, whoever writes.
CREATE FUNCTION kiloclaw_keep_identity() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.image_tag <> OLD.image_tag OR NEW.variant <> OLD.variant
        OR NEW.published_at <> OLD.published_at
        OR (OLD.image_digest IS NOT NULL AND NEW.image_digest IS DISTINCT FROM OLD.image_digest
            -- The digest of a retired version may be freed: nobody can run it any more.
            AND (NEW.image_digest IS NOT NULL OR OLD.retired_at IS NULL))
        OR (OLD.retired_at IS NOT NULL AND NEW.retired_at IS DISTINCT FROM OLD.retired_at)
    THEN
        RAISE EXCEPTION 'tag, variant, digest, publish time and retirement are write-once'
            USING ERRCODE = 'check_violation', CONSTRAINT = 'versions_write_once';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER versions_write_once BEFORE UPDATE ON kiloclaw_available_versions
    FOR EACH ROW EXECUTE FUNCTION kiloclaw_keep_identity();

-- No pointer names a disabled version; checked at commit, from both sides.
CREATE FUNCTION kiloclaw_check_named_versions() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM kiloclaw_variants p
          JOIN kiloclaw_available_versions v
            ON v.variant = p.variant AND v.image_tag IN (p.latest_tag, p.candidate_tag)
         WHERE p.variant = NEW.variant AND v.status = 'disabled'
    ) THEN
        RAISE EXCEPTION 'a disabled version is latest or candidate of its variant'
            USING ERRCODE = 'check_violation', CONSTRAINT = TG_NAME;
    END IF;
    RETURN NULL;
END
$$;

CREATE CONSTRAINT TRIGGER versions_disabled_are_not_named
    AFTER UPDATE OF status ON kiloclaw_available_versions
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW WHEN (NEW.status = 'disabled') EXECUTE FUNCTION kiloclaw_check_named_versions();

CREATE CONSTRAINT TRIGGER variants_name_enabled_versions
    AFTER INSERT OR UPDATE OF latest_tag, candidate_tag ON kiloclaw_variants
    DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION kiloclaw_check_named_versions();

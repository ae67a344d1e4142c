-- The schema that all migrations together make, for readers. Nothing executes this file.
-- Generated: change a migration, then run `make schema`.

CREATE FUNCTION kiloclaw_bucket(salt text, user_id text) RETURNS integer
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$
    SELECT (((('x' || encode(substr(sha256(
                 decode(replace(salt, '\', '\\'), 'escape') || '\x00'::bytea
                 || decode(replace(user_id, '\', '\\'), 'escape')), 1, 8), 'hex'))::bit(64)
             # ('x8' || repeat('0', 15))::bit(64))::bigint % 10000 + 15808) % 10000)::integer
$$;

CREATE FUNCTION kiloclaw_check_named_versions() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION kiloclaw_keep_identity() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION kiloclaw_refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END
$$;

CREATE FUNCTION kiloclaw_tag_order(tag text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN (SELECT string_agg((found.part[1] || CASE WHEN (found.part[2] <> ''::text) THEN (lpad((length(ltrim(found.part[2], '0'::text)))::text, 3, '0'::text) || ltrim(found.part[2], '0'::text)) ELSE ''::text END), ''::text ORDER BY found.number) AS string_agg FROM regexp_matches(kiloclaw_tag_order.tag, '([^0-9]*)([0-9]*)'::text, 'g'::text) WITH ORDINALITY found(part, number));

CREATE TABLE kiloclaw_audit_log (
    id bigint NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    actor text NOT NULL COLLATE pg_catalog."C",
    action text NOT NULL COLLATE pg_catalog."C",
    subject_kind text NOT NULL COLLATE pg_catalog."C",
    subject_id text NOT NULL COLLATE pg_catalog."C",
    before jsonb,
    after jsonb,
    reason text,
    request_id text,
    transaction_id xid8 DEFAULT pg_current_xact_id() NOT NULL,
    CONSTRAINT audit_subject_kind_check CHECK ((subject_kind = ANY (ARRAY['version'::text, 'variant'::text, 'user'::text, 'sync'::text])))
);

COMMENT ON COLUMN kiloclaw_audit_log.subject_id IS 'An image tag, a variant, a run; a user only as the alias of kiloclaw_user_aliases.';

COMMENT ON COLUMN kiloclaw_audit_log.transaction_id IS 'The transaction that wrote the event. Ids are not in order of commit: this says when an event is complete.';

ALTER TABLE kiloclaw_audit_log ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME kiloclaw_audit_log_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE kiloclaw_audit_sealed_events (
    event_id bigint NOT NULL,
    seal_id bigint NOT NULL,
    hash bytea NOT NULL,
    CONSTRAINT audit_sealed_events_hash_check CHECK ((octet_length(hash) = 32))
);

COMMENT ON TABLE kiloclaw_audit_sealed_events IS 'Which events a seal covers, for good, and the hash by which a changed one is found.';

CREATE TABLE kiloclaw_audit_seals (
    id bigint NOT NULL,
    first_event_id bigint NOT NULL,
    last_event_id bigint NOT NULL,
    events integer NOT NULL,
    previous_hash bytea NOT NULL,
    hash bytea NOT NULL,
    sealed_through bigint NOT NULL,
    horizon xid8 NOT NULL,
    transaction_id xid8 DEFAULT pg_current_xact_id() NOT NULL,
    sealed_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT audit_seals_events_check CHECK ((events >= 1)),
    CONSTRAINT audit_seals_hash_check CHECK (((octet_length(hash) = 32) AND (octet_length(previous_hash) = 32))),
    CONSTRAINT audit_seals_id_check CHECK ((id >= 1)),
    CONSTRAINT audit_seals_range_check CHECK ((first_event_id <= last_event_id)),
    CONSTRAINT audit_seals_through_check CHECK ((sealed_through >= last_event_id))
);

COMMENT ON TABLE kiloclaw_audit_seals IS 'A chain: each hash covers the events of the seal and the hash of the seal before.';

COMMENT ON COLUMN kiloclaw_audit_seals.sealed_through IS 'The highest id of an event in this or an earlier seal.';

COMMENT ON COLUMN kiloclaw_audit_seals.horizon IS 'Every event of a transaction before this one is in this or an earlier seal.';

COMMENT ON COLUMN kiloclaw_audit_seals.transaction_id IS 'Of the seal itself. An event of a later transaction got its id later than those sealed here.';

CREATE TABLE kiloclaw_available_versions (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    image_tag text NOT NULL COLLATE pg_catalog."C",
    image_digest text COLLATE pg_catalog."C",
    openclaw_version text NOT NULL COLLATE pg_catalog."C",
    openclaw_order integer[] GENERATED ALWAYS AS ((string_to_array(replace(replace(
CASE
    WHEN (strpos(openclaw_version, '-'::text) > 0) THEN openclaw_version
    ELSE (openclaw_version || '.1.0'::text)
END, '-beta.'::text, '.0.'::text), '-'::text, '.2.'::text), '.'::text))::integer[]) STORED,
    tag_order text GENERATED ALWAYS AS (kiloclaw_tag_order(image_tag)) STORED COLLATE pg_catalog."C",
    variant text DEFAULT 'default'::text NOT NULL COLLATE pg_catalog."C",
    status text DEFAULT 'active'::text NOT NULL COLLATE pg_catalog."C",
    published_at timestamp with time zone NOT NULL,
    published_by text,
    notes text,
    revision integer DEFAULT 1 NOT NULL,
    missing_since timestamp with time zone,
    retired_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT versions_image_digest_check CHECK ((image_digest ~ '^sha256:[0-9a-f]{64}$'::text)),
    CONSTRAINT versions_image_tag_check CHECK (((image_tag ~ '^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$'::text) AND (image_tag <> 'latest'::text))),
    CONSTRAINT versions_notes_check CHECK ((char_length(notes) <= 2000)),
    CONSTRAINT versions_openclaw_version_check CHECK ((openclaw_version ~ '^[0-9]{4}\.(0?[1-9]|1[0-2])\.(0?[1-9]|[1-9][0-9])(-(beta\.)?[0-9]{1,3})?$'::text)),
    CONSTRAINT versions_published_at_check CHECK ((published_at >= '2000-01-01 00:00:00+00'::timestamp with time zone)),
    CONSTRAINT versions_retired_check CHECK (((retired_at IS NULL) OR (status = 'disabled'::text))),
    CONSTRAINT versions_status_check CHECK ((status = ANY (ARRAY['active'::text, 'deprecated'::text, 'disabled'::text]))),
    CONSTRAINT versions_variant_check CHECK ((variant ~ '^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$'::text))
);

CREATE TABLE kiloclaw_idempotency_keys (
    call_hash text NOT NULL COLLATE pg_catalog."C",
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    content_hash text NOT NULL,
    state text NOT NULL,
    answer text,
    target text,
    user_ids text[] DEFAULT '{}'::text[] NOT NULL COLLATE pg_catalog."C",
    running_until timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    CONSTRAINT idempotency_keys_state_check CHECK ((state = ANY (ARRAY['running'::text, 'done'::text])))
);

COMMENT ON COLUMN kiloclaw_idempotency_keys.id IS 'The cause of what the call moves. An expired key that is used again gets a new one.';

COMMENT ON COLUMN kiloclaw_idempotency_keys.target IS 'The version that a rollback goes to, so that a repeat goes no further back.';

COMMENT ON COLUMN kiloclaw_idempotency_keys.user_ids IS 'Whom the answer names, so that an erasure finds it. They need have no alias.';

CREATE TABLE kiloclaw_instances (
    user_id text NOT NULL COLLATE pg_catalog."C",
    image_tag text NOT NULL COLLATE pg_catalog."C",
    image_digest text,
    openclaw_version text NOT NULL,
    variant text NOT NULL COLLATE pg_catalog."C",
    source text NOT NULL,
    is_pinned boolean NOT NULL,
    resolved_at timestamp with time zone NOT NULL,
    decided_at timestamp with time zone NOT NULL,
    CONSTRAINT instances_source_check CHECK ((source = ANY (ARRAY['pin'::text, 'rollout'::text, 'latest'::text, 'instance'::text])))
);

COMMENT ON COLUMN kiloclaw_instances.decided_at IS 'Orders decisions: a row is only ever replaced by one that is not older.';

CREATE TABLE kiloclaw_migrations (
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE kiloclaw_promotions (
    id bigint NOT NULL,
    variant text NOT NULL COLLATE pg_catalog."C",
    revision bigint NOT NULL,
    image_tag text NOT NULL COLLATE pg_catalog."C",
    previous_tag text COLLATE pg_catalog."C",
    promoted_by text NOT NULL,
    reason text,
    cause text,
    at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON COLUMN kiloclaw_promotions.cause IS 'The id of the call that moved latest: a call repeated under the same cause has been done.';

ALTER TABLE kiloclaw_promotions ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME kiloclaw_promotions_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE kiloclaw_sync_findings (
    id bigint NOT NULL,
    image_tag text NOT NULL COLLATE pg_catalog."C",
    code text NOT NULL COLLATE pg_catalog."C",
    detail text NOT NULL,
    first_seen timestamp with time zone NOT NULL,
    last_seen timestamp with time zone NOT NULL,
    resolved_at timestamp with time zone
);

COMMENT ON COLUMN kiloclaw_sync_findings.image_tag IS 'The entry''s tag, or the variant when the finding is about a pointer.';

ALTER TABLE kiloclaw_sync_findings ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME kiloclaw_sync_findings_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE kiloclaw_sync_runs (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    started_at timestamp with time zone NOT NULL,
    finished_at timestamp with time zone,
    outcome text NOT NULL,
    counts jsonb NOT NULL,
    trigger text NOT NULL,
    changed boolean DEFAULT false NOT NULL,
    CONSTRAINT sync_runs_outcome_check CHECK ((outcome = ANY (ARRAY['ok'::text, 'skipped_locked'::text, 'suspect_partial'::text]))),
    CONSTRAINT sync_runs_trigger_check CHECK ((trigger = ANY (ARRAY['schedule'::text, 'direct'::text, 'api'::text])))
);

CREATE TABLE kiloclaw_user_aliases (
    alias uuid DEFAULT gen_random_uuid() NOT NULL,
    user_id text NOT NULL COLLATE pg_catalog."C",
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE kiloclaw_variants (
    variant text NOT NULL COLLATE pg_catalog."C",
    latest_tag text COLLATE pg_catalog."C",
    candidate_tag text COLLATE pg_catalog."C",
    rollout_percent integer,
    rollout_salt text,
    held boolean DEFAULT false NOT NULL,
    brake_min_failures integer,
    brake_percent integer,
    revision bigint DEFAULT 0 NOT NULL,
    cause text,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT variants_brake_check CHECK (((num_nonnulls(brake_min_failures, brake_percent) = ANY (ARRAY[0, 2])) AND ((candidate_tag IS NOT NULL) OR ((brake_min_failures IS NULL) AND (NOT held))) AND (brake_min_failures >= 1) AND ((brake_percent >= 1) AND (brake_percent <= 100)))),
    CONSTRAINT variants_revision_check CHECK (((revision = 0) = (latest_tag IS NULL))),
    CONSTRAINT variants_rollout_check CHECK (((num_nonnulls(candidate_tag, rollout_percent, rollout_salt) = ANY (ARRAY[0, 3])) AND ((candidate_tag IS NULL) OR (latest_tag IS NOT NULL)) AND ((rollout_percent >= 0) AND (rollout_percent <= 100)))),
    CONSTRAINT variants_variant_check CHECK ((variant ~ '^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?$'::text))
);

CREATE TABLE kiloclaw_version_pins (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    user_id text NOT NULL COLLATE pg_catalog."C",
    image_tag text NOT NULL COLLATE pg_catalog."C",
    reason text,
    pinned_by text NOT NULL,
    expires_at timestamp with time zone,
    revision integer DEFAULT 1 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    search_text text COLLATE pg_catalog."C",
    CONSTRAINT pins_reason_check CHECK ((char_length(reason) <= 500)),
    CONSTRAINT pins_user_id_check CHECK (((char_length(user_id) <= 255) AND (user_id ~ '^(?!(?:.*/)?\.{0,2}(?:/|$))[!$&-;=@-\[\]-~]+$'::text)))
);

COMMENT ON COLUMN kiloclaw_version_pins.search_text IS 'Not written any more, and read only by the release before. The next one drops it.';

ALTER TABLE ONLY kiloclaw_audit_log
    ADD CONSTRAINT kiloclaw_audit_log_pkey PRIMARY KEY (id);

ALTER TABLE ONLY kiloclaw_audit_sealed_events
    ADD CONSTRAINT kiloclaw_audit_sealed_events_pkey PRIMARY KEY (event_id);

ALTER TABLE ONLY kiloclaw_audit_seals
    ADD CONSTRAINT kiloclaw_audit_seals_pkey PRIMARY KEY (id);

ALTER TABLE ONLY kiloclaw_available_versions
    ADD CONSTRAINT kiloclaw_available_versions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY kiloclaw_idempotency_keys
    ADD CONSTRAINT kiloclaw_idempotency_keys_pkey PRIMARY KEY (call_hash);

ALTER TABLE ONLY kiloclaw_instances
    ADD CONSTRAINT kiloclaw_instances_pkey PRIMARY KEY (user_id);

ALTER TABLE ONLY kiloclaw_migrations
    ADD CONSTRAINT kiloclaw_migrations_pkey PRIMARY KEY (name);

ALTER TABLE ONLY kiloclaw_promotions
    ADD CONSTRAINT kiloclaw_promotions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY kiloclaw_sync_findings
    ADD CONSTRAINT kiloclaw_sync_findings_pkey PRIMARY KEY (id);

ALTER TABLE ONLY kiloclaw_sync_runs
    ADD CONSTRAINT kiloclaw_sync_runs_pkey PRIMARY KEY (id);

ALTER TABLE ONLY kiloclaw_user_aliases
    ADD CONSTRAINT kiloclaw_user_aliases_pkey PRIMARY KEY (alias);

ALTER TABLE ONLY kiloclaw_variants
    ADD CONSTRAINT kiloclaw_variants_pkey PRIMARY KEY (variant);

ALTER TABLE ONLY kiloclaw_version_pins
    ADD CONSTRAINT pins_user_id_key UNIQUE (user_id);

ALTER TABLE ONLY kiloclaw_version_pins REPLICA IDENTITY USING INDEX pins_user_id_key;

ALTER TABLE ONLY kiloclaw_user_aliases
    ADD CONSTRAINT user_aliases_user_id_key UNIQUE (user_id);

ALTER TABLE ONLY kiloclaw_available_versions
    ADD CONSTRAINT versions_image_tag_key UNIQUE (image_tag);

ALTER TABLE ONLY kiloclaw_available_versions
    ADD CONSTRAINT versions_variant_image_tag_key UNIQUE (variant, image_tag);

CREATE INDEX audit_by_action ON kiloclaw_audit_log USING btree (action, id);

COMMENT ON INDEX audit_by_action IS 'Query: every event of one kind.';

CREATE INDEX audit_by_actor ON kiloclaw_audit_log USING btree (actor, id);

COMMENT ON INDEX audit_by_actor IS 'Query: what one actor did.';

CREATE INDEX audit_by_subject ON kiloclaw_audit_log USING btree (subject_id, id);

COMMENT ON INDEX audit_by_subject IS 'Query: the history of one version, variant or user.';

CREATE INDEX audit_by_time ON kiloclaw_audit_log USING btree (at, id);

COMMENT ON INDEX audit_by_time IS 'Query: between which ids the events of a time are.';

CREATE INDEX audit_by_transaction ON kiloclaw_audit_log USING btree (transaction_id, id);

COMMENT ON INDEX audit_by_transaction IS 'Query: the events that no seal covers yet.';

CREATE UNIQUE INDEX audit_reverted_once ON kiloclaw_audit_log USING btree (subject_id, ((after ->> 'revision'::text))) WHERE ((action = ANY (ARRAY['latest.reverted'::text, 'rollout.reverted'::text])) AND (jsonb_typeof((after -> 'revision'::text)) = 'number'::text));

COMMENT ON INDEX audit_reverted_once IS 'Invariant: that a pointer of the KV is refused is said once per variant and revision.';

CREATE INDEX audit_sealed_events_by_seal ON kiloclaw_audit_sealed_events USING btree (seal_id, event_id);

COMMENT ON INDEX audit_sealed_events_by_seal IS 'Query: the events of a seal.';

CREATE INDEX idempotency_keys_by_expires_at ON kiloclaw_idempotency_keys USING btree (expires_at);

COMMENT ON INDEX idempotency_keys_by_expires_at IS 'Query: the keys that have expired.';

CREATE INDEX idempotency_keys_by_user_id ON kiloclaw_idempotency_keys USING gin (user_ids);

COMMENT ON INDEX idempotency_keys_by_user_id IS 'Query: the answers that name a person.';

CREATE INDEX instances_by_group ON kiloclaw_instances USING btree (image_tag, variant, source, user_id);

COMMENT ON INDEX instances_by_group IS 'Query: filtered instances by user id, how many run a version, and which groups there are.';

CREATE INDEX instances_by_group_resolved_at ON kiloclaw_instances USING btree (image_tag, variant, source, resolved_at, user_id);

COMMENT ON INDEX instances_by_group_resolved_at IS 'Query: filtered instances, latest start first.';

CREATE INDEX instances_by_resolved_at ON kiloclaw_instances USING btree (resolved_at, user_id);

COMMENT ON INDEX instances_by_resolved_at IS 'Query: the list of instances, latest start first, and the age of the copy.';

COMMENT ON INDEX kiloclaw_idempotency_keys_pkey IS 'Invariant: one record a call, which its repeats wait for.';

COMMENT ON INDEX kiloclaw_instances_pkey IS 'Invariant: one row a user. Query: the list of instances by user id.';

CREATE INDEX pins_by_creation ON kiloclaw_version_pins USING btree (created_at, user_id) INCLUDE (expires_at);

COMMENT ON INDEX pins_by_creation IS 'Query: the list of pins, newest first; the old pins without an end, and how many there are.';

CREATE INDEX pins_by_expires_at ON kiloclaw_version_pins USING btree (expires_at) INCLUDE (created_at, user_id) WHERE (expires_at IS NOT NULL);

COMMENT ON INDEX pins_by_expires_at IS 'Query: the expired pins, newest first, and how many expired or will soon.';

CREATE INDEX pins_by_image_tag ON kiloclaw_version_pins USING btree (image_tag, created_at, user_id) INCLUDE (expires_at);

COMMENT ON INDEX pins_by_image_tag IS 'Query: the pins of one version, newest first, and how many of them have not expired.';

COMMENT ON INDEX pins_user_id_key IS 'Invariant: one pin a user. Query: the pin of the user who is starting.';

CREATE INDEX promotions_by_variant ON kiloclaw_promotions USING btree (variant, id DESC);

COMMENT ON INDEX promotions_by_variant IS 'Query: the history of latest, newest first.';

CREATE UNIQUE INDEX sync_findings_open ON kiloclaw_sync_findings USING btree (image_tag, code, detail) WHERE (resolved_at IS NULL);

COMMENT ON INDEX sync_findings_open IS 'Invariant: one open finding a cause.';

CREATE INDEX sync_findings_resolved ON kiloclaw_sync_findings USING btree (resolved_at) WHERE (resolved_at IS NOT NULL);

COMMENT ON INDEX sync_findings_resolved IS 'Query: the findings that were resolved long ago.';

CREATE INDEX sync_runs_by_started_at ON kiloclaw_sync_runs USING btree (started_at, id);

COMMENT ON INDEX sync_runs_by_started_at IS 'Query: the runs, newest first.';

CREATE INDEX sync_runs_without_effect ON kiloclaw_sync_runs USING btree (started_at) WHERE (NOT changed);

COMMENT ON INDEX sync_runs_without_effect IS 'Query: the oldest runs that changed nothing.';

COMMENT ON INDEX user_aliases_user_id_key IS 'Invariant: one alias a user. Its row is the lock of every write about the user.';

CREATE INDEX versions_by_created_at ON kiloclaw_available_versions USING btree (created_at, image_tag) WHERE (retired_at IS NULL);

COMMENT ON INDEX versions_by_created_at IS 'Query: the list of versions by created_at.';

CREATE INDEX versions_by_openclaw_version ON kiloclaw_available_versions USING btree (openclaw_order, published_at, tag_order, image_tag) WHERE (retired_at IS NULL);

COMMENT ON INDEX versions_by_openclaw_version IS 'Query: the list of versions by OpenClaw version, then publish time, then tag.';

CREATE INDEX versions_by_published_at ON kiloclaw_available_versions USING btree (published_at, image_tag) WHERE (retired_at IS NULL);

COMMENT ON INDEX versions_by_published_at IS 'Query: the list of versions, newest first.';

CREATE INDEX versions_disabled ON kiloclaw_available_versions USING btree (image_tag) WHERE (status = 'disabled'::text);

COMMENT ON INDEX versions_disabled IS 'Query: the suspended pins, which start from these.';

CREATE UNIQUE INDEX versions_image_digest_key ON kiloclaw_available_versions USING btree (image_digest) WHERE (image_digest IS NOT NULL);

COMMENT ON INDEX versions_image_digest_key IS 'Invariant: one digest, one tag. The second lock behind the claim in the KV.';

COMMENT ON INDEX versions_image_tag_key IS 'Invariant: a tag is one version. Query: a version by its tag, and the list by tag.';

COMMENT ON INDEX versions_variant_image_tag_key IS 'Invariant: a variant''s latest and candidate are versions of that variant (foreign keys).';

CREATE TRIGGER audit_rows_stay BEFORE DELETE OR UPDATE ON kiloclaw_audit_log FOR EACH ROW EXECUTE FUNCTION kiloclaw_refuse_change();

CREATE TRIGGER audit_sealed_events_rows_stay BEFORE DELETE OR UPDATE ON kiloclaw_audit_sealed_events FOR EACH ROW EXECUTE FUNCTION kiloclaw_refuse_change();

CREATE TRIGGER audit_sealed_events_stay BEFORE DELETE OR UPDATE OR TRUNCATE ON kiloclaw_audit_sealed_events FOR EACH STATEMENT EXECUTE FUNCTION kiloclaw_refuse_change();

CREATE TRIGGER audit_seals_rows_stay BEFORE DELETE OR UPDATE ON kiloclaw_audit_seals FOR EACH ROW EXECUTE FUNCTION kiloclaw_refuse_change();

CREATE TRIGGER audit_seals_stay BEFORE DELETE OR UPDATE OR TRUNCATE ON kiloclaw_audit_seals FOR EACH STATEMENT EXECUTE FUNCTION kiloclaw_refuse_change();

CREATE TRIGGER audit_stays BEFORE DELETE OR UPDATE OR TRUNCATE ON kiloclaw_audit_log FOR EACH STATEMENT EXECUTE FUNCTION kiloclaw_refuse_change();

CREATE TRIGGER promotions_rows_stay BEFORE DELETE OR UPDATE ON kiloclaw_promotions FOR EACH ROW EXECUTE FUNCTION kiloclaw_refuse_change();

CREATE TRIGGER promotions_stay BEFORE DELETE OR UPDATE OR TRUNCATE ON kiloclaw_promotions FOR EACH STATEMENT EXECUTE FUNCTION kiloclaw_refuse_change();

CREATE CONSTRAINT TRIGGER variants_name_enabled_versions AFTER INSERT OR UPDATE OF latest_tag, candidate_tag ON kiloclaw_variants DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION kiloclaw_check_named_versions();

CREATE CONSTRAINT TRIGGER versions_disabled_are_not_named AFTER UPDATE OF status ON kiloclaw_available_versions DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN ((new.status = 'disabled'::text)) EXECUTE FUNCTION kiloclaw_check_named_versions();

CREATE TRIGGER versions_write_once BEFORE UPDATE ON kiloclaw_available_versions FOR EACH ROW EXECUTE FUNCTION kiloclaw_keep_identity();

ALTER TABLE ONLY kiloclaw_promotions
    ADD CONSTRAINT kiloclaw_promotions_image_tag_fkey FOREIGN KEY (image_tag) REFERENCES kiloclaw_available_versions(image_tag) ON DELETE RESTRICT;

ALTER TABLE ONLY kiloclaw_promotions
    ADD CONSTRAINT kiloclaw_promotions_variant_fkey FOREIGN KEY (variant) REFERENCES kiloclaw_variants(variant) ON DELETE RESTRICT;

ALTER TABLE ONLY kiloclaw_version_pins
    ADD CONSTRAINT pins_image_tag_fkey FOREIGN KEY (image_tag) REFERENCES kiloclaw_available_versions(image_tag) ON DELETE RESTRICT;

ALTER TABLE ONLY kiloclaw_variants
    ADD CONSTRAINT variants_candidate_fkey FOREIGN KEY (variant, candidate_tag) REFERENCES kiloclaw_available_versions(variant, image_tag) ON DELETE RESTRICT;

ALTER TABLE ONLY kiloclaw_variants
    ADD CONSTRAINT variants_latest_fkey FOREIGN KEY (variant, latest_tag) REFERENCES kiloclaw_available_versions(variant, image_tag) ON DELETE RESTRICT;

GRANT SELECT ON TABLE kiloclaw_audit_log TO kiloclaw_sync;
GRANT SELECT ON TABLE kiloclaw_audit_log TO kiloclaw_admin_api;

GRANT INSERT(actor) ON TABLE kiloclaw_audit_log TO kiloclaw_sync;
GRANT INSERT(actor) ON TABLE kiloclaw_audit_log TO kiloclaw_admin_api;

GRANT INSERT(action) ON TABLE kiloclaw_audit_log TO kiloclaw_sync;
GRANT INSERT(action) ON TABLE kiloclaw_audit_log TO kiloclaw_admin_api;

GRANT INSERT(subject_kind) ON TABLE kiloclaw_audit_log TO kiloclaw_sync;
GRANT INSERT(subject_kind) ON TABLE kiloclaw_audit_log TO kiloclaw_admin_api;

GRANT INSERT(subject_id) ON TABLE kiloclaw_audit_log TO kiloclaw_sync;
GRANT INSERT(subject_id) ON TABLE kiloclaw_audit_log TO kiloclaw_admin_api;

GRANT INSERT(before) ON TABLE kiloclaw_audit_log TO kiloclaw_sync;
GRANT INSERT(before) ON TABLE kiloclaw_audit_log TO kiloclaw_admin_api;

GRANT INSERT(after) ON TABLE kiloclaw_audit_log TO kiloclaw_sync;
GRANT INSERT(after) ON TABLE kiloclaw_audit_log TO kiloclaw_admin_api;

GRANT INSERT(reason) ON TABLE kiloclaw_audit_log TO kiloclaw_sync;
GRANT INSERT(reason) ON TABLE kiloclaw_audit_log TO kiloclaw_admin_api;

GRANT INSERT(request_id) ON TABLE kiloclaw_audit_log TO kiloclaw_sync;
GRANT INSERT(request_id) ON TABLE kiloclaw_audit_log TO kiloclaw_admin_api;

GRANT SELECT,INSERT ON TABLE kiloclaw_audit_sealed_events TO kiloclaw_sync;
GRANT SELECT,INSERT ON TABLE kiloclaw_audit_sealed_events TO kiloclaw_admin_api;

GRANT SELECT,INSERT ON TABLE kiloclaw_audit_seals TO kiloclaw_sync;
GRANT SELECT,INSERT ON TABLE kiloclaw_audit_seals TO kiloclaw_admin_api;

GRANT SELECT ON TABLE kiloclaw_available_versions TO kiloclaw_provisioning;
GRANT SELECT ON TABLE kiloclaw_available_versions TO kiloclaw_sync;
GRANT SELECT,INSERT,UPDATE ON TABLE kiloclaw_available_versions TO kiloclaw_admin_api;

GRANT INSERT(image_tag) ON TABLE kiloclaw_available_versions TO kiloclaw_sync;

GRANT INSERT(image_digest),UPDATE(image_digest) ON TABLE kiloclaw_available_versions TO kiloclaw_sync;

GRANT INSERT(openclaw_version),UPDATE(openclaw_version) ON TABLE kiloclaw_available_versions TO kiloclaw_sync;

GRANT INSERT(variant) ON TABLE kiloclaw_available_versions TO kiloclaw_sync;

GRANT INSERT(published_at) ON TABLE kiloclaw_available_versions TO kiloclaw_sync;

GRANT UPDATE(revision) ON TABLE kiloclaw_available_versions TO kiloclaw_sync;

GRANT UPDATE(missing_since) ON TABLE kiloclaw_available_versions TO kiloclaw_sync;

GRANT UPDATE(updated_at) ON TABLE kiloclaw_available_versions TO kiloclaw_sync;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE kiloclaw_idempotency_keys TO kiloclaw_admin_api;
GRANT DELETE ON TABLE kiloclaw_idempotency_keys TO kiloclaw_sync;

GRANT SELECT(call_hash) ON TABLE kiloclaw_idempotency_keys TO kiloclaw_sync;

GRANT SELECT(expires_at) ON TABLE kiloclaw_idempotency_keys TO kiloclaw_sync;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE kiloclaw_instances TO kiloclaw_fleet;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE kiloclaw_instances TO kiloclaw_sync;
GRANT SELECT,DELETE ON TABLE kiloclaw_instances TO kiloclaw_admin_api;

GRANT SELECT,INSERT ON TABLE kiloclaw_promotions TO kiloclaw_sync;
GRANT SELECT,INSERT ON TABLE kiloclaw_promotions TO kiloclaw_admin_api;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE kiloclaw_sync_findings TO kiloclaw_sync;
GRANT SELECT,INSERT,UPDATE ON TABLE kiloclaw_sync_findings TO kiloclaw_admin_api;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE kiloclaw_sync_runs TO kiloclaw_sync;
GRANT SELECT,INSERT,UPDATE ON TABLE kiloclaw_sync_runs TO kiloclaw_admin_api;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE kiloclaw_user_aliases TO kiloclaw_admin_api;

GRANT SELECT ON TABLE kiloclaw_variants TO kiloclaw_provisioning;
GRANT SELECT,INSERT,UPDATE ON TABLE kiloclaw_variants TO kiloclaw_sync;
GRANT SELECT,INSERT,UPDATE ON TABLE kiloclaw_variants TO kiloclaw_admin_api;

GRANT SELECT ON TABLE kiloclaw_version_pins TO kiloclaw_provisioning;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE kiloclaw_version_pins TO kiloclaw_admin_api;

GRANT SELECT(image_tag) ON TABLE kiloclaw_version_pins TO kiloclaw_sync;

-- Who changed what, and what the scheduled runs found.

CREATE TABLE kiloclaw_audit_log (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now(),
    actor text COLLATE "C" NOT NULL,
    action text COLLATE "C" NOT NULL,
    subject_kind text COLLATE "C" NOT NULL,
    subject_id text COLLATE "C" NOT NULL,
    before jsonb,
    after jsonb,
    reason text,
    request_id text,
    CONSTRAINT audit_subject_kind_check
        CHECK (subject_kind IN ('version', 'variant', 'user', 'sync'))
);

COMMENT ON COLUMN kiloclaw_audit_log.subject_id IS
    'An image tag, a variant, a run; a user only as the alias of kiloclaw_user_aliases.';

CREATE INDEX audit_by_subject ON kiloclaw_audit_log (subject_id, id);
COMMENT ON INDEX audit_by_subject IS 'Query: the history of one version, variant or user.';

CREATE INDEX audit_by_actor ON kiloclaw_audit_log (actor, id);
COMMENT ON INDEX audit_by_actor IS 'Query: what one actor did.';

CREATE INDEX audit_by_action ON kiloclaw_audit_log (action, id);
COMMENT ON INDEX audit_by_action IS 'Query: every event of one kind.';

CREATE UNIQUE INDEX audit_reverted_once ON kiloclaw_audit_log (subject_id, (after ->> 'revision'))
    WHERE action IN ('latest.reverted', 'rollout.reverted')
      AND jsonb_typeof(after -> 'revision') = 'number';
COMMENT ON INDEX audit_reverted_once IS
    'Invariant: that a pointer of the KV is refused is said once per variant and revision.';

CREATE FUNCTION kiloclaw_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END
$$;

CREATE TRIGGER audit_rows_stay BEFORE UPDATE OR DELETE ON kiloclaw_audit_log
    FOR EACH ROW EXECUTE FUNCTION kiloclaw_refuse_change();
CREATE TRIGGER audit_stays BEFORE UPDATE OR DELETE OR TRUNCATE ON kiloclaw_audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION kiloclaw_refuse_change();
CREATE TRIGGER promotions_rows_stay BEFORE UPDATE OR DELETE ON kiloclaw_promotions
    FOR EACH ROW EXECUTE FUNCTION kiloclaw_refuse_change();
CREATE TRIGGER promotions_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON kiloclaw_promotions
    FOR EACH STATEMENT EXECUTE FUNCTION kiloclaw_refuse_change();

CREATE TABLE kiloclaw_sync_runs (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    started_at timestamptz NOT NULL,
    finished_at timestamptz,
    outcome text NOT NULL,
    counts jsonb NOT NULL,
    trigger text NOT NULL,
    changed boolean NOT NULL DEFAULT false,
    CONSTRAINT sync_runs_outcome_check
        CHECK (outcome IN ('ok', 'skipped_locked', 'suspect_partial')),
    CONSTRAINT sync_runs_trigger_check CHECK (trigger IN ('schedule', 'direct', 'api'))
);

CREATE INDEX sync_runs_by_started_at ON kiloclaw_sync_runs (started_at, id);
COMMENT ON INDEX sync_runs_by_started_at IS 'Query: the runs, newest first.';

CREATE INDEX sync_runs_without_effect ON kiloclaw_sync_runs (started_at) WHERE NOT changed;
COMMENT ON INDEX sync_runs_without_effect IS 'Query: the oldest runs that changed nothing.';

CREATE TABLE kiloclaw_sync_findings (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    image_tag text COLLATE "C" NOT NULL,
    code text COLLATE "C" NOT NULL,
    detail text NOT NULL,
    first_seen timestamptz NOT NULL,
    last_seen timestamptz NOT NULL,
    resolved_at timestamptz
);

COMMENT ON COLUMN kiloclaw_sync_findings.image_tag IS
    'The entry''s tag, or the variant when the finding is about a pointer.';

CREATE UNIQUE INDEX sync_findings_open ON kiloclaw_sync_findings (image_tag, code, detail)
    WHERE resolved_at IS NULL;
COMMENT ON INDEX sync_findings_open IS 'Invariant: one open finding a cause.';

CREATE INDEX sync_findings_resolved ON kiloclaw_sync_findings (resolved_at)
    WHERE resolved_at IS NOT NULL;
COMMENT ON INDEX sync_findings_resolved IS 'Query: the findings that were resolved long ago.';

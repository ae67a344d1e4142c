-- Seals: the audit log can be verified. docs/architecture.md says how.

-- Rows from before this file get this file's transaction, without being rewritten.
ALTER TABLE kiloclaw_audit_log
    ADD COLUMN transaction_id xid8 NOT NULL DEFAULT pg_current_xact_id();
COMMENT ON COLUMN kiloclaw_audit_log.transaction_id IS
    'The transaction that wrote the event. Ids are not in order of commit: this says when an event is complete.';

CREATE TABLE kiloclaw_audit_seals (
    id bigint PRIMARY KEY,
    first_event_id bigint NOT NULL,
    last_event_id bigint NOT NULL,
    events integer NOT NULL,
    previous_hash bytea NOT NULL,
    hash bytea NOT NULL,
    sealed_through bigint NOT NULL,
    horizon xid8 NOT NULL,
    transaction_id xid8 NOT NULL DEFAULT pg_current_xact_id(),
    sealed_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT audit_seals_id_check CHECK (id >= 1),
    CONSTRAINT audit_seals_events_check CHECK (events >= 1),
    CONSTRAINT audit_seals_range_check CHECK (first_event_id <= last_event_id),
    CONSTRAINT audit_seals_through_check CHECK (sealed_through >= last_event_id),
    CONSTRAINT audit_seals_hash_check
        CHECK (octet_length(hash) = 32 AND octet_length(previous_hash) = 32)
);
COMMENT ON TABLE kiloclaw_audit_seals IS
    'A chain: each hash covers the events of the seal and the hash of the seal before.';
COMMENT ON COLUMN kiloclaw_audit_seals.sealed_through IS
    'The highest id of an event in this or an earlier seal.';
COMMENT ON COLUMN kiloclaw_audit_seals.horizon IS
    'Every event of a transaction before this one is in this or an earlier seal.';
COMMENT ON COLUMN kiloclaw_audit_seals.transaction_id IS
    'Of the seal itself. An event of a later transaction got its id later than those sealed here.';

CREATE TABLE kiloclaw_audit_sealed_events (
    event_id bigint PRIMARY KEY,
    seal_id bigint NOT NULL,
    hash bytea NOT NULL,
    CONSTRAINT audit_sealed_events_hash_check CHECK (octet_length(hash) = 32)
);
COMMENT ON TABLE kiloclaw_audit_sealed_events IS
    'Which events a seal covers, for good, and the hash by which a changed one is found.';

CREATE INDEX audit_sealed_events_by_seal ON kiloclaw_audit_sealed_events (seal_id, event_id);
COMMENT ON INDEX audit_sealed_events_by_seal IS 'Query: the events of a seal.';

CREATE TRIGGER audit_seals_rows_stay BEFORE UPDATE OR DELETE ON kiloclaw_audit_seals
    FOR EACH ROW EXECUTE FUNCTION kiloclaw_refuse_change();
CREATE TRIGGER audit_seals_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON kiloclaw_audit_seals
    FOR EACH STATEMENT EXECUTE FUNCTION kiloclaw_refuse_change();
CREATE TRIGGER audit_sealed_events_rows_stay
    BEFORE UPDATE OR DELETE ON kiloclaw_audit_sealed_events
    FOR EACH ROW EXECUTE FUNCTION kiloclaw_refuse_change();
CREATE TRIGGER audit_sealed_events_stay
    BEFORE UPDATE OR DELETE OR TRUNCATE ON kiloclaw_audit_sealed_events
    FOR EACH STATEMENT EXECUTE FUNCTION kiloclaw_refuse_change();

-- Whoever runs `sync` seals: it reads the log, and adds seals. So does the admin API's own run.
GRANT SELECT ON kiloclaw_audit_log TO kiloclaw_sync;
GRANT SELECT, INSERT ON kiloclaw_audit_seals, kiloclaw_audit_sealed_events
    TO kiloclaw_sync, kiloclaw_admin_api;

-- Who adds an event chooses neither its id nor its time nor its transaction.
REVOKE INSERT ON kiloclaw_audit_log FROM kiloclaw_sync, kiloclaw_admin_api;
GRANT INSERT (actor, action, subject_kind, subject_id, before, after, reason, request_id)
    ON kiloclaw_audit_log TO kiloclaw_sync, kiloclaw_admin_api;

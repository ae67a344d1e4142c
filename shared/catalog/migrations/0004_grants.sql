-- The least that each function needs. A role without a line here may not touch the table.

GRANT SELECT ON kiloclaw_available_versions, kiloclaw_variants, kiloclaw_version_pins
    TO kiloclaw_provisioning;

-- `sync` adds versions and mends what the KV owns: never a status, a note or a pin.
GRANT SELECT ON kiloclaw_available_versions TO kiloclaw_sync;
GRANT INSERT (image_tag, image_digest, openclaw_version, variant, published_at)
    ON kiloclaw_available_versions TO kiloclaw_sync;
GRANT UPDATE (image_digest, openclaw_version, missing_since, revision, updated_at)
    ON kiloclaw_available_versions TO kiloclaw_sync;
GRANT SELECT (image_tag) ON kiloclaw_version_pins TO kiloclaw_sync;
GRANT SELECT, INSERT, UPDATE ON kiloclaw_variants TO kiloclaw_sync;
GRANT SELECT, INSERT ON kiloclaw_promotions TO kiloclaw_sync;
GRANT INSERT ON kiloclaw_audit_log TO kiloclaw_sync;
-- It deletes runs and resolved findings that are too old to be of use.
GRANT SELECT, INSERT, UPDATE, DELETE ON kiloclaw_sync_runs, kiloclaw_sync_findings TO kiloclaw_sync;

-- It deletes nothing but what is about a person: pins and aliases.
GRANT SELECT, INSERT, UPDATE
    ON kiloclaw_available_versions, kiloclaw_variants, kiloclaw_sync_runs, kiloclaw_sync_findings
    TO kiloclaw_admin_api;
GRANT SELECT, INSERT, UPDATE, DELETE ON kiloclaw_version_pins, kiloclaw_user_aliases
    TO kiloclaw_admin_api;
GRANT SELECT, INSERT ON kiloclaw_promotions, kiloclaw_audit_log TO kiloclaw_admin_api;

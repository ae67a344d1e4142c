-- In a file of its own: the log may be large, and its writers wait meanwhile.

-- squawk-ignore require-concurrent-index-creation
CREATE INDEX audit_by_time ON kiloclaw_audit_log (at, id);
COMMENT ON INDEX audit_by_time IS 'Query: between which ids the events of a time are.';

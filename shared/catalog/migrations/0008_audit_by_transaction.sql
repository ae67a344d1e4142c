-- In a file of its own: the log may be large, and its writers wait meanwhile.

-- squawk-ignore require-concurrent-index-creation
CREATE INDEX audit_by_transaction ON kiloclaw_audit_log (transaction_id, id);
COMMENT ON INDEX audit_by_transaction IS 'Query: the events that no seal covers yet.';

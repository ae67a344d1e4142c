-- A kill switch writes up to 100,000 pins anew, each of them in every index. So they have less to
-- write.

-- Nothing asks for a pin by its id, which is a part of its ETag alone. Its user identifies it.
ALTER TABLE kiloclaw_version_pins REPLICA IDENTITY USING INDEX pins_user_id_key;
-- squawk-ignore ban-drop-constraint
ALTER TABLE kiloclaw_version_pins DROP CONSTRAINT kiloclaw_version_pins_pkey;

-- Searches fold user id and reason themselves. The column stays for the release before, whose
-- searches find every pin that was made before this file was applied.
-- squawk-ignore ban-drop-generated-expression
ALTER TABLE kiloclaw_version_pins ALTER COLUMN search_text DROP EXPRESSION;
COMMENT ON COLUMN kiloclaw_version_pins.search_text IS
    'Not written any more, and read only by the release before. The next one drops it.';

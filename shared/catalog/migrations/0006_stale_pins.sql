-- Pins that should be looked at, because nobody has for a long time.

-- squawk-ignore require-concurrent-index-creation
CREATE INDEX pins_without_end ON kiloclaw_version_pins (created_at, user_id)
    WHERE expires_at IS NULL;
COMMENT ON INDEX pins_without_end IS
    'Query: the old pins without an end, newest first, and how many there are.';

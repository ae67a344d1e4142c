-- One index of pins instead of two. Starts go on meanwhile: it is made before the others go.

-- squawk-ignore require-concurrent-index-creation
CREATE INDEX pins_by_creation ON kiloclaw_version_pins (created_at, user_id) INCLUDE (expires_at);
COMMENT ON INDEX pins_by_creation IS
    'Query: the list of pins, newest first; the old pins without an end, and how many there are.';

-- squawk-ignore require-concurrent-index-deletion
DROP INDEX pins_by_created_at, pins_without_end;

-- What people decide about users, and who a user is in the log.

CREATE TABLE kiloclaw_version_pins (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id text COLLATE "C" NOT NULL,
    image_tag text COLLATE "C" NOT NULL,
    reason text,
    pinned_by text NOT NULL,
    expires_at timestamptz,
    revision integer NOT NULL DEFAULT 1,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    -- User id and reason in lower case, apart: a search of a million pins folds only what it asks.
    search_text text COLLATE "C" GENERATED ALWAYS AS (
        lower(user_id) || chr(31) || lower(coalesce(reason, ''))
    ) STORED,
    CONSTRAINT pins_user_id_key UNIQUE (user_id),
    CONSTRAINT pins_user_id_check CHECK (
        char_length(user_id) <= 255
        AND user_id ~ '^(?!(?:.*/)?\.{0,2}(?:/|$))[!$&-;=@-\[\]-~]+$'
    ),
    CONSTRAINT pins_reason_check CHECK (char_length(reason) <= 500),
    CONSTRAINT pins_image_tag_fkey FOREIGN KEY (image_tag)
        REFERENCES kiloclaw_available_versions (image_tag) ON DELETE RESTRICT
);

COMMENT ON INDEX pins_user_id_key IS
    'Invariant: one pin a user. Query: the pin of the user who is starting.';

CREATE INDEX pins_by_created_at ON kiloclaw_version_pins (created_at, user_id);
COMMENT ON INDEX pins_by_created_at IS 'Query: the list of pins, newest first.';

CREATE INDEX pins_by_image_tag ON kiloclaw_version_pins (image_tag, created_at, user_id)
    INCLUDE (expires_at);
COMMENT ON INDEX pins_by_image_tag IS
    'Query: the pins of one version, newest first, and how many of them have not expired.';

CREATE INDEX pins_by_expires_at ON kiloclaw_version_pins (expires_at)
    INCLUDE (created_at, user_id) WHERE expires_at IS NOT NULL;
COMMENT ON INDEX pins_by_expires_at IS
    'Query: the expired pins, newest first, and how many expired or will soon.';

CREATE TABLE kiloclaw_user_aliases (
    alias uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT user_aliases_user_id_key UNIQUE (user_id)
);

COMMENT ON INDEX user_aliases_user_id_key IS
    'Invariant: one alias a user. Its row is the lock of every write about the user.';

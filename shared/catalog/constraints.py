"""Translate broken constraints into the domain's errors, by name.

Use cases check under locks, so a constraint is the second lock: it refuses what slipped past
the first.
"""

from collections.abc import Generator, Mapping
from contextlib import contextmanager

from psycopg import IntegrityError

from shared.domain.errors import (
    DigestInUse,
    Refused,
    VersionInUse,
    VersionNotActive,
    VersionNotFound,
)

REFUSALS: Mapping[str, tuple[type[Refused], str]] = {
    "versions_image_digest_key": (DigestInUse, "another version has this digest"),
    "versions_disabled_are_not_named": (
        VersionInUse,
        "the version is latest or candidate of its variant",
    ),
    "variants_name_enabled_versions": (VersionNotActive, "the version is disabled"),
    "variants_latest_fkey": (VersionNotFound, "no version of this variant has this tag"),
    "variants_candidate_fkey": (VersionNotFound, "no version of this variant has this tag"),
    "pins_image_tag_fkey": (VersionNotFound, "no version has this tag"),
}


@contextmanager
def domain_errors() -> Generator[None]:
    """Raise the domain's error for a broken constraint. An unknown constraint is a defect."""
    try:
        yield
    except IntegrityError as error:
        name = error.diag.constraint_name or ""
        if name not in REFUSALS:
            raise
        kind, detail = REFUSALS[name]
        raise kind(detail) from error

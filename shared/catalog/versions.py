"""Statements about versions."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

from shared.catalog.connection import RawConnection, fetch
from shared.catalog.constraints import domain_errors
from shared.catalog.version_pages import (
    PAGES,
    SORTED_BY,
    VERSION,
    Order,
    Sort,
    VersionFilter,
)
from shared.domain.errors import DigestInUse, VersionNotFound
from shared.domain.etags import UNCONDITIONAL, IfMatch
from shared.domain.model import ImageEntry, Status, Version
from shared.domain.values import (
    Actor,
    ImageDigest,
    ImageTag,
    Variant,
    openclaw_order,
    tag_order,
)


@dataclass(frozen=True, slots=True)
class Versions:
    """The versions, inside one transaction."""

    connection: RawConnection

    def get(self, tag: ImageTag, if_match: IfMatch = UNCONDITIONAL) -> Version:
        """Find a version that is not retired. Raises VersionNotFound, StaleRevision."""
        version = self.find(tag)
        is_there = version is not None and version.retired_at is None
        if_match.check(version.etag if version and is_there else None)
        if version is None or not is_there:
            raise VersionNotFound("no version has this tag")
        return version

    def find(self, tag: ImageTag) -> Version | None:
        """Find a version, retired or not."""
        query: LiteralString = VERSION + "WHERE v.image_tag = %(tag)s"
        rows = fetch(self.connection, Version, query, {"tag": tag})
        return rows[0] if rows else None

    def find_all(self, tags: Iterable[ImageTag]) -> dict[ImageTag, Version]:
        """Find the versions with these tags, retired or not."""
        query: LiteralString = VERSION + "WHERE v.image_tag = ANY(%(tags)s)"
        rows = fetch(self.connection, Version, query, {"tags": list(tags)})
        return {version.image_tag: version for version in rows}

    def page(
        self,
        wanted: VersionFilter,
        sort: Sort,
        order: Order,
        after: tuple[str, ...] | None,
        limit: int,
    ) -> list[Version]:
        """Up to `limit` versions, after the one with these texts in `SORTED_BY`'s fields."""
        last = dict(zip(SORTED_BY[sort], after, strict=True)) if after else {}
        tag, version = last.get("image_tag"), last.get("openclaw_version")
        parameters = {
            "status": wanted.status, "variant": wanted.variant, "q": wanted.q,
            "published_at": last.get("published_at"), "created_at": last.get("created_at"),
            "openclaw_order": openclaw_order(version) if version else None,
            "tag_order": tag_order(tag) if tag else None, "tag": tag, "limit": limit,
        }  # fmt: skip
        return fetch(self.connection, Version, PAGES[sort][order], parameters)

    def statuses(self, tags: Iterable[ImageTag], variant: Variant) -> dict[ImageTag, Status]:
        """Find the status of each tag that the catalog knows, as it counts for this variant.

        A version that is retired or of another variant counts as disabled.
        """
        rows = self.connection.execute(
            "SELECT image_tag, CASE variant WHEN %(variant)s THEN status ELSE 'disabled' END"
            "  FROM kiloclaw_available_versions WHERE image_tag = ANY(%(tags)s)",
            {"tags": list(tags), "variant": variant},
        )
        return dict(rows.fetchall())

    def owner(self, digest: ImageDigest) -> ImageTag | None:
        """Find the tag that has this digest."""
        row = self.connection.execute(
            "SELECT image_tag FROM kiloclaw_available_versions WHERE image_digest = %(digest)s",
            {"digest": digest},
        ).fetchone()
        return row[0] if row else None

    # Lock first, then read the status in a later statement. One statement that does both sees
    # the locked row as it is now, but every joined row as of the statement's start.

    def lock_for_share(self, tags: Iterable[ImageTag]) -> None:
        """Lock versions so that their status cannot change, in the order of their tags."""
        self.connection.execute(
            "SELECT FROM kiloclaw_available_versions WHERE image_tag = ANY(%(tags)s)"
            " ORDER BY image_tag FOR SHARE",
            {"tags": list(tags)},
        )

    def lock_for_change(self, tag: ImageTag) -> None:
        """Lock a version so that nobody relies on its status until it has changed."""
        self.connection.execute(
            "SELECT FROM kiloclaw_available_versions WHERE image_tag = %(tag)s"
            " FOR NO KEY UPDATE",
            {"tag": tag},
        )

    def lock_for_disabling(self, tag: ImageTag, replacement: ImageTag | None) -> None:
        """Lock the version for a change and its replacement for share, in the order of tags."""
        for name in sorted({tag, replacement or tag}):
            if name == tag:
                self.lock_for_change(name)
            else:
                self.lock_for_share([name])

    def lock_for_retirement(self, tag: ImageTag) -> None:
        """Lock a version so that nobody refers to it until it is retired."""
        self.connection.execute(
            "SELECT FROM kiloclaw_available_versions WHERE image_tag = %(tag)s FOR UPDATE",
            {"tag": tag},
        )

    def insert(self, entry: ImageEntry, by: Actor, notes: str | None) -> bool:
        """Add a version. False if its tag or its digest is there already."""
        added = self.connection.execute(
            """
            INSERT INTO kiloclaw_available_versions
                   (image_tag, image_digest, openclaw_version, variant, published_at,
                    published_by, notes)
            VALUES (%(tag)s, %(digest)s, %(version)s, %(variant)s, %(published_at)s,
                    %(by)s, %(notes)s)
            ON CONFLICT DO NOTHING
            """,
            _entry(entry) | {"by": by, "notes": notes},
        )
        return added.rowcount == 1

    def insert_found(self, entry: ImageEntry) -> bool:
        """Add a version found in the KV, naming only columns that `sync` may write."""
        added = self.connection.execute(
            """
            INSERT INTO kiloclaw_available_versions
                   (image_tag, image_digest, openclaw_version, variant, published_at)
            VALUES (%(tag)s, %(digest)s, %(version)s, %(variant)s, %(published_at)s)
            ON CONFLICT DO NOTHING
            """,
            _entry(entry),
        )
        return added.rowcount == 1

    def republish(
        self, entry: ImageEntry, notes: str | None, published_by: Actor | None = None
    ) -> bool:
        """Update version, digest and notes; what is omitted stays. False if nothing changed.

        `published_by` is filled in where nobody is known to have published the version.
        Raises DigestInUse if the unique index finds what the claim should have prevented.
        """
        try:
            # A savepoint, so that after a refusal the owner can still be asked for.
            with domain_errors(), self.connection.transaction():
                changed = self.connection.execute(
                    """
                    UPDATE kiloclaw_available_versions
                       SET openclaw_version = %(version)s,
                           image_digest = coalesce(image_digest, %(digest)s),
                           notes = coalesce(%(notes)s, notes),
                           published_by = coalesce(published_by, %(by)s),
                           missing_since = NULL,
                           revision = revision + 1, updated_at = now()
                     WHERE image_tag = %(tag)s
                       AND (openclaw_version, image_digest, notes, published_by,
                            missing_since)
                           IS DISTINCT FROM
                           (%(version)s, coalesce(image_digest, %(digest)s),
                            coalesce(%(notes)s, notes), coalesce(published_by, %(by)s), NULL)
                    """,
                    _entry(entry) | {"notes": notes, "by": published_by},
                )
        except DigestInUse as refused:
            owner = self.owner(entry.image_digest) if entry.image_digest else None
            raise DigestInUse(refused.detail, owner=owner) from None
        return changed.rowcount == 1

    def set_status(self, tag: ImageTag, status: Status) -> None:
        self.connection.execute(
            "UPDATE kiloclaw_available_versions"
            "   SET status = %(status)s, revision = revision + 1, updated_at = now()"
            " WHERE image_tag = %(tag)s AND status <> %(status)s",
            {"tag": tag, "status": status},
        )

    def set_notes(self, tag: ImageTag, notes: str | None) -> None:
        self.connection.execute(
            "UPDATE kiloclaw_available_versions"
            "   SET notes = %(notes)s, revision = revision + 1, updated_at = now()"
            " WHERE image_tag = %(tag)s AND notes IS DISTINCT FROM %(notes)s",
            {"tag": tag, "notes": notes},
        )

    def retire(self, tag: ImageTag) -> None:
        self.connection.execute(
            "UPDATE kiloclaw_available_versions"
            "   SET status = 'disabled', retired_at = now(),"
            "       revision = revision + 1, updated_at = now()"
            " WHERE image_tag = %(tag)s",
            {"tag": tag},
        )

    def free_digest(self, tag: ImageTag, digest: ImageDigest) -> None:
        """Take this digest from a retired version, so that another tag can have it."""
        self.connection.execute(
            "UPDATE kiloclaw_available_versions"
            "   SET image_digest = NULL, revision = revision + 1, updated_at = now()"
            " WHERE image_tag = %(tag)s AND image_digest = %(digest)s"
            "   AND retired_at IS NOT NULL",
            {"tag": tag, "digest": digest},
        )

    def retired(self) -> list[ImageEntry]:
        """List the retired versions, as entries."""
        return self._entries(retired=True)

    def deployable(self) -> list[ImageEntry]:
        """List the versions that are not retired, as entries."""
        return self._entries(retired=False)

    def _entries(self, *, retired: bool) -> list[ImageEntry]:
        return fetch(
            self.connection,
            ImageEntry,
            "SELECT image_tag, openclaw_version, variant, published_at, image_digest"
            "  FROM kiloclaw_available_versions"
            " WHERE (retired_at IS NOT NULL) = %(retired)s ORDER BY image_tag",
            {"retired": retired},
        )


def _entry(entry: ImageEntry) -> dict[str, str | datetime | None]:
    return {
        "tag": entry.image_tag, "digest": entry.image_digest,
        "version": entry.openclaw_version, "variant": entry.variant,
        "published_at": entry.published_at,
    }  # fmt: skip

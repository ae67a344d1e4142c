"""Image entries and the claims on their digests."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from shared.domain.entries import Tombstone
from shared.domain.errors import KVUnavailable
from shared.domain.identity import find_conflict
from shared.domain.model import Image, ImageEntry
from shared.domain.values import Actor, ImageDigest, ImageTag, rfc3339
from shared.kv.bulk import call_all, read_partition
from shared.kv.entry_items import (
    attributes_of,
    holder_of,
    known_entry,
    merge,
    parse_stored,
    publisher_of,
    writes_of,
)
from shared.kv.table import (
    TRIES,
    Attributes,
    ConditionFailed,
    Table,
    as_read,
    back_off,
    key,
    plain,
    texts,
)

ITEMS_A_PAGE = 500
"""A page of this size arrives well within a call's time limit, also from the local table."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Which tag holds a digest, with the item as it was read."""

    holder: ImageTag
    stored: Attributes


@dataclass(frozen=True, slots=True)
class Registration:
    """What one call wrote. `token` marks its writes until another call overwrites them.

    `published_by` is whoever made the entry through `register`; None for a pipeline's own.
    """

    entry: ImageEntry
    token: str
    made_entry: bool
    made_claim: bool
    published_by: Actor | None


class _Merged(NamedTuple):
    """The entry to write, with the items as they were read and the valid entry in them."""

    entry: ImageEntry
    stored: Attributes | None
    known: ImageEntry | None
    claim: Attributes | None


@dataclass(frozen=True, slots=True)
class Entries:
    """The image entries of a table."""

    table: Table

    def register(
        self,
        wanted: ImageEntry,
        *,
        variant_given: bool,
        by: Actor,
        token: str,
        now: datetime,
    ) -> Registration:
        """Write an entry and the claim on its digest, both or neither.

        A known tag keeps its publish time and, unless another is given, its variant and digest.
        Raises TagRetired, DigestChanged, VariantChanged, DigestInUse, KVUnavailable.
        """
        for _ in range(TRIES):
            entry, stored, known, claim = self._merge(wanted, now, variant_given=variant_given)
            published_by = by if known is None else publisher_of(stored)
            mark = texts(written_by=token, published_by=published_by)
            try:
                self.table.transact(*writes_of(entry, stored, claim, mark))
            except ConditionFailed:
                back_off()
                continue
            made_claim = claim is None and entry.image_digest is not None
            return Registration(entry, token, stored is None, made_claim, published_by)
        raise KVUnavailable("the entry is being written by others")

    def merged(self, wanted: ImageEntry, *, variant_given: bool, now: datetime) -> ImageEntry:
        """Return the entry that `register` would write; write nothing. Raises the same."""
        return self._merge(wanted, now, variant_given=variant_given).entry

    def _merge(self, wanted: ImageEntry, now: datetime, *, variant_given: bool) -> _Merged:
        stored = self.table.get_all(key("IMAGE", wanted.image_tag))[0]
        known = known_entry(stored, now)
        entry = merge(known, wanted)
        asked = wanted if variant_given else replace(wanted, variant=entry.variant)
        claim = self._find_claim(entry.image_digest)
        if conflict := find_conflict(asked, known, holder_of(claim) if claim else None):
            raise conflict
        return _Merged(entry, stored, known, claim)

    def undo(self, registration: Registration) -> None:
        """Delete what this call created, unless another call has overwritten or retired it.

        Raises KVUnavailable.
        """
        mine = {
            "ConditionExpression": "written_by = :token AND (attribute_not_exists(deleted_at)"
            " OR attribute_type(deleted_at, :null))",
            "ExpressionAttributeValues": texts(
                **{":token": registration.token, ":null": "NULL"}
            ),
        }
        made = []
        if registration.made_entry:
            made.append(key("IMAGE", registration.entry.image_tag))
        if registration.made_claim and registration.entry.image_digest:
            made.append(key("DIGEST", registration.entry.image_digest))
        try:
            if made:
                self.table.transact(*({"Delete": {"Key": item} | mine} for item in made))
        except ConditionFailed:
            return

    def read(self, tag: ImageTag) -> dict[str, object] | None:
        """Read what is stored under `tag`, unparsed; None if nothing. Raises KVUnavailable."""
        item = self.table.get_all(key("IMAGE", tag))[0]
        return None if item is None else plain(item)

    def find(self, tag: ImageTag, now: datetime) -> ImageEntry | None:
        """Find an entry that is valid and not retired. Raises KVUnavailable."""
        return self.find_all([tag], now).get(tag)

    def find_all(self, tags: Iterable[ImageTag], now: datetime) -> dict[ImageTag, ImageEntry]:
        """Find the valid entries among `tags`. Raises KVUnavailable."""
        items = self.table.get_all(*(key("IMAGE", tag) for tag in tags))
        entries = (parse_stored(item, now) for item in items if item is not None)
        return {entry.image_tag: entry for entry in entries if isinstance(entry, ImageEntry)}

    def read_all(self) -> Iterator[tuple[str, dict[str, object]]]:
        """Read every entry with its sort key, consistently. Raises KVUnavailable."""
        for item in read_partition(self.table, "IMAGE", Limit=ITEMS_A_PAGE):
            yield item["sk"]["S"], plain(item)

    def read_claims(self) -> dict[str, ImageTag]:
        """Read the holder of every claimed digest. Raises KVUnavailable."""
        claims = read_partition(self.table, "DIGEST", Limit=ITEMS_A_PAGE)
        return {claim["sk"]["S"]: holder_of(claim) for claim in claims}

    def claim(self, digest: ImageDigest, tag: ImageTag, token: str) -> ImageTag:
        """Claim a digest for a tag, and return the tag that holds it now.

        Raises KVUnavailable.
        """
        try:
            self.table.call(
                "put_item",
                Item=key("DIGEST", digest) | texts(image_tag=tag, written_by=token),
                ConditionExpression="attribute_not_exists(pk) OR image_tag = :tag",
                ExpressionAttributeValues=texts(**{":tag": tag}),
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ConditionFailed as failed:
            return holder_of(failed.stored or {})
        return tag

    def find_claim(self, digest: ImageDigest) -> Claim | None:
        """The claim on a digest. Raises KVUnavailable."""
        stored = self._find_claim(digest)
        return None if stored is None else Claim(holder_of(stored), stored)

    def release(self, digest: ImageDigest, claim: Claim) -> bool:
        """Delete a claim; False if it is not as it was read. Raises KVUnavailable."""
        condition = as_read(claim.stored, "pk", "image_tag", "written_by")
        try:
            self.table.call("delete_item", Key=key("DIGEST", digest), **condition.parameters())
        except ConditionFailed:
            return False
        return True

    def claim_all(
        self, entries: Sequence[ImageEntry], token: str, ends: float | None = None
    ) -> list[ImageTag | None]:
        """Claim the digests of entries, several at a time, and return the holders in order.

        None where the KV did not answer, or the clock had reached `ends`.
        """

        def claim(entry: ImageEntry) -> ImageTag:
            digest = entry.image_digest
            return self.claim(digest, entry.image_tag, token) if digest else entry.image_tag

        return call_all(claim, entries, ends)

    def restore(self, entry: ImageEntry) -> bool:
        """Write an entry that the table has lost. False if there is an item, whatever it says.

        Raises KVUnavailable.
        """
        item = key("IMAGE", entry.image_tag) | attributes_of(entry)
        try:
            self.table.call(
                "put_item", Item=item, ConditionExpression="attribute_not_exists(pk)"
            )
        except ConditionFailed:
            return False
        return True

    def restore_all(
        self, entries: Sequence[ImageEntry], ends: float | None = None
    ) -> list[bool | None]:
        """Restore entries, several at a time; None where there was no time for one."""
        return call_all(self.restore, entries, ends)

    def bury(self, entry: ImageEntry, at: datetime) -> bool:
        """Leave a tombstone for a retired version; False if it has one.

        A malformed tombstone is replaced. The claim on the digest stays. Raises KVUnavailable.
        """
        attributes = attributes_of(entry) | texts(deleted_at=rfc3339(at))
        for _ in range(TRIES):
            stored = self.table.get_all(key("IMAGE", entry.image_tag))[0]
            if stored and isinstance(parse_stored(stored, at), Tombstone):
                return False
            condition = as_read(stored, "deleted_at")
            try:
                self.table.call(
                    "update_item",
                    Key=key("IMAGE", entry.image_tag),
                    UpdateExpression="SET "
                    + ", ".join(f"#{name} = :{name}" for name in attributes),
                    ConditionExpression=condition.expression,
                    ExpressionAttributeNames=condition.names
                    | {f"#{name}": name for name in attributes},
                    ExpressionAttributeValues=condition.values
                    | {f":{name}": value for name, value in attributes.items()},
                )
            except ConditionFailed:
                back_off()
                continue
            return True
        raise KVUnavailable("the entry is being written by others")

    def bury_all(
        self, entries: Sequence[ImageEntry], at: datetime, ends: float | None = None
    ) -> list[bool | None]:
        """Leave tombstones, several at a time; None where there was no time for one."""
        return call_all(lambda entry: self.bury(entry, at), entries, ends)

    def _find_claim(self, digest: ImageDigest | None) -> Attributes | None:
        return self.table.get_all(key("DIGEST", digest))[0] if digest else None


def image_of(entry: ImageEntry) -> Image:
    """Make an image of an entry that the catalog does not know yet."""
    return Image(entry.image_tag, entry.image_digest, entry.openclaw_version, entry.variant)

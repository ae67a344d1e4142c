"""Free a digest that was published under a tag which nobody can run."""

from datetime import UTC, datetime

from shared.catalog.transaction import Catalog, Transaction
from shared.domain.entries import Tombstone, parse_entry
from shared.domain.errors import CatalogUnavailable, InvalidRequest, InvalidValue, KVUnavailable
from shared.domain.model import Initiator
from shared.domain.values import IMAGE_TAG, ImageDigest, ImageTag, escape_untrusted
from shared.kv import KV


def release_claim(digest: ImageDigest, *, by: Initiator, catalog: Catalog, kv: KV) -> ImageTag:
    """Free the digest of a tag that is retired or in neither store, and return the tag.

    A repeat after an error finishes what the first call began. Raises InvalidRequest if the tag
    can be run or may become so; CatalogUnavailable, also while `sync` runs, because it takes
    claims; KVUnavailable.
    """
    with catalog.transaction() as tx:
        if not tx.runs.try_lock():
            raise CatalogUnavailable("sync is running; try again when it has finished")
        claim = kv.entries.find_claim(digest)
        tag = claim.holder if claim else tx.versions.owner(digest)
        if tag is None:
            raise _refusal("no tag has this digest")
        if _is_legal(tag):
            _refuse_runnable(tx, tag, kv)
            tx.versions.free_digest(tag, digest)
        tx.audit.record(
            by, "version.digest_released", "version", escape_untrusted(tag),
            before={"image_digest": digest}, after={"image_digest": None},
        )  # fmt: skip
        if claim and not kv.entries.release(digest, claim):
            raise KVUnavailable("the claim has just changed; try again")
    return escape_untrusted(tag)


def _refuse_runnable(tx: Transaction, tag: ImageTag, kv: KV) -> None:
    tx.versions.lock_for_change(tag)
    version = tx.versions.find(tag)
    if version is not None and version.retired_at is None:
        raise _refusal(f"the digest belongs to {tag}, which is not retired; retire it first")
    if version is None and _has_entry(tag, kv):
        raise _refusal(f"the digest belongs to {tag}, which the KV has; delete its entry first")


def _has_entry(tag: ImageTag, kv: KV) -> bool:
    """Whether there is an entry. A malformed one counts, a tombstone does not."""
    item = kv.entries.read(tag)
    if item is None:
        return False
    try:
        return not isinstance(parse_entry(tag, item, datetime.now(UTC)), Tombstone)
    except InvalidValue:
        return True


def _is_legal(tag: str) -> bool:
    """Whether a version could have this tag. Anybody may have written the claim."""
    try:
        IMAGE_TAG.parse(tag)
    except InvalidValue:
        return False
    return True


def _refusal(message: str) -> InvalidRequest:
    return InvalidRequest(("release_claim", message))

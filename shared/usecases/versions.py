"""Change a version's status or notes. Disabling has a module of its own."""

from shared.catalog.transaction import Catalog
from shared.domain.errors import KVUnavailable
from shared.domain.etags import UNCONDITIONAL, IfMatch
from shared.domain.model import Initiator, Version
from shared.domain.values import ImageTag
from shared.kv import KV
from shared.usecases.disable import Changed, VersionChange, disable, write_change
from shared.usecases.moves import ROUNDS
from shared.usecases.reconcile import read_copies, reconcile


def change(
    tag: ImageTag,
    wanted: VersionChange,
    *,
    by: Initiator,
    catalog: Catalog,
    kv: KV,
    if_match: IfMatch = UNCONDITIONAL,
) -> Changed:
    """Change status or notes.

    Raises VersionNotFound, StaleRevision, VersionInUse, VersionPinned, TooManyPins,
    InvalidReplacement, CatalogUnavailable, and KVUnavailable only when enabling.
    """
    if wanted.status == "disabled":
        return disable(tag, wanted, by=by, catalog=catalog, kv=kv, if_match=if_match)
    with catalog.transaction() as tx:
        tx.versions.lock_for_change(tag)
        version = tx.versions.get(tag, if_match)
        enabling = wanted.status is not None and version.status == "disabled"
        if not enabling:
            write_change(tx, tag, wanted, by)
            return Changed(tx.versions.get(tag))
    return _enable(version, wanted, by, catalog, kv, if_match)


def _enable(
    version: Version,
    wanted: VersionChange,
    by: Initiator,
    catalog: Catalog,
    kv: KV,
    if_match: IfMatch,
) -> Changed:
    """Enable a version without moving anybody.

    A pointer in the KV that names the version is put right first, for enabling would bring it
    into force. Where the mirror has no latest to put back, it may stay.
    """
    tag = version.image_tag
    for attempt in range(ROUNDS):
        with catalog.transaction() as tx:
            copies = read_copies(tx, version.variant, kv)
            nothing_to_put_back = attempt > 0 and copies.mirror.latest_tag is None
            if tag not in copies.stored.tags or nothing_to_put_back:
                tx.versions.lock_for_change(tag)
                tx.versions.get(tag, if_match)
                write_change(tx, tag, wanted, by)
                return Changed(tx.versions.get(tag))
        reconcile(version.variant, catalog=catalog, kv=kv, enabling=tag)
    raise KVUnavailable("the pointer is being moved by others")

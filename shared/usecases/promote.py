"""Make a version the latest of its variant."""

from shared.catalog.transaction import Catalog, Transaction
from shared.domain.errors import VersionNotActive
from shared.domain.etags import UNCONDITIONAL, IfMatch
from shared.domain.model import Initiator
from shared.domain.pointer import Pointer
from shared.domain.values import ImageTag, Variant
from shared.kv import KV
from shared.usecases.moves import PointerMove, move


def promote(
    tag: ImageTag,
    *,
    by: Initiator,
    catalog: Catalog,
    kv: KV,
    if_match: IfMatch = UNCONDITIONAL,
) -> Variant:
    """Make `tag` the latest of its variant and return the variant. Idempotent.

    `if_match` is about the variant. Raises VersionNotFound, VersionNotActive, StaleRevision,
    KVUnavailable, CatalogUnavailable.
    """
    with catalog.transaction() as tx:
        variant = tx.versions.get(tag).variant

    def change(tx: Transaction, pointer: Pointer) -> Pointer:
        if pointer.latest_tag != tag:
            tx.versions.lock_for_share([tag])
        return promoted(tag, tx, pointer)

    wanted = PointerMove(variant, change, "latest.promoted", if_match)
    move(wanted, catalog=catalog, kv=kv, by=by)
    return variant


def promoted(tag: ImageTag, tx: Transaction, pointer: Pointer) -> Pointer:
    """Return the pointer with `tag` as its latest. Raises VersionNotFound, VersionNotActive."""
    if pointer.latest_tag == tag:
        return pointer
    version = tx.versions.get(tag)
    if version.status != "active":
        raise VersionNotActive(f"the version is {version.status}")
    return pointer.promote(tag)

"""Make a version the latest of its variant."""

from shared.catalog.transaction import Catalog, Transaction
from shared.domain.errors import VersionNotActive
from shared.domain.etags import UNCONDITIONAL, IfMatch
from shared.domain.model import Initiator
from shared.domain.pointer import Pointer
from shared.domain.values import ImageTag, Variant
from shared.kv import KV
from shared.usecases.moves import move


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
        if pointer.latest_tag == tag:
            return pointer
        tx.versions.lock_for_share([tag])
        version = tx.versions.get(tag)
        if version.status != "active":
            raise VersionNotActive(f"the version is {version.status}")
        return pointer.promote(tag)

    move(variant, change, "latest.promoted", catalog=catalog, kv=kv, by=by, if_match=if_match)
    return variant

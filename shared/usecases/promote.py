"""Making a version the latest of its variant."""

from shared.catalog.transaction import Catalog, Transaction
from shared.domain.errors import VersionNotActive
from shared.domain.model import Initiator
from shared.domain.pointer import Pointer
from shared.domain.values import ImageTag, Variant
from shared.kv import KV
from shared.usecases.moves import move


def promote(
    tag: ImageTag, *, by: Initiator, catalog: Catalog, kv: KV, reason: str | None = None
) -> Variant:
    """Make `tag` the latest of its variant, which is returned; if it is, nothing changes.

    Raises VersionNotFound, VersionNotActive, KVUnavailable, CatalogUnavailable.
    """
    with catalog.transaction() as tx:
        variant = tx.versions.get(tag).variant

    def work(tx: Transaction, mirror: Pointer) -> Pointer:
        if mirror.latest_tag == tag:
            return mirror
        tx.versions.lock_for_share([tag])
        version = tx.versions.get(tag)
        if version.status != "active":
            raise VersionNotActive(f"the version is {version.status}")
        return mirror.promote(tag)

    move(variant, work, catalog=catalog, kv=kv, by=by, reason=reason)
    return variant

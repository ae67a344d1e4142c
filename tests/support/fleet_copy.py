"""The fleet's copy in the catalog, brought up to date at once."""

from shared.kv.instances import parse_instance
from tests.support.stores import Stores


def copy_fleet(stores: Stores) -> None:
    """Make the copy equal to the KV's records, as the stream does within seconds."""
    found = [
        parse_instance(item)
        for item in stores.items()
        if item["pk"]["S"].startswith("INSTANCE#")
    ]
    stores.sql("DELETE FROM kiloclaw_instances")
    catalog = stores.catalog("fleet")
    with catalog.transaction() as tx:
        tx.fleet.upsert(instance for instance in found if instance)
    catalog.database.close()

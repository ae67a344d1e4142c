"""The KV: every DynamoDB call of the system."""

from typing import Any

from shared.kv.entries import Entries
from shared.kv.instances import Instances
from shared.kv.pointers import Pointers
from shared.kv.table import Table


class KV:
    """The table as use cases see it."""

    def __init__(self, client: Any, table_name: str) -> None:
        table = Table(client, table_name)
        self.entries = Entries(table)
        self.pointers = Pointers(table)
        self.instances = Instances(table)

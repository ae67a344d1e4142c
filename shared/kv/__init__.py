"""The KV: every DynamoDB call of the system."""

from typing import Any

from shared.kv.counters import Counters
from shared.kv.entries import Entries
from shared.kv.instances import Instances
from shared.kv.pointers import Pointers
from shared.kv.table import Table


class KV:
    """The table as use cases see it."""

    def __init__(self, client: Any, table_name: str) -> None:
        self.table = Table(client, table_name)
        self.entries = Entries(self.table)
        self.pointers = Pointers(self.table)
        self.counters = Counters(self.table)
        self.instances = Instances(self.table)

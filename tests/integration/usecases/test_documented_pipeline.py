"""The items that docs/pipelines.md shows to pipelines which write the KV themselves."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.support.concurrent_actors import Sandbox
from tests.support.stores import Stores

PAGE = Path("docs/pipelines.md").read_text()
BLOCK = re.compile(r"^```json\n(.*?)^```", re.MULTILINE | re.DOTALL)
ENTRY, POINTER = map(json.loads, BLOCK.findall(PAGE))
CONDITIONS = re.findall(r"--condition-expression '([^']+)'", PAGE)
TAG = "kiloclaw-2026.11.24-1"


def put(stores: Stores, item: dict[str, Any], condition: str, **values: Any) -> None:
    more = {"ExpressionAttributeValues": values} if values else {}
    stores.client.put_item(
        TableName=stores.table, Item=item, ConditionExpression=condition, **more
    )


def test_items_of_a_pipeline(stores: Stores, runner: Sandbox) -> None:
    """An entry and a pointer as they are shown are taken in, and neither is written twice."""
    absent, unmoved = CONDITIONS
    read = {":read": {"N": "41"}}
    put(stores, ENTRY, absent)
    put(stores, POINTER | {"revision": {"N": "41"}}, absent)
    put(stores, POINTER, unmoved, **read)
    refused = stores.client.exceptions.ConditionalCheckFailedException
    for again in ((ENTRY, absent, {}), (POINTER, unmoved, read)):
        with pytest.raises(refused):
            put(stores, again[0], again[1], **again[2])
    report = runner.sync()
    assert (report.inserted, report.pointers_copied, report.rejected) == (1, 1, ())
    with runner.catalog.transaction() as tx:
        [mirror] = tx.variants.page(None, 9)
        assert (mirror.latest_tag, mirror.revision) == (TAG, 42)
        assert tx.versions.get(TAG).published_at.isoformat() == "2026-11-24T10:00:00+00:00"

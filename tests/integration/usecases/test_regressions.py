"""What once broke: each test is the shortest way to what was seen."""

from collections.abc import Iterator

import pytest

from infra.local.aws.dynamodb import CREDENTIAL, DynamoDB, create_table
from shared.catalog.statistics import read_statistics
from shared.domain.errors import DigestInUse
from shared.http import cursors
from shared.kv import KV
from shared.kv.table import connect
from tests.support.concurrent_actors import Sandbox, digest
from tests.support.invariants import faults
from tests.support.stores import Stores

MANY, BATCH = 1_200, 25


@pytest.fixture
def sandbox(stores: Stores) -> Iterator[Sandbox]:
    """The admin API's, with two versions of `default` and one of `gpu`; the first is latest."""
    client = connect()
    sandbox = Sandbox(stores, client)
    for tag in ("one", "two"):
        sandbox.publish(tag, digest(tag))
    stores.put_entry("big", variant="gpu")
    sandbox.promote("one")
    sandbox.sync()
    yield sandbox
    client.close()
    sandbox.database.close()


@pytest.mark.parametrize(
    ("pointer", "fault", "served"),
    [
        ({"latest_tag": "big"}, "latest big", "one"),
        ({"candidate_tag": "big", "percent": 100, "salt": "s"}, "candidate big", "two"),
        ({"candidate_tag": "one", "percent": 100, "salt": "\0"}, "salt", "one"),
    ],
)
def test_a_pointer_that_may_not_be_is_neither_served_nor_fatal(
    sandbox: Sandbox, stores: Stores, pointer: dict[str, object], fault: str, served: str
) -> None:
    """Another variant's version or a NUL in the salt: sync reports it and mends the KV."""
    stores.put("POINTER", "default", **({"revision": 2, "latest_tag": "two"} | pointer))
    assert sandbox.provision("ana").resolution.image.image_tag == served
    report = sandbox.sync()
    [finding] = report.rejected
    assert report.rejected_total == 1
    assert (finding.image_tag, finding.code) == ("default", "invalid_pointer")
    assert finding.detail.startswith(fault)
    assert sandbox.provision("ana").resolution.image.image_tag == served
    assert not faults(stores)


def test_a_pointer_is_adopted_without_a_cause_that_cannot_be_stored(
    sandbox: Sandbox, stores: Stores
) -> None:
    """The cause is for repeats of our own calls: a hostile one changes nothing."""
    stores.put("POINTER", "default", revision=2, latest_tag="two", cause="a\0b")
    assert not sandbox.sync().rejected
    assert stores.sql("SELECT latest_tag, cause FROM kiloclaw_variants WHERE revision > 0") == [
        ("two", None)
    ]


def test_a_version_both_latest_and_candidate_can_be_disabled(
    sandbox: Sandbox, stores: Stores
) -> None:
    """The replacement takes over latest, and the rollout ends too."""
    rollout = {"candidate_tag": "two", "percent": 50, "salt": "s"}
    stores.put("POINTER", "default", revision=2, latest_tag="two", **rollout)
    sandbox.sync()
    assert sandbox.disable("two", "one").status == "disabled"
    assert sandbox.provision("ana").resolution.image.image_tag == "one"
    assert not faults(stores)


def test_findings_that_look_the_same_are_one(sandbox: Sandbox, stores: Stores) -> None:
    """Two hostile keys that agree in all that is shown of them do not end the run."""
    for last in "ab":
        stores.put("IMAGE", "x" * 200 + last, image_tag="x")
    assert len(sandbox.sync().rejected) == 2
    assert stores.sql("SELECT count(*) FROM kiloclaw_sync_findings") == [(1,)]


@pytest.mark.parametrize("claim", [{}, {"image_tag": 5}])
def test_a_malformed_claim_refuses_its_digest(
    sandbox: Sandbox, stores: Stores, claim: dict[str, object]
) -> None:
    """Nobody can say whose the digest is: not this tag's."""
    stores.put("DIGEST", digest("three"), **claim)
    with pytest.raises(DigestInUse):
        sandbox.publish("three", digest("three"))
    assert not stores.item("IMAGE", "three")


def test_a_cursors_time_is_one_that_the_database_can_read(stores: Stores) -> None:
    """Python takes offsets up to a day, PostgreSQL up to sixteen hours."""
    moment = cursors.moment("2026-11-01T00:00:00.5+23:59")
    assert stores.sql("SELECT %(moment)s::timestamptz > now()", moment=moment) == [(False,)]


def test_a_variant_leaves_the_lists_with_its_last_version(sandbox: Sandbox) -> None:
    """Once every version of a variant is retired, it is neither listed nor counted."""
    sandbox.retire("big")
    with sandbox.catalog.transaction() as tx:
        listed = [mirror.variant for mirror in tx.variants.page(None, 10)]
        assert listed == ["default"]
        assert read_statistics(tx.connection).variants == 1
        assert tx.variants.get("gpu").variant == "gpu"


def test_the_local_table_answers_in_time_with_many_entries(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A page of a thousand entries took it a second, which is all that a call has."""
    server = DynamoDB.start()
    try:
        create_table(server.client(), server.table)
        monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", server.endpoint)
        monkeypatch.setenv("AWS_DEFAULT_REGION", server.region)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", CREDENTIAL)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", CREDENTIAL)
        client = connect()
        for start in range(0, MANY, BATCH):
            puts = [_entry_put(number) for number in range(start, start + BATCH)]
            client.batch_write_item(RequestItems={server.table: puts})
        assert sum(1 for _ in KV(client, server.table).entries.read_all()) == MANY
        client.close()
    finally:
        server.stop()


def _entry_put(number: int) -> dict[str, object]:
    texts = {"pk": "IMAGE", "sk": f"v{number}", "image_digest": digest(number)}
    return {"PutRequest": {"Item": {name: {"S": text} for name, text in texts.items()}}}


@pytest.mark.parametrize(
    "damage", [{"running_tag": "a\0"}, {"variant": "UP"}, {"source": "?"}, {"is_pinned": "no"}]
)
def test_a_damaged_instance_record_is_as_good_as_none(
    sandbox: Sandbox, stores: Stores, damage: dict[str, object]
) -> None:
    """It was asked of the catalog as it was: a NUL in it ended a restart."""
    sandbox.provision("ana")
    record = stores.item("INSTANCE#ana", "IMAGE") or {}
    del record["pk"], record["sk"]
    stores.put("INSTANCE#ana", "IMAGE", **(record | damage))
    again = sandbox.provision("ana", "restart")
    assert (again.resolution.source, again.previous, again.recorded) == ("latest", None, True)

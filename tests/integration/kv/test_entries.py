"""Image entries and claims: written together, once, and taken back by nobody else."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.domain.errors import (
    DigestChanged,
    DigestInUse,
    KVUnavailable,
    Refused,
    TagRetired,
    VariantChanged,
)
from shared.domain.model import ImageEntry
from shared.domain.values import rfc3339
from shared.kv import KV
from shared.kv.entries import Entries, Registration
from tests.support.concurrent_actors import digest
from tests.support.failing_clients import Interposing, lose_reply
from tests.support.stores import Stores

NOW = datetime.now(UTC)
AT = datetime(2026, 11, 1, tzinfo=UTC)
PLAIN = ImageEntry("tag", "2026.11.1", "default", AT)
WHOLE = replace(PLAIN, image_digest=digest("tag"))


def register(
    entries: Entries, wanted: ImageEntry, token: str = "call", *, variant_given: bool = False
) -> Registration:
    return entries.register(
        wanted, variant_given=variant_given, by=f"by {token}", token=token, now=NOW
    )


def _stored(stores: Stores, tag: str = "tag") -> dict[str, Any]:
    item = stores.item("IMAGE", tag)
    assert item is not None
    return {name: next(iter(value.values())) for name, value in item.items()}


def _holder(stores: Stores, of: str) -> str | None:
    claim = stores.item("DIGEST", of)
    return claim["image_tag"]["S"] if claim else None


def test_a_new_entry_comes_with_its_claim(stores: Stores, entries: Entries) -> None:
    """The call that made them has marked both."""
    assert register(entries, WHOLE) == Registration(
        WHOLE, "call", made_entry=True, made_claim=True, published_by="by call"
    )
    assert _stored(stores) == {
        "pk": "IMAGE",
        "sk": "tag",
        "image_tag": "tag",
        "image_digest": digest("tag"),
        "openclaw_version": "2026.11.1",
        "variant": "default",
        "published_at": "2026-11-01T00:00:00.000000Z",
        "written_by": "call",
        "published_by": "by call",
    }
    assert _holder(stores, digest("tag")) == "tag"
    assert entries.find("tag", NOW) == WHOLE


def test_an_entry_without_a_digest_claims_nothing(stores: Stores, entries: Entries) -> None:
    """No claim is written before the digest is known."""
    assert not register(entries, PLAIN).made_claim
    assert stores.items("DIGEST") == []


def test_registering_again(stores: Stores, entries: Entries) -> None:
    """The second call made nothing and has overwritten the mark; the publisher stays."""
    register(entries, WHOLE, "first")
    again = register(entries, WHOLE, "second")
    assert (again.made_entry, again.made_claim) == (False, False)
    assert again.published_by == _stored(stores)["published_by"] == "by first"
    assert _stored(stores)["written_by"] == "second"
    assert len(stores.items()) == 2


def test_a_known_tag_keeps_what_it_has(stores: Stores, entries: Entries) -> None:
    """Its publish time, variant, digest and unknown attributes stay; its version changes."""
    stores.put_entry("tag", variant="beta", image_digest=digest("tag"), commit="c0ffee")
    later = replace(PLAIN, openclaw_version="2026.12.1", published_at=AT + timedelta(days=9))
    registration = register(entries, later)
    expected = replace(WHOLE, openclaw_version="2026.12.1", variant="beta")
    assert registration.entry == expected
    assert (registration.made_entry, registration.made_claim) == (False, True)
    assert registration.published_by is None
    assert _stored(stores)["commit"] == "c0ffee"


def test_an_unknown_digest_is_filled_in(stores: Stores, entries: Entries) -> None:
    """The digest and its claim are written together."""
    register(entries, PLAIN, "first")
    filled = register(entries, WHOLE)
    assert (filled.made_entry, filled.made_claim) == (False, True)
    assert _stored(stores)["image_digest"] == digest("tag")
    assert _holder(stores, digest("tag")) == "tag"


@pytest.mark.parametrize(
    "broken", [{"published_at": "soon"}, {"image_digest": "garbage"}, {"image_tag": "other"}]
)
def test_a_malformed_entry_is_replaced(
    stores: Stores, entries: Entries, broken: dict[str, str]
) -> None:
    """Nothing malformed is kept, and unknown attributes are."""
    stores.put_entry("tag", **broken, commit="c0ffee")
    register(entries, PLAIN)
    assert entries.find("tag", NOW) == PLAIN
    assert _stored(stores)["commit"] == "c0ffee"


def _owned(stores: Stores) -> None:
    stores.put("DIGEST", digest("tag"), image_tag="owner")


def _known(**attributes: object) -> Callable[[Stores], None]:
    return lambda stores: stores.put_entry("tag", **attributes)


@pytest.mark.parametrize(
    ("prepare", "refusal"),
    [
        (_owned, DigestInUse("", owner="owner")),
        (
            _known(image_digest=digest("another")),
            DigestChanged("", image_digest=digest("another")),
        ),
        (_known(variant="beta"), VariantChanged("")),
        (_known(deleted_at="2026-11-02T00:00:00Z"), TagRetired("")),
    ],
)
def test_a_refused_entry_leaves_all_as_it_was(
    stores: Stores,
    entries: Entries,
    prepare: Callable[[Stores], None],
    refusal: Refused,
) -> None:
    """A refusal comes before anything is written."""
    prepare(stores)
    before = stores.items()
    with pytest.raises(type(refusal)) as refused:
        register(entries, WHOLE, variant_given=True)
    assert refused.value.facts == refusal.facts
    assert stores.items() == before


@pytest.mark.parametrize("claim", [{}, {"image_tag": 5}])
def test_a_malformed_claim_refuses_its_digest(
    stores: Stores, entries: Entries, claim: dict[str, object]
) -> None:
    """Nobody can say whose the digest is, so it is not this tag's."""
    stores.put("DIGEST", digest("tag"), **claim)
    with pytest.raises(DigestInUse):
        register(entries, WHOLE)
    assert stores.item("IMAGE", "tag") is None


def test_a_rival_is_seen(stores: Stores) -> None:
    """A write between the read and the write is noticed: here a rival takes the digest."""

    def rival() -> None:
        register(KV(stores.client, stores.table).entries, replace(WHOLE, image_tag="rival"))

    client = Interposing(stores.client, "transact_write_items", rival)
    with pytest.raises(DigestInUse):
        register(KV(client, stores.table).entries, WHOLE)
    assert stores.item("IMAGE", "tag") is None


def test_rivals_without_end(stores: Stores) -> None:
    """After twenty tries the caller is told to try again."""
    versions = iter(range(1, 30))

    def rival() -> None:
        stores.put_entry("tag", openclaw_version=f"2026.1.{next(versions)}")

    client = Interposing(stores.client, "transact_write_items", *[rival] * 20)
    with pytest.raises(KVUnavailable):
        register(KV(client, stores.table).entries, WHOLE)


def test_a_lost_reply_of_a_registration(stores: Stores, kv: KV) -> None:
    """DynamoDB recognises the second attempt as the same transaction."""
    lose_reply(kv.table.client)
    registration = register(kv.entries, WHOLE)
    assert (registration.made_entry, registration.made_claim) == (True, True)
    assert len(stores.items()) == 2


def test_a_claim_names_its_holder(stores: Stores, entries: Entries) -> None:
    """The first to claim a digest keeps it, however often others ask."""
    assert entries.claim(digest("tag"), "tag", "one") == "tag"
    assert entries.claim(digest("tag"), "tag", "two") == "tag"
    assert entries.claim(digest("tag"), "other", "three") == "tag"
    assert _holder(stores, digest("tag")) == "tag"


def test_claims_of_many(stores: Stores, entries: Entries) -> None:
    """Holders come in the order of the entries; an entry without a digest needs no claim."""
    _owned(stores)
    more = [replace(PLAIN, image_tag=f"t{n}", image_digest=digest(n)) for n in range(20)]
    holders = entries.claim_all([WHOLE, PLAIN, *more], "sync")
    assert holders == ["owner", "tag", *[entry.image_tag for entry in more]]
    assert len(stores.items("DIGEST")) == 21


def test_a_tombstone(stores: Stores, entries: Entries) -> None:
    """A version is buried once, with or without an entry; the claim stays."""
    register(entries, WHOLE)
    assert entries.bury(WHOLE, AT)
    assert not entries.bury(WHOLE, NOW)
    assert _stored(stores)["deleted_at"] == rfc3339(AT)
    assert entries.find("tag", NOW) is None
    assert _holder(stores, digest("tag")) == "tag"
    assert entries.bury(replace(PLAIN, image_tag="lost"), AT)
    assert _stored(stores, "lost")["variant"] == "default"


def test_a_null_is_no_tombstone(stores: Stores, entries: Entries) -> None:
    """A null `deleted_at` counts as absent for reading, writing and burying."""
    stores.put_entry("tag", deleted_at={"NULL": True}, image_digest={"NULL": True})
    assert entries.find("tag", NOW) == PLAIN
    register(entries, PLAIN)
    stores.put_entry("tag", deleted_at={"NULL": True})
    assert entries.bury(PLAIN, AT)
    assert not entries.bury(PLAIN, AT)


@pytest.mark.parametrize("malformed", ["yesterday", "2999-01-01T00:00:00Z", True, 7])
def test_a_malformed_tombstone_is_none(
    stores: Stores, entries: Entries, malformed: object
) -> None:
    """Burying replaces it, and so does registering a tag that was not retired."""
    stores.put_entry("tag", deleted_at=malformed, commit="c0ffee")
    assert entries.bury(PLAIN, AT)
    assert not entries.bury(PLAIN, AT)
    assert (_stored(stores)["deleted_at"], _stored(stores)["commit"]) == (rfc3339(AT), "c0ffee")
    stores.put_entry("tag", deleted_at=malformed, commit="c0ffee")
    register(entries, WHOLE)
    assert entries.find("tag", NOW) == WHOLE
    assert "deleted_at" not in _stored(stores)


def test_a_tombstone_that_changes_under_the_hand(stores: Stores) -> None:
    """A tombstone that a rival wrote in between is kept."""

    def rival() -> None:
        stores.put_entry("tag", deleted_at="2026-11-02T00:00:00Z")

    stores.put_entry("tag", deleted_at="yesterday")
    client = Interposing(stores.client, "update_item", rival)
    assert not KV(client, stores.table).entries.bury(PLAIN, NOW)
    assert _stored(stores)["deleted_at"] == "2026-11-02T00:00:00Z"


def test_a_tombstone_among_writers_without_end(stores: Stores) -> None:
    """After twenty tries the caller is told to try again."""
    versions = iter(range(1, 30))

    def rival() -> None:
        stores.put_entry("tag", deleted_at=f"later {next(versions)}")

    client = Interposing(stores.client, "update_item", *[rival] * 20)
    with pytest.raises(KVUnavailable):
        KV(client, stores.table).entries.bury(PLAIN, NOW)


def test_only_valid_entries_are_found(stores: Stores, entries: Entries) -> None:
    """Malformed, retired and absent entries are left out."""
    stores.put_entry("good")
    stores.put_entry("bad", variant="No Variant")
    stores.put_entry("gone", deleted_at="2026-11-02T00:00:00Z")
    found = entries.find_all(["good", "bad", "gone", "absent"], NOW)
    assert set(found) == {"good"}


def test_every_entry_is_read_page_by_page(stores: Stores, entries: Entries) -> None:
    """More than a thousand entries and a megabyte are read in order."""
    requests = [
        {
            "PutRequest": {
                "Item": {
                    "pk": {"S": "IMAGE"},
                    "sk": {"S": f"tag-{number:04}"},
                    "note": {"S": "x" * 1100},
                }
            }
        }
        for number in range(1050)
    ]
    for start in range(0, len(requests), 25):
        some = requests[start : start + 25]
        stores.client.batch_write_item(RequestItems={stores.table: some})
    stores.put("POINTER", "default", revision=1)
    read = list(entries.read_all())
    assert [tag for tag, _ in read] == [f"tag-{number:04}" for number in range(1050)]
    assert {item["pk"] for _, item in read} == {"IMAGE"}


def test_no_entry_at_all(entries: Entries) -> None:
    """An empty table has no entries, and no tags need no call."""
    assert list(entries.read_all()) == []
    assert entries.find_all([], NOW) == {}

"""Changes with the same `If-Match` race, and one of them wins."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from shared.domain.errors import StaleRevision
from shared.domain.etags import IfMatch
from shared.domain.model import Initiator
from shared.usecases.disable import VersionChange
from shared.usecases.pins import put_pin, remove_pin
from shared.usecases.promote import promote
from shared.usecases.versions import change
from tests.support.concurrent_actors import BY, Crowd, published

ROUNDS = 20


def seen(etag: str) -> IfMatch:
    return IfMatch(f'"{etag}"')


def winners(ends: list[Any]) -> int:
    """How many were not refused; a refusal for another reason than the condition is a fault."""
    refused = Counter(type(end) for end in ends if isinstance(end, Exception))
    assert refused.keys() <= {StaleRevision}
    return len(ends) - refused.total()


def test_pins_race_with_the_same_condition(crowd: Crowd) -> None:
    """Of two replacements and a removal, one is made and the others find another pin."""
    published(crowd, "one", "two")
    for number in range(ROUNDS):
        user = f"user-{number}"
        pin = crowd.admins[0].pin(user, "one").pin
        expiry = datetime.now(UTC) + timedelta(days=1)
        ends = crowd.race(
            partial(put_pin, user, "two", by=BY, catalog=crowd.admins[0].catalog,
                    if_match=seen(pin.etag)),
            partial(put_pin, user, "one", by=BY, catalog=crowd.admins[1].catalog,
                    expires_at=expiry, if_match=seen(pin.etag)),
            partial(remove_pin, user, by=BY, catalog=crowd.admins[2].catalog,
                    if_match=seen(pin.etag)),
        )  # fmt: skip
        assert winners(ends) == 1


def test_promotions_race_with_the_same_condition(crowd: Crowd) -> None:
    """One moves the variant; the others find a variant that has moved."""
    published(crowd, "a", "b", "c")
    crowd.admins[0].promote("a")
    for number in range(ROUNDS):
        with crowd.admins[0].catalog.transaction() as tx:
            etag = tx.variants.get("default").etag
            [latest] = [tag for tag in "abc" if tx.versions.get(tag).is_latest]
        others = [tag for tag in "abc" if tag != latest]
        ends = crowd.race(*(
            partial(promote, tag, by=Initiator("ada", f"r-{number}-{tag}"), kv=admin.kv,
                    catalog=admin.catalog, if_match=seen(etag))
            for tag, admin in zip(others, crowd.admins, strict=False)
        ))  # fmt: skip
        assert winners(ends) == 1


def test_version_changes_race_with_the_same_condition(crowd: Crowd) -> None:
    """Deprecating, disabling and new notes: one of them happens."""
    for number in range(ROUNDS):
        tag = f"tag-{number}"
        published(crowd, tag)
        with crowd.admins[0].catalog.transaction() as tx:
            etag = tx.versions.get(tag).etag
        wanted = (
            VersionChange("deprecated"), VersionChange("disabled"), VersionChange(notes="new"),
        )  # fmt: skip
        ends = crowd.race(*(
            partial(change, tag, one, by=BY, catalog=admin.catalog, kv=admin.kv,
                    if_match=seen(etag))
            for one, admin in zip(wanted, crowd.admins, strict=False)
        ))  # fmt: skip
        assert winners(ends) == 1

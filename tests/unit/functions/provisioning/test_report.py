"""What the provisioning function takes as a report of how a start went."""

from typing import Any

import pytest

from functions.provisioning.report import parse
from functions.provisioning.request import is_report
from shared.domain.errors import InvalidRequest
from shared.usecases.report import Report

GOOD: dict[object, object] = {
    "user_id": "oauth/google:1", "intent": "report", "image_tag": "v1", "outcome": "failed",
    "start_id": "host-7/2026-11-25T10:00:00Z",
}  # fmt: skip


def test_a_report() -> None:
    """Every field is required and is kept as it is."""
    assert is_report(GOOD)
    assert parse(GOOD) == Report(
        "oauth/google:1", "v1", "failed", "host-7/2026-11-25T10:00:00Z"
    )


@pytest.mark.parametrize("event", [None, [], "report", {}, {"intent": ["report"]}])
def test_what_is_no_report(event: object) -> None:
    """The intent alone says so."""
    assert not is_report(event)


@pytest.mark.parametrize(
    ("change", "fields"),
    [
        ({"user_id": None}, ["user_id"]),
        ({"user_id": "a b"}, ["user_id"]),
        ({"image_tag": None, "outcome": None}, ["image_tag", "outcome"]),
        ({"image_tag": "latest"}, ["image_tag"]),
        ({"outcome": "bad"}, ["outcome"]),
        ({"outcome": ["ok"]}, ["outcome"]),
        ({"start_id": ""}, ["start_id"]),
        ({"start_id": 7}, ["start_id"]),
        ({"start_id": "a b"}, ["start_id"]),
        ({"start_id": "x" * 256}, ["start_id"]),
        ({"variant": "default"}, ["variant"]),
        ({"running_tag": None}, ["running_tag"]),
        ({"a\n": 1, "start_id": "\0"}, [r"a\n", "start_id"]),
    ],
)
def test_bad_reports(change: dict[object, object], fields: list[str]) -> None:
    """Every field that is wrong, missing or unknown is named."""
    with pytest.raises(InvalidRequest) as refusal:
        parse(GOOD | change)
    errors: Any = refusal.value.facts["errors"]
    assert [error["field"] for error in errors] == fields

"""What the provisioning function takes."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.provisioning.request import INTENTS, Destroy, parse
from shared.domain.errors import InvalidRequest
from shared.usecases.provision import Start

NULLS = {"variant": None, "intent": None, "running_tag": None}
VALUES: st.SearchStrategy[object] = st.sampled_from(
    [None, True, 0, 1.5, "", "v1", "restart", "ana", "a\0", "\ud800", [], ["v1"], {}, {"a": {}}]
)
FIELDS = st.sampled_from(["user_id", "intent", "variant", "running_tag", "tag", "\ud800"])


@pytest.mark.parametrize(
    ("payload", "request_"),
    [
        ({"user_id": "ana"}, Start("ana", "provision", None, None)),
        ({"user_id": "oauth/google:1"}, Start("oauth/google:1")),
        ({"user_id": "ana"} | NULLS, Start("ana")),
        (
            {"user_id": "a|b", "intent": "restart", "variant": "gpu", "running_tag": "v1"},
            Start("a|b", "restart", "gpu", "v1"),
        ),
        ({"user_id": "ana", "intent": "upgrade"}, Start("ana", "upgrade")),
        ({"user_id": "ana", "intent": "destroy"}, Destroy("ana")),
        ({"user_id": "ana", "intent": "destroy", "variant": "gpu"}, Destroy("ana")),
    ],
)
def test_requests(payload: dict[str, object], request_: Start | Destroy) -> None:
    """A null field counts as omitted."""
    assert parse(payload) == request_


@pytest.mark.parametrize(
    ("payload", "fields"),
    [
        (None, ["payload"]),
        ([], ["payload"]),
        ("ana", ["payload"]),
        ({}, ["user_id"]),
        ({"user_id": None}, ["user_id"]),
        ({"user_id": "ana\n"}, ["user_id"]),
        ({"user_id": "ana", "intent": "reboot"}, ["intent"]),
        ({"user_id": "ana", "intent": ["restart"]}, ["intent"]),
        ({"user_id": "ana", "variant": ""}, ["variant"]),
        ({"user_id": "ana", "running_tag": "latest"}, ["running_tag"]),
        ({"user_id": "ana", "image_tag": None}, ["image_tag"]),
        (
            {"user_id": 1, "intent": 2, "variant": 3, "x": 4},
            ["x", "user_id", "intent", "variant"],
        ),
        ({"user_id": "ana", "a\n" + "b" * 99: 1}, [r"a\n" + "b" * 61]),
    ],
)
def test_bad_requests(payload: object, fields: list[str]) -> None:
    """Every field that is wrong is named, in a form that is safe to log."""
    with pytest.raises(InvalidRequest) as refusal:
        parse(payload)
    errors: Any = refusal.value.facts["errors"]
    assert [error["field"] for error in errors] == fields


def test_many_bad_fields() -> None:
    """Twenty wrong fields are named: Lambda's runtime dies of a message about thousands."""
    with pytest.raises(InvalidRequest) as refusal:
        parse({f"x{number}": 1 for number in range(3000)})
    errors: Any = refusal.value.facts["errors"]
    assert [error["field"] for error in errors] == [f"x{number}" for number in range(20)]
    assert str(refusal.value).count(";") == 19


def test_a_value_without_bottom() -> None:
    """An unknown field's value is not looked at."""
    deep: list[Any] = []
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(InvalidRequest):
        parse({"user_id": "ana", "x": deep})


@settings(max_examples=60)
@given(st.dictionaries(FIELDS, VALUES, max_size=4))
def test_any_payload(payload: dict[str, object]) -> None:
    """Any payload is a request with legal values, or is refused."""
    try:
        request = parse(payload)
    except InvalidRequest as refusal:
        assert refusal.facts["errors"]  # noqa: PT017  one of two ways out
    else:
        assert request.user_id == payload["user_id"]
        assert payload.get("intent") in {None, *INTENTS}

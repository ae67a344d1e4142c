"""Hostile paths and query strings: 422 naming the part, no value repeated."""

from collections.abc import Iterator
from typing import Any

import pytest

from infra.local.postgres import Postgres
from tests.support.admin_api import Api, api_on
from tests.support.operations import LISTS, OPERATIONS, VALUES, Operation
from tests.support.stores import make_stores

WITH_VALUES = [one for one in OPERATIONS if one.variables]
GOOD = {"image_tag": "one", "openclaw_version": "2026.1.1"}
MARK = "do-not-repeat-me"


@pytest.fixture(scope="module")
def api(postgres_server: Postgres, dynamodb: Any) -> Iterator[Api]:
    """One version, pinned to users whose ids are awkward."""
    with api_on(make_stores(postgres_server, dynamodb)) as made:
        made.publish("one", notes=MARK)
        yield made


PATH_VALUES = [
    "%00", "a%00", "a%0A", "a%0D%0AX: y", "%20", "a%20b", "%C3%A9", "%F0%9F%98%80", "%22",
    "%5C", "a%25", "%252525", "a%2525b", "%3Cb%3E", "%27%3B%25", "a%23b", "x" * 256,
    "do-not-repeat-me%00",
]  # fmt: skip


@pytest.mark.parametrize("value", PATH_VALUES)
@pytest.mark.parametrize("endpoint", WITH_VALUES, ids=str)
def test_an_illegal_value_in_the_path(api: Api, endpoint: Operation, value: str) -> None:
    """The variable is named, beside whatever else is wrong with the values."""
    [name] = endpoint.variables
    path = endpoint.template.format(**VALUES | {name: value})
    for body in (endpoint.body_of(GOOD), endpoint.body and {}):
        answer = api.call(endpoint.method, path, body)
        assert answer.fields[0] == name
        assert MARK.encode() not in answer.body


@pytest.mark.parametrize(
    ("raw", "user_id"),
    [
        ("a+b", "a+b"), ("a%2Bb", "a+b"), ("a%7Cb", "a|b"), ("a|b", "a|b"),
        ("a%40b.c", "a@b.c"), ("a:b~=", "a:b~="),
        ("%61na", "ana"), ("Ana", "Ana"), ("x" * 128, "x" * 128),
    ],
)  # fmt: skip
def test_the_path_is_decoded_once(api: Api, raw: str, user_id: str) -> None:
    """A plus is a plus, and ids are compared exactly."""
    assert api.pin(raw, "one")["pin"]["user_id"] == user_id
    assert api.get(f"/v1/users/{raw}/pin")["pin"]["user_id"] == user_id
    assert [pin["user_id"] for pin in api.get("/v1/pins")["items"]] == [user_id]
    assert api.call("POST", f"/v1/users/{raw}/erase").status == 204


@pytest.mark.parametrize("endpoint", OPERATIONS, ids=str)
@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("nothing=1", "nothing"), ("LIMIT=1", "LIMIT"), ("%0A=1", "\\n"), ("=1", ""),
        ("x=1&x=2", "x"), ("x&%78", "x"), ("x=%zz", "x"), ("x=%f", "x"), ("x=%ff", "x"),
        ("x=%00", "x"), ("x=%ed%a0%80", "x"), ("%zz=1", "query"), ("%ff=1", "query"),
        ("%00=1", "query"), ("dry_run2=true", "dry_run2"),
    ],
)  # fmt: skip
def test_parameters_that_mean_nothing(
    api: Api, endpoint: Operation, query: str, field: str
) -> None:
    """Unknown, repeated or broken ones are refused, by whatever takes parameters or none."""
    answer = api.call(endpoint.method, f"{endpoint.path}?{query}", endpoint.body_of(GOOD))
    assert answer.fields == [field]


@pytest.mark.parametrize(
    "limit",
    ["0", "101", "-1", "1.0", "1e1", "", "+5", "%205", "05", "5_0", "%D9%A5", "9" * 400, "5,6"],
)
@pytest.mark.parametrize("endpoint", LISTS, ids=str)
def test_a_limit_that_is_none(api: Api, endpoint: Operation, limit: str) -> None:
    """A limit is a whole number from 1 to 100, in ASCII digits."""
    assert api.call("GET", f"{endpoint.template}?limit={limit}").fields == ["limit"]


@pytest.mark.parametrize("endpoint", LISTS, ids=str)
def test_the_smallest_and_the_largest_limit(api: Api, endpoint: Operation) -> None:
    """Both are taken; a list has its two members, and one of instances its copy's age."""
    age = {"as_of"} if endpoint.template == "/v1/instances" else set()
    for limit in ("1", "100"):
        page = api.get(f"{endpoint.template}?limit={limit}")
        assert page.keys() == {"items", "next_cursor"} | age


GETS = [one for one in OPERATIONS if one.method == "GET"]
REPEATABLE = [(one, name) for one in GETS for name in one.parameters]


@pytest.mark.parametrize(
    ("endpoint", "name"), REPEATABLE, ids=lambda it: getattr(it, "template", it)
)
def test_a_parameter_that_is_given_twice(api: Api, endpoint: Operation, name: str) -> None:
    """Every parameter is a scalar: which of two would count is anybody's guess."""
    path = endpoint.path
    encoded = f"%{ord(name[0]):x}{name[1:]}"
    for query in (f"{name}=1&{name}=1", f"{name}=1&x=2&{name}", f"{name}=1&{encoded}=2"):
        assert api.call("GET", f"{path}?{query}").fields == [name]


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v1/versions?status=gone", "status"),
        ("/v1/versions?status=", "status"),
        ("/v1/versions?status=active,disabled", "status"),
        ("/v1/versions?variant=GPU", "variant"),
        ("/v1/versions?sort=notes", "sort"),
        ("/v1/versions?sort=image_tag%3B--", "sort"),
        ("/v1/versions?order=DESC", "order"),
        ("/v1/pins?state=none", "state"),
        ("/v1/pins?image_tag=latest", "image_tag"),
        ("/v1/instances?image_tag=%C3%A9", "image_tag"),
        ("/v1/users/ana/resolution?intent=destroy", "intent"),
        ("/v1/users/ana/resolution?variant=", "variant"),
        ("/v1/users/ana/resolution?running_tag=one", "running_tag"),
    ],
)
def test_a_filter_that_breaks_its_rule(api: Api, path: str, field: str) -> None:
    """The parameter is named."""
    assert api.call("GET", path).fields == [field]


@pytest.mark.parametrize(
    "text",
    [
        "%27%20OR%201=1--",
        "%25",
        "_",
        "%5C",
        "%F0%9F%98%80",
        "%24%241",
        "x" * 5000,
        "%0A",
        "+",
        "",
    ],
)
@pytest.mark.parametrize(
    "path", ["/v1/versions?q=", "/v1/pins?q=", "/v1/audit?actor=", "/v1/audit?subject="],
)  # fmt: skip
def test_text_that_is_searched_for_is_text(api: Api, path: str, text: str) -> None:
    """Nothing in it is a pattern or a statement; what is not there is not found."""
    found = api.get(path + text)["items"]
    assert bool(found) is (path == "/v1/versions?q=" and text == "")


def test_many_parameters_and_long_names(api: Api) -> None:
    """A long query string is refused with short words."""
    query = "&".join(f"{MARK}{number}{'y' * 60}={MARK}" for number in range(300))
    answer = api.call("GET", f"/v1/versions?{query}")
    assert len(answer.fields) == 20
    assert len(answer.body) < 8_000

"""The OpenAPI document: valid, whole, and as it was last reviewed."""

import json
import re
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from functions.admin_api.document import as_text, document
from functions.admin_api.handler import app
from tests.support.operations import OPERATIONS, Operation

DOCUMENT = document(app)
CHECKED_IN = Path(__file__).parents[4] / "docs" / "openapi.json"


def documented(name: str) -> Any:
    """An operation of the document: `GET /v1/pins`."""
    method, path = name.split()
    return DOCUMENT["paths"][path][method.lower()]


def resolved(part: dict[str, Any]) -> Any:
    """What a reference leads to."""
    place: Any = DOCUMENT
    for step in part["$ref"].removeprefix("#/").split("/") if "$ref" in part else ():
        place = place[step]
    return place if "$ref" in part else part


def within(part: Any) -> Iterator[dict[str, Any]]:
    """Every object in the document."""
    if isinstance(part, dict):
        yield part
    for one in (
        part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    ):
        yield from within(one)


def test_it_is_as_checked_in(capsys: pytest.CaptureFixture[str]) -> None:
    """A change of the API is seen in a diff: `make openapi` writes the file anew."""
    runpy.run_module("functions.admin_api", run_name="__main__")
    assert capsys.readouterr().out == CHECKED_IN.read_text()
    assert json.loads(CHECKED_IN.read_text()) == DOCUMENT
    assert as_text(DOCUMENT).endswith("}\n")


def test_it_is_valid() -> None:
    """It keeps to the specification's own schema, and is of version 3.1."""
    assert list(OpenAPIV31SpecValidator(DOCUMENT).iter_errors()) == []
    assert DOCUMENT["openapi"] == "3.1.0"


def test_every_operation_is_described_once() -> None:
    """What is built is there under a name of its own; what is not is left out."""
    paths = DOCUMENT["paths"].items()
    described = {f"{method.upper()} {path}" for path, those in paths for method in those}
    assert described == set(map(str, OPERATIONS))
    names = [documented(str(one))["operationId"] for one in OPERATIONS]
    assert len(set(names)) == len(names)
    tags = {tag["name"] for tag in DOCUMENT["tags"]}
    assert {tag for one in OPERATIONS for tag in documented(str(one))["tags"]} == tags


def test_every_component_is_used_and_every_reference_leads_somewhere() -> None:
    """Nothing of Powertools' own errors is left over, and nothing dangles."""
    components = {
        f"#/components/{kind}/{name}"
        for kind in ("headers", "responses", "schemas")
        for name in DOCUMENT["components"][kind]
    }
    assert {part["$ref"] for part in within(DOCUMENT) if "$ref" in part} == components


@pytest.mark.parametrize("one", OPERATIONS, ids=str)
def test_an_operation(one: Operation) -> None:
    """Its role, its parameters, its body, and all that can happen to anybody are declared."""
    operation = documented(str(one))
    given = [(each["in"], each["name"]) for each in operation.get("parameters", [])]
    declared = {"path": one.variables, "query": one.parameters, "header": one.headers}
    assert given == [(place, name) for place in declared for name in declared[place]]
    assert ("requestBody" in operation) == (one.body is not None)
    expected = {"422", "500"} | ({"404", "405"} if one.variables else set())
    expected |= {"401", "403", "503"} if one.roles else set()
    expected |= {"409"} if one.method == "POST" else set()
    assert expected <= operation["responses"].keys()
    assert operation.get("security", []) == ([{"token": []}] if one.roles else [])
    assert operation["x-required-roles"] == list(one.roles)
    assert all(f"`{role}`" in operation["description"] for role in one.roles)
    assert operation["summary"]


@pytest.mark.parametrize("one", OPERATIONS, ids=str)
def test_everything_given_is_described(one: Operation) -> None:
    """Each parameter has its words and one type: what may be omitted is never null."""
    for parameter in documented(str(one)).get("parameters", []):
        assert parameter["description"].endswith(".")
        assert parameter["schema"].get("type")


def test_every_property_is_described() -> None:
    """Whoever reads a schema learns what each of its members means."""
    for name, schema in DOCUMENT["components"]["schemas"].items():
        assert schema["description"], name
        for member, property_ in schema["properties"].items():
            assert resolved(property_).get("description"), (name, member)


def test_answers_with_a_revision_have_an_etag() -> None:
    """Lists have none; every answer names its request; no content has no type."""
    single = documented("GET /v1/versions/{image_tag}")["responses"]["200"]
    many = documented("GET /v1/versions")["responses"]["200"]
    assert single["headers"].keys() == {"ETag", "x-request-id"}
    assert many["headers"].keys() == {"x-request-id"}
    erased = documented("POST /v1/users/{user_id}/erase")["responses"]["204"]
    assert not erased.get("content")


def test_rules_travel_with_the_types() -> None:
    """A pattern to both ends, what it reserves, the digest in either case, enums, defaults."""
    publish = DOCUMENT["components"]["schemas"]["PublishInput"]["properties"]
    assert publish["image_tag"]["pattern"] == "^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$"
    assert publish["image_tag"]["not"] == {"enum": ["latest"]}
    [digest, _] = publish["image_digest"]["anyOf"]
    assert re.fullmatch(digest["pattern"], "sha256:" + "0A" * 32)
    [path] = documented("GET /v1/versions/{image_tag}")["parameters"]
    assert path["schema"]["not"] == {"enum": ["latest"]}
    query = {
        each["name"]: each["schema"] for each in documented("GET /v1/versions")["parameters"]
    }
    assert query["limit"].items() >= {"minimum": 1, "maximum": 100, "default": 25}.items()
    assert query["order"].items() >= {"enum": ["asc", "desc"], "default": "desc"}.items()


def test_refusals_of_its_own() -> None:
    """Invalid requests have their errors documented, other problems their codes."""
    responses = documented("POST /v1/versions")["responses"]
    invalid, conflict, down = (resolved(responses[status]) for status in ("422", "409", "503"))
    problem = "application/problem+json"
    mismatch, invalid = invalid["content"][problem]["schema"]["oneOf"]
    assert mismatch["properties"]["code"]["enum"] == ["idempotency_mismatch"]
    assert "errors" in resolved(invalid["allOf"][0])["required"]
    declared = conflict["content"][problem]["schema"]["properties"]
    assert declared["status"] == {"const": 409}
    assert declared["code"]["enum"] == [
        "digest_changed", "digest_in_use", "idempotency_in_progress", "tag_retired",
        "variant_changed", "version_not_active",
    ]  # fmt: skip
    assert down["headers"]["Retry-After"]["required"]

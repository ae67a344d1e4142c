"""The OpenAPI document: valid, whole, and as it was last reviewed."""

import json
import runpy
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from functions.admin_api import models, openapi
from functions.admin_api.answers import Answer
from functions.admin_api.docs_page import render
from functions.admin_api.endpoints import Endpoint, Request, endpoint, planned
from functions.admin_api.table import ENDPOINTS
from shared.http.problems import PROBLEMS, NotBuilt

DOCUMENT = openapi.document(ENDPOINTS)
CHECKED_IN = Path(__file__).parents[4] / "docs" / "openapi.json"
BUILT = [one for one in ENDPOINTS if one.built]
NOTHING: Any = None
"""A request that nobody looks at."""


def operation(one: Endpoint) -> Any:
    return DOCUMENT["paths"][one.template][one.method.lower()]


def references(part: object) -> set[str]:
    """All that is referred to, anywhere."""
    if isinstance(part, list):
        return {name for item in part for name in references(item)}
    if not isinstance(part, dict):
        return set()
    own = {part["$ref"]} if isinstance(part.get("$ref"), str) else set()
    return own | {name for item in part.values() for name in references(item)}


def test_it_is_as_checked_in(capsys: pytest.CaptureFixture[str]) -> None:
    """A change of the API is seen in a diff: `make openapi` writes the file anew."""
    runpy.run_module("functions.admin_api", run_name="__main__")
    assert capsys.readouterr().out == CHECKED_IN.read_text()


def test_it_is_valid() -> None:
    """By the specification's own schema."""
    assert list(OpenAPIV31SpecValidator(DOCUMENT).iter_errors()) == []


def test_every_endpoint_is_described_once() -> None:
    """What is built is there under a name of its own; what is not is left out."""
    operations = {
        (method.upper(), path) for path, those in DOCUMENT["paths"].items() for method in those
    }
    assert operations == {(one.method, one.template) for one in BUILT}
    names = [operation(one)["operationId"] for one in BUILT]
    assert len(set(names)) == len(names)
    tags = {tag["name"] for tag in DOCUMENT["tags"]}
    assert {tag for one in BUILT for tag in operation(one)["tags"]} == tags


def test_every_component_is_used_and_every_reference_leads_somewhere() -> None:
    """Nothing dangles."""
    schemas = {f"#/components/schemas/{name}" for name in DOCUMENT["components"]["schemas"]}
    others = {f"#/components/responses/{name}" for name in DOCUMENT["components"]["responses"]}
    assert references(DOCUMENT) == schemas | others


@pytest.mark.parametrize("one", BUILT, ids=lambda one: one.name)
def test_what_can_happen_is_declared(one: Endpoint) -> None:
    """Success, bad input, and behind a token 401, 403 and the catalog's 503."""
    declared = operation(one)["responses"]
    assert set(map(str, one.answers or {})) <= declared.keys()
    assert "422" in declared
    assert ({"401", "403", "503"} <= declared.keys()) is (one.role is not None)
    assert operation(one)["security"] == ([{"token": []}] if one.role else [])
    for refusal in one.refusals:
        assert refusal.code in declared[str(PROBLEMS[refusal.code].status)]["description"]
    assert {item["name"] for item in operation(one)["parameters"] if item["in"] == "path"} == {
        *one.variables
    }


def test_longer_words_become_the_description() -> None:
    """The first line of an endpoint's docstring is its summary, the rest describes it."""

    @endpoint("GET", "/v1/more", answers={200: models.Version})
    def more(_request: Request[Any, Any]) -> Answer:
        """Say more.

        At some
        length.
        """
        return Answer(200)

    said = openapi.document([more])["paths"]["/v1/more"]["get"]
    assert (said["summary"], said["description"]) == ("Say more", "At some length.")
    assert more.run(NOTHING).status == 200


def test_an_endpoint_to_come_refuses() -> None:
    """Even if somebody runs it."""
    with pytest.raises(NotBuilt):
        planned("GET", "/v1/later").run(NOTHING)


def test_the_page_tells_of_every_operation() -> None:
    """Escaped, with each parameter and each answer."""
    page = render(DOCUMENT)
    for one in BUILT:
        assert f"<h2><code>{one.method} {one.template}</code></h2>" in page
    assert "digest_in_use · " in page
    hostile = json.loads(json.dumps(DOCUMENT).replace("Versions", "<script>"))
    assert "<script>" not in render(hostile)

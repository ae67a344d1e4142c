"""The OpenAPI document says what the endpoints do, and the page says the same."""

import json
import re
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from typing import Annotated, Any

import pytest
from pydantic import BaseModel

from functions.admin_api import docs_page, openapi
from functions.admin_api.answers import NO_CONTENT, Answer
from functions.admin_api.endpoints import Request, endpoint, planned
from functions.admin_api.requests import VersionsQuery
from functions.admin_api.table import ENDPOINTS
from shared.domain.errors import InvalidRequest
from shared.domain.values import Notes, TextRule
from shared.http.problems import PROBLEMS, NotBuilt
from tests.support.requests import listing

BUILT = [one for one in ENDPOINTS if one.built]


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return openapi.document(ENDPOINTS)


def operations(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (method.upper(), path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def within(part: Any) -> Iterator[dict[str, Any]]:
    """Every object in the document."""
    if isinstance(part, dict):
        yield part
    for one in (
        part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    ):
        yield from within(one)


def test_what_is_built_is_documented(document: dict[str, Any]) -> None:
    """And nothing else; each under a name of its own."""
    documented = operations(document)
    assert set(documented) == {(one.method, one.template) for one in BUILT}
    names = [operation["operationId"] for operation in documented.values()]
    assert len(names) == len(set(names))
    tags = {tag["name"] for tag in document["tags"]}
    assert {tag for one in documented.values() for tag in one["tags"]} <= tags


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    """Inside the document."""
    references = {part["$ref"] for part in within(document) if "$ref" in part}
    assert references
    for reference in references:
        place: Any = document
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]
        assert place


@pytest.mark.parametrize("one", BUILT, ids=lambda one: one.name)
def test_an_operation(one: Any, document: dict[str, Any]) -> None:
    """Its parameters, its body, its answers, and every refusal that it can give."""
    operation = operations(document)[one.method, one.template]
    responses = operation["responses"]
    parameters = operation["parameters"]
    in_path = [each["name"] for each in parameters if each["in"] == "path"]
    in_query = [each["name"] for each in parameters if each["in"] == "query"]
    assert in_path == one.variables
    assert in_query == list(one.query.model_fields)
    assert ("requestBody" in operation) == (one.body is not None)
    refusals = {str(PROBLEMS[refusal.code].status) for refusal in one.refusals}
    guarded = {"401", "403", "503"} if one.role else set()
    unknown = {"404", "405"} if one.variables else set()
    answers = {str(status) for status in one.answers}
    assert set(responses) == answers | refusals | guarded | unknown | {"422"}
    assert operation["security"] == ([{"token": []}] if one.role else [])
    assert operation["summary"]
    for refusal in one.refusals:
        assert refusal.code in responses[str(PROBLEMS[refusal.code].status)]["description"]


def test_answers_with_a_revision_have_an_etag(document: dict[str, Any]) -> None:
    """Lists have none; an answer without content says no type."""
    documented = operations(document)
    assert (
        "ETag" in documented["GET", "/v1/versions/{image_tag}"]["responses"]["200"]["headers"]
    )
    assert "headers" not in documented["GET", "/v1/versions"]["responses"]["200"]
    assert "content" not in documented["DELETE", "/v1/users/{user_id}"]["responses"]["204"]


def test_parameters_are_never_null(document: dict[str, Any]) -> None:
    """What may be omitted has one type."""
    for operation in operations(document).values():
        for parameter in operation["parameters"]:
            assert "anyOf" not in parameter["schema"], parameter


def test_rules_travel_with_the_types(document: dict[str, Any]) -> None:
    """A pattern to both ends, what it reserves, the digest in either case."""
    publish = document["components"]["schemas"]["PublishBody"]["properties"]
    assert publish["image_tag"]["pattern"] == "^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$"
    assert publish["image_tag"]["not"] == {"enum": ["latest"]}
    [digest, _] = publish["image_digest"]["anyOf"]
    assert re.fullmatch(digest["pattern"], "sha256:" + "0A" * 32)
    [path] = operations(document)["GET", "/v1/versions/{image_tag}"]["parameters"]
    assert path["schema"]["not"] == {"enum": ["latest"]}


def test_a_rule_by_itself() -> None:
    """A length counts before trimming, so one that is counted after it is not promised."""

    class Texts(BaseModel):
        code: Annotated[str, TextRule("code", limit=5)]
        notes: Notes

    properties = Texts.model_json_schema()["properties"]
    assert properties["code"]["maxLength"] == 5
    assert "maxLength" not in properties["notes"]


def test_the_text_is_the_document(document: dict[str, Any]) -> None:
    """Readable, and the same for whoever parses it."""
    text = openapi.as_text(document)
    assert json.loads(text) == document
    assert text.endswith("}\n")
    assert "·" in text


def test_what_a_docstring_says() -> None:
    """The first line is the summary, the rest the description."""

    @endpoint("GET", "/v1/things", answers={204: None})
    def list_things(_request: Request[Any, None]) -> Answer:
        """List things.

        All of them, in
        no order.
        """
        return NO_CONTENT

    assert list_things.run(listing(VersionsQuery())).status == 204
    documented = operations(openapi.document([*ENDPOINTS, list_things]))
    operation = documented["GET", "/v1/things"]
    assert operation["summary"] == "List things"
    assert operation["description"] == "All of them, in no order."
    assert operation["tags"] == ["operations"]


def test_what_is_planned(document: dict[str, Any]) -> None:
    """Is not documented, and refuses."""
    one = planned("GET", "/v1/things/{user_id}")
    assert (one.name, one.role, one.built, one.mutates) == ("_refuse", "viewer", False, False)
    assert openapi.document([*ENDPOINTS, one]) == document
    with pytest.raises(NotBuilt):
        one.run(listing(VersionsQuery()))


def test_every_operation_is_on_the_page(document: dict[str, Any]) -> None:
    """With its parameters, body and answers."""
    page = docs_page.render(document)
    assert page.count("<section>") == len(BUILT)
    for one in BUILT:
        assert f"<code>{one.method} {one.template}</code>" in page
    assert "<code>PublishBody</code>" in page
    assert "image_tag (path)" in page


def test_the_page_runs_nothing(document: dict[str, Any]) -> None:
    """Its one style is the only thing that its policy lets in."""
    page = docs_page.render(document)
    assert "<script" not in page
    [style] = re.findall("<style>(.*?)</style>", page, re.DOTALL)
    digest = b64encode(sha256(style.encode()).digest()).decode()
    policy = docs_page.HEADERS["content-security-policy"]
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}';")


def test_the_page_escapes() -> None:
    """Whatever the document holds; what is no operation is passed over."""
    hostile = "<b>&"
    operation = {
        "summary": hostile,
        "parameters": [
            {"name": hostile, "in": "query", "description": hostile},
            {"$ref": "#/components/parameters/x"},
        ],
        "requestBody": {"content": {"application/json": {"schema": {"$ref": f"#/{hostile}"}}}},
        "responses": {"200": {"description": hostile}},
    }
    paths = {hostile: {"get": operation, "summary": "not an operation"}}
    page = docs_page.render({"info": {"title": hostile}, "paths": paths})
    assert "<b>" not in page
    assert page.count("&lt;b&gt;&amp;") == 8
    assert page.count("<section>") == 1


def test_a_refusal_of_its_own(document: dict[str, Any]) -> None:
    """Invalid requests have their errors documented, other problems their codes."""
    responses = operations(document)["POST", "/v1/versions"]["responses"]
    invalid = responses["422"]["content"]["application/problem+json"]["schema"]
    conflict = responses["409"]["content"]["application/problem+json"]["schema"]
    assert invalid == {"$ref": f"#/components/schemas/{InvalidRequest.__name__}"}
    assert conflict["properties"]["status"] == {"const": 409}
    assert "digest_in_use" in conflict["properties"]["code"]["enum"]
    assert responses["503"]["headers"]["Retry-After"]["required"]

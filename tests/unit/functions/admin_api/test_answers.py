"""What goes back to API Gateway."""

import json
from typing import Any

import pytest

from functions.admin_api.answers import NO_CONTENT, Answer, crashed, refused
from functions.admin_api.fields import Revised
from shared.domain.errors import CatalogUnavailable, InvalidRequest, VersionPinned
from shared.http.problems import MethodNotAllowed, Unauthorized

ALWAYS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


class Thing(Revised):
    """A row."""

    name: str

    @property
    def etag(self) -> int:
        return 7


def test_a_body_with_its_revision() -> None:
    """JSON, with an ETag of the row that it shows; never kept by a cache."""
    assert Answer(201, Thing(name="é")).as_event() == {
        "statusCode": 201,
        "headers": {**ALWAYS, "content-type": "application/json", "etag": '"7"'},
        "body": '{"name":"é"}',
        "isBase64Encoded": False,
    }


def test_a_text() -> None:
    """Is sent as it is."""
    event = Answer(200, "<p>", "text/html", {"x": "y"}).as_event()
    assert event["body"] == "<p>"
    assert event["headers"] == {**ALWAYS, "x": "y", "content-type": "text/html"}


def test_no_content() -> None:
    """No body, no type."""
    event = NO_CONTENT.as_event()
    assert (event["statusCode"], event["body"], event["headers"]) == (204, "", ALWAYS)


@pytest.mark.parametrize(
    ("refusal", "status", "headers", "members"),
    [
        (VersionPinned("pinned", pin_count=3), 409, {}, {"pin_count": 3, "detail": "pinned"}),
        (CatalogUnavailable("x"), 503, {"retry-after": "5"}, {"code": "catalog_unavailable"}),
        (MethodNotAllowed("no", allow="GET"), 405, {"allow": "GET"}, {"allow": "GET"}),
        (
            InvalidRequest(("a", "is required")), 422, {},
            {"errors": [{"field": "a", "message": "is required"}]},
        ),
    ],
)  # fmt: skip
def test_refusals(refusal: Any, status: int, headers: dict[str, str], members: Any) -> None:
    """A problem document with the refusal's facts."""
    event = refused(refusal).as_event()
    assert event["statusCode"] == status
    assert event["headers"] == {**ALWAYS, **headers, "content-type": "application/problem+json"}
    assert json.loads(event["body"]).items() >= members.items()


def test_no_token() -> None:
    """Is answered with API Gateway's own body."""
    answer = refused(Unauthorized("a token is needed"))
    assert (answer.status, answer.body) == (401, '{"message": "Unauthorized"}')


def test_a_crash() -> None:
    """Says nothing of what happened."""
    assert json.loads(str(crashed().body))["code"] == "internal_error"

"""The resolver by itself: which route a path takes, who may, and what comes back."""

from typing import Annotated, Any

import pytest
from aws_lambda_powertools.event_handler.openapi.params import Path

from shared.domain.errors import VersionNotFound
from shared.http.resolver import HttpResolver
from shared.http.responses import Revised
from shared.http.router import Router
from tests.support.admin_api import Reply
from tests.support.requests import answer, event

Text = Annotated[str, Path(description="Any text.")]
router = Router("things")


class Thing(Revised):
    """A row."""

    name: str

    @property
    def etag(self) -> str:
        return "7"


@router.get("/v1/things/<name>")
def get_thing(name: Text) -> Thing:
    """Show a thing."""
    return Thing(name=name)


@router.put("/v1/things/<name>")
def put_thing(name: Text) -> tuple[Thing, int]:
    """Make a thing."""
    return Thing(name=name), 201


@router.delete("/v1/things/<name>", refuses=(VersionNotFound,))
def delete_thing(name: Text) -> None:
    """Remove a thing."""
    if name == "none":
        raise VersionNotFound("there is none", status="mine", hint="look elsewhere")


@router.get("/v1/users/<user_id>/thing")
def get_thing_of(user_id: Text) -> Thing:
    """Show a user's thing."""
    return Thing(name=user_id)


@router.get("/elsewhere", requires="viewer")
def get_elsewhere() -> None:
    """Show nothing, to viewers."""


@router.get("/v1/wrong")
def get_wrong() -> Thing:
    """Answer what was not declared."""
    wrong: Any = {"nothing": 1}
    return wrong  # type: ignore[no-any-return]


app = HttpResolver()
app.include_router(router)


@pytest.fixture(autouse=True)
def _namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "KiloClaw")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "things")


def call(method: str, path: str, role: Any = "admin") -> Reply:
    return answer(event(method, path, role), app=app)


@pytest.mark.parametrize(
    "name", ["a", "a+b", "a|b", "é", '"', "\\", "#", "%2F", "\n", "a\n", "\0", "?", "😀", " "]
)
def test_a_path_value_is_any_text(name: str) -> None:
    """A path value may be any text, so that its own type decides."""
    assert call("GET", f"/v1/things/{name}").json == {"name": name}


@pytest.mark.parametrize(
    "path", ["/v1/things", "/v1/things/", "/v1/things/a/b", "/v1/xthings/a"]
)
def test_a_path_value_is_one_segment(path: str) -> None:
    """A path value is not empty and ends at the next slash."""
    assert call("GET", path).refusal == (404, "not_found")


@pytest.mark.parametrize("user_id", ["a", "oauth/google:1", "a/b/c", "x/thing", "thing", "/"])
def test_a_user_id_may_hold_slashes(user_id: str) -> None:
    """A user id is all that stands between its two neighbours."""
    assert call("GET", f"/v1/users/{user_id}/thing").json == {"name": user_id}


def test_what_an_answer_carries() -> None:
    """A row has an ETag and its own status; None is no content; problems keep their members."""
    made = call("PUT", "/v1/things/a")
    assert (made.status, made.headers["etag"]) == (201, '"7"')
    gone = call("DELETE", "/v1/things/a")
    assert (gone.status, gone.body) == (204, b"")
    none = call("DELETE", "/v1/things/none")
    assert none.refusal == (404, "version_not_found")
    assert none.json.items() >= {"status": 404, "hint": "look elsewhere"}.items()


def test_a_wrong_method_names_the_right_ones() -> None:
    """A 405 has an `Allow` header (RFC 9110, section 15.5.6)."""
    reply = call("POST", "/v1/things/a")
    assert reply.refusal == (405, "method_not_allowed")
    assert reply.headers["allow"] == "GET, PUT, DELETE"


def test_what_needs_a_role_is_not_there_for_strangers() -> None:
    """Without a token, a path outside /v1 that needs a role is not found."""
    assert call("GET", "/elsewhere", None).refusal == (404, "not_found")
    assert call("GET", "/elsewhere", "publisher").refusal == (403, "forbidden")
    assert call("GET", "/elsewhere", "viewer").status == 204


def test_an_answer_of_the_wrong_shape_is_our_fault() -> None:
    """An answer that its type forbids is a bare 500."""
    assert call("GET", "/v1/wrong").refusal == (500, "internal_error")

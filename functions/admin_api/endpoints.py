"""The endpoint: what one line of the table says, to match, check and document requests by.

@endpoint("PUT", "/v1/users/{user_id}/pin", body=PinBody, answers={200: PinAnswer})
def put_pin(request: Request[NoQuery, PinBody]) -> Answer:
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel

from functions.admin_api.answers import Answer
from functions.admin_api.requests import NoQuery
from shared.domain.errors import Refused
from shared.domain.model import Initiator
from shared.domain.roles import Role
from shared.domain.values import IMAGE_TAG, USER_ID, VARIANT, TextRule
from shared.http.auth import Caller
from shared.http.problems import MethodNotAllowed, NotBuilt, UnknownPath
from shared.runtime.dependencies import Dependencies

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
QueryT = TypeVar("QueryT", bound=NoQuery)
BodyT = TypeVar("BodyT")

PATH_VALUES: Mapping[str, TextRule] = {
    "image_tag": IMAGE_TAG,
    "variant": VARIANT,
    "user_id": USER_ID,
}


@dataclass(frozen=True, slots=True)
class Request(Generic[QueryT, BodyT]):
    """A request that is matched, authorized and parsed; `values` are those in its path."""

    path: str
    values: Mapping[str, str]
    query: QueryT
    body: BodyT
    caller: Caller
    request_id: str
    deps: Dependencies

    @property
    def by(self) -> Initiator:
        reason = getattr(self.body, "reason", None)
        return Initiator(self.caller.actor, self.request_id, reason)


Run = Callable[[Request[Any, Any]], Answer]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A method on a path: who may use it, what it takes, what it answers.

    `role` None: no token is needed. `answers` map a status to its shape, None for an empty
    body, a text for a content type; without any the endpoint is still to be built. `refusals`
    are those of its own; what can happen anywhere is added where it is documented.
    """

    method: Method
    template: str
    role: Role | None
    run: Run
    query: type[NoQuery] = NoQuery
    body: type[BaseModel] | None = None
    body_required: bool = True
    answers: Mapping[int, type[BaseModel] | str | None] | None = None
    refusals: tuple[type[Refused], ...] = ()

    @property
    def name(self) -> str:
        return str(getattr(self.run, "__name__", ""))

    @property
    def built(self) -> bool:
        return self.answers is not None

    @property
    def mutates(self) -> bool:
        return self.method != "GET"

    @property
    def variables(self) -> list[str]:
        return [part[1:-1] for part in self.template.split("/") if part.startswith("{")]

    def match(self, path: str) -> dict[str, str] | None:
        """The path's values, unchecked; None if this is another path."""
        parts, given = self.template.split("/"), path.split("/")
        if len(parts) != len(given):
            return None
        pairs = list(zip(parts, given, strict=True))
        if all(bool(text) if part[:1] == "{" else part == text for part, text in pairs):
            return {part[1:-1]: text for part, text in pairs if part[:1] == "{"}
        return None


def endpoint(method: Method, template: str, **facts: Any) -> Callable[[Run], Endpoint]:
    """Make a function an endpoint; `facts` are fields of Endpoint.

    Viewers may use a GET and admins anything else, unless it says otherwise.
    """
    facts.setdefault("role", "viewer" if method == "GET" else "admin")
    return lambda run: Endpoint(method, template, run=run, **facts)


def planned(method: Method, template: str) -> Endpoint:
    """An endpoint of the contract that is still to be built."""
    return endpoint(method, template)(_refuse)


def find(
    endpoints: Iterable[Endpoint], method: str, path: str
) -> tuple[Endpoint, dict[str, str]]:
    """The endpoint and the path's values. Raises UnknownPath, MethodNotAllowed."""
    matches = [(one, values) for one in endpoints if (values := one.match(path)) is not None]
    for one, values in matches:
        if one.method == method:
            return one, values
    if not matches:
        raise UnknownPath("there is nothing at this path")
    allowed = ", ".join(one.method for one, _ in matches)
    raise MethodNotAllowed("the path does not know this method", allow=allowed)


def _refuse(_request: Request[Any, Any]) -> Answer:
    raise NotBuilt("this is not built yet")

"""Routers whose routes say who may use them, what they answer and what they refuse.

@router.put("/v1/users/<user_id>/pin", requires="admin", refuses=(VersionNotFound,))
def put_pin(user_id: UserIdPath, body: PinInput) -> UserPinOutput:
"""

from collections.abc import Callable, Mapping
from functools import wraps
from inspect import Parameter, Signature, cleandoc, signature
from operator import getitem
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, cast

from aws_lambda_powertools.event_handler.api_gateway import Route
from aws_lambda_powertools.event_handler.api_gateway import Router as PowertoolsRouter
from aws_lambda_powertools.event_handler.openapi.params import Header, Query

from shared.domain.errors import Refused
from shared.domain.roles import Role
from shared.domain.values import IDEMPOTENCY_KEY
from shared.http.responses import describe_problems, describe_successes

if TYPE_CHECKING:
    from pydantic import BaseModel

Handler = TypeVar("Handler", bound=Callable[..., Any])
Roles = Role | tuple[Role, ...]
"""Who may use a route: any of these, and always admins. Empty: no token is needed."""

KEY_HEADER = "Idempotency-Key"
KEY = Parameter(
    "idempotency_key",
    Parameter.KEYWORD_ONLY,
    default=None,
    annotation=Annotated[
        Annotated[str, IDEMPOTENCY_KEY] | None,
        Header(
            alias=KEY_HEADER,
            description="Names this call: a repeat in 24 hours gets the first success again.",
            examples=["6f1e9f5c-0c5b-4a53-8f34-1f0d2f7b9c11"],
        ),
    ],
)

ROLES = "x-required-roles"
SCHEME = "token"


def required_roles(route: Route) -> tuple[Role, ...] | None:
    """Return who may use a route; None if there is no route."""
    roles: tuple[Role, ...] | None = (route.openapi_extensions or {}).get(ROLES)
    return roles


class Router(PowertoolsRouter):
    """The routes of one resource. By default viewers may GET, and admins may do the rest."""

    def __init__(self, tag: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._tag = tag

    def get(
        self, rule: str, *_: Any, requires: Roles = "viewer", **facts: Any
    ) -> Callable[[Handler], Handler]:
        return self._operation("GET", rule, requires, **facts)

    def post(
        self, rule: str, *_: Any, requires: Roles = "admin", **facts: Any
    ) -> Callable[[Handler], Handler]:
        return self._operation("POST", rule, requires, **facts)

    def put(
        self, rule: str, *_: Any, requires: Roles = "admin", **facts: Any
    ) -> Callable[[Handler], Handler]:
        return self._operation("PUT", rule, requires, **facts)

    def patch(
        self, rule: str, *_: Any, requires: Roles = "admin", **facts: Any
    ) -> Callable[[Handler], Handler]:
        return self._operation("PATCH", rule, requires, **facts)

    def delete(
        self, rule: str, *_: Any, requires: Roles = "admin", **facts: Any
    ) -> Callable[[Handler], Handler]:
        return self._operation("DELETE", rule, requires, **facts)

    def _operation(
        self,
        method: str,
        rule: str,
        requires: Roles,
        *,
        refuses: tuple[type[Refused], ...] = (),
        answers: Mapping[int, str] | None = None,
        media: Mapping[str, str] | None = None,
        **more: Any,
    ) -> Callable[[Handler], Handler]:
        """Register a route. `answers` describes the statuses of success if there are several.

        `media` names content types with the types of what they hold, where that is no model.
        """
        roles = (requires,) if isinstance(requires, str) else requires
        taken = take_key if method == "POST" else _as_it_is

        def register(function: Handler) -> Handler:
            summary, _, rest = cleandoc(function.__doc__ or "").partition("\n")
            model = signature(function).return_annotation
            self.route(
                rule,
                method,
                summary=summary.rstrip("."),
                description=" ".join([*rest.split(), *_role_sentence(roles)]),
                tags=[self._tag],
                operation_id=getattr(function, "__name__", ""),
                security=[{SCHEME: []}] if roles else None,
                responses=describe_successes(model, answers, media)
                | describe_problems(method, rule, refuses, roles),
                openapi_extensions={ROLES: roles},
                **more,
            )(taken(spread_query(function)))
            return function

        return register


def spread_query(function: Handler) -> Handler:
    """Turn the fields of a function's `query` into parameters of their own.

    The resolver documents single parameters completely, but a model's fields only by their
    basic types.
    """
    takes = signature(function)
    query = takes.parameters.get("query")
    if query is None:
        return function
    model: type[BaseModel] = query.annotation

    @wraps(function)
    def called(**given: Any) -> Any:
        fields = {name: given.pop(name) for name in model.model_fields}
        return function(query=model.model_construct(**fields), **given)

    others = [parameter for parameter in takes.parameters.values() if parameter is not query]
    parameters = [*others, *map(_parameter, model.model_fields.items())]
    spread = Signature(parameters, return_annotation=takes.return_annotation)
    setattr(called, "__signature__", spread)  # noqa: B010  what inspect looks for
    return cast("Handler", called)


def take_key(function: Handler) -> Handler:
    """Let a function's route take `Idempotency-Key`, which is read before the function runs."""
    takes = signature(function)

    @wraps(function)
    def called(**given: Any) -> Any:
        given.pop(KEY.name)
        return function(**given)

    spread = takes.replace(parameters=[*takes.parameters.values(), KEY])
    setattr(called, "__signature__", spread)  # noqa: B010  what inspect looks for
    return cast("Handler", called)


def _as_it_is(function: Handler) -> Handler:
    return function


def _parameter(item: tuple[str, Any]) -> Parameter:
    name, field = item
    described = Query(description=field.description, examples=field.examples)
    annotation: Any = getitem(Annotated, (field.annotation, *field.metadata, described))
    kind = Parameter.KEYWORD_ONLY
    return Parameter(name, kind, default=field.default, annotation=annotation)


def _role_sentence(roles: tuple[Role, ...]) -> list[str]:
    named = " or ".join(f"`{role}`" for role in dict.fromkeys((*roles, "admin")))
    return [f"Needs the role {named}."] if roles else ["Needs no token."]

"""The answers that an operation can give, described for OpenAPI."""

from collections.abc import Iterable, Mapping
from inspect import Parameter
from types import NoneType, UnionType
from typing import Any, Self, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from shared.domain.errors import (
    CatalogUnavailable,
    IdempotencyInProgress,
    IdempotencyMismatch,
    InvalidRequest,
    Refused,
)
from shared.http.problems import (
    CONTENT_TYPE,
    PROBLEMS,
    Forbidden,
    MethodNotAllowed,
    UnknownPath,
)

SCHEMAS = "#/components/schemas/"
ETAG = {
    "ETag": {
        "description": "Names this state of the row, for `If-Match`.",
        "schema": {"type": "string"},
    }
}
HEADERS: Mapping[int, dict[str, Any]] = {
    405: {
        "Allow": {
            "description": "The methods that the path knows.",
            "required": True,
            "schema": {"type": "string"},
        }
    },
    503: {
        "Retry-After": {
            "description": "Seconds to wait before the next try.",
            "required": True,
            "schema": {"type": "integer"},
        }
    },
}


class Revised(BaseModel):
    """An answer about one row. `etag` names the row's state, without quotes."""

    _etag: str = PrivateAttr()

    @property
    def etag(self) -> str:
        return self._etag

    def with_etag(self, etag: str) -> Self:
        self._etag = etag
        return self


class PreviewAnswer(BaseModel):
    """An answer in place of the usual one, to a request that asked for a preview."""


class ProblemOutput(BaseModel):
    """A refusal (RFC 9457); what else it holds depends on the code."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(
        description="`urn:kiloclaw:problem:` and the code.",
        json_schema_extra={"format": "uri"},
    )
    title: str = Field(description="What the code means, in words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What was wrong with this request, in words.")
    code: str = Field(description="What was wrong, for programs.")
    request_id: str = Field(description="The id by which the logs name this request.")


class FieldErrorOutput(BaseModel):
    """A field that breaks its rule. Its value is not repeated."""

    model_config = ConfigDict(extra="forbid")

    field: str = Field(description="A parameter, a member of the body, or `body`.")
    message: str = Field(description="What is allowed, in words.")


class InvalidProblemOutput(ProblemOutput):
    """Which fields break which rules."""

    errors: list[FieldErrorOutput] = Field(min_length=1, description="At most twenty of them.")


class RefusedItemOutput(BaseModel):
    """An item that was refused."""

    model_config = ConfigDict(extra="forbid")

    index: int = Field(description="Its place among the items, from 0.")
    user_id: str = Field(description="Its user.")
    code: str = Field(description="What was wrong, for programs.")
    message: str = Field(description="What was wrong, in words.")


class BulkProblemOutput(ProblemOutput):
    """Which items were refused, so that nothing was done."""

    errors: list[RefusedItemOutput] = Field(min_length=1, description="All of them.")


class UnauthorizedOutput(BaseModel):
    """The body of API Gateway's own 401."""

    message: str = Field(description="`Unauthorized`.")


MODELS: Mapping[str, type[ProblemOutput]] = {
    "invalid_request": InvalidProblemOutput,
    "bulk_rejected": BulkProblemOutput,
}
"""Codes whose documents have members of their own."""


def describe_successes(
    returns: Any, answers: Mapping[int, str] | None, media: Mapping[str, str] | None
) -> dict[int, Any]:
    """Describe a success by the function's return annotation, or by its content types."""
    model, *others = _models(returns)
    answers = answers or _answer(model)
    if media:
        content = {name: {"schema": {"type": kind}} for name, kind in media.items()}
        return {
            status: {"description": answers[status], "content": content} for status in answers
        }
    usual = {status: _success(model, text) for status, text in answers.items()}
    return {200: _preview(*others)} | usual if others and model is None else usual


def describe_problems(
    method: str, rule: str, refuses: tuple[type[Refused], ...], roles: tuple[str, ...]
) -> dict[int, Any]:
    """Collect the operation's own refusals and the problems that can happen anywhere."""
    token = {401: _unauthorized()} if roles else {}
    return token | _problems((*refuses, *_anywhere(method, rule, roles)))


def _models(returns: Any) -> list[Any]:
    """Return the model of the usual answer, and that of a preview if there is one."""
    [model, *_] = get_args(returns) if get_origin(returns) is tuple else [returns]
    members = get_args(model) if isinstance(model, UnionType) else (model,)
    models = [None if member is NoneType else member for member in members]
    return sorted(
        models, key=lambda one: isinstance(one, type) and issubclass(one, PreviewAnswer)
    )


def _answer(model: Any) -> dict[int, str]:
    if model is None:
        return {204: "Done"}
    doc = "" if model is Parameter.empty else model.__doc__ or ""
    return {200: doc.partition("\n")[0].rstrip(".") or "OK"}


def _preview(model: type[BaseModel]) -> dict[str, Any]:
    """Describe an answer that Powertools would not see beside no content."""
    schema = {"$ref": f"{SCHEMAS}{model.__name__}"}
    description = (model.__doc__ or "").partition("\n")[0].rstrip(".")
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _success(model: Any, text: str) -> dict[str, Any]:
    """Leave the model to Powertools. For no content it would answer the text `null`."""
    if model is None:
        return {"description": text, "content": {}}
    is_revised = isinstance(model, type) and issubclass(model, Revised)
    return {"description": text} | ({"headers": ETAG} if is_revised else {})


def _unauthorized() -> dict[str, Any]:
    schema = {"$ref": f"{SCHEMAS}{UnauthorizedOutput.__name__}"}
    return {
        "description": "No token or a bad one; API Gateway's own answer",
        "content": {"application/json": {"schema": schema}},
    }


def _anywhere(method: str, rule: str, roles: tuple[str, ...]) -> Iterable[type[Refused]]:
    yield InvalidRequest
    if roles:
        yield from (Forbidden, CatalogUnavailable)
    if "<" in rule:
        yield from (UnknownPath, MethodNotAllowed)
    if method == "POST" and roles:
        yield from (IdempotencyMismatch, IdempotencyInProgress)


def _problems(refusals: tuple[type[Refused], ...]) -> dict[int, Any]:
    by_status: dict[int, set[str]] = {500: {"internal_error"}}
    for refusal in refusals:
        by_status.setdefault(PROBLEMS[refusal.code].status, set()).add(refusal.code)
    return {status: _problem(status, sorted(by_status[status])) for status in sorted(by_status)}


def _problem(status: int, codes: list[str]) -> dict[str, Any]:
    """Describe a status; its codes may have problem documents of different shapes."""
    by_model: dict[str, list[str]] = {}
    for code in codes:
        by_model.setdefault(MODELS.get(code, ProblemOutput).__name__, []).append(code)
    [schema, *others] = [_schema(name, status, of_it) for name, of_it in by_model.items()]
    content = {"oneOf": [schema, *others]} if others else schema
    problem = {
        "description": " · ".join(codes),
        "content": {CONTENT_TYPE: {"schema": content}},
    }
    return problem | ({"headers": HEADERS[status]} if status in HEADERS else {})


def _schema(model: str, status: int, codes: list[str]) -> dict[str, Any]:
    return {
        "allOf": [{"$ref": f"{SCHEMAS}{model}"}],
        "properties": {"status": {"const": status}, "code": {"enum": codes}},
    }

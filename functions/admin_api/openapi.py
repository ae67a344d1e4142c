"""The OpenAPI 3.1 document, made from the endpoint table and the shapes it names."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema
from pydantic_core import CoreSchema

from functions.admin_api.endpoints import PATH_VALUES, Endpoint
from functions.admin_api.fields import Revised
from shared.domain.errors import CatalogUnavailable, InvalidRequest, Refused
from shared.http.problems import (
    CONTENT_TYPE,
    PROBLEMS,
    Forbidden,
    MethodNotAllowed,
    UnknownPath,
)

Schema = dict[str, Any]
Moded = tuple[type[BaseModel], Literal["validation", "serialization"]]

ETAG = {"ETag": {"description": "The revision", "schema": {"type": "string"}}}
HEADERS: Mapping[int, Schema] = {
    405: {"Allow": {"required": True, "schema": {"type": "string"}}},
    503: {"Retry-After": {"required": True, "schema": {"type": "integer"}}},
}
TAGS: Mapping[str, str] = {
    "versions": "What can be deployed",
    "variants": "Where each variant points",
    "pins": "Who is held at which version",
    "users": "One user",
    "instances": "Who runs what",
    "operations": "The overview, the sync and the log",
    "documentation": "This document",
}
"""By the first word of a path below /v1; the rest are operations."""

PROBLEM: Schema = {
    "description": "A refusal (RFC 9457); what else it holds depends on the code.",
    "type": "object",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
    },
}
INVALID: Schema = {
    "description": "Which fields break which rules.",
    "allOf": [{"$ref": "#/components/schemas/Problem"}],
    "required": ["errors"],
    "properties": {
        "code": {"const": "invalid_request"},
        "errors": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "additionalProperties": False,
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}
UNAUTHORIZED: Schema = {
    "description": "No token or a bad one; the gateway's own words.",
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["message"],
                "properties": {"message": {"type": "string"}},
            }
        }
    },
}


class _Untitled(GenerateJsonSchema):
    """A field's name says what its title would."""

    def field_title_should_be_set(self, schema: CoreSchema | Any) -> bool:
        del schema
        return False


def document(endpoints: Iterable[Endpoint]) -> Schema:
    """The document of all endpoints that are built."""
    built = [one for one in endpoints if one.built]
    paths: dict[str, Schema] = {}
    for one in built:
        paths.setdefault(one.template, {})[one.method.lower()] = _operation(one)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "KiloClaw image version pinning",
            "version": "1",
            "description": "Which container image does each KiloClaw instance run?",
        },
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": {**_schemas(built), "Problem": PROBLEM, "InvalidRequest": INVALID},
            "responses": {"Unauthorized": UNAUTHORIZED},
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
            },
        },
    }


def as_text(document: Schema) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _operation(one: Endpoint) -> Schema:
    summary, _, rest = (one.run.__doc__ or "").partition("\n")
    operation: Schema = {
        "operationId": one.name,
        "tags": [_tag(one)],
        "summary": summary.rstrip("."),
        "security": [{"token": []}] if one.role else [],
        "parameters": [*map(_path_parameter, one.variables), *_query_parameters(one)],
        "responses": {**_successes(one), **_problems(one)},
    }
    if rest.strip():
        operation["description"] = " ".join(rest.split())
    if one.body is not None:
        content = {"application/json": {"schema": _reference(one.body)}}
        operation["requestBody"] = {"required": one.body_required, "content": content}
    return operation


def _tag(one: Endpoint) -> str:
    if one.role is None:
        return "documentation"
    first = one.template.split("/")[2]
    return first if first in TAGS else "operations"


def _path_parameter(name: str) -> Schema:
    rule = PATH_VALUES[name]
    schema: Schema = {"type": "string", "pattern": f"^{rule.pattern}$"}
    if rule.reserved:
        schema["not"] = {"enum": sorted(rule.reserved)}
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _query_parameters(one: Endpoint) -> list[Schema]:
    properties = one.query.model_json_schema(schema_generator=_Untitled).get("properties", {})
    return [
        {"name": name, "in": "query", "required": False, "schema": _given(schema)}
        for name, schema in properties.items()
    ]


def _given(schema: Schema) -> Schema:
    """A parameter is omitted, never null."""
    if "anyOf" not in schema:
        return schema
    [given] = [choice for choice in schema["anyOf"] if choice != {"type": "null"}]
    return dict(given)


def _successes(one: Endpoint) -> dict[str, Schema]:
    return {str(status): _success(shape) for status, shape in (one.answers or {}).items()}


def _success(shape: type[BaseModel] | str | None) -> Schema:
    if shape is None:
        return {"description": "Done"}
    if isinstance(shape, str):
        kind = "object" if shape.endswith("json") else "string"
        return {"description": "Documentation", "content": {shape: {"schema": {"type": kind}}}}
    answer: Schema = {
        "description": _first_line(shape.__doc__),
        "content": {"application/json": {"schema": _reference(shape)}},
    }
    return answer | ({"headers": ETAG} if issubclass(shape, Revised) else {})


def _problems(one: Endpoint) -> dict[str, Schema]:
    """Refusals by status: the endpoint's own, and those that can happen anywhere."""
    by_status: dict[int, list[type[Refused]]] = {}
    for refusal in (*one.refusals, *_anywhere(one)):
        by_status.setdefault(PROBLEMS[refusal.code].status, []).append(refusal)
    problems = {
        str(status): _problem(status, by_status[status]) for status in sorted(by_status)
    }
    return (
        {"401": {"$ref": "#/components/responses/Unauthorized"}, **problems}
        if (one.role)
        else problems
    )


def _anywhere(one: Endpoint) -> Iterable[type[Refused]]:
    yield InvalidRequest
    if one.role:
        yield from (Forbidden, CatalogUnavailable)
    if one.variables:
        yield from (UnknownPath, MethodNotAllowed)


def _problem(status: int, refusals: list[type[Refused]]) -> Schema:
    codes = sorted(refusal.code for refusal in refusals)
    schema: Schema = {"$ref": "#/components/schemas/InvalidRequest"}
    if InvalidRequest not in refusals:
        schema = {
            "allOf": [{"$ref": "#/components/schemas/Problem"}],
            "properties": {"status": {"const": status}, "code": {"enum": codes}},
        }
    problem: Schema = {
        "description": " · ".join(codes),
        "content": {CONTENT_TYPE: {"schema": schema}},
    }
    return problem | ({"headers": HEADERS[status]} if status in HEADERS else {})


def _schemas(endpoints: Iterable[Endpoint]) -> dict[str, Schema]:
    taken: list[Moded] = [(one.body, "validation") for one in endpoints if one.body is not None]
    given: list[Moded] = [
        (shape, "serialization")
        for one in endpoints
        for shape in (one.answers or {}).values()
        if isinstance(shape, type)
    ]
    _, definitions = models_json_schema(
        list(dict.fromkeys([*taken, *given])),
        ref_template="#/components/schemas/{model}",
        schema_generator=_Untitled,
    )
    return dict(definitions["$defs"])


def _reference(shape: type[BaseModel]) -> Schema:
    return {"$ref": f"#/components/schemas/{shape.__name__}"}


def _first_line(text: str | None) -> str:
    return (text or "").partition("\n")[0].rstrip(".")

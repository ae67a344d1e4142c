"""The OpenAPI 3.1 document: the resolver's, tidied."""

import json
from collections import Counter
from collections.abc import Iterator
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.event_handler.openapi.models import HTTPBearer, Tag

from shared.http.resolver import HttpResolver
from shared.http.responses import MODELS, ProblemOutput, UnauthorizedOutput
from shared.http.router import SCHEME

if TYPE_CHECKING:
    from pydantic import BaseModel

Schema = dict[str, Any]

COMPONENT = "#/components/{kind}/{name}"
TAGS = {
    "versions": "What can be deployed",
    "variants": "Where each variant points",
    "pins": "Who is held at which version",
    "users": "One user",
    "instances": "Who runs what",
    "operations": "The overview, the sync and the log",
    "documentation": "This document",
}
REQUEST_ID: Schema = {
    "description": "The id by which the logs name this request.",
    "schema": {"type": "string"},
}


def document(app: HttpResolver) -> Schema:
    """The document of all routes that are built."""
    made = _tidied(
        app.get_openapi_json_schema(
            title="KiloClaw image version pinning",
            version="1",
            description="Which container image does each KiloClaw instance run?",
            tags=[Tag(name=name, description=text) for name, text in TAGS.items()],
            security_schemes={SCHEME: HTTPBearer(bearerFormat="JWT")},
        )
    )
    made["paths"] = dict(sorted(made["paths"].items()))
    components = made["components"]
    for operation in _operations(made):
        _complete(operation)
    components["headers"] = {"RequestId": REQUEST_ID}
    components["responses"] = _shared_responses(made)
    components["schemas"] = _used(components["schemas"] | _problem_schemas(), made)
    return made


def as_text(document: Schema) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _operations(made: Schema) -> Iterator[Schema]:
    return (one for methods in made["paths"].values() for one in methods.values())


def _complete(operation: Schema) -> None:
    """A parameter is omitted, never null; an answer has its request's id."""
    for parameter in operation.get("parameters", []):
        parameter["schema"] = _given(parameter["schema"])
    operation["responses"] = dict(sorted(operation["responses"].items()))
    for response in operation["responses"].values():
        named = {"$ref": COMPONENT.format(kind="headers", name="RequestId")}
        response["headers"] = response.get("headers", {}) | {"x-request-id": named}


def _given(schema: Schema) -> Schema:
    if "anyOf" not in schema:
        return schema
    [given] = [choice for choice in schema["anyOf"] if choice != {"type": "null"}]
    return dict(given)


def _shared_responses(made: Schema) -> Schema:
    """Take out what several operations answer alike, by the name of its codes."""
    answers = [operation["responses"] for operation in _operations(made)]
    texts = Counter(
        json.dumps(answer) for by_status in answers for answer in by_status.values()
    )
    shared: Schema = {}
    for by_status in answers:
        for status, answer in by_status.items():
            if texts[json.dumps(answer)] > 1 and int(status) >= HTTPStatus.BAD_REQUEST:
                name = _name(answer["description"])
                shared[name] = answer
                by_status[status] = {"$ref": COMPONENT.format(kind="responses", name=name)}
    return dict(sorted(shared.items()))


def _name(description: str) -> str:
    codes = description.partition(";")[0].replace(" · ", "_or_").replace(" ", "_")
    return "".join(word.capitalize() for word in codes.split("_"))


def _problem_schemas() -> Schema:
    schemas: Schema = {}
    models: list[type[BaseModel]] = [*MODELS.values(), ProblemOutput, UnauthorizedOutput]
    for problem in models:
        template = COMPONENT.format(kind="schemas", name="{model}")
        own = _tidied(json.dumps(problem.model_json_schema(ref_template=template)))
        schemas |= {**own.pop("$defs", {}), problem.__name__: own}
    return schemas


def _used(schemas: Schema, made: Schema) -> Schema:
    """Without those that nothing refers to: Powertools adds errors of its own."""
    used: set[str] = set()
    waiting: list[object] = [made["paths"], made["components"]["responses"]]
    while waiting:
        text = json.dumps(waiting.pop())
        for name in schemas.keys() - used:
            if f'"{COMPONENT.format(kind="schemas", name=name)}"' in text:
                used.add(name)
                waiting.append(schemas[name])
    return {name: schemas[name] for name in sorted(used)}


def _tidied(text: str) -> Schema:
    """Read a document without titles that repeat names, and whole numbers as such."""
    read: Schema = json.loads(text, object_hook=_untitled, parse_float=_number)
    return read


def _untitled(part: Schema) -> Schema:
    is_schema = isinstance(part.get("title"), str) and "version" not in part
    return {name: part[name] for name in part if name != "title"} if is_schema else part


def _number(text: str) -> float:
    number = float(text)
    return int(number) if number.is_integer() else number

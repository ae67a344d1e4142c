"""The admin API's operations, as its resolver knows them."""

from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools.event_handler.api_gateway import Route
from pydantic import BaseModel

from functions.admin_api.handler import app
from shared.domain.roles import Role
from shared.http.router import required_roles

VALUES = {"image_tag": "2026.11.1-r1", "variant": "default", "user_id": "ana@example.com"}


@dataclass(frozen=True)
class Operation:
    """A method on a path, named as in the contract: `GET /v1/users/{user_id}/pin`."""

    route: Route

    def __str__(self) -> str:
        return f"{self.method} {self.template}"

    @property
    def method(self) -> str:
        return self.route.method

    @property
    def template(self) -> str:
        return self.route.openapi_path

    @property
    def name(self) -> str:
        return self.route.operation_id

    @property
    def roles(self) -> tuple[Role, ...]:
        return required_roles(self.route) or ()

    @property
    def path(self) -> str:
        """A path that leads to it, with values that nobody has."""
        return self.template.format(**VALUES)

    @property
    def variables(self) -> list[str]:
        return [part[1:-1] for part in self.template.split("/") if part.startswith("{")]

    @property
    def parameters(self) -> list[str]:
        """The names of all that may stand in its query string."""
        return [parameter.alias for parameter in self.route.dependant.query_params]

    @property
    def headers(self) -> list[str]:
        return [header.alias for header in self.route.dependant.header_params]

    @property
    def body(self) -> type[BaseModel] | None:
        models = [parameter.type_ for parameter in self.route.dependant.body_params]
        return models[0] if models else None

    @property
    def body_required(self) -> bool:
        return any(parameter.required for parameter in self.route.dependant.body_params)

    def body_of(self, fields: dict[str, Any]) -> dict[str, Any] | None:
        """Those of the fields that it takes, None if it takes no body."""
        known = self.body.model_fields if self.body else {}
        return {name: fields[name] for name in fields if name in known} if self.body else None


OPERATIONS = [Operation(route) for route in app.routes]
GUARDED = [one for one in OPERATIONS if one.roles]
LISTS = [one for one in OPERATIONS if "cursor" in one.parameters]

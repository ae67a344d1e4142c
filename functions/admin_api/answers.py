"""What goes back to API Gateway."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from functions.admin_api.fields import Revised
from shared.domain.errors import Refused
from shared.http.problems import CONTENT_TYPE, PROBLEMS, Unauthorized, problem, problem_headers

ALWAYS = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


@dataclass(frozen=True, slots=True)
class Answer:
    """A status and a body; a text is sent as it is."""

    status: int
    body: BaseModel | str | None = None
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)

    def as_event(self) -> dict[str, Any]:
        """The answer in API Gateway's payload format 2.0."""
        headers = {**ALWAYS, **self.headers}
        if self.body is not None:
            headers["content-type"] = self.content_type
        if isinstance(self.body, Revised):
            headers["etag"] = f'"{self.body.etag}"'
        text = self.body.model_dump_json() if isinstance(self.body, BaseModel) else self.body
        return {
            "statusCode": self.status,
            "headers": headers,
            "body": text or "",
            "isBase64Encoded": False,
        }


NO_CONTENT = Answer(204)


def refused(refusal: Refused) -> Answer:
    """The problem document; for want of a token what API Gateway itself would say."""
    status, title = PROBLEMS[refusal.code]
    headers = problem_headers(refusal.code, refusal.facts)
    if isinstance(refusal, Unauthorized):
        return Answer(status, json.dumps({"message": title}), headers=headers)
    document = problem(refusal.code, refusal.detail, refusal.facts)
    return Answer(status, json.dumps(document, default=str), CONTENT_TYPE, headers)


def crashed() -> Answer:
    """The bare 500: what happened is in the log."""
    document = problem("internal_error", "something unexpected happened; it was logged")
    return Answer(500, json.dumps(document), CONTENT_TYPE)

"""The event that is being answered: who asks, what they sent, and the pages that answer it."""

from http import HTTPStatus
from typing import Any, TypeVar

from aws_lambda_powertools.event_handler import Response
from pydantic import BaseModel

from functions.console.application import Console
from functions.console.changes import CHANGES
from functions.console.forms import FilledForm, Form, validate
from functions.console.rendering import render
from shared.domain.errors import InvalidValue
from shared.domain.model import Initiator
from shared.domain.values import Reason, TextRule
from shared.http.problems import UnknownPath
from shared.kv.sessions import Session
from shared.runtime.dependencies import ConsoleDependencies

Query = TypeVar("Query", bound=BaseModel)
app = Console()


def deps() -> ConsoleDependencies:
    found: ConsoleDependencies = app.context["deps"]
    return found


def session() -> Session:
    found: Session = app.context["session"]
    return found


def initiator(reason: Reason | None = None) -> Initiator:
    """Who asks and why, for the audit log."""
    return Initiator(session().actor, app.event.request_id, reason)


def query(model: type[Query]) -> Query:
    """Parse the query string; empty parameters count as left out. Raises InvalidRequest."""
    return validate(model, app.event.resolved_query_string_parameters)


def path_value(rule: TextRule, text: str) -> str:
    """Parse a value of the path. Raises UnknownPath: nothing can be there."""
    try:
        return rule.parse(text)
    except InvalidValue:
        raise UnknownPath("there is nothing at this address") from None


def form() -> Form:
    """The fields that were posted, without the session's token."""
    found: Form = app.context["form"]
    return found


def show(
    template: str,
    *,
    status: int = HTTPStatus.OK,
    filled: FilledForm | None = None,
    path: str | None = None,
    **content: Any,
) -> Response[str]:
    """Answer with a page, and say what was just done if the address names a change.

    `filled` is a form of the page that a person has to correct; `path` is that of the page to
    whose section this one belongs, if it is not its own.
    """
    filled = filled or FilledForm()
    status = HTTPStatus.UNPROCESSABLE_ENTITY if filled.faults else status
    named = CHANGES.get(app.event.resolved_query_string_parameters.get("done", ""))
    done = named.done if named else None
    context = app.page_context._replace(path=path or app.event.path)
    return render(template, context, status=status, done=done, filled=filled, **content)

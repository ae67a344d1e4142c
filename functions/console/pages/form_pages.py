"""The forms of changes: where a person corrects what cannot be understood."""

from collections.abc import Callable, Mapping

from aws_lambda_powertools.event_handler import Response

from functions.console.forms import FilledForm
from functions.console.pages import users

FORM_PAGES: Mapping[str, Callable[[FilledForm], Response[str]]] = {
    "pin": users.show_pin_form,
}
"""What shows the form of a change again, by the change's name."""

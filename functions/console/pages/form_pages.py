"""The forms of changes: where a person corrects what cannot be understood."""

from collections.abc import Callable, Mapping

from aws_lambda_powertools.event_handler import Response

from functions.console.forms import FilledForm
from functions.console.pages import pins, publish_form, users, variant, version


def _show_pin_form(filled: FilledForm) -> Response[str]:
    """Show the form on the page of its user, or where the user can be corrected."""
    if "user_id" in filled.faults:
        return pins.show_pin_form(filled)
    return users.show_pin_form(filled)


FORM_PAGES: Mapping[str, Callable[[FilledForm], Response[str]]] = {
    "pin": _show_pin_form,
    "change-pins": pins.show_ticked_form,
    "import": pins.show_import_form,
    "publish": publish_form.show_publish_form,
    "rollout": variant.show_variant_form,
    "disable": version.show_version_form,
    "notes": version.show_version_form,
}
"""What shows the form of a change again, by the change's name."""

"""A change of the infrastructure is seen in a diff."""

import os
from pathlib import Path

from tests.support.templates import Template, review_form

FOLDER = Path(__file__).with_name("snapshots")


def test_the_template_is_as_reviewed(template: Template) -> None:
    """`make snapshots` writes them anew; the diff is for the reviewer."""
    file, shown = FOLDER / f"{template.stage}.json", review_form(template.content)
    if "UPDATE_SNAPSHOTS" in os.environ:
        file.write_text(shown)
    assert shown == file.read_text()

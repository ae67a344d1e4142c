"""Every change of the infrastructure appears in a diff for review."""

import os
from pathlib import Path

from tests.support.templates import Template, review_form

FOLDER = Path(__file__).with_name("snapshots")


def test_the_template_is_as_reviewed(template: Template) -> None:
    """The template equals the reviewed one; `make snapshots` writes it anew."""
    file, current = FOLDER / f"{template.stage}.json", review_form(template.content)
    if "UPDATE_SNAPSHOTS" in os.environ:
        file.write_text(current)
    assert current == file.read_text()

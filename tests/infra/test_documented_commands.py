"""The AWS commands in the documents exist: services, operations, waiters and options."""

import re
from collections.abc import Iterator
from pathlib import Path

import botocore.session
import pytest
from botocore import xform_name
from botocore.model import OperationModel, ServiceModel

DOCUMENTS = ("docs/deploy.md", "docs/operations.md", "docs/pipelines.md")
GLOBAL_OPTIONS = {"--cli-binary-format", "--output", "--query"}
CODE = re.compile(r"^```sh\n(.*?)^```|`([^`]+)`", re.MULTILINE | re.DOTALL)
NESTED = re.compile(r"\$\(([^()]*)\)")
COMMAND = re.compile(r"\baws ([a-z-]+) (wait )?([a-z-]+)([^\n|;}]*)")
SESSION = botocore.session.Session()


def commands() -> Iterator[tuple[str, str, str, str]]:
    """Find the service, `wait` if it is one, the operation and the rest of every command."""
    for document in DOCUMENTS:
        for block, inline in CODE.findall(Path(document).read_text()):
            for script in _scripts((block or inline).replace("\\\n", " ")):
                for service, wait, operation, rest in COMMAND.findall(script):
                    yield service, wait.strip(), operation, rest


def _scripts(script: str) -> Iterator[str]:
    """Take scripts apart: those nested in `$(…)` by themselves, and quoted texts left out."""
    script = re.sub(r"'[^']*'", "QUOTED", script)
    while nested := NESTED.search(script):
        yield nested[1]
        script = script[: nested.start()] + "NESTED" + script[nested.end() :]
    yield script


def find_operation(service: str, wait: str, name: str) -> OperationModel:
    """Find the operation that a command calls. Raises ValueError if there is none."""
    model = ServiceModel(SESSION.get_service_data(service), service)
    operations = {xform_name(operation, "-"): operation for operation in model.operation_names}
    if wait:
        waiters = SESSION.get_waiter_model(service)
        by_name = {xform_name(waiter, "-"): waiter for waiter in waiters.waiter_names}
        [operation] = [by_name[name]]
        return model.operation_model(waiters.get_waiter(operation).operation)
    if name not in operations:
        raise ValueError(f"{service} has no operation {name}")
    return model.operation_model(operations[name])


@pytest.mark.parametrize("command", sorted(set(commands())), ids=lambda command: command[2])
def test_a_documented_command_exists(command: tuple[str, str, str, str]) -> None:
    """Nobody could run it here, but botocore knows what AWS's command line accepts."""
    service, wait, name, rest = command
    operation = find_operation(service, wait, name)
    assert operation.input_shape is not None
    known = {f"--{xform_name(member, '-')}" for member in operation.input_shape.members}
    given = set(re.findall(r"(?<![\w-])--[a-z-]+", rest))
    unknown = {
        option
        for option in given - known - GLOBAL_OPTIONS
        if option.replace("--no-", "--", 1) not in known
    }
    assert unknown == set()


def test_commands_are_found() -> None:
    """An expression that found nothing would pass the test above."""
    found = {operation for _, _, operation, _ in commands()}
    assert len(found) > 30
    assert found >= {"restore-table-to-point-in-time", "published-version-active", "subscribe"}
    [(_, _, _, rest)] = [each for each in commands() if each[2] == "admin-create-user"]
    assert "--desired-delivery-mediums" in rest

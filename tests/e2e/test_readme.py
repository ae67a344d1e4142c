"""The README is right, and the commands that `make run` prints work as printed."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from infra.local.aws.environments import ROOT
from tests.support.local_system import RunningSystem, running

README = (ROOT / "README.md").read_text()
EXAMPLE = (ROOT / "docs/provisioning.md").read_text()
MAKE = sorted(set(re.findall(r"(?:^|`)(make [a-z-]+(?: [A-Z]+=\w+)*)", README, re.MULTILINE)))
FOLDERS = "functions|shared|infra|tests|docs"
PATH = rf"`((?:[\w.-]+/)*[\w.-]+\.(?:py|md|sql|toml|json)|(?:{FOLDERS})/[\w/.-]*)`"
LINK = r"\]\((?!https?:)([^)#]+)"


@dataclass(frozen=True)
class Started:
    """A system with demo data, what it printed, and how long it took to be ready."""

    system: RunningSystem
    printed: str
    seconds: float


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    """The system as `make run` starts it, but on a free port."""
    log, began = tmp_path_factory.mktemp("readme") / "log", time.monotonic()
    with running(log) as system:
        seconds = time.monotonic() - began
        while "TABLE" not in log.read_text():
            time.sleep(0.02)
        yield Started(system, log.read_text(), seconds)


def shell(command: str) -> str:
    """The output of a command in a shell that stops at the first error."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        cwd=ROOT,
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def commands(printed: str) -> list[str]:
    """The printed commands; one of several lines is one text."""
    _, _, below = printed.partition("What is in the database?\n")
    return re.findall(r"^  (\S(?:.|(?<=\\)\n)*)", below, re.MULTILINE)


def test_the_start_is_measured(
    started: Started, record_property: Callable[[str, object], None]
) -> None:
    """The start takes less than 5 s on an idle machine; here only a hang fails."""
    record_property("start_seconds", round(started.seconds, 2))
    assert started.seconds < 60


def test_the_list_of_versions(started: Started) -> None:
    """The first two commands get a token and list the versions."""
    token, versions, *_ = commands(started.printed)
    listed = json.loads(shell(f"{token}\n{versions}"))
    assert len(listed["items"]) > 10


def test_an_invocation_of_provisioning(started: Started) -> None:
    """The third command answers which image a user gets."""
    answer = json.loads(shell(commands(started.printed)[2]))
    assert answer["user_id"] == "ana@example.com"
    assert answer["image_tag"]


def test_a_look_into_the_database(started: Started) -> None:
    """The last command shows the pins in the database."""
    command = commands(started.printed)[3]
    assert "psql" in command
    table = shell(command)
    assert "image_tag" in table
    assert "@example.com" in table


def test_what_else_is_printed_is_there(started: Started) -> None:
    """The printed page, endpoint and folder of logs exist."""
    addresses = dict(re.findall(r"^  (\w+) +(\S+?),?(?: .*)?$", started.printed, re.MULTILINE))
    assert addresses["Console"] == f"{started.system.url}/console"
    assert addresses["API"] == f"{started.system.url}/docs"
    assert addresses["DynamoDB"] == started.system.status()["dynamodb"]["endpoint"]
    assert list(Path(addresses["logs"]).glob("admin_api.log"))


def test_what_the_readme_shows_is_what_is_printed(started: Started) -> None:
    """The README shows what is printed, but for ports and the folder's name."""
    [shown] = re.findall(
        r"^```text\n(KiloClaw runs on .*?)^```", README, re.DOTALL | re.MULTILINE
    )
    assert _without_chance(started.printed).startswith(_without_chance(shown))
    pages = re.findall(r"http://127\.0\.0\.1:8080(/\S+)", shown)
    found = {path: started.system.get(path).status for path in pages}
    assert found == {"/console": 303, "/docs": 200}


def test_the_answer_that_the_readme_shows(started: Started) -> None:
    """The README's example has the fields of a real answer, in their order."""
    [shown] = re.findall(r"^```json\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    answer = json.loads(shell(commands(started.printed)[2]))
    assert list(json.loads(shown)) == list(answer)


@pytest.fixture(scope="module")
def control_plane() -> dict[str, Any]:
    """What the example of docs/provisioning.md defines."""
    blocks = re.findall(r"^```python\n(.*?)^```", EXAMPLE, re.DOTALL | re.MULTILINE)
    names: dict[str, Any] = {"__name__": "control_plane"}
    exec(blocks[0], names)  # noqa: S102  the page says that it runs
    return names


@pytest.fixture
def client(started: Started, control_plane: dict[str, Any]) -> Iterator[Any]:
    """The example's client, of the local system's Invoke API."""
    client = control_plane["connect"](
        endpoint_url=started.system.url,
        region_name="us-east-1",
        aws_access_key_id="any",
        aws_secret_access_key="any",
    )
    yield client
    client.close()


def test_the_example_for_the_control_plane_runs(
    client: Any, control_plane: dict[str, Any]
) -> None:
    """It names the image of a first start by digest, and a restart keeps that image."""
    image_to_start = control_plane["image_to_start"]
    image = image_to_start(client, "provisioning", "a-new-user", None)
    assert image.startswith("kiloclaw@sha256:")
    assert image_to_start(client, "provisioning", "a-new-user", "unknown-tag") == image
    answer = control_plane["ask"](client, "provisioning", user_id="a-new-user")
    assert (answer["recorded"], answer["changed"]) == (True, False)
    *_, shown = re.findall(r"^```json\n(.*?)^```", EXAMPLE, re.DOTALL | re.MULTILINE)
    assert list(answer) == list(json.loads(shown))
    answer = control_plane["ask"](
        client, "provisioning", user_id="a-new-user", intent="destroy"
    )
    assert answer == {"user_id": "a-new-user", "destroyed": True}


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"user_id": "a-new-user", "colour": "red"}, "InvalidRequest"),
        ({"user_id": "a-new-user", "variant": "unheard-of"}, "NoVersionAvailable"),
    ],
)
def test_the_example_says_why_nothing_was_provisioned(
    client: Any, control_plane: dict[str, Any], fields: dict[str, str], code: str
) -> None:
    """A refusal that a retry cannot change is raised at once, under the page's name for it."""
    with pytest.raises(control_plane["NotProvisioned"]) as refused:
        control_plane["ask"](client, "provisioning", **fields)
    assert refused.value.code == code
    assert f"`{code}`" in EXAMPLE


def _without_chance(text: str) -> str:
    return re.sub(r"127\.0\.0\.1:\d+|\S*/kiloclaw-logs-\w+", "…", text)


@pytest.mark.parametrize("command", MAKE)
def test_its_make_targets_are_there(command: str) -> None:
    """Every make target that the README names exists."""
    assert shell(command.replace("make ", "make --dry-run --no-print-directory ", 1))


def test_its_commands_are_the_usual_ones() -> None:
    """Both commands are named, and every option that is shown exists."""
    assert {"make run", "make test"} <= set(MAKE)
    assert "-m infra.local" in shell("make --dry-run --no-print-directory run")
    options = shell(f"{sys.executable} -m infra.local --help")
    for option in re.findall(r"--[a-z-]+", " ".join(re.findall(r'`ARGS="([^"]*)"`', README))):
        assert option in options


@pytest.mark.parametrize("name", sorted({*re.findall(PATH, README), *re.findall(LINK, README)}))
def test_its_files_are_there(name: str) -> None:
    """Every file that the README names exists."""
    assert (ROOT / name).exists() or list(ROOT.glob(f"functions/*/{name}"))


def test_it_is_short() -> None:
    """The README has at most 120 lines; it links to the rest."""
    assert len(README.splitlines()) <= 120

"""What docs/pipelines.md hands to a pipeline: the script, its variables and its exit codes."""

import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.local import verify_audit
from tests.support.local_system import RunningSystem, running

SCRIPT = Path("docs/pipelines/publish.sh")


class Pipeline:
    """A system, and the script as a pipeline runs it."""

    def __init__(self, system: RunningSystem) -> None:
        self.system = system
        self.environ = {
            "PATH": os.environ["PATH"],
            "KILOCLAW_API": system.url,
            "KILOCLAW_TOKEN": system.token("publisher"),
            "KILOCLAW_ADMIN_TOKEN": system.token("admin"),
            "OPENCLAW_VERSION": "2026.11.24",
            "BRAKE_MIN_FAILURES": "1",
            "SOAK_SECONDS": "1",
            "POLL_SECONDS": "1",
        }

    def start(self, tag: str, **variables: str) -> subprocess.Popen[str]:
        environ = self.environ | {"IMAGE_TAG": tag} | variables
        pipe = subprocess.PIPE
        return subprocess.Popen([SCRIPT], env=environ, stdout=pipe, stderr=pipe, text=True)

    def run(self, tag: str, **variables: str) -> tuple[int, str]:
        """Its exit code, and the last line that it printed."""
        return ended(self.start(tag, **variables))

    def variant(self) -> Any:
        return self.system.get("/v1/variants/default", **self.system.bearer("viewer")).json

    def roll_out(self, tag: str) -> None:
        """Begin the rollout as a person does, with a brake that holds at the first failure."""
        body = {"image_tag": tag, "percent": 100, "brake": {"min_failures": 1, "percent": 1}}
        path = "/v1/variants/default/rollout"
        assert self.system.call("PUT", path, body, self.system.bearer("admin")).status == 200

    def until_candidate(self, tag: str) -> None:
        give_up = time.monotonic() + 30
        while (self.variant()["candidate"] or {}).get("image_tag") != tag:
            assert time.monotonic() < give_up
            time.sleep(0.1)

    def invoke(self, name: str, **payload: str) -> Any:
        path = f"/2015-03-31/functions/{name}/invocations"
        return self.system.call("POST", path, payload).json

    def fail_a_start(self, tag: str) -> None:
        """Tell a user to run the candidate, and report that it failed."""
        assert self.invoke("provisioning", user_id="ana")["image_tag"] == tag
        report = {"image_tag": tag, "outcome": "failed", "start_id": tag}
        reported = self.invoke("provisioning", user_id="ana", intent="report", **report)
        assert reported == {"counted": True, "held": True}


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    out, err = process.communicate(timeout=60)
    return process.returncode, (out + err).splitlines()[-1]


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """An empty system whose variant has a latest, published by the script."""
    with running(
        tmp_path_factory.mktemp("pipeline") / "log", "--empty", "--no-schedule"
    ) as one:
        made = Pipeline(one)
        assert made.run("first", SET_LATEST="true") == (0, "published first")
        yield made


def test_a_rollout_that_goes_well(pipeline: Pipeline) -> None:
    """It ends as the latest, and the whole again changes nothing."""
    done = pipeline.run("good", ROLLOUT_STEPS="50 100")
    assert done == (0, "good is the latest")
    assert pipeline.variant()["latest"]["image_tag"] == "good"
    revision = pipeline.variant()["revision"]
    again = pipeline.run("good", ROLLOUT_STEPS="50 100")
    assert again == (0, "good is the latest already")
    assert pipeline.variant()["revision"] == revision


def test_a_rollout_that_the_brake_holds(pipeline: Pipeline) -> None:
    """It is aborted as soon as the catalog knows."""
    process = pipeline.start("bad", ROLLOUT_STEPS="100", SOAK_SECONDS="60")
    pipeline.until_candidate("bad")
    pipeline.fail_a_start("bad")
    pipeline.invoke("sync")
    assert ended(process) == (3, "the brake held the rollout of bad")
    assert pipeline.variant()["candidate"] is None


def test_a_brake_that_holds_just_before_the_promotion(pipeline: Pipeline) -> None:
    """The promotion is for what was seen last, so it overruns no hold that nobody saw."""
    assert pipeline.run("late")[0] == 0
    pipeline.roll_out("late")
    pipeline.fail_a_start("late")
    assert pipeline.variant()["rollout"]["held"] is False
    held = pipeline.run("late", ROLLOUT_STEPS="100", SOAK_SECONDS="0")
    assert held == (3, "the brake held the rollout of late")
    assert pipeline.variant()["candidate"] is None


def test_a_held_rollout_that_cannot_be_aborted(pipeline: Pipeline) -> None:
    """The exit code says that it was not, and a repeat with a good token aborts it."""
    assert pipeline.run("stuck")[0] == 0
    pipeline.roll_out("stuck")
    pipeline.fail_a_start("stuck")
    pipeline.invoke("sync")
    code, _ = pipeline.run("stuck", ROLLOUT_STEPS="100", KILOCLAW_ADMIN_TOKEN="none")
    assert code == 5
    assert pipeline.variant()["rollout"]["held"] is True
    assert pipeline.run("stuck", ROLLOUT_STEPS="100")[0] == 3
    assert pipeline.variant()["candidate"] is None


def test_a_variant_that_a_person_moves(pipeline: Pipeline) -> None:
    """What they did stands."""
    process = pipeline.start("slow", ROLLOUT_STEPS="10", SOAK_SECONDS="60")
    pipeline.until_candidate("slow")
    path = "/v1/variants/default/rollout"
    aborted = pipeline.system.call("DELETE", path, None, pipeline.system.bearer("admin"))
    assert aborted.status == 204
    assert ended(process)[0] == 4
    assert pipeline.variant()["candidate"] is None


@pytest.mark.parametrize(
    ("code", "variables"),
    [
        (2, {"KILOCLAW_TOKEN": ""}),
        (2, {"OPENCLAW_VERSION": ""}),
        (5, {"OPENCLAW_VERSION": "new"}),
        (5, {"KILOCLAW_TOKEN": "none"}),
        (5, {"ROLLOUT_STEPS": "10", "KILOCLAW_ADMIN_TOKEN": "none"}),
        (6, {"PUBLISHED": "yes", "IMAGE_TAG": "never", "WAIT_SECONDS": "1"}),
        (6, {"KILOCLAW_API": "http://127.0.0.1:1", "WAIT_SECONDS": "1"}),
    ],
)
def test_what_goes_wrong(pipeline: Pipeline, code: int, variables: dict[str, str]) -> None:
    """Each kind of failure has an exit code of its own and says what is wrong."""
    ended_with, text = pipeline.run("other", **variables)
    assert ended_with == code
    assert len(text) > 10
    for secret in ("KILOCLAW_TOKEN", "KILOCLAW_ADMIN_TOKEN"):
        assert pipeline.environ[secret] not in text


def test_the_log_verifies(pipeline: Pipeline, capsys: pytest.CaptureFixture[str]) -> None:
    """The local system's log is found by its port."""
    assert verify_audit.main({"PORT": str(pipeline.system.port)}) == 0
    assert "seal" in capsys.readouterr().out


def test_what_the_script_reads_is_documented() -> None:
    """Every variable and exit code stands in the document, and no other does."""
    script, page = SCRIPT.read_text(), Path("docs/pipelines.md").read_text()
    read = set(re.findall(r"\$\{?([A-Z][A-Z_]+)", script)) - {"ARGS"}
    named = {name for row in re.findall(r"^\| (`[A-Z].*?) \|", page, re.MULTILINE)
             for name in re.findall(r"`([A-Z_]+)`", row)}  # fmt: skip
    assert named == read | {"KILOCLAW_API"}
    codes = set(re.findall(r"^#   (\d)  ", script, re.MULTILINE))
    assert codes == set(re.findall(r"^\| (\d) \|", page, re.MULTILINE))
    assert set(re.findall(r"fail (\d)", script)) | {"0"} == codes
    job = Path("docs/pipelines/publish.yml").read_text()
    assert set(re.findall(r"^ +([A-Z_]{5,}): ", job, re.MULTILINE)) - {"CLIENT"} <= named

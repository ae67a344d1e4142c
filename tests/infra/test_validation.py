"""What tools know about templates, and what `cdk.json` may say."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tests.infra.templates import CONTEXT, Template, changed, synthesise

ACCEPTED = (
    "W3005",  # CDK says some dependencies twice
    "W3691",  # RDS takes "17" for the newest minor version of 17
)


def test_cfn_lint_finds_nothing(template: Template) -> None:
    """Neither errors nor warnings."""
    command = [Path(sys.executable).with_name("cfn-lint"), "--ignore-checks", *ACCEPTED]
    run = subprocess.run(
        [*command, "--", template.file], capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stdout) == (0, "")


def test_cdk_nag_finds_nothing_new(template: Template) -> None:
    """It ran; what it found stands acknowledged, each with a reason."""
    report = json.loads((template.folder / "validation-report.json").read_text())
    found = {plugin["pluginName"]: plugin for plugin in report["pluginReports"]}
    assert found["AwsSolutions"]["conclusion"] == "success"
    assert found["AwsSolutions"]["violations"] == []


def test_cdk_nag_stops_what_nobody_acknowledged(tmp_path: Path) -> None:
    """The guard is on: a throw-away stage's excuses are not made for a protected one."""
    database = CONTEXT["stages"]["prod"]["database"] | {"multi_az": False}
    with pytest.raises(RuntimeError, match="ValidationFailed"):
        synthesise(tmp_path, **changed("prod", database=database))


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"sync_max_new": -1}, "sync_max_new"),
        ({"sync_max_new": "5"}, "sync_max_new"),
        ({"log_days": 15}, "log_days"),
        ({"network": "0.0.0.0/0"}, "network"),
        ({"unknown": 1}, "unknown"),
        ({"caller_role": "arn:aws:iam::*:role/any"}, "caller_role"),
        ({"caller_role": "*"}, "caller_role"),
        ({"pipeline": {"principal": "*"}}, "pipeline"),
        ({"functions": {}}, "sizes are missing"),
        ({"throttling": {"rate": 0, "burst": 1}}, "rate"),
        ({"database": CONTEXT["stages"]["dev"]["database"] | {"backup_days": 0}}, "backup"),
        (
            {"database": CONTEXT["stages"]["dev"]["database"] | {"max_storage_gib": 20}}
            | {"database": CONTEXT["stages"]["prod"]["database"] | {"max_storage_gib": 99}},
            "max_storage_gib",
        ),
    ],
)
def test_settings_are_checked(settings: dict[str, Any], field: str) -> None:
    """A slip in cdk.json is one clear message."""
    from infra.settings import read_stage  # noqa: PLC0415

    with pytest.raises(ValidationError, match=field):
        read_stage("dev", changed("dev", **settings)["stages"])


@pytest.mark.parametrize("name", [None, "", "live", 7])
def test_a_stage_is_chosen(name: object) -> None:
    """None is a default: nobody deploys one by accident."""
    from infra.settings import read_stage  # noqa: PLC0415

    with pytest.raises(ValueError, match=r"dev\|prod"):
        read_stage(name, CONTEXT["stages"])

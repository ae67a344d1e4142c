"""Findings of cfn-lint and cdk-nag, and the validation of `cdk.json`."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tests.support.templates import CONTEXT, Template, changed

DATABASE = CONTEXT["stages"]["dev"]["database"]
ACCEPTED = (
    "W3010",  # zones are named on purpose: RDS Proxy is not offered in every zone
    "W3005",  # CDK says some dependencies twice
    "W3691",  # RDS takes "17" for the newest minor version of 17
)


def test_cfn_lint_finds_nothing(template_of: Callable[[str], Template]) -> None:
    """There are neither errors nor warnings in any stage."""
    cfn_lint = str(Path(sys.executable).with_name("cfn-lint"))
    files = [str(template_of(stage).file) for stage in CONTEXT["stages"]]
    command = [cfn_lint, "--ignore-checks", *ACCEPTED, "--", *files]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (0, "")


def test_cdk_nag_finds_nothing_new(template: Template) -> None:
    """It ran, and each of its findings is acknowledged with a reason."""
    report = json.loads((template.folder / "validation-report.json").read_text())
    found = {plugin["pluginName"]: plugin for plugin in report["pluginReports"]}
    assert found["AwsSolutions"]["conclusion"] == "success"
    assert found["AwsSolutions"]["violations"] == []


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"sync_max_new": -1}, "sync_max_new"),
        ({"sync_max_new": "5"}, "sync_max_new"),
        ({"log_days": 15}, "log_days"),
        ({"network": "0.0.0.0/0"}, "network"),
        ({"unknown": 1}, "unknown"),
        ({"availability_zones": ["eu-central-1a"]}, "availability_zones"),
        ({"availability_zones": ["eu-central-1a", "euc1-az2"]}, "availability_zones"),
        ({"restored_database": "kiloclaw-restored"}, "restored_database"),
        ({"caller_role": "arn:aws:iam::*:role/any"}, "caller_role"),
        ({"caller_role": "*"}, "caller_role"),
        ({"console_origin": "https://kiloclaw.example.com/"}, "console_origin"),
        ({"console_origin": "http://kiloclaw.example.com"}, "console_origin"),
        ({"pipeline": {"principal": "*"}}, "pipeline"),
        ({"memory_mib": {"typo": 512}}, "no such function: typo"),
        ({"throttling": {"rate": 0, "burst": 1}}, "rate"),
        ({"database": DATABASE | {"backup_days": 0}}, "backup"),
        ({"database": DATABASE | {"storage_gib": 100}}, "max_storage_gib"),
    ],
)
def test_settings_are_checked(settings: dict[str, Any], field: str) -> None:
    """A mistake in cdk.json is reported with the name of the setting."""
    from infra.settings import read_stage  # noqa: PLC0415

    with pytest.raises(ValidationError, match=field):
        read_stage("dev", changed("dev", **settings)["stages"])


@pytest.mark.parametrize("name", [None, "", "live", 7])
def test_a_stage_is_chosen(name: object) -> None:
    """There is no default stage, so nobody deploys one by accident."""
    from infra.settings import read_stage  # noqa: PLC0415

    with pytest.raises(ValueError, match=r"dev\|prod"):
        read_stage(name, CONTEXT["stages"])

"""What the make targets do, tried with stand-ins for the programs that take long."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.local.aws.environments import ROOT

PYTHON = """#!/bin/bash
if [[ "$1 $2" == "-m venv" ]]; then
    mkdir -p "$3/bin"
    cp "$0" "$3/bin/python"
    printf '#!/bin/bash\\nexit $UV_STATUS' > "$3/bin/uv"
    chmod +x "$3/bin/uv"
fi
"""


def make(
    *arguments: str, folder: Path = ROOT, **variables: str
) -> subprocess.CompletedProcess[str]:
    """The finished process of `make`; the project's Makefile is used in any folder."""
    return subprocess.run(
        ["make", "--no-print-directory", f"--file={ROOT / 'Makefile'}", *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], **variables},
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )


def program(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_a_run_of_some_tests_has_no_coverage_gate() -> None:
    """ARGS is all that pytest gets; without it all tests run and are measured."""
    ready = ("--dry-run", "--assume-old=.venv/.dev", "test")
    assert make(*ready, "ARGS=tests/unit -x").stdout.endswith("-m pytest tests/unit -x\n")
    assert "--cov" in make(*ready).stdout


def test_an_unknown_stage_is_one_line() -> None:
    """It names the stages that there are, and nothing is installed before."""
    done = make("diff", "STAGE=nope")
    assert done.returncode != 0
    assert done.stdout == ""
    [line] = done.stderr.splitlines()
    assert "STAGE=nope is not in cdk.json: choose one of dev prod" in line


def test_every_failing_gate_is_reported(tmp_path: Path) -> None:
    """The gates after a failing one run as well."""
    for name, status in {"ruff": 1, "mypy": 0, "ty": 1, "lint-imports": 0, "squawk": 0}.items():
        program(tmp_path / name, f"#!/bin/bash\necho {name} ran\nexit {status}")
    done = make("--assume-old=.venv/.dev", "check", f"BIN={tmp_path}")
    assert done.returncode != 0
    assert "squawk ran" in done.stdout
    failed = [line for line in done.stderr.splitlines() if line.startswith("failed: ")]
    assert [line.split()[1] for line in failed] == ["ruff", "ruff", "ty"]


def test_an_interrupted_set_up_is_mended(tmp_path: Path) -> None:
    """An environment that an interruption left half made is made anew by the next run."""
    (tmp_path / "requirements").symlink_to(ROOT / "requirements")
    python = program(tmp_path / "python3", PYTHON)
    left = tmp_path / ".venv" / "left"

    def setup(status: int) -> subprocess.CompletedProcess[str]:
        return make("setup", f"PYTHON={python}", folder=tmp_path, UV_STATUS=str(status))

    assert setup(1).returncode != 0
    left.touch()
    mended = setup(0)
    assert mended.returncode == 0, mended.stderr
    assert "Set-up 1 of 2" in mended.stdout
    assert "Set-up 2 of 2" in mended.stdout
    assert not left.exists()
    assert "Set-up" not in setup(0).stdout


@pytest.mark.parametrize(
    ("arguments", "status", "printed"),
    [(["--help"], 0, "--port"), ([], 1, "is missing. Start with: make run\n")],
)
def test_without_the_packages(arguments: list[str], status: int, printed: str) -> None:
    """A Python without the packages prints the options, and else which command to use."""
    command = [sys.executable, "-S", "-m", "infra.local", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, text=True)
    assert done.returncode == status
    assert printed in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_options_are_named_as_they_were_typed() -> None:
    """Started by make, an error says how the option is given to make."""
    command = [sys.executable, "-m", "infra.local", "--port", "x"]
    for started_by, form in (("make", 'make run ARGS="…"'), ("", "python -m infra.local")):
        environ = os.environ | {"STARTED_BY": started_by}
        done = subprocess.run(
            command, cwd=ROOT, env=environ, capture_output=True, check=False, text=True
        )
        assert done.returncode == 2
        assert f"{form}: error: argument --port: must be a number" in done.stderr

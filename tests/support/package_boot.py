"""Runs a package as Lambda does: unzipped, with the runtime's libraries and no others."""

import importlib.util
import json
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from infra.local import processes
from infra.local.aws.runtime_api import InvocationEvent, InvocationResult, RuntimeApi

RUNTIME = (
    *("boto3", "botocore", "dateutil", "jmespath", "s3transfer", "six", "urllib3"),
    *("awslambdaric", "runtime_client", "simplejson", "snapshot_restore_py"),
)
"""boto3, Lambda's runtime client, and the libraries that they import."""

BOOT = """
import sys
package, runtime, handler = sys.argv[1:]
sys.path[:] = [package, *sys.path, runtime]
from awslambdaric.__main__ import main
main(["awslambdaric", handler])
"""
ANSWER_SECONDS = 30.0


def make_runtime(folder: Path) -> Path:
    """Make a folder with the runtime's libraries and no others of this environment."""
    folder.mkdir()
    for name in RUNTIME:
        spec = importlib.util.find_spec(name)
        assert spec is not None
        assert spec.origin is not None
        found = Path(spec.origin)
        found = found.parent if found.stem == "__init__" else found
        (folder / found.name).symlink_to(found)
    return folder


def unzip(archive: Path, folder: Path) -> Path:
    with ZipFile(archive) as packed:
        packed.extractall(folder)
    return folder


def isolated(script: str, *arguments: str | Path) -> list[str]:
    """Build a command that sees neither installed packages nor files of this project."""
    base = getattr(sys, "_base_executable", sys.executable)
    return [base, "-I", "-S", "-B", "-c", script, *map(str, arguments)]


class PackageSandbox:
    """One environment of a function. Every invocation has its answer before the next."""

    def __init__(self, api: RuntimeApi) -> None:
        self._api = api

    def invoke(self, event: Mapping[str, object]) -> Any:
        """Return the answer. An error of the function fails the test."""
        payload = json.dumps(event).encode()
        self._api.give(InvocationEvent("1", payload, time.time() + ANSWER_SECONDS))
        answer = self._api.take(ANSWER_SECONDS) or InvocationResult.failed(
            "Silent", "no answer"
        )
        assert not answer.error, answer.payload
        return json.loads(answer.payload)


@contextmanager
def booted(
    name: str, package: Path, runtime: Path, environ: Mapping[str, str]
) -> Generator[PackageSandbox]:
    """Start the package's handler under Lambda's runtime interface client."""
    api = RuntimeApi(f"arn:aws:lambda:eu-central-1:123456789012:function:{name}")
    process = processes.start(
        isolated(BOOT, package, runtime, f"functions.{name}.handler.handler"),
        cwd=package,
        env={**environ, "AWS_LAMBDA_RUNTIME_API": api.address},
        stdin=subprocess.DEVNULL,
    )
    try:
        yield PackageSandbox(api)
    finally:
        processes.stop(process)
        api.close()

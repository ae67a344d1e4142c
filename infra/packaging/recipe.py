"""Builds a function's package: libraries from wheels, the project's files, bytecode, one zip.

The same input gives the same bytes on every machine and at any time.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from uv import find_uv_bin

from infra.packaging.sources import FOLDER, ROOT, files

UV = find_uv_bin()
NOT_PACKED = (
    "bin",
    ".lock",
    *(f"*.dist-info/{name}" for name in ("RECORD", "INSTALLER", "REQUESTED")),
    *("botocore*", "urllib3*", "dateutil", "python_dateutil*", "six*"),
)
"""Programs, what the installer notes about where and how it installed, and botocore with what
it needs, which Lambda's runtime brings."""

ON_LAMBDA = "/var/task"
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The oldest time that a zip file can hold."""

REGULAR_FILE = 0o100644 << 16
UNIX = 3


@dataclass(frozen=True, slots=True)
class Target:
    """The machine that a package is for. `platform` is uv's name; None means this machine."""

    python: str
    platform: str | None


LAMBDA = Target("3.13", "aarch64-manylinux_2_28")
HERE = Target(f"{sys.version_info.major}.{sys.version_info.minor}", None)


@dataclass(frozen=True, slots=True)
class Package:
    """A package that was built. Sizes are in bytes."""

    name: str
    archive: Path
    files: int
    unzipped: int

    @property
    def zipped(self) -> int:
        return self.archive.stat().st_size


def build(
    name: str,
    archive: Path,
    target: Target = LAMBDA,
    *,
    bytecode: bool = True,
    cache: Path | None = None,
) -> Package:
    """Build a function's package, with bytecode if `interpreter` finds a Python to compile it.

    `cache` is the folder of uv's cache; None means the usual one. Raises
    subprocess.CalledProcessError.
    """
    with TemporaryDirectory(prefix="kiloclaw-package-") as folder:
        tree = Path(folder) / name
        _install(name, tree, target, cache)
        _copy(name, tree)
        python = interpreter(target.python)
        if bytecode and python:
            _compile(python, tree)
        return _zip(name, tree, archive)


def interpreter(version: str) -> str | None:
    """Find a Python of this minor version. Bytecode is valid for one minor version only."""
    if version == HERE.python:
        return sys.executable
    # pyenv puts shims on the path, which run only if PYENV_VERSION names their version.
    environ = os.environ | {"PYENV_VERSION": version}
    for folder in os.get_exec_path():
        if found := shutil.which(f"python{version}", path=folder):
            command = [found, "-I", "-c", "import sys; print(sys.executable)"]
            asked = subprocess.run(command, env=environ, capture_output=True, check=False)
            if asked.returncode == 0:
                return asked.stdout.decode().strip()
    return None


def _install(name: str, tree: Path, target: Target, cache: Path | None) -> None:
    command = [UV, "pip", "install", "--quiet", "--link-mode", "copy"]
    command += ["--require-hashes", "--only-binary", ":all:"]
    command += ["--target", str(tree), "--python", sys.executable]
    command += ["--python-version", target.python]
    command += ["--python-platform", target.platform] if target.platform else []
    command += ["--cache-dir", str(cache)] if cache else []
    requirements = FOLDER / name / "requirements.txt"
    subprocess.run([*command, "--requirement", str(requirements)], check=True)
    for path in [path for pattern in NOT_PACKED for path in tree.glob(pattern)]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _copy(name: str, tree: Path) -> None:
    for file in files(name):
        path = tree / file.relative_to(ROOT)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.read_bytes())


def _compile(python: str, tree: Path) -> None:
    """Compile bytecode that is never compared with its source, which does not change on Lambda.

    One process compiles all files, because the bytes depend on the order.
    """
    command = [python, "-I", "-m", "compileall", "-q", "-f", "-j", "1"]
    command += ["--invalidation-mode", "unchecked-hash", "-s", str(tree), "-p", ON_LAMBDA]
    subprocess.run([*command, str(tree)], check=True)


def _zip(name: str, tree: Path, archive: Path) -> Package:
    archive.parent.mkdir(parents=True, exist_ok=True)
    paths = sorted(path for path in tree.rglob("*") if path.is_file())
    with ZipFile(archive, "w") as packed:
        for path in paths:
            entry = ZipInfo(path.relative_to(tree).as_posix(), EPOCH)
            entry.external_attr, entry.create_system = REGULAR_FILE, UNIX
            entry.compress_type = ZIP_DEFLATED
            packed.writestr(entry, path.read_bytes())
        sizes = [entry.file_size for entry in packed.infolist()]
    return Package(name, archive, len(sizes), sum(sizes))

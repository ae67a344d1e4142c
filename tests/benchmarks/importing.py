"""What bytecode in the packages saves: the import of each handler, with it and without."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from infra.packaging.recipe import HERE, build
from infra.packaging.sources import names
from tests.benchmarks.measuring import Measurement, at_most
from tests.infra.booting import isolated, make_runtime, unzip

ROUNDS = 7
LIMIT = 0.75
IMPORT = """
import importlib, sys, time
package, runtime, module = sys.argv[1:]
sys.path[:] = [package, *sys.path, runtime]
began = time.process_time()
importlib.import_module(module)
print(time.process_time() - began)
"""


def measure() -> Iterator[Measurement]:
    """Fresh interpreters on this machine's packages, both sides in turns."""
    with TemporaryDirectory() as folder:
        runtime = make_runtime(Path(folder) / "runtime")
        for name in names():
            compiled, plain = _medians(name, Path(folder), runtime)
            times = f"{compiled * 1e3:.0f} ms with bytecode against {plain * 1e3:.0f} without"
            yield at_most(f"import of {name}: {times}", compiled / plain, LIMIT)


def _medians(name: str, folder: Path, runtime: Path) -> tuple[float, float]:
    """With bytecode, and without."""
    sides = [folder / f"{name}-compiled", folder / f"{name}-plain"]
    for side, bytecode in zip(sides, (True, False), strict=True):
        unzip(build(name, folder / "package.zip", HERE, bytecode=bytecode).archive, side)
    rounds = [[_seconds(name, side, runtime) for side in sides] for _ in range(ROUNDS)]
    compiled, plain = zip(*rounds[1:], strict=True)
    return median(compiled), median(plain)


def _seconds(name: str, package: Path, runtime: Path) -> float:
    """Processor time, which the machine's other work does not lengthen."""
    command = isolated(IMPORT, package, runtime, f"functions.{name}.handler")
    done = subprocess.run(command, env={}, check=True, capture_output=True, text=True)
    return float(done.stdout)

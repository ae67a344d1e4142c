"""What bytecode in the packages saves: the import of each handler, with it and without."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from infra.functions import FUNCTIONS
from infra.packaging.recipe import HERE, build
from tests.benchmarks.measuring import Measurement, at_most
from tests.support.package_boot import isolated, make_runtime, unzip

ROUNDS = 6
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
        for name in FUNCTIONS:
            rounds = _rounds(name, Path(folder), runtime)
            compiled, plain = (median(side) for side in zip(*rounds, strict=True))
            times = f"{compiled * 1e3:.0f} ms with bytecode against {plain * 1e3:.0f} without"
            # Of the rounds' own ratios, as both sides of one met the same machine.
            ratio = median(side[0] / side[1] for side in rounds)
            yield at_most(f"import of {name}: {times}", ratio, LIMIT)


def _rounds(name: str, folder: Path, runtime: Path) -> list[tuple[float, float]]:
    """Seconds with bytecode and without, the first round, which reads files, left out."""
    compiled, plain = folder / f"{name}-compiled", folder / f"{name}-plain"
    for side in (compiled, plain):
        package = build(name, folder / "package.zip", HERE, bytecode=side is compiled)
        unzip(package.archive, side)
    return [
        (_seconds(name, compiled, runtime), _seconds(name, plain, runtime))
        for _ in range(ROUNDS)
    ][1:]


def _seconds(name: str, package: Path, runtime: Path) -> float:
    """Processor time, which the machine's other work does not lengthen."""
    command = isolated(IMPORT, package, runtime, f"functions.{name}.handler")
    done = subprocess.run(command, env={}, check=True, capture_output=True, text=True)
    return float(done.stdout)

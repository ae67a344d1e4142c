"""`make package`: build every function's package and print the sizes."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from infra.functions import FUNCTIONS
from infra.packaging.recipe import LAMBDA, Package, build, interpreter

FOLDER = Path("build/packages")
MEGABYTE = 1e6


def main() -> int:
    """Build all packages. Returns 1 if one of them is too large."""
    if interpreter(LAMBDA.python) is None:
        print(f"no python{LAMBDA.python} was found, so the packages have no bytecode")
    with ThreadPoolExecutor() as pool:
        packages = list(pool.map(lambda name: build(name, FOLDER / f"{name}.zip"), FUNCTIONS))
    print(f"{'function':<14}{'files':>6}{'zipped':>11}{'unzipped':>11}")
    for package in packages:
        print(_line(package))
    return 1 if any(map(_too_large, packages)) else 0


def _too_large(package: Package) -> bool:
    return package.unzipped > _limit(package) * MEGABYTE


def _limit(package: Package) -> float:
    return FUNCTIONS[package.name].max_package_megabytes


def _line(package: Package) -> str:
    sizes = [f"{size / MEGABYTE:.1f} MB" for size in (package.zipped, package.unzipped)]
    line = f"{package.name:<14}{package.files:>6}{sizes[0]:>11}{sizes[1]:>11}"
    too_large = f"   more than {_limit(package):g} MB"
    return line + (too_large if _too_large(package) else "")


if __name__ == "__main__":
    sys.exit(main())

"""The project's own files that go into a function's package."""

from functools import cache
from pathlib import Path

import grimp

from infra.functions import FUNCTIONS

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "functions"


def files(name: str) -> list[Path]:
    """List all of the project's files for a function's package, sorted."""
    data = (path for pattern in FUNCTIONS[name].data_files for path in ROOT.glob(pattern))
    return sorted({*_own(name), *map(_file, _modules(name)), *data})


def third_party(name: str) -> set[str]:
    """Name the libraries that a function's modules import, standard library included."""
    graph = _graph()
    imported = set().union(*map(graph.find_modules_directly_imported_by, _modules(name)))
    return {module for module in imported if graph.is_module_squashed(module)}


@cache
def _graph() -> grimp.ImportGraph:
    """All imports of the product, lazy ones too, less those for type checkers alone."""
    return grimp.build_graph(
        "functions",
        "shared",
        include_external_packages=True,
        exclude_type_checking_imports=True,
        cache_dir=None,
    )


def _modules(name: str) -> set[str]:
    """Name the project's modules that run when those of a function are imported."""
    graph = _graph()
    package = f"functions.{name}"
    found: set[str] = set()
    new = {package, *graph.find_descendants(package)}
    while new:
        found |= new
        new = {other for module in new for other in _needed(graph, module)} - found
    return found


def _needed(graph: grimp.ImportGraph, module: str) -> set[str]:
    """The project's modules that a module imports, and the package that it is in."""
    imported = graph.find_modules_directly_imported_by(module)
    package = module.rpartition(".")[0]
    ours = {other for other in imported if not graph.is_module_squashed(other)}
    return ours | ({package} if package else set())


def _file(module: str) -> Path:
    path = ROOT.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _own(name: str) -> set[Path]:
    folder = FOLDER / name
    return {
        path
        for path in folder.rglob("*")
        if path.is_file() and path.parent.name != "__pycache__"
        if path not in {folder / "requirements.in", folder / "requirements.txt"}
    }

"""Which files of ours a function needs: its own folder, and what that imports from `shared`."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FUNCTIONS = ROOT / "functions"

DATA = {"migrate": ("shared/catalog/roles.sql", "shared/catalog/migrations/*.sql")}
"""What a function reads beside modules, outside its own folder."""


def names() -> list[str]:
    """The functions: the folders with requirements of their own."""
    return sorted(path.parent.name for path in FUNCTIONS.glob("*/requirements.in"))


def files(name: str) -> list[Path]:
    """All files of ours for a function's package, in order."""
    found: set[Path] = set()
    new = _own(name)
    while new:
        found |= new
        new = {path for file in new for path in _imported_files(file)} - found
    data = {path for pattern in DATA.get(name, ()) for path in ROOT.glob(pattern)}
    return sorted(found | data)


def imports(file: Path) -> set[str]:
    """The dotted names that a module imports, anywhere in it but for types alone."""
    return set(_names(ast.parse(file.read_bytes()))) if file.suffix == ".py" else set()


def _own(name: str) -> set[Path]:
    folder = FUNCTIONS / name
    return {
        path
        for path in folder.rglob("*")
        if path.is_file() and path.parent.name != "__pycache__"
        if path not in {folder / "requirements.in", folder / "requirements.txt"}
    }


def _imported_files(file: Path) -> Iterator[Path]:
    """A module stands behind its packages, which run when it is imported."""
    here = ".".join(file.relative_to(ROOT).with_suffix("").parts)
    for dotted in {here, *imports(file)}:
        parts = dotted.split(".")
        for depth in range(1, len(parts) + 1):
            path = ROOT.joinpath(*parts[:depth])
            candidates = (path / "__init__.py", path.with_name(f"{path.name}.py"))
            yield from (found for found in candidates if found.exists())


def _names(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.If(test=ast.Name(id="TYPE_CHECKING"), orelse=otherwise):
            below: list[ast.AST] = [*otherwise]
        case ast.Import(names=aliases):
            yield from (alias.name for alias in aliases)
            return
        case ast.ImportFrom(module=str(module), level=0, names=aliases):
            # What is imported from a package may be a module of it.
            yield from (f"{module}.{alias.name}" for alias in aliases)
            return
        case _:
            below = [*ast.iter_child_nodes(node)]
    for child in below:
        yield from _names(child)

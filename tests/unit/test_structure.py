"""The shape of the code: what no linter checks."""

import ast
from collections import Counter
from pathlib import Path

PRODUCT = ("functions", "shared", "infra")
MAX_PARAMETERS = 6


def _nodes(kind: type[ast.AST]) -> list[tuple[Path, ast.AST]]:
    paths = [path for folder in PRODUCT for path in Path(folder).rglob("*.py")]
    trees = [(path, ast.parse(path.read_text())) for path in paths]
    return [
        (path, node)
        for path, tree in trees
        for node in ast.walk(tree)
        if isinstance(node, kind)
    ]


def test_no_class_name_stands_twice() -> None:
    """A class is found by its name alone."""
    names = Counter(getattr(node, "name", "") for _, node in _nodes(ast.ClassDef))
    assert [name for name, count in names.items() if count > 1] == []


def test_no_function_has_more_than_six_parameters() -> None:
    """A function that needs more takes a value that holds them."""
    long = []
    for path, node in _nodes(ast.FunctionDef):
        assert isinstance(node, ast.FunctionDef)
        arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        names = [one.arg for one in arguments if one.arg not in {"self", "cls"}]
        if len(names) > MAX_PARAMETERS:
            long.append(f"{path}:{node.name}")
    assert long == []

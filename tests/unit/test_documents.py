"""What the documents name is there: files, functions, tests, and pages that they link to."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import get_args

import pytest

from shared.domain.model import Intent, PinState

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("functions", "shared", "infra", "tests", "docs")
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
NAME = re.compile(r"`((?:[\w-]+/)*[\w-]+\.py)::([\w.]+)(?:\[([^\]`]+)\])?`")
"""`path.py::name`, `path.py::Class.method`, `path.py::test[case]`; the path may be cut short
from the left as long as it means one file."""
PATH = re.compile(rf"`((?:{'|'.join(FOLDERS)})/[\w/.-]+)`")
MERMAID = re.compile(r"^```mermaid\n(.*?)^```", re.DOTALL | re.MULTILINE)
CALL = re.compile(r"\b(\w+)\(")
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")


@cache
def sources() -> list[str]:
    """Every Python file of ours, relative to the root."""
    found = (path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
    return [path.relative_to(ROOT).as_posix() for path in found]


@cache
def definitions(source: str) -> frozenset[str]:
    """The functions, classes, methods, fields and constants that a file defines."""
    return frozenset(_names(ast.parse((ROOT / source).read_text()).body))


def _names(body: list[ast.stmt], prefix: str = "") -> Iterator[str]:
    for node in body:
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                yield prefix + name
                if isinstance(node, ast.ClassDef):
                    yield from _names(node.body, f"{prefix}{name}.")
            case (
                ast.Assign(targets=[ast.Name(id=name)])
                | ast.AnnAssign(target=ast.Name(id=name))
            ):
                yield prefix + name


def _missing_name(path: str, name: str, case: str) -> str | None:
    """What is wrong with `path::name[case]`, or None."""
    files = [source for source in sources() if f"/{source}".endswith(f"/{path}")]
    if len(files) != 1:
        return f"{path} means {len(files)} files"
    if name not in definitions(files[0]):
        return f"{files[0]} does not define {name}"
    if case and f'"{case}"' not in (ROOT / files[0]).read_text():
        return f"{files[0]} has no case {case!r}"
    return None


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_name_in_a_document_exists(page: Path) -> None:
    """A function or test that is renamed must be renamed in the documents too."""
    references = NAME.findall(page.read_text())
    faults = {_missing_name(*reference) for reference in references} - {None}
    assert not faults, f"mend {page.relative_to(ROOT)}: {sorted(filter(None, faults))}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_file_in_a_document_exists(page: Path) -> None:
    """Paths from the root in code font, and links relative to the page."""
    text = page.read_text()
    named = {ROOT / path for path in PATH.findall(text)}
    linked = {page.parent / link for link in LINK.findall(text)}
    gone = sorted(str(path) for path in named | linked if not path.exists())
    assert not gone, f"mend {page.relative_to(ROOT)}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_function_in_a_diagram_exists(page: Path) -> None:
    """In a mermaid diagram, what is written as a call is a function of ours."""
    called = {
        name for block in MERMAID.findall(page.read_text()) for name in CALL.findall(block)
    }
    ours = {name.rpartition(".")[2] for source in sources() for name in definitions(source)}
    assert called <= ours, f"mend {page.relative_to(ROOT)}"


def test_every_trace_code_is_explained() -> None:
    """The table of rules names each code that a rule can give, and no other."""
    text = (ROOT / "docs/architecture.md").read_text()
    rows = re.findall(r"^\| \d \| `\w+` \|.*\| (.*) \|$", text, re.MULTILINE)
    named = {code for row in rows for code in re.findall(r"`(\w+)`", row)}
    assert named == _trace_codes()


def _trace_codes() -> set[str]:
    """The pin states and intents, and the codes that rules return beside an image or None."""
    tree = ast.parse((ROOT / "shared/domain/resolution.py").read_text())
    states = set(get_args(PinState)) - {"unknown"}
    intents = {f"intent_{intent}" for intent in get_args(Intent) if intent != "restart"}
    return states | intents | {code for node in ast.walk(tree) for code in _codes(node)}


def _codes(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Tuple(elts=[_, ast.Constant(value=str(code))]):
            yield code
        case ast.keyword(arg="code", value=ast.Constant(value=str(code))):
            yield code


def test_a_name_that_is_gone_is_noticed() -> None:
    """The check itself finds a missing file, name and case, and takes what is right."""
    assert _missing_name("nowhere.py", "name", "") == "nowhere.py means 0 files"
    assert _missing_name("__init__.py", "name", "") is not None
    assert "does not define" in str(_missing_name("tests/unit/test_documents.py", "gone", ""))
    assert "no case" in str(_missing_name("tests/unit/test_documents.py", "ROOT", "so" + "me"))
    assert _missing_name("usecases/moves.py", "move", "") is None
    assert _missing_name("domain/pointer.py", "Pointer.promote", "") is None

"""Each function's package holds all that the function needs, and no more."""

import re
import struct
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from zipfile import ZipFile

import pytest

from infra.functions import FUNCTIONS
from infra.packaging.recipe import LAMBDA, Package, build, interpreter
from infra.packaging.sources import FOLDER, ROOT, files, third_party

DATABASE = {"certifi", "psycopg", "psycopg_binary", "psycopg_binary.libs"}
POWERTOOLS = {"aws_lambda_powertools", "jmespath", "typing_extensions.py"}
PYDANTIC = {"annotated_types", "pydantic", "pydantic_core", "typing_inspection"}
TRACER = {"aws_xray_sdk", "wrapt", "wrapt-stubs"}
PAGES = {"humanize", "jinja2", "markupsafe", "multipart", "python_multipart"}
OPENID = {
    *(
        "authlib",
        "joserfc",
        "cryptography",
        "cffi",
        "_cffi_backend.cpython-313-aarch64-linux-gnu.so",
    ),
    *("pycparser", "requests", "charset_normalizer", "idna", "certifi"),
}
OURS = {"functions", "shared"}
EXPECTED = {
    "admin_api": OURS | DATABASE | POWERTOOLS | PYDANTIC | TRACER,
    "console": OURS | DATABASE | POWERTOOLS | PYDANTIC | TRACER | PAGES,
    "fleet": OURS | DATABASE | POWERTOOLS,
    "migrate": OURS | DATABASE,
    "provisioning": OURS | DATABASE | POWERTOOLS,
    "sign_in": OURS | POWERTOOLS | TRACER | OPENID | {"markupsafe"},
    "sync": OURS | DATABASE | POWERTOOLS,
}
BROUGHT = {"boto3", "botocore", "pydantic_core"}
"""Brought by the runtime, or by pydantic."""

AARCH64 = 183
"""https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html: e_machine."""

UNCHECKED_HASH = 1
"""https://peps.python.org/pep-0552/: bytecode with a hash that is not compared."""

each = pytest.mark.parametrize("name", FUNCTIONS)


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Package]:
    """Every function's package as it is deployed."""
    folder = tmp_path_factory.mktemp("packages")
    with ThreadPoolExecutor(2) as pool:
        built = pool.map(lambda name: build(name, folder / f"{name}.zip"), FUNCTIONS)
        return {package.name: package for package in built}


@each
def test_a_package_holds_nothing_unexpected(packages: dict[str, Package], name: str) -> None:
    """Only known libraries are in it; nothing of the runtime, no notes of the installer."""
    entries = _entries(packages[name])
    roots = {entry.split("/")[0] for entry in entries} - {"__pycache__"}
    assert {root for root in roots if not root.endswith(".dist-info")} == EXPECTED[name]
    noise = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json", "requirements.in"}
    assert not {entry for entry in entries if entry.split("/")[-1] in noise}
    assert {entry.split("/")[1] for entry in entries if entry.startswith("functions/")} == {
        "__init__.py", name, *({"__pycache__"} if interpreter(LAMBDA.python) else ())
    }  # fmt: skip


@each
def test_machine_code_is_for_the_functions_machine(
    packages: dict[str, Package], name: str
) -> None:
    """Every shared library is for arm64, and every wheel for arm64 or for all machines."""
    machines, tags = {}, set()
    with ZipFile(packages[name].archive) as packed:
        for entry in packed.namelist():
            content = packed.read(entry)
            if content.startswith(b"\x7fELF"):
                machines[entry] = struct.unpack_from("<H", content, 18)[0]
            if entry.endswith(".dist-info/WHEEL"):
                tags |= set(re.findall(r"^Tag: (\S+)$", content.decode(), re.MULTILINE))
    assert machines
    assert set(machines.values()) == {AARCH64}
    assert all(
        re.fullmatch(r"(py2|py3)-none-any|cp313-cp313-\w+_aarch64|cp3\d+-abi3-\w+_aarch64", tag)
        for tag in tags
    ), tags


@each
def test_bytecode_is_there_and_not_compared(packages: dict[str, Package], name: str) -> None:
    """Each module has its bytecode if a Python of the runtime's version is installed."""
    with ZipFile(packages[name].archive) as packed:
        found = {entry for entry in packed.namelist() if entry.endswith(".pyc")}
        flags = {struct.unpack_from("<I", packed.read(entry), 4)[0] for entry in found}
    sources = {entry for entry in _entries(packages[name]) if entry.endswith(".py")}
    compiled = {
        re.sub(r"([^/]+)\.py$", r"__pycache__/\1.cpython-313.pyc", entry) for entry in sources
    }
    if interpreter(LAMBDA.python):
        assert (found, flags) == (compiled, {UNCHECKED_HASH})
    else:
        assert not found


def test_the_same_input_makes_the_same_bytes(
    packages: dict[str, Package], tmp_path: Path
) -> None:
    """A build into another folder, with an empty cache, gives the same archive."""
    archive = tmp_path / "elsewhere" / "again.zip"
    again = build("migrate", archive, cache=tmp_path / "cache")
    assert again.archive.read_bytes() == packages["migrate"].archive.read_bytes()


def test_bytecode_is_the_same_each_time(packages: dict[str, Package], tmp_path: Path) -> None:
    """The package with the most modules is the same when it is built again."""
    again = build("admin_api", tmp_path / "again.zip")
    assert again.archive.read_bytes() == packages["admin_api"].archive.read_bytes()


def test_the_hot_path_weighs_at_most_30_megabytes(packages: dict[str, Package]) -> None:
    """`make package` fails if its unzipped size is larger."""
    assert FUNCTIONS["provisioning"].max_package_megabytes == 30
    assert packages["provisioning"].unzipped <= 30e6


@pytest.mark.parametrize(
    ("name", "needed", "not_needed"),
    [
        ("admin_api", "shared/http/auth.py", "shared/catalog/migrate.py"),
        ("console", "shared/kv/sessions.py", "functions/sign_in/handler.py"),
        ("fleet", "shared/catalog/fleet/__init__.py", "shared/usecases/provision.py"),
        ("migrate", "shared/catalog/migrations/0001_versions.sql", "shared/kv/table.py"),
        # Imported at the first event only, and by the package alone.
        ("provisioning", "shared/catalog/transaction.py", "shared/http/auth.py"),
        ("provisioning", "shared/kv/__init__.py", "shared/usecases/sync.py"),
        ("sign_in", "shared/kv/sessions.py", "shared/catalog/connection.py"),
        ("sync", "shared/usecases/rebuild.py", "functions/admin_api/handler.py"),
    ],
)
def test_a_package_holds_what_its_function_needs(
    name: str, needed: str, not_needed: str
) -> None:
    """Lazy imports and data files are in the package, other functions' modules are not."""
    packed = {str(file.relative_to(ROOT)) for file in files(name)}
    assert needed in packed
    assert not_needed not in packed


@each
def test_requirements_are_what_is_imported(name: str) -> None:
    """Every imported library is required, and every required one is imported."""
    lines = (FOLDER / name / "requirements.in").read_text().splitlines()
    required = {re.split(r"\W", line.replace("-", "_"))[0] for line in lines if line[0] != "#"}
    assert third_party(name) - sys.stdlib_module_names - BROUGHT == required


def test_a_requirement_without_its_hash_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Only locked versions can be deployed."""
    folder = tmp_path / "loose"
    folder.mkdir()
    (folder / "requirements.txt").write_text("certifi\n")
    monkeypatch.setattr("infra.packaging.recipe.FOLDER", tmp_path)
    with pytest.raises(subprocess.CalledProcessError):
        build("loose", tmp_path / "loose.zip")
    assert "--require-hashes" in capfd.readouterr().err


def test_without_the_interpreter_there_is_no_bytecode(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Bytecode of another version is of no use to the runtime."""
    monkeypatch.setattr("infra.packaging.recipe.interpreter", lambda _: None)
    package = build("migrate", tmp_path / "migrate.zip")
    assert not [entry for entry in _entries(package) if "__pycache__" in entry]


def _entries(package: Package) -> list[str]:
    with ZipFile(package.archive) as packed:
        return packed.namelist()

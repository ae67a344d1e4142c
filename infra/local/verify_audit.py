"""Verify an audit log from a terminal: `make verify-audit`.

`CONNINFO` says of which database; without it, of the local system at `PORT`. `ANCHOR`, a seal's
id and hash, says what the log must still have.
"""

import json
import os
import sys
from collections.abc import Mapping
from urllib.error import URLError
from urllib.request import urlopen

import psycopg

from shared.catalog.connection import Database
from shared.catalog.transaction import Catalog
from shared.domain.errors import CatalogUnavailable
from shared.domain.seals import Seal
from shared.usecases.verify_audit import Verification, verify_audit

GOOD, FORGED, UNKNOWN = 0, 1, 2
HOURS = 24 * 3600.0


def main(environ: Mapping[str, str] = os.environ) -> int:
    """Print what was found. 0: all is well, 1: something was forged, 2: nobody knows."""
    try:
        conninfo = environ.get("CONNINFO") or _local_conninfo(environ.get("PORT", "8080"))
        verification, newest, anchored = _verify(conninfo, _anchor(environ.get("ANCHOR", "")))
    except (URLError, ValueError, CatalogUnavailable, psycopg.Error) as error:
        print(f"cannot verify: {error}", file=sys.stderr)
        return UNKNOWN
    print(_summary(verification, newest))
    if not anchored:
        print(f"FORGED: there is no such seal as the anchor: {environ['ANCHOR']}")
    if not verification.ok:
        print(f"FORGED: the first bad event is {verification.first_bad_event}")
    return GOOD if anchored and verification.ok else FORGED


def _local_conninfo(port: str) -> str:
    with urlopen(f"http://127.0.0.1:{int(port)}/local/status", timeout=5) as answer:
        status = json.load(answer)
    return str(status["postgres"]["conninfo"])


def _anchor(text: str) -> tuple[int, str] | None:
    """Read a seal's id and hash, as the log of `sync` has them. Raises ValueError."""
    if not text:
        return None
    seal_id, content = text.replace(":", " ").split()
    return int(seal_id), content.lower()


def _verify(
    conninfo: str, anchor: tuple[int, str] | None
) -> tuple[Verification, Seal | None, bool]:
    """Recompute everything. Also the newest seal, and whether the anchor holds."""
    catalog = Catalog(Database(lambda: conninfo, HOURS))
    try:
        with catalog.transaction() as tx:
            newest = tx.seals.newest()
            seal = tx.seals.newest(below=anchor[0] + 1) if anchor else None
        anchored = anchor is None or (seal is not None and (seal.id, seal.hash.hex()) == anchor)
        return verify_audit(catalog), newest, anchored
    finally:
        catalog.database.close()


def _summary(verification: Verification, newest: Seal | None) -> str:
    chain = f"newest seal: {newest.id} {newest.hash.hex()}" if newest else "no seal yet"
    return (
        f"sealed events: {verification.events}, seals: {verification.seals},"
        f" events not sealed yet: {verification.unsealed}\n{chain}"
    )


if __name__ == "__main__":
    sys.exit(main())

"""The calls whose every step may be the last, each about a variant of its own."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import LiteralString

from shared.domain.model import By
from shared.usecases.pins import erase_user
from shared.usecases.promote import promote
from shared.usecases.publish import Publication, publish
from shared.usecases.versions import VersionChange, change, retire
from tests.integration.dying import Mortal
from tests.integration.racing import digest

BY = By("ada@example.com", "request-1")


@dataclass(frozen=True)
class Call:
    """A call about a variant that has a latest `…-old`, and `…-next` and `…-spare`.

    `done` selects the variants (of `%(variants)s`) for which it has happened. `pinned` and
    `disabled` are the ends of the tags to which `…-user` is pinned and which are disabled.
    """

    make: Callable[[Mortal, str], object]
    done: LiteralString
    pinned: str | None = None
    disabled: str | None = None


def _publish(mortal: Mortal, variant: str, *, end: str = "new", latest: bool = False) -> None:
    tag = f"{variant}-{end}"
    publication = Publication(tag, "2026.11.2", digest(tag), variant, set_latest=latest)
    publish(publication, by=BY, catalog=mortal.catalog, kv=mortal.kv)


def _promote(mortal: Mortal, variant: str) -> None:
    promote(f"{variant}-next", by=BY, catalog=mortal.catalog, kv=mortal.kv)


def _change(mortal: Mortal, tag: str, wanted: VersionChange) -> None:
    change(tag, wanted, by=BY, catalog=mortal.catalog, kv=mortal.kv)


def _replace(mortal: Mortal, variant: str) -> None:
    wanted = VersionChange("disabled", replacement=f"{variant}-spare")
    _change(mortal, f"{variant}-old", wanted)


def _force(mortal: Mortal, variant: str) -> None:
    _change(mortal, f"{variant}-next", VersionChange("disabled", force=True))


def _enable(mortal: Mortal, variant: str) -> None:
    _change(mortal, f"{variant}-next", VersionChange("active"))


def _retire(mortal: Mortal, variant: str) -> None:
    retire(f"{variant}-next", by=BY, catalog=mortal.catalog, kv=mortal.kv)


def _erase(mortal: Mortal, variant: str) -> None:
    erase_user(f"{variant}-user", by=BY, catalog=mortal.catalog, kv=mortal.kv)


VERSION: LiteralString = (
    "SELECT variant FROM kiloclaw_available_versions WHERE image_tag = variant || "
)
LATEST: LiteralString = "SELECT variant FROM kiloclaw_variants WHERE latest_tag = variant || "
ERASED: LiteralString = """
SELECT v FROM unnest(%(variants)s::text[]) AS v
 WHERE NOT EXISTS (SELECT FROM kiloclaw_user_aliases WHERE user_id = v || '-user')
"""

CALLS: dict[str, Call] = {
    "publish": Call(_publish, VERSION + "'-new'"),
    "publish as latest": Call(
        lambda mortal, variant: _publish(mortal, variant, latest=True), LATEST + "'-new'"
    ),
    "publish again with a digest": Call(
        lambda mortal, variant: _publish(mortal, variant, end="next"),
        VERSION + "'-next' AND image_digest IS NOT NULL",
    ),
    "promote": Call(_promote, LATEST + "'-next'"),
    "disable with a replacement": Call(
        _replace, VERSION + "'-old' AND status = 'disabled'", pinned="old"
    ),
    "disable by force": Call(
        _force, VERSION + "'-next' AND status = 'disabled'", pinned="next"
    ),
    "enable": Call(_enable, VERSION + "'-next' AND status = 'active'", disabled="next"),
    "retire": Call(_retire, VERSION + "'-next' AND retired_at IS NOT NULL"),
    "erase": Call(_erase, ERASED, pinned="next"),
}

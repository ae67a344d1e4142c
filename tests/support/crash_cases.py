"""The calls whose every step may be the last, each about a variant of its own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import LiteralString

from shared.domain.model import Initiator
from shared.domain.pointer import Brake
from shared.usecases.disable import VersionChange
from shared.usecases.pins import erase_user
from shared.usecases.promote import promote
from shared.usecases.publish import Publication, publish
from shared.usecases.report import Report, report
from shared.usecases.retire import retire
from shared.usecases.rollback import roll_back
from shared.usecases.rollout import WantedRollout, abort, resume, roll_out
from shared.usecases.versions import change
from tests.support.concurrent_actors import digest
from tests.support.crash_points import Mortal

BY = Initiator("ada@example.com", "request-1")


@dataclass(frozen=True)
class Call:
    """A call about the versions `…-old`, `…-next` and `…-spare`.

    `done` selects the names (of `%(names)s`) with which it has happened. One that `moves` the
    pointer has a variant of that name, whose latest is `…-old`; `rollout` are attributes of its
    pointer besides, with a salt of that name, and of its counter. `promoted`, `pinned` and
    `disabled` are the ends of the tags which are made latest, to which `…-user` is pinned, and
    which are disabled. `started` says whether `…-user` has an instance. The mirror learns of a
    call `by_sync`.
    """

    make: Callable[[Mortal, str], object]
    done: LiteralString
    moves: bool = False
    rollout: Mapping[str, object] | None = None
    promoted: str | None = None
    pinned: str | None = None
    disabled: str | None = None
    started: bool = False
    by_sync: bool = False


def _publish(mortal: Mortal, name: str, *, end: str = "new", latest: bool = False) -> None:
    tag = f"{name}-{end}"
    publication = Publication(
        tag, "2026.11.2", digest(tag), name if latest else None, set_latest=latest
    )
    publish(publication, by=BY, catalog=mortal.catalog, kv=mortal.kv)


def _promote(mortal: Mortal, name: str) -> None:
    promote(f"{name}-next", by=BY, catalog=mortal.catalog, kv=mortal.kv)


def _roll_out(mortal: Mortal, name: str) -> None:
    wanted = WantedRollout(f"{name}-next", 50, Brake(5, 20))
    roll_out(name, wanted, by=BY, catalog=mortal.catalog, kv=mortal.kv)


def _resume(mortal: Mortal, name: str) -> None:
    resume(name, by=BY, catalog=mortal.catalog, kv=mortal.kv)


def _abort(mortal: Mortal, name: str) -> None:
    abort(name, by=BY, catalog=mortal.catalog, kv=mortal.kv)


def _report(mortal: Mortal, name: str) -> None:
    report(Report(f"{name}-user", f"{name}-next", "failed", "start-1"), kv=mortal.kv)


def _roll_back(mortal: Mortal, name: str) -> None:
    roll_back(name, by=BY, catalog=mortal.catalog, kv=mortal.kv)


def _change(mortal: Mortal, tag: str, wanted: VersionChange) -> None:
    change(tag, wanted, by=BY, catalog=mortal.catalog, kv=mortal.kv)


def _replace(mortal: Mortal, name: str) -> None:
    wanted = VersionChange("disabled", replacement=f"{name}-spare")
    _change(mortal, f"{name}-old", wanted)


def _force(mortal: Mortal, name: str) -> None:
    _change(mortal, f"{name}-next", VersionChange("disabled", force=True))


def _enable(mortal: Mortal, name: str) -> None:
    _change(mortal, f"{name}-next", VersionChange("active"))


def _retire(mortal: Mortal, name: str) -> None:
    retire(f"{name}-next", by=BY, catalog=mortal.catalog, kv=mortal.kv)


def _erase(mortal: Mortal, name: str) -> None:
    erase_user(f"{name}-user", by=BY, catalog=mortal.catalog, kv=mortal.kv)


VERSION: LiteralString = """
SELECT name FROM unnest(%(names)s::text[]) AS name
  JOIN kiloclaw_available_versions ON image_tag = name || """
LATEST: LiteralString = """
SELECT name FROM unnest(%(names)s::text[]) AS name
  JOIN kiloclaw_variants ON variant = name AND latest_tag = name || """
ROLLOUT: LiteralString = """
SELECT name FROM unnest(%(names)s::text[]) AS name
  JOIN kiloclaw_variants ON variant = name AND """
ERASED: LiteralString = """
SELECT name FROM unnest(%(names)s::text[]) AS name
 WHERE NOT EXISTS (SELECT FROM kiloclaw_user_aliases WHERE user_id = name || '-user')
"""

RUNNING = {"percent": 100, "brake_min_failures": 9, "brake_percent": 1, "failed": 8}
HELD = RUNNING | {"held": True, "failed": 9}

CALLS: dict[str, Call] = {
    "publish": Call(_publish, VERSION + "'-new'"),
    "publish as latest": Call(
        lambda mortal, name: _publish(mortal, name, latest=True), LATEST + "'-new'", moves=True
    ),
    "publish again with a digest": Call(
        lambda mortal, name: _publish(mortal, name, end="next"),
        VERSION + "'-next' AND image_digest IS NOT NULL",
    ),
    "promote": Call(_promote, LATEST + "'-next'", moves=True),
    "promote the candidate": Call(
        _promote,
        LATEST + "'-next' AND candidate_tag IS NULL",
        moves=True,
        rollout=RUNNING,
    ),
    "roll out": Call(_roll_out, ROLLOUT + "candidate_tag = name || '-next'", moves=True),
    "raise the percent": Call(
        _roll_out, ROLLOUT + "rollout_percent = 50", moves=True, rollout=RUNNING
    ),
    "resume": Call(_resume, ROLLOUT + "NOT held", moves=True, rollout=HELD),
    "abort": Call(_abort, ROLLOUT + "candidate_tag IS NULL", moves=True, rollout=RUNNING),
    "roll back": Call(_roll_back, LATEST + "'-old'", moves=True, promoted="next"),
    "report": Call(
        _report, ROLLOUT + "held", moves=True, rollout=RUNNING, started=True, by_sync=True
    ),
    "disable with a replacement": Call(
        _replace, VERSION + "'-old' AND status = 'disabled'", moves=True, pinned="old"
    ),
    "disable by force": Call(
        _force, VERSION + "'-next' AND status = 'disabled'", pinned="next"
    ),
    "enable": Call(
        _enable, VERSION + "'-next' AND status = 'active'", moves=True, disabled="next"
    ),
    "retire": Call(_retire, VERSION + "'-next' AND retired_at IS NOT NULL"),
    "erase": Call(_erase, ERASED, pinned="next"),
}

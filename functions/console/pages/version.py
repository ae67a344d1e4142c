"""One version: its facts, who has it, what was done to it, and what can be done."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from aws_lambda_powertools.event_handler import Response

from functions.console.application import ConsoleRouter
from functions.console.current import deps, path_value, show
from functions.console.forms import FilledForm
from shared.catalog.audit import Event, EventFilter
from shared.catalog.fleet import Share
from shared.catalog.pin_pages import PinFilter
from shared.catalog.runs import OpenFinding
from shared.catalog.transaction import Transaction
from shared.catalog.version_pages import VersionFilter
from shared.domain.errors import CatalogUnavailable, KVUnavailable, VersionNotFound
from shared.domain.model import Pin, Version
from shared.domain.values import IMAGE_TAG, ImageTag

router = ConsoleRouter()

SHOWN_PINS = 10
SHOWN_EVENTS = 20
MOST_REPLACEMENTS = 200


@dataclass(frozen=True, slots=True)
class VersionDetail:
    """All that the page shows. `replacements` are the variant's other active versions."""

    version: Version
    share: Share
    as_of: datetime | None
    pins: Sequence[Pin]
    events: Sequence[Event]
    findings: Sequence[OpenFinding]
    replacements: Sequence[Version]


@router.page("/console/versions/<image_tag>")
def show_version(image_tag: str) -> Response[str]:
    """Show a version, retired or not."""
    return _show(path_value(IMAGE_TAG, image_tag))


def show_version_form(filled: FilledForm) -> Response[str]:
    """Show the page of a version with a form on it that has to be corrected."""
    return _show(path_value(IMAGE_TAG, str(filled.value("image_tag"))), filled)


def _show(tag: ImageTag, filled: FilledForm | None = None) -> Response[str]:
    detail = None
    with suppress(CatalogUnavailable):
        with deps().catalog.transaction() as tx:
            version, findings = tx.versions.find(tag), _findings(tx, tag)
            if version is not None:
                detail = _read(tx, version, findings)
        if detail is None:
            return _show_unknown(tag, findings)
    return show("version.html", filled=filled, image_tag=tag, detail=detail)


def _show_unknown(tag: ImageTag, findings: Sequence[OpenFinding]) -> Response[str]:
    """Show what the KV knows of a tag that is not in the catalog. Raises VersionNotFound."""
    entry = None
    with suppress(KVUnavailable):
        entry = deps().kv.entries.find_all([tag], datetime.now(UTC)).get(tag)
    if entry is None and not findings:
        raise VersionNotFound("no version has this tag")
    return show("version/unknown.html", image_tag=tag, entry=entry, findings=findings)


def _findings(tx: Transaction, tag: ImageTag) -> list[OpenFinding]:
    return [one for one in tx.runs.findings_about(tag) if not one.is_of_pointer]


def _read(tx: Transaction, version: Version, findings: Sequence[OpenFinding]) -> VersionDetail:
    tag = version.image_tag
    active = VersionFilter("active", version.variant)
    others = tx.versions.page(active, "published_at", "desc", None, MOST_REPLACEMENTS)
    return VersionDetail(
        version=version,
        share=tx.fleet.shares([tag])[tag],
        as_of=tx.fleet.as_of(),
        pins=tx.pins.page(PinFilter(image_tag=tag), None, SHOWN_PINS),
        events=tx.audit.page(EventFilter(subject=tag, kind="version"), None, SHOWN_EVENTS),
        findings=findings,
        replacements=[other for other in others if other.image_tag != tag],
    )

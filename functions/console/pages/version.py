"""One version: its facts, who has it, what was done to it, and what can be done."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from aws_lambda_powertools.event_handler import Response

from functions.console.application import ConsoleRouter
from functions.console.current import deps, path_value, show
from functions.console.forms import FilledForm
from shared.catalog.audit import Event, EventFilter
from shared.catalog.fleet import Share
from shared.catalog.pins import PinFilter
from shared.catalog.transaction import Transaction
from shared.catalog.versions import VersionFilter
from shared.domain.errors import CatalogUnavailable, VersionNotFound
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
    replacements: Sequence[Version]


@router.page("/console/versions/<image_tag>")
def show_version(image_tag: str) -> Response[str]:
    """Show a version, retired or not."""
    return _show(path_value(IMAGE_TAG, image_tag))


def show_version_form(filled: FilledForm) -> Response[str]:
    """Show the page of a version with a form on it that has to be corrected."""
    return _show(path_value(IMAGE_TAG, str(filled.value("image_tag"))), filled)


def _show(tag: ImageTag, filled: FilledForm | None = None) -> Response[str]:
    try:
        with deps().catalog.transaction() as tx:
            detail = _read(tx, tag)
    except CatalogUnavailable:
        detail = None
    return show("version.html", filled=filled, image_tag=tag, detail=detail)


def _read(tx: Transaction, tag: ImageTag) -> VersionDetail:
    version = tx.versions.find(tag)
    if version is None:
        raise VersionNotFound("no version has this tag")
    active = VersionFilter("active", version.variant)
    others = tx.versions.page(active, "published_at", "desc", None, MOST_REPLACEMENTS)
    return VersionDetail(
        version=version,
        share=tx.fleet.shares([tag])[tag],
        as_of=tx.fleet.as_of(),
        pins=tx.pins.page(PinFilter(image_tag=tag), None, SHOWN_PINS),
        events=tx.audit.page(EventFilter(subject=tag), None, SHOWN_EVENTS),
        replacements=[other for other in others if other.image_tag != tag],
    )

"""Say which image a starting instance runs: gather the facts, decide, record."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from shared.catalog.connection import Database
from shared.catalog.facts import read_facts, read_images
from shared.domain.errors import CatalogUnavailable, KVUnavailable, NoVersionAvailable
from shared.domain.model import Image, Instance, Intent
from shared.domain.resolution import (
    Facts,
    Refusal,
    Resolution,
    decide,
    pin_state,
    uncovered,
    variant_of,
)
from shared.domain.values import DEFAULT_VARIANT, ImageTag, UserId, Variant, rfc3339
from shared.kv import KV
from shared.kv.entries import image_of
from shared.kv.instances import Recorded


@dataclass(frozen=True, slots=True)
class Start:
    """A starting instance. `running_tag` is what the caller believes that it runs.

    `ignores_pin` and `ignores_record`: decide as if the user had none.
    """

    user_id: UserId
    intent: Intent = "provision"
    variant: Variant | None = None
    running_tag: ImageTag | None = None
    ignores_pin: bool = False
    ignores_record: bool = False


@dataclass(frozen=True, slots=True)
class Provisioned:
    """The answer.

    `recorded` says whether the instance record holds it now, `previous` what it held before.
    `changed` is None if nobody knows.
    """

    user_id: UserId
    resolution: Resolution
    previous: Instance | None
    changed: bool | None
    recorded: bool
    resolved_at: str

    def as_json(self) -> dict[str, Any]:
        resolution, image = self.resolution, self.resolution.image
        return {
            "user_id": self.user_id,
            "image_tag": image.image_tag,
            "image_digest": image.image_digest,
            "openclaw_version": image.openclaw_version,
            "variant": image.variant,
            "source": resolution.source,
            "is_pinned": resolution.is_pinned,
            "pin_state": resolution.pin_state,
            "status": image.status,
            "changed": self.changed,
            "previous": _previous(self.previous),
            "degraded": resolution.degraded,
            "recorded": self.recorded,
            "resolved_at": self.resolved_at,
        }


def provision(start: Start, *, database: Database, kv: KV) -> Provisioned:
    """Decide and record what the user's instance runs.

    Raises NoVersionAvailable, and CatalogUnavailable where a pin may exist that can't be read.
    """
    facts = gather(start, database, kv)
    resolution = _decide(facts)
    written = _record(facts, resolution, kv) if facts.catalog_up else None
    if written is None:
        return _answer_unrecorded(facts, resolution)
    if not written.previous_known:
        return replace(_answer_unrecorded(facts, resolution), recorded=True)
    return _answer(facts, resolution, written.previous, recorded=written.recorded)


def explain(start: Start, *, database: Database, kv: KV) -> Provisioned:
    """Return what `provision` would answer now; record nothing. Raises the same."""
    facts = gather(start, database, kv)
    resolution = _decide(facts)
    if resolution.source == "pin" and facts.catalog_up:
        facts = _with_record(facts, kv)
    return _answer_unrecorded(facts, resolution)


def forget(user_id: UserId, *, kv: KV) -> bool:
    """Drop the record of a destroyed instance; the pin stays. Raises KVUnavailable."""
    return kv.instances.forget(user_id)


def gather(start: Start, database: Database, kv: KV) -> Facts:
    """Read what the decision depends on: one statement, then at most one look at the KV.

    Raises CatalogUnavailable when neither store answers.
    """
    try:
        return _with_both_stores(start, database, kv)
    except CatalogUnavailable:
        return _without_catalog(start, kv)


def _with_both_stores(start: Start, database: Database, kv: KV) -> Facts:
    facts = _with_kv(_from_catalog(start, start.variant, database), kv)
    if start.ignores_record:
        facts = replace(facts, instance=None)
    if start.variant is None and facts.deciding_pin is None and facts.instance is not None:
        variant = facts.instance.variant
        if variant != facts.variant:
            again = _with_kv(_from_catalog(start, variant, database), kv)
            facts = again if again.record_read else _keep_record(again, facts.instance)
    return _cover(facts, database, kv)


def _keep_record(facts: Facts, instance: Instance) -> Facts:
    """Keep a record that was read a moment ago: the KV has stopped answering since."""
    return replace(facts, instance=instance, record_read=True)


def _from_catalog(start: Start, variant: Variant | None, database: Database) -> Facts:
    pinned_user = None if start.ignores_pin else start.user_id
    catalog = read_facts(database, pinned_user, variant or DEFAULT_VARIANT)
    facts = Facts(
        start.user_id,
        start.intent,
        catalog.now,
        pin=catalog.pin,
        mirror=catalog.mirror,
        images=catalog.images,
        running_tag=start.running_tag,
    )
    pin = facts.deciding_pin
    pinned = catalog.images[pin.image_tag] if pin else None
    return replace(facts, variant=variant_of(pinned, variant, None))


def _with_kv(facts: Facts, kv: KV) -> Facts:
    """Add the KV's part, unless a pin decides already."""
    if pin_state(facts) == "applied":
        return facts
    read = kv.instances.read_with_pointer(facts.user_id, facts.variant, facts.mirror)
    return replace(
        facts, instance=read.instance, record_read=read.record_read, stored=read.stored
    )


def _cover(facts: Facts, database: Database, kv: KV) -> Facts:
    """Look up the tags that the statement did not cover: in the catalog, then in the KV."""
    tags = uncovered(facts)
    if not tags:
        return facts
    known: dict[ImageTag, Image] = read_images(database, tags)
    unknown = tags.difference(known)
    if unknown and facts.stored is not None:
        try:
            known |= _images_in_kv(unknown, kv, facts.now)
        except KVUnavailable:
            # The record still decides a restart; for the rest the mirror stands in.
            facts = replace(facts, stored=None)
    unfound: dict[ImageTag, Image | None] = dict.fromkeys(tags)
    return replace(facts, images={**facts.images, **unfound, **known})


def _images_in_kv(tags: Iterable[ImageTag], kv: KV, now: datetime) -> dict[ImageTag, Image]:
    entries = kv.entries.find_all(tags, now)
    return {tag: image_of(entry) for tag, entry in entries.items()}


def _without_catalog(start: Start, kv: KV) -> Facts:
    try:
        instance = kv.instances.find(start.user_id)
    except KVUnavailable:
        raise CatalogUnavailable("neither the catalog nor the KV answered in time") from None
    return Facts(
        start.user_id,
        start.intent,
        datetime.now(UTC),
        catalog_up=False,
        instance=instance,
        record_read=True,
        running_tag=start.running_tag,
    )


def _with_record(facts: Facts, kv: KV) -> Facts:
    try:
        return replace(facts, instance=kv.instances.find(facts.user_id), record_read=True)
    except KVUnavailable:
        return facts


def _decide(facts: Facts) -> Resolution:
    decision = decide(facts)
    if isinstance(decision, Refusal):
        raise _refused(facts, decision)
    return decision


def _refused(facts: Facts, refusal: Refusal) -> NoVersionAvailable | CatalogUnavailable:
    if refusal.code == "catalog_unavailable":
        return CatalogUnavailable("the catalog did not answer in time and a pin may exist")
    return NoVersionAvailable(
        f"no version of the variant {facts.variant} may run for this user",
        variant=facts.variant,
        pin_state=refusal.pin_state,
        trace=[step._asdict() for step in refusal.trace],
    )


def _record(facts: Facts, resolution: Resolution, kv: KV) -> Recorded | None:
    """Record the decision; None if the KV does not answer, or did not a moment ago."""
    kv_was_silent = facts.stored is None and not facts.record_read
    if kv_was_silent and resolution.source != "pin":
        return None
    now = rfc3339(facts.now)
    record = Instance(
        user_id=facts.user_id,
        image_tag=resolution.image.image_tag,
        image_digest=resolution.image.image_digest,
        openclaw_version=resolution.image.openclaw_version,
        variant=resolution.image.variant,
        source=resolution.source,
        is_pinned=resolution.is_pinned,
        resolved_at=now,
        decided_at=now,
    )
    try:
        return kv.instances.record(record)
    except KVUnavailable:
        return None


def _answer(
    facts: Facts, resolution: Resolution, previous: Instance | None, *, recorded: bool
) -> Provisioned:
    changed = previous is None or previous.image_tag != resolution.image.image_tag
    now = rfc3339(facts.now)
    return Provisioned(facts.user_id, resolution, previous, changed, recorded, now)


def _answer_unrecorded(facts: Facts, resolution: Resolution) -> Provisioned:
    """Answer without recording.

    What ran before is in the record, if that was read; otherwise the caller may know.
    """
    if facts.record_read:
        return _answer(facts, resolution, facts.instance, recorded=False)
    running, tag = facts.running_tag, resolution.image.image_tag
    changed = None if running is None else running != tag
    now = rfc3339(facts.now)
    return Provisioned(
        facts.user_id, resolution, None, changed, recorded=False, resolved_at=now
    )


def _previous(instance: Instance | None) -> dict[str, Any] | None:
    if instance is None:
        return None
    record = asdict(instance)
    return {name: record[name] for name in record if name not in {"user_id", "decided_at"}}

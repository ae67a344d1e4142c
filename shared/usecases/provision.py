"""Which image a starting instance runs: gather the facts, decide, record."""

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


@dataclass(frozen=True, slots=True)
class Start:
    """An instance is starting. `running_tag` is what the caller believes it runs."""

    user_id: UserId
    intent: Intent = "provision"
    variant: Variant | None = None
    running_tag: ImageTag | None = None


@dataclass(frozen=True, slots=True)
class Provisioned:
    """The answer. `recorded`: the instance record says so now; `previous` is what it said."""

    user_id: UserId
    resolution: Resolution
    previous: Instance | None
    changed: bool
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
    resolution = _decided(facts)
    if not facts.catalog_up:
        return _answer(facts, resolution, facts.instance, recorded=False)
    try:
        if resolution.degraded:
            raise KVUnavailable("the KV did not answer a moment ago")  # noqa: TRY301
        written = kv.instances.record(_record(facts, resolution))
    except KVUnavailable:
        return _unrecorded(facts, resolution)
    return _answer(facts, resolution, written.previous, recorded=written.recorded)


def explain(start: Start, *, database: Database, kv: KV) -> Provisioned:
    """What `provision` would answer now; records nothing. Raises the same."""
    facts = gather(start, database, kv)
    resolution = _decided(facts)
    try:
        instance = facts.instance
        if resolution.source == "pin":
            instance = kv.instances.find(start.user_id)
        elif resolution.degraded and facts.catalog_up:
            raise KVUnavailable("the KV did not answer a moment ago")  # noqa: TRY301
    except KVUnavailable:
        return _unrecorded(facts, resolution)
    return _answer(facts, resolution, instance, recorded=False)


def forget(user_id: UserId, *, kv: KV) -> bool:
    """The instance is destroyed: drop its record; the pin stays. Raises KVUnavailable."""
    return kv.instances.forget(user_id)


def gather(start: Start, database: Database, kv: KV) -> Facts:
    """Read what the decision depends on: one statement, then at most one look at the KV."""
    try:
        return _with_catalog(start, database, kv)
    except CatalogUnavailable:
        return _without_catalog(start, kv)


def _with_catalog(start: Start, database: Database, kv: KV) -> Facts:
    catalog = read_facts(database, start.user_id, start.variant or DEFAULT_VARIANT)
    variant = variant_of(catalog.pinned, start.variant, None)
    facts = Facts(
        start.user_id,
        start.intent,
        catalog.now,
        pin=catalog.pin,
        mirror=catalog.mirror,
        images=catalog.images,
        running_tag=start.running_tag,
        variant=variant,
    )
    if pin_state(facts) == "applied":
        return facts
    try:
        instance, found = kv.instances.read_with_pointer(start.user_id, variant, facts.mirror)
    except KVUnavailable:
        return _covered(facts, database, kv)
    if variant_of(catalog.pinned, start.variant, instance) != variant and instance:
        return _with_catalog(replace(start, variant=instance.variant), database, kv)
    return _covered(replace(facts, instance=instance, found=found), database, kv)


def _covered(facts: Facts, database: Database, kv: KV) -> Facts:
    """Look up what the statement did not cover: in the catalog, then in the KV."""
    tags = uncovered(facts)
    if not tags:
        return facts
    known: dict[ImageTag, Image] = read_images(database, tags)
    unknown = tags.difference(known)
    if unknown and facts.found is not None:
        try:
            known |= _images_in_kv(unknown, kv, facts.now)
        except KVUnavailable:
            return _covered(replace(facts, found=None, instance=None), database, kv)
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
    )


def _decided(facts: Facts) -> Resolution:
    decision = decide(facts)
    if isinstance(decision, Resolution):
        return decision
    raise _refused(decision)


def _refused(refusal: Refusal) -> NoVersionAvailable | CatalogUnavailable:
    if refusal.code == "catalog_unavailable":
        return CatalogUnavailable("the catalog did not answer in time and a pin may exist")
    steps = [step._asdict() for step in refusal.trace]
    return NoVersionAvailable(
        "no version may run for this user", pin_state=refusal.pin_state, trace=steps
    )


def _record(facts: Facts, resolution: Resolution) -> Instance:
    now = rfc3339(facts.now)
    return Instance(
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


def _answer(
    facts: Facts, resolution: Resolution, previous: Instance | None, *, recorded: bool
) -> Provisioned:
    tag = resolution.image.image_tag
    changed = previous is None or previous.image_tag != tag
    now = rfc3339(facts.now)
    return Provisioned(facts.user_id, resolution, previous, changed, recorded, now)


def _unrecorded(facts: Facts, resolution: Resolution) -> Provisioned:
    """Without the KV nobody knows what ran before but the caller."""
    changed = facts.running_tag != resolution.image.image_tag
    now = rfc3339(facts.now)
    return Provisioned(
        facts.user_id, resolution, None, changed, recorded=False, resolved_at=now
    )


def _previous(instance: Instance | None) -> dict[str, Any] | None:
    if instance is None:
        return None
    record = asdict(instance)
    return {name: record[name] for name in record if name not in {"user_id", "decided_at"}}

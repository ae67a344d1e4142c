"""What the instances of a variant run: the biggest shares, and the others together."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from shared.catalog.fleet import Share
from shared.domain.model import Version
from shared.domain.values import ImageTag, Variant

TOP_SHARES = 5


@dataclass(frozen=True, slots=True)
class Running:
    """A share of a variant's instances; `version` is None for a tag that only the KV knows."""

    image_tag: ImageTag
    version: Version | None
    instances: int
    pins: int


@dataclass(frozen=True, slots=True)
class Distribution:
    """What a variant's instances run: the biggest shares, and all others together."""

    variant: Variant
    top: Sequence[Running]
    others: int
    other_instances: int
    other_pins: int
    total: int


def join_versions(
    shares: Iterable[Share], versions: Mapping[ImageTag, Version]
) -> list[Running]:
    return [
        Running(one.image_tag, versions.get(one.image_tag), one.instances, one.pins)
        for one in shares
    ]


def make_distribution(variant: Variant, shares: Sequence[Running]) -> Distribution:
    """Keep the top of the shares, which are in order, and add the others up."""
    top, others = shares[:TOP_SHARES], shares[TOP_SHARES:]
    return Distribution(
        variant,
        top,
        len(others),
        sum(one.instances for one in others),
        sum(one.pins for one in others),
        sum(one.instances for one in shares),
    )

"""Properties of the sync: carrying a batch out gives the wanted state of the catalog."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain import sync
from shared.domain.model import ImageEntry
from shared.domain.sync import Known

START = datetime(2026, 11, 1, tzinfo=UTC)
TAGS = ("a", "b", "c", "d", "e")
VARIANTS = ("default", "gpu")
SHARED = ("x", "y")
ROOMS = (0, 1, 2)
HOLDERS = (*TAGS, "elsewhere")


def _rows(tag: str) -> list[Known | None]:
    """What the catalog may have under a tag; a digest that it knows is the tag's own."""
    facts = product(
        (None, f"own-{tag}"), ("1.0", "2.0"), VARIANTS, (False, True), (False, True)
    )
    known = [Known(tag, *fact) for fact in facts]
    return [None] * len(known) + known


def _entries(tag: str) -> list[ImageEntry | None]:
    """What the KV may have; its digest may be the tag's own, or what others claim too."""
    facts = product(("1.0", "2.0"), VARIANTS, range(3), (None, f"own-{tag}", "own-a", *SHARED))
    return [None] * 20 + [
        ImageEntry(tag, version, variant, START + timedelta(hours=hours), digest)
        for version, variant, hours, digest in facts
    ]


@dataclass(frozen=True)
class World:
    """Both stores as a run finds them; under `damaged` the KV has rubbish."""

    rows: tuple[Known | None, ...]
    entries: tuple[ImageEntry | None, ...]
    damaged: str
    claims: dict[str, str]
    named: set[str]

    def has_claim(self, entry: ImageEntry) -> bool:
        """Would the KV give the entry the claim on its digest?"""
        holder = self.claims.get(entry.image_digest or "", entry.image_tag)
        return holder == entry.image_tag

    @property
    def known(self) -> dict[str, Known]:
        return {row.image_tag: row for row in self.rows if row}

    @property
    def given(self) -> list[ImageEntry]:
        return [entry for entry in self.entries if entry]

    @property
    def present(self) -> set[str]:
        return {entry.image_tag for entry in self.given} | {self.damaged}


WORLDS = st.builds(
    World,
    st.tuples(*[st.sampled_from(_rows(tag)) for tag in TAGS]),
    st.tuples(*[st.sampled_from(_entries(tag)) for tag in TAGS]),
    st.sampled_from(("a", "z")),
    st.dictionaries(st.sampled_from(SHARED), st.sampled_from(HOLDERS)),
    st.sets(st.sampled_from(TAGS), max_size=2),
)


def age(entry: ImageEntry) -> tuple[datetime, str]:
    return entry.published_at, entry.image_tag


def contradiction(entry: ImageEntry, row: Known | None) -> str | None:
    """What is write-once and would be changed."""
    if row and row.variant != entry.variant:
        return "variant_changed"
    if row and row.image_digest and entry.image_digest not in {None, row.image_digest}:
        return "digest_changed"
    return None


def owner(digest: str, world: World) -> str:
    """Whoever has it in the catalog, or the claim; else the earliest that may have it."""
    for row in world.known.values():
        if row.image_digest == digest:
            return row.image_tag
    if digest in world.claims:
        return world.claims[digest]
    claims = [
        entry
        for entry in world.given
        if entry.image_digest == digest
        and not contradiction(entry, world.known.get(entry.image_tag))
        and not is_retired(entry, world)
    ]
    return min(claims, key=age).image_tag


def is_retired(entry: ImageEntry, world: World) -> bool:
    row = world.known.get(entry.image_tag)
    return row is not None and row.retired


def code(entry: ImageEntry, world: World) -> str | None:
    """How an entry is in conflict, if it is."""
    if is_retired(entry, world):
        return None
    found = contradiction(entry, world.known.get(entry.image_tag))
    if (
        found is None
        and entry.image_digest
        and owner(entry.image_digest, world) != entry.image_tag
    ):
        return "digest_in_use"
    return found


def taken(world: World) -> list[ImageEntry]:
    """The entries that are to become rows' content, sooner or later."""
    return [
        entry
        for entry in world.given
        if not code(entry, world) and not is_retired(entry, world)
    ]


@dataclass
class Batch:
    """What a run writes: claims are taken, and other holders' are respected."""

    insert: list[ImageEntry]
    fill: list[ImageEntry]
    rest: Any


def sort(world: World, most: int = 9, room: int = 9) -> Batch:
    """Sort the world's entries, taking at most `most` at a time and `room` in all."""
    sorting = sync.Sorting(reversed(world.given), world.known, world.named)
    batch = Batch([], [], sorting)
    left = room
    for _ in range(100):
        new, fill = sorting.take_new(most, left), sorting.take_fill(most)
        if not new and not fill:
            return batch
        assert max(len(new), len(fill)) <= most
        for entry in new + fill:
            holder = world.claims.get(entry.image_digest or "", entry.image_tag)
            if entry.image_digest and holder != entry.image_tag:
                sorting.assign_digest(entry.image_digest, holder)
        batch.insert += [entry for entry in new if world.has_claim(entry)]
        batch.fill += [entry for entry in fill if world.has_claim(entry)]
        left = room - sum(entry.image_tag not in world.named for entry in batch.insert)
    raise AssertionError("the entries are never sorted")


def check(world: World) -> None:
    unclaimed = replace(world, claims={})
    free = sort(unclaimed)
    for most, room in product((1, 9), ROOMS):
        batch = sort(unclaimed, most, room)
        every_entry_has_one_place(unclaimed, batch)
        the_cap_holds_back_new_ones_only(unclaimed, batch, free, room)
        carried_out_it_is_as_wanted(unclaimed, batch)
    for most in (1, 9):
        batch = sort(world, most)
        every_entry_has_one_place(world, batch)
        conflicts_are_named(world, batch)
        carried_out_it_is_as_wanted(world, batch)
    what_the_kv_lost_is_told(world)


def every_entry_has_one_place(world: World, batch: Batch) -> None:
    """None is lost, none is done twice."""
    placed = [*batch.insert, *batch.rest.new, *batch.fill, *batch.rest.update]
    tags = [entry.image_tag for entry in placed] + list(batch.rest.conflicts)
    assert len(tags) == len(set(tags))
    assert len(tags) + batch.rest.unchanged == len(world.given)


def conflicts_are_named(world: World, batch: Batch) -> None:
    """By tag and code, with the owner of a digest in use."""
    found = batch.rest.conflicts
    expected = {entry.image_tag: code(entry, world) for entry in world.given}
    assert {tag: one.code for tag, one in found.items()} == {
        tag: named for tag, named in expected.items() if named
    }
    for entry in world.given:
        if expected[entry.image_tag] == "digest_in_use":
            assert owner(str(entry.image_digest), world) in found[entry.image_tag].detail


def the_cap_holds_back_new_ones_only(
    world: World, batch: Batch, free: Batch, room: int
) -> None:
    """Named ones first, then the oldest; without a cap the rest of the batch is the same."""
    new = sorted((e for e in taken(world) if e.image_tag not in world.known), key=age)
    named = [entry for entry in new if entry.image_tag in world.named]
    others = [entry for entry in new if entry.image_tag not in world.named]
    inserted = named + others[:room]
    assert sorted(batch.insert, key=age) == sorted(inserted, key=age)
    assert batch.rest.new == others[room:]
    assert sorted(batch.fill, key=age) == sorted(free.fill, key=age)
    assert list(batch.rest.update) == list(free.rest.update)
    assert batch.rest.conflicts == free.rest.conflicts


def carried_out(known: dict[str, Known], batch: Batch) -> dict[str, Known]:
    """The catalog after the batch, as its statements would leave it."""
    rows = dict(known)
    for entry in batch.insert:
        assert entry.image_tag not in rows
        rows[entry.image_tag] = _row(entry)
    for entry in (*batch.fill, *batch.rest.update):
        row = rows[entry.image_tag]
        assert row.image_digest in {None, entry.image_digest} or entry.image_digest is None
        rows[entry.image_tag] = row._replace(
            openclaw_version=entry.openclaw_version,
            image_digest=row.image_digest or entry.image_digest,
        )
    return rows


def _row(entry: ImageEntry) -> Known:
    return Known(entry.image_tag, entry.image_digest, entry.openclaw_version, entry.variant)


def carried_out_it_is_as_wanted(world: World, batch: Batch) -> None:
    """Entries are rows, what they lack stays, all else is untouched, and it is done."""
    rows = carried_out(world.known, batch)
    wanted = dict(world.known)
    for entry in taken(world):
        before = wanted.get(entry.image_tag, _row(entry))
        wanted[entry.image_tag] = before._replace(
            openclaw_version=entry.openclaw_version,
            image_digest=before.image_digest or entry.image_digest,
        )
    late = {entry.image_tag for entry in batch.rest.new}
    assert rows == {tag: row for tag, row in wanted.items() if tag not in late}
    digests = [row.image_digest for row in rows.values() if row.image_digest]
    assert len(digests) == len(set(digests))
    again = sort(replace(world, rows=tuple(rows.values())))
    assert sorted(again.insert, key=age) == sorted(batch.rest.new, key=age)
    assert (again.fill, list(again.rest.update)) == ([], [])


def what_the_kv_lost_is_told(world: World) -> None:
    """Once, and once more when it is back; a retired version may be lost."""
    presence = sync.compare_presence(world.known, world.present)
    live = [row for row in world.known.values() if not row.retired]
    lost = [row for row in live if row.image_tag not in world.present]
    assert presence.lost == _tags(row for row in lost if not row.missing)
    assert presence.returned == _tags(row for row in live if row.missing and row not in lost)


def _tags(rows: Iterable[Known]) -> list[str]:
    return [row.image_tag for row in rows]


@settings(max_examples=60)
@given(WORLDS)
def test_classification_properties(world: World) -> None:
    """Every entry is sorted into what is to be done with it, and no rule is broken."""
    check(world)

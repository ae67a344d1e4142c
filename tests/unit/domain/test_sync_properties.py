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
from shared.domain.sync_report import Finding

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
class SyncInput:
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


SYNC_INPUTS = st.builds(
    SyncInput,
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


def owner(digest: str, state: SyncInput) -> str:
    """Whoever has it in the catalog, or the claim; else the earliest that may have it."""
    for row in state.known.values():
        if row.image_digest == digest:
            return row.image_tag
    if digest in state.claims:
        return state.claims[digest]
    claims = [
        entry
        for entry in state.given
        if entry.image_digest == digest
        and not contradiction(entry, state.known.get(entry.image_tag))
        and not is_retired(entry, state)
    ]
    return min(claims, key=age).image_tag


def is_retired(entry: ImageEntry, state: SyncInput) -> bool:
    row = state.known.get(entry.image_tag)
    return row is not None and row.retired


def code(entry: ImageEntry, state: SyncInput) -> str | None:
    """How an entry is in conflict, if it is."""
    if is_retired(entry, state):
        return None
    found = contradiction(entry, state.known.get(entry.image_tag))
    if (
        found is None
        and entry.image_digest
        and owner(entry.image_digest, state) != entry.image_tag
    ):
        return "digest_in_use"
    return found


def taken(state: SyncInput) -> list[ImageEntry]:
    """The entries that are to become rows' content, sooner or later."""
    return [
        entry
        for entry in state.given
        if not code(entry, state) and not is_retired(entry, state)
    ]


@dataclass
class Batch:
    """What a run writes: claims are taken, and other holders' are respected."""

    insert: list[ImageEntry]
    fill: list[ImageEntry]
    rest: Any


def sort(state: SyncInput, most: int = 9, room: int = 9) -> Batch:
    """Sort the state's entries, taking at most `most` at a time and `room` in all."""
    sorting = sync.Sorting(reversed(state.given), state.known, state.named)
    batch = Batch([], [], sorting)
    left = room
    for _ in range(100):
        new, fill = sorting.take_new(most, left), sorting.take_fill(most)
        if not new and not fill:
            return batch
        assert max(len(new), len(fill)) <= most
        for entry in new + fill:
            holder = state.claims.get(entry.image_digest or "", entry.image_tag)
            if entry.image_digest and holder != entry.image_tag:
                sorting.assign_digest(entry.image_digest, holder)
        batch.insert += [entry for entry in new if state.has_claim(entry)]
        batch.fill += [entry for entry in fill if state.has_claim(entry)]
        left = room - sum(entry.image_tag not in state.named for entry in batch.insert)
    raise AssertionError("the entries are never sorted")


def every_entry_has_one_place(state: SyncInput, batch: Batch) -> None:
    """None is lost, none is done twice."""
    placed = [*batch.insert, *batch.rest.new, *batch.fill, *batch.rest.update]
    tags = [entry.image_tag for entry in placed] + list(batch.rest.conflicts)
    assert len(tags) == len(set(tags))
    assert len(tags) + batch.rest.unchanged == len(state.given)


def conflicts_are_named(state: SyncInput, batch: Batch) -> None:
    """By tag and code, with the owner of a digest in use."""
    found = batch.rest.conflicts
    expected = {entry.image_tag: code(entry, state) for entry in state.given}
    assert {tag: one.code for tag, one in found.items()} == {
        tag: named for tag, named in expected.items() if named
    }
    for entry in state.given:
        if expected[entry.image_tag] == "digest_in_use":
            assert owner(str(entry.image_digest), state) in found[entry.image_tag].detail


def the_cap_holds_back_new_ones_only(
    state: SyncInput, batch: Batch, free: Batch, room: int
) -> None:
    """Named ones first, then the oldest; without a cap the rest of the batch is the same."""
    new = sorted((e for e in taken(state) if e.image_tag not in state.known), key=age)
    named = [entry for entry in new if entry.image_tag in state.named]
    others = [entry for entry in new if entry.image_tag not in state.named]
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


def carried_out_it_is_as_wanted(state: SyncInput, batch: Batch) -> None:
    """Entries are rows, what they lack stays, all else is untouched, and it is done."""
    rows = carried_out(state.known, batch)
    wanted = dict(state.known)
    for entry in taken(state):
        before = wanted.get(entry.image_tag, _row(entry))
        wanted[entry.image_tag] = before._replace(
            openclaw_version=entry.openclaw_version,
            image_digest=before.image_digest or entry.image_digest,
        )
    late = {entry.image_tag for entry in batch.rest.new}
    assert rows == {tag: row for tag, row in wanted.items() if tag not in late}
    digests = [row.image_digest for row in rows.values() if row.image_digest]
    assert len(digests) == len(set(digests))
    again = sort(replace(state, rows=tuple(rows.values())))
    assert sorted(again.insert, key=age) == sorted(batch.rest.new, key=age)
    assert (again.fill, list(again.rest.update)) == ([], [])


def what_the_kv_lost_is_told(state: SyncInput) -> None:
    """Once, and once more when it is back; a retired version may be lost."""
    presence = sync.compare_presence(state.known, state.present)
    live = [row for row in state.known.values() if not row.retired]
    lost = [row for row in live if row.image_tag not in state.present]
    assert presence.lost == _tags(row for row in lost if not row.missing)
    assert presence.returned == _tags(row for row in live if row.missing and row not in lost)


def _tags(rows: Iterable[Known]) -> list[str]:
    return [row.image_tag for row in rows]


@settings(max_examples=60)
@given(SYNC_INPUTS)
def test_classification_properties(state: SyncInput) -> None:
    """Every entry is placed once, and carrying the batch out gives the wanted rows."""
    unclaimed = replace(state, claims={})
    free = sort(unclaimed)
    for most, room in product((1, 9), ROOMS):
        batch = sort(unclaimed, most, room)
        every_entry_has_one_place(unclaimed, batch)
        the_cap_holds_back_new_ones_only(unclaimed, batch, free, room)
        carried_out_it_is_as_wanted(unclaimed, batch)
    for most in (1, 9):
        batch = sort(state, most)
        every_entry_has_one_place(state, batch)
        conflicts_are_named(state, batch)
        carried_out_it_is_as_wanted(state, batch)
    what_the_kv_lost_is_told(state)


ENTRY = ImageEntry("a", "2.0", "default", START, "x")


def test_a_claim_that_another_entry_holds_makes_that_one_new() -> None:
    """The earlier entry is new until the claim turns out to be the later one's."""
    later = replace(ENTRY, image_tag="b", published_at=START + timedelta(hours=1))
    sorting = sync.Sorting([later, ENTRY], {})
    assert sorting.take_new(9, 9) == [ENTRY]
    sorting.assign_digest("x", "b")
    assert sorting.new == [later]
    assert sorting.conflicts == {"a": Finding("a", "digest_in_use", "the digest belongs to b")}


def test_another_openclaw_version_is_an_update() -> None:
    """A row whose tag is published with another version follows it."""
    row = Known("a", "x", "1.0", "default")
    sorting = sync.Sorting([ENTRY], {"a": row})
    assert (sorting.update, sorting.unchanged, sorting.new) == ([ENTRY], 0, [])


def test_rows_that_are_as_their_entries_are_counted() -> None:
    """Every row that needs no change counts."""
    rows = {tag: Known(tag, None, "2.0", "default") for tag in "ab"}
    entries = [replace(ENTRY, image_tag=tag, image_digest=None) for tag in "ab"]
    assert sync.Sorting(entries, rows).unchanged == 2

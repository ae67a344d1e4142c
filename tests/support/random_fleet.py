"""A fleet at random: versions, pointers, pins and records in every state they can be in."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, NamedTuple

from shared.catalog.transaction import Catalog
from shared.domain.errors import Refused
from shared.domain.impact import tag_of
from shared.domain.model import Instance, PinContent
from shared.domain.resolution import Resolution, decide
from shared.kv import KV
from shared.kv.instances import PARTITION
from shared.usecases.bulk_pins import BulkItem, Mode, change_pins
from shared.usecases.disable import VersionChange
from shared.usecases.preview import Preview
from shared.usecases.preview_bulk import preview_change_pins
from shared.usecases.preview_rollout import (
    preview_abort,
    preview_resume,
    preview_rollback,
    preview_rollout,
)
from shared.usecases.preview_users import preview_erasure, preview_pin, preview_unpin
from shared.usecases.preview_versions import (
    preview_promotion,
    preview_publication,
    preview_retirement,
    preview_version_change,
)
from shared.usecases.provision import Start, gather
from shared.usecases.publish import Publication, publish
from shared.usecases.rollout import WantedRollout, abort, resume, roll_out
from shared.usecases.versions import change
from tests.support.concurrent_actors import BY, Sandbox
from tests.support.stores import Stores

MOMENT = "2026-11-01T00:00:00.000000Z"
DEFAULT = ("v1", "v2", "v3", "v4", "v5")
BETA = ("b1", "b2", "b3")
BARE = ("x1", "x2")
"""Of a variant that has no latest, so that its users keep what they run."""
IN_KV_ALONE = ("kv1", "kv2")
PENDING = "pending"
USERS = [f"user-{number}" for number in range(24)]


class Answer(NamedTuple):
    """What a user runs after an upgrade, by which rule, and the variant decided for."""

    tag: str | None
    source: str | None
    variant: str


@dataclass(frozen=True)
class Mutation:
    """A change, its preview, and the users whom alone it is about; none of them for all."""

    name: str
    preview: Callable[[], Preview]
    call: Callable[[], object]
    users: tuple[str, ...] = ()
    variant: str | None = None


@dataclass(frozen=True)
class RandomFleet:
    """Stores that are filled and changed at random; `copier` keeps the fleet's copy."""

    stores: Stores
    sandbox: Sandbox
    copier: Catalog
    random: Random

    def fill(self) -> None:
        self._publish()
        for user in USERS:
            self._pin(user)
        for tag in ("off", "x1"):
            self.sandbox.disable(tag, force=True)
        self.sandbox.retire("gone")
        for user in self.random.sample(USERS, 20):
            self._start(user)

    def _publish(self) -> None:
        for tag in DEFAULT:
            self.sandbox.publish(tag, set_latest=tag == "v1")
        for tag in BETA:
            self.sandbox.publish(tag, variant="beta", set_latest=tag == "b1")
        for tag in BARE:
            self.sandbox.publish(tag, variant="bare")
        for tag in IN_KV_ALONE:
            self.stores.put_entry(tag)
        for tag in ("off", "gone"):
            self.sandbox.publish(tag)

    def _pin(self, user: str) -> None:
        tag = self.random.choice([None, None, None, "v2", "v3", "b2", "off", "x1"])
        if tag is None:
            return
        expires = self.random.random() < 0.3
        expiry = datetime.now(UTC) + timedelta(hours=1) if expires else None
        self.sandbox.pin(user, tag, expires_at=expiry)
        if expires and self.random.random() < 0.7:
            self.stores.sql(
                "UPDATE kiloclaw_version_pins SET expires_at = now() - interval '1 s'"
                " WHERE user_id = %(user)s",
                user=user,
            )

    def _start(self, user: str) -> None:
        tag = self.random.choice(
            [*DEFAULT, *BETA, *IN_KV_ALONE, "x2", "off", "gone", "unheard-of"]
        )
        record = Instance(
            user, tag, None, "2026.11.1", variant_of(tag), "latest",
            is_pinned=self.random.random() < 0.2, resolved_at=MOMENT, decided_at=MOMENT,
        )  # fmt: skip
        self.sandbox.kv.instances.record(record)
        with self.copier.transaction() as tx:
            tx.fleet.upsert([record])

    def disturb(self) -> None:
        """Do to a pointer what a pipeline, a brake or a restored table may do."""
        variant = self.random.choice(["default", "default", "beta"])
        [revision] = [
            row for (row,) in self.stores.sql(
                "SELECT revision FROM kiloclaw_variants WHERE variant = %(v)s", v=variant)
        ]  # fmt: skip
        revision = max(1, revision + self.random.choice([-1, 0, 0, 1, 1, 2]))
        tags = [*(BETA if variant == "beta" else DEFAULT), *IN_KV_ALONE, "off", "gone", PENDING]
        pointer: dict[str, Any] = {"revision": revision, "latest_tag": self.random.choice(tags)}
        if self.random.random() < 0.6:
            pointer |= {
                "candidate_tag": self.random.choice(tags),
                "percent": self.random.choice([0, 30, 70, 100]),
                "salt": self.random.choice(["one", "two"]),
                "held": self.random.random() < 0.3,
            }
        kind = self.random.random()
        if kind < 0.1:
            pointer = {"revision": revision, "latest_tag": "not a tag"}
        if kind > 0.9:
            self.sandbox.kv.table.call(
                "delete_item", Key={"pk": {"S": "POINTER"}, "sk": {"S": variant}}
            )
        else:
            self.stores.put("POINTER", variant, **pointer)

    def mutation(self) -> Mutation:
        """A change that may or may not be refused."""
        kinds = [
            self._promotion, self._publication, self._version_change, self._version_change,
            self._retirement, self._pinning, self._unpinning, self._erasure,
            self._percent, self._rollout_end, self._rollback,
            self._bulk,
        ]  # fmt: skip
        return self.random.choice(kinds)()

    @property
    def _stores(self) -> dict[str, Any]:
        return {"catalog": self.sandbox.catalog, "kv": self.sandbox.kv}

    def _tag(self) -> str:
        return self.random.choice([*DEFAULT, *BETA, *BARE, "kv1", "off", "gone", "unheard-of"])

    def _promotion(self) -> Mutation:
        tag = self._tag()
        return Mutation(
            f"promote {tag}",
            lambda: preview_promotion(tag, **self._stores),
            lambda: self.sandbox.promote(tag),
            variant=variant_of(tag),
        )

    def _publication(self) -> Mutation:
        tag = self.random.choice([*DEFAULT, "b1", "kv1", PENDING, "new", "gone"])
        variant = self.random.choice([None, None, "beta"])
        publication = Publication(
            tag, "2026.11.2", variant=variant, set_latest=self.random.random() < 0.5
        )
        return Mutation(
            f"publish {publication}",
            lambda: preview_publication(publication, **self._stores),
            lambda: publish(publication, by=BY, **self._stores),
            variant=variant or variant_of(tag),
        )

    def _version_change(self) -> Mutation:
        tag = self._tag()
        others = next((tags for tags in (BETA, BARE) if tag in tags), DEFAULT)
        replacement = self.random.choice([None, *others, *others, "unheard-of"])
        force = self.random.random() < 0.4
        disabling = VersionChange("disabled", replacement=replacement, force=force)
        wanted = self.random.choice(
            [VersionChange(notes="new"), VersionChange("active"), VersionChange("active"),
             VersionChange("deprecated"), disabling, disabling, disabling]
        )  # fmt: skip
        return Mutation(
            f"change {tag} {wanted}",
            lambda: preview_version_change(tag, wanted, **self._stores),
            lambda: change(tag, wanted, by=BY, **self._stores),
            variant=variant_of(tag),
        )

    def _retirement(self) -> Mutation:
        tag = self._tag()
        return Mutation(
            f"retire {tag}",
            lambda: preview_retirement(tag, **self._stores),
            lambda: self.sandbox.retire(tag),
            variant=variant_of(tag),
        )

    def _percent(self) -> Mutation:
        """A change of a rollout that runs, as far as there is one; a new one is an estimate."""
        variant = self._variant()
        rows = self.stores.sql(
            "SELECT candidate_tag FROM kiloclaw_variants WHERE variant = %(v)s", v=variant
        )
        wanted = WantedRollout(rows[0][0] or "unheard-of", self.random.choice([0, 40, 80, 100]))
        return Mutation(
            f"roll out {wanted}",
            lambda: preview_rollout(variant, wanted, **self._stores),
            lambda: roll_out(variant, wanted, by=BY, **self._stores),
            variant=variant,
        )

    def _rollout_end(self) -> Mutation:
        variant = self._variant()
        foresee, act = self.random.choice([(preview_resume, resume), (preview_abort, abort)])
        return Mutation(
            f"{act.__name__} {variant}",
            lambda: foresee(variant, **self._stores),
            lambda: act(variant, by=BY, **self._stores),
            variant=variant,
        )

    def _rollback(self) -> Mutation:
        variant = self._variant()
        return Mutation(
            f"roll back {variant}",
            lambda: preview_rollback(variant, **self._stores),
            lambda: self.sandbox.roll_back(variant),
            variant=variant,
        )

    def _variant(self) -> str:
        return self.random.choice(["default", "default", "beta"])

    def _pinning(self) -> Mutation:
        user, tag = self.random.choice(USERS), self._tag()
        return Mutation(
            f"pin {user} {tag}",
            lambda: preview_pin(user, tag, **self._stores),
            lambda: self.sandbox.pin(user, tag),
            (user,),
        )

    def _unpinning(self) -> Mutation:
        user = self.random.choice(USERS)
        return Mutation(
            f"unpin {user}",
            lambda: preview_unpin(user, **self._stores),
            lambda: self.sandbox.unpin(user),
            (user,),
        )

    def _erasure(self) -> Mutation:
        user = self.random.choice(USERS)
        return Mutation(
            f"erase {user}",
            lambda: preview_erasure(user, **self._stores),
            lambda: self.sandbox.erase(user),
            (user,),
        )

    def _bulk(self) -> Mutation:
        users = self.random.sample(USERS, self.random.randint(1, 12))
        content = [PinContent(self._tag(), None, None) for _ in users]
        items = [
            BulkItem(user, pin if self.random.random() < 0.7 else None)
            for user, pin in zip(users, content, strict=True)
        ]
        mode: Mode = "atomic" if self.random.random() < 0.3 else "best_effort"
        return Mutation(
            f"{mode} {items}",
            lambda: preview_change_pins(items, mode, **self._stores),
            lambda: change_pins(items, mode, by=BY, catalog=self.sandbox.catalog),
            tuple(users),
        )

    def known(self) -> list[str]:
        partitions = {item["pk"]["S"] for item in self.stores.items()}
        return [user for user in USERS if f"{PARTITION}{user}" in partitions]

    def ask(self, users: list[str]) -> dict[str, Answer]:
        """What each of these users would run after an upgrade."""
        client: Any = _Snapshot(self.stores)
        kv = KV(client, self.stores.table)
        return {user: self._ask(user, kv) for user in users}

    def _ask(self, user: str, kv: KV) -> Answer:
        facts = gather(Start(user, "upgrade"), self.sandbox.database, kv)
        decision = decide(facts)
        source = decision.source if isinstance(decision, Resolution) else None
        return Answer(tag_of(decision), source, facts.variant)


class _Snapshot:
    """A client that reads what the table held when it was made, without asking it again."""

    def __init__(self, stores: Stores) -> None:
        self._table = stores.table
        self._items = {(item["pk"]["S"], item["sk"]["S"]): item for item in stores.items()}

    def batch_get_item(self, **parameters: Any) -> dict[str, Any]:
        keys = parameters["RequestItems"][self._table]["Keys"]
        names = [(key["pk"]["S"], key["sk"]["S"]) for key in keys]
        found = [self._items[name] for name in names if name in self._items]
        return {"Responses": {self._table: found}, "UnprocessedKeys": {}}


def variant_of(tag: str) -> str:
    return "beta" if tag in BETA else "bare" if tag in BARE else "default"


def outcome(call: Callable[[], Any]) -> Any:
    """What a call returns, or its refusal as it would be answered."""
    try:
        return call()
    except Refused as refusal:
        return refusal.code, refusal.detail, refusal.facts

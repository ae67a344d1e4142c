"""What races and faults have in common: sandboxes, starting together, what must hold after."""

import random
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from threading import Barrier
from typing import Any

from shared.catalog.transaction import Catalog
from shared.domain.errors import Refused
from shared.domain.model import Initiator, Instance, Intent, PinContent, Version
from shared.domain.pointer import Brake, Pointer
from shared.domain.sync_report import SyncReport
from shared.kv import KV
from shared.kv.counters import StartOutcome
from shared.usecases.bulk_pins import BulkItem, BulkResult, Mode, change_pins
from shared.usecases.disable import VersionChange
from shared.usecases.pins import Pinned, erase_user, put_pin, remove_pin
from shared.usecases.promote import promote
from shared.usecases.provision import Provisioned, Start, provision
from shared.usecases.publish import Publication, Published, publish
from shared.usecases.report import Report, Reported, report
from shared.usecases.retire import retire
from shared.usecases.rollback import roll_back
from shared.usecases.rollout import WantedRollout, abort, resume, roll_out
from shared.usecases.sync import run_sync
from shared.usecases.versions import change
from tests.support.invariants import Write, write_of
from tests.support.stores import Stores

BY = Initiator("ada@example.com")
DEADLOCK = "40P01"
JITTER_SECONDS = 0.006
ADMINS, SYNCS, STARTS = 6, 2, 3
SANDBOXES = ADMINS + SYNCS + STARTS


def digest(seed: object) -> str:
    """A digest like any other, the same for the same seed."""
    return f"sha256:{sha256(str(seed).encode()).hexdigest()}"


class Sandbox:
    """One environment of a function: a connection and a client of its own, used by one event
    at a time. `writes` are the pointers that its client has put.
    """

    def __init__(self, stores: Stores, client: Any, role: str = "admin_api") -> None:
        self.database = stores.database(role)
        self.catalog = Catalog(self.database)
        self.writes: list[Write] = []
        self.kv = KV(_Remembering(client, self.writes), stores.table)

    def close(self) -> None:
        self.database.close()

    def publish(self, tag: str, image_digest: str | None = None, **more: Any) -> Published:
        more = {"openclaw_version": "2026.11.1"} | more
        publication = Publication(tag, image_digest=image_digest, **more)
        return publish(publication, by=BY, catalog=self.catalog, kv=self.kv)

    def promote(self, tag: str) -> str:
        return promote(tag, by=BY, catalog=self.catalog, kv=self.kv)

    def roll_out(
        self, tag: str, percent: int, brake: Brake | None = None, variant: str = "default"
    ) -> Pointer:
        wanted = WantedRollout(tag, percent, brake)
        return roll_out(variant, wanted, by=BY, catalog=self.catalog, kv=self.kv)

    def resume(self, variant: str = "default") -> Pointer:
        return resume(variant, by=BY, catalog=self.catalog, kv=self.kv)

    def abort(self, variant: str = "default") -> Pointer:
        return abort(variant, by=BY, catalog=self.catalog, kv=self.kv)

    def roll_back(self, variant: str = "default") -> Pointer:
        return roll_back(variant, by=BY, catalog=self.catalog, kv=self.kv)

    def report(self, user_id: str, tag: str, outcome: StartOutcome, start_id: str) -> Reported:
        return report(Report(user_id, tag, outcome, start_id), kv=self.kv)

    def disable(
        self, tag: str, replacement: str | None = None, *, force: bool = False
    ) -> Version:
        wanted = VersionChange("disabled", replacement=replacement, force=force)
        return change(tag, wanted, by=BY, catalog=self.catalog, kv=self.kv).version

    def deprecate(self, tag: str) -> Version:
        wanted = VersionChange("deprecated")
        return change(tag, wanted, by=BY, catalog=self.catalog, kv=self.kv).version

    def enable(self, tag: str) -> Version:
        wanted = VersionChange("active")
        return change(tag, wanted, by=BY, catalog=self.catalog, kv=self.kv).version

    def retire(self, tag: str) -> None:
        retire(tag, by=BY, catalog=self.catalog, kv=self.kv)

    def pin(
        self,
        user_id: str,
        tag: str,
        reason: str | None = None,
        expires_at: datetime | None = None,
    ) -> Pinned:
        by = replace(BY, reason=reason)
        return put_pin(user_id, tag, by=by, catalog=self.catalog, expires_at=expires_at)

    def unpin(self, user_id: str) -> None:
        remove_pin(user_id, by=BY, catalog=self.catalog)

    def bulk(self, pins: Mapping[str, str | None], mode: Mode = "atomic") -> list[BulkResult]:
        """Pin users to these versions; None unpins."""
        items = [
            BulkItem(user, PinContent(tag, None, None) if tag else None)
            for user, tag in pins.items()
        ]
        return change_pins(items, mode, by=BY, catalog=self.catalog)

    def erase(self, user_id: str) -> None:
        erase_user(user_id, by=BY, catalog=self.catalog, kv=self.kv)

    def sync(self, cap: int = 0, seconds: float | None = None) -> SyncReport:
        return run_sync(
            catalog=self.catalog, kv=self.kv, cap=cap, trigger="direct", seconds=seconds
        )

    def provision(self, user_id: str, intent: Intent = "provision", **more: Any) -> Provisioned:
        return provision(Start(user_id, intent, **more), database=self.database, kv=self.kv)

    def instance(self, user_id: str) -> Instance | None:
        return self.kv.instances.find(user_id)


class _Remembering:
    """A client that remembers the pointers it has put."""

    def __init__(self, client: Any, writes: list[Write]) -> None:
        self._client = client
        self._writes = writes

    def __getattr__(self, operation: str) -> Any:
        return getattr(self._client, operation)

    def put_item(self, **parameters: Any) -> Any:
        answer = self._client.put_item(**parameters)
        self._remember(parameters["Item"])
        return answer

    def update_item(self, **parameters: Any) -> Any:
        answer = self._client.update_item(**parameters | {"ReturnValues": "ALL_NEW"})
        self._remember(answer["Attributes"])
        return answer

    def transact_write_items(self, **parameters: Any) -> Any:
        answer = self._client.transact_write_items(**parameters)
        for write in parameters["TransactItems"]:
            if "Put" in write:
                self._remember(write["Put"]["Item"])
        return answer

    def _remember(self, item: dict[str, Any]) -> None:
        if item["pk"]["S"] == "POINTER":
            self._writes.append(write_of(item))


class Crowd:
    """Sandboxes that do things at once."""

    def __init__(self, stores: Stores, clients: Sequence[Any]) -> None:
        roles = ["admin_api"] * ADMINS + ["sync"] * SYNCS + ["provisioning"] * STARTS
        self.stores = stores
        self.all = [
            Sandbox(stores, client, role) for client, role in zip(clients, roles, strict=True)
        ]
        self.admins = self.all[:ADMINS]
        self.syncs = self.all[ADMINS : ADMINS + SYNCS]
        self.starts = self.all[-STARTS:]
        self._threads = ThreadPoolExecutor(SANDBOXES)

    def close(self) -> None:
        self._threads.shutdown()
        for sandbox in self.all:
            sandbox.close()

    def race(self, *calls: Callable[[], object]) -> list[Any]:
        """Start the calls together; what each returned, or how it was refused, in their order.

        Whatever else they raise is raised here, deadlocks too.
        """
        barrier = Barrier(len(calls))
        started = [self._threads.submit(_after_jitter, call, barrier) for call in calls]
        ended = [future.result() for future in started]
        deadlocks = [e for e in ended if isinstance(e, Refused) and DEADLOCK in e.detail]
        assert not deadlocks
        return ended

    def revisions_with_two_contents(self) -> list[set[Write]]:
        """What was put under one revision of one variant and differs."""
        writes: dict[tuple[str, int], set[Write]] = {}
        for sandbox in self.all:
            for write in sandbox.writes:
                writes.setdefault(write[:2], set()).add(write)
        return [found for found in writes.values() if len(found) > 1]

    def settle(self) -> SyncReport:
        """Let the schedule come round twice; what the second run says."""
        self.syncs[0].sync()
        return self.syncs[0].sync()


@contextmanager
def crowd_of(stores: Stores, clients: Sequence[Any]) -> Generator[Crowd]:
    """A crowd among which the interpreter switches often; as many clients as SANDBOXES."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    crowd = Crowd(stores, clients)
    try:
        yield crowd
    finally:
        crowd.close()
        sys.setswitchinterval(interval)


def latest(crowd: Crowd) -> str:
    [(latest,)] = crowd.stores.sql("SELECT latest_tag FROM kiloclaw_variants")
    return str(latest)


def status(crowd: Crowd, tag: str) -> str:
    [(status,)] = crowd.stores.sql(
        "SELECT status FROM kiloclaw_available_versions WHERE image_tag = %(tag)s", tag=tag
    )
    return str(status)


def published(crowd: Crowd, *tags: str) -> None:
    for tag in tags:
        crowd.admins[0].publish(tag, digest(tag))


def _after_jitter(call: Callable[[], object], barrier: Barrier) -> object:
    pause = random.random() * JITTER_SECONDS
    barrier.wait(20)
    time.sleep(pause)
    try:
        return call()
    except Refused as refusal:
        return refusal

"""One variant with a latest, a candidate and a pin, and what is done to its versions."""

from typing import Any

from shared.domain.model import Version
from shared.kv import KV
from shared.usecases.disable import VersionChange
from shared.usecases.provision import Provisioned
from shared.usecases.versions import change
from tests.support.concurrent_actors import BY, Sandbox, digest
from tests.support.invariants import Write, mirrors, pointers
from tests.support.stores import Stores


def fill(sandbox: Sandbox) -> None:
    """v1 is latest and v2 its candidate, ana is pinned to v3; v4 is like any other."""
    sandbox.publish("v1", digest(1), set_latest=True)
    for tag in ("v2", "v3", "v4"):
        sandbox.publish(tag)
    sandbox.publish("b1", variant="beta")
    rollout = {"candidate_tag": "v2", "percent": 20, "salt": "salt"}
    pipeline(sandbox, 2, "v1", **rollout)
    sandbox.sync()
    sandbox.pin("ana", "v3")


def pipeline(sandbox: Sandbox, revision: int, tag: str, **more: Any) -> None:
    item = {"pk": {"S": "POINTER"}, "sk": {"S": "default"}, "revision": {"N": str(revision)}}
    item |= {"latest_tag": {"S": tag}}
    for name, value in more.items():
        item[name] = {"N": str(value)} if isinstance(value, int) else {"S": value}
    sandbox.kv.table.call("put_item", Item=item)


def change_by(sandbox: Sandbox, tag: str, wanted: VersionChange, client: Any = None) -> Version:
    kv = KV(client, sandbox.kv.table.name) if client else sandbox.kv
    return change(tag, wanted, by=BY, catalog=sandbox.catalog, kv=kv).version


def disabled(replacement: str | None = None, *, force: bool = False) -> VersionChange:
    return VersionChange("disabled", replacement=replacement, force=force)


def content_of(copy: set[Write]) -> tuple[object, ...]:
    [found] = [
        (revision, *content[:2]) for variant, revision, content in copy if variant == "default"
    ]
    return found


def contents(stores: Stores) -> tuple[object, object]:
    """Revision, latest and candidate in the KV and in the mirror."""
    return content_of(pointers(stores)), content_of(mirrors(stores))


def told(answer: Provisioned) -> tuple[Any, ...]:
    """Tag, source, pin state, changed, recorded, degraded."""
    resolution = answer.resolution
    return (
        resolution.image.image_tag, resolution.source, resolution.pin_state,
        answer.changed, answer.recorded, resolution.degraded,
    )  # fmt: skip

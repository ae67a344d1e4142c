"""Load the demo data through the interfaces that users, pipelines and the clock have."""

import hashlib
import http.client
import json
import re
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from infra.local import demo_data as data
from infra.local.aws.dynamodb import DynamoDB
from infra.local.processes import NotStarted

OPENCLAW_VERSION = re.compile(r"[0-9.]+(?:-(?:beta\.)?[0-9]+(?=-))?")
AT_ONCE = 3
CALL_SECONDS = 60
EXPIRE_AFTER = (1, 5, 25)
"""Seconds until a pin expires: the first of these that the API accepts."""


@dataclass(frozen=True, slots=True)
class ApiClient:
    """Calls the system over HTTP; `check` raises before a call if the start was ended."""

    url: str
    check: Callable[[], None]
    token: str | None = None

    def call(self, method: str, path: str, body: Mapping[str, object]) -> Any:
        """The answer's JSON, None without a body. Raises NotStarted on any refusal."""
        self.check()
        address = self.url.removeprefix("http://")
        connection = http.client.HTTPConnection(address, timeout=CALL_SECONDS)
        authorization = {"authorization": f"Bearer {self.token}"} if self.token else {}
        headers = {"content-type": "application/json"} | authorization
        try:
            connection.request(method, path, json.dumps(body), headers)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.status >= http.client.BAD_REQUEST or answer.getheader("x-amz-function-error"):
            raise NotStarted(f"demo data: {method} {path}: {content.decode()}")
        return json.loads(content) if content else None

    def invoke(self, function: str, event: Mapping[str, object]) -> Any:
        return self.call("POST", f"/2015-03-31/functions/{function}/invocations", event)

    def signed_in(self, email: str, role: str) -> "ApiClient":
        person = {"sub": email.partition("@")[0], "roles": [role], "email": email}
        token = self.call("POST", "/local/token", person)["access_token"]
        return ApiClient(self.url, self.check, token)


def load(url: str, dynamodb: DynamoDB, check: Callable[[], None]) -> None:
    """Fill the empty system. Raises NotStarted, and whatever `check` raises."""
    control_plane = ApiClient(url, check)
    pipeline = control_plane.signed_in("release-bot@example.com", "publisher")
    admin = control_plane.signed_in("ana@example.com", "admin")
    with ThreadPoolExecutor(AT_ONCE) as pool:

        def each(do: Callable[[Any], object], things: Iterable[Any]) -> None:
            """Call `do` for each, some at a time; the first failure is raised."""
            list(pool.map(do, things))

        each(lambda version: _publish(pipeline, version), data.VERSIONS)
        each(lambda pin: _pin(admin, pin), data.PINS)
        for latest in data.LATEST:
            each(lambda tag: _promote(admin, tag), latest.tags)
            each(lambda user: _provision(control_plane, user), latest.users)
        each(lambda status: _set_status(admin, status), data.STATUSES)
        each(lambda user: _provision(control_plane, user), data.PINNED_USERS)
        _roll_back(admin, data.ROLLBACK)
        for rollout in data.ROLLOUTS:
            _roll_out(admin, rollout)
            each(lambda user: _provision(control_plane, user, "upgrade"), rollout.users)
            _report(control_plane, rollout)
    for entry in data.FOUND_IN_KV:
        _put_entry(dynamodb, entry)
    control_plane.invoke("sync", {})


def digest(tag: str) -> str:
    return f"sha256:{hashlib.sha256(tag.encode()).hexdigest()}"


def _openclaw_version(tag: str) -> str:
    """The beginning of a tag, with the number of a correction or a beta."""
    found = OPENCLAW_VERSION.match(tag)
    assert found is not None  # noqa: S101
    return found[0]


def _publish(pipeline: ApiClient, version: data.DemoVersion) -> None:
    publication = {
        "image_tag": version.tag,
        "openclaw_version": _openclaw_version(version.tag),
        "variant": version.variant,
        "image_digest": digest(version.tag),
        "notes": version.notes,
        "published_at": _days_ago(version.days),
    }
    pipeline.call("POST", "/v1/versions", publication)


def _pin(admin: ApiClient, pin: data.DemoPin) -> None:
    path = f"/v1/users/{quote(pin.user_id, safe='')}/pin"
    body = {"image_tag": pin.tag, "reason": pin.reason}
    if not pin.expires:
        end = datetime.now(UTC) + timedelta(days=pin.days) if pin.days else None
        admin.call("PUT", path, body | {"expires_at": end.isoformat() if end else None})
        return
    # The API accepts no expiry in the past, so these pins expire while the rest is loaded. On a
    # busy machine a second may already be over when the API reads it: then it gets longer.
    for seconds in EXPIRE_AFTER:
        expiry = datetime.now(UTC) + timedelta(seconds=seconds)
        with suppress(NotStarted):
            admin.call("PUT", path, body | {"expires_at": expiry.isoformat()})
            return
    raise NotStarted(f"demo data: the pin of {pin.user_id} could not be made to expire")


def _promote(admin: ApiClient, tag: str) -> None:
    admin.call("POST", f"/v1/versions/{tag}/promote", {"reason": "Passed a week of canaries"})


def _provision(
    control_plane: ApiClient, user: data.DemoUser, intent: str = "provision"
) -> None:
    event = {"user_id": user.user_id, "variant": user.variant, "intent": intent}
    control_plane.invoke("provisioning", event)


def _roll_back(admin: ApiClient, rollback: data.DemoRollback) -> None:
    _promote(admin, rollback.tag)
    body = {"reason": rollback.reason}
    admin.call("POST", f"/v1/variants/{rollback.variant}/rollback", body)


def _roll_out(admin: ApiClient, rollout: data.DemoRollout) -> None:
    brake = {"min_failures": rollout.min_failures, "percent": rollout.failed_percent}
    body = {"image_tag": rollout.tag, "percent": rollout.percent, "brake": brake}
    admin.call("PUT", f"/v1/variants/{rollout.variant}/rollout", body)


def _report(control_plane: ApiClient, rollout: data.DemoRollout) -> None:
    report = {"user_id": rollout.canary, "intent": "report", "image_tag": rollout.tag}
    for number, outcome in enumerate(rollout.outcomes):
        told = {"outcome": outcome, "start_id": f"{rollout.variant}-{number}"}
        control_plane.invoke("provisioning", report | told)


def _set_status(admin: ApiClient, status: data.DemoStatus) -> None:
    # Pins to a version that is disabled by force stay, suspended.
    force = {"force": True} if status.status == "disabled" else {}
    body: dict[str, object] = {"status": status.status, "notes": status.notes}
    admin.call("PATCH", f"/v1/versions/{status.tag}", body | force)


def _put_entry(dynamodb: DynamoDB, entry: data.DemoEntry) -> None:
    texts = {
        "pk": "IMAGE",
        "sk": entry.tag,
        "image_tag": entry.tag,
        "openclaw_version": _openclaw_version(entry.tag),
        "variant": entry.variant,
        "published_at": _days_ago(entry.days),
        "image_digest": digest(entry.digest_of),
    }
    item: Any = {name: {"S": text} for name, text in texts.items()}
    dynamodb.client().put_item(TableName=dynamodb.table, Item=item)


def _days_ago(days: float) -> str:
    moment = datetime.now(UTC) - timedelta(days=days)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")

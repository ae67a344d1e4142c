"""A version's life as users see it: publish, promote, pin, disable, lose a store."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from tests.support.local_system import HttpReply, RunningSystem, kill_catalog, running


def _client(service: Any, endpoint: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="any",
        aws_secret_access_key="any",
    )


class Story:
    """A system and its clients."""

    def __init__(self, system: RunningSystem) -> None:
        self.system = system
        self.functions = _client("lambda", system.url)
        self.dynamodb = _client("dynamodb", system.status()["dynamodb"]["endpoint"])

    def ask(
        self, method: str, path: str, role: str = "admin", body: object = None
    ) -> HttpReply:
        return self.system.call(method, path, body, self.system.bearer(role))

    def invoke(self, name: str, **payload: str) -> Any:
        answer = self.functions.invoke(FunctionName=name, Payload=json.dumps(payload))
        return json.loads(answer["Payload"].read())


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    """An empty system."""
    with running(tmp_path / "log", "--empty", "--no-schedule") as system:
        told = Story(system)
        yield told
        told.functions.close()
        told.dynamodb.close()


def test_from_publishing_to_a_lost_catalog(story: Story) -> None:
    """Each user gets the right image after every step of a version's life."""
    for tag, digit in (("one", "1"), ("two", "2")):
        body = {"image_tag": tag, "openclaw_version": f"2026.11.{digit}",
                "image_digest": f"sha256:{digit * 64}"}  # fmt: skip
        assert story.ask("POST", "/v1/versions", "publisher", body).status == 201
        assert story.ask("POST", "/v1/versions", "publisher", body).status == 200
    assert story.ask("POST", "/v1/versions/two/promote", "publisher").status == 403
    assert story.ask("POST", "/v1/versions/two/promote").status == 200
    answer = story.invoke("provisioning", user_id="ana")
    assert (answer["image_tag"], answer["image_digest"]) == ("two", f"sha256:{'2' * 64}")

    pin = {"image_tag": "one", "reason": "two breaks the editor"}
    assert story.ask("PUT", "/v1/users/ana/pin", body=pin).status == 201
    assert story.invoke("provisioning", user_id="ana", intent="restart")["image_tag"] == "one"
    story.dynamodb.put_item(
        TableName="kiloclaw",
        Item={
            "pk": {"S": "IMAGE"}, "sk": {"S": "three"}, "image_tag": {"S": "three"},
            "openclaw_version": {"S": "2026.11.3"},
            "published_at": {"S": "2026-11-03T04:05:06Z"},
        },
    )  # fmt: skip
    assert story.invoke("sync")["inserted"] == 1
    found = story.ask("GET", "/v1/versions/three", "viewer").json
    assert found["published_at"] == "2026-11-03T04:05:06.000000Z"

    assert story.ask("PATCH", "/v1/versions/one", body={"status": "deprecated"}).status == 200
    assert story.invoke("provisioning", user_id="ana")["image_tag"] == "one"
    refused = story.ask("PATCH", "/v1/versions/one", body={"status": "disabled"})
    assert (refused.status, refused.json["code"]) == (409, "version_pinned")
    forced = story.ask("PATCH", "/v1/versions/one", body={"status": "disabled", "force": True})
    assert forced.status == 200
    answer = story.invoke("provisioning", user_id="ana")
    assert (answer["image_tag"], answer["pin_state"]) == ("two", "suspended")

    kill_catalog(story.system)
    answer = story.invoke("provisioning", user_id="ana")
    assert (answer["image_tag"], answer["degraded"]) == ("two", True)
    assert story.invoke("provisioning", user_id="ben")["errorType"] == "CatalogUnavailable"
    assert story.ask("GET", "/v1/versions", "viewer").json["code"] == "catalog_unavailable"


def test_requests_that_are_refused(story: Story) -> None:
    """What is unknown or malformed changes nothing, and a preview neither."""
    assert story.ask("DELETE", "/v1/users/ana/pin?dry_run=true").status == 200
    assert story.ask("DELETE", "/v1/users/ana/pin").status == 204
    assert story.ask("DELETE", "/v1/users/a%0Ab/pin").status == 422
    assert story.ask("POST", "/v1/versions/one").status == 405
    assert story.ask("GET", "/v1/nothing").status == 404

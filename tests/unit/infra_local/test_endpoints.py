"""What the local system's own endpoints take."""

import pytest

from infra.local.aws.issuer import Person
from infra.local.aws.scheduler import scheduled_event
from infra.local.endpoints import TokenRequest


def test_a_token_request() -> None:
    """A token request names a person; roles may be empty and the email absent."""
    body = b'{"sub": "ana", "roles": ["admin"], "email": "ana@example.com"}'
    assert TokenRequest.parse(body).person == Person("ana", ("admin",), "ana@example.com")
    assert TokenRequest.parse(b'{"sub": "ana", "roles": []}').person == Person("ana")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b"\xff",
        b'{"roles": []}',
        b'{"sub": "ana"}',
        b'{"sub": "", "roles": []}',
        b'{"sub": "\\ud800", "roles": []}',
        b'{"sub": 1, "roles": []}',
        b'{"sub": "ana", "roles": "admin"}',
        b'{"sub": "ana", "roles": [1]}',
        b'{"sub": "ana", "roles": ["viewer admin"]}',
        b'{"sub": "ana", "roles": [], "email": 1}',
        b'{"sub": "ana", "roles": [], "group": "x"}',
    ],
)
def test_a_bad_token_request(body: bytes) -> None:
    """Every faulty token request is a ValueError with a message."""
    with pytest.raises(ValueError, match=r"."):
        TokenRequest.parse(body)


def test_the_scheduler_sends_its_default_event() -> None:
    """The Scheduler's default event has a `detail` that is text, not an object."""
    event = scheduled_event()
    assert event["source"] == "aws.scheduler"
    assert event["detail-type"] == "Scheduled Event"
    assert event["detail"] == "{}"

"""Records of the table's stream, as Lambda hands them over."""

from typing import Any

from boto3.dynamodb.types import TypeSerializer

MOMENT = "2026-11-01T00:00:00.000000Z"


def instance_item(user: str, **different: object) -> dict[str, Any]:
    """Return the attributes of an instance record but its key."""
    return {
        "user_id": user,
        "running_tag": "v1",
        "openclaw_version": "2026.11.1",
        "variant": "default",
        "source": "latest",
        "is_pinned": False,
        "resolved_at": MOMENT,
        "decided_at": MOMENT,
    } | different


def stream_record(user: str, event: str = "INSERT", **different: object) -> dict[str, Any]:
    """Return the record of a put, or of a removal with `event="REMOVE"`."""
    item = instance_item(user, **different)
    image = {name: TypeSerializer().serialize(value) for name, value in item.items()}
    return {
        "eventName": event,
        "dynamodb": {
            "ApproximateCreationDateTime": 1793491200.0,
            "Keys": {"pk": {"S": f"INSTANCE#{user}"}, "sk": {"S": "IMAGE"}},
            "OldImage" if event == "REMOVE" else "NewImage": image,
        },
    }

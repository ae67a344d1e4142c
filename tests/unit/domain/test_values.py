"""The rules of the values, by example: texts, their order, and times."""

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from shared.domain.errors import InvalidValue
from shared.domain.values import (
    IMAGE_DIGEST,
    IMAGE_TAG,
    NOTES,
    OPENCLAW_VERSION,
    REASON,
    USER_ID,
    VARIANT,
    ImageDigest,
    ImageTag,
    Notes,
    Reason,
    TextRule,
    UserId,
    openclaw_order,
    parse_moment,
    rfc3339,
    tag_order,
)
from tests.support.openclaw_feed import VERSIONS

DIGEST = f"sha256:{'0a' * 32}"


@pytest.mark.parametrize(
    ("rule", "text", "stored"),
    [
        (IMAGE_TAG, "2026.11.1-gpu_rc.2", "2026.11.1-gpu_rc.2"),
        (IMAGE_TAG, "_", "_"),
        (IMAGE_TAG, "Latest", "Latest"),
        (IMAGE_TAG, "x" * 128, "x" * 128),
        (IMAGE_DIGEST, DIGEST.upper(), DIGEST),
        (OPENCLAW_VERSION, "2026.1.31", "2026.1.31"),
        (OPENCLAW_VERSION, "2026.01.09", "2026.01.09"),
        (OPENCLAW_VERSION, "2026.12.99-beta.999", "2026.12.99-beta.999"),
        *((OPENCLAW_VERSION, version, version) for version in VERSIONS),
        (VARIANT, "g", "g"),
        (VARIANT, "gpu--12", "gpu--12"),
        (VARIANT, "g" * 64, "g" * 64),
        *(
            (USER_ID, text, text)
            for text in (
                "auth0|ana+1@example.com",
                "oauth/google:114000741928328149731",
                "o'brien@example.com",
                "_svc-kilo",
                "a/b/c",
                "x/pin",
                "...",
                ".a/..b/c.",
                "!$&'()*+,-.:;=@[]^_`{|}~",
                "u" * 255,
            )
        ),
        (NOTES, f" {'é' * 2000}\n", "é" * 2000),
        (REASON, f" {'r' * 500}", "r" * 500),
        (REASON, "   ", ""),
    ],
)
def test_taken(rule: TextRule, text: str, stored: str) -> None:
    """A legal text is kept as it is, but for case and space where the rule says so."""
    assert rule.parse(text) == stored


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        *(
            (IMAGE_TAG, text)
            for text in ("", "latest", "v1\n", "-v1", ".v1", "v/1", "v1 ", "é")
        ),
        *((IMAGE_TAG, text) for text in ("x" * 129, "v\0", "v\ud800", None, 1, b"v1", ["v1"])),
        *((IMAGE_DIGEST, text) for text in ("", DIGEST[:-1], f"{DIGEST}0", f"{DIGEST}\n")),
        *((IMAGE_DIGEST, text) for text in ("sha512:" + "0" * 64, "sha256:" + "g" * 64)),
        *(
            (OPENCLAW_VERSION, text)
            for text in ("2026.1", "26.1.1", "2026.1.111", "2026.1.1\n", "0.0.1")
        ),
        *(
            (OPENCLAW_VERSION, text)
            for text in ("2026.0.1", "2026.13.1", "2026.1.0", "2026.1.00", "2026.00.1")
        ),
        *(
            (OPENCLAW_VERSION, text)
            for text in ("2026.1.1-", "2026.1.1-beta.", "2026.1.1-beta", "2026.1.1-1234")
        ),
        *((OPENCLAW_VERSION, text) for text in ("٢٠٢٦.1.1", "2026.1.1-rc1", "v2026.1.1")),
        *((VARIANT, text) for text in ("", "-gpu", "gpu-", "GPU", "g" * 65, "gpu\n")),
        *(
            (USER_ID, text)
            for text in ("", "ana b", "/ana", "ana/", "ana//b", ".", "ana/..", "./ana", "..")
        ),
        *((USER_ID, f"ana{character}") for character in '?#%\\"<>\n\x7f\0é'),
        *((USER_ID, text) for text in ("u" * 256, "ana/../b")),
        *((NOTES, text) for text in ("n" * 2001, "a\0b", "\udfff")),
        (REASON, "r" * 501),
    ],
)
def test_refused(rule: TextRule, value: object) -> None:
    """A refusal says in words what is allowed and does not repeat the value."""
    with pytest.raises(InvalidValue, match=r"^must ") as refusal:
        rule.parse(value)
    assert "[" not in str(refusal.value)
    assert not (isinstance(value, str) and len(value) > 6 and value in str(refusal.value))


@pytest.mark.parametrize(
    ("rule", "value", "message"),
    [
        (IMAGE_TAG, 1, "must be a string"),
        (IMAGE_TAG, "latest", "must not be `latest`"),
        (
            IMAGE_TAG,
            "-v1",
            (
                "must be an OCI image tag: letters, digits, `.`, `_`, `-`,"
                " at most 128 characters, not starting with `.` or `-`"
            ),
        ),
        (NOTES, "a\0b", "must not contain NUL or lone surrogates"),
        (REASON, "r" * 501, "must be at most 500 characters"),
    ],
)
def test_messages(rule: TextRule, value: object, message: str) -> None:
    """A message completes a sentence that begins with the name of the field."""
    with pytest.raises(InvalidValue) as refusal:
        rule.parse(value)
    assert str(refusal.value) == message


@pytest.mark.parametrize(
    ("text_type", "schema"),
    [
        (
            ImageTag,
            {
                "pattern": "^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$",
                "not": {"enum": ["latest"]},
            },
        ),
        (ImageDigest, {"pattern": "^sha256:[0-9a-fA-F]{64}$"}),
        (UserId, {"pattern": f"^{USER_ID.pattern}$", "maxLength": 255}),
        (Notes, {}),
    ],
)  # fmt: skip
def test_a_type_documents_its_rule(text_type: Any, schema: dict[str, object]) -> None:
    """A JSON Schema says what is accepted, before case is folded and space is trimmed."""
    assert TypeAdapter(text_type).json_schema() == {"type": "string"} | schema


def test_a_model_validates_by_the_rule() -> None:
    """Pydantic stores what the rule stores, and its error has the rule's message."""
    assert TypeAdapter(ImageDigest).validate_python(DIGEST.upper()) == DIGEST
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(Reason).validate_python("r" * 501)
    [error] = refused.value.errors(include_context=False)
    assert (error["type"], error["msg"]) == ("invalid_text", "must be at most 500 characters")
    with pytest.raises(ValidationError):
        TypeAdapter(Reason).validate_python(5)


def test_versions_of_one_day_sort_by_kind_and_number() -> None:
    """Betas come before the release and corrections after it, each kind by its number."""
    day = ["-beta.2", "-beta.10", "", "-1", "-2", "-10"]
    ordered = [f"2026.7.{number}{kind}" for number in (1, 2, 10) for kind in day]
    for before, after in pairwise(ordered):
        assert openclaw_order(before) < openclaw_order(after)


def test_leading_zeros_do_not_count() -> None:
    """A number is a number, however it is written."""
    assert openclaw_order("2026.07.01-01") == openclaw_order("2026.7.1-1") == [2026, 7, 1, 2, 1]
    assert tag_order("r007-0") == tag_order("r7-00")


def test_tags_sort_in_natural_order() -> None:
    """Numbers in a tag count as numbers, whatever their length."""
    ordered = [
        "2026.9.1-r2",
        "2026.9.1-r10",
        "2026.10.1-r1",
        f"2026.{'9' * 99}",
        "r",
        "r2",
        "r10",
    ]
    for before, after in pairwise(ordered):
        assert tag_order(before) < tag_order(after)


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("2026-11-24T12:00:00Z", "2026-11-24T12:00:00.000000Z"),
        ("2026-11-24t12:00:00.5z", "2026-11-24T12:00:00.500000Z"),
        ("2026-11-24T12:00:00.123456789+05:30", "2026-11-24T06:30:00.123456Z"),
        ("2026-11-24T12:00:00-23:59", "2026-11-25T11:59:00.000000Z"),
        ("2026-11-24T12:00:00-00:00", "2026-11-24T12:00:00.000000Z"),
    ],
)
def test_moments(text: str, same: str) -> None:
    """A time of any offset and precision is kept in UTC to the microsecond."""
    assert rfc3339(parse_moment(text)) == same


OFFSETS = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.tuples(
    st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29)),  # noqa: DTZ001  zones are drawn apart
    OFFSETS,
).map(lambda drawn: drawn[0].replace(tzinfo=drawn[1]))


@settings(max_examples=60)
@given(MOMENTS, MOMENTS)
def test_texts_of_times_sort_as_the_times_do(one: datetime, other: datetime) -> None:
    """A time survives being written and read, so stores can compare the texts."""
    for text in (rfc3339(one), one.isoformat(), one.isoformat().lower()):
        parsed = parse_moment(text)
        assert (parsed, parsed.tzinfo) == (one, UTC)
    texts = rfc3339(one), rfc3339(other)
    assert (texts[0] < texts[1], texts[0] == texts[1]) == (one < other, one == other)
    assert {len(text) for text in texts} == {27}


@pytest.mark.parametrize(
    "value",
    [
        None, 0, 1.5, b"2026-11-24T12:00:00Z", "", "2026-11-24", "2026-11-24T12:00:00",
        "2026-11-24 12:00:00Z", "2026-11-24T12:00Z", "2026-11-24T12:00:00Z\n",
        "2026-11-24T12:00:00.Z", "2026-11-24T12:00:00.1234567890Z", "20261124T120000Z",
        "2026-11-24T12:00:00+0530", "2026-11-24T12:00:00+05", "2026-11-24T12:00:00+05:60",
        "2026-11-24T12:00:00+24:00", "2026-11-24T24:00:00Z", "2026-11-24T12:60:00Z",
        "2026-11-24T12:00:60Z", "2026-02-29T12:00:00Z", "2026-13-01T12:00:00Z",
        "0000-01-01T00:00:00Z", "0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01",
        "٢٠٢٦-11-24T12:00:00Z", "2026-W48-2T12:00:00Z", "2026-328T12:00:00Z",
    ],
)  # fmt: skip
def test_no_moments(value: object) -> None:
    """A text that is not RFC 3339, or a time that does not exist, is refused."""
    with pytest.raises(InvalidValue, match=r"^must be "):
        parse_moment(value)

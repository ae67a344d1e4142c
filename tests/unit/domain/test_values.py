"""What texts are taken, by example; the laws say the rest."""

import pytest

from shared.domain.errors import InvalidValue
from shared.domain.values import (
    IMAGE_DIGEST,
    IMAGE_TAG,
    NOTES,
    OPENCLAW_VERSION,
    REASON,
    USER_ID,
    VARIANT,
    TextRule,
    parse_moment,
    rfc3339,
)

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
        (VARIANT, "g", "g"),
        (VARIANT, "gpu--12", "gpu--12"),
        (USER_ID, "auth0|ana+1@example.com", "auth0|ana+1@example.com"),
        (NOTES, f" {'é' * 2000}\n", "é" * 2000),
        (REASON, "   ", ""),
    ],
)
def test_taken(rule: TextRule, text: str, stored: str) -> None:
    """As it is, but for case and space where the rule says so."""
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
            for text in ("2026.1", "26.1.1", "2026.1.111", "2026.1.1\n")
        ),
        *((OPENCLAW_VERSION, text) for text in ("٢٠٢٦.1.1", "2026.1.1-rc1", "v2026.1.1")),
        *((VARIANT, text) for text in ("", "-gpu", "gpu-", "GPU", "g" * 65, "gpu\n")),
        *(
            (USER_ID, text)
            for text in ("", "@ana", "ana b", "ana/b", "ana\n", "a" * 129, "ana\0")
        ),
        *((NOTES, text) for text in ("n" * 2001, "a\0b", "\udfff")),
        (REASON, "r" * 501),
    ],
)
def test_refused(rule: TextRule, value: object) -> None:
    """In words that name the rule and do not repeat the value."""
    with pytest.raises(InvalidValue, match=rule.name) as refusal:
        rule.parse(value)
    assert not (isinstance(value, str) and len(value) > 6 and value in str(refusal.value))


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
    """Any offset, any precision; kept in UTC to the microsecond."""
    assert rfc3339(parse_moment(text)) == same


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
    """What is no RFC 3339 time, and what is no time at all."""
    with pytest.raises(InvalidValue, match="publish time must be"):
        parse_moment(value, "publish time")

"""Properties of the values: what each grammar takes, and times as texts."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from string import ascii_letters, ascii_lowercase, digits

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain import values
from shared.domain.errors import InvalidValue

BODIES = [
    "", "a", "V_1", "0", "-", "gpu-1", "latest", "2026.11.1", "2026.1", "2026-1.1", "20261.1.1",
    "a|b@c+d",
    f"sha256:{'0a' * 32}", f"SHA256:{'0A' * 32}", f"sha256:{'0g' * 32}",
    "2026.7.1-2", "2026.7.1-beta.3", "2026.13.1", "2026.1.0", "a/b", "./a", "a/..",
    "x" * 254, "x" * 255, "x" * 63, "x" * 64, "x" * 127, "x" * 128, "x" * 499, "x" * 500,
    "x" * 1999, "x" * 2000,
]  # fmt: skip
EDGES = [
    "", "x", "-", ".", "/", "..", "?", "0", "٣", "é", "\u212a", " ", "\n", "\0", "\ud800",
    "\udfff", "latest",
]  # fmt: skip
TEXTS = sorted(
    {text for edge in EDGES for body in BODIES for text in (edge + body, body + edge)}
)
OFFSETS = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.tuples(
    st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29)),  # noqa: DTZ001  zones are drawn apart
    OFFSETS,
).map(lambda drawn: drawn[0].replace(tzinfo=drawn[1]))


def is_tag(text: str) -> bool:
    first, rest = text[:1], text[1:]
    return (
        text != "latest"
        and 1 <= len(text) <= 128
        and first in ascii_letters + digits + "_"
        and all(one in ascii_letters + digits + "._-" for one in rest)
    )


def is_digest(text: str) -> bool:
    name, _, value = text.lower().partition(":")
    return (
        name == "sha256"
        and len(value) == 64
        and all(one in "0123456789abcdef" for one in value)
    )


def is_version(text: str) -> bool:
    date, dash, kind = text.partition("-")
    year, month, number = [*date.split("."), "", "", ""][:3]
    return (
        date.count(".") == 2
        and all(_is_number(part) for part in (year, month, number))
        and (len(year), len(month) <= 2, len(number) <= 2) == (4, True, True)
        and 1 <= int(month) <= 12
        and int(number) >= 1
        and (not dash or (_is_number(last := kind.removeprefix("beta.")) and len(last) <= 3))
    )


def _is_number(text: str) -> bool:
    return text != "" and all(one in digits for one in text)


def is_variant(text: str) -> bool:
    inside = all(one in ascii_lowercase + digits + "-" for one in text)
    return inside and 1 <= len(text) <= 64 and "-" not in {text[0], text[-1]}


def is_user(text: str) -> bool:
    inside = all("!" <= one <= "~" and one not in '?#%\\"<>' for one in text)
    return inside and len(text) <= 255 and not {"", ".", ".."} & set(text.split("/"))


BREAKERS = set("\0\ud800\udfff")
GRAMMARS: dict[str, Callable[[str], bool]] = {
    "IMAGE_TAG": is_tag,
    "IMAGE_DIGEST": is_digest,
    "OPENCLAW_VERSION": is_version,
    "VARIANT": is_variant,
    "USER_ID": is_user,
    "NOTES": lambda text: not BREAKERS & set(text) and len(text.strip()) <= 2000,
    "REASON": lambda text: not BREAKERS & set(text) and len(text.strip()) <= 500,
}
STORED: dict[str, Callable[[str], str]] = {
    "IMAGE_DIGEST": str.lower,
    "NOTES": str.strip,
    "REASON": str.strip,
}


def check(moments: tuple[datetime, datetime]) -> None:
    a_moment_comes_back(moments[0])
    texts_sort_as_moments_do(*moments)


def check_text(text: str) -> None:
    for name in GRAMMARS:
        a_grammar_takes_what_it_says(name, text)


def a_grammar_takes_what_it_says(name: str, text: str) -> None:
    """To the very end, and keeps the text as it is but for case or space around it."""
    try:
        parsed = getattr(values, name).parse(text)
    except InvalidValue:
        parsed = None
    stored = STORED.get(name, str)(text)
    assert parsed == (stored if GRAMMARS[name](text) else None)


def a_moment_comes_back(moment: datetime) -> None:
    """From its own text and from Python's, in UTC."""
    for text in (values.rfc3339(moment), moment.isoformat(), moment.isoformat().lower()):
        parsed = values.parse_moment(text)
        assert (parsed, parsed.tzinfo) == (moment, UTC)


def texts_sort_as_moments_do(one: datetime, other: datetime) -> None:
    """So that stores can compare them as texts."""
    texts = values.rfc3339(one), values.rfc3339(other)
    assert (texts[0] < texts[1], texts[0] == texts[1]) == (one < other, one == other)
    assert {len(text) for text in texts} == {27}


@settings(max_examples=60)
@given(MOMENTS, MOMENTS)
def test_moment_properties(one: datetime, other: datetime) -> None:
    """A time survives being written and read, and the texts sort as the times do."""
    check((one, other))


def test_grammars() -> None:
    """Each kind of text accepts what its rule says, to the very end, and nothing else."""
    for text in TEXTS:
        check_text(text)

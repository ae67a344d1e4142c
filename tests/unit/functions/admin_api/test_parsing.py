"""Paths, queries and bodies: hostile text becomes values or a 422 that names its field."""

from base64 import b64encode
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import BaseModel

from functions.admin_api.parsing import parse_body, parse_path, parse_query, query_names
from functions.admin_api.requests import (
    AuditQuery,
    ListQuery,
    NoQuery,
    PatchVersionBody,
    PinBody,
    PinsQuery,
    PromoteBody,
    PublishBody,
    ResolutionQuery,
    VersionsQuery,
)
from shared.domain.errors import InvalidRequest

LEAST = '{"image_tag": "v1", "openclaw_version": "2026.11.1"'
SECRET = "s3cret"


def fields(refusal: pytest.ExceptionInfo[InvalidRequest]) -> list[str]:
    errors: Any = refusal.value.facts["errors"]
    return [error["field"] for error in errors]


def test_paths() -> None:
    """Values as they are: a plus is a plus."""
    given = {"image_tag": "v1", "variant": "gpu", "user_id": "ana+1|x"}
    assert parse_path(given) == given


@pytest.mark.parametrize(
    ("name", "value"),
    [("image_tag", "latest"), ("variant", "GPU"), ("user_id", "ana\n"), ("user_id", "\0"),
     ("image_tag", '"'), ("user_id", "\ud800")],
)  # fmt: skip
def test_illegal_paths(name: str, value: str) -> None:
    """Named by their variable."""
    with pytest.raises(InvalidRequest) as refusal:
        parse_path({name: value})
    assert fields(refusal) == [name]


@pytest.mark.parametrize(
    ("raw", "query"),
    [
        ("", VersionsQuery()),
        ("&&", VersionsQuery()),
        ("limit=100&order=asc", VersionsQuery.model_construct(limit=100, order="asc")),
        ("q=a+b%2Bc%26&status=active", VersionsQuery(q="a b+c&", status="active")),
        ("q=%C3%A9=", VersionsQuery(q="é=")),
        ("q", VersionsQuery(q="")),
        ("%71=x", VersionsQuery(q="x")),
        (
            "sort=openclaw_version&cursor=A-_9",
            VersionsQuery(sort="openclaw_version", cursor="A-_9"),
        ),
    ],
)
def test_queries(raw: str, query: VersionsQuery) -> None:
    """Percent-encoding undone once, a plus a space, what is absent at its default."""
    assert parse_query(raw, VersionsQuery) == query


@pytest.mark.parametrize(
    ("raw", "model", "wrong"),
    [
        *((f"limit={limit}", ListQuery, ["limit"]) for limit in ("", "0", "101", "1000", "-1")),
        *(
            (f"limit={limit}", ListQuery, ["limit"])
            for limit in ("1.0", "٥", "%2B5", "05", "1%0A")
        ),
        ("cursor=", ListQuery, ["cursor"]),
        ("cursor=%0A", ListQuery, ["cursor"]),
        (f"cursor={'A' * 1025}", ListQuery, ["cursor"]),
        ("limit=1&limit=1", ListQuery, ["limit"]),
        ("q=a&%71=b", VersionsQuery, ["q"]),
        ("x=1", NoQuery, ["x"]),
        ("limit=1", NoQuery, ["limit"]),
        ("Limit=1", ListQuery, ["Limit"]),
        ("a%0Ab=1", NoQuery, [r"a\nb"]),
        ("status=retired&sort=id&order=up", VersionsQuery, ["status", "sort", "order"]),
        ("variant=GPU", VersionsQuery, ["variant"]),
        ("image_tag=latest&state=none", PinsQuery, ["image_tag", "state"]),
        ("intent=destroy", ResolutionQuery, ["intent"]),
        ("q=%", VersionsQuery, ["q"]),
        ("q=%4", VersionsQuery, ["q"]),
        ("q=%zz", VersionsQuery, ["q"]),
        ("%zz=1", VersionsQuery, ["query"]),
        ("q=%FF", VersionsQuery, ["q"]),
        ("q=%ED%A0%80", VersionsQuery, ["q"]),
        ("q=\ud800", VersionsQuery, ["q"]),
        ("\ud800=1", VersionsQuery, ["query"]),
        ("actor=%00", AuditQuery, ["actor"]),
    ],
)
def test_bad_queries(raw: str, model: type[NoQuery], wrong: list[str]) -> None:
    """Each parameter that is wrong is named."""
    with pytest.raises(InvalidRequest) as refusal:
        parse_query(raw, model)
    assert fields(refusal) == wrong


@pytest.mark.parametrize(
    ("raw", "names"),
    [
        ("", set()),
        ("dry_run", {"dry_run"}),
        ("dry%5Frun=1&a=b=c&", {"dry_run", "a"}),
        ("%FF=1", {"\ufffd"}),
        ("\ud800=1", {"?"}),
    ],
)
def test_names_in_a_query(raw: str, names: set[str]) -> None:
    """As far as they can be read: this look ahead refuses nothing."""
    assert query_names(raw) == names


@pytest.mark.parametrize(
    ("text", "body"),
    [
        (
            LEAST + "}",
            PublishBody(image_tag="v1", openclaw_version="2026.11.1"),
        ),
        (
            LEAST + ', "notes": " n ", "variant": null, "set_latest": true}',
            PublishBody(
                image_tag="v1", openclaw_version="2026.11.1", notes="n", set_latest=True
            ),
        ),
        ("{}", PatchVersionBody()),
        (
            '{"status": "disabled", "force": true}',
            PatchVersionBody(status="disabled", force=True),
        ),
        ('{"replacement": null}', PatchVersionBody()),
        (
            '{"status": "disabled", "replacement": "v2"}',
            PatchVersionBody(status="disabled", replacement="v2"),
        ),
    ],
)
def test_bodies(text: str, body: BaseModel) -> None:
    """Null where it is allowed stands for what is omitted."""
    assert parse_body(text, type(body)) == body
    coded = b64encode(text.encode()).decode()
    assert parse_body(coded, type(body), is_base64=True) == body


def test_a_time_in_a_body() -> None:
    """With an offset; kept in UTC."""
    text = '{"image_tag": "v1", "expires_at": "2026-11-24T14:00:00+02:00"}'
    assert parse_body(text, PinBody).expires_at == datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize("text", [None, "", "{}"])
def test_a_body_that_may_be_absent(text: str | None) -> None:
    """Is as good as an empty object."""
    assert parse_body(text, PromoteBody, required=False) == PromoteBody()


@pytest.mark.parametrize(
    ("text", "model", "wrong"),
    [
        *((text, PublishBody, ["body"]) for text in (None, "", "{", "[]", "null", '"v1"', "1")),
        *((text, PublishBody, ["body"]) for text in ("\ud800", '{"\\ud800": 1}', "[" * 9999)),
        ("[]", PromoteBody, ["body"]),
        ("{}", PublishBody, ["image_tag", "openclaw_version"]),
        (LEAST + ', "set_latest": 1}', PublishBody, ["set_latest"]),
        (LEAST + ', "set_latest": null}', PublishBody, ["set_latest"]),
        (LEAST + ', "image_digest": ""}', PublishBody, ["image_digest"]),
        (LEAST + ', "published_at": 1}', PublishBody, ["published_at"]),
        (LEAST + ', "published_at": "2026-11-24T12:00:00"}', PublishBody, ["published_at"]),
        (LEAST + ', "notes": "a\\u0000"}', PublishBody, ["notes"]),
        (LEAST + ', "notes": "' + "n" * 2001 + '"}', PublishBody, ["notes"]),
        (LEAST + ', "x": {"y": 1}, "é\\n": 2}', PublishBody, ["x", r"\xe9\n"]),
        ('{"image_tag": 1, "openclaw_version": ["2026.11.1"]}', PublishBody,
         ["image_tag", "openclaw_version"]),
        (LEAST + ', "image_tag": "v1"}', PublishBody, ["image_tag"]),
        (r'{"status": "active", "st\u0061tus": "disabled"}', PatchVersionBody, ["status"]),
        ('{"status": "retired"}', PatchVersionBody, ["status"]),
        ('{"force": true}', PatchVersionBody, ["force"]),
        ('{"status": "active", "replacement": "v2"}', PatchVersionBody, ["replacement"]),
        ('{"image_tag": "v1", "reason": 5, "expires_at": true}', PinBody,
         ["reason", "expires_at"]),
    ],
)  # fmt: skip
def test_bad_bodies(text: str | None, model: type[BaseModel], wrong: list[str]) -> None:
    """Each field that is wrong is named."""
    with pytest.raises(InvalidRequest) as refusal:
        parse_body(text, model)
    assert fields(refusal) == wrong


@pytest.mark.parametrize("text", ["{}", "é", "AAA", "e30=\n"])
def test_what_is_not_base64(text: str) -> None:
    """Though it claims to be."""
    with pytest.raises(InvalidRequest, match="base64"):
        parse_body(text, PromoteBody, is_base64=True)


@pytest.mark.parametrize(
    "body",
    [
        f'{{"image_tag": "{SECRET}/", "openclaw_version": "{SECRET}"}}',
        f'{{"image_tag": ["{SECRET}"], "published_at": "{SECRET}"}}',
        f'{{"image_digest": "{SECRET}", "variant": "{SECRET}!"}}',
        f'{{"set_latest": "{SECRET}", "notes": {{"{SECRET}": 1}}}}',
        f'{{"notes": "{SECRET}',
    ],
)
def test_values_are_not_repeated(body: str) -> None:
    """Whatever is wrong with them."""
    with pytest.raises(InvalidRequest) as refusal:
        parse_body(body, PublishBody)
    assert SECRET not in str(refusal.value)


def test_a_flood_of_errors() -> None:
    """Is cut off."""
    body = "{" + ", ".join(f'"x{number}": 1' for number in range(1000)) + "}"
    with pytest.raises(InvalidRequest) as refusal:
        parse_body(body, PublishBody)
    assert len(fields(refusal)) == 20

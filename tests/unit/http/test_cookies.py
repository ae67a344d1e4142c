"""Cookies of the console, and posts that other sites make."""

import pytest

from shared.http.cookies import ConsoleCookie
from shared.http.problems import Forbidden
from shared.http.same_origin import refuse_foreign_post, refuse_wrong_token
from shared.kv.sessions import form_token

HERE = "https://kiloclaw.example.com"


def test_a_cookie_is_bound_to_its_host() -> None:
    """With TLS the prefix `__Host-` binds it; the local system has no TLS."""
    secure, local = ConsoleCookie.of(HERE), ConsoleCookie.of("http://127.0.0.1:8080")
    assert str(secure.setting("x")) == (
        "__Host-kiloclaw=x; Path=/; HttpOnly; Secure; SameSite=Lax"
    )
    assert str(local.setting("x")) == "kiloclaw=x; Path=/; HttpOnly; SameSite=Lax"
    assert str(local.clearing()) == "kiloclaw=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax"


@pytest.mark.parametrize(
    ("cookies", "value"),
    [
        ([], None),
        (["__Host-kiloclaw=a=b"], "a=b"),
        (["kiloclaw=a", "__Host-kiloclaw2=b"], None),
        (["other=1", "__Host-kiloclaw=a"], "a"),
        (["__Host-kiloclaw=a", "__Host-kiloclaw=b"], None),
        (["__Host-kiloclaw"], ""),
    ],
)
def test_a_cookie_is_found_by_its_whole_name(cookies: list[str], value: str | None) -> None:
    """Of two cookies with one name nobody knows which is ours, so neither counts."""
    assert ConsoleCookie.of(HERE).read(cookies) == value


@pytest.mark.parametrize(
    ("headers", "accepted"),
    [
        ({"origin": HERE, "sec-fetch-site": "same-origin"}, True),
        ({"origin": HERE}, True),
        ({}, True),
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "none"}, True),
        ({"sec-fetch-site": "same-site"}, False),
        ({"sec-fetch-site": "cross-site"}, False),
        ({"origin": "null", "sec-fetch-site": "same-origin"}, False),
        ({"origin": ""}, False),
        ({"origin": "http://kiloclaw.example.com"}, False),
        ({"origin": f"{HERE}:444"}, False),
        ({"origin": f"{HERE}.evil.example"}, False),
    ],
)
def test_posts_of_other_sites_are_refused(headers: dict[str, str], *, accepted: bool) -> None:
    """`Origin` decides; without it the browser's own word about where the request began."""
    if accepted:
        refuse_foreign_post(headers, HERE)
    else:
        with pytest.raises(Forbidden):
            refuse_foreign_post(headers, HERE)


@pytest.mark.parametrize("sent", [None, "", "é", form_token("other"), form_token("id")[:-1]])
def test_a_form_without_its_sessions_token_is_refused(sent: str | None) -> None:
    """The token is needed always, and it is that of this session alone."""
    with pytest.raises(Forbidden):
        refuse_wrong_token(sent, "id")
    refuse_wrong_token(form_token("id"), "id")

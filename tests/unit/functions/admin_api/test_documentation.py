"""The page at /docs: what it is made of, and that it runs nothing but its own files."""

import re

import pytest

from tests.support.requests import answer, event

TYPES = {
    "start.js": "text/javascript; charset=utf-8",
    "swagger-ui.js": "text/javascript; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
}


def test_the_page_names_its_own_files_alone() -> None:
    """No script stands in the page, and its policy lets nothing in from elsewhere."""
    page = answer(event("GET", "/docs"))
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    text = page.body.decode()
    assert set(re.findall(r'(?:src|href)="/docs\?file=(.*?)"', text)) == set(TYPES)
    assert re.findall(r"<script(?! src=)", text) == []
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self'; style-src 'self';" in policy
    assert "unsafe" not in policy


@pytest.mark.parametrize("name", TYPES)
def test_a_file_of_the_page(name: str) -> None:
    """Each is sent with its type, and packed for who can read that."""
    plain = answer(event("GET", "/docs", query=f"file={name}"))
    packed = answer(event("GET", "/docs", query=f"file={name}", accept_encoding="gzip"))
    assert plain.headers["content-type"] == packed.headers["content-type"] == TYPES[name]
    assert packed.headers["content-encoding"] == "gzip"
    assert name == "start.js" or len(packed.body) < len(plain.body) / 2


def test_no_other_file_is_to_be_had() -> None:
    """The names are a closed list."""
    assert answer(event("GET", "/docs", query="file=../handler.py")).fields == ["file"]

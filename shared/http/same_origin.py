"""Refuse posts that another site made a person's browser send."""

import hmac
from collections.abc import Mapping

from shared.http.problems import ForeignPost, StaleForm
from shared.kv.sessions import form_token

OWN_REQUESTS = {None, "same-origin", "none"}
"""Values of `Sec-Fetch-Site` that no other site can cause.
https://www.w3.org/TR/fetch-metadata/, section 2.4.
"""


def refuse_foreign_post(headers: Mapping[str, str], origin: str) -> None:
    """Raise ForeignPost if the post comes from another origin. Header names are in lower case.

    Browsers send `Origin` with every post of another site, as `null` where they hide its name.
    """
    sent = headers.get("origin")
    own = headers.get("sec-fetch-site") in OWN_REQUESTS if sent is None else sent == origin
    if not own:
        raise ForeignPost("this was sent from another site")


def refuse_wrong_token(sent: str | None, session_id: str) -> None:
    """Raise StaleForm unless the form carries the token of its session."""
    expected = form_token(session_id)
    if not hmac.compare_digest((sent or "").encode(), expected.encode()):
        raise StaleForm("this form belongs to another session")

"""Where a sign-in leads: a page of the console, and nowhere else."""

import re

CONSOLE = "/console"
PAGE = re.compile(r"/console(?:[/?][A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?")
"""What RFC 3986 allows in a path and a query: no backslash, no space, nothing unprintable."""

UP = re.compile(r"/(?:\.|%2e){1,2}(?:/|\?|$)", re.IGNORECASE)
OWN = re.compile(r"/console/sign(?:-in|ed-in|-out)(?:/|\?|$)")
LONGEST = 2_000


def next_page(wanted: str | None) -> str:
    """Return the wanted page if it is one of the console's, else its first.

    Pages of the sign-in itself would lead round in circles.
    """
    if wanted is None or len(wanted) > LONGEST or not PAGE.fullmatch(wanted):
        return CONSOLE
    return CONSOLE if UP.search(wanted) or OWN.match(wanted) else wanted

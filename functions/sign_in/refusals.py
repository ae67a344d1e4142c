"""What can go wrong with a sign-in, and the page that says so."""

from collections.abc import Mapping
from typing import NamedTuple

from shared.domain.errors import Refused


class NotBegunHere(Refused):
    """This browser began no such sign-in, or too long ago, or has completed it."""

    code = "not_begun_here"


class CodeRefused(Refused):
    """The issuer does not accept the code, or no longer."""

    code = "code_refused"


class DeniedByIssuer(Refused):
    """The issuer sent the person back without a code."""

    code = "denied_by_issuer"


class TokenRefused(Refused):
    """The issuer's token does not prove who the person is."""

    code = "token_refused"


class IssuerUnavailable(Refused):
    """The issuer did not answer in time, or not as it should."""

    code = "issuer_unavailable"


class RefusalPage(NamedTuple):
    """The status, the title, and what to do next."""

    status: int
    title: str
    advice: str


AGAIN = "Begin again: that is safe."
LATER = "Try again in a moment. If it keeps happening, contact the operators."
ADDRESS = "Look at the address, or go to the console."
PAGES: Mapping[str, RefusalPage] = {
    NotBegunHere.code: RefusalPage(
        400,
        "This sign-in cannot be completed",
        "It was completed already, or begun more than ten minutes ago, or in another browser. "
        + AGAIN,
    ),
    CodeRefused.code: RefusalPage(
        400, "The sign-in took too long", f"Its code is no longer valid. {AGAIN}"
    ),
    DeniedByIssuer.code: RefusalPage(
        403,
        "You are not signed in",
        "The sign-in was cancelled or refused. Begin again, or ask an administrator for an "
        "account.",
    ),
    TokenRefused.code: RefusalPage(
        403,
        "The sign-in could not be verified",
        "Nobody was signed in. Begin again. If it keeps happening, contact the operators.",
    ),
    IssuerUnavailable.code: RefusalPage(503, "Signing in is not possible right now", LATER),
    "kv_unavailable": RefusalPage(503, "Sessions cannot be reached right now", LATER),
    "forbidden": RefusalPage(
        403,
        "You are still signed in",
        "This did not come from the console's own page. Go there, and sign out from it.",
    ),
    "invalid_request": RefusalPage(400, "This address is not complete", ADDRESS),
    "not_found": RefusalPage(404, "There is nothing here", ADDRESS),
    "method_not_allowed": RefusalPage(405, "This address does not accept that", ADDRESS),
    "internal_error": RefusalPage(
        500,
        "Something unexpected happened",
        "It was logged. Try again. If it keeps happening, contact the operators.",
    ),
}

"""The page at /docs: Swagger UI, as Powertools brings it, started by a script of ours.

Everything comes from /docs itself, because little else answers without a token.
"""

from pathlib import Path
from typing import NamedTuple

from aws_lambda_powertools.event_handler.openapi import swagger_ui

HERE = Path(__file__).parent
SWAGGER_UI = Path(swagger_ui.__file__).parent


class File(NamedTuple):
    """A file that is sent as it is."""

    path: Path
    content_type: str


PAGE = File(HERE / "index.html", "text/html; charset=utf-8")
FILES: dict[str, File] = {
    "start.js": File(HERE / "start.js", "text/javascript; charset=utf-8"),
    "swagger-ui.js": File(
        SWAGGER_UI / "swagger-ui-bundle.min.js", "text/javascript; charset=utf-8"
    ),
    "swagger-ui.css": File(SWAGGER_UI / "swagger-ui.min.css", "text/css; charset=utf-8"),
}
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
}

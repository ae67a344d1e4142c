"""This API as an OpenAPI document, and as a page to try it on."""

from functools import cache

from aws_lambda_powertools.event_handler import Response

from functions.admin_api.current import app
from functions.admin_api.queries import DocsQuery
from shared.http.router import Router

router = Router("documentation")


@router.get(
    "/openapi.json",
    requires=(),
    answers={200: "OpenAPI 3.1"},
    media={"application/json": "object"},
    compress=True,
)
def get_openapi() -> Response[str]:
    """Answer this API as an OpenAPI 3.1 document."""
    return Response(200, "application/json", _document())


@router.get(
    "/docs",
    requires=(),
    answers={200: "The page, or a file of it"},
    media={"text/html": "string", "text/javascript": "string", "text/css": "string"},
    compress=True,
)
def get_docs(query: DocsQuery) -> Response[str]:
    """Answer this API as a page to read and to try."""
    # Imported late: few events ask for it.
    from functions.admin_api.page import FILES, HEADERS, PAGE  # noqa: PLC0415

    file = FILES[query.file] if query.file else PAGE
    return Response(200, file.content_type, file.path.read_text("utf-8"), HEADERS)


@cache
def _document() -> str:
    from functions.admin_api.document import as_text, document  # noqa: PLC0415

    return as_text(document(app))

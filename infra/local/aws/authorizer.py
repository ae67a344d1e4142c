"""API Gateway's JWT authorizer, with the local issuer as the one that it trusts."""

from typing import Any

from infra.local.aws.issuer import BadToken, Issuer
from infra.local.server import HttpRequest


def authorize(request: HttpRequest, issuer: Issuer) -> dict[str, Any] | None:
    """The claims of the request's token, with or without `Bearer` before it; else None."""
    scheme, _, rest = request.headers.get("authorization", "").partition(" ")
    token = rest.strip() if scheme.lower() == "bearer" else scheme
    try:
        return issuer.verify(token) if token else None
    except BadToken:
        return None

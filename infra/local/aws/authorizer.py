"""API Gateway's JWT authorizer; it trusts the local issuer."""

from typing import Any

from werkzeug.wrappers import Request

from infra.local.aws.issuer import BadToken, Issuer


def authorize(request: Request, issuer: Issuer) -> dict[str, Any] | None:
    """The claims of the request's token, or None without a good token.

    As on AWS, `Bearer` may stand before the token or not.
    """
    scheme, _, rest = request.headers.get("authorization", "").partition(" ")
    token = rest.strip() if scheme.lower() == "bearer" else scheme
    try:
        return issuer.verify(token) if token else None
    except BadToken:
        return None

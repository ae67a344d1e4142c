"""The one list of the HTTP API's routes, for the stack and the local gateway."""

from dataclasses import dataclass

DEFAULT_ROUTE = "$default"


@dataclass(frozen=True, slots=True)
class Route:
    """A route of the HTTP API and the function that it leads to.

    `guarded` routes need a token of the user pool. A path that ends in `{proxy+}` stands for
    everything below it.
    """

    method: str
    path: str
    function: str
    guarded: bool = False

    @property
    def key(self) -> str:
        """API Gateway's name for it."""
        return f"{self.method} {self.path}" if self.path else DEFAULT_ROUTE

    @property
    def prefix(self) -> str | None:
        """What paths begin with that it stands for; None if it is one path."""
        return self.path.removesuffix("{proxy+}") if self.path.endswith("{proxy+}") else None

    def matches(self, method: str, path: str) -> bool:
        """Whether a request takes this route, if no other is more specific."""
        if self.method not in {"ANY", method}:
            return False
        return path == self.path if self.prefix is None else path.startswith(self.prefix)


DEFAULT = Route("ANY", "", "admin_api")
"""Takes what no other route does."""

ROUTES = (
    Route("ANY", "/v1", "admin_api", guarded=True),
    Route("ANY", "/v1/{proxy+}", "admin_api", guarded=True),
    Route("GET", "/console/sign-in", "sign_in"),
    Route("GET", "/console/signed-in", "sign_in"),
    Route("GET", "/console/sign-out", "sign_in"),
    Route("POST", "/console/sign-out", "sign_in"),
    Route("GET", "/", "console"),
    Route("ANY", "/console", "console"),
    Route("ANY", "/console/{proxy+}", "console"),
)
"""All other routes, the most specific first."""


def find_route(method: str, path: str) -> Route:
    """Find the route that API Gateway chooses: a whole path before the beginning of one.

    https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-routes.html
    """
    return next((route for route in ROUTES if route.matches(method, path)), DEFAULT)

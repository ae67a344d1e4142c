"""The routes, one module a resource, in the order in which they are documented."""

from functions.admin_api.routes import (
    documentation,
    instances,
    operations,
    pins,
    users,
    variants,
    versions,
)

ROUTERS = (
    versions.router,
    variants.router,
    pins.router,
    users.router,
    instances.router,
    operations.router,
    documentation.router,
)

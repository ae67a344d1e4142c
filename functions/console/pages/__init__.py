"""The console's pages, one module each."""

from functions.console.pages import (
    assets,
    changes,
    instances,
    overview,
    sync,
    users,
    variant,
    version,
    versions,
)

ROUTERS = (
    assets.router,
    overview.router,
    versions.router,
    version.router,
    variant.router,
    instances.router,
    sync.router,
    users.router,
    changes.router,
)

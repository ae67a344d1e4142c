"""The console's pages, one module each."""

from functions.console.pages import assets, changes, instances, overview, sync, users

ROUTERS = (
    assets.router,
    overview.router,
    instances.router,
    sync.router,
    users.router,
    changes.router,
)

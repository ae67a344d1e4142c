"""The console's pages, one module each."""

from functions.console.pages import assets, changes, instances, overview, sync

ROUTERS = (
    assets.router,
    overview.router,
    instances.router,
    sync.router,
    changes.router,
)

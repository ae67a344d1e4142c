"""The console's pages, one module each."""

from functions.console.pages import (
    assets,
    audit,
    changes,
    instances,
    overview,
    pins,
    publish_form,
    search,
    sync,
    users,
    variant,
    version,
    versions,
)

ROUTERS = (
    assets.router,
    overview.router,
    publish_form.router,
    versions.router,
    version.router,
    variant.router,
    pins.router,
    instances.router,
    users.router,
    sync.router,
    audit.router,
    search.router,
    changes.router,
)

"""The console's pages, one module each."""

from functions.console.pages import assets, changes, overview

ROUTERS = (assets.router, overview.router, changes.router)

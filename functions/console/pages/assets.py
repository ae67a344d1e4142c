"""The stylesheet and the script. Their addresses change with their content."""

from aws_lambda_powertools.event_handler import Response

from functions.console.application import ConsoleRouter
from functions.console.rendering import ASSETS, FOR_EVER, assets
from shared.http.problems import UnknownPath

router = ConsoleRouter()


@router.public("/console/assets/<mark>/<name>")
def get_asset(mark: str, name: str) -> Response[str]:
    """Answer with a file. An old address leads to today's content too."""
    if name not in ASSETS:
        raise UnknownPath("there is no such file")
    asset = assets()[name]
    kept = FOR_EVER if asset.address.split("/")[3] == mark else {}
    return Response(200, ASSETS[name], asset.content, dict(kept))

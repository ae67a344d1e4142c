"""The form that publishes a version."""

from aws_lambda_powertools.event_handler import Response
from pydantic import BaseModel

from functions.console.application import ConsoleRouter
from functions.console.current import deps, query, session, show
from functions.console.forms import FilledForm
from shared.domain.values import ImageTag, OpenclawVersion
from shared.http.auth import Caller

router = ConsoleRouter()


class PublishQuery(BaseModel):
    """What the form is filled in with: a version to publish again."""

    image_tag: ImageTag | None = None
    openclaw_version: OpenclawVersion | None = None


@router.page("/console/publish", "publisher")
def show_publish() -> Response[str]:
    given = query(PublishQuery).model_dump(exclude_none=True)
    return show_publish_form(FilledForm(given))


def show_publish_form(filled: FilledForm) -> Response[str]:
    """Show the form. Whoever may not promote cannot ask for latest."""
    may_promote = deps().settings.publisher_may_promote
    is_admin = Caller(session().actor, session().roles).may("admin")
    return show("publish.html", filled=filled, may_set_latest=may_promote or is_admin)

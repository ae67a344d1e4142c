"""Pins: who is held at which version."""

from functions.admin_api import cursor, models, paging
from functions.admin_api.answers import NO_CONTENT, Answer
from functions.admin_api.endpoints import Request, endpoint
from functions.admin_api.requests import NoQuery, PinBody, PinsQuery
from shared.catalog.pins import PinFilter
from shared.domain.errors import PinNotFound, VersionDisabled, VersionNotFound
from shared.domain.values import USER_ID, rfc3339
from shared.usecases import pins


@endpoint("GET", "/v1/pins", query=PinsQuery, answers={200: models.PinPage})
def list_pins(request: Request[PinsQuery, None]) -> Answer:
    """List pins, the newest first."""
    query = request.query
    after = paging.start(request, cursor.moment, USER_ID.parse)
    wanted = PinFilter(query.image_tag, query.state, query.q)
    with request.deps.catalog.transaction() as tx:
        rows = tx.pins.page(wanted, after, query.limit + 1)
    return paging.page(
        request, models.PinPage, rows, lambda pin: (rfc3339(pin.created_at), pin.user_id)
    )


@endpoint(
    "GET",
    "/v1/users/{user_id}/pin",
    answers={200: models.PinAnswer},
    refusals=(PinNotFound,),
)
def get_pin(request: Request[NoQuery, None]) -> Answer:
    """A user's pin, with its version."""
    pinned = pins.get_pin(request.values["user_id"], catalog=request.deps.catalog)
    return Answer(200, models.PinAnswer.model_validate(pinned))


@endpoint(
    "PUT",
    "/v1/users/{user_id}/pin",
    body=PinBody,
    answers={201: models.PinAnswer, 200: models.PinAnswer},
    refusals=(VersionNotFound, VersionDisabled),
)
def put_pin(request: Request[NoQuery, PinBody]) -> Answer:
    """Pin a user to a version, in place of any pin before."""
    user_id, body, catalog = request.values["user_id"], request.body, request.deps.catalog
    pinned = pins.put_pin(
        user_id,
        body.image_tag,
        by=request.by,
        catalog=catalog,
        expires_at=body.expires_at,
    )
    answer = models.PinAnswer.model_validate(pinned)
    return Answer(201 if pinned.is_new else 200, answer)


@endpoint("DELETE", "/v1/users/{user_id}/pin", answers={204: None})
def remove_pin(request: Request[NoQuery, None]) -> Answer:
    """Unpin a user; done already is done."""
    pins.remove_pin(request.values["user_id"], by=request.by, catalog=request.deps.catalog)
    return NO_CONTENT

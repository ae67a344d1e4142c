"""`Idempotency-Key`: a repeat of a call gets the first success again.

Powertools' idempotency utility with a persistence layer on Postgres. What the layer adds to it
is in docs/decisions/0008-idempotency.md.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from time import time
from typing import Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.utilities.idempotency import (
    BasePersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)
from aws_lambda_powertools.utilities.idempotency.exceptions import (
    IdempotencyAlreadyInProgressError,
    IdempotencyInconsistentStateError,
    IdempotencyItemAlreadyExistsError,
    IdempotencyItemNotFoundError,
    IdempotencyPersistenceLayerError,
    IdempotencyValidationError,
)
from aws_lambda_powertools.utilities.idempotency.persistence.datarecord import (
    STATUS_CONSTANTS,
    DataRecord,
)
from aws_lambda_powertools.utilities.idempotency.serialization.base import (
    BaseIdempotencySerializer,
)
from aws_lambda_powertools.utilities.typing import LambdaContext

from shared.catalog.idempotency import KnownCall, RunningCall
from shared.catalog.transaction import Catalog
from shared.domain.errors import (
    CatalogUnavailable,
    IdempotencyInProgress,
    IdempotencyMismatch,
    KVUnavailable,
    Refused,
)

PREFIX = "call"
END_SECONDS = 2.0
"""Time reserved for storing the answer, however long the call took."""
LET_GO_SECONDS = 1.0
STATES: Mapping[str, str] = {
    "running": STATUS_CONSTANTS["INPROGRESS"],
    "done": STATUS_CONSTANTS["COMPLETED"],
}


class CallRecords(BasePersistenceLayer):
    """Keeps one event's call. `running` is it, once it has begun and until it ends."""

    def __init__(self, catalog: Catalog) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._catalog = catalog
        self.running: RunningCall | None = None

    def _put_record(self, data_record: DataRecord) -> None:
        call_hash, known = data_record.idempotency_key, None
        seconds = (data_record.in_progress_expiry_timestamp or 0) / 1000 - time()
        with self._catalog.transaction() as tx:
            self.running = tx.idempotency_keys.begin(
                call_hash, data_record.payload_hash, max(seconds, 0)
            )
            if self.running is None:
                known = tx.idempotency_keys.find(call_hash)
        if self.running is None:
            record = _record(call_hash, known) if known else None
            if record:
                self._validate_payload(data_record, record)
            raise IdempotencyItemAlreadyExistsError(old_data_record=record)

    def _get_record(self, idempotency_key: str) -> DataRecord:
        """The record has gone since `_put_record` met it: the utility tries again."""
        raise IdempotencyItemNotFoundError(idempotency_key)

    def _update_record(self, data_record: DataRecord) -> None:
        if self.running:
            self._catalog.database.deadline.extend(END_SECONDS)
            with self._catalog.transaction() as tx:
                tx.idempotency_keys.end(self.running, data_record.response_data)

    def delete_record(self, data: dict[str, Any], exception: Exception) -> None:
        """Forget a call that was refused. One that broke off may have succeeded.

        It keeps its id, by which a repeat finds out, and the repeat may begin at once.
        """
        self._catalog.database.deadline.extend_catalog(LET_GO_SECONDS)
        unsure = (CatalogUnavailable, KVUnavailable)
        is_refused = isinstance(exception, Refused) and not isinstance(exception, unsure)
        # While the catalog is down the record stays, until the function's time is over.
        with suppress(CatalogUnavailable):
            if is_refused:
                super().delete_record(data, exception)
            elif self.running:
                with self._catalog.transaction() as tx:
                    tx.idempotency_keys.let_go(self.running)

    def _delete_record(self, data_record: DataRecord) -> None:  # noqa: ARG002  Powertools' name
        if self.running:
            with self._catalog.transaction() as tx:
                tx.idempotency_keys.delete(self.running)


class AnswerSerializer(BaseIdempotencySerializer):
    """An answer as JSON; its body stays the text that was sent."""

    def __init__(self, serialize: Callable[[Any], str]) -> None:
        self._serialize = serialize

    def to_dict(self, data: Response[Any]) -> dict[str, Any]:
        body = data.body
        if body is not None and not isinstance(body, str):
            body = self._serialize(body)
        return {
            "status": data.status_code,
            "type": data.content_type,
            "headers": dict(data.headers),
            "body": body,
        }

    def from_dict(self, data: dict[str, Any]) -> Response[Any]:
        return Response(data["status"], data["type"], data["body"], data["headers"])


def answer_once(
    answer: Callable[[], Response[Any]],
    call: tuple[str, str, str],
    content: object,
    *,
    records: CallRecords,
    context: LambdaContext,
    serialize: Callable[[Any], str],
) -> Response[Any]:
    """Answer a call, or return the answer that it got before.

    `call` is actor, path and key, `content` what must be equal in a repeat. Raises
    IdempotencyMismatch, IdempotencyInProgress, CatalogUnavailable and what `answer` raises.
    """
    config = IdempotencyConfig(
        event_key_jmespath="call",
        payload_validation_jmespath="content",
        hash_function="sha256",
        lambda_context=context,
    )

    @idempotent_function(  # type: ignore[untyped-decorator]
        data_keyword_argument="request",
        persistence_store=records,
        config=config,
        output_serializer=AnswerSerializer(serialize),
        key_prefix=PREFIX,
    )
    def once(*, request: object) -> Response[Any]:  # noqa: ARG001  the utility reads it
        return answer()

    try:
        answered: Response[Any] = once(request={"call": call, "content": [content]})
    except IdempotencyValidationError:
        raise IdempotencyMismatch("the key was used for another request") from None
    except (IdempotencyAlreadyInProgressError, IdempotencyInconsistentStateError):
        raise IdempotencyInProgress("the first request with this key still runs") from None
    except IdempotencyPersistenceLayerError as error:
        if isinstance(error.__cause__, Refused):
            raise error.__cause__ from None
        raise
    return answered


def _record(call_hash: str, known: KnownCall) -> DataRecord:
    return DataRecord(
        call_hash,
        status=STATES[known.state],
        expiry_timestamp=int(known.expires_at.timestamp()) + 1,
        in_progress_expiry_timestamp=int(known.running_until.timestamp() * 1000),
        response_data=known.answer or "",
        payload_hash=known.content_hash,
    )

"""Types of single fields that bodies, queries and answers share."""

import re
from abc import abstractmethod
from datetime import datetime
from typing import Annotated

from pydantic import (
    BaseModel,
    PlainSerializer,
    PlainValidator,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from shared.domain import values
from shared.domain.errors import InvalidValue
from shared.domain.values import parse_moment, rfc3339

WITHOUT_NUL = r"^[^\u0000]*$"
DATE_TIME = WithJsonSchema({"type": "string", "format": "date-time"})
DEFAULT_LIMIT, MOST = 25, 100


def _moment(value: object) -> datetime:
    try:
        return parse_moment(value)
    except InvalidValue as error:
        raise PydanticCustomError("invalid_time", "{m}", {"m": str(error)}) from None


def _limit(value: object) -> int:
    if isinstance(value, str) and re.fullmatch("[1-9][0-9]{0,2}", value):
        limit = int(value)
        if limit <= MOST:
            return limit
    raise PydanticCustomError("invalid_limit", f"must be a whole number from 1 to {MOST}")


def _trimmed(limit: int) -> WithJsonSchema:
    """The rule counts after trimming; whoever keeps to this schema is on the safe side."""
    return WithJsonSchema({"type": "string", "maxLength": limit, "pattern": WITHOUT_NUL})


GivenMoment = Annotated[datetime, PlainValidator(_moment), DATE_TIME]
"""A time in a request: RFC 3339 text with an offset, nothing else."""
Moment = Annotated[datetime, PlainSerializer(rfc3339, return_type=str), DATE_TIME]
"""A time in an answer."""
MomentText = Annotated[str, DATE_TIME]
"""A time that is kept as the text it is answered with."""
Notes = Annotated[values.Notes, _trimmed(2000)]
Reason = Annotated[values.Reason, _trimmed(500)]
Limit = Annotated[
    int,
    PlainValidator(_limit),
    WithJsonSchema({"type": "integer", "minimum": 1, "maximum": MOST}),
]
Cursor = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+$", max_length=1024)]
SearchText = Annotated[str, WithJsonSchema({"type": "string", "pattern": WITHOUT_NUL})]
"""Any text; what no store can hold is refused before this."""


class Revised(BaseModel):
    """An answer about one row, told apart from its past by an ETag."""

    @property
    @abstractmethod
    def etag(self) -> int:
        """The row's revision."""

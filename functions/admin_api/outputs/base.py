"""What all outputs have in common."""

from pydantic import BaseModel, ConfigDict


class Output(BaseModel):
    """Says no more and no less than declared; the catalog's values fit in as they are."""

    model_config = ConfigDict(from_attributes=True, extra="forbid", frozen=True)

"""Changes of a variant: roll out, resume, abort, roll back."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from functions.console.changes.base import Change, SeenState, Stores
from functions.console.changes.versions import NOT_RESTARTED
from functions.console.rendering import quote_path
from shared.catalog.transaction import Transaction
from shared.domain.etags import IfMatch
from shared.domain.model import Initiator
from shared.domain.pointer import MAX_BRAKE_FAILURES, Brake
from shared.domain.values import ImageTag, Variant
from shared.usecases.preview import Preview
from shared.usecases.preview_rollout import (
    preview_abort,
    preview_resume,
    preview_rollback,
    preview_rollout,
)
from shared.usecases.rollback import roll_back
from shared.usecases.rollout import WantedRollout, abort, resume, roll_out

Step = Literal["1", "5", "10", "25", "50", "100"]
Share = Annotated[int, Field(ge=0, le=100)]


class ChangeOfVariant(Change):
    """A change of one variant. It starts from the variant as it was seen."""

    variant: Variant

    @property
    def goes_to(self) -> str:
        return f"/console/variants/{quote_path(self.variant)}"

    def subjects(self, _tx: Transaction) -> tuple[str, ...]:
        return (self.variant,)

    def seen_state(self, tx: Transaction) -> SeenState:
        return {"variant": tx.variants.get(self.variant).etag}


class RollOut(ChangeOfVariant):
    """Serve a candidate to a share of the users, or change the share.

    The share is a `step`, or any `percent`, which wins. A rollout that runs keeps its brake if
    none is given.
    """

    name = "rollout"
    done = "The rollout is set. Instances follow when they are next provisioned or upgraded."

    image_tag: ImageTag
    step: Step | None = None
    percent: Share | None = Field(None, validate_default=True)
    min_failures: Annotated[int, Field(ge=1, le=MAX_BRAKE_FAILURES)] | None = None
    brake_percent: Annotated[int, Field(ge=1, le=100)] | None = Field(
        None, validate_default=True
    )

    @field_validator("percent")
    @classmethod
    def _is_given(cls, percent: int | None, info: ValidationInfo) -> int | None:
        if percent is None and info.data.get("step", "invalid") is None:
            raise PydanticCustomError("missing_share", "is required: choose one or type it")
        return percent

    @field_validator("brake_percent")
    @classmethod
    def _goes_together(cls, percent: int | None, info: ValidationInfo) -> int | None:
        failures = info.data.get("min_failures")
        if "min_failures" in info.data and (percent is None) != (failures is None):
            raise PydanticCustomError("half_a_brake", "goes with a number of failed starts")
        return percent

    @property
    def share(self) -> int:
        return self.percent if self.percent is not None else int(self.step or 0)

    @property
    def wanted(self) -> WantedRollout:
        brake = None
        if self.min_failures is not None and self.brake_percent is not None:
            brake = Brake(self.min_failures, self.brake_percent)
        return WantedRollout(self.image_tag, self.share, brake)

    @property
    def title(self) -> str:
        return f"Roll {self.image_tag} out to {self.share} %"

    @property
    def button(self) -> str:
        return f"Roll out to {self.share} %"

    @property
    def consequences(self) -> tuple[str, ...]:
        return (
            NOT_RESTARTED,
            "Users with a pin keep what it says. Raising the share keeps everyone who is in.",
            "It can be aborted at any time: then an upgrade brings everybody back to latest.",
            self._describe_brake(),
        )

    def _describe_brake(self) -> str:
        brake = self.wanted.brake
        if brake is None:
            return "No brake is given: a new rollout has none, one that runs keeps its own."
        limit = f"{brake.min_failures} starts, and {brake.percent} % of all reported ones"
        return f"The brake holds it when {limit}, have failed."

    def subjects(self, _tx: Transaction) -> tuple[str, ...]:
        return self.variant, self.image_tag

    def seen_state(self, tx: Transaction) -> SeenState:
        return {**super().seen_state(tx), "version": tx.versions.get(self.image_tag).etag}

    def preview(self, stores: Stores) -> Preview:
        return preview_rollout(self.variant, self.wanted, catalog=stores.catalog, kv=stores.kv)

    def act(self, stores: Stores, by: Initiator, if_match: IfMatch) -> Any:
        return roll_out(
            self.variant,
            self.wanted,
            by=by,
            catalog=stores.catalog,
            kv=stores.kv,
            if_match=if_match,
        )


class Resume(ChangeOfVariant):
    """Let a rollout go on that the brake holds."""

    name = "resume"
    done = "The rollout goes on."
    dangerous = True

    @property
    def title(self) -> str:
        return f"Resume the rollout of {self.variant}"

    @property
    def button(self) -> str:
        return "Resume"

    @property
    def consequences(self) -> tuple[str, ...]:
        return (
            NOT_RESTARTED,
            "The brake counts anew: it holds the rollout again when as many starts fail.",
        )

    def warnings(self, tx: Transaction) -> Sequence[str]:
        candidate = tx.variants.get(self.variant).candidate_tag
        return (f"{candidate} was held because starts failed.",) if candidate else ()

    def preview(self, stores: Stores) -> Preview:
        return preview_resume(self.variant, catalog=stores.catalog, kv=stores.kv)

    def act(self, stores: Stores, by: Initiator, if_match: IfMatch) -> Any:
        return resume(
            self.variant, by=by, catalog=stores.catalog, kv=stores.kv, if_match=if_match
        )


class Abort(ChangeOfVariant):
    """End a rollout without promoting its candidate."""

    name = "abort"
    done = "The rollout is over. Everybody gets the latest at their next provision or upgrade."
    dangerous = True

    @property
    def title(self) -> str:
        return f"Abort the rollout of {self.variant}"

    @property
    def button(self) -> str:
        return "Abort the rollout"

    @property
    def consequences(self) -> tuple[str, ...]:
        return (
            NOT_RESTARTED,
            "A restart keeps what runs. To get everybody off the candidate, disable it.",
            "A new rollout of the same version selects different users.",
        )

    def preview(self, stores: Stores) -> Preview:
        return preview_abort(self.variant, catalog=stores.catalog, kv=stores.kv)

    def act(self, stores: Stores, by: Initiator, if_match: IfMatch) -> Any:
        return abort(
            self.variant, by=by, catalog=stores.catalog, kv=stores.kv, if_match=if_match
        )


class RollBack(ChangeOfVariant):
    """Make latest what was latest before."""

    name = "rollback"
    done = "Latest is rolled back. Instances follow when they are next provisioned or upgraded."
    dangerous = True

    @property
    def title(self) -> str:
        return f"Roll {self.variant} back"

    @property
    def button(self) -> str:
        return "Roll back"

    @property
    def consequences(self) -> tuple[str, ...]:
        return (
            NOT_RESTARTED,
            "Rolling back again goes further back. To return to the newer version, promote it.",
        )

    def warnings(self, tx: Transaction) -> Sequence[str]:
        latest = tx.variants.get(self.variant).latest_tag
        target = tx.variants.rollback_target(self.variant, latest)
        return (f"{target} becomes the latest in the place of {latest}.",) if target else ()

    def seen_state(self, tx: Transaction) -> SeenState:
        seen = super().seen_state(tx)
        latest = tx.variants.get(self.variant).latest_tag
        return {**seen, "target": tx.variants.rollback_target(self.variant, latest)}

    def preview(self, stores: Stores) -> Preview:
        return preview_rollback(self.variant, catalog=stores.catalog, kv=stores.kv)

    def act(self, stores: Stores, by: Initiator, if_match: IfMatch) -> Any:
        return roll_back(
            self.variant, by=by, catalog=stores.catalog, kv=stores.kv, if_match=if_match
        )

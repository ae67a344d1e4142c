"""Changes of one version: promote, deprecate, activate, edit notes, retire."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from functions.console.changes.base import Change, SeenState, Stores
from functions.console.rendering import counted, quote_path
from shared.catalog.transaction import Transaction
from shared.domain.etags import IfMatch, variant_etag
from shared.domain.model import Initiator
from shared.domain.values import ImageTag, Notes
from shared.usecases.disable import VersionChange
from shared.usecases.preview import Preview
from shared.usecases.preview_versions import (
    preview_promotion,
    preview_retirement,
    preview_version_change,
)
from shared.usecases.promote import promote
from shared.usecases.retire import retire
from shared.usecases.versions import change

NOT_RESTARTED = (
    "Nobody is restarted. Instances move when they are next provisioned or upgraded."
)


class ChangeOfVersion(Change):
    """A change of one version. It starts from the version and its variant as they were seen."""

    image_tag: ImageTag

    @property
    def goes_to(self) -> str:
        return f"/console/versions/{quote_path(self.image_tag)}"

    def subjects(self, tx: Transaction) -> tuple[str, ...]:
        return self.image_tag, tx.versions.get(self.image_tag).variant

    def seen_state(self, tx: Transaction) -> SeenState:
        version = tx.versions.get(self.image_tag)
        pointer = tx.variants.find_pointer(version.variant)
        return {"version": version.etag, "variant": variant_etag(version.variant, pointer)}


class Promote(ChangeOfVersion):
    """Make a version the latest of its variant."""

    name = "promote"
    done = "It is the latest now. Instances get it at their next provision or upgrade."

    @property
    def title(self) -> str:
        return f"Promote {self.image_tag}"

    @property
    def button(self) -> str:
        return "Promote"

    @property
    def consequences(self) -> tuple[str, ...]:
        return (
            NOT_RESTARTED,
            "A rollout of this version ends: then everybody gets it.",
            "A rollback makes the present latest the latest again.",
        )

    def seen_state(self, tx: Transaction) -> SeenState:
        """The variant comes first: that is what moves."""
        seen = super().seen_state(tx)
        return {"variant": seen["variant"], "version": seen["version"]}

    def preview(self, stores: Stores) -> Preview:
        return preview_promotion(self.image_tag, catalog=stores.catalog, kv=stores.kv)

    def act(self, stores: Stores, by: Initiator, if_match: IfMatch) -> Any:
        return promote(
            self.image_tag, by=by, catalog=stores.catalog, kv=stores.kv, if_match=if_match
        )


class EditVersion(ChangeOfVersion):
    """A change of a version's status or notes, which `wanted` says."""

    @property
    @abstractmethod
    def wanted(self) -> VersionChange:
        """What to change."""

    def preview(self, stores: Stores) -> Preview:
        return preview_version_change(
            self.image_tag, self.wanted, catalog=stores.catalog, kv=stores.kv
        )

    def act(self, stores: Stores, by: Initiator, if_match: IfMatch) -> Any:
        return change(
            self.image_tag,
            self.wanted,
            by=by,
            catalog=stores.catalog,
            kv=stores.kv,
            if_match=if_match,
        )


class Deprecate(EditVersion):
    """Keep a version from being promoted, and warn of pins to it."""

    name = "deprecate"
    done = "It is deprecated now."

    @property
    def title(self) -> str:
        return f"Deprecate {self.image_tag}"

    @property
    def button(self) -> str:
        return "Deprecate"

    @property
    def wanted(self) -> VersionChange:
        return VersionChange("deprecated")

    @property
    def consequences(self) -> tuple[str, ...]:
        return (
            "Existing pins still apply; new pins to it show a warning.",
            "It cannot become latest or a candidate; where it is one already, it stays so.",
            "It can be activated again at any time.",
        )


class Activate(EditVersion):
    """Make a deprecated or disabled version active again."""

    name = "activate"
    done = "It is active now."

    @property
    def title(self) -> str:
        return f"Activate {self.image_tag}"

    @property
    def button(self) -> str:
        return "Activate"

    @property
    def wanted(self) -> VersionChange:
        return VersionChange("active")

    @property
    def consequences(self) -> tuple[str, ...]:
        return ("It may run, be pinned and be promoted again. It becomes no latest by itself.",)

    def warnings(self, tx: Transaction) -> Sequence[str]:
        pins = tx.pins.count(self.image_tag)
        if not pins or tx.versions.get(self.image_tag).status != "disabled":
            return ()
        return (f"{counted(pins, 'suspended pin')} will apply again, from the next start on.",)

    def seen_state(self, tx: Transaction) -> SeenState:
        return {**super().seen_state(tx), "pins": str(tx.pins.count(self.image_tag))}


class EditNotes(EditVersion):
    """Write a version's notes anew; empty ones are none."""

    name = "notes"
    done = "The notes are saved."

    notes: Notes = ""

    @property
    def title(self) -> str:
        return f"Edit the notes of {self.image_tag}"

    @property
    def button(self) -> str:
        return "Save notes"

    @property
    def wanted(self) -> VersionChange:
        return VersionChange(notes=self.notes)

    @property
    def consequences(self) -> tuple[str, ...]:
        if not self.notes:
            return ("It will have no notes. Those it has stay in the audit log.",)
        return (f"The notes will be: “{self.notes}”", "The old ones stay in the audit log.")

    def preview(self, stores: Stores) -> Preview:
        """Count nobody: notes move no user, and counting a large fleet takes seconds."""
        with stores.catalog.transaction() as tx:
            tx.versions.get(self.image_tag)
        return Preview(users=0, moves=[], pinned=0, sample=[], as_of=None)


class Retire(ChangeOfVersion):
    """Delete a version for good."""

    name = "retire"
    done = "It is retired: no instance starts with it, and no list shows it."
    dangerous = True

    @property
    def title(self) -> str:
        return f"Retire {self.image_tag}"

    @property
    def button(self) -> str:
        return "Retire for good"

    @property
    def must_type(self) -> str:
        return self.image_tag

    @property
    def consequences(self) -> tuple[str, ...]:
        return (
            "This cannot be undone. To take it out of service for a while, disable it instead.",
            "No instance starts with it any more, and no list shows it.",
            "Its tag and its digest stay taken: neither can be published again.",
        )

    def warnings(self, tx: Transaction) -> Sequence[str]:
        instances = tx.fleet.count(self.image_tag)
        return (_warn_of_instances(instances),) if instances else ()

    def seen_state(self, tx: Transaction) -> SeenState:
        return {**super().seen_state(tx), "pins": str(tx.pins.count(self.image_tag))}

    def preview(self, stores: Stores) -> Preview:
        return preview_retirement(self.image_tag, catalog=stores.catalog, kv=stores.kv)

    def act(self, stores: Stores, by: Initiator, if_match: IfMatch) -> Any:
        return retire(
            self.image_tag, by=by, catalog=stores.catalog, kv=stores.kv, if_match=if_match
        )


def _warn_of_instances(instances: int) -> str:
    run = "runs" if instances == 1 else "run"
    return f"{counted(instances, 'instance')} {run} it now, until the next start."

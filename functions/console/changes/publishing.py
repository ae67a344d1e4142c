"""Publish a version."""

from typing import Any

from functions.console.changes.base import Change, SeenState, Stores
from functions.console.forms import UtcInput
from functions.console.rendering import quote_path
from shared.catalog.transaction import Transaction
from shared.domain.etags import UNCONDITIONAL, IfMatch, variant_etag
from shared.domain.model import Initiator
from shared.domain.roles import Role
from shared.domain.values import (
    DEFAULT_VARIANT,
    ImageDigest,
    ImageTag,
    Notes,
    OpenclawVersion,
    Variant,
)
from shared.runtime.settings import Settings
from shared.usecases.preview import Preview
from shared.usecases.preview_versions import preview_publication
from shared.usecases.publish import Publication, publish


class Publish(Change):
    """Make a version known; of a known tag, what is left out stays."""

    name = "publish"
    done = "It is published."
    requires = "publisher"
    takes_reason = False

    image_tag: ImageTag
    openclaw_version: OpenclawVersion
    image_digest: ImageDigest | None = None
    variant: Variant | None = None
    notes: Notes | None = None
    published_at: UtcInput | None = None
    set_latest: bool = False

    @property
    def title(self) -> str:
        return f"Publish {self.image_tag}"

    @property
    def button(self) -> str:
        return "Publish and make it latest" if self.set_latest else "Publish"

    @property
    def goes_to(self) -> str:
        return f"/console/versions/{quote_path(self.image_tag)}"

    @property
    def goes_back_to(self) -> str:
        return "/console/versions"

    def role(self, settings: Settings) -> Role:
        may_promote = settings.publisher_may_promote or not self.set_latest
        return "publisher" if may_promote else "admin"

    def subjects(self, tx: Transaction) -> tuple[str, ...]:
        return self.image_tag, self._variant(tx)

    @property
    def consequences(self) -> tuple[str, ...]:
        latest = "Publishing alone does not make it latest: promote it for that."
        if self.set_latest:
            latest = "Everybody without a pin gets it at the next provision or upgrade."
        return "Tag, digest, variant and publish time never change afterwards.", latest

    def seen_state(self, tx: Transaction) -> SeenState:
        """The variant counts where it would move."""
        version, variant = tx.versions.find(self.image_tag), self._variant(tx)
        seen = {"version": version.etag if version else None}
        if not self.set_latest:
            return seen
        return {"variant": variant_etag(variant, tx.variants.find_pointer(variant)), **seen}

    def preview(self, stores: Stores) -> Preview:
        return preview_publication(self._publication(), catalog=stores.catalog, kv=stores.kv)

    def act(self, stores: Stores, by: Initiator, if_match: IfMatch) -> Any:
        return publish(
            self._publication(),
            by=by,
            catalog=stores.catalog,
            kv=stores.kv,
            if_match=if_match if self.set_latest else UNCONDITIONAL,
        )

    def _variant(self, tx: Transaction) -> Variant:
        version = tx.versions.find(self.image_tag)
        return version.variant if version else self.variant or DEFAULT_VARIANT

    def _publication(self) -> Publication:
        return Publication(**self.model_dump(exclude={"reason"}))

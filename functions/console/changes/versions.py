"""Changes of versions: promote."""

from typing import Any

from functions.console.changes.base import Change, ETags, Stores
from functions.console.rendering import quote_path
from shared.catalog.transaction import Transaction
from shared.domain.etags import IfMatch
from shared.domain.model import Initiator
from shared.domain.values import ImageTag
from shared.usecases.preview import Preview
from shared.usecases.preview_versions import preview_promotion
from shared.usecases.promote import promote


class Promote(Change):
    """Make a version the latest of its variant."""

    name = "promote"
    done = "It is the latest now. Instances get it at their next provision or upgrade."

    image_tag: ImageTag

    @property
    def title(self) -> str:
        return f"Promote {self.image_tag}"

    @property
    def button(self) -> str:
        return "Promote"

    @property
    def goes_to(self) -> str:
        return f"/console/versions/{quote_path(self.image_tag)}"

    def subjects(self, tx: Transaction) -> tuple[str, ...]:
        return self.image_tag, tx.versions.get(self.image_tag).variant

    @property
    def consequences(self) -> tuple[str, ...]:
        return (
            "Nobody is restarted. Instances move when they are next provisioned or upgraded.",
            "A rollout of this version ends: then everybody gets it.",
        )

    def etags(self, tx: Transaction) -> ETags:
        version = tx.versions.get(self.image_tag)
        return {"variant": tx.variants.get(version.variant).etag, "version": version.etag}

    def preview(self, stores: Stores) -> Preview:
        return preview_promotion(self.image_tag, catalog=stores.catalog, kv=stores.kv)

    def act(self, stores: Stores, by: Initiator, if_match: IfMatch) -> Any:
        return promote(
            self.image_tag, by=by, catalog=stores.catalog, kv=stores.kv, if_match=if_match
        )
